//! What activations ask for: variables, tenants, hold, bounds; and how they shrink when the engine wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::rig::{Fleet, Reply};
use jobfleet_localengine::{Dialect, Engine, Fault, FaultKind, NewJobs, Options, Settings, Target};
use serde_json::{Value, json};

fn work(more: Value) -> Vec<Value> {
    let mut kind = json!({"type": "work", "lane": 0, "slots": 1, "lease_ms": 20_000});
    kind.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    vec![kind]
}

fn multi_tenant(dialect: Dialect) -> Options {
    let settings = Settings { multi_tenancy: true, ..Settings::default() };
    Options { dialect, settings, ..Options::default() }
}

fn of_tenant(tenant: &str, count: u64) -> NewJobs {
    NewJobs { tenant: tenant.into(), ..NewJobs::new("work", count) }
}

#[test]
fn only_the_variables_that_are_asked_for_travel() {
    let fleet = Fleet::made(Options::default(), json!({}), work(json!({"fetch": ["a", "absent"]})));
    let seen = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&seen);
    let _worker = fleet.worker(move |job| {
        let job: Value = serde_json::from_slice(job).unwrap();
        flag.store(job["variables"] == json!({"a": 1}), Ordering::Release);
        Reply::Complete
    });
    let jobs = NewJobs::new("work", 1).variables(r#"{"a":1,"b":2}"#);
    let (key, _) = fleet.engine.add_jobs(jobs).unwrap();
    fleet.until_job(key, &["completed"]);
    assert!(seen.load(Ordering::Acquire), "the variables were not those that were asked for");
}

#[test]
fn jobs_of_the_listed_tenants_come_and_no_others() {
    for dialect in [Dialect::V8_6, Dialect::V8_10] {
        let fleet =
            Fleet::made(multi_tenant(dialect), json!({}), work(json!({"tenants": ["red", "<default>"]})));
        let _worker = fleet.worker(|_| Reply::Complete);
        for tenant in ["blue", "red", "<default>"] {
            fleet.engine.add_jobs(of_tenant(tenant, 5)).unwrap();
        }
        let account = fleet.until("ten are done", |account| account["completed"] == 10);
        assert_eq!(account["waiting"], 5, "{account}");
        fleet.assert_clean();
    }
}

#[test]
fn jobs_of_every_assigned_tenant_come_where_the_engine_knows_the_filter() {
    let types = work(json!({"tenant_filter": "assigned"}));
    let fleet = Fleet::made(multi_tenant(Dialect::V8_10), json!({}), types);
    let _worker = fleet.worker(|_| Reply::Complete);
    for tenant in ["blue", "red"] {
        fleet.engine.add_jobs(of_tenant(tenant, 5)).unwrap();
    }
    fleet.until("all are done", |account| account["completed"] == 10);
}

#[test]
fn polls_that_the_engine_refuses_are_told_once_in_its_words() {
    let mut fleet =
        Fleet::made(multi_tenant(Dialect::V8_8), json!({}), work(json!({"tenant_filter": "assigned"})));
    let _worker = fleet.worker(|_| Reply::Complete);
    let told = |status: &Value| {
        let words = status["types"][0]["poll_error"].as_str().unwrap_or_default().to_owned();
        words.contains("no tenant identifier was provided")
    };
    let status = fleet.until_status("told", told);
    assert_eq!(status["engine"]["state"], "up", "{status}");
    let event = fleet.event("polls");
    assert_eq!((&event["type"], &event["refused"]), (&"work".into(), &true.into()), "{event}");
    fleet.engine.set_settings(Settings { dialect: Dialect::V8_8, ..Settings::default() });
    let event = fleet.event("polls");
    assert_eq!(event["refused"], false, "{event}");
}

#[test]
fn a_type_holds_no_more_jobs_than_its_bound() {
    let fleet = Fleet::made(Options::default(), json!({}), work(json!({"max_jobs": 3})));
    let most = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&most);
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 300);
    fleet.until("all done", |account| {
        seen.fetch_max(account["in_flight"].as_u64().unwrap(), Ordering::AcqRel);
        account["completed"] == 300
    });
    assert!((1..=3).contains(&most.load(Ordering::Acquire)), "{most:?} at once");
    fleet.assert_clean();
}

#[test]
fn an_engine_holds_a_poll_for_as_long_as_its_type_says() {
    let fleet = Fleet::made(Options::default(), json!({"hold_ms": 600_000}), work(json!({"hold_ms": 50})));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.until_status("a held poll", |status| status["held_polls"] == 1);
    // Were it held for the fleet's ten minutes, no other poll would ever follow it.
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Backpressure).on([Target::Activate]).times(1)]);
    fleet.until_status("another poll", |status| status["types"][0]["refusals"] == 1);
}

#[test]
fn polls_of_an_engine_that_loses_abandoned_ones_fit_into_a_grace_period_that_was_shortened() {
    let options = Options { dialect: Dialect::V8_6, ..Options::default() };
    let fleet = Fleet::made(options, json!({"hold_ms": null, "grace_ms": 600_000}), work(json!({})));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.until_held(1);
    fleet.core.set_grace(150).unwrap();
    // With three seconds for each, so many polls would take longer than anybody waits here.
    let later = Fault::new(FaultKind::Backpressure).on([Target::Activate]).skip(20).times(1);
    fleet.engine.set_faults(vec![later]);
    fleet.until_status("many polls", |status| status["types"][0]["refusals"] == 1);
}

