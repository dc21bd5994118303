//! The store against a naive model, over random commands and times.

use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::store::batch::Delivery;
use crate::store::*;

#[derive(Clone, Debug)]
enum Step {
    Add { kind: usize, count: u64, retries: i32, priority: i32 },
    Activate { kind: usize, max: u32, lease_ms: u64, delivered: bool },
    Complete(usize),
    Fail { job: usize, retries: i32, backoff_ms: u64 },
    Error { job: usize, caught: bool },
    Renew { job: usize, timeout_ms: i64 },
    Resolve(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let job = || 0..30usize;
    let step = prop_oneof![
        (0..2usize, 1..4u64, 1..4, 0..2).prop_map(|(kind, count, retries, priority)| Step::Add {
            kind,
            count,
            retries,
            priority
        }),
        (0..2usize, 1..5u32, 1..100u64, any::<bool>())
            .prop_map(|(kind, max, lease_ms, delivered)| Step::Activate { kind, max, lease_ms, delivered }),
        job().prop_map(Step::Complete),
        (job(), -1..4, 0..60u64).prop_map(|(job, retries, backoff_ms)| Step::Fail {
            job,
            retries,
            backoff_ms
        }),
        (job(), any::<bool>()).prop_map(|(job, caught)| Step::Error { job, caught }),
        (job(), -5..150i64).prop_map(|(job, timeout_ms)| Step::Renew { job, timeout_ms }),
        job().prop_map(Step::Resolve),
        (0..80u64).prop_map(Step::Wait),
    ];
    vec(step, 1..120)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    Waiting,
    Leased(u64),
    BackingOff(u64),
    Halted,
}

#[derive(Clone, Debug)]
struct Expected {
    kind: usize,
    stand: Stand,
    retries: i32,
    priority: i32,
}

/// What should be: every job by key, searched linearly.
#[derive(Default)]
struct Model {
    jobs: BTreeMap<u64, Expected>,
    completed: u64,
    errors_thrown: u64,
    expired: u64,
    undelivered: Vec<u64>,
}

const KINDS: [&str; 2] = ["a", "b"];

impl Model {
    fn activate(&mut self, kind: usize, max: u32, until: u64) -> Vec<u64> {
        let mut waiting: Vec<_> =
            self.jobs.iter_mut().filter(|(_, job)| job.kind == kind && job.stand == Stand::Waiting).collect();
        waiting.sort_by_key(|(key, job)| (-job.priority, **key));
        waiting.truncate(max as usize);
        waiting
            .into_iter()
            .map(|(key, job)| {
                job.stand = Stand::Leased(until);
                *key
            })
            .collect()
    }

    /// The verdict on an outcome, without its effect.
    fn verdict(&self, key: u64) -> Result<(), Refusal> {
        match self.jobs.get(&key).map(|job| job.stand) {
            None => Err(Refusal::NotFound),
            Some(Stand::Waiting | Stand::Leased(_)) => Ok(()),
            Some(_) => Err(Refusal::InvalidState(State::Incident)),
        }
    }

    fn sweep(&mut self, now: u64) {
        for (key, job) in &mut self.jobs {
            match job.stand {
                Stand::Leased(until) if until <= now => {
                    self.expired += u64::from(!self.undelivered.contains(key));
                    job.stand = Stand::Waiting;
                }
                Stand::BackingOff(until) if until <= now => job.stand = Stand::Waiting,
                _ => {}
            }
        }
    }

    fn count(&self, test: impl Fn(Stand) -> bool) -> u64 {
        self.jobs.values().filter(|job| test(job.stand)).count() as u64
    }
}

fn key(job: usize) -> u64 {
    FIRST_KEY + job as u64
}

/// Both, side by side.
struct Pair {
    store: Store,
    model: Model,
    now: u64,
}

const ENDING: Ending<'_> =
    Ending { state: "ended", variables: None, result: None, error_code: None, message: None };

impl Pair {
    fn settle(&mut self, key: u64, outcome: Outcome<'_>) -> bool {
        let expected = self.model.verdict(key);
        let result = self.store.settle(key, Fence::None, false, outcome, self.now).result;
        match (expected, result) {
            (Err(Refusal::InvalidState(_)), Err(Refusal::InvalidState(_))) => {}
            _ => assert_eq!(expected, result),
        }
        result.is_ok()
    }

