//! What every connection of the engine's thread shares: the state, the clock, the timers' alarm.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::camunda;
use crate::faults::Faults;
use crate::options::{Options, Settings};
use crate::polls::Polls;
use crate::presence::Presence;
use crate::store::Store;

/// The engine's state. Borrowed for the length of one request's effect, never across an await.
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) polls: Polls,
    pub(crate) presence: Presence,
    pub(crate) faults: Faults,
    pub(crate) settings: Settings,
    /// Size of the last activation answer with jobs.
    pub(crate) answer_bytes: usize,
    /// Secret of the lease tokens.
    pub(crate) seed: u64,
}

impl State {
    /// Ends the leases and back-offs that are due.
    fn sweep(&mut self, now: u64) {
        let presence = &self.presence;
        self.store.sweep(now, |worker| presence.lives(worker, now));
    }
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) state: RefCell<State>,
    pub(crate) clock: Clock,
    /// When the sweeper will wake by itself, in engine time.
    alarm: Cell<u64>,
    earlier: Notify,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Rc<Self> {
        let settings = Settings { dialect: options.dialect, ..options.settings };
        let mut store = Store::new();
        store.keep_history(settings.history);
        Rc::new(Self {
            state: RefCell::new(State {
                store,
                polls: Polls::default(),
                presence: Presence::default(),
                faults: Faults::new(options.seed),
                settings,
                answer_bytes: 0,
                seed: options.seed,
            }),
            clock: Clock::new(),
            alarm: Cell::new(u64::MAX),
            earlier: Notify::new(),
        })
    }

    /// Runs `change` on the state, then serves held polls and sets the alarm.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, u64) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state.borrow_mut();
        let result = change(&mut state, now);
        if state.store.has_ready() {
            // Asked again: the change may have moved the clock.
            camunda::serve_held(&mut state, self.clock.now());
        }
        if let Some(due) = state.store.next_due()
            && due < self.alarm.get()
        {
            self.alarm.set(due);
            self.earlier.notify_one();
        }
        result
    }

    /// Moves engine time forward and ends what is due then. Only within `change`.
    pub(crate) fn advance(&self, state: &mut State, by_ms: u64) {
        self.clock.advance(by_ms);
        state.sweep(self.clock.now());
        // The sweeper sleeps by real time: it has to look again.
        self.earlier.notify_one();
    }

    /// Ends leases and back-offs when they are due, for ever.
    pub(crate) async fn sweep(&self) {
        loop {
            let due = self.state.borrow().store.next_due();
            self.alarm.set(due.unwrap_or(u64::MAX));
            let wait = due.map(|due| Duration::from_millis(due.saturating_sub(self.clock.now())));
            tokio::select! {
                () = sleep(wait) => {}
                () = self.earlier.notified() => continue,
            }
            self.change(State::sweep);
        }
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Engine time: milliseconds of the epoch at the start, then as the monotonic clock goes.
pub(crate) struct Clock {
    start: Instant,
    start_ms: Cell<u64>,
    /// What the clock said last: answers are dated without asking again.
    last: Cell<u64>,
    /// The second in the Date header and its text.
    date: RefCell<(u64, String)>,
}

impl Clock {
    fn new() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            start: Instant::now(),
            start_ms: Cell::new(epoch.as_millis() as u64),
            last: Cell::new(0),
            date: RefCell::default(),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        let now = self.start_ms.get() + self.start.elapsed().as_millis() as u64;
        self.last.set(now);
        now
    }

    /// Hands over the text of a Date header.
    pub(crate) fn date(&self, user: impl FnOnce(&str)) {
        let second = self.last.get() / 1000;
        let mut date = self.date.borrow_mut();
        if date.0 != second {
            *date = (second, httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second)));
        }
        user(&date.1);
    }

    fn advance(&self, by_ms: u64) {
        self.start_ms.set(self.start_ms.get().saturating_add(by_ms));
    }
}
