//! Activate: polls the engine for jobs of each type, as many as the workers can do in the next moments.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::ask;
use crate::engine::{Activation, Ask, Refusal, Request};
use crate::events::{Event, WARNING};
use crate::fleet::{Fleet, backoff};
use crate::job::now;
use crate::renew::Permit;
use crate::state::JobType;
use crate::tasks::Pulse;
use crate::transport::{Line, SendError};

/// A poll that is held longer than this waits for jobs, not for the engine: its permit goes to others.
const PARK_AFTER: Duration = Duration::from_millis(250);

const LONGEST_TRANSIENT_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_WRONG_PAUSE: Duration = Duration::from_secs(30);

/// A type whose backlog is not empty is looked at this often even when nothing woke its poller.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Polls that an outage had stopped start again within this time.
const SPREAD: Duration = Duration::from_millis(300);

/// The second poller of a type gives up its connection when it had no use for it this long.
const SECOND_IDLE: Duration = Duration::from_secs(5);

/// One of the two pollers of a type. The second one works only while answers come back full.
pub(crate) struct Poller {
    fleet: Rc<Fleet>,
    job_type: usize,
    second: bool,
    line: Line,
    /// The latest poll ended because this side had half-closed its connection.
    given_up: bool,
    failures: u32,
    /// The number of the header that the latest poll carried.
    header: u64,
    pulse: Rc<Pulse>,
}

impl Poller {
    pub(crate) fn new(fleet: Rc<Fleet>, job_type: usize, second: bool, pulse: Rc<Pulse>) -> Self {
        let line = Line::polls(job_type).watched(Rc::clone(&pulse));
        Self { fleet, job_type, second, line, given_up: false, failures: 0, header: 0, pulse }
    }

    /// Polls until the fleet activates no more.
    pub(crate) async fn run(mut self) {
        let jitter = Duration::from_millis(self.fleet.settings.poll_jitter_ms);
        sleep(jitter.mul_f64(self.fleet.random_share())).await;
        self.fleet.version_asked().await;
        while self.fleet.activating.get() {
            let Some(mut jobs) = self.demand() else {
                self.wait().await;
                continue;
            };
            if self.fleet.authorized_to_poll().await {
                // What could be done then may be done by now.
                jobs = self.demand().unwrap_or(1);
            }
            let permit = self.fleet.permit(Duration::MAX).await;
            let gap = self.fleet.permits.borrow().poll_gap();
            if !self.fleet.activating.get() {
                break;
            }
            let pause = self.poll(jobs, permit).await;
            self.fleet.rest(self.fleet.jittered(pause).max(gap)).await;
        }
        self.line.close();
        self.fleet.tell_if_drained();
    }

    /// How many jobs to ask for now.
    fn demand(&self) -> Option<u32> {
        let mut state = self.fleet.state.borrow_mut();
        let demand = state.demand(self.job_type, self.fleet.settings.byte_budget)?;
        let kind = state.types.get_mut(self.job_type)?;
        kind.low_mark = ask::low_mark(&demand);
        if self.second && !(kind.last_full && kind.held_polls == 1) {
            return None;
        }
        if !self.second && kind.held_polls > 1 {
            return None;
        }
        let room = kind.room();
        if room == 0 {
            // Its own bound decides when the next poll is worth it.
            kind.low_mark = kind.max_jobs.saturating_sub(1);
            return None;
        }
        let scale = f64::from(self.fleet.permits.borrow().batch_scale());
        let jobs = (ask::ask(&demand)? as f64 * scale).ceil();
        Some((jobs as u64).clamp(1, room.min(kind.most_per_answer)).min(u64::from(u32::MAX)) as u32)
    }

    async fn wait(&mut self) {
        let (wake, busy) = match self.fleet.state.borrow().types.get(self.job_type) {
            Some(kind) => (Rc::clone(&kind.wake), kind.here() + kind.asked > 0),
            None => return,
        };
        let woken = wake.notified();
        if self.second {
            if timeout(SECOND_IDLE, woken).await.is_err() {
                self.line.close();
                wake.notified().await;
            }
        } else if busy {
            let _ = timeout(LOOK_AGAIN, woken).await;
        } else {
            woken.await;
        }
    }

