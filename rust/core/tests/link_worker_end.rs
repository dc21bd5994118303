//! The worker's end against a core that speaks raw frames.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests are not themselves tests to clippy"
)]

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jobfleet_core::link::worker_end::{Cancel, Job, Misuse, Take, Woken, WorkerEnd};
use jobfleet_core::link::{
    FrameReader, Outcome, OutcomeHead, OutcomeRef, ToCore, encode_cancel, encode_drain, encode_job,
};
use jobfleet_core::recorder::{Counters, LaneKind, LaneSpec, Progress, Recorder, now_ns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const GUARD: Duration = Duration::from_secs(60);
const DONE: OutcomeRef<'_> = OutcomeRef::Complete { variables: Some(b"{}"), result: None, business_id: None };

/// A core's ends of a link and a recorder, and the worker's end of both.
struct Rig {
    socket: UnixStream,
    recorder: Recorder,
    frames: FrameReader<ToCore>,
    end: Arc<WorkerEnd>,
}

impl Rig {
    fn new(lanes: &[(LaneKind, u32)]) -> Self {
        let lanes: Vec<LaneSpec> = lanes.iter().map(|lane| LaneSpec::from(*lane)).collect();
        let (recorder, file) = Recorder::create(&lanes).unwrap();
        let (socket, worker) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        let end = Arc::new(WorkerEnd::open(OwnedFd::from(worker), file, &lanes).unwrap());
        end.start().unwrap();
        Self { socket, recorder, frames: FrameReader::new(), end }
    }

    fn send(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        self.socket.write_all(&bytes).unwrap();
    }

    fn send_jobs(&mut self, lane: u16, numbers: impl Iterator<Item = u64>) {
        self.send(|out| {
            for number in numbers {
                encode_job(out, lane, 5, number, format!("job {number}").as_bytes()).unwrap();
            }
        });
    }

    fn receive(&mut self) -> ToCore {
        loop {
            if let Some(frame) = self.frames.next_frame().unwrap() {
                return frame;
            }
            let count = self.socket.read(self.frames.space()).expect("the worker's end writes in time");
            assert!(count > 0, "the worker's end stays open");
            self.frames.filled(count);
        }
    }

    fn receive_outcome(&mut self) -> (OutcomeHead, Outcome) {
        match self.receive() {
            ToCore::Outcome { head, outcome } => (head, outcome),
            other => panic!("{other:?}"),
        }
    }

    /// Take, waiting as long as it takes; none when the lane is over.
    fn take(&self, lane: u16, slot: u16) -> Option<Job> {
        take(&self.end, lane, slot)
    }

    fn try_take(&self, lane: u16) -> Option<Job> {
        match self.end.try_take(lane).unwrap() {
            Take::Job(job) => Some(job),
            Take::Empty(_) | Take::Over => None,
        }
    }

    /// Wait for a loop lane's wake descriptor and read it empty.
    fn await_wake(&self, lane: u16) {
        let wake = self.end.wake_fd(lane).unwrap();
        let guard = Timespec { tv_sec: GUARD.as_secs() as i64, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&wake, PollFlags::IN)], Some(&guard)), Ok(1), "no wake came");
        rustix::io::read(wake, &mut [0; 8]).unwrap();
    }

    fn is_awake(&self, lane: u16) -> bool {
        let wake = self.end.wake_fd(lane).unwrap();
        poll(&mut [PollFd::new(&wake, PollFlags::IN)], Some(&Timespec::default())) == Ok(1)
    }
}

fn take(end: &WorkerEnd, lane: u16, slot: u16) -> Option<Job> {
    let deadline = now_ns() + GUARD.as_nanos() as u64;
    loop {
        match end.take(lane, slot).unwrap() {
            Take::Job(job) => return Some(job),
            Take::Over => return None,
            Take::Empty(ticket) => {
                assert_ne!(end.wait(lane, ticket, Some(deadline)).unwrap(), Woken::TimedOut, "nothing came");
            }
        }
    }
}

#[test]
fn jobs_are_taken_in_order_and_their_outcomes_say_where_and_how_long_they_ran() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
    rig.send_jobs(0, 1..=3);
    for number in 1..=3 {
        let job = rig.take(0, 0).unwrap();
        assert_eq!(
            (job.number, job.type_index, &job.body[..]),
            (number, 5, format!("job {number}").as_bytes())
        );
        let Progress::Running { slot: 0, since_ns } = rig.recorder.classify(0, number) else {
            panic!("it runs")
        };
        rig.end.settle(0, 0, number, DONE).unwrap();
        let longest = now_ns() - since_ns;
        let (head, outcome) = rig.receive_outcome();
        assert!(head.run_ns <= longest);
        assert_eq!(head, OutcomeHead { lane: 0, slot: 0, number, run_ns: head.run_ns });
        assert_eq!(outcome.as_ref(), DONE);
        assert_eq!(rig.recorder.classify(0, number), Progress::Returned);
    }
    assert_eq!(rig.recorder.counters(), Counters { started: 3, returned: 3, loop_turns: 0 });
}

