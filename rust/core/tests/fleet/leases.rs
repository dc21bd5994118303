//! Leases: renewed at half while the handler runs, respected when they are over, never sent to a stranger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::rig::{Fleet, Reply, Worker, plain};
use jobfleet_localengine::{Dialect, Fault, FaultKind, NewJobs, Options, Settings, Target};
use serde_json::Value;

const DIALECTS: [Dialect; 2] = [Dialect::V8_6, Dialect::V8_10];
const COMMANDS: [Target; 4] = [Target::Complete, Target::Fail, Target::Error, Target::Update];

/// A worker whose handlers wait for the gate, then end as `reply`; and how often one was entered.
fn gated(fleet: &Fleet, reply: Reply) -> (Worker, Arc<AtomicBool>, Arc<AtomicU64>) {
    let (gate, entered) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let (hold, count) = (Arc::clone(&gate), Arc::clone(&entered));
    let worker = fleet.worker(move |_| {
        count.fetch_add(1, Ordering::AcqRel);
        while hold.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        reply.clone()
    });
    (worker, gate, entered)
}

fn counter(status: &Value, name: &str) -> u64 {
    status["types"][0][name].as_u64().unwrap()
}

#[test]
fn the_completion_of_finished_work_goes_out_late_and_once() {
    let fleet = Fleet::new(Dialect::V8_6, &[("work", 1_000)]);
    let (_worker, gate, entered) = gated(&fleet, Reply::Complete);
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
    fleet.until("started", |_| entered.load(Ordering::Acquire) == 1);
    // Renewals and polls get nowhere until the lease is over, and nobody else takes the job.
    fleet
        .engine
        .set_faults(vec![Fault::new(FaultKind::GatewayTimeout).on([Target::Activate, Target::Update])]);
    fleet.until_job(key, &["waiting"]);
    gate.store(false, Ordering::Release);
    let job = fleet.until_job(key, &["completed"]);
    assert_eq!((&job["activations"], job["state"].as_str()), (&1.into(), Some("completed")));
    fleet.until_status("counted", |status| counter(status, "completed") == 1);
}

#[test]
fn a_completion_that_was_pushed_back_until_the_lease_was_over_goes_out_after_it() {
    let fleet = Fleet::new(Dialect::V8_6, &[("work", 1_000)]);
    let (_worker, gate, entered) = gated(&fleet, Reply::Complete);
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
    fleet.until("started", |_| entered.load(Ordering::Acquire) == 1);
    let outage = || Fault::new(FaultKind::GatewayTimeout).on([Target::Activate, Target::Update]);
    fleet.engine.set_faults(vec![outage(), Fault::new(FaultKind::Unavailable).on([Target::Complete])]);
    gate.store(false, Ordering::Release);
    fleet.until_job(key, &["waiting"]);
    fleet.engine.set_faults(vec![outage()]);
    assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1);
    fleet.until_status("counted", |status| counter(status, "completed") == 1);
}

#[test]
fn finished_work_is_not_told_of_late_once_the_fleet_has_the_job_again() {
    let fleet = Fleet::new(Dialect::V8_6, &[("work", 1_000)]);
    let (_first, first_gate, first_entered) = gated(&fleet, Reply::Complete);
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
    fleet.until("started", |_| first_entered.load(Ordering::Acquire) == 1);
    let (_second, second_gate, second_entered) = gated(&fleet, Reply::Complete);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::GatewayTimeout).on([Target::Update])]);
    fleet.until("started again", |_| second_entered.load(Ordering::Acquire) == 1);
    fleet.engine.set_faults(vec![]);
    first_gate.store(false, Ordering::Release);
    fleet.until_status("left", |status| counter(status, "expired") == 1);
    second_gate.store(false, Ordering::Release);
    assert_eq!(fleet.until_job(key, &["completed"])["activations"], 2);
    fleet.until_status("counted", |status| counter(status, "completed") == 1);
    let account = fleet.account();
    assert_eq!((&account["foreign"], &account["settled_twice"]), (&0.into(), &0.into()), "{account}");
}

