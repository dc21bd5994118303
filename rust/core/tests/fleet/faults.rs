//! What the engine and the network do wrong must not be seen in the account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rig::{Fleet, Reply};
use jobfleet_localengine::{Dialect, Fault, FaultKind, Settings, Target};
use serde_json::{Value, json};

const OUTCOMES: [Target; 3] = [Target::Complete, Target::Fail, Target::Error];
const DIALECTS: [Dialect; 2] = [Dialect::V8_6, Dialect::V8_10];

fn ended(account: &Value) -> bool {
    account["waiting"] == 0 && account["in_flight"] == 0
}

/// Runs jobs to their end through two workers while these faults are on.
fn run_through(dialect: Dialect, faults: Vec<Fault>, jobs: u64) -> (Fleet, Value) {
    let fleet = Fleet::new(dialect, &[("work", 20_000)]);
    let _workers = [fleet.worker(|_| Reply::Complete), fleet.worker(|_| Reply::Complete)];
    fleet.engine.set_faults(faults);
    fleet.add_jobs("work", jobs);
    let account = fleet.until("all done", |account| account["completed"] == jobs && ended(account));
    (fleet, account)
}

#[test]
fn a_completion_survives_every_transient_answer() {
    let kinds = [
        FaultKind::Backpressure,
        FaultKind::TooManyRequests,
        FaultKind::Unavailable,
        FaultKind::BareUnavailable,
        FaultKind::HiddenBackpressure,
        FaultKind::Unauthorized,
        FaultKind::ProxyNotFound,
        FaultKind::ProxyBadGateway,
        FaultKind::GatewayTimeout,
        FaultKind::PartitionNotFound,
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
    ];
    for dialect in DIALECTS {
        let fault = |kind| Fault::new(kind).on([Target::Complete]).probability(0.03);
        // Three of them in a row would be final.
        let faults = kinds.into_iter().map(fault).chain([fault(FaultKind::RecordTooLarge).times(2)]);
        let (fleet, account) = run_through(dialect, faults.collect(), 600);
        assert_eq!(account["failed"], 0, "a transient answer was made a failure: {account}");
        fleet.assert_clean();
    }
}

#[test]
fn a_stream_of_broken_activations_costs_no_job() {
    for dialect in DIALECTS {
        let kinds = [
            FaultKind::ResetBefore,
            FaultKind::Backpressure,
            FaultKind::ProxyBadGateway,
            FaultKind::Unauthorized,
        ];
        let faults = kinds.map(|kind| Fault::new(kind).on([Target::Activate]).probability(0.1));
        let (fleet, _) = run_through(dialect, faults.to_vec(), 1_000);
        fleet.assert_clean();
    }
}

#[test]
fn the_whole_jobs_of_a_cut_answer_are_worked_on() {
    let fleet = Fleet::new(Dialect::V8_10, &[("work", 1_000)]);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 200);
    fleet.until("warm", |account| account["completed"] == 200);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Truncate).on([Target::Activate]).probability(0.5)]);
    // The first of these answers the poll that was held before the fault.
    for batch in 1..=8 {
        fleet.add_jobs("work", 50);
        let all = 200 + batch * 50;
        fleet.until("all done", |account| account["completed"] == all && ended(account));
    }
    let account = fleet.account();
    let undelivered = account["undelivered"].as_u64().unwrap();
    assert!((1..360).contains(&undelivered), "nothing was cut, or nothing of it was used: {account}");
    fleet.assert_clean();
}

#[test]
fn a_failure_whose_answer_is_lost_hits_nobody_else() {
    for dialect in DIALECTS {
        let fleet = Fleet::new(dialect, &[("work", 20_000)]);
        let failing = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&failing);
        let reply = move |_: &[u8]| {
            if flag.load(Ordering::Acquire) { Reply::Fail("no".into()) } else { Reply::Complete }
        };
        let _worker = fleet.worker(reply);
        fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetAfter).on([Target::Fail]).times(5)]);
        fleet.add_jobs("work", 5);
        fleet.until("failed", |account| account["failed"] == 5);
        failing.store(false, Ordering::Release);
        // The back-off of a second passes; the next holder completes undisturbed.
        let account = fleet.until("completed", |account| account["completed"] == 5);
        assert_eq!(account["failed"], 5, "{account}");
        fleet.assert_clean();
    }
}

#[test]
fn a_hand_back_whose_answer_is_lost_is_not_repeated_into_the_next_activation() {
    let mut fleet = Fleet::new(Dialect::V8_6, &[("work", 3_000)]);
    let gate = Arc::new(AtomicBool::new(true));
    let hold = Arc::clone(&gate);
    let doomed = fleet.worker(move |_| {
        while hold.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Reply::Complete
    });
    fleet.add_jobs("work", 1);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetAfter).on([Target::Fail]).times(1)]);
    let stop = Arc::clone(&gate);
    let unblock = std::thread::spawn(move || stop.store(false, Ordering::Release));
    let id = doomed.kill();
    unblock.join().unwrap();
    fleet.core.worker_dead(id, "killed by signal 9 (SIGKILL)".into()).unwrap();
    fleet.event("buried");
    let _heir = fleet.worker(|_| Reply::Complete);
    let account = fleet.until("done by another", |account| account["completed"] == 1);
    assert_eq!(account["handed_back"], 1, "{account}");
    fleet.assert_clean();
}

