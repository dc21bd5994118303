//! The handle of the core: starts the native thread and passes it commands. Usable from any thread of the
//! process that made it.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

use crate::engine::{Camunda, Engine};
use crate::events::Events;
use crate::fleet::Fleet;
use crate::fork_guard::ForkGuard;
use crate::link::{FrameReader, socket_pair};
use crate::recorder::{LaneSpec, Recorder};
use crate::settings::{CoreSettings, EngineKind, PoolSpec};
use crate::state::{Pool, Worker, WorkerLane, WorkerState};
use crate::transport::{Route, Transport};
use crate::{activate, dispatch, renew, settle, workers};

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

enum Command {
    DeclarePool(u32, PoolSpec),
    RetirePool(u32),
    AddWorker { worker: u64, pool: u32, link: OwnedFd, recorder: Recorder },
    DrainWorker(u64),
    WorkerDead(u64, String),
    StopActivation,
    GiveUp(String),
    SetAuthorization(Option<String>),
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
    pools: Mutex<Vec<Vec<LaneSpec>>>,
    workers: AtomicU64,
}

struct Pending {
    settings: CoreSettings,
    route: Route,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Core {
    /// Makes a core that does nothing before [`start`](Self::start). `settings` are JSON.
    pub fn new(settings: &[u8]) -> Result<Self, CoreError> {
        let settings: CoreSettings = serde_json::from_slice(settings)
            .map_err(|error| CoreError::Invalid(format!("core settings: {error}")))?;
        let route = Route::new(&settings.engine).map_err(CoreError::Invalid)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        Ok(Self {
            guard: ForkGuard::new()?,
            events: Arc::new(Events::new()?),
            commands: sender,
            pending: Mutex::new(Some(Pending { settings, route, commands: receiver })),
            thread: Mutex::default(),
            pools: Mutex::default(),
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
        let body = move || LocalSet::new().block_on(&runtime, run(pending, events));
        let thread = std::thread::Builder::new().name("jobfleet-core".to_owned()).spawn(body)?;
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
        let mut pools = lock(&self.pools);
        let id = pools.len() as u32;
        pools.push(spec.lanes.clone());
        self.send(Command::DeclarePool(id, spec))?;
        Ok(id)
    }

    /// Dispatches nothing more to this generation; its workers drain.
    pub fn retire_pool(&self, pool: u32) -> Result<(), CoreError> {
        self.send(Command::RetirePool(pool))
    }

    /// Makes room for one worker process.
    pub fn add_worker(&self, pool: u32) -> Result<WorkerEnds, CoreError> {
        self.check()?;
        let pools = lock(&self.pools);
        let Some(lanes) = pools.get(pool as usize) else {
            return Err(CoreError::Invalid(format!("no pool with id {pool} was declared")));
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The core's thread: starts the loops, then follows commands.
async fn run(mut pending: Pending, events: Arc<Events>) {
    let engine: Box<dyn Engine> = match pending.settings.engine.kind {
        EngineKind::Camunda => Box::new(Camunda::new()),
    };
    let transport = Transport::new(pending.route, Arc::clone(&events));
    let fleet = Rc::new(Fleet::new(pending.settings, engine, transport, events));
    spawn_local(activate::probe(Rc::clone(&fleet)));
    spawn_local(dispatch::watch_prefetch(Rc::clone(&fleet)));
    spawn_local(renew::watch_leases(Rc::clone(&fleet)));
    spawn_local(settle::janitor(Rc::clone(&fleet)));
    while let Some(command) = pending.commands.recv().await {
        match command {
            Command::DeclarePool(id, spec) => fleet.declare_pool(id, &spec),
            Command::RetirePool(id) => fleet.retire_pool(id),
            Command::AddWorker { worker, pool, link, recorder } => {
                fleet.add_worker(worker, pool, link, recorder);
            }
            Command::DrainWorker(worker) => fleet.drain_worker(worker),
            Command::WorkerDead(worker, reason) => fleet.bury(worker, &reason),
            Command::StopActivation => fleet.stop_activation(),
            Command::GiveUp(reason) => fleet.give_up(&reason),
            Command::SetAuthorization(value) => fleet.transport.set_authorization(value.as_deref()),
            Command::Status(reply) => {
                let _ = reply.send(serde_json::to_vec(&fleet.snapshot()).unwrap_or_default());
            }
            Command::Stop => return,
        }
    }
}

impl Fleet {
    fn declare_pool(self: &Rc<Self>, id: u32, spec: &PoolSpec) {
        let mut state = self.state.borrow_mut();
        let known = state.types.len();
        let indexes: Vec<usize> = spec.types.iter().map(|kind| state.type_index(&kind.job_type)).collect();
        for (place, (kind, index)) in spec.types.iter().zip(&indexes).enumerate() {
            if let Some(job_type) = state.types.get_mut(*index) {
                job_type.lease = Duration::from_millis(kind.lease_ms);
                job_type.fetch = kind.fetch.as_deref().map(Rc::from);
                job_type.serving.push((id, place));
            }
        }
        let pool = Pool::new(id, spec, indexes.into_iter());
        state.pools.push(pool);
        let fresh = known..state.types.len();
        drop(state);
        for job_type in fresh {
            for second in [false, true] {
                spawn_local(activate::Poller::new(Rc::clone(self), job_type, second).run());
            }
        }
    }

    fn retire_pool(self: &Rc<Self>, id: u32) {
        let mut state = self.state.borrow_mut();
        let Some(pool) = state.pool(id) else { return };
        pool.retired = true;
        let workers: Vec<u64> = pool.workers.iter().map(|worker| worker.id).collect();
        drop(state);
        for worker in workers {
            self.drain_worker(worker);
        }
        self.dispatch_all();
    }

    fn add_worker(self: &Rc<Self>, id: u64, pool: u32, link: OwnedFd, recorder: Recorder) {
        let stream = UnixStream::from_std(link.into());
        let mut state = self.state.borrow_mut();
        let (Ok(socket), Some(pool)) = (stream.map(Rc::new), state.pool(pool)) else { return };
        let types = pool.types.len();
        let lanes = pool.lanes.iter().map(|_| WorkerLane::new(types)).collect();
        pool.workers.push(Worker {
            id,
            state: WorkerState::Starting,
            socket: Rc::clone(&socket),
            recorder,
            reader: FrameReader::new(),
            out: Vec::new(),
            waker: None,
            lanes,
            jobs: 0,
            drain_told: false,
            mute_since: None,
        });
        drop(state);
        spawn_local(workers::serve(Rc::clone(self), id, socket));
    }
}