#[test]
fn every_kind_of_outcome_arrives_as_it_was_given() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
    let outcomes = [
        Outcome::Complete { variables: None, result: Some(Bytes::from_static(b"[1]")), business_id: None },
        Outcome::Fail {
            message: "no".into(),
            retries: Some(2),
            backoff_ms: Some(70),
            variables: Some("{}".into()),
        },
        Outcome::Fail { message: String::new(), retries: None, backoff_ms: None, variables: None },
        Outcome::Error { code: "C".into(), message: Some("m".into()), variables: Some("{}".into()) },
        Outcome::Error { code: "C".into(), message: None, variables: None },
        Outcome::HandBack { message: "stop".into(), backoff_ms: 9 },
    ];
    for (number, outcome) in (1..).zip(outcomes) {
        rig.send_jobs(0, number..=number);
        rig.take(0, 0).unwrap();
        rig.end.settle(0, 0, number, outcome.as_ref()).unwrap();
        assert_eq!(rig.receive_outcome().1, outcome);
    }
}

#[test]
fn frames_split_at_every_byte_arrive() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
    let mut bytes = Vec::new();
    for number in 1..=4 {
        encode_job(&mut bytes, 0, 0, number, b"some body").unwrap();
    }
    let mut socket = rig.socket.try_clone().unwrap();
    let writer = thread::spawn(move || bytes.iter().for_each(|byte| socket.write_all(&[*byte]).unwrap()));
    for number in 1..=4 {
        assert_eq!(rig.take(0, 0).unwrap().number, number);
        rig.end.settle(0, 0, number, DONE).unwrap();
        assert_eq!(rig.receive_outcome().0.number, number);
    }
    writer.join().unwrap();
}

#[test]
fn revoked_jobs_are_dropped_and_later_ones_run() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
    rig.send_jobs(0, 1..=4);
    rig.take(0, 0).unwrap();
    assert_eq!(rig.recorder.revoke(0, 4), 2);
    rig.end.settle(0, 0, 1, DONE).unwrap();
    rig.send_jobs(0, 5..=5);
    assert_eq!(rig.take(0, 0).unwrap().number, 5);
    assert_eq!(rig.recorder.counters().started, 2);
}

#[test]
fn a_draining_worker_finishes_what_came_and_is_then_drained() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1), (LaneKind::Loop, 2)]);
    rig.send_jobs(0, 1..=2);
    rig.send_jobs(1, 1..=1);
    rig.send(encode_drain);
    rig.await_wake(1);
    let slot = rig.try_take(1).unwrap().slot;
    rig.take(0, 0).unwrap();
    rig.end.settle(0, 0, 1, DONE).unwrap();
    rig.take(0, 0).unwrap();
    rig.end.settle(0, 0, 2, DONE).unwrap();
    assert!(rig.take(0, 0).is_none());
    assert!(!rig.end.is_drained(), "the loop still runs one");
    while rig.is_awake(1) {
        rig.await_wake(1);
    }
    rig.end.settle(1, slot, 1, DONE).unwrap();
    rig.await_wake(1);
    assert!(rig.end.is_drained());
    assert!(rig.try_take(1).is_none());
}

#[test]
fn a_worker_whose_prefetch_was_revoked_is_drained_without_running_it() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
    rig.send_jobs(0, 1..=3);
    rig.take(0, 0).unwrap();
    assert_eq!(rig.recorder.revoke(0, 3), 2);
    rig.send(encode_drain);
    rig.end.settle(0, 0, 1, DONE).unwrap();
    assert!(rig.take(0, 0).is_none());
    assert!(rig.end.is_drained());
}

#[test]
fn the_end_of_the_link_wakes_every_taker() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1), (LaneKind::Threads, 3), (LaneKind::Loop, 1)]);
    rig.send_jobs(0, 1..=3);
    rig.take(0, 0).unwrap();
    let takers: Vec<_> = (0..3)
        .map(|slot| {
            let end = Arc::clone(&rig.end);
            thread::spawn(move || take(&end, 1, slot).is_none())
        })
        .collect();
    rig.socket.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(takers.into_iter().all(|taker| taker.join().unwrap()));
    rig.await_wake(2);
    assert!(rig.end.is_drained(), "nobody wants the outcome of the job that runs");
    rig.end.settle(0, 0, 1, DONE).unwrap();
    assert!(rig.take(0, 0).is_none(), "what was queued is not started");
    assert!(!rig.end.flush(Duration::ZERO));
}

