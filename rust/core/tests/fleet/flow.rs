//! Jobs flow from the local engine through workers and back.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::rig::{Fleet, Reply};
use jobfleet_core::WorkerEnds;
use jobfleet_core::link::encode_ready;
use jobfleet_localengine::{Dialect, NewJobs};

#[test]
fn every_job_is_settled_once_in_both_dialects() {
    for dialect in [Dialect::V8_6, Dialect::V8_10] {
        let mut fleet = Fleet::new(dialect, &[("good", 10_000), ("bad", 10_000), ("caught", 10_000)]);
        let _workers: Vec<_> = (0..3)
            .map(|_| {
                fleet.worker(|job| {
                    let text = std::str::from_utf8(job).unwrap();
                    match () {
                        () if text.contains("\"bad\"") => Reply::Fail("no".into()),
                        () if text.contains("\"caught\"") => Reply::Error("CODE".into()),
                        () => Reply::Complete,
                    }
                })
            })
            .collect();
        fleet.add_jobs("good", 3_000);
        fleet.add_jobs("caught", 50);
        let account = fleet.until("settled", |account| account["completed"] == 3_000);
        assert_eq!(account["created"], 3_050);
        fleet.until("errors taken", |account| account["waiting"] == 0 && account["in_flight"] == 0);
        fleet.assert_clean();
        fleet.event("worker_ready");
    }
}

#[test]
fn a_failed_job_has_one_retry_less_and_waits_for_its_back_off() {
    let fleet = Fleet::new(Dialect::V8_6, &[("bad", 10_000)]);
    let _worker = fleet.worker(|_| Reply::Fail("no".into()));
    fleet.add_jobs("bad", 1);
    let account = fleet.until("failed", |account| account["failed"] == 1);
    assert_eq!((&account["waiting"], &account["incidents"]), (&1.into(), &0.into()));
}

#[test]
fn a_dead_workers_jobs_are_sorted_into_settled_started_and_unstarted() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let runs = Arc::new(AtomicU64::new(0));
    let (held, count) = (Arc::clone(&gate), Arc::clone(&runs));
    // Fast enough to be given prefetch, then one that never ends.
    let doomed = fleet.worker(move |_| {
        if count.fetch_add(1, Ordering::AcqRel) == 40 {
            let (open, changed) = &*held;
            drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        }
        Reply::Complete
    });
    fleet.event("worker_ready");
    fleet.add_jobs("work", 500);
    fleet.until("stuck", |account| account["completed"] == 40);
    *gate.0.lock().unwrap() = true;
    let id = {
        let stop = doomed;
        gate.1.notify_all();
        stop.kill()
    };
    fleet.core.worker_dead(id, "killed by signal 9 (SIGKILL)".into()).unwrap();
    let buried = fleet.event("buried");
    assert_eq!(buried["reason"], "killed by signal 9 (SIGKILL)");
    let _heir = fleet.worker(|_| Reply::Complete);
    fleet.until("all done", |account| account["completed"] == 500);
    fleet.assert_clean();
}

#[test]
fn jobs_behind_a_slow_one_go_to_a_free_worker() {
    let fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let stuck = Arc::new(AtomicBool::new(true));
    let release = Arc::clone(&stuck);
    let first = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&first);
    let _slow = fleet.worker(move |_| {
        if count.fetch_add(1, Ordering::AcqRel) == 100 {
            while release.load(Ordering::Acquire) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        Reply::Complete
    });
    fleet.add_jobs("work", 101);
    fleet.until("one is slow", |account| account["completed"] == 100);
    let _free = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 400);
    fleet.until("all but the slow one", |account| account["completed"] == 500);
    stuck.store(false, Ordering::Release);
    fleet.until("the slow one too", |account| account["completed"] == 501);
    fleet.assert_clean();
}

#[test]
fn a_running_jobs_lease_is_renewed() {
    let fleet = Fleet::new(Dialect::V8_6, &[("long", 1_500)]);
    let gate = Arc::new(AtomicBool::new(true));
    let hold = Arc::clone(&gate);
    let started = std::time::Instant::now();
    let _worker = fleet.worker(move |_| {
        while hold.load(Ordering::Acquire) && started.elapsed() < crate::rig::PATIENCE {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Reply::Complete
    });
    fleet.add_jobs("long", 1);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    // The engine would have given the job out again after the first lease.
    let begun = std::time::Instant::now();
    fleet.until_status("held for longer than a lease", |_| begun.elapsed().as_millis() > 2_500);
    gate.store(false, Ordering::Release);
    fleet.until("done", |account| account["completed"] == 1);
    fleet.assert_clean();
}

#[test]
fn a_drain_hands_back_what_waits_and_ends() {
    for dialect in [Dialect::V8_6, Dialect::V8_10] {
        let mut fleet = Fleet::new(dialect, &[("work", 30_000), ("idle", 30_000)]);
        let gate = Arc::new(AtomicBool::new(true));
        let hold = Arc::clone(&gate);
        let _worker = fleet.worker(move |_| {
            while hold.load(Ordering::Acquire) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Reply::Complete
        });
        fleet.event("worker_ready");
        fleet.add_jobs("work", 20);
        fleet.until_status("running", |status| status["types"][0]["running"] == 1);
        fleet.core.stop_activation().unwrap();
        gate.store(false, Ordering::Release);
        fleet.event("drained");
        let account = fleet.account();
        assert_eq!((&account["in_flight"], &account["completed"]), (&0.into(), &1.into()), "{account}");
        assert_eq!(account["waiting"], 19);
        fleet.assert_clean();
    }
}

#[test]
fn giving_up_hands_back_what_runs() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let gate = Arc::new(AtomicBool::new(true));
    let hold = Arc::clone(&gate);
    let _worker = fleet.worker(move |_| {
        while hold.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Reply::Complete
    });
    fleet.add_jobs("work", 1);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    fleet.core.give_up("the grace period is over".into()).unwrap();
    fleet.event("drained");
    assert_eq!(fleet.account()["handed_back"], 1);
    gate.store(false, Ordering::Release);
    fleet.assert_clean();
}

#[test]
fn a_worker_that_reads_nothing_is_not_sent_the_same_jobs_again_and_again() {
    const EACH: usize = 100_000;
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 60_000)]);
    let WorkerEnds { link, recorder: _recorder, .. } = fleet.core.add_worker(0).unwrap();
    let mut link = UnixStream::from(link);
    let mut ready = Vec::new();
    encode_ready(&mut ready);
    link.write_all(&ready).unwrap();
    fleet.event("worker_ready");
    let _reads = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    let variables = format!("{{\"a\":\"{}\"}}", "x".repeat(EACH));
    for number in 1..=100 {
        fleet.engine.add_jobs(NewJobs::new("work", 1).variables(&variables)).unwrap();
        fleet.until("completed by the other", |account| account["completed"] == number);
    }
    // What the core has for it is written as soon as there is room.
    link.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let (mut received, mut space) = (0, vec![0; EACH]);
    loop {
        match link.read(&mut space) {
            Ok(0) => break,
            Ok(count) => received += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(received >= EACH, "it was sent nothing, so this shows nothing");
    assert!(received < 20 * EACH, "{received} bytes");
    fleet.assert_clean();
}
