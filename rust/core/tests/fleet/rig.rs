//! A fleet without Python: the core, the local engine, and threads in the place of worker processes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jobfleet_core::link::OutcomeRef;
use jobfleet_core::link::worker_end::{Take, WorkerEnd};
use jobfleet_core::recorder::{LaneKind, LaneSpec};
use jobfleet_core::{Core, WorkerEnds};
use jobfleet_localengine::{Dialect, Engine, NewJobs, Options};
use serde_json::{Value, json};

/// Nothing here takes this long unless it hangs. Leases that only a hand-back may end, and held polls, last longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);
/// How long what nobody announces is left unread: looking all the time would take the processor from what is tested.
const LOOK: Duration = Duration::from_millis(1);

pub(crate) struct Fleet {
    pub(crate) engine: Engine,
    pub(crate) core: Arc<Core>,
    seen: Vec<Value>,
}

/// What a thread does with each job: the bytes of the job go in.
pub(crate) type Handler = Arc<dyn Fn(&[u8]) -> Reply + Send + Sync>;

#[derive(Clone)]
pub(crate) enum Reply {
    Complete,
    Fail(String),
    /// Without a back-off: the job may be activated again at once.
    FailNow(String),
    Error(String),
}

pub(crate) struct Worker {
    pub(crate) id: u64,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    cancelled: Arc<AtomicBool>,
}

impl Fleet {
    /// Core and engine with a pool of one main lane that serves these types.
    pub(crate) fn new(dialect: Dialect, types: &[(&str, u64)]) -> Self {
        Self::with(dialect, types, json!({}))
    }

    pub(crate) fn with(dialect: Dialect, types: &[(&str, u64)], more: Value) -> Self {
        Self::made(Options { dialect, ..Options::default() }, more, plain(types))
    }

    /// Core and engine with these settings of the way between them.
    pub(crate) fn over(options: Options, types: &[(&str, u64)], way: Value, more: Value) -> Self {
        let url = url(&options);
        let engine = Engine::start(options).unwrap();
        let mut all = json!({"url": format!("{url}:{}", engine.addr().port())});
        all.as_object_mut().unwrap().extend(way.as_object().unwrap().clone());
        Self::by(engine, all, more, plain(types))
    }

    /// The same from options of the engine, settings of the core and types as the supervisor declares them.
    pub(crate) fn made(options: Options, more: Value, types: Vec<Value>) -> Self {
        Self::on(Engine::start(options).unwrap(), more, types)
    }

    /// The same on an engine that runs already.
    pub(crate) fn on(engine: Engine, more: Value, types: Vec<Value>) -> Self {
        let url = format!("http://{}", engine.addr());
        Self::by(engine, json!({"url": url}), more, types)
    }

    fn by(engine: Engine, way: Value, more: Value, types: Vec<Value>) -> Self {
        let core = Core::new(settings(way, more).to_string().as_bytes()).unwrap();
        Self::around(engine, core, types)
    }

    /// The same from a core that is there already.
    pub(crate) fn around(engine: Engine, core: Core, types: Vec<Value>) -> Self {
        let core = Arc::new(core);
        core.start().unwrap();
        let pool = json!({"name": "default", "generation": 1, "lanes": [["main", 1]], "types": types});
        assert_eq!(core.declare_pool(pool.to_string().as_bytes()).unwrap(), 0);
        Self { engine, core, seen: Vec::new() }
    }

    /// Declares a generation of one main lane that stands by.
    pub(crate) fn standby(&self, generation: u32, types: &[Value]) -> u32 {
        let pool = json!({
            "name": "default",
            "generation": generation,
            "lanes": [["main", 1]],
            "types": types,
            "standby": true,
        });
        self.core.declare_pool(pool.to_string().as_bytes()).unwrap()
    }

    pub(crate) fn add_jobs(&self, job_type: &str, count: u64) {
        self.engine.add_jobs(NewJobs::new(job_type, count)).unwrap();
    }

    /// Runs one job to its end; what the engine knows of it then.
    pub(crate) fn run_one(&self, job_type: &str) -> Value {
        let (key, _) = self.engine.add_jobs(NewJobs::new(job_type, 1)).unwrap();
        self.until_job(key, &["completed", "error_thrown", "incident"])
    }

