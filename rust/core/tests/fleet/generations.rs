//! Pool generations come, take over and go without a job being the worse for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use crate::rig::{Fleet, Reply, Worker};
use jobfleet_localengine::Dialect;

/// A door that handlers wait at.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn wait(&self) {
        let (open, changed) = &*self.0;
        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
    }

    /// A handler that is fast enough to be given prefetch, and then waits in one job.
    fn after(&self, jobs: u64) -> impl Fn(&[u8]) -> Reply + Send + Sync + 'static {
        let (door, runs) = (self.clone(), AtomicU64::new(0));
        move |_| {
            if runs.fetch_add(1, Ordering::AcqRel) == jobs {
                door.wait();
            }
            Reply::Complete
        }
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Whether forty jobs are done and the next one is running.
fn stuck(status: &Value) -> bool {
    status["totals"]["completed"] == 40 && status["workers"][0]["busy"] == 1
}

fn work(lease_ms: u64) -> Value {
    json!({"type": "work", "lane": 0, "slots": 1, "lease_ms": lease_ms})
}

fn retire(fleet: &mut Fleet, worker: Worker) {
    let id = worker.left();
    fleet.core.worker_dead(id, "left".into()).unwrap();
    assert_eq!(fleet.event("buried")["worker"], id);
}

#[test]
fn a_generation_on_standby_gets_no_job_until_the_switch_and_the_old_one_none_after_it() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let counts: [Arc<AtomicU64>; 2] = Default::default();
    let count = |index: usize| {
        let counter = Arc::clone(&counts[index]);
        move |_: &[u8]| {
            counter.fetch_add(1, Ordering::AcqRel);
            Reply::Complete
        }
    };
    let old = fleet.worker(count(0));
    fleet.event("worker_ready");
    let next = fleet.standby(2, &[work(30_000)]);
    let _new = fleet.worker_of(next, count(1));
    fleet.event("worker_ready");
    fleet.add_jobs("work", 500);
    fleet.until("old generation", |account| account["completed"] == 500);
    assert_eq!(counts[1].load(Ordering::Acquire), 0);
    fleet.core.switch_pools(vec![next], vec![0]).unwrap();
    fleet.event("worker_drained");
    retire(&mut fleet, old);
    fleet.add_jobs("work", 500);
    fleet.until("new generation", |account| account["completed"] == 1_000);
    assert_eq!(counts.map(|count| count.load(Ordering::Acquire)), [500, 500]);
    fleet.assert_clean();
}

#[test]
fn switches_under_load_fail_no_job_and_leave_nothing_behind() {
    for dialect in [Dialect::V8_6, Dialect::V8_10] {
        let mut fleet = Fleet::new(dialect, &[("work", 30_000)]);
        let mut workers = vec![fleet.worker(|_| Reply::Complete)];
        fleet.event("worker_ready");
        let mut serving = 0;
        for generation in 2..12 {
            fleet.add_jobs("work", 300);
            let next = fleet.standby(generation, &[work(30_000)]);
            workers.push(fleet.worker_of(next, |_| Reply::Complete));
            fleet.event("worker_ready");
            fleet.core.switch_pools(vec![next], vec![serving]).unwrap();
            let old = workers.remove(0);
            retire(&mut fleet, old);
            serving = next;
        }
        let account = fleet.until("settled", |account| account["completed"] == 3_000);
        assert_eq!(account["failed"], 0);
        let status = fleet.status();
        assert_eq!(status["workers"].as_array().unwrap().len(), 1, "{status}");
        assert_eq!(status["workers"][0]["pool_id"], serving);
        assert_eq!(status["generations"], 1, "{status}");
        fleet.assert_clean();
    }
}

#[test]
fn what_the_old_generation_has_not_started_runs_in_the_new_one() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let gate = Gate::default();
    let old = fleet.worker(gate.after(40));
    fleet.event("worker_ready");
    fleet.add_jobs("work", 300);
    fleet.until("stuck", |account| account["completed"] == 40);
    let next = fleet.standby(2, &[work(30_000)]);
    let _new = fleet.worker_of(next, |_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.switch_pools(vec![next], vec![0]).unwrap();
    fleet.until("all but the running one", |account| account["completed"] == 299);
    gate.open();
    retire(&mut fleet, old);
    let account = fleet.until("all", |account| account["completed"] == 300);
    assert_eq!(account["handed_back"], 0);
    fleet.assert_clean();
}

