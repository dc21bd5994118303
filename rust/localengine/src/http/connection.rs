//! One client connection: what its requests have in common, and which protocol it speaks.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::socket::Socket;
use super::tls::Acceptor;
use super::{h1, h2};
use crate::presence::Caller;
use crate::shared::Shared;

/// See the module.
pub(crate) struct Connection {
    pub(crate) shared: Rc<Shared>,
    pub(crate) caller: Caller,
}

impl Connection {
    /// Serves a client until either side closes.
    pub(crate) async fn serve(shared: Rc<Shared>, stream: TcpStream, acceptor: Option<Acceptor>) {
        let connection = Rc::new(Self { shared, caller: Caller::default() });
        let _ = stream.set_nodelay(true);
        let http2 = connection.shared.state.borrow().settings.http2();
        let (socket, http2) = match acceptor {
            None => {
                let http2 = http2 && speaks_http2(&stream).await;
                (Socket::Plain(stream), http2)
            }
            Some(acceptor) => match acceptor.accept(stream, http2).await {
                Ok(accepted) => accepted,
                // The client has been told, as far as it can be.
                Err(_) => return,
            },
        };
        if http2 {
            h2::serve(&connection, socket).await;
        } else {
            // An error here is a client that left: nobody to tell.
            let _ = h1::serve(&connection, socket).await;
        }
        let now = connection.shared.clock.now();
        connection.shared.state.borrow_mut().presence.leave(&connection.caller, now);
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
