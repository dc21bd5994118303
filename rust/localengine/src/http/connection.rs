//! One client connection: serves it, and keeps what must survive between its requests.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use tokio::net::TcpStream;

use super::receipt::Receipt;
use super::service;
use super::socket::Socket;
use crate::presence::Caller;
use crate::shared::Shared;

/// See the module.
pub(crate) struct Connection {
    pub(crate) shared: Rc<Shared>,
    pub(crate) caller: Caller,
    /// The receipts of answers that the connection took but did not write out yet; one, but for HTTP/2.
    unflushed: RefCell<Vec<Receipt>>,
    /// Whoever waits for the next flush.
    flush_waker: RefCell<Option<Waker>>,
    flushes: Cell<u64>,
    requests: Cell<u64>,
    /// Engine time of the last answer.
    last_used: Cell<u64>,
    serving: Cell<bool>,
    http2: Cell<bool>,
    /// Close with a reset rather than in good order.
    reset: Cell<bool>,
}

impl Connection {
    fn new(shared: Rc<Shared>) -> Rc<Self> {
        let last_used = Cell::new(shared.clock.now());
        Rc::new(Self {
            shared,
            caller: Caller::default(),
            unflushed: RefCell::default(),
            flush_waker: RefCell::default(),
            flushes: Cell::new(0),
            requests: Cell::new(0),
            last_used,
            serving: Cell::new(false),
            http2: Cell::new(false),
            reset: Cell::new(false),
        })
    }

    /// Serves a client until either side closes.
    pub(crate) async fn serve(shared: Rc<Shared>, stream: TcpStream) {
        let (idle_close_ms, http2) = {
            let settings = &shared.state.borrow().settings;
            (settings.idle_close_ms, settings.http2())
        };
        let connection = Self::new(shared);
        let _ = stream.set_nodelay(true);
        if http2 && speaks_http2(&stream).await {
            connection.http2.set(true);
        }
        match idle_close_ms {
            Some(limit) => connection.until_idle(limit, connection.talk(stream)).await,
            None => connection.talk(stream).await,
        }
        connection.unflushed.take();
        let now = connection.shared.clock.now();
        connection.shared.state.borrow_mut().presence.leave(&connection.caller, now);
    }

    async fn talk(self: &Rc<Self>, stream: TcpStream) {
        let socket = Socket::new(stream, self.clone());
        let service = {
            let connection = self.clone();
            service_fn(move |request| service::answer(connection.clone(), request))
        };
        // An error here is a client that left or talked nonsense: nobody to tell.
        if self.http2.get() {
            drop(http2::Builder::new(LocalTasks).serve_connection(socket, service).await);
        } else {
            drop(http1::Builder::new().serve_connection(socket, service).await);
        }
    }

    async fn until_idle<T>(&self, limit: u64, serving: impl Future<Output = T>) {
        let mut serving = std::pin::pin!(serving);
        loop {
            let idle = self.shared.clock.now().saturating_sub(self.last_used.get());
            let wait = match limit.saturating_sub(idle) {
                0 if !self.serving.get() => return,
                0 => limit.max(1),
                rest => rest,
            };
            let waited = tokio::time::timeout(Duration::from_millis(wait), serving.as_mut());
            if waited.await.is_ok() {
                return;
            }
        }
    }

    /// A request arrived; returns its number on this connection, from 1 on.
    pub(super) fn begin(&self) -> u64 {
        self.serving.set(true);
        self.requests.set(self.requests.get() + 1);
        self.requests.get()
    }

    /// Its answer is ready to be written.
    pub(super) fn end(&self) {
        self.serving.set(false);
        self.last_used.set(self.shared.clock.now());
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Ends the connection with a reset; HTTP/2 resets the request's stream by itself.
    pub(super) fn reset(&self) {
        self.reset.set(!self.http2.get());
    }

    pub(super) fn ends_with_reset(&self) -> bool {
        self.reset.get()
    }

    pub(super) fn confirm_when_flushed(&self, receipt: Receipt) {
        self.unflushed.borrow_mut().push(receipt);
    }

    /// How often everything was written out so far.
    pub(super) fn flushes(&self) -> u64 {
        self.flushes.get()
    }

    pub(super) fn wake_when_flushed(&self, waker: &Waker) {
        self.flush_waker.replace(Some(waker.clone()));
    }

    /// Everything taken so far is in the kernel's hands.
    pub(super) fn flushed(&self) {
        self.flushes.set(self.flushes.get() + 1);
        self.unflushed.borrow_mut().drain(..).for_each(Receipt::confirm);
        if let Some(waker) = self.flush_waker.take() {
            waker.wake();
        }
    }
}

/// Tasks of a connection run beside it, in the engine's thread.
#[derive(Clone, Copy)]
struct LocalTasks;

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalTasks {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// What HTTP/2 with prior knowledge begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// Looks at the first bytes without taking them.
async fn speaks_http2(stream: &TcpStream) -> bool {
    let mut start = [0; PREFACE.len()];
    loop {
        let Ok(length) = stream.peek(&mut start).await else { return false };
        let seen = start.get(..length).unwrap_or_default();
        if length == 0 || !PREFACE.starts_with(seen) {
            return false;
        }
        if length == PREFACE.len() {
            return true;
        }
        // Too few bytes to tell, which hardly ever happens: a peek does not wait for more.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
