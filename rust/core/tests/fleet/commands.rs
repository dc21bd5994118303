//! Each command with its own test of an answer that is lost, on engines with tokens and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::rig::{Fleet, Reply};
use jobfleet_localengine::{Dialect, Fault, FaultKind, NewJobs, Target};
use serde_json::Value;

const DIALECTS: [Dialect; 2] = [Dialect::V8_6, Dialect::V8_10];
const LOST: [FaultKind; 2] = [FaultKind::ResetBefore, FaultKind::ResetAfter];

/// Runs one job whose handler ends as `reply`, and whose command is cut off once, until it is in `state`.
fn cut_once(dialect: Dialect, fault: FaultKind, target: Target, reply: Reply, state: &str) -> (Fleet, Value) {
    let fleet = Fleet::new(dialect, &[("work", 20_000)]);
    fleet.engine.set_faults(vec![Fault::new(fault).on([target]).times(1)]);
    let _worker = fleet.worker(move |_| reply.clone());
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
    let job = fleet.until_job(key, &[state]);
    fleet.until_status("concluded", |status| status["in_flight"] == 0);
    (fleet, job)
}

#[test]
fn a_completion_is_repeated_and_counts_once() {
    for (dialect, fault) in DIALECTS.into_iter().flat_map(|dialect| LOST.map(|fault| (dialect, fault))) {
        let (fleet, job) = cut_once(dialect, fault, Target::Complete, Reply::Complete, "completed");
        assert_eq!(job["activations"], 1, "{dialect:?} {fault:?}");
        let status = fleet.status();
        assert_eq!((&status["types"][0]["completed"], &status["types"][0]["lost"]), (&1.into(), &0.into()));
        assert_eq!(fleet.account()["failed"], 0);
        fleet.assert_clean();
    }
}

#[test]
fn an_error_is_repeated_and_thrown_once() {
    for (dialect, fault) in DIALECTS.into_iter().flat_map(|dialect| LOST.map(|fault| (dialect, fault))) {
        let reply = Reply::Error("CODE".into());
        let (fleet, job) = cut_once(dialect, fault, Target::Error, reply, "error_thrown");
        assert_eq!((&job["activations"], &job["error_code"]), (&1.into(), &"CODE".into()));
        assert_eq!(fleet.status()["types"][0]["errors_thrown"], 1);
        assert_eq!(fleet.account()["failed"], 0);
        fleet.assert_clean();
    }
}

#[test]
fn a_failure_is_repeated_within_its_back_off_and_costs_one_retry() {
    for (dialect, fault) in DIALECTS.into_iter().flat_map(|dialect| LOST.map(|fault| (dialect, fault))) {
        let (fleet, job) = cut_once(dialect, fault, Target::Fail, Reply::Fail("no".into()), "backing_off");
        assert_eq!((&job["retries"], &job["activations"]), (&2.into(), &1.into()), "{dialect:?} {fault:?}");
        assert_eq!(
            (&fleet.account()["failed"], &fleet.status()["types"][0]["failed"]),
            (&1.into(), &1.into())
        );
        fleet.assert_clean();
    }
}

#[test]
fn the_next_holder_of_a_failed_job_is_not_hit() {
    // Both ends of the doubt: with a back-off the repeat falls into it, without one there is no repeat without a token.
    for dialect in DIALECTS {
        for first in [Reply::Fail("no".into()), Reply::FailNow("no".into())] {
            let fleet = Fleet::new(dialect, &[("work", 20_000)]);
            let runs = Arc::new(AtomicU64::new(0));
            let (count, reply) = (Arc::clone(&runs), first.clone());
            let (hold, entered) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
            let (gate, flag) = (Arc::clone(&hold), Arc::clone(&entered));
            let _worker = fleet.worker(move |_| {
                if count.fetch_add(1, Ordering::AcqRel) == 0 {
                    return reply.clone();
                }
                flag.store(true, Ordering::Release);
                while gate.load(Ordering::Acquire) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Reply::Complete
            });
            fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetAfter).on([Target::Fail]).times(1)]);
            let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
            fleet.until("the second run", |_| entered.load(Ordering::Acquire));
            // The second activation is held while whatever was to be repeated is repeated.
            fleet.until_status("only the second", |status| status["in_flight"] == 1);
            hold.store(false, Ordering::Release);
            let job = fleet.until_job(key, &["completed", "incident"]);
            assert_eq!((&job["state"], &job["activations"]), (&"completed".into(), &2.into()), "{dialect:?}");
            // With a token a repeat may be taken before the job is activated again: it says the same once more.
            let failed = fleet.account()["failed"].as_u64().unwrap();
            assert!(failed == 1 || (failed == 2 && dialect == Dialect::V8_10), "{dialect:?} {failed}");
            assert_eq!(job["retries"], 2, "{dialect:?}");
            fleet.assert_clean();
        }
    }
}

