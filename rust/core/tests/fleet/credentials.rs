//! Credentials that the engine refuses cost time, never a job; another header is used as soon as it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rig::{Fleet, Reply};
use jobfleet_localengine::{Dialect, Fault, FaultKind, Settings, Target};
use serde_json::{Value, json};

fn accept(fleet: &Fleet, header: &str) {
    let require_authorization = vec![header.to_owned()];
    fleet.engine.set_settings(Settings { require_authorization, ..Settings::default() });
}

fn ended(account: &Value) -> bool {
    account["waiting"] == 0 && account["in_flight"] == 0
}

/// A worker that runs nothing to its end before the flag falls.
fn gated(fleet: &Fleet) -> (crate::rig::Worker, Arc<AtomicBool>) {
    let closed = Arc::new(AtomicBool::new(true));
    let hold = Arc::clone(&closed);
    let worker = fleet.worker(move |_| {
        while hold.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Reply::Complete
    });
    (worker, closed)
}

#[test]
fn outcomes_wait_for_another_header_and_all_go_out_with_it() {
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 20_000)], json!({"authorization": "Bearer old"}));
    accept(&fleet, "Bearer old");
    let (_worker, closed) = gated(&fleet);
    fleet.add_jobs("work", 200);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    accept(&fleet, "Bearer new");
    closed.store(false, Ordering::Release);
    let told = fleet.event("unauthorized");
    assert_eq!(told["header"], 0, "{told}");
    assert!(told["message"].as_str().unwrap().contains("401"), "{told}");
    assert_eq!(fleet.account()["completed"], 0);
    fleet.core.set_authorization(Some("Bearer new".into())).unwrap();
    let account = fleet.until("all done", |account| account["completed"] == 200 && ended(account));
    assert_eq!(account["failed"], 0, "{account}");
    fleet.assert_clean();
}

#[test]
fn an_outcome_that_is_refused_is_told_of_and_waits() {
    // No poll comes back within the patience of the test, so that only the outcome meets the new rule.
    let more = json!({"authorization": "Bearer old", "hold_ms": 60_000});
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 120_000)], more);
    let (_worker, closed) = gated(&fleet);
    fleet.add_jobs("work", 1);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    fleet.until_status("nothing more asked", |status| {
        status["held_polls"] == 1 || status["types"][0]["activated"] == 1
    });
    accept(&fleet, "Bearer new");
    closed.store(false, Ordering::Release);
    assert_eq!(fleet.event("unauthorized")["header"], 0);
    fleet.core.set_authorization(Some("Bearer new".into())).unwrap();
    fleet.until("done", |account| account["completed"] == 1);
}

#[test]
fn a_header_that_is_accepted_again_needs_no_other() {
    let mut fleet = Fleet::with(Dialect::V8_6, &[("work", 20_000)], json!({"authorization": "Bearer x"}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![
        Fault::new(FaultKind::Unauthorized).on([Target::Complete]).times(3),
        Fault::new(FaultKind::Unauthorized).on([Target::Activate]).times(12),
    ]);
    fleet.add_jobs("work", 50);
    fleet.event("unauthorized");
    fleet.until("all done", |account| account["completed"] == 50 && ended(account));
    fleet.until_status("up", |status| status["engine"]["state"] == "up");
    fleet.assert_clean();
}

#[test]
fn refusals_now_and_then_of_a_header_that_is_accepted_hold_up_nothing_else() {
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 20_000)], json!({"authorization": "Bearer x"}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 1);
    fleet.until("accepted", |account| account["completed"] == 1);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Unauthorized).on([Target::Complete]).times(6)]);
    fleet.add_jobs("work", 100);
    fleet.until("all done", |account| account["completed"] == 101 && ended(account));
    assert!(!fleet.has_told("unauthorized"));
    fleet.assert_clean();
}

#[test]
fn a_request_that_alone_is_refused_is_told_of() {
    let mut fleet =
        Fleet::with(Dialect::V8_10, &[("work", 20_000), ("other", 20_000)], json!({"hold_ms": 20}));
    fleet
        .engine
        .set_faults(vec![Fault::new(FaultKind::Unauthorized).on([Target::Complete]).job_type("work")]);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 1);
    // The polls are accepted all the while.
    while fleet.event("engine")["state"] != "down" {}
    fleet.engine.set_faults(Vec::new());
    fleet.until("done", |account| account["completed"] == 1);
    fleet.assert_clean();
}

#[test]
fn refusals_of_many_requests_are_told_as_one() {
    let mut fleet = Fleet::with(
        Dialect::V8_10,
        &[("a", 20_000), ("b", 20_000), ("c", 20_000)],
        json!({"hold_ms": 10_000}),
    );
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.until_status("held polls", |status| status["held_polls"] == 3);
    accept(&fleet, "Bearer good");
    for name in ["a", "b", "c"] {
        fleet.add_jobs(name, 100);
    }
    fleet.event("unauthorized");
    fleet.core.set_authorization(Some("Bearer bad".into())).unwrap();
    // Each header and each pause is told of once, however many requests were refused.
    let mut told_before = 1;
    while fleet.event("unauthorized")["header"] != 1 {
        told_before += 1;
    }
    assert!(told_before < 10, "told {told_before} times of one header");
    fleet.core.set_authorization(Some("Bearer good".into())).unwrap();
    fleet.until("all done", |account| account["completed"] == 300 && ended(account));
    fleet.assert_clean();
}