    /// One poll, holding a permit from here to its answer or until it is parked; returns the pause after it.
    async fn poll(&mut self, jobs: u32, permit: Permit) -> Duration {
        let asked = Asked::new(&self.fleet, self.job_type, jobs);
        let fetch_turn = asked.fetch_turn;
        let sent_at = now();
        let outcome = self.exchange(jobs, permit).await;
        self.pulse.rest();
        drop(asked);
        let time = now();
        match outcome {
            Ok(found) => {
                self.fleet.permits.borrow_mut().on_success(time);
                self.fleet.accepted(self.header);
                self.fleet.engine_up();
                self.with_type(|kind| kind.poll_error = None);
                self.tell_refused(false, "the engine takes its polls again");
                if found.drifted {
                    self.fleet.suspect_version();
                }
                self.failures = if found.cut { self.failures + 1 } else { 0 };
                self.take(found, jobs, fetch_turn, sent_at, time);
                if self.failures == 0 {
                    Duration::ZERO
                } else {
                    backoff(self.failures, LONGEST_TRANSIENT_PAUSE)
                }
            }
            Err(refusal) => self.refused(refusal, jobs, fetch_turn, time),
        }
    }

    fn refused(&mut self, refusal: Refusal, jobs: u32, fetch_turn: u32, time: Duration) -> Duration {
        self.failures += 1;
        let abandoned = std::mem::take(&mut self.given_up)
            || !self.fleet.activating.get()
            || self.fleet.state.borrow().is_stale(self.job_type, fetch_turn);
        if !abandoned {
            let words = self.fleet.transport.without_credentials(&refusal.to_string());
            self.with_type(|kind| kind.poll_error = Some(words.into()));
        }
        match refusal {
            Refusal::Backpressure => {
                if self.fleet.outcomes.make_room(self.fleet.settings.backpressure) {
                    self.fleet.permits.borrow_mut().count_refusal();
                } else {
                    self.fleet.permits.borrow_mut().on_backpressure(time);
                }
                self.with_type(|kind| kind.refusals += 1);
                backoff(self.failures, Duration::from_secs(1))
            }
            // A poll that was given up says nothing about the engine.
            _ if abandoned => {
                self.failures = 0;
                Duration::ZERO
            }
            Refusal::TooLarge(_) if jobs > 1 => {
                self.with_type(|kind| kind.most_per_answer = u64::from(jobs / 2));
                Duration::ZERO
            }
            Refusal::Unsupported(_) => {
                self.fleet.suspect_version();
                backoff(self.failures, LONGEST_TRANSIENT_PAUSE)
            }
            Refusal::TooLarge(message) => {
                let message = format!("{message} (for a single job; its handler can fetch fewer variables)");
                self.fleet.engine_down(&message);
                backoff(self.failures + 4, LONGEST_WRONG_PAUSE)
            }
            Refusal::Transient(message) => {
                self.fleet.suspect_version();
                self.fleet.engine_down(&message);
                backoff(self.failures, LONGEST_TRANSIENT_PAUSE)
            }
            // Otherwise the gate says when another request makes sense.
            Refusal::Unauthorized(message) => {
                self.fleet.refused(self.header, &message, self.failures).unwrap_or_default()
            }
            Refusal::Refused(message) => {
                self.fleet.engine_up();
                self.tell_refused(true, &message);
                backoff(self.failures + 4, LONGEST_WRONG_PAUSE)
            }
            Refusal::Wrong(message) => {
                self.fleet.engine_down(&message);
                backoff(self.failures + 4, LONGEST_WRONG_PAUSE)
            }
        }
    }