#[test]
fn jobs_that_lack_a_variable_which_new_handlers_need_go_back_first() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[]);
    let typed =
        |fetch: &[&str]| json!({"type": "work", "lane": 0, "slots": 1, "lease_ms": 30_000, "fetch": fetch});
    let first = fleet.standby(2, &[typed(&["a"])]);
    fleet.core.switch_pools(vec![first], vec![]).unwrap();
    let gate = Gate::default();
    let old = fleet.worker_of(first, gate.after(40));
    fleet.event("worker_ready");
    fleet.engine.add_jobs(with_variables("work", 300)).unwrap();
    fleet.until_status("some wait", |status| status["in_flight"].as_u64() > Some(1) && stuck(status));
    let next = fleet.standby(3, &[typed(&["a", "b"])]);
    let lacking = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&lacking);
    let _new = fleet.worker_of(next, move |job| {
        seen.fetch_or(!std::str::from_utf8(job).unwrap().contains("\"b\""), Ordering::AcqRel);
        Reply::Complete
    });
    fleet.event("worker_ready");
    fleet.core.switch_pools(vec![next], vec![first]).unwrap();
    fleet.until_status("the old one drains", |status| status["workers"][0]["state"] == "draining");
    gate.open();
    retire(&mut fleet, old);
    let account = fleet.until("settled", |account| account["completed"] == 300);
    assert!(account["handed_back"].as_u64() > Some(0), "{account}");
    assert!(!lacking.load(Ordering::Acquire), "a job came without its variable");
    fleet.assert_clean();
}

#[test]
fn jobs_that_wait_in_the_core_without_such_a_variable_go_back_too() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[]);
    let typed =
        |fetch: &[&str]| json!({"type": "work", "lane": 0, "slots": 1, "lease_ms": 300_000, "fetch": fetch});
    let first = fleet.standby(1, &[typed(&["a"])]);
    fleet.core.switch_pools(vec![first], vec![]).unwrap();
    let gate = Gate::default();
    let quick = gate.after(40);
    // Long enough that most jobs wait in the core.
    let old = fleet.worker_of(first, move |job| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        quick(job)
    });
    fleet.event("worker_ready");
    fleet.engine.add_jobs(with_variables("work", 100)).unwrap();
    fleet.until_status("some wait", |status| {
        stuck(status) && status["types"][0]["waiting"].as_u64() > Some(0)
    });
    let next = fleet.standby(2, &[typed(&["a", "b"])]);
    let lacking = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&lacking);
    let _new = fleet.worker_of(next, move |job| {
        seen.fetch_or(!std::str::from_utf8(job).unwrap().contains("\"b\""), Ordering::AcqRel);
        Reply::Complete
    });
    fleet.event("worker_ready");
    fleet.core.switch_pools(vec![next], vec![first]).unwrap();
    fleet.until("all but the running one", |account| account["completed"] == 99);
    assert!(!lacking.load(Ordering::Acquire), "a job came without its variable");
    gate.open();
    retire(&mut fleet, old);
    fleet.assert_clean();
}

#[test]
fn a_type_that_left_is_not_waited_for_while_its_old_worker_still_runs() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("gone", 300_000), ("work", 300_000)]);
    let gate = Gate::default();
    let old = fleet.worker(gate.after(0));
    fleet.event("worker_ready");
    fleet.add_jobs("gone", 1);
    fleet.until_status("it runs", |status| status["workers"][0]["busy"] == 1);
    let next = fleet.standby(2, &[work(30_000)]);
    let _new = fleet.worker_of(next, |_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.switch_pools(vec![next], vec![0]).unwrap();
    let gone = |status: &serde_json::Value| {
        let types = status["types"].as_array().unwrap();
        types.iter().find(|kind| kind["type"] == "gone").map(|kind| kind["pool"].clone())
    };
    let status = fleet.until_status("it drains", |status| status["workers"][0]["state"] == "draining");
    assert_eq!(gone(&status), Some("".into()), "{status}");
    gate.open();
    retire(&mut fleet, old);
    fleet.until("done", |account| account["completed"] == 1);
    fleet.until_status("forgotten", |status| gone(status).is_none());
    fleet.assert_clean();
}