#[test]
fn nothing_is_asked_before_the_promised_header_is_there() {
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 20_000)], json!({"await_authorization": true}));
    accept(&fleet, "Bearer first");
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 20);
    fleet.event("worker_ready");
    assert_eq!(fleet.status()["engine"]["state"], "unknown");
    fleet.core.set_authorization(Some("Bearer first".into())).unwrap();
    fleet.until("all done", |account| account["completed"] == 20 && ended(account));
    assert!(!fleet.has_told("unauthorized"), "a request went out without the header");
}

#[test]
fn a_fleet_that_waits_for_its_header_can_drain() {
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 20_000)], json!({"await_authorization": true}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.stop_activation().unwrap();
    fleet.event("drained");
}

#[test]
fn a_command_that_is_forbidden_holds_up_nothing_else() {
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 20_000)], json!({"authorization": "Bearer x"}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Forbidden).on([Target::Complete]).times(5)]);
    fleet.add_jobs("work", 100);
    fleet.until("all done", |account| account["completed"] == 100 && ended(account));
    assert!(!fleet.has_told("unauthorized"));
    fleet.assert_clean();
}

#[test]
fn credentials_that_may_not_read_the_topology_are_no_outage() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 20_000)]);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Forbidden).on([Target::Topology])]);
    let _worker = fleet.worker(|_| Reply::Complete);
    for batch in 1..=20 {
        fleet.add_jobs("work", 20);
        fleet.until("all done", |account| account["completed"] == batch * 20 && ended(account));
    }
    assert_eq!(fleet.status()["engine"]["state"], "up");
    let told = fleet.count_told("engine");
    assert!(told <= 3, "the engine goes up and down: told {told} times");
}

#[test]
fn words_of_the_engine_that_repeat_the_credentials_are_masked() {
    // The engine says this word by itself, as one that repeats what it was sent would.
    let secret = "EXCEEDED_BATCH_RECORD_SIZE";
    let authorization = format!("Bearer {secret}");
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 20_000)], json!({"authorization": authorization}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::RecordTooLarge).on([Target::Complete])]);
    fleet.add_jobs("work", 1);
    let told = fleet.event("job_rejected").to_string();
    assert!(!told.contains(secret) && told.contains("********"), "{told}");
    fleet.until("an incident", |account| account["incidents"] == 1);
}

#[test]
fn nothing_goes_out_with_a_header_that_was_refused_but_one_try_after_each_pause() {
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 20_000)], json!({"authorization": "Bearer x"}));
    let (_worker, closed) = gated(&fleet);
    fleet.add_jobs("work", 1);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    let refuse = Fault::new(FaultKind::Unauthorized);
    fleet.engine.set_faults(vec![refuse.clone().on([Target::Complete]), refuse.on([Target::Activate])]);
    closed.store(false, Ordering::Release);
    fleet.add_jobs("work", 20);
    // The pauses double: the third is told of when half a second has passed.
    for _ in 0..3 {
        assert_eq!(fleet.event("unauthorized")["header"], 0);
    }
    assert_few_are_refused(&fleet);
    fleet.engine.set_faults(Vec::new());
    fleet.core.set_authorization(Some("Bearer y".into())).unwrap();
    fleet.until("all done", |account| account["completed"] == 21 && ended(account));
    fleet.assert_clean();
}

/// While so many requests come and go, few are tried.
fn assert_few_are_refused(fleet: &Fleet) {
    let mut refused = 0;
    for _ in 0..300 {
        refused = fleet.fired().iter().sum();
    }
    assert!((1..=40).contains(&refused), "{refused} requests were refused");
}

#[test]
fn polls_that_are_refused_are_told_of_and_wait() {
    let mut fleet = Fleet::with(Dialect::V8_10, &[("work", 20_000)], json!({"authorization": "Bearer x"}));
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Unauthorized).on([Target::Activate])]);
    let _worker = fleet.worker(|_| Reply::Complete);
    assert_eq!(fleet.event("unauthorized")["header"], 0);
    assert_few_are_refused(&fleet);
    fleet.engine.set_faults(Vec::new());
    fleet.core.set_authorization(Some("Bearer y".into())).unwrap();
    fleet.add_jobs("work", 20);
    fleet.until("all done", |account| account["completed"] == 20 && ended(account));
    fleet.assert_clean();
}

#[test]
fn a_header_that_the_very_first_request_shows_to_be_refused_is_told_of() {
    let mut fleet = Fleet::over(
        jobfleet_localengine::Options::default(),
        &[],
        json!({}),
        json!({"await_authorization": true}),
    );
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Unauthorized).on([Target::Topology])]);
    fleet.core.set_authorization(Some("Bearer x".into())).unwrap();
    let told = fleet.event("unauthorized");
    assert_eq!(told["header"], 1, "{told}");
}

#[test]
fn a_completion_that_was_refused_counts_as_never_sent() {
    let mut fleet = Fleet::with(Dialect::V8_6, &[("work", 1_000)], json!({"authorization": "Bearer old"}));
    accept(&fleet, "Bearer old");
    let (_worker, closed) = gated(&fleet);
    let (key, _) = fleet.engine.add_jobs(jobfleet_localengine::NewJobs::new("work", 1)).unwrap();
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    let settings = Settings {
        dialect: Dialect::V8_6,
        require_authorization: vec!["Bearer new".to_owned()],
        ..Settings::default()
    };
    fleet.engine.set_settings(settings);
    closed.store(false, Ordering::Release);
    fleet.event("unauthorized");
    // Its lease ends meanwhile; nobody else takes it, as nobody may poll.
    fleet.until_job(key, &["waiting"]);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::GatewayTimeout).on([Target::Activate])]);
    fleet.core.set_authorization(Some("Bearer new".into())).unwrap();
    assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1);
    fleet.until_status("counted", |status| status["types"][0]["completed"] == 1);
}