#[test]
fn an_answer_that_is_too_large_is_asked_for_in_smaller_parts() {
    let fleet = Fleet::made(Options::default(), json!({}), work(json!({})));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 500);
    fleet.until("warm", |account| account["completed"] == 500);
    let too_large = Fault::new(FaultKind::RecordTooLarge).on([Target::Activate]).times(3);
    fleet.engine.set_faults(vec![too_large]);
    fleet.add_jobs("work", 2_000);
    fleet.until_status("smaller", |status| status["types"][0]["most_per_answer"].is_u64());
    let account = fleet.until("all done", |account| account["completed"] == 2_500);
    assert_eq!(account["failed"], 0, "{account}");
    assert_eq!(fleet.status()["engine"]["state"], "up");
    fleet.assert_clean();
}

#[test]
fn an_engine_that_refuses_over_forty_at_once_is_kept_just_busy() {
    let engine = Engine::start(Options::default()).unwrap();
    engine.set_faults(vec![Fault::limit(40), Fault::latency(20, 0)]);
    let fleet = Fleet::on(engine, json!({}), work(json!({})));
    let _workers = [(); 2].map(|()| fleet.worker(|_| Reply::Complete));
    fleet.engine.add_endless(NewJobs::new("work", 1));
    let refused = |status: &Value| {
        let of = |name: &str| status["permits"][name].as_u64().unwrap();
        of("refusals") + of("outcome_refusals")
    };
    let done = |status: &Value| status["types"][0]["completed"].as_u64().unwrap();
    let before = fleet.until_status("settled in", |status| done(status) >= 5_000);
    assert!(refused(&before) > 0, "nothing was ever refused: {before}");
    let after = fleet.until_status("measured", |status| done(status) >= done(&before) + 3_000);
    let share = (refused(&after) - refused(&before)) as f64 / (done(&after) - done(&before)) as f64;
    assert!(share < 0.05, "{share}: {after}");
    let limit = after["permits"]["outcome_limit"].as_u64().unwrap();
    assert!((30..=45).contains(&limit), "{after}");
}

#[test]
fn outcomes_yield_in_place_of_polls_to_an_engine_that_refuses_both() {
    let engine = Engine::start(Options::default()).unwrap();
    let crowded = || vec![Fault::limit(40), Fault::latency(20, 0)];
    engine.set_faults(crowded());
    let fleet = Fleet::on(engine, json!({}), work(json!({})));
    let _workers = [(); 2].map(|()| fleet.worker(|_| Reply::Complete));
    fleet.engine.add_endless(NewJobs::new("work", 1));
    let number = |status: &Value, name: &str| status["permits"][name].as_u64();
    let before = fleet.until_status("outcomes are refused", |status| {
        number(status, "outcome_refusals") > Some(0) && number(status, "outcome_limit") > Some(30)
    });
    let polls = Fault::new(FaultKind::Backpressure).on([Target::Activate]).times(3);
    fleet.engine.set_faults([crowded(), vec![polls]].concat());
    let least = number(&before, "refusals").unwrap() + 3;
    let after = fleet.until_status("polls too", |status| number(status, "refusals") >= Some(least));
    let cap = |status: &Value| number(status, "cap").unwrap_or(u64::MAX);
    assert!(cap(&after) >= cap(&before), "{before} {after}");
    assert!(number(&after, "outcome_limit") < number(&before, "outcome_limit"), "{before} {after}");
}

#[test]
fn a_held_poll_holds_no_permit() {
    let fleet = Fleet::made(Options::default(), json!({"hold_ms": 60_000}), work(json!({})));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.until_status("parked", |status| status["held_polls"] == 1 && status["permits"]["in_use"] == 0);
}

#[test]
fn the_first_polls_of_many_types_are_spread_over_the_jitter() {
    let types: Vec<Value> = (0..40)
        .map(|number| json!({"type": format!("t{number}"), "lane": 0, "slots": 1, "lease_ms": 20_000}))
        .collect();
    let fleet = Fleet::made(Options::default(), json!({"poll_jitter_ms": 4_000, "hold_ms": 60_000}), types);
    let _worker = fleet.worker(|_| Reply::Complete);
    let held = |status: &Value| status["held_polls"].as_u64().unwrap();
    let first = fleet.until_status("the first", |status| held(status) >= 1);
    assert!(held(&first) < 20, "{} polls at once", held(&first));
    fleet.until_status("all", |status| held(status) == 40);
}

#[test]
fn the_legacy_profile_counts_refusals_and_yields_to_none() {
    for (profile, yields) in [("balanced", true), ("legacy", false)] {
        let fleet = Fleet::made(Options::default(), json!({"backpressure": profile}), work(json!({})));
        let _worker = fleet.worker(|_| Reply::Complete);
        let refuse = Fault::new(FaultKind::Backpressure);
        fleet.engine.set_faults(vec![
            refuse.clone().on([Target::Complete]).probability(0.3),
            refuse.on([Target::Activate]).probability(0.3),
        ]);
        fleet.add_jobs("work", 400);
        fleet.until("all done", |account| account["completed"] == 400);
        let status =
            fleet.until_status("refused", |status| status["permits"]["refusals"].as_u64() >= Some(1));
        let permits = &status["permits"];
        assert!(permits["outcome_refusals"].as_u64() > Some(20), "{permits}");
        assert_eq!(
            (permits["cap"].is_u64(), permits["outcome_limit"].as_u64() < Some(8)),
            (yields, yields),
            "{permits}"
        );
        fleet.assert_clean();
    }
}
