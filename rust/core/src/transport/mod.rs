//! Connections to one engine: addresses, the current authorization, one request at a time on each connection.
//! It knows no protocol and never repeats a request; whoever sends decides what an error means.

mod address;
mod connection;
mod stream;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use address::{Address, AddressError};
pub(crate) use connection::{Connection, SendError};

use crate::engine::{Method, Request};

/// A host that does not answer the handshake in this time is as good as down; the next address is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What connections of one kind need: how much a read may bring at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Short answers.
    Outcomes,
    /// Answers with many jobs, and a handle to half-close a held poll.
    Polls,
}

/// The way to one engine.
pub(crate) struct Transport {
    address: Address,
    host: HeaderValue,
    authorization: RefCell<Option<HeaderValue>>,
    /// Rotates through the resolved addresses so that connections spread over them.
    turn: Cell<usize>,
}

impl Transport {
    pub(crate) fn new(address: Address) -> Self {
        let host =
            HeaderValue::from_str(&address.authority()).unwrap_or(HeaderValue::from_static("localhost"));
        Self { address, host, authorization: RefCell::new(None), turn: Cell::new(0) }
    }

    /// Replaces the Authorization header of every request that follows; a value no header can carry is dropped.
    pub(crate) fn set_authorization(&self, value: Option<&str>) {
        let header = value.and_then(|text| HeaderValue::from_str(text).ok()).map(|mut header| {
            header.set_sensitive(true);
            header
        });
        *self.authorization.borrow_mut() = header;
    }

    /// `text` without the credentials, should whoever answered have repeated them.
    pub(crate) fn without_credentials(&self, text: &str) -> String {
        let header = self.authorization.borrow();
        let Some(value) = header.as_ref().and_then(|value| value.to_str().ok()) else {
            return text.to_owned();
        };
        // The scheme, such as `Bearer`, is no secret, and the rest may stand alone.
        let secret = value.split_once(' ').map_or(value, |(_, secret)| secret).trim();
        if secret.is_empty() { text.to_owned() } else { text.replace(secret, "********") }
    }

    /// Opens a connection, trying every resolved address once.
    pub(crate) async fn connect(&self, kind: Kind) -> Result<Connection, SendError> {
        let addresses = self.resolve().await?;
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let mut last = SendError::Unsent(format!("{} resolves to no address", self.address.host));
        for step in 0..addresses.len() {
            let Some(address) = addresses.get(turn.wrapping_add(step) % addresses.len()) else { continue };
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => return Connection::open(socket, kind).await,
                Ok(Err(error)) => last = SendError::Unsent(format!("cannot connect to {address}: {error}")),
                Err(_) => last = SendError::Unsent(format!("{address} does not accept a connection in 5 s")),
            }
        }
        Err(last)
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, SendError> {
        if let Some(ip) = self.address.ip() {
            return Ok(vec![SocketAddr::new(ip, self.address.port)]);
        }
        let target = (self.address.host.as_str(), self.address.port);
        match tokio::net::lookup_host(target).await {
            Ok(found) => Ok(found.collect()),
            Err(error) => Err(SendError::Unsent(format!("cannot resolve {}: {error}", self.address.host))),
        }
    }

    /// The request as it goes on the wire, with the authorization that holds now.
    pub(crate) fn prepare(&self, request: &Request) -> Result<hyper::Request<Full<bytes::Bytes>>, SendError> {
        let method = match request.method {
            Method::Get => hyper::Method::GET,
            Method::Post => hyper::Method::POST,
            Method::Patch => hyper::Method::PATCH,
        };
        let path = match self.address.base_path.as_str() {
            "" => request.path.clone(),
            base => format!("{base}{}", request.path),
        };
        let mut wire = hyper::Request::new(Full::new(request.body.clone()));
        *wire.method_mut() = method;
        *wire.uri_mut() = hyper::Uri::try_from(path)
            .map_err(|error| SendError::Unsent(format!("not a request path: {}: {error}", request.path)))?;
        let headers = wire.headers_mut();
        headers.insert(HOST, self.host.clone());
        if !request.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(authorization) = self.authorization.borrow().as_ref() {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_repeat_the_credentials_are_masked() {
        let transport = Transport::new(Address::parse("http://engine:8080").unwrap());
        assert_eq!(transport.without_credentials("no header yet"), "no header yet");
        transport.set_authorization(Some("Bearer hunter2"));
        assert_eq!(transport.without_credentials("token hunter2 expired"), "token ******** expired");
    }
}
