//! Lease tokens: asked for where the engine has them, sent back with every command, done without elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rig::{Fleet, Reply, Worker};
use jobfleet_localengine::{Dialect, Engine, Fault, FaultKind, NewJobs, Options, Settings, Target};
use serde_json::json;

/// A worker whose handler waits until the gate is opened.
fn gated(fleet: &Fleet) -> (Worker, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(true));
    let hold = Arc::clone(&gate);
    let worker = fleet.worker(move |_| {
        while hold.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Reply::Complete
    });
    (worker, gate)
}

#[test]
fn jobs_are_leased_with_a_token_where_the_engine_has_them() {
    for (dialect, leased) in [(Dialect::V8_6, false), (Dialect::V8_8, false), (Dialect::V8_10, true)] {
        let fleet = Fleet::new(dialect, &[("work", 10_000)]);
        let _worker = fleet.worker(|_| Reply::Complete);
        let job = fleet.run_one("work");
        assert_eq!(
            (&job["state"], &job["leased"]),
            (&"completed".into(), &leased.into()),
            "{dialect:?} {job}"
        );
        fleet.assert_clean();
    }
}

#[test]
fn no_token_is_asked_for_when_fencing_is_off() {
    let fleet = Fleet::with(Dialect::V8_10, &[("work", 10_000)], json!({"fencing": false}));
    let _worker = fleet.worker(|_| Reply::Complete);
    assert_eq!(fleet.run_one("work")["leased"], false);
    fleet.assert_clean();
}

#[test]
fn every_command_carries_the_token_under_the_name_of_the_server() {
    for member in ["jobLeaseToken", "leaseToken"] {
        let settings = Settings { lease_member: member.into(), ..Settings::default() };
        let options = Options { settings, ..Options::default() };
        let types = ["done", "bad", "caught", "long"]
            .map(|name| json!({"type": name, "lane": 0, "slots": 1, "lease_ms": 1_200}))
            .to_vec();
        let fleet = Fleet::made(options, json!({}), types);
        let long = Arc::new(AtomicBool::new(true));
        let hold = Arc::clone(&long);
        let _workers = [(); 2].map(|()| {
            let hold = Arc::clone(&hold);
            fleet.worker(move |job| match std::str::from_utf8(job).unwrap() {
                text if text.contains("\"bad\"") => Reply::Fail("no".into()),
                text if text.contains("\"caught\"") => Reply::Error("CODE".into()),
                text if text.contains("\"long\"") => {
                    while hold.load(Ordering::Acquire) {
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                    Reply::Complete
                }
                _ => Reply::Complete,
            })
        });
        let (long_key, _) = fleet.engine.add_jobs(NewJobs::new("long", 1)).unwrap();
        let until = |job: serde_json::Value| job["until"].as_u64().unwrap();
        let first = until(fleet.until_job(long_key, &["activated"]));
        assert_eq!(fleet.run_one("done")["state"], "completed");
        assert_eq!(fleet.run_one("caught")["state"], "error_thrown");
        let (bad, _) = fleet.engine.add_jobs(NewJobs::new("bad", 1)).unwrap();
        assert_eq!(fleet.until_job(bad, &["backing_off"])["retries"], 2);
        // A second renewal follows a first one that was granted.
        fleet.until("renewed", |_| until(fleet.engine.job(long_key).unwrap()) >= first + 1_200);
        long.store(false, Ordering::Release);
        assert_eq!(fleet.until_job(long_key, &["completed"])["activations"], 1, "{member}");
        fleet.assert_clean();
    }
}

#[test]
fn with_a_token_a_hand_back_whose_answer_is_lost_is_repeated() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let (doomed, gate) = gated(&fleet);
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    // Lost before it has an effect: only a repeat brings the job back within its lease.
    fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetBefore).on([Target::Fail]).times(1)]);
    let id = doomed.kill_at(&gate);
    fleet.core.worker_dead(id, "killed by signal 9 (SIGKILL)".into()).unwrap();
    fleet.event("buried");
    let _heir = fleet.worker(|_| Reply::Complete);
    let job = fleet.until_job(key, &["completed"]);
    assert_eq!((&job["activations"], &job["retries"]), (&2.into(), &3.into()), "{job}");
    fleet.assert_clean();
}

#[test]
fn with_a_token_no_command_whose_answer_is_lost_hits_the_next_holder() {
    let fleet = Fleet::new(Dialect::V8_10, &[("done", 20_000), ("bad", 20_000), ("caught", 20_000)]);
    let failing = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&failing);
    let _worker = fleet.worker(move |job| match std::str::from_utf8(job).unwrap() {
        text if text.contains("\"bad\"") && flag.load(Ordering::Acquire) => Reply::FailNow("no".into()),
        text if text.contains("\"caught\"") => Reply::Error("CODE".into()),
        _ => Reply::Complete,
    });
    let targets = [Target::Complete, Target::Fail, Target::Error];
    fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetAfter).on(targets).probability(0.4)]);
    for name in ["done", "bad", "caught"] {
        fleet.add_jobs(name, 40);
    }
    // Without a back-off the next activation follows at once, so each repeat meets it.
    fleet.until("failed", |account| account["failed"].as_u64() >= Some(40));
    failing.store(false, Ordering::Release);
    fleet.until("over", |account| account["waiting"] == 0 && account["in_flight"] == 0);
    fleet.assert_clean();
}

#[test]
fn an_upgrade_in_flight_brings_tokens() {
    for before in [Dialect::V8_6, Dialect::V8_8] {
        let fleet = Fleet::new(before, &[("work", 20_000)]);
        let _worker = fleet.worker(|_| Reply::Complete);
        assert_eq!(fleet.run_one("work")["leased"], false);
        fleet.engine.set_dialect(Dialect::V8_10);
        fleet.until("leased", |_| fleet.run_one("work")["leased"] == true);
        let version = fleet.status()["engine"]["version"].clone();
        assert_eq!(version, "8.10.0");
        fleet.assert_clean();
    }
}

#[test]
fn a_downgrade_in_flight_costs_no_job() {
    for after in [Dialect::V8_6, Dialect::V8_8] {
        let fleet = Fleet::new(Dialect::V8_10, &[("work", 20_000)]);
        let (_worker, gate) = gated(&fleet);
        let (held, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
        fleet.until_status("running", |status| status["types"][0]["running"] == 1);
        // The held job has a token, which the older server does not know.
        fleet.engine.set_dialect(after);
        gate.store(false, Ordering::Release);
        assert_eq!(fleet.until_job(held, &["completed", "incident"])["state"], "completed", "{after:?}");
        for _ in 0..5 {
            let job = fleet.run_one("work");
            assert_eq!((&job["state"], &job["activations"]), (&"completed".into(), &1.into()), "{after:?}");
        }
        let account = fleet.account();
        assert_eq!((&account["completed"], &account["failed"]), (&6.into(), &0.into()), "{account}");
        fleet.until_status("known", |status| status["engine"]["version"] != "8.10.0");
        fleet.assert_clean();
    }
}

#[test]
fn the_first_poll_waits_until_the_version_is_known() {
    let engine = Engine::start(Options::default()).unwrap();
    engine.set_faults(vec![Fault { on: vec![Target::Topology], ..Fault::latency(300, 0) }]);
    let work = json!({"type": "work", "lane": 0, "slots": 1, "lease_ms": 10_000});
    let fleet = Fleet::on(engine, json!({}), vec![work]);
    let _worker = fleet.worker(|_| Reply::Complete);
    assert_eq!(fleet.run_one("work")["leased"], true);
}