#[test]
fn a_failure_or_an_error_after_the_leases_end_is_not_sent() {
    for dialect in DIALECTS {
        for reply in [Reply::Fail("no".into()), Reply::Error("CODE".into())] {
            let fleet = Fleet::new(dialect, &[("work", 1_000)]);
            let (_worker, gate, entered) = gated(&fleet, reply);
            let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
            fleet.until("started", |_| entered.load(Ordering::Acquire) == 1);
            fleet.engine.set_faults(vec![
                Fault::new(FaultKind::GatewayTimeout).on([Target::Activate, Target::Update]),
            ]);
            fleet.until_job(key, &["waiting"]);
            gate.store(false, Ordering::Release);
            fleet.until_status("dropped", |status| {
                counter(status, "expired") == 1 && status["in_flight"] == 0
            });
            let account = fleet.account();
            assert_eq!((&account["failed"], &account["errors_thrown"]), (&0.into(), &0.into()), "{account}");
            assert_eq!(fleet.engine.job(key).unwrap()["retries"], 3);
        }
    }
}

#[test]
fn jobs_that_cannot_start_before_half_their_lease_go_back_unstarted() {
    for dialect in DIALECTS {
        let fleet = Fleet::new(dialect, &[("work", 2_000)]);
        let (_worker, gate, entered) = gated(&fleet, Reply::Complete);
        gate.store(false, Ordering::Release);
        fleet.add_jobs("work", 100);
        fleet.until("known as short", |account| account["completed"] == 100);
        gate.store(true, Ordering::Release);
        fleet.add_jobs("work", 8);
        fleet.until("the others went back", |account| account["handed_back"] == 7);
        assert_eq!(entered.load(Ordering::Acquire), 101, "a job was started beside the one that runs");
        gate.store(false, Ordering::Release);
        let account = fleet.until("all done", |account| account["completed"] == 108);
        assert_eq!(account["incidents"], 0, "{account}");
        fleet.assert_clean();
    }
}

#[test]
fn a_renewal_refused_for_a_moment_is_tried_again() {
    for dialect in DIALECTS {
        let fleet = Fleet::new(dialect, &[("work", 2_000)]);
        let (worker, gate, _) = gated(&fleet, Reply::Complete);
        let faults = [FaultKind::Unavailable, FaultKind::ProxyNotFound, FaultKind::ProxyBadGateway]
            .map(|kind| Fault::new(kind).on([Target::Update]).times(1));
        fleet.engine.set_faults(faults.to_vec());
        let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
        let until = |job: Value| job["until"].as_u64().unwrap();
        let first = until(fleet.until_job(key, &["activated"]));
        fleet.until("renewed", |_| until(fleet.engine.job(key).unwrap()) >= first + 200);
        assert!(!worker.was_cancelled());
        gate.store(false, Ordering::Release);
        assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1);
        fleet.assert_clean();
    }
}

#[test]
fn a_renewal_without_an_answer_is_repeated_while_the_lease_lasts() {
    for kind in [FaultKind::HangBefore, FaultKind::HangAfter] {
        let fleet = Fleet::new(Dialect::V8_6, &[("work", 2_000)]);
        let (_worker, gate, entered) = gated(&fleet, Reply::Complete);
        fleet.engine.set_faults(vec![Fault::new(kind).on([Target::Update]).times(1)]);
        let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
        let first = fleet.until_job(key, &["activated"])["until"].as_u64().unwrap();
        let ends = || fleet.engine.job(key).unwrap()["until"].as_u64();
        fleet.until("renewed twice", |_| ends().is_some_and(|end| end >= first + 2_500));
        gate.store(false, Ordering::Release);
        assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1);
        assert_eq!(entered.load(Ordering::Acquire), 1);
        fleet.assert_clean();
    }
}

#[test]
fn renewals_go_out_although_an_engine_that_refuses_polls_leaves_no_permit() {
    let fleet = Fleet::new(Dialect::V8_6, &[("work", 2_000), ("a", 2_000), ("b", 2_000)]);
    let (_worker, gate, _) = gated(&fleet, Reply::Complete);
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
    fleet.until_status("running", |status| counter(status, "running") == 1);
    fleet.engine.set_faults(vec![Fault::new(FaultKind::Backpressure).on([Target::Activate])]);
    fleet.until_status("at the floor", |status| status["permits"]["cap"] == 1);
    let floor = fleet.engine.job(key).unwrap()["until"].as_u64().unwrap();
    let ends = || fleet.engine.job(key).unwrap()["until"].as_u64();
    fleet.until("renewed again and again", |_| ends().is_some_and(|end| end >= floor + 4_000));
    assert_eq!(fleet.engine.job(key).unwrap()["activations"], 1);
    fleet.engine.set_faults(Vec::new());
    gate.store(false, Ordering::Release);
    fleet.until_job(key, &["completed"]);
    fleet.assert_clean();
}