#[test]
fn a_renewal_is_repeated_and_the_handler_goes_on() {
    for (dialect, fault) in DIALECTS.into_iter().flat_map(|dialect| LOST.map(|fault| (dialect, fault))) {
        let fleet = Fleet::new(dialect, &[("work", 1_200)]);
        let gate = Arc::new(AtomicBool::new(true));
        let hold = Arc::clone(&gate);
        let worker = fleet.worker(move |_| {
            while hold.load(Ordering::Acquire) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Reply::Complete
        });
        fleet.engine.set_faults(vec![Fault::new(fault).on([Target::Update]).times(1)]);
        let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
        let until = |job: Value| job["until"].as_u64().unwrap();
        let first = until(fleet.until_job(key, &["activated"]));
        // Beyond the first lease and the one that the cut renewal may have brought.
        fleet.until("renewed twice", |_| until(fleet.engine.job(key).unwrap()) >= first + 1_200);
        gate.store(false, Ordering::Release);
        assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1, "{dialect:?} {fault:?}");
        assert!(!worker.was_cancelled());
        fleet.assert_clean();
    }
}

#[test]
fn a_hand_back_costs_no_retry() {
    for dialect in DIALECTS {
        let mut fleet = Fleet::new(dialect, &[("work", 2_000)]);
        let gate = Arc::new(AtomicBool::new(true));
        let hold = Arc::clone(&gate);
        let doomed = fleet.worker(move |_| {
            while hold.load(Ordering::Acquire) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Reply::Complete
        });
        let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
        fleet.until_status("running", |status| status["types"][0]["running"] == 1);
        fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetAfter).on([Target::Fail]).times(1)]);
        let id = doomed.kill_at(&gate);
        let _heir = fleet.worker(|_| Reply::Complete);
        fleet.core.worker_dead(id, "killed by signal 9 (SIGKILL)".into()).unwrap();
        fleet.event("buried");
        let job = fleet.until_job(key, &["completed"]);
        assert_eq!((&job["retries"], &job["activations"]), (&3.into(), &2.into()), "{job}");
        let counted = fleet.account()["handed_back"].as_u64().unwrap();
        assert!(counted == 1 || dialect == Dialect::V8_10, "{dialect:?} {counted}");
        fleet.assert_clean();
    }
}

#[test]
fn an_error_that_never_ends_is_given_up_with_the_engines_words() {
    let mut fleet = Fleet::new(Dialect::V8_6, &[("work", 60_000)]);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::PartitionNotFound).on([Target::Complete])]);
    fleet.add_jobs("work", 1);
    let told = fleet.event("job_rejected");
    assert!(told["message"].as_str().unwrap().contains("PartitionNotFoundException"), "{told}");
    let status = fleet.until_status("given up", |status| status["in_flight"] == 0);
    assert_eq!((&status["types"][0]["rejected"], &status["engine"]["state"]), (&1.into(), &"up".into()));
}

#[test]
fn an_engine_whose_clock_is_an_hour_ahead_is_worked_for_as_usual() {
    for dialect in DIALECTS {
        let fleet = Fleet::new(dialect, &[("work", 1_200)]);
        fleet.engine.advance(Duration::from_secs(3_600));
        let gate = Arc::new(AtomicBool::new(true));
        let hold = Arc::clone(&gate);
        let _worker = fleet.worker(move |_| {
            while hold.load(Ordering::Acquire) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Reply::Complete
        });
        let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
        let until = |job: Value| job["until"].as_u64().unwrap();
        let first = until(fleet.until_job(key, &["activated"]));
        fleet.until("renewed", |_| until(fleet.engine.job(key).unwrap()) >= first + 1_200);
        gate.store(false, Ordering::Release);
        assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1, "{dialect:?}");
        let status = fleet.until_status("counted", |status| status["types"][0]["completed"] == 1);
        assert_eq!((&status["types"][0]["handed_back"], &status["types"][0]["lost"]), (&0.into(), &0.into()));
        fleet.assert_clean();
    }
}