#[test]
fn jobs_of_a_type_that_left_go_back_and_none_is_asked_for() {
    for dialect in [Dialect::V8_6, Dialect::V8_10] {
        let mut fleet = Fleet::new(dialect, &[("gone", 300_000), ("work", 300_000)]);
        let old = fleet.worker(|_| Reply::Complete);
        fleet.event("worker_ready");
        fleet.until_status("polls", |status| status["held_polls"] == 2);
        let next = fleet.standby(2, &[work(30_000)]);
        let _new = fleet.worker_of(next, |_| Reply::Complete);
        fleet.event("worker_ready");
        fleet.core.switch_pools(vec![next], vec![0]).unwrap();
        retire(&mut fleet, old);
        fleet.add_jobs("gone", 50);
        fleet.add_jobs("work", 50);
        let status = fleet.until_status("forgotten", |status| status["types"].as_array().unwrap().len() == 1);
        assert_eq!(status["types"][0]["type"], "work");
        let account = fleet.until("settled", |account| account["completed"] == 50);
        assert_eq!((&account["failed"], &account["incidents"]), (&account["handed_back"], &0.into()));
        fleet.until("given back", |account| account["waiting"] == 50 && account["in_flight"] == 0);
        assert_eq!(fleet.status()["engine"]["state"], "up");
        fleet.assert_clean();
    }
}

#[test]
fn paused_generation_hands_back_what_waits_and_asks_again_once_resumed() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let gate = Gate::default();
    let _worker = fleet.worker(gate.after(40));
    fleet.event("worker_ready");
    fleet.add_jobs("work", 300);
    fleet.until_status("some wait", |status| status["in_flight"].as_u64() > Some(1) && stuck(status));
    fleet.core.pause_pool(0, Some("pool default is paused".into())).unwrap();
    fleet.until("given back", |account| account["waiting"] == 259);
    gate.open();
    fleet.until("running one done", |account| account["completed"] == 41);
    let status = fleet.until_status("no polls", |status| status["held_polls"] == 0);
    assert_eq!(status["types"][0]["waiting"], 0);
    fleet.core.pause_pool(0, None).unwrap();
    fleet.until("rest", |account| account["completed"] == 300);
    fleet.assert_clean();
}

#[test]
fn jobs_of_a_generation_that_is_given_up_run_elsewhere() {
    let mut fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    let gate = Gate::default();
    let door = gate.clone();
    let old = fleet.worker(move |_| {
        door.wait();
        Reply::Complete
    });
    fleet.event("worker_ready");
    fleet.add_jobs("work", 1);
    fleet.until_status("it runs", |status| status["workers"][0]["busy"] == 1);
    let next = fleet.standby(2, &[work(30_000)]);
    let _new = fleet.worker_of(next, |_| Reply::Complete);
    fleet.event("worker_ready");
    fleet.core.switch_pools(vec![next], vec![0]).unwrap();
    fleet.core.give_up_workers(vec![old.id], "the grace period is over".into()).unwrap();
    fleet.until("done by the new one", |account| account["completed"] == 1);
    gate.open();
    retire(&mut fleet, old);
    assert_eq!(fleet.account()["handed_back"], 1);
    fleet.assert_clean();
}

#[test]
fn retired_generation_takes_no_worker_and_its_id_is_not_used_again() {
    let fleet = Fleet::new(Dialect::V8_10, &[("work", 30_000)]);
    fleet.core.retire_pool(0).unwrap();
    assert!(fleet.core.add_worker(0).unwrap_err().to_string().contains("no pool with id 0"));
    assert!(fleet.core.retire_pool(0).is_err());
    assert_eq!(fleet.standby(2, &[work(1_000)]), 1);
}

fn with_variables(job_type: &str, count: u64) -> jobfleet_localengine::NewJobs {
    let mut jobs = jobfleet_localengine::NewJobs::new(job_type, count);
    "{\"a\":1,\"b\":2}".clone_into(&mut jobs.variables);
    jobs
}
