//! The flight recorder between real processes: what a killed worker had started, and what a hostile one can do.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not themselves tests to clippy")]

use std::collections::BTreeSet;
use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use jobfleet_core::recorder::{
    Counters, LaneKind, LaneSpec, Progress, Recorder, SlotState, Start, WorkerRecorder, now_ns,
};

const LANES: [LaneSpec; 2] =
    [LaneSpec { kind: LaneKind::Main, slots: 1 }, LaneSpec { kind: LaneKind::Threads, slots: 3 }];

const ROLE: &str = "JOBFLEET_TEST_ROLE";
const FILE: &str = "JOBFLEET_TEST_RECORDER";

/// A process that does not outlive its test, however that ends.
struct Worker(Child);

impl Worker {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Run this test binary as a worker process in the given role, and wait until it says so.
fn worker(role: &str, recorder: &OwnedFd) -> (Worker, BufReader<ChildStdout>) {
    let file = format!("/proc/{}/fd/{}", std::process::id(), recorder.as_raw_fd());
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "in_a_worker_process", "--nocapture", "--test-threads=1"])
        .envs([(ROLE, role), (FILE, &file)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let child = Worker(child);
    let mut line = String::new();
    while !line.ends_with("at work\n") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the worker process ended early");
    }
    (child, out)
}

/// Not a test of its own: what the processes that the tests start do.
#[test]
fn in_a_worker_process() {
    let Ok(role) = env::var(ROLE) else { return };
    let file = File::options().read(true).write(true).open(env::var(FILE).unwrap()).unwrap();
    match role.as_str() {
        "starts" => starts(&WorkerRecorder::open(file.as_fd(), &LANES).unwrap()),
        "races" => races(&WorkerRecorder::open(file.as_fd(), &LANES).unwrap()),
        "rubbish" => rubbish(&file),
        other => panic!("no role {other}"),
    }
}

fn tell_and_wait() {
    println!("at work");
    let _ = std::io::stdin().read(&mut [0]);
}

fn starts(recorder: &WorkerRecorder) {
    for number in 1..=3 {
        assert_eq!(recorder.start(1, number as u16 - 1, number, 100 + number, 42), Start::Started);
    }
    recorder.finish(1, 0, 42);
    assert_eq!(recorder.start(1, 0, 4, 104, 42), Start::Started);
    recorder.finish(1, 1, 42);
    recorder.loop_turned();
    tell_and_wait();
}

/// Start every number that may start, as fast as possible, and write each to the standard output.
fn races(recorder: &WorkerRecorder) {
    println!("at work");
    let mut out = std::io::stdout().lock();
    let mut number = 1;
    loop {
        match recorder.start(0, 0, number, now_ns(), 1) {
            Start::Started => {
                let _ = out.write_all(format!("{number}\n").as_bytes());
                recorder.finish(0, 0, 1);
                number += 1;
            }
            Start::Refused { next } => number = next,
        }
    }
}

fn rubbish(file: &File) {
    assert!(file.set_len(0).is_err(), "the file is sealed against shrinking");
    assert!(file.set_len(1 << 20).is_err(), "the file is sealed against growing");
    let unseal = rustix::fs::fcntl_add_seals(file, rustix::fs::SealFlags::WRITE);
    assert!(unseal.is_err(), "no more seals can be set");
    let size = file.metadata().unwrap().len();
    for byte in [0xff, 0x01, 0x00, 0x5a] {
        file.write_all_at(&vec![byte; size as usize], 0).unwrap();
    }
    println!("at work");
    let mut seed = 1u64;
    loop {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let _ = file.write_all_at(&seed.to_ne_bytes(), (seed >> 33) % (size - 8));
    }
}

#[test]
fn a_killed_worker_s_jobs_are_told_apart() {
    let (recorder, fd) = Recorder::create(&LANES).unwrap();
    let (mut child, _out) = worker("starts", &fd);
    child.kill();
    let said: Vec<_> = (1..=6).map(|number| recorder.classify(1, number)).collect();
    let running = |slot, since_ns| Progress::Running { slot, since_ns };
    let expected = [
        Progress::Returned,
        Progress::Returned,
        running(2, 103),
        running(0, 104),
        Progress::Unstarted,
        Progress::Unstarted,
    ];
    assert_eq!(said, expected);
    assert_eq!(recorder.classify(0, 1), Progress::Unstarted, "the other lane counts for itself");
    let slot = recorder.slot(1, 2).unwrap();
    assert_eq!((slot.number, slot.started_at_ns, slot.state, slot.tid), (3, 103, SlotState::Running, 42));
    assert_eq!(recorder.slot(1, 1).unwrap().state, SlotState::Returned);
    assert_eq!(recorder.counters(), Counters { started: 4, returned: 2, loop_turns: 1 });
    assert_eq!(recorder.revoke(1, 6), 5);
    assert_eq!((recorder.next(0), recorder.next(1)), (1, 7));
}

