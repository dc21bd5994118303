//! What other jobs meet at the engine costs no job its lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rig::{Fleet, Reply};
use jobfleet_localengine::{Dialect, Fault, FaultKind, NewJobs, Target};
use serde_json::json;

/// Handlers of these types run until their flags fall.
fn worker(fleet: &Fleet, flags: [(&'static [u8], &Arc<AtomicBool>); 2]) -> crate::rig::Worker {
    let flags = flags.map(|(name, flag)| (name, Arc::clone(flag)));
    fleet.worker(move |job| {
        let has = |name: &[u8]| job.windows(name.len()).any(|found| found == name);
        while flags.iter().any(|(name, flag)| has(name) && flag.load(Ordering::Acquire)) {
            std::thread::yield_now();
        }
        Reply::Complete
    })
}

fn flag() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(true))
}

/// A completion is refused for its credentials, and what comes after it is never answered; a lease has to be
/// renewed meanwhile.
fn refuse_then_hang(header: Option<&str>) {
    let types = [("long", 700), ("stuck", 60_000)];
    let fleet = Fleet::with(Dialect::V8_10, &types, json!({"authorization": "Bearer x"}));
    let (long, stuck) = (flag(), flag());
    let _workers = [(); 2].map(|()| worker(&fleet, [(b"\"long\"", &long), (b"\"stuck\"", &stuck)]));
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("long", 1)).unwrap();
    fleet.add_jobs("stuck", 1);
    fleet.until_status("both run", |status| (0..2).all(|index| status["types"][index]["running"] == 1));
    let fault = |kind| Fault::new(kind).on([Target::Complete]).job_type("stuck").times(1);
    fleet.engine.set_faults(vec![fault(FaultKind::Unauthorized), fault(FaultKind::HangBefore)]);
    if let Some(header) = header {
        fleet.core.set_authorization(Some(header.into())).unwrap();
    }
    stuck.store(false, Ordering::Release);
    fleet.until("both faults", |_| fleet.fired() == [1, 1]);
    let ends = || fleet.engine.job(key).unwrap()["until"].as_u64();
    let first = ends().unwrap();
    fleet.until("two leases later", |_| ends().is_some_and(|end| end >= first + 1_400));
    assert_eq!(fleet.engine.job(key).unwrap()["activations"], 1);
    long.store(false, Ordering::Release);
    fleet.until_job(key, &["completed"]);
    fleet.assert_clean();
}

#[test]
fn a_refusal_and_silence_after_it_hold_up_no_renewal() {
    refuse_then_hang(None);
}

#[test]
fn silence_after_the_refusal_of_a_new_header_holds_up_no_renewal() {
    refuse_then_hang(Some("Bearer y"));
}

#[test]
fn an_outcome_that_waits_behind_an_engine_without_answers_goes_out_within_its_lease() {
    // One connection for outcomes; the job that runs has the leases looked at often enough.
    let types = [("long", 900), ("stuck", 60_000), ("soon", 900)];
    let fleet = Fleet::with(Dialect::V8_10, &types, json!({"outcome_connections_max": 1}));
    let (long, free) = (flag(), flag());
    let _workers = [(); 2].map(|()| worker(&fleet, [(b"\"long\"", &long), (b"\"none\"", &free)]));
    fleet.add_jobs("long", 1);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    let hang = Fault::new(FaultKind::HangBefore).on([Target::Complete]).job_type("stuck");
    fleet.engine.set_faults(vec![hang.times(1)]);
    fleet.add_jobs("stuck", 1);
    fleet.until("no answer", |_| fleet.fired() == [1]);
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("soon", 1)).unwrap();
    assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1);
    assert_eq!(fleet.account()["expired"], 0);
    long.store(false, Ordering::Release);
    fleet.until("done", |account| account["completed"] == 2);
    fleet.assert_clean();
}

#[test]
fn a_hand_back_that_a_gateway_answers_is_sent_once_and_its_lease_is_not_the_fleets_fault() {
    let fleet = Fleet::new(Dialect::V8_6, &[("work", 400)]);
    let (busy, free) = (flag(), flag());
    let first = worker(&fleet, [(b"\"work\"", &busy), (b"\"none\"", &free)]);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::ProxyBadGateway).on([Target::Fail]).times(1)]);
    fleet.add_jobs("work", 1);
    fleet.until_status("running", |status| status["types"][0]["running"] == 1);
    let id = first.kill_at(&busy);
    fleet.core.worker_dead(id, "gone".into()).unwrap();
    fleet.until_status("handed back", |status| status["types"][0]["handed_back"] == 1);
    let _second = fleet.worker(|_| Reply::Complete);
    let account = fleet.until("done", |account| account["completed"] == 1);
    assert_eq!(account["undelivered"], 1, "{account}");
    fleet.assert_clean();
}
