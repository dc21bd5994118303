//! What the loops share on the core's thread. State is borrowed for one step at a time, never across an await.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::audit::Audit;
use crate::clock::LeaseClock;
use crate::engine::{Capabilities, Engine};
use crate::events::{EngineState, Event, Events};
use crate::gate::Gate;
use crate::job::now;
use crate::permits::Permits;
use crate::poison::{Poison, Rules};
use crate::settings::CoreSettings;
use crate::settle::Outcomes;
use crate::state::State;
use crate::tasks::Tasks;
use crate::transport::Transport;
use crate::watch;

pub(crate) struct Fleet {
    pub(crate) settings: CoreSettings,
    pub(crate) engine: RefCell<Box<dyn Engine>>,
    pub(crate) transport: Transport,
    pub(crate) events: Arc<Events>,
    pub(crate) state: RefCell<State>,
    pub(crate) permits: RefCell<Permits>,
    /// Wakes polls that wait for a permit.
    pub(crate) permit_freed: Notify,
    pub(crate) gate: RefCell<Gate>,
    /// Wakes what waits at the gate of credentials.
    pub(crate) gate_changed: Notify,
    pub(crate) clock: RefCell<LeaseClock>,
    pub(crate) health: RefCell<Health>,
    pub(crate) outcomes: Outcomes,
    /// Wakes the loop that looks for jobs which wait behind a slow one.
    pub(crate) prefetched: Notify,
    /// Wakes the loop that watches leases.
    pub(crate) holding: Notify,
    pub(crate) activating: Cell<bool>,
    /// How long handlers may still run after a drain began.
    pub(crate) grace_ms: Cell<u64>,
    /// Held polls are dropped, whatever they cost.
    pub(crate) abandon: Notify,
    pub(crate) abandoned: Cell<bool>,
    pub(crate) drained_told: Cell<bool>,
    pub(crate) link_errors: Cell<u64>,
    /// Permits that somebody holds.
    pub(crate) permits_held: Cell<u32>,
    /// How often time limits are looked at: by the shortest one that was declared.
    pub(crate) look_every: Cell<Duration>,
    /// Between two looks at workers and books.
    pub(crate) watch_every: Duration,
    pub(crate) audit: RefCell<Audit>,
    pub(crate) tasks: Tasks,
    /// Whether the last look found workers that do not move.
    pub(crate) suspected: Cell<bool>,
    /// Wakes polls that pause after an error.
    pub(crate) recovered: Notify,
    /// Wakes the watch over the engine's version.
    pub(crate) relearn: Notify,
    /// The engine's version has been asked for, whatever came of it.
    pub(crate) version_asked: tokio::sync::watch::Sender<bool>,
    random: Cell<u64>,
}

/// What is known of the engine's health.
#[derive(Default)]
pub(crate) struct Health {
    pub(crate) state: EngineState,
    pub(crate) message: Option<String>,
}

impl Fleet {
    pub(crate) fn new(
        settings: CoreSettings,
        engine: Box<dyn Engine>,
        transport: Transport,
        events: Arc<Events>,
    ) -> Self {
        let seed = now().as_nanos() as u64 | 1;
        let permits = Permits::new(settings.backpressure.into(), seed);
        let grace_ms = settings.grace_ms;
        let outcomes = Outcomes::new(settings.outcome_connections_max);
        let rules =
            Rules { convict_after: settings.poison_deaths, charge_every: settings.deaths_cost_retries };
        let watch_every =
            Duration::from_millis(settings.look_every_ms).clamp(watch::MOST_OFTEN, watch::EVERY);
        transport.set_authorization(settings.authorization.as_deref());
        let gate = Gate::new(settings.await_authorization);
        Self {
            settings,
            engine: RefCell::new(engine),
            transport,
            events,
            state: RefCell::new(State::new(Poison::new(rules))),
            permits: RefCell::new(permits),
            permit_freed: Notify::new(),
            gate: RefCell::new(gate),
            gate_changed: Notify::new(),
            clock: RefCell::new(LeaseClock::new()),
            health: RefCell::default(),
            outcomes,
            prefetched: Notify::new(),
            holding: Notify::new(),
            activating: Cell::new(true),
            grace_ms: Cell::new(grace_ms),
            abandon: Notify::new(),
            abandoned: Cell::new(false),
            drained_told: Cell::new(false),
            link_errors: Cell::new(0),
            permits_held: Cell::new(0),
            look_every: Cell::new(watch_every),
            watch_every,
            audit: RefCell::default(),
            tasks: Tasks::default(),
            suspected: Cell::new(false),
            recovered: Notify::new(),
            relearn: Notify::new(),
            version_asked: tokio::sync::watch::Sender::new(false),
            random: Cell::new(seed),
        }
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.engine.borrow().capabilities()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.health.borrow().state == EngineState::Up
    }

    /// Notes that the engine answered as it should. After an outage its version is asked for again: it may have
    /// been upgraded meanwhile.
    pub(crate) fn engine_up(self: &Rc<Self>) {
        let mut health = self.health.borrow_mut();
        if health.state == EngineState::Up {
            return;
        }
        let first = health.state == EngineState::Unknown;
        health.state = EngineState::Up;
        health.message = None;
        drop(health);
        self.recovered.notify_waiters();
        let message = if first { "the engine answers" } else { "the engine answers again" };
        self.events.push(&Event::Engine { state: EngineState::Up, message: message.to_owned() });
        if !first || self.engine.borrow().version().is_none() {
            self.suspect_version();
        }
    }

    /// Notes that the engine does not answer as it should; told once for each outage.
    pub(crate) fn engine_down(&self, message: &str) {
        let message = &self.transport.without_credentials(message);
        let mut health = self.health.borrow_mut();
        let told = health.state == EngineState::Down;
        health.state = EngineState::Down;
        health.message = Some(message.clone());
        if !told {
            let message = format!("{}: {message}", self.settings.engine.url);
            self.events.push(&Event::Engine { state: EngineState::Down, message });
        }
    }

    /// A pause of at most this length and at least half of it.
    pub(crate) fn jittered(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.5 + self.random_share() / 2.0)
    }

    /// A number from 0 to 1, good enough to keep fleets out of step.
    pub(crate) fn random_share(&self) -> f64 {
        let mut word = self.random.get();
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        self.random.set(word);
        (word >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A pause that doubles with each failure, from 50 ms to `longest`.
pub(crate) fn backoff(failures: u32, longest: Duration) -> Duration {
    (Duration::from_millis(50) * 2u32.saturating_pow(failures.saturating_sub(1).min(16))).min(longest)
}
