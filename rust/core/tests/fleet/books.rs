//! The slot audit: books that somebody has spoilt are mended within seconds, and no job is lost by it.

use std::sync::{Arc, Condvar, Mutex};

use crate::rig::{Fleet, Reply};
use jobfleet_localengine::Dialect;

#[test]
fn spoilt_books_are_counted_and_mended_and_every_job_ends() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let held = Arc::clone(&gate);
    let worker = fleet.worker(move |_| {
        let (shut, changed) = &*held;
        drop(changed.wait_while(shut.lock().unwrap(), |shut| *shut).unwrap());
        Reply::Complete
    });
    fleet.event("worker_ready");
    fleet.add_jobs("work", 20);
    fleet.until("running", |account| account["in_flight"] == 1);
    fleet.until_status("one runs", |status| status["workers"][0]["busy"] == 1);
    for (how, told) in [
        ("permit", "permits are out"),
        ("count", "counted as given out"),
        ("sum", "the sums of lane 0 of worker 1 are wrong"),
        ("lane", "is given to a worker that does not have it"),
    ] {
        fleet.core.break_books(how.to_owned()).unwrap();
        let what = fleet.event("disagreement")["what"].to_string();
        assert!(what.contains(told), "{how}: {what}");
    }
    *gate.0.lock().unwrap() = false;
    gate.1.notify_all();
    fleet.until("all done", |account| account["completed"] == 20 && account["in_flight"] == 0);
    let audit = fleet.status()["slot_audit"].clone();
    assert_eq!(audit["disagreements"], 4);
    assert_eq!(audit["mended"], 4);
    let checks = audit["checks"].as_u64();
    let status =
        fleet.until_status("checked again", |status| status["slot_audit"]["checks"].as_u64() > checks);
    assert_eq!(status["slot_audit"]["disagreements"], 4);
    fleet.assert_clean();
    drop(worker);
}
