//! One client connection: serves it, and keeps what must survive between its requests.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use hyper::server::conn::http1;
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
    /// The receipt of the answer that the connection took but did not write out yet.
    unflushed: RefCell<Option<Receipt>>,
    /// Whoever waits for the next flush.
    flush_waker: RefCell<Option<Waker>>,
    flushes: Cell<u64>,
    requests: Cell<u64>,
    /// Engine time of the last answer.
    last_used: Cell<u64>,
    serving: Cell<bool>,
    /// Close with a reset rather than in good order.
    pub(super) reset: Cell<bool>,
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
            reset: Cell::new(false),
        })
    }

    /// Serves a client until either side closes.
    pub(crate) async fn serve(shared: Rc<Shared>, stream: TcpStream) {
        let idle_close_ms = shared.state.borrow().settings.idle_close_ms;
        let connection = Self::new(shared);
        let _ = stream.set_nodelay(true);
        let socket = Socket::new(stream, connection.clone());
        let service = {
            let connection = connection.clone();
            service_fn(move |request| service::answer(connection.clone(), request))
        };
        let serving = http1::Builder::new().serve_connection(socket, service);
        match idle_close_ms {
            Some(limit) => connection.until_idle(limit, serving).await,
            // An error here is a client that left or talked nonsense: nobody to tell.
            None => drop(serving.await),
        }
        drop(connection.unflushed.take());
        let now = connection.shared.clock.now();
        connection.shared.state.borrow_mut().presence.leave(&connection.caller, now);
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

    pub(super) fn confirm_when_flushed(&self, receipt: Receipt) {
        if let Some(earlier) = self.unflushed.replace(Some(receipt)) {
            earlier.confirm();
        }
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
        if let Some(receipt) = self.unflushed.take() {
            receipt.confirm();
        }
        if let Some(waker) = self.flush_waker.take() {
            waker.wake();
        }
    }
}