#[test]
fn a_worker_that_is_killed_while_it_races_with_revocation_never_starts_what_was_revoked() {
    let (recorder, fd) = Recorder::create(&LANES).unwrap();
    let (mut child, mut out) = worker("races", &fd);
    let (mut started, mut revoked) = (BTreeSet::<u64>::new(), BTreeSet::new());
    for round in 0..2000 {
        let highest = recorder.next(0) + round % 7;
        revoked.extend(recorder.revoke(0, highest)..=highest);
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        started.insert(line.trim().parse().unwrap());
    }
    child.kill();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    started.extend(rest.lines().map(|line| line.parse::<u64>().unwrap()));
    assert!(started.is_disjoint(&revoked));
    assert!(revoked.len() > 100, "the race was one: {} revoked", revoked.len());
    let last = *started.last().unwrap();
    assert!(
        (1..last).all(|number| started.contains(&number) || revoked.contains(&number)),
        "none was skipped"
    );
    assert_ne!(recorder.classify(0, last), Progress::Unstarted);
    assert_eq!(recorder.classify(0, recorder.next(0)), Progress::Unstarted);
}

#[test]
fn a_worker_that_writes_rubbish_costs_the_core_nothing() {
    let (recorder, fd) = Recorder::create(&LANES).unwrap();
    let (mut child, _out) = worker("rubbish", &fd);
    let mut highest = 0;
    for round in 0..20_000u64 {
        for lane in 0..3 {
            let sent = highest + round % 5;
            let before = recorder.revoke(lane, sent);
            assert!(before <= sent + 1);
            if lane < 2 {
                assert!(before > highest || highest == 0, "what was revoked stays revoked");
                assert!(recorder.next(lane) > sent);
            }
            let _ = recorder.classify(lane, sent);
            for slot in 0..4 {
                let _ = recorder.slot(lane, slot);
            }
        }
        highest += round % 5;
        let _ = recorder.counters();
    }
    child.kill();
    assert_eq!(recorder.slot(0, 1), None);
    assert_eq!(recorder.slot(9, 0), None);
}

#[test]
fn a_recorder_made_for_other_lanes_is_refused() {
    let (_recorder, fd) = Recorder::create(&LANES).unwrap();
    let other = [LaneSpec { kind: LaneKind::Loop, slots: 5 }];
    assert!(WorkerRecorder::open(fd.as_fd(), &other).is_err(), "another header of the same size");
    assert!(WorkerRecorder::open(fd.as_fd(), &LANES[..1]).is_err(), "another size");
    let unsealed = rustix::fs::memfd_create("unsealed", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut bytes = Vec::new();
    File::open(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(rustix::io::write(&unsealed, &bytes), Ok(bytes.len()));
    assert!(WorkerRecorder::open(unsealed.as_fd(), &LANES).is_err(), "a file that could shrink");
    assert!(WorkerRecorder::open(fd.as_fd(), &LANES).is_ok());
}

#[test]
fn impossible_lanes_are_refused() {
    for lanes in [
        vec![],
        vec![LaneSpec { kind: LaneKind::Main, slots: 0 }],
        vec![LaneSpec { kind: LaneKind::Loop, slots: 65_536 }],
    ] {
        assert_eq!(Recorder::create(&lanes).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn lanes_are_pairs_in_json() {
    let lanes: Vec<LaneSpec> = serde_json::from_str(r#"[["main",1],["threads",3]]"#).unwrap();
    assert_eq!(lanes, LANES);
    assert_eq!(serde_json::to_string(&lanes).unwrap(), r#"[["main",1],["threads",3]]"#);
    assert!(serde_json::from_str::<LaneSpec>(r#"["fibres",1]"#).is_err());
}
