//! One client connection: serves it, and keeps what must survive between its requests.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;

use super::receipt::Receipt;
use super::service;
use super::socket::Socket;
use crate::shared::Shared;

/// See the module.
pub(crate) struct Connection {
    pub(crate) shared: Rc<Shared>,
    /// The receipt of the answer that the connection took but did not write out yet.
    unflushed: RefCell<Option<Receipt>>,
    pub(crate) requests: Cell<u64>,
}

impl Connection {
    /// Serves a client until either side closes.
    pub(crate) async fn serve(shared: Rc<Shared>, stream: TcpStream) {
        let connection = Rc::new(Self { shared, unflushed: RefCell::default(), requests: Cell::new(0) });
        let _ = stream.set_nodelay(true);
        let socket = Socket::new(stream, connection.clone());
        let service = {
            let connection = connection.clone();
            service_fn(move |request| service::answer(connection.clone(), request))
        };
        // An error here is a client that left or talked nonsense: nobody to tell.
        let _ = http1::Builder::new().serve_connection(socket, service).await;
        drop(connection.unflushed.take());
    }

    pub(super) fn confirm_when_flushed(&self, receipt: Receipt) {
        if let Some(earlier) = self.unflushed.replace(Some(receipt)) {
            earlier.confirm();
        }
    }

    /// Everything taken so far is in the kernel's hands.
    pub(super) fn flushed(&self) {
        if let Some(receipt) = self.unflushed.take() {
            receipt.confirm();
        }
    }
}