    /// Tells once that the engine refuses what the type's polls ask for, and once that it no longer does.
    fn tell_refused(&self, refused: bool, message: &str) {
        self.with_type(|kind| {
            if std::mem::replace(&mut kind.told_refused, refused) != refused {
                let message = self.fleet.transport.without_credentials(message);
                let r#type = kind.name.to_string();
                self.fleet.events.push(&Event::Polls { r#type, refused, message });
            }
        });
    }

    async fn exchange(&mut self, jobs: u32, permit: Permit) -> Result<Activation, Refusal> {
        let fleet = Rc::clone(&self.fleet);
        let mut permit = Some(permit);
        let result = {
            let request = self.request(jobs);
            let abandon = fleet.abandon.notified();
            let park = async {
                sleep(PARK_AFTER).await;
                drop(permit.take());
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                result = request => result,
                () = abandon => Err(SendError::Ambiguous("given up".to_owned())),
                () = park => Err(SendError::Ambiguous(String::new())),
            }
        };
        drop(permit);
        let answer = match result {
            Ok(answer) | Err(SendError::Cut(answer)) => answer,
            // A server that lives and is short of streams.
            Err(SendError::Refused(_)) => return Err(Refusal::Backpressure),
            Err(SendError::Unsent(message) | SendError::Gone(message)) => return Err(self.broken(message)),
            Err(SendError::Ambiguous(message)) => {
                self.tell_unheard(&message);
                return Err(self.broken(message));
            }
        };
        if !answer.whole {
            self.line.close();
        }
        let engine = self.fleet.engine.borrow();
        engine.read_activation(&answer)
    }

    /// The connection is of no use any more.
    fn broken(&mut self, message: String) -> Refusal {
        self.given_up = self.line.half_closed();
        self.line.close();
        Refusal::Transient(message)
    }

    /// Tells that a poll had no answer although a drain has waited for it. Later polls would say so by the state of the
    /// engine, but there are none.
    fn tell_unheard(&self, words: &str) {
        let fleet = &self.fleet;
        if fleet.activating.get() || fleet.abandoned.get() || fleet.capabilities().notices_departed_clients {
            return;
        }
        self.with_type(|kind| {
            let message = format!(
                "a held poll for {} ended without an answer while the fleet drains ({words}): a job that it brings \
                 stays locked until its lease ends",
                kind.name
            );
            fleet.events.push(&Event::Notice { level: WARNING, message });
        });
    }

    async fn request(&mut self, jobs: u32) -> Result<crate::engine::Answer, SendError> {
        self.line.ready(&self.fleet.transport).await?;
        let (hold, request) = match self.fleet.state.borrow().types.get(self.job_type) {
            Some(kind) => (self.fleet.hold_of(kind), self.fleet.activation(kind, jobs)),
            None => return Err(SendError::Unsent("the job type is gone".to_owned())),
        };
        self.header = self.fleet.gate.borrow().header();
        let limit = self.fleet.settings.poll_limit(hold, self.fleet.capabilities().notices_departed_clients);
        self.line.send(&self.fleet.transport, &request, limit).await
    }

    fn with_type(&self, change: impl FnOnce(&mut JobType)) {
        if let Some(kind) = self.fleet.state.borrow_mut().types.get_mut(self.job_type) {
            change(kind);
        }
    }

    /// Takes in the jobs of one answer.
    fn take(&self, found: Activation, asked: u32, fetch_turn: u32, sent_at: Duration, received_at: Duration) {
        let full = found.jobs.len() >= asked as usize;
        let bytes: usize = found.jobs.iter().map(|job| job.raw.len()).sum();
        let count = found.jobs.len();
        self.with_type(|kind| {
            if count > 0 {
                let mean = bytes as f64 / count as f64;
                kind.job_bytes = if kind.job_bytes > 0.0 { kind.job_bytes * 0.7 + mean * 0.3 } else { mean };
                // A poll after a full answer is not held, so its time is the engine's and the network's.
                if kind.last_full {
                    let trip = received_at.saturating_sub(sent_at).min(Duration::from_millis(500));
                    kind.round_trip = (kind.round_trip * 3 + trip) / 4;
                }
            }
            kind.last_full = full;
            if full && kind.most_per_answer < u64::MAX {
                kind.most_per_answer += kind.most_per_answer.div_ceil(8);
            }
            if full {
                kind.growth = (kind.growth * 2).min(1 << 16);
                kind.wake.notify_waiters();
            }
        });
        if count == 0 {
            return;
        }
        self.fleet.take_jobs(self.job_type, found.jobs, fetch_turn, sent_at, received_at);
    }
}

/// A poll on its way, counted with its type for as long as this lives.
struct Asked {
    fleet: Rc<Fleet>,
    job_type: usize,
    jobs: u64,
    /// The type's when it was sent.
    fetch_turn: u32,
}

impl Asked {
    fn new(fleet: &Rc<Fleet>, job_type: usize, jobs: u32) -> Self {
        let jobs = u64::from(jobs);
        let mut fetch_turn = 0;
        if let Some(kind) = fleet.state.borrow_mut().types.get_mut(job_type) {
            kind.asked += jobs;
            kind.held_polls += 1;
            fetch_turn = kind.fetch_turn;
        }
        Self { fleet: Rc::clone(fleet), job_type, jobs, fetch_turn }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(kind) = self.fleet.state.borrow_mut().types.get_mut(self.job_type) {
            kind.asked -= self.jobs;
            kind.held_polls -= 1;
        }
    }
}

impl Fleet {
    /// The request that asks for jobs of a type.
    fn activation(&self, kind: &JobType, jobs: u32) -> Request {
        self.engine.borrow().activation(&Ask {
            job_type: &kind.name,
            jobs,
            lease: kind.lease,
            hold: self.hold_of(kind),
            fetch: kind.fetch.as_deref(),
            tenants: &kind.tenants,
            all_tenants: kind.all_tenants,
            worker: &self.settings.worker_name,
        })
    }

    /// A pause that ends early when the engine is found to answer again.
    async fn rest(&self, pause: Duration) {
        if !pause.is_zero() && timeout(pause, self.recovered.notified()).await.is_ok() {
            // An engine that has only just come back is not met by all types at once.
            sleep(SPREAD.min(pause).mul_f64(self.random_share())).await;
        }
    }
}
