//! Types whose held polls share a connection of HTTP/2.

use jobfleet_localengine::Options;
use serde_json::json;

use crate::rig::{Fleet, Reply};

#[test]
fn polls_that_end_with_those_of_a_type_that_nobody_serves_any_more_start_again() {
    let way = json!({"http2": "always"});
    let types = [("stays", 20_000), ("goes", 20_000)];
    let mut fleet = Fleet::over(Options::default(), &types, way, json!({"hold_ms": 300_000}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.until_status("polls on one connection", |status| {
        status["engine"]["poll_streams"] == 2 && status["engine"]["version"].is_string()
    });
    fleet.until_held(2);
    let stays = json!({"type": "stays", "lane": 0, "slots": 1, "lease_ms": 20_000});
    let next = fleet.standby(2, &[stays]);
    let _heir = fleet.worker_of(next, |_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.switch_pools(vec![next], vec![0]).unwrap();
    fleet.until_held(1);
    fleet.add_jobs("stays", 10);
    fleet.until("done", |account| account["completed"] == 10);
    fleet.assert_no_event(|event| event["state"] == "down");
    fleet.assert_clean();
}