#[test]
fn an_outcome_that_the_engine_rejects_fails_the_job_with_its_words() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 20_000)]);
    fleet.engine.set_settings(Settings { max_record_bytes: 24, ..Settings::default() });
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::RecordTooLarge).on([Target::Complete])]);
    fleet.engine.set_settings(Settings::default());
    fleet.add_jobs("work", 1);
    let account = fleet.until("an incident", |account| account["incidents"] == 1);
    assert_eq!(account["completed"], 0);
    let told = fleet.event("job_rejected");
    assert!(told["message"].as_str().unwrap().contains("EXCEEDED_BATCH_RECORD_SIZE"), "{told}");
}

#[test]
fn connections_that_the_engine_closes_cost_no_request() {
    for dialect in DIALECTS {
        let fleet = Fleet::new(dialect, &[("work", 20_000)]);
        let dialect = fleet_settings(dialect);
        fleet.engine.set_settings(Settings { max_requests_per_connection: Some(100), ..dialect });
        let _worker = fleet.worker(|_| Reply::Complete);
        fleet.add_jobs("work", 5_000);
        fleet.until("all done", |account| account["completed"] == 5_000 && ended(account));
        fleet.assert_clean();
    }
}

fn fleet_settings(dialect: Dialect) -> Settings {
    Settings { dialect, ..Settings::default() }
}

#[test]
fn outcome_connections_grow_with_the_engines_distance() {
    let fleet = Fleet::new(Dialect::V8_10, &[("work", 20_000)]);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![Fault::latency(25, 0)]);
    fleet.add_jobs("work", 20_000);
    fleet.until_status("many connections", |status| {
        status["engine"]["outcome_connections"].as_u64() >= Some(128)
    });
    fleet.until("all done", |account| account["completed"] == 20_000 && ended(account));
    fleet.assert_clean();
}

#[test]
fn an_engine_that_refuses_concurrency_is_asked_for_less() {
    let fleet = Fleet::new(Dialect::V8_10, &[("a", 20_000), ("b", 20_000), ("c", 20_000)]);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Backpressure).on([Target::Activate]).times(12)]);
    for name in ["a", "b", "c"] {
        fleet.add_jobs(name, 300);
    }
    let status = fleet.until_status("refused", |status| status["permits"]["refusals"].as_u64() >= Some(6));
    assert!(status["permits"]["cap"].is_u64(), "{status}");
    fleet.until("all done", |account| account["completed"] == 900);
    assert_eq!(fleet.status()["permits"]["in_use"].as_u64().map(|used| used <= 6), Some(true));
    fleet.assert_clean();
}

#[test]
fn a_refused_renewal_cancels_the_job_and_nothing_more_is_sent() {
    let fleet = Fleet::new(Dialect::V8_6, &[("work", 2_000)]);
    let gate = Arc::new(AtomicBool::new(true));
    let hold = Arc::clone(&gate);
    let worker = fleet.worker(move |_| {
        while hold.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Reply::Complete
    });
    fleet.add_jobs("work", 1);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    // The engine's clock leaps: the lease is over there, while here it is not even half over.
    fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetBefore).on([Target::Activate])]);
    fleet.engine.advance(std::time::Duration::from_secs(10));
    worker.until_cancelled();
    gate.store(false, Ordering::Release);
    let status = fleet.until_status("dropped", |status| status["types"][0]["lost"] == 1);
    assert_eq!(status["in_flight"], 0, "{status}");
    assert_eq!(fleet.account()["completed"], 0);
}

#[test]
fn a_drain_waits_for_held_polls_and_hands_back_what_they_bring() {
    let mut fleet = Fleet::with(Dialect::V8_6, &[("work", 30_000)], json!({"hold_ms": 2_000}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.until_status("a held poll", |status| status["held_polls"] == 1);
    fleet.core.stop_activation().unwrap();
    fleet.until_status("draining", |status| status["activating"] == false);
    fleet.add_jobs("work", 1);
    fleet.event("drained");
    let account = fleet.account();
    assert_eq!((&account["waiting"], &account["in_flight"]), (&1.into(), &0.into()), "{account}");
    fleet.assert_clean();
}

#[test]
fn an_upgrade_in_flight_goes_unnoticed() {
    let fleet = Fleet::new(Dialect::V8_6, &[("work", 20_000)]);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 2_000);
    fleet.until("under way", |account| account["completed"].as_u64() > Some(100));
    fleet.engine.set_dialect(Dialect::V8_10);
    fleet.add_jobs("work", 500);
    fleet.until("all done", |account| account["completed"] == 2_500 && ended(account));
    fleet.assert_clean();
}

#[test]
fn outcomes_of_every_kind_survive_resets_before_the_effect() {
    let fleet = Fleet::new(Dialect::V8_10, &[("caught", 20_000)]);
    let _worker = fleet.worker(|_| Reply::Error("CODE".into()));
    fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetBefore).on(OUTCOMES).probability(0.2)]);
    fleet.add_jobs("caught", 200);
    fleet.until("all thrown", |account| account["errors_thrown"] == 200 && ended(account));
    fleet.assert_clean();
}

#[test]
fn an_answer_that_never_comes_does_not_hold_up_the_outcomes_behind_it() {
    let settings = json!({"outcome_connections_max": 1, "answer_limit_ms": 600_000});
    let fleet = Fleet::with(Dialect::V8_6, &[("work", 20_000)], settings);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::HangBefore).on([Target::Complete]).times(1)]);
    fleet.add_jobs("work", 100);
    fleet.until("all others done", |account| account["completed"] == 99);
}
