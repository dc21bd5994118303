//! Fleets that speak HTTP/2, and connections that end, over every protocol.

use jobfleet_localengine::{Dialect, Fault, FaultKind, NewJobs, Options, Settings, Target};
use serde_json::{Value, json};

use crate::pki::Authority;
use crate::rig::{Fleet, Reply};

fn ended(account: &Value) -> bool {
    account["waiting"] == 0 && account["in_flight"] == 0
}

/// A fleet over each protocol, HTTP/1.1 over cleartext left out.
fn every_protocol(settings: &Settings, more: &Value, test: impl Fn(&str, Fleet)) {
    let authority = Authority::new("authority");
    for (name, secure, http2) in [("h2c", false, "always"), ("h2", true, "auto"), ("https", true, "never")] {
        let tls = secure.then(|| authority.server("localhost").options(None));
        let options = Options { tls, settings: settings.clone(), ..Options::default() };
        let way = json!({"http2": http2, "tls": {"ca_pem": authority.pem()}});
        test(name, Fleet::over(options, &[("work", 20_000)], way, more.clone()));
    }
}

#[test]
fn streams_grow_with_the_engines_distance_on_few_connections() {
    let way = json!({"http2": "always"});
    let fleet = Fleet::over(Options::default(), &[("work", 20_000)], way, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.engine.set_faults(vec![Fault::latency(25, 0)]);
    fleet.add_jobs("work", 20_000);
    let status = fleet
        .until_status("many streams", |status| status["engine"]["outcome_streams"].as_u64() >= Some(128));
    assert!(status["engine"]["outcome_connections"].as_u64() <= Some(8), "{status}");
    fleet.until("all done", |account| account["completed"] == 20_000 && ended(account));
    fleet.assert_clean();
}

#[test]
fn a_near_engine_gets_enough_streams_for_both_sides_to_have_some() {
    let fleet = Fleet::over(Options::default(), &[("work", 20_000)], json!({"http2": "always"}), json!({}));
    let _workers = [(); 2].map(|()| fleet.worker(|_| Reply::Complete));
    fleet.engine.add_endless(NewJobs::new("work", 1));
    let limit = |status: &Value| status["permits"]["outcome_limit"].as_u64();
    fleet.until_status("enough streams", |status| limit(status) == Some(128));
}

#[test]
fn an_engine_that_allows_few_streams_is_not_asked_for_more() {
    let settings = Settings { max_streams: Some(3), ..Settings::default() };
    let options = Options { settings, ..Options::default() };
    let mut fleet = Fleet::over(options, &[("work", 20_000)], json!({"http2": "always"}), json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 2_000);
    fleet.until("all done", |account| account["completed"] == 2_000 && ended(account));
    let engine = &fleet.status()["engine"];
    let (streams, connections) = (engine["outcome_streams"].as_u64(), engine["outcome_connections"].as_u64());
    assert!(streams >= Some(8) && streams <= connections.map(|count| count * 3), "{engine}");
    fleet.assert_no_event(|event| event["state"] == "down");
    fleet.assert_clean();
}

#[test]
fn connections_that_close_after_some_requests_cost_no_request_and_no_retry() {
    let settings = Settings { max_requests_per_connection: Some(100), ..Settings::default() };
    every_protocol(&settings, &json!({}), |name, mut fleet| {
        let _worker = fleet.worker(|_| Reply::Complete);
        fleet.add_jobs("work", 2_000);
        let account = fleet.until("all done", |account| account["completed"] == 2_000 && ended(account));
        assert_eq!(account["undelivered"], 0, "{name}: {account}");
        fleet.assert_no_event(|event| event["state"] == "down");
        fleet.assert_clean();
    });
}

#[test]
fn connections_that_close_when_idle_cost_no_request_and_no_retry() {
    let settings = Settings { idle_close_ms: Some(30), ..Settings::default() };
    every_protocol(&settings, &json!({}), |name, mut fleet| {
        let _worker = fleet.worker(|_| Reply::Complete);
        for done in [10, 20, 30] {
            fleet.add_jobs("work", 10);
            fleet.until("all done", |account| account["completed"] == done && ended(account));
            fleet.until_status("idle connections are closed", |status| {
                // Those of HTTP/1.1 are noticed when they are used next.
                name == "https" || status["engine"]["outcome_connections"] == 0
            });
        }
        fleet.assert_no_event(|event| event["state"] == "down");
        fleet.assert_clean();
    });
}

#[test]
fn a_drain_does_not_wait_for_held_polls_that_the_engine_takes_back() {
    every_protocol(&Settings::default(), &json!({"hold_ms": 300_000}), |name, mut fleet| {
        let _worker = fleet.worker(|_| Reply::Complete);
        fleet.event("worker_ready");
        fleet.until_status("a held poll", |status| {
            status["held_polls"] == 1 && status["engine"]["version"].is_string()
        });
        fleet.until_held(1);
        fleet.core.stop_activation().unwrap();
        fleet.event("drained");
        let account = fleet.account();
        assert_eq!(account["undelivered"], 0, "{name}: {account}");
    });
}

#[test]
fn completions_survive_every_transient_answer() {
    let kinds = [
        FaultKind::Backpressure,
        FaultKind::BareUnavailable,
        FaultKind::ProxyNotFound,
        FaultKind::GatewayTimeout,
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
        FaultKind::Truncate,
    ];
    every_protocol(&Settings::default(), &json!({}), |name, fleet| {
        let faults = kinds.map(|kind| Fault::new(kind).on([Target::Complete]).probability(0.03));
        let _workers = [fleet.worker(|_| Reply::Complete), fleet.worker(|_| Reply::Complete)];
        fleet.engine.set_faults(faults.to_vec());
        fleet.add_jobs("work", 400);
        let account = fleet.until("all done", |account| account["completed"] == 400 && ended(account));
        assert_eq!(account["failed"], 0, "{name}: {account}");
        fleet.assert_clean();
    });
}

#[test]
fn a_failure_whose_answer_is_lost_hits_nobody_else() {
    let settings = Settings { http2: Some(true), ..Settings::default() };
    let options = Options { dialect: Dialect::V8_6, settings, ..Options::default() };
    let fleet = Fleet::over(options, &[("work", 20_000)], json!({"http2": "always"}), json!({}));
    let _worker = fleet.worker(|job| {
        let first = job.windows(12).any(|window| window == b"\"retries\":3,");
        if first { Reply::Fail("no".into()) } else { Reply::Complete }
    });
    fleet.engine.set_faults(vec![Fault::new(FaultKind::ResetAfter).on([Target::Fail]).times(5)]);
    fleet.add_jobs("work", 5);
    let account = fleet.until("completed", |account| account["completed"] == 5);
    assert_eq!(account["failed"], 5, "{account}");
    fleet.assert_clean();
}

#[test]
fn connections_of_a_certain_age_give_way_to_new_ones() {
    for http2 in ["never", "always"] {
        let way = json!({"http2": http2, "connection_max_age_ms": 1_000});
        let fleet = Fleet::over(Options::default(), &[("work", 20_000)], way, json!({}));
        let _worker = fleet.worker(|_| Reply::Complete);
        let opened = |status: &Value| status["engine"]["connections_opened"].as_u64().unwrap();
        fleet.add_jobs("work", 10);
        fleet.until("all done", |account| account["completed"] == 10);
        let before = opened(&fleet.status());
        fleet.until_status("newer connections", |status| {
            fleet.add_jobs("work", 1);
            opened(status) > before + 1
        });
    }
}
