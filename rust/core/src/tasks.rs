//! Tasks: what the core's thread runs side by side. One that panics, or does not come back from a request that is
//! long over, is told of, counted and replaced. What it held goes back by itself, as it is dropped.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Once;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::events::Event;
use crate::fleet::{Fleet, backoff};

/// The core's thread.
pub(crate) const THREAD: &str = "jobfleet-core";

/// A task that fails as often as it starts is started no more often than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who lived so long before it failed is replaced as if for the first time.
const GOOD_LIFE: Duration = Duration::from_secs(60);

/// What a request may take beyond its own limit, which ends it by itself, before its task counts as stuck.
const SLACK: Duration = Duration::from_secs(1);

/// Looks, a second apart, that have to find a task late: a thread that was stopped finds all of them late once.
const LATE_LOOKS: u32 = 2;

/// By when a task has to have moved, while it waits for an answer that has a limit.
pub(crate) struct Pulse {
    due: Cell<Option<Instant>>,
    late: Cell<u32>,
    stuck: Notify,
}

impl Pulse {
    fn new() -> Rc<Self> {
        Rc::new(Self { due: Cell::new(None), late: Cell::new(0), stuck: Notify::new() })
    }

    /// The task waits for something that ends by itself within `limit`.
    pub(crate) fn within(&self, limit: Duration) {
        self.due.set(Some(Instant::now() + limit + SLACK));
        self.late.set(0);
    }

    /// The task waits for nothing that has a limit.
    pub(crate) fn rest(&self) {
        self.due.set(None);
        self.late.set(0);
    }

    fn look(&self, time: Instant) {
        if self.due.get().is_none_or(|due| time < due) {
            return;
        }
        self.late.set(self.late.get() + 1);
        if self.late.get() >= LATE_LOOKS {
            self.stuck.notify_one();
        }
    }
}

/// What is known of all tasks.
#[derive(Default)]
pub(crate) struct Tasks {
    failures: Cell<u64>,
    pulses: RefCell<Vec<Weak<Pulse>>>,
    tampered: Cell<Option<Tamper>>,
}

/// What a test has a task do. The name is the first word of the task's.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Tamper {
    /// Panic when it is run next.
    Panic(&'static str),
    /// Never run again.
    Hang(&'static str),
}

impl Tasks {
    /// Tasks that failed since the start.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Has a task fail, for a test.
    pub(crate) fn tamper(&self, with: Tamper) {
        self.tampered.set(Some(with));
    }

    /// Looks for tasks that do not come back.
    pub(crate) fn look(&self) {
        let time = Instant::now();
        self.pulses.borrow_mut().retain(|pulse| pulse.strong_count() > 0);
        for pulse in self.pulses.borrow().iter().filter_map(Weak::upgrade) {
            pulse.look(time);
        }
    }

    fn pulse(&self) -> Rc<Pulse> {
        let pulse = Pulse::new();
        self.pulses.borrow_mut().push(Rc::downgrade(&pulse));
        pulse
    }

    /// False when a test wants the task to hang.
    #[expect(clippy::panic, reason = "what a test asks for")]
    fn may_run(&self, name: &str) -> bool {
        match self.tampered.get() {
            Some(Tamper::Panic(task)) if name.starts_with(task) => {
                self.tampered.set(None);
                panic!("a test asked for it");
            }
            Some(Tamper::Hang(task)) if name.starts_with(task) => false,
            _ => true,
        }
    }
}

/// Runs a task for as long as the core; whenever it panics or is stuck another one of `make` takes its place.
pub(crate) fn keep<F>(fleet: &Rc<Fleet>, name: String, make: impl Fn(Rc<Fleet>, Rc<Pulse>) -> F + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let (fleet, pulse) = (Rc::clone(fleet), fleet.tasks.pulse());
    spawn_local(async move {
        let mut failures = 0;
        loop {
            let started_at = Instant::now();
            let Err(words) = live(&fleet, &name, &pulse, make(Rc::clone(&fleet), Rc::clone(&pulse))).await
            else {
                return;
            };
            pulse.rest();
            failures = if started_at.elapsed() >= GOOD_LIFE { 1 } else { failures + 1 };
            fleet.task_failed(&name, &words, "another one takes its place");
            sleep(fleet.jittered(backoff(failures, LONGEST_PAUSE))).await;
        }
    });
}

/// Runs a task once; `lost` draws the conclusions should it panic.
pub(crate) fn once(
    fleet: &Rc<Fleet>,
    name: &'static str,
    task: impl Future<Output = ()> + 'static,
    lost: impl FnOnce(&Rc<Fleet>) + 'static,
) {
    let fleet = Rc::clone(fleet);
    spawn_local(async move {
        if let Err(words) = run(&fleet, name, pin!(task)).await {
            fleet.task_failed(name, &words, "what it was about is given up");
            lost(&fleet);
        }
    });
}

/// One life of a task; the error says how it ended before its time.
async fn live(
    fleet: &Rc<Fleet>,
    name: &str,
    pulse: &Pulse,
    task: impl Future<Output = ()>,
) -> Result<(), String> {
    let task = pin!(task);
    tokio::select! {
        biased;
        () = pulse.stuck.notified() => {
            fleet.tasks.tampered.set(None);
            Err("it does not come back from a request that is long over".to_owned())
        }
        ended = run(fleet, name, task) => ended,
    }
}

async fn run(fleet: &Fleet, name: &str, mut task: Pin<&mut impl Future<Output = ()>>) -> Result<(), String> {
    caught(poll_fn(|cx| if fleet.tasks.may_run(name) { task.as_mut().poll(cx) } else { Poll::Pending })).await
}

/// The future's result, or the words of its panic.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(panic_words(&*payload))),
    })
    .await
}

thread_local! {
    /// Where the latest panic of this thread happened.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a panic on the core's thread said, and where it happened.
pub(crate) fn panic_words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = PLACE.with(RefCell::take);
    format!("it panicked{place}: {}", text.unwrap_or("without words"))
}

/// Keeps panics of the core's thread from standard error, where a writer may be blocked for long: they are told as
/// events.
pub(crate) fn quiet_panics() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(THREAD) {
                return others(panic);
            }
            let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
            PLACE.with(|known| *known.borrow_mut() = place.unwrap_or_default());
        }));
    });
}

impl Fleet {
    /// Counts and tells that a task failed; `so` says what follows.
    pub(crate) fn task_failed(&self, task: &str, words: &str, so: &str) {
        self.tasks.failures.set(self.tasks.failures.get() + 1);
        let message = format!("{}; {so}", self.transport.without_credentials(words));
        self.events.push(&Event::TaskFailed { task: task.to_owned(), message });
    }
}