#[test]
fn every_thread_of_a_lane_gets_a_job() {
    const ROUNDS: u64 = 100;
    let mut rig = Rig::new(&[(LaneKind::Threads, 4)]);
    let barrier = Arc::new(Barrier::new(4));
    let takers: Vec<_> = (0..4)
        .map(|slot| {
            let (end, barrier) = (Arc::clone(&rig.end), Arc::clone(&barrier));
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    let number = take(&end, 0, slot).unwrap().number;
                    // Nobody settles before all four have a job.
                    barrier.wait();
                    end.settle(0, slot, number, DONE).unwrap();
                }
            })
        })
        .collect();
    for round in 0..ROUNDS {
        let numbers = 4 * round + 1..=4 * round + 4;
        rig.send_jobs(0, numbers.clone());
        let mut settled: Vec<_> = (0..4).map(|_| rig.receive_outcome().0.number).collect();
        settled.sort_unstable();
        assert!(numbers.eq(settled));
    }
    takers.into_iter().for_each(|taker| taker.join().unwrap());
}

#[test]
fn a_loop_takes_up_to_its_slots_and_is_woken_when_one_is_free() {
    let mut rig = Rig::new(&[(LaneKind::Loop, 2)]);
    assert!(rig.try_take(0).is_none());
    rig.send_jobs(0, 1..=3);
    rig.await_wake(0);
    let (first, second) = (rig.try_take(0).unwrap(), rig.try_take(0).unwrap());
    assert_ne!(first.slot, second.slot);
    assert!(rig.try_take(0).is_none(), "both slots run");
    assert!(!rig.is_awake(0));
    rig.end.settle(0, second.slot, second.number, DONE).unwrap();
    rig.await_wake(0);
    let third = rig.try_take(0).unwrap();
    assert_eq!((third.number, third.slot), (3, second.slot));
    assert!(rig.recorder.counters().loop_turns > 0);
}

#[test]
fn a_cancelled_job_that_waits_never_runs_and_one_that_runs_is_told() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1), (LaneKind::Loop, 1)]);
    rig.send_jobs(0, 1..=3);
    rig.take(0, 0).unwrap();
    rig.send(|out| {
        encode_cancel(out, 0, 2, "late").unwrap();
        encode_cancel(out, 0, 1, "lost").unwrap();
    });
    rig.await_wake(1);
    assert_eq!(rig.end.take_cancels(), [Cancel { lane: 0, number: 1, reason: "lost".into() }]);
    assert!(rig.end.take_cancels().is_empty());
    rig.end.settle(0, 0, 1, DONE).unwrap();
    assert_eq!(rig.take(0, 0).unwrap().number, 3);
    assert_eq!(rig.recorder.classify(0, 2), Progress::Returned);
}

#[test]
fn calls_that_fit_no_job_are_refused_or_do_nothing() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1), (LaneKind::Loop, 2)]);
    rig.send_jobs(0, 1..=2);
    rig.take(0, 0).unwrap();
    assert_eq!(rig.end.take(0, 0).unwrap_err(), Misuse::SlotBusy { lane: 0, slot: 0 });
    assert_eq!(rig.end.take(0, 1).unwrap_err(), Misuse::Slot { lane: 0, slot: 1 });
    assert_eq!(rig.end.take(1, 0).unwrap_err(), Misuse::IsLoop { lane: 1 });
    assert_eq!(rig.end.try_take(0).unwrap_err(), Misuse::NoLoop { lane: 0 });
    assert_eq!(rig.end.try_take(2).unwrap_err(), Misuse::Lane { lane: 2 });
    assert_eq!(rig.end.settle(0, 0, 0, DONE), Err(Misuse::Number { lane: 0, number: 0 }));
    assert_eq!(rig.end.settle(0, 0, 3, DONE), Err(Misuse::Number { lane: 0, number: 3 }));
    assert_eq!(rig.end.settle(0, 0, 2, DONE), Ok(()), "it came, but does not run");
    rig.end.settle(0, 0, 1, DONE).unwrap();
    rig.end.settle(0, 0, 1, DONE).unwrap();
    rig.take(0, 0).unwrap();
    rig.end.settle(0, 0, 2, DONE).unwrap();
    assert_eq!([rig.receive_outcome().0.number, rig.receive_outcome().0.number], [1, 2], "each once");
}