#[test]
fn the_outcome_of_a_job_that_somebody_else_completed_is_dropped_in_silence() {
    let fleet = Fleet::new(Dialect::V8_6, &[("work", 60_000)]);
    let (_worker, gate, _) = gated(&fleet, Reply::Fail("no".into()));
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
    fleet.until_status("running", |status| counter(status, "running") == 1);
    fleet.post(&format!("/v2/jobs/{key}/completion"));
    gate.store(false, Ordering::Release);
    fleet.until_status("lost", |status| counter(status, "lost") == 1 && status["in_flight"] == 0);
    assert_eq!(fleet.account()["failed"], 0);
}

#[test]
fn the_leases_of_many_running_jobs_are_all_renewed() {
    let fleet = Fleet::new(Dialect::V8_10, &[("work", 2_000)]);
    let workers: Vec<_> = (0..12).map(|_| gated(&fleet, Reply::Complete)).collect();
    let (first, last) = fleet.engine.add_jobs(NewJobs::new("work", 12)).unwrap();
    fleet.until_status("all run", |status| counter(status, "running") == 12);
    let ends = || (first..=last).map(|key| fleet.engine.job(key).unwrap()["until"].as_u64().unwrap());
    let before = ends().max().unwrap();
    fleet.until("renewed twice", |_| ends().all(|end| end > before + 1_500));
    workers.iter().for_each(|(_, gate, _)| gate.store(false, Ordering::Release));
    fleet.until("all done", |account| account["completed"] == 12);
    assert!(workers.iter().all(|(worker, ..)| !worker.was_cancelled()));
    fleet.assert_clean();
}

#[test]
fn an_engine_whose_clock_is_an_hour_off_has_its_leases_kept() {
    const HOUR_MS: i64 = 3_600_000;
    for (dialect, first, then) in [
        (Dialect::V8_6, HOUR_MS, -HOUR_MS),
        (Dialect::V8_10, -HOUR_MS, HOUR_MS),
        (Dialect::V8_10, 0, HOUR_MS),
    ] {
        let off = |clock_offset_ms| Settings { dialect, clock_offset_ms, ..Settings::default() };
        let options = Options { dialect, settings: off(first), ..Options::default() };
        let fleet = Fleet::made(options, serde_json::json!({}), plain(&[("work", 1_500)]));
        // What is learnt of the clock first, and again once it was set, holds for jobs of both kinds.
        for (batch, offset) in [first, then].into_iter().enumerate() {
            fleet.engine.set_settings(off(offset));
            let (worker, gate, _) = gated(&fleet, Reply::Complete);
            let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
            let until = |job: Value| job["until"].as_u64().unwrap();
            let taken = until(fleet.until_job(key, &["activated"]));
            fleet.until("renewed twice", |_| until(fleet.engine.job(key).unwrap()) > taken + 1_200);
            assert!(!worker.was_cancelled(), "{offset}");
            gate.store(false, Ordering::Release);
            assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1, "{offset}");
            fleet.add_jobs("work", 100);
            let all = (batch as u64 + 1) * 101;
            let account = fleet.until("short ones too", |account| account["completed"] == all);
            assert_eq!((&account["handed_back"], &account["failed"]), (&0.into(), &0.into()), "{account}");
            let id = worker.kill();
            fleet.core.worker_dead(id, "gone".into()).unwrap();
        }
        fleet.assert_clean();
        assert_eq!(fleet.status()["types"][0]["expired"], 0);
    }
}

#[test]
fn a_silent_engine_costs_no_job_when_it_answers_again() {
    let fleet = Fleet::with(
        Dialect::V8_10,
        &[("work", 20_000)],
        serde_json::json!({"answer_limit_ms": 1_000, "hold_ms": 50}),
    );
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.add_jobs("work", 20);
    let hang = |kind| Fault::new(kind).on(COMMANDS).times(3);
    let poll = Fault::new(FaultKind::HangBefore).on([Target::Activate]).times(2);
    fleet.engine.set_faults(vec![hang(FaultKind::HangBefore), hang(FaultKind::HangAfter), poll]);
    let account = fleet.until("all done", |account| account["completed"] == 20);
    assert_eq!(account["failed"], 0, "{account}");
    fleet.until_status("up", |status| status["engine"]["state"] == "up" && status["in_flight"] == 0);
    assert_eq!(fleet.status()["types"][0]["completed"], 20);
    fleet.assert_clean();
}
