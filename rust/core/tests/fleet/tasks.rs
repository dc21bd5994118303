//! Tasks of the core that panic or hang are told of, counted and replaced, and nothing that they held is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jobfleet_core::engine::{Activation, Answer, Ask, Camunda, Capabilities, Command, Request};
use jobfleet_core::engine::{Engine as Protocol, Refusal, Verdict};
use jobfleet_core::job::Job;
use jobfleet_core::{Core, Tamper};
use jobfleet_localengine::{Engine, NewJobs, Options};
use serde_json::{Value, json};

use crate::rig::{Fleet, Reply, plain, settings};

/// The step at which the protocol panics, once.
type Flaw = Arc<Mutex<Option<&'static str>>>;

/// A protocol with a defect.
struct Flawed {
    inner: Camunda,
    flaw: Flaw,
}

impl Flawed {
    fn reach(&self, step: &'static str) {
        let flaw = self.flaw.lock().unwrap().take_if(|flaw| *flaw == step);
        assert!(flaw.is_none(), "a defect in {step}");
    }
}

impl Protocol for Flawed {
    fn capabilities(&self) -> Capabilities {
        self.reach("capabilities");
        self.inner.capabilities()
    }

    fn version(&self) -> Option<String> {
        self.inner.version()
    }

    fn probe(&self) -> Request {
        self.inner.probe()
    }

    fn learn(&mut self, answer: &Answer) -> Result<(), String> {
        self.reach("learn");
        self.inner.learn(answer)
    }

    fn activation(&self, ask: &Ask<'_>) -> Request {
        self.reach("activation");
        self.inner.activation(ask)
    }

    fn read_activation(&self, answer: &Answer) -> Result<Activation, Refusal> {
        self.reach("read_activation");
        self.inner.read_activation(answer)
    }

    fn command(&self, job: &Job, command: &Command, with_token: bool) -> Request {
        self.reach("command");
        self.inner.command(job, command, with_token)
    }

    fn judge(&self, command: &Command, answer: &Answer) -> Verdict {
        self.reach("judge");
        self.inner.judge(command, answer)
    }
}

fn flawed(first: Option<&'static str>, lease_ms: u64, more: Value) -> (Fleet, Flaw) {
    let engine = Engine::start(Options::default()).unwrap();
    let flaw: Flaw = Arc::new(Mutex::new(first));
    let way = json!({"url": format!("http://{}", engine.addr())});
    let inner = Arc::clone(&flaw);
    let make = move || Box::new(Flawed { inner: Camunda::new(true), flaw: inner }) as Box<dyn Protocol>;
    let core = Core::with_engine(settings(way, more).to_string().as_bytes(), Box::new(make)).unwrap();
    (Fleet::around(engine, core, plain(&[("work", lease_ms)])), flaw)
}

/// The failed task was told of once, in these words, and the books agree afterwards.
fn assert_told_once(fleet: &mut Fleet, task: &str, words: &str) {
    let told = fleet.event("task_failed");
    assert_eq!(told["task"], task, "{told}");
    assert!(told["message"].as_str().unwrap().contains(words), "{told}");
    let checks = fleet.status()["slot_audit"]["checks"].as_u64();
    let status = fleet.until_status("audited", |status| status["slot_audit"]["checks"].as_u64() > checks);
    assert_eq!((&status["task_failures"], &status["slot_audit"]["disagreements"]), (&1.into(), &0.into()));
    fleet.assert_no_event(|event| event["event"] == "task_failed");
}

/// Jobs flow, and what polls hold is what one poll holds.
fn assert_polls(fleet: &Fleet) {
    fleet.add_jobs("work", 50);
    fleet.until("all done", |account| account["completed"] == 50);
    fleet.until_status("one poll", |status| {
        let permits = status["permits"]["in_use"].as_u64();
        status["held_polls"] == 1 && permits <= Some(1) && status["in_flight"] == 0
    });
    fleet.assert_clean();
}

#[test]
fn a_poller_that_panics_is_replaced_and_takes_nothing_with_it() {
    for step in ["activation", "read_activation"] {
        let (mut fleet, flaw) = flawed(None, 20_000, json!({"hold_ms": 100}));
        let _worker = fleet.worker(|_| Reply::Complete);
        fleet.until_status("polls", |status| status["held_polls"] == 1);
        *flaw.lock().unwrap() = Some(step);
        assert_told_once(&mut fleet, "poller of work", &format!("a defect in {step}"));
        assert_polls(&fleet);
    }
}

