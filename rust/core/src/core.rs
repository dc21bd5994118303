//! The handle of the core: starts the native thread and passes it commands. Usable from any thread of the
//! process that made it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};
use std::thread::JoinHandle;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::engine::{Camunda, Engine};
use crate::events::{Event, Events};
use crate::fleet::Fleet;
use crate::fork_guard::ForkGuard;
use crate::link::socket_pair;
use crate::recorder::{LaneSpec, Recorder};
use crate::settings::{CoreSettings, EngineKind, PoolSpec};
use crate::state::Worker;
use crate::tasks::{self, Pulse, Tamper};
use crate::transport::{Route, Transport};
use crate::{dispatch, renew, settle, version, watch, workers};

/// A snapshot that takes longer than this means that the core's thread is gone.
const STATUS_LIMIT: Duration = Duration::from_secs(5);

/// Why the core refuses a call.
#[derive(Debug)]
pub enum CoreError {
    /// What was passed makes no sense; the text names the place.
    Invalid(String),
    /// The system refused a resource.
    System(io::Error),
    /// The core does not run, or not in this process.
    Unusable(&'static str),
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => f.write_str(text),
            Self::System(error) => error.fmt(f),
            Self::Unusable(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CoreError {}

impl From<io::Error> for CoreError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// What a new worker process gets: its number, and the descriptors to hand to it.
#[derive(Debug)]
#[expect(missing_docs, reason = "named as the protocol of the zygote names them")]
pub struct WorkerEnds {
    pub worker: u64,
    pub link: OwnedFd,
    pub recorder: OwnedFd,
}

/// Makes the engine's protocol on the core's thread.
type MakeEngine = Box<dyn FnOnce() -> Box<dyn Engine> + Send>;

type LocalTask = Pin<Box<dyn Future<Output = ()>>>;

enum Command {
    DeclarePool(u32, PoolSpec),
    SwitchPools { begin: Vec<u32>, end: Vec<u32> },
    PausePool(u32, Option<String>),
    GiveUpWorkers(Vec<u64>, String),
    AddWorker { worker: u64, pool: u32, link: OwnedFd, recorder: Recorder },
    DrainWorker(u64),
    WorkerDead(u64, String),
    ShunWorker(u64, bool),
    CondemnWorker(u64, bool),
    BreakBooks(String),
    Tamper(Tamper),
    PinAddresses(Option<Vec<SocketAddr>>),
    StopActivation,
    GiveUp(String),
    SetAuthorization(Option<String>),
    SetGrace(u64),
    Status(blocking::Sender<Vec<u8>>),
    Stop,
}

/// The data path of one fleet.
pub struct Core {
    guard: ForkGuard,
    events: Arc<Events>,
    commands: mpsc::UnboundedSender<Command>,
    pending: Mutex<Option<Pending>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The lanes of each generation that takes workers.
    pools: Mutex<FxHashMap<u32, Vec<LaneSpec>>>,
    pool_ids: AtomicU32,
    workers: AtomicU64,
}

struct Pending {
    settings: CoreSettings,
    engine: MakeEngine,
    route: Route,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Core {
    /// Makes a core that does nothing before [`start`](Self::start). `settings` are JSON.
    pub fn new(settings: &[u8]) -> Result<Self, CoreError> {
        let settings = read(settings)?;
        let fencing = settings.fencing;
        let engine: MakeEngine = match settings.engine.kind {
            EngineKind::Camunda => Box::new(move || Box::new(Camunda::new(fencing))),
        };
        Self::made(settings, engine)
    }

    /// The same over another protocol, so that a test sees what follows from its defects.
    #[doc(hidden)]
    pub fn with_engine(settings: &[u8], engine: MakeEngine) -> Result<Self, CoreError> {
        Self::made(read(settings)?, engine)
    }

    fn made(settings: CoreSettings, engine: MakeEngine) -> Result<Self, CoreError> {
        let route = Route::new(&settings.engine).map_err(CoreError::Invalid)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        Ok(Self {
            guard: ForkGuard::new()?,
            events: Arc::new(Events::new()?),
            commands: sender,
            pending: Mutex::new(Some(Pending { settings, engine, route, commands: receiver })),
            thread: Mutex::default(),
            pools: Mutex::default(),
            pool_ids: AtomicU32::new(0),
            workers: AtomicU64::new(1),
        })
    }

    /// Starts the native thread.
    pub fn start(&self) -> Result<(), CoreError> {
        self.check()?;
        let Some(pending) = lock(&self.pending).take() else {
            return Err(CoreError::Unusable("the core was started before"));
        };
        let events = Arc::clone(&self.events);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        tasks::quiet_panics();
        let body = move || {
            let all = || LocalSet::new().block_on(&runtime, run(pending, Arc::clone(&events)));
            if let Err(payload) = catch_unwind(AssertUnwindSafe(all)) {
                events.push(&Event::CoreFailed { message: tasks::panic_words(&*payload) });
            }
        };
        let thread = std::thread::Builder::new().name(tasks::THREAD.to_owned()).spawn(body)?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// Declares one generation of a pool (JSON); returns its id.
    pub fn declare_pool(&self, spec: &[u8]) -> Result<u32, CoreError> {
        self.check()?;
        let spec: PoolSpec =
            serde_json::from_slice(spec).map_err(|error| CoreError::Invalid(format!("pool: {error}")))?;
        if let Some(fault) = spec.fault() {
            return Err(CoreError::Invalid(fault));
        }
        let id = self.pool_ids.fetch_add(1, Ordering::Relaxed);
        lock(&self.pools).insert(id, spec.lanes.clone());
        self.send(Command::DeclarePool(id, spec))?;
        Ok(id)
    }

    /// Dispatches nothing more to this generation; its workers drain.
    pub fn retire_pool(&self, pool: u32) -> Result<(), CoreError> {
        self.switch_pools(Vec::new(), vec![pool])
    }

    /// In one step: the job types of `begin` go to these generations, and those of `end` are retired.
    pub fn switch_pools(&self, begin: Vec<u32>, end: Vec<u32>) -> Result<(), CoreError> {
        self.check()?;
        let mut pools = lock(&self.pools);
        if let Some(unknown) = begin.iter().chain(&end).find(|id| !pools.contains_key(id)) {
            return Err(CoreError::Invalid(format!("there is no pool with id {unknown}")));
        }
        pools.retain(|id, _| !end.contains(id));
        self.send(Command::SwitchPools { begin, end })
    }

    /// Activates nothing for this generation and hands back what waits for it, for this reason; None ends that.
    pub fn pause_pool(&self, pool: u32, reason: Option<String>) -> Result<(), CoreError> {
        self.send(Command::PausePool(pool, reason))
    }

    /// Hands back what still runs in these workers.
    pub fn give_up_workers(&self, workers: Vec<u64>, reason: String) -> Result<(), CoreError> {
        self.send(Command::GiveUpWorkers(workers, reason))
    }

    /// Makes room for one worker process.
    pub fn add_worker(&self, pool: u32) -> Result<WorkerEnds, CoreError> {
        self.check()?;
        let pools = lock(&self.pools);
        let Some(lanes) = pools.get(&pool) else {
            return Err(CoreError::Invalid(format!("there is no pool with id {pool}")));
        };
        let (core_recorder, recorder) = Recorder::create(lanes)?;
        drop(pools);
        let (core_link, link) = socket_pair()?;
        let worker = self.workers.fetch_add(1, Ordering::Relaxed);
        self.send(Command::AddWorker { worker, pool, link: core_link, recorder: core_recorder })?;
        Ok(WorkerEnds { worker, link, recorder })
    }

    /// Gives this worker nothing more.
    pub fn drain_worker(&self, worker: u64) -> Result<(), CoreError> {
        self.send(Command::DrainWorker(worker))
    }

    /// Tells that the process is dead.
    pub fn worker_dead(&self, worker: u64, reason: String) -> Result<(), CoreError> {
        self.send(Command::WorkerDead(worker, reason))
    }

    /// Gives this worker nothing while the watchdog says that it does not move; what it has not started leaves.
    pub fn shun_worker(&self, worker: u64, shunned: bool) -> Result<(), CoreError> {
        self.send(Command::ShunWorker(worker, shunned))
    }

    /// Tells that the watchdog is about to kill this worker: for jobs over their time limit, else for a fault of
    /// whatever runs there, unless no job is to blame.
    pub fn condemn_worker(&self, worker: u64, blameless: bool) -> Result<(), CoreError> {
        self.send(Command::CondemnWorker(worker, blameless))
    }

    /// How many looks the core's thread has taken at its workers and books, one in a second.
    pub fn beats(&self) -> u64 {
        self.events.beats()
    }

    /// Spoils the books in one way, so that a test sees the audit mend them.
    #[doc(hidden)]
    pub fn break_books(&self, how: String) -> Result<(), CoreError> {
        self.send(Command::BreakBooks(how))
    }

    /// Has a task fail, so that a test sees it replaced.
    #[doc(hidden)]
    pub fn tamper(&self, with: Tamper) -> Result<(), CoreError> {
        self.send(Command::Tamper(with))
    }

    /// Uses these addresses in place of what the engine's name resolves to, so that a test can have some of them dead;
    /// with none the name cannot be resolved.
    #[doc(hidden)]
    pub fn pin_addresses(&self, addresses: Option<Vec<SocketAddr>>) -> Result<(), CoreError> {
        self.send(Command::PinAddresses(addresses))
    }

    /// Starts no more polls.
    pub fn stop_activation(&self) -> Result<(), CoreError> {
        self.send(Command::StopActivation)
    }

    /// Hands back what still runs.
    pub fn give_up(&self, reason: String) -> Result<(), CoreError> {
        self.send(Command::GiveUp(reason))
    }

    /// Replaces the Authorization header.
    pub fn set_authorization(&self, value: Option<String>) -> Result<(), CoreError> {
        self.send(Command::SetAuthorization(value))
    }

    /// Replaces the grace period, in milliseconds: polls that follow are held no longer than fits into it.
    pub fn set_grace(&self, grace_ms: u64) -> Result<(), CoreError> {
        self.send(Command::SetGrace(grace_ms))
    }

    /// Readable while [`take_events`](Self::take_events) has something to return.
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.events.signal()
    }

    /// All events since the last call, oldest first.
    pub fn take_events(&self) -> Result<Vec<Vec<u8>>, CoreError> {
        self.check()?;
        Ok(self.events.take())
    }

    /// The state of the data path as JSON.
    pub fn status(&self) -> Result<Vec<u8>, CoreError> {
        let (sender, receiver) = blocking::channel();
        self.send(Command::Status(sender))?;
        receiver.recv_timeout(STATUS_LIMIT).map_err(|_| CoreError::Unusable("the core does not run"))
    }

    /// Ends the native thread. A second call does nothing.
    pub fn stop(&self) -> Result<(), CoreError> {
        self.check()?;
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = lock(&self.thread).take() {
            thread.join().map_err(|_| CoreError::Unusable("the core's thread had failed"))?;
        }
        Ok(())
    }

    fn send(&self, command: Command) -> Result<(), CoreError> {
        self.check()?;
        self.commands.send(command).map_err(|_| CoreError::Unusable("the core was stopped"))
    }

    fn check(&self) -> Result<(), CoreError> {
        if self.guard.is_owner() {
            return Ok(());
        }
        Err(CoreError::Unusable("a core works only in the process that made it, not in one forked from that"))
    }
}

fn read(settings: &[u8]) -> Result<CoreSettings, CoreError> {
    serde_json::from_slice(settings).map_err(|error| CoreError::Invalid(format!("core settings: {error}")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The core's thread: starts the loops, then follows commands.
async fn run(mut pending: Pending, events: Arc<Events>) {
    let transport = Transport::new(pending.route, Arc::clone(&events));
    let fleet = Rc::new(Fleet::new(pending.settings, (pending.engine)(), transport, events));
    start_loops(&fleet);
    while let Some(command) = pending.commands.recv().await {
        match command {
            Command::DeclarePool(id, spec) => fleet.declare_pool(id, &spec),
            Command::SwitchPools { begin, end } => fleet.switch_pools(&begin, &end),
            Command::PausePool(id, reason) => fleet.pause_pool(id, reason.as_deref()),
            Command::GiveUpWorkers(workers, reason) => {
                fleet.take_back(&reason, |worker| workers.contains(&worker))
            }
            Command::AddWorker { worker, pool, link, recorder } => {
                fleet.add_worker(worker, pool, link, recorder);
            }
            Command::DrainWorker(worker) => fleet.drain_worker(worker),
            Command::WorkerDead(worker, reason) => fleet.bury(worker, &reason),
            Command::ShunWorker(worker, shunned) => fleet.shun(worker, shunned),
            Command::CondemnWorker(worker, blameless) => fleet.condemn(worker, blameless),
            Command::BreakBooks(how) => fleet.break_books(&how),
            Command::Tamper(with) => fleet.tasks.tamper(with),
            Command::PinAddresses(addresses) => fleet.transport.pin_addresses(addresses),
            Command::StopActivation => fleet.stop_activation(),
            Command::GiveUp(reason) => fleet.give_up(&reason),
            Command::SetAuthorization(value) => fleet.set_authorization(value.as_deref()),
            Command::SetGrace(grace_ms) => fleet.grace_ms.set(grace_ms),
            Command::Status(reply) => {
                let _ = reply.send(serde_json::to_vec(&fleet.snapshot()).unwrap_or_default());
            }
            Command::Stop => return,
        }
    }
}

/// Starts what runs for as long as the core, beside what each job type, outcome connection and worker has.
fn start_loops(fleet: &Rc<Fleet>) {
    let keep =
        |name: &str, task: fn(Rc<Fleet>, Rc<Pulse>) -> LocalTask| tasks::keep(fleet, name.to_owned(), task);
    keep("version watch", |fleet, pulse| Box::pin(version::watch(fleet, pulse)));
    keep("prefetch watch", |fleet, _| Box::pin(dispatch::watch_prefetch(fleet)));
    keep("lease watch", |fleet, _| Box::pin(renew::watch_leases(fleet)));
    keep("janitor of connections", |fleet, _| Box::pin(settle::janitor(fleet)));
    keep("worker watch", |fleet, _| Box::pin(watch::watch_workers(fleet)));
}

impl Fleet {
    fn add_worker(self: &Rc<Self>, id: u64, pool: u32, link: OwnedFd, recorder: Recorder) {
        let stream = UnixStream::from_std(link.into());
        let mut state = self.state.borrow_mut();
        let (Ok(socket), Some(pool)) = (stream.map(Rc::new), state.pool(pool)) else { return };
        let worker = Worker::new(id, Rc::clone(&socket), recorder, pool);
        pool.workers.push(worker);
        drop(state);
        let link = workers::serve(Rc::clone(self), id, socket);
        tasks::once(self, "link of a worker", link, move |fleet| {
            fleet.break_worker(id, "the core's end of its link has failed");
        });
    }
}
