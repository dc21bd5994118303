//! What follows for jobs when their worker dies or does not move: suspicion, blame, and room elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::rig::{Fleet, Reply, Worker};
use jobfleet_localengine::Dialect;

type Gate = Arc<(Mutex<bool>, Condvar)>;

/// A worker whose jobs wait for the gate.
fn gated(fleet: &Fleet, gate: &Gate, quick: u64) -> Worker {
    let (held, count) = (Arc::clone(gate), AtomicU64::new(0));
    fleet.worker(move |_| {
        if count.fetch_add(1, Ordering::AcqRel) >= quick {
            let (shut, changed) = &*held;
            drop(changed.wait_while(shut.lock().unwrap(), |shut| *shut).unwrap());
        }
        Reply::Complete
    })
}

fn open(gate: &Gate) {
    *gate.0.lock().unwrap() = false;
    gate.1.notify_all();
}

/// A fleet with one job that runs in a worker which dies; `before` is called while it runs.
fn die_running(before: impl FnOnce(&Fleet, u64)) -> Fleet {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let gate: Gate = Arc::new((Mutex::new(true), Condvar::new()));
    let doomed = gated(&fleet, &gate, 0);
    fleet.event("worker_ready");
    fleet.add_jobs("work", 1);
    fleet.until_status("it runs", |status| status["workers"][0]["busy"] == 1);
    before(&fleet, doomed.id);
    doomed.doom();
    open(&gate);
    let id = doomed.kill();
    fleet.core.worker_dead(id, "worker process 7 was killed by signal 9".into()).unwrap();
    fleet
}

#[test]
fn the_running_job_of_a_dead_worker_is_a_suspect_until_its_outcome_comes() {
    let mut fleet = die_running(|_, _| {});
    assert_eq!(fleet.event("buried")["handed_back"], 1);
    assert_eq!(fleet.status()["poison"]["suspects"], 1);
    let _heir = fleet.worker(|_| Reply::Complete);
    fleet.until("done", |account| account["completed"] == 1);
    assert_eq!(fleet.status()["poison"]["suspects"], 0);
    fleet.assert_clean();
}

#[test]
fn a_worker_killed_for_no_fault_of_its_jobs_leaves_no_suspects() {
    let mut fleet = die_running(|fleet, id| fleet.core.condemn_worker(id, true).unwrap());
    let buried = fleet.event("buried");
    assert_eq!((&buried["handed_back"], &buried["blamed"]), (&1.into(), &true.into()));
    assert_eq!(fleet.status()["poison"]["suspects"], 0);
    let account = fleet.until("handed back", |account| account["handed_back"] == 1);
    assert_eq!(account["unexplained"], 0);
}

#[test]
fn unstarted_jobs_of_a_worker_that_does_not_move_leave_at_once_and_none_follow() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 120_000)]);
    let gate: Gate = Arc::new((Mutex::new(true), Condvar::new()));
    // Fast enough to be given prefetch, then one that hangs.
    let frozen = gated(&fleet, &gate, 40);
    fleet.event("worker_ready");
    fleet.add_jobs("work", 400);
    fleet.until("it hangs", |account| account["completed"] == 40);
    fleet.until_status("jobs wait in it", |status| status["workers"][0]["queued"].as_u64() > Some(0));
    fleet.core.shun_worker(frozen.id, true).unwrap();
    let alone = fleet.until_status("only the one that runs is left", |status| {
        status["workers"][0]["queued"] == 0 && status["workers"][0]["busy"] == 1
    });
    assert_eq!(alone["types"][0]["dispatched"], 1);
    let _other = fleet.worker(|_| Reply::Complete);
    fleet.until("the others are done", |account| account["completed"] == 399);
    assert_eq!(fleet.status()["workers"][0]["jobs"], 40);
    fleet.core.shun_worker(frozen.id, false).unwrap();
    open(&gate);
    fleet.until("all done", |account| account["completed"] == 400);
    fleet.assert_clean();
    drop(frozen);
}

#[test]
fn a_job_that_ran_at_two_deaths_runs_with_nothing_behind_it() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    fleet.add_jobs("work", 41);
    // Fast enough to be given prefetch, and then the suspect.
    for quick in [40, 0] {
        let gate: Gate = Arc::new((Mutex::new(true), Condvar::new()));
        let doomed = gated(&fleet, &gate, quick);
        fleet.event("worker_ready");
        fleet.until("only the suspect is left", |account| account["completed"] == 40);
        fleet.until_status("it runs", |status| status["workers"][0]["busy"] == 1);
        doomed.doom();
        open(&gate);
        let id = doomed.kill();
        fleet.core.worker_dead(id, "worker process 7 was killed by signal 9".into()).unwrap();
        fleet.event("buried");
    }
    let gate: Gate = Arc::new((Mutex::new(true), Condvar::new()));
    let _alone = gated(&fleet, &gate, 0);
    fleet.until_status("the suspect runs", |status| status["workers"][0]["busy"] == 1);
    fleet.add_jobs("work", 20);
    let status = fleet.until_status("others wait", |status| status["types"][0]["waiting"].as_u64() > Some(0));
    assert_eq!(status["workers"][0]["queued"], 0, "{status}");
    open(&gate);
    fleet.until("all done", |account| account["completed"] == 61);
    fleet.assert_clean();
}

#[test]
fn a_worker_that_is_shunned_gets_no_job_until_it_moves_again() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let shunned = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.shun_worker(shunned.id, true).unwrap();
    let other = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.add_jobs("work", 200);
    fleet.until("the other one has done them", |account| account["completed"] == 200);
    let status = fleet.status();
    assert_eq!((&status["workers"][0]["jobs"], &status["workers"][1]["jobs"]), (&0.into(), &200.into()));
    fleet.core.shun_worker(shunned.id, false).unwrap();
    fleet.core.shun_worker(other.id, true).unwrap();
    fleet.add_jobs("work", 1);
    fleet.until("it moves again", |account| account["completed"] == 201);
    fleet.until_status("it has done it", |status| status["workers"][0]["jobs"] == 1);
    fleet.assert_clean();
}
