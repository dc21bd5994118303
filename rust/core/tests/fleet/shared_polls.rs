//! Types whose held polls share a connection of HTTP/2.

use jobfleet_localengine::{Fault, FaultKind, Options, Target};
use serde_json::json;

use crate::rig::{Fleet, Reply, Worker};

/// Polls of two types, held on one connection; whoever polls for "stays" again is refused once.
fn holding() -> (Fleet, Worker) {
    let types = [("stays", 20_000), ("goes", 20_000)];
    let way = json!({"http2": "always"});
    let mut fleet = Fleet::over(Options::default(), &types, way, json!({"hold_ms": 300_000}));
    let worker = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.until_status("polls on one connection", |status| {
        status["engine"]["poll_streams"] == 2
            && status["engine"]["poll_connections"] == 1
            && status["engine"]["version"].is_string()
    });
    fleet.until_held(2);
    let again = Fault::new(FaultKind::Backpressure).on([Target::Activate]).job_type("stays").times(1);
    fleet.engine.set_faults(vec![again]);
    (fleet, worker)
}

/// The poll of the type that nobody serves is left to its end, what it brings goes back, and the other poll was not
/// touched.
fn assert_left_alone(fleet: &mut Fleet) {
    let opened = |fleet: &Fleet| fleet.status()["engine"]["connections_opened"].as_u64().unwrap();
    let before = opened(fleet);
    fleet.add_jobs("goes", 1);
    let account = fleet.until("it goes back", |account| account["handed_back"] == 1);
    assert_eq!((&account["waiting"], &account["undelivered"]), (&1.into(), &0.into()), "{account}");
    assert_eq!(fleet.status()["permits"]["refusals"], 0, "the other type was polled for again");
    fleet.add_jobs("stays", 10);
    fleet.until("done", |account| account["completed"] == 10);
    // One for outcomes; polls go on over the connection that they had.
    assert!(opened(fleet) <= before + 1, "{before} connections became {}", opened(fleet));
    fleet.assert_no_event(|event| event["state"] == "down");
    fleet.assert_clean();
}

#[test]
fn a_type_that_leaves_does_not_end_the_polls_of_another() {
    let (mut fleet, _worker) = holding();
    let stays = json!({"type": "stays", "lane": 0, "slots": 1, "lease_ms": 20_000});
    let next = fleet.standby(2, &[stays]);
    let _heir = fleet.worker_of(next, |_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.switch_pools(vec![next], vec![0]).unwrap();
    assert_left_alone(&mut fleet);
}

#[test]
fn a_pool_that_pauses_does_not_end_the_polls_of_another() {
    let (mut fleet, _worker) = holding();
    let goes = json!({"type": "goes", "lane": 0, "slots": 1, "lease_ms": 20_000});
    let other = fleet.standby(2, &[goes]);
    let _other = fleet.worker_of(other, |_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.switch_pools(vec![other], vec![]).unwrap();
    fleet.core.pause_pool(other, Some("the pool pauses".into())).unwrap();
    assert_left_alone(&mut fleet);
    fleet.core.pause_pool(other, None).unwrap();
    fleet.until("the one that went back too", |account| account["completed"] == 11);
}