    fn step(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Add { kind, count, retries, priority } => self.add(kind, count, retries, priority),
            Step::Activate { kind, max, lease_ms, delivered } => {
                self.activate(kind, max, lease_ms, delivered)
            }
            Step::Complete(job) => {
                if self.settle(key(job), Outcome::Complete(ENDING)) {
                    self.model.jobs.remove(&key(job));
                    self.model.completed += 1;
                }
            }
            Step::Fail { job, retries, backoff_ms } => {
                let failure = Failure { retries, backoff_ms, message: None, variables: None };
                if self.settle(key(job), Outcome::Fail(failure)) {
                    let expected = self.model.jobs.get_mut(&key(job)).unwrap();
                    expected.retries = retries;
                    expected.stand = match (retries, backoff_ms) {
                        (..=0, _) => Stand::Halted,
                        (_, 0) => Stand::Waiting,
                        _ => Stand::BackingOff(now + backoff_ms),
                    };
                }
            }
            Step::Error { job, caught } => self.throw(key(job), caught),
            Step::Renew { job, timeout_ms } => self.renew(key(job), timeout_ms),
            Step::Resolve(job) => self.resolve(key(job)),
            Step::Wait(ms) => self.now += ms,
        }
        self.store.sweep(self.now, |_| true);
        self.model.sweep(self.now);
    }

    fn add(&mut self, kind: usize, count: u64, retries: i32, priority: i32) {
        let jobs = NewJobs { priority, ..NewJobs::new(KINDS[kind], count).retries(retries) };
        let (first, last) = self.store.add(&jobs);
        assert_eq!(last - first + 1, count);
        for key in first..=last {
            self.model.jobs.insert(key, Expected { kind, stand: Stand::Waiting, retries, priority });
        }
    }

    fn activate(&mut self, kind: usize, max: u32, lease_ms: u64, delivered: bool) {
        let worker: Rc<str> = "w".into();
        let pick = Pick {
            job_type: KINDS[kind],
            tenants: &[],
            max,
            lease_ms,
            worker,
            with_lease: false,
            lease_only_too: true,
        };
        let mut got = Vec::new();
        let batch = self.store.activate(&pick, self.now, |view| {
            got.push((view.key, view.retries));
            Admit::Taken
        });
        let expected = self.model.activate(kind, max, self.now + lease_ms);
        let expected: Vec<_> = expected.iter().map(|key| (*key, self.model.jobs[key].retries)).collect();
        assert_eq!(got, expected);
        self.model.undelivered.retain(|key| !got.iter().any(|(again, _)| again == key));
        match batch {
            Some(batch) if delivered => batch.delivery.set(Delivery::Whole),
            Some(batch) => {
                self.store.undelivered(&batch, false);
                self.model.undelivered.extend(got.iter().map(|(key, _)| *key));
            }
            None => {}
        }
    }

    fn throw(&mut self, key: u64, caught: bool) {
        let outcome = if caught { Outcome::Caught(ENDING) } else { Outcome::Uncaught(ENDING) };
        if !self.settle(key, outcome) {
            return;
        }
        if caught {
            self.model.jobs.remove(&key);
            self.model.errors_thrown += 1;
        } else {
            self.model.jobs.get_mut(&key).unwrap().stand = Stand::Halted;
        }
    }

    fn renew(&mut self, key: u64, timeout_ms: i64) {
        let change = Change { timeout_ms: Some(timeout_ms), ..Change::default() };
        let result = self.store.update(key, Fence::None, change, self.now).result;
        match self.model.jobs.get_mut(&key) {
            None => assert_eq!(result, Err(Refusal::NotFound)),
            Some(Expected { stand: Stand::Leased(until), .. }) => {
                assert_eq!(result, Ok(()));
                *until = self.now.saturating_add_signed(timeout_ms);
            }
            Some(_) => assert!(matches!(result, Err(Refusal::InvalidState(_)))),
        }
    }

    fn resolve(&mut self, key: u64) {
        let result = self.store.resolve(key);
        match self.model.jobs.get_mut(&key) {
            Some(job) if job.stand == Stand::Halted && job.retries > 0 => {
                assert_eq!(result, Ok(()));
                job.stand = Stand::Waiting;
            }
            _ => assert!(result.is_err()),
        }
    }

    fn compare(&self) {
        let account = self.store.account();
        let model = &self.model;
        let waiting = model.count(|stand| matches!(stand, Stand::Waiting | Stand::BackingOff(_)));
        assert_eq!(account.waiting, waiting);
        assert_eq!(account.in_flight, model.count(|stand| matches!(stand, Stand::Leased(_))));
        assert_eq!(account.incidents, model.count(|stand| stand == Stand::Halted));
        assert_eq!((account.completed, account.errors_thrown), (model.completed, model.errors_thrown));
        assert_eq!((account.expired, account.excused), (model.expired, 0));
        let ended = account.completed + account.errors_thrown;
        assert_eq!(account.created, ended + account.incidents + account.waiting + account.in_flight);
        assert_eq!(account.lost, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_a_naive_model_does(steps in steps()) {
        let mut pair = Pair { store: Store::new(), model: Model::default(), now: 1_000 };
        for step in &steps {
            pair.step(step);
            pair.compare();
        }
    }
}