#[test]
fn a_poller_that_never_comes_back_is_replaced_and_takes_nothing_with_it() {
    let (mut fleet, _) = flawed(None, 20_000, json!({"hold_ms": 50, "answer_limit_ms": 1_000}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.until_held(1);
    fleet.core.tamper(Tamper::Hang("poller of work")).unwrap();
    assert_told_once(&mut fleet, "poller of work", "does not come back");
    assert_polls(&fleet);
}

#[test]
fn polls_begin_although_the_first_look_at_the_version_failed() {
    let (mut fleet, _) = flawed(Some("learn"), 20_000, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    assert_told_once(&mut fleet, "version watch", "a defect in learn");
    assert_polls(&fleet);
}

#[test]
fn an_outcome_that_cannot_be_told_costs_its_own_job_a_lease_and_no_other_anything() {
    let (mut fleet, flaw) = flawed(None, 1_500, json!({}));
    let entered = Arc::new(AtomicBool::new(false));
    let (seen, wanted) = (Arc::clone(&entered), Arc::clone(&flaw));
    let _worker = fleet.worker(move |_| {
        if !seen.swap(true, Ordering::AcqRel) {
            *wanted.lock().unwrap() = Some("command");
        }
        Reply::Complete
    });
    fleet.event("worker_ready");
    let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
    assert_told_once(&mut fleet, "outcome connection", &format!("of job {key} (work) is given up"));
    let status = fleet.until_status("closed", |status| status["types"][0]["settling"] == 0);
    assert_eq!(status["types"][0]["expired"], 1, "{status}");
    assert_eq!(fleet.until_job(key, &["completed"])["activations"], 2);
    fleet.add_jobs("work", 50);
    fleet.until("all others done", |account| account["completed"] == 51);
    fleet.until_status("nothing is left", |status| status["in_flight"] == 0);
}

#[test]
fn a_fleet_drains_after_the_answer_to_an_outcome_could_not_be_read() {
    let (mut fleet, flaw) = flawed(None, 20_000, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    *flaw.lock().unwrap() = Some("judge");
    fleet.add_jobs("work", 1);
    assert_told_once(&mut fleet, "outcome connection", "a defect in judge");
    fleet.core.stop_activation().unwrap();
    fleet.event("drained");
    assert_eq!(fleet.account()["completed"], 1);
}

#[test]
fn leases_are_renewed_after_each_part_of_renewing_has_panicked() {
    for task in ["lease watch", "renewal"] {
        let (mut fleet, _) = flawed(None, 2_000, json!({}));
        let gate = Arc::new(AtomicBool::new(true));
        let hold = Arc::clone(&gate);
        let worker = fleet.worker(move |_| {
            while hold.load(Ordering::Acquire) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Reply::Complete
        });
        fleet.event("worker_ready");
        let (key, _) = fleet.engine.add_jobs(NewJobs::new("work", 1)).unwrap();
        let until = |job: Value| job["until"].as_u64().unwrap();
        let first = until(fleet.until_job(key, &["activated"]));
        fleet.core.tamper(Tamper::Panic(task)).unwrap();
        let told = fleet.event("task_failed");
        assert_eq!(told["task"], task);
        fleet.until("renewed", |_| until(fleet.engine.job(key).unwrap()) > first);
        gate.store(false, Ordering::Release);
        assert_eq!(fleet.until_job(key, &["completed"])["activations"], 1);
        assert!(!worker.was_cancelled());
        fleet.assert_clean();
    }
}

#[test]
fn every_loop_of_the_core_is_replaced() {
    let (mut fleet, _) = flawed(None, 20_000, json!({}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    for (count, task) in ["worker watch", "prefetch watch"].into_iter().enumerate() {
        for _ in 0..2 {
            fleet.core.tamper(Tamper::Panic(task)).unwrap();
            fleet.add_jobs("work", 5);
            assert_eq!(fleet.event("task_failed")["task"], task);
        }
        assert_eq!(fleet.status()["task_failures"], 2 * (count + 1));
    }
    fleet.until("all done", |account| account["completed"] == 20);
    fleet.assert_clean();
}

#[test]
fn a_worker_whose_link_is_served_by_nobody_is_broken() {
    let (mut fleet, _) = flawed(None, 20_000, json!({}));
    let worker = fleet.worker(|_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.tamper(Tamper::Panic("link of a worker")).unwrap();
    fleet.add_jobs("work", 1);
    let told = fleet.event("worker_broken");
    assert_eq!(told["worker"], worker.id);
    let id = worker.kill();
    fleet.core.worker_dead(id, "killed by signal 9 (SIGKILL)".into()).unwrap();
    fleet.event("buried");
    let _heir = fleet.worker(|_| Reply::Complete);
    fleet.until("done by another, or before", |account| account["completed"] == 1);
    fleet.assert_clean();
}

#[test]
fn a_core_that_cannot_follow_its_supervisor_says_so_and_ends() {
    let (mut fleet, flaw) = flawed(None, 20_000, json!({"hold_ms": 60_000}));
    let _worker = fleet.worker(|_| Reply::Complete);
    fleet.until_status("a held poll, parked", |status| {
        status["held_polls"] == 1 && status["permits"]["in_use"] == 0
    });
    *flaw.lock().unwrap() = Some("capabilities");
    fleet.core.stop_activation().unwrap();
    let told = fleet.event("core_failed");
    let words = told["message"].as_str().unwrap();
    assert!(words.contains("a defect in capabilities") && words.contains("tasks.rs:"), "{told}");
    assert!(fleet.core.status().unwrap_err().to_string().contains("the core"));
    fleet.core.stop().unwrap();
}