#[test]
fn a_full_socket_loses_nothing_and_outcomes_overtake_log_records() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
    let variables = vec![b'1'; 300_000];
    let outcome = OutcomeRef::Complete { variables: Some(&variables), result: None, business_id: None };
    rig.send_jobs(0, 1..=20);
    for number in 1..=20 {
        rig.take(0, 0).unwrap();
        rig.end.log(20, 0, number, &vec![b'"'; 90_000]).unwrap();
        rig.end.settle(0, 0, number, outcome).unwrap();
    }
    assert!(!rig.end.flush(Duration::ZERO), "nobody reads");
    let (mut settled, mut logged, mut dropped, mut behind) = (0, 0, 0, 0);
    while settled < 20 || logged + dropped < 20 {
        match rig.receive() {
            ToCore::Outcome { head, outcome: found } => {
                settled += 1;
                assert_eq!(head.number, settled);
                assert_eq!(found.as_ref(), outcome);
                behind = logged;
            }
            ToCore::Log { .. } => logged += 1,
            ToCore::LogsDropped { count } => dropped += count,
            other => panic!("{other:?}"),
        }
    }
    assert!(dropped > 0, "1.8 MB of records do not fit");
    assert!(behind <= 2, "an outcome waits behind no more than was being written: {behind}");
    assert!(rig.end.flush(GUARD));
}

#[test]
fn malformed_frames_and_gaps_in_the_numbers_end_the_link() {
    let breaks: [fn(&mut Vec<u8>); 5] = [
        |out| out.extend_from_slice(&[1, 0, 0, 0, 99]),
        |out| encode_job(out, 0, 0, 2, b"").unwrap(),
        |out| (0..2).for_each(|_| encode_job(out, 0, 0, 1, b"").unwrap()),
        |out| encode_job(out, 1, 0, 1, b"").unwrap(),
        |out| out.extend_from_slice(&[0xff; 8]),
    ];
    for broken in breaks {
        let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
        rig.send(broken);
        assert!(rig.take(0, 0).is_none());
        assert!(rig.end.is_drained());
        let end = rig
            .socket
            .read(&mut [0])
            .map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |n| n == 0);
        assert!(end, "the core sees the end of the link");
    }
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let rig = Rig::new(&[(LaneKind::Main, 1), (LaneKind::Threads, 1)]);
    let Take::Empty(ticket) = rig.end.take(0, 0).unwrap() else { panic!("nothing came") };
    assert_eq!(rig.end.wait(0, ticket, Some(now_ns())).unwrap(), Woken::TimedOut);
    assert_eq!(rig.end.wait(0, ticket, Some(now_ns() + 1_000_000)).unwrap(), Woken::TimedOut);
}

#[test]
fn an_outcome_that_waits_is_written_although_every_thread_of_the_worker_is_busy() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
    // The first write after a quiet time goes at once, so the later outcomes are left to the native thread.
    rig.send_jobs(0, 1..=100);
    for number in 1..=50 {
        rig.take(0, 0).unwrap();
        rig.end.settle(0, 0, number, DONE).unwrap();
    }
    rig.take(0, 0).unwrap();
    for number in 1..=50 {
        assert_eq!(rig.receive_outcome().0.number, number);
    }
}

#[test]
fn what_arrives_while_a_handler_runs_is_read_even_after_a_quick_succession_of_jobs() {
    let mut rig = Rig::new(&[(LaneKind::Main, 1)]);
    for number in 1..=200 {
        rig.send_jobs(0, number..=number);
        rig.take(0, 0).unwrap();
        if number < 200 {
            rig.end.settle(0, 0, number, DONE).unwrap();
            rig.receive_outcome();
        }
    }
    rig.send(|out| encode_cancel(out, 0, 200, "late").unwrap());
    let deadline = Instant::now() + GUARD;
    while rig.end.take_cancels().is_empty() {
        assert!(Instant::now() < deadline, "nobody reads the link");
        thread::yield_now();
    }
}

#[test]
fn a_link_that_fits_not_is_refused() {
    let lanes = [LaneSpec { kind: LaneKind::Main, slots: 1 }];
    let (_recorder, file) = Recorder::create(&lanes).unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(WorkerEnd::open(socket.into(), file, &lanes).unwrap_err().kind(), ErrorKind::InvalidInput);
    let (core, worker) = jobfleet_core::link::socket_pair().unwrap();
    assert_eq!(
        WorkerEnd::open(worker, core.as_fd().try_clone_to_owned().unwrap(), &lanes).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}
