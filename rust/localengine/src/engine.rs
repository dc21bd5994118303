//! The handle of a running engine: starts its thread, and carries calls of other threads into it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

use crate::account::Account;
use crate::admin::inspect;
use crate::faults::Fault;
use crate::http::{Acceptor, Connection};
use crate::options::{Dialect, Options, Settings};
use crate::shared::Shared;
use crate::store::NewJobs;

/// Connections that may wait to be accepted; fleets open hundreds at once.
const BACKLOG: u32 = 4096;

type Errand = Box<dyn FnOnce(&Rc<Shared>) + Send>;

/// A running engine. Stops when dropped.
pub struct Engine {
    addr: SocketAddr,
    /// The process that started it: its thread does not exist in a forked child.
    pid: u32,
    life: Mutex<Life>,
}

enum Life {
    Running(Running),
    /// What the account said at the end.
    Stopped(Account),
}

struct Running {
    errands: UnboundedSender<Errand>,
    thread: JoinHandle<()>,
}

impl Engine {
    /// Starts to listen, in a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be resolved or is taken, a certificate is unusable, or no thread can be had.
    pub fn start(options: Options) -> io::Result<Self> {
        let acceptor = options.tls.as_ref().map(Acceptor::new).transpose()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = listen(&runtime, &options)?;
        let addr = listener.local_addr()?;
        let (errands, inbox) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("jobfleet-engine".into())
            .spawn(move || LocalSet::new().block_on(&runtime, run(options, listener, acceptor, inbox)))?;
        Ok(Self { addr, pid: process::id(), life: Mutex::new(Life::Running(Running { errands, thread })) })
    }

    /// False in a process forked from the one that started it.
    pub fn is_own(&self) -> bool {
        process::id() == self.pid
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The account as of now, or as of the end.
    pub fn account(&self) -> Account {
        if let Some(account) = self.call(|shared| shared.state.borrow().store.account()) {
            return account;
        }
        match &*self.life.lock().unwrap_or_else(PoisonError::into_inner) {
            Life::Stopped(account) => account.clone(),
            Life::Running(_) => Account::default(),
        }
    }

    /// Adds jobs; returns their first and last key, or None once the engine is stopped.
    pub fn add_jobs(&self, jobs: NewJobs) -> Option<(u64, u64)> {
        self.call(move |shared| shared.change(|state, _| state.store.add(&jobs)))
    }

    /// Where a job stands, or how it ended, as `GET /local/jobs/{key}` shows it; None when it is unknown.
    pub fn job(&self, key: u64) -> Option<serde_json::Value> {
        self.call(move |shared| shared.state.borrow().store.look(key).as_ref().map(inspect::shown)).flatten()
    }

    /// Makes jobs of this kind up whenever they are asked for.
    pub fn add_endless(&self, jobs: NewJobs) {
        self.call(move |shared| shared.change(|state, _| state.store.add_endless(&jobs)));
    }

    /// Speaks another dialect from the next request on: an upgrade in flight.
    pub fn set_dialect(&self, dialect: Dialect) {
        self.call(move |shared| shared.state.borrow_mut().settings.dialect = dialect);
    }

    /// Replaces all faults; an empty list clears them.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.call(move |shared| shared.state.borrow_mut().faults.set(faults, None));
    }

    /// Replaces the settings.
    pub fn set_settings(&self, settings: Settings) {
        self.call(move |shared| {
            shared.change(|state, _| {
                state.store.keep_history(settings.history);
                state.settings = settings;
            });
        });
    }

    /// Moves engine time forward: leases and back-offs that are due then end.
    pub fn advance(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.call(move |shared| shared.change(|state, _| shared.advance(state, by_ms)));
    }

    /// Polls held now.
    pub fn held_polls(&self) -> usize {
        self.call(|shared| shared.state.borrow().polls.count().0).unwrap_or_default()
    }

    /// Closes the listener and every connection. Idempotent.
    pub fn stop(&self) {
        let account = self.account();
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *life, Life::Stopped(account));
        drop(life);
        if !self.is_own() {
            // The thread belongs to the parent: there is nothing to join, and its wake-up descriptor is shared.
            std::mem::forget(before);
        } else if let Life::Running(Running { errands, thread }) = before {
            drop(errands);
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }

    /// Runs `errand` in the engine's thread and waits for its result.
    fn call<T: Send + 'static>(&self, errand: impl FnOnce(&Rc<Shared>) -> T + Send + 'static) -> Option<T> {
        if !self.is_own() {
            return None;
        }
        let errands = match &*self.life.lock().unwrap_or_else(PoisonError::into_inner) {
            Life::Running(running) => running.errands.clone(),
            Life::Stopped(_) => return None,
        };
        let (sender, result) = mpsc::sync_channel(1);
        let errand: Errand = Box::new(move |shared| {
            // Nobody waits any more when this fails.
            let _ = sender.send(errand(shared));
        });
        errands.send(errand).ok()?;
        drop(errands);
        result.recv().ok()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(runtime: &Runtime, options: &Options) -> io::Result<TcpListener> {
    let _context = runtime.enter();
    let mut addresses = (options.host.as_str(), options.port).to_socket_addrs()?;
    let address = addresses.next().ok_or_else(|| io::Error::other("the host has no address"))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn run(
    options: Options,
    listener: TcpListener,
    acceptor: Option<Acceptor>,
    mut inbox: UnboundedReceiver<Errand>,
) {
    let shared = Shared::new(options);
    let accepting = shared.clone();
    tokio::task::spawn_local(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(Connection::serve(accepting.clone(), stream, acceptor.clone()));
                }
                // Out of descriptors, most likely: closing connections give some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let sweeping = shared.clone();
    tokio::task::spawn_local(async move { sweeping.sweep().await });
    while let Some(errand) = inbox.recv().await {
        errand(&shared);
    }
}