    /// Waits until the job is in one of these states.
    pub(crate) fn until_job(&self, key: u64, states: &[&str]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let job = self.engine.job(key).unwrap();
            if states.iter().any(|state| job["state"] == *state) {
                return job;
            }
            assert!(Instant::now() < deadline, "never {states:?}: {job}; {}", self.status());
            std::thread::sleep(LOOK);
        }
    }

    /// A worker whose handler is `reply`.
    pub(crate) fn worker(&self, reply: impl Fn(&[u8]) -> Reply + Send + Sync + 'static) -> Worker {
        self.worker_of(0, reply)
    }

    /// A worker of the generation with this id.
    pub(crate) fn worker_of(
        &self,
        pool: u32,
        reply: impl Fn(&[u8]) -> Reply + Send + Sync + 'static,
    ) -> Worker {
        let WorkerEnds { worker, link, recorder } = self.core.add_worker(pool).unwrap();
        let lanes = [LaneSpec { kind: LaneKind::Main, slots: 1 }];
        let end = Arc::new(WorkerEnd::open(link, recorder, &lanes).unwrap());
        let cancelled = Arc::new(AtomicBool::new(false));
        let (watched, flag) = (Arc::downgrade(&end), Arc::clone(&cancelled));
        std::thread::spawn(move || watch_cancels(&watched, &flag));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let handler: Handler = Arc::new(reply);
        let thread = std::thread::spawn(move || serve(&end, &handler, &stopped));
        Worker { id: worker, stop, thread: Some(thread), cancelled }
    }

    /// Waits for an event of this kind.
    pub(crate) fn event(&mut self, kind: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.look();
            if let Some(index) = self.seen.iter().position(|event| event["event"] == kind) {
                return self.seen.remove(index);
            }
            assert!(Instant::now() < deadline, "no event {kind}; {:?}; {}", self.seen, self.status());
            wait_readable(&self.core);
        }
    }

    /// No event of this kind has come.
    pub(crate) fn assert_no_event(&mut self, unwanted: impl Fn(&Value) -> bool) {
        self.look();
        assert!(!self.seen.iter().any(unwanted), "{:?}", self.seen);
    }

    /// Whether an event of this kind has come and was not waited for.
    pub(crate) fn has_told(&mut self, kind: &str) -> bool {
        self.count_told(kind) > 0
    }

    /// How many events of this kind have come and were not waited for.
    pub(crate) fn count_told(&mut self, kind: &str) -> usize {
        self.look();
        self.seen.iter().filter(|event| event["event"] == kind).count()
    }

    fn look(&mut self) {
        let taken = self.core.take_events().unwrap();
        self.seen.extend(taken.iter().map(|event| serde_json::from_slice::<Value>(event).unwrap()));
    }

    /// Sends a command as some other client of the engine; it has to be accepted.
    pub(crate) fn post(&self, path: &str) {
        let mut client = TcpStream::connect(self.engine.addr()).unwrap();
        write!(
            client,
            "POST {path} HTTP/1.1\r\nhost: engine\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }

    /// How often each of the engine's faults has happened.
    pub(crate) fn fired(&self) -> Vec<u64> {
        let mut client = TcpStream::connect(self.engine.addr()).unwrap();
        write!(client, "GET /local/faults HTTP/1.1\r\nhost: engine\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let report: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let faults = report["faults"].as_array().unwrap();
        faults.iter().map(|fault| fault["fired"].as_u64().unwrap()).collect()
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_slice(&self.core.status().unwrap()).unwrap()
    }

    pub(crate) fn account(&self) -> Value {
        serde_json::to_value(self.engine.account()).unwrap()
    }

    /// Waits until the engine's account satisfies `done`.
    pub(crate) fn until(&self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let account = self.account();
            if done(&account) {
                return account;
            }
            assert!(Instant::now() < deadline, "never {what}: {account}; {}", self.status());
            std::thread::sleep(LOOK);
        }
    }

    pub(crate) fn until_status(&self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if done(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never {what}: {status}");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the engine holds so many polls.
    pub(crate) fn until_held(&self, polls: usize) {
        self.until("held polls", |_| self.engine.held_polls() == polls);
    }

    /// Nothing was lost, expired or settled twice.
    pub(crate) fn assert_clean(&self) {
        let account = self.account();
        for word in ["lost", "expired", "settled_twice", "foreign"] {
            assert_eq!(account[word], 0, "{word}: {account}");
        }
    }
}

impl Worker {
    /// Waits until the core has said that some job's outcome is no longer wanted.
    pub(crate) fn until_cancelled(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.cancelled.load(Ordering::Acquire) {
            assert!(Instant::now() < deadline, "nothing was cancelled");
            std::thread::sleep(LOOK);
        }
    }

    /// The outcome of the job that runs will not be sent: the handler's end is the worker's.
    pub(crate) fn doom(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Waits until the worker has left by itself, as after a drain.
    pub(crate) fn left(mut self) -> u64 {
        self.thread.take().unwrap().join().unwrap();
        self.id
    }

    /// Whether the core has said so.
    pub(crate) fn was_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Kills a worker whose handler waits until `gate` is false, before it can settle its job.
    pub(crate) fn kill_at(mut self, gate: &AtomicBool) -> u64 {
        self.stop.store(true, Ordering::Release);
        gate.store(false, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
        self.id
    }

    /// The worker ends without a word, as if killed: its link closes wherever it stands.
    pub(crate) fn kill(mut self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
        self.id
    }
}

/// Settings of a core; `way` is about the engine.
pub(crate) fn settings(way: Value, more: Value) -> Value {
    let mut settings = json!({"engine": {"kind": "camunda"}, "worker_name": "test", "hold_ms": 1000});
    settings["engine"].as_object_mut().unwrap().extend(way.as_object().unwrap().clone());
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

/// The address of an engine with these options, without its port. Certificates are for this name.
fn url(options: &Options) -> &'static str {
    if options.tls.is_some() { "https://localhost" } else { "http://127.0.0.1" }
}

/// Types as the supervisor declares them, one job at a time of each.
pub(crate) fn plain(types: &[(&str, u64)]) -> Vec<Value> {
    let plain =
        |(name, lease_ms): &(&str, u64)| json!({"type": name, "lane": 0, "slots": 1, "lease_ms": lease_ms});
    types.iter().map(plain).collect()
}

fn serve(end: &WorkerEnd, handler: &Handler, stop: &AtomicBool) {
    end.start().unwrap();
    end.ready();
    loop {
        match end.take(0, 0).unwrap() {
            Take::Job(job) => {
                let reply = handler(&job.body);
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let outcome = match &reply {
                    Reply::Complete => OutcomeRef::Complete {
                        variables: Some(b"{\"done\":true}"),
                        result: None,
                        business_id: None,
                    },
                    Reply::Fail(message) => {
                        OutcomeRef::Fail { message, retries: None, backoff_ms: None, variables: None }
                    }
                    Reply::FailNow(message) => {
                        OutcomeRef::Fail { message, retries: None, backoff_ms: Some(0), variables: None }
                    }
                    Reply::Error(code) => OutcomeRef::Error { code, message: None, variables: None },
                };
                end.settle(0, 0, job.number, outcome).unwrap();
            }
            Take::Empty(ticket) => {
                let soon = jobfleet_core::recorder::now_ns() + 5_000_000;
                end.wait(0, ticket, Some(soon)).unwrap();
                if stop.load(Ordering::Acquire) {
                    return;
                }
            }
            Take::Over => return,
        }
    }
}

fn watch_cancels(end: &Weak<WorkerEnd>, flag: &AtomicBool) {
    while let Some(end) = end.upgrade() {
        if !end.take_cancels().is_empty() {
            flag.store(true, Ordering::Release);
        }
        drop(end);
        std::thread::sleep(LOOK);
    }
}

fn wait_readable(core: &Core) {
    let fd = core.event_fd();
    let mut polled = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let limit = rustix::time::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let _ = rustix::event::poll(&mut polled, Some(&limit));
}
