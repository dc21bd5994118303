//! Connections to one engine: addresses, TLS, proxies, the current authorization. HTTP/1.1 carries one request at
//! a time on each connection, HTTP/2 many. It knows no protocol above HTTP, and repeats only requests that were
//! never taken; whoever sends decides what another error means.

mod address;
mod age;
mod dial;
mod error;
mod group;
mod http1;
mod http2;
mod line;
mod proxy;
mod resolve;
mod route;
mod socket;
mod tls;
mod wire;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use tokio::time::{Instant, timeout};

pub use address::{Address, AddressError};
use age::{Age, Renewal};
pub(crate) use error::SendError;
use group::{Group, Open};
use http1::Http1;
use http2::{Seat, Shared};
use line::Connection;
pub(crate) use line::Line;
use resolve::Resolver;
pub(crate) use route::Route;
use socket::HalfClose;
use tls::{Reread, Tls};
use wire::Fixed;

use crate::events::{Event, Events, INFO, WARNING};
use crate::settings::Http2;

/// The most time for opening a connection that is not needed.
const WAY_LIMIT: Duration = Duration::from_secs(1);

/// What a connection is for. Held polls never starve outcomes: the kinds share nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Short answers.
    Outcomes,
    /// Answers with many jobs, held for long, and closed from this side once nobody waits for them.
    Polls,
}

/// The way to one engine.
pub(crate) struct Transport {
    route: Route,
    /// Host and port of the engine.
    authority: String,
    fixed: Fixed,
    authorization: RefCell<Option<HeaderValue>>,
    events: Arc<Events>,
    /// Rotates through the resolved addresses so that connections spread over them.
    turn: Cell<usize>,
    resolver: Resolver,
    renewal: Renewal,
    /// Addresses that could not be used, and since when.
    avoided: RefCell<Vec<(SocketAddr, Instant)>>,
    outcomes: Rc<Group>,
    polls: Rc<Group>,
    /// Of the connections that carry polls, by job type; those of HTTP/2 carry several.
    closable: RefCell<Vec<(usize, Weak<HalfClose>)>>,
}

impl Transport {
    pub(crate) fn new(route: Route, events: Arc<Events>) -> Self {
        let authority = route.address.authority();
        let fixed = Fixed::new(&authority, route.address.https, &route.address.base_path);
        // Fleets that start together begin at different addresses.
        let turn = crate::job::now().subsec_nanos() as usize;
        let mut transport = Self {
            route,
            authority,
            fixed,
            authorization: RefCell::new(None),
            events,
            turn: Cell::new(turn),
            resolver: Resolver::default(),
            renewal: Renewal::default(),
            avoided: RefCell::default(),
            outcomes: Rc::new(Group::new(Kind::Outcomes)),
            polls: Rc::new(Group::new(Kind::Polls)),
            closable: RefCell::default(),
        };
        if let Some(proxy) = &transport.route.proxy
            && !transport.tunnels()
        {
            transport.fixed.through_proxy(proxy.authorization.as_ref());
        }
        transport
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

    /// Uses these addresses in place of what the host's name resolves to, for a test.
    pub(crate) fn pin_addresses(&self, addresses: Option<Vec<SocketAddr>>) {
        self.resolver.pin(addresses);
    }

    /// Looks whether certificates were replaced; connections that were made with the old ones are given up soon, each
    /// after its request.
    pub(crate) fn look_at_certificates(&self) {
        self.reread_certificates(Tls::look);
    }

    fn reread_certificates(&self, read: impl Fn(&Tls) -> Option<Reread>) {
        let Some(reread) = self.route.tls.as_ref().and_then(read) else { return };
        let (level, message) = match reread {
            Reread::Done => {
                self.renewal.set(Some(Instant::now()));
                let message = "the certificates have changed; the new ones hold for new connections, and those that were \
                               made with the old ones are replaced after their requests";
                (INFO, message.to_owned())
            }
            Reread::Failed(fault) => (
                WARNING,
                format!(
                    "the certificates have changed and cannot be used, the old ones stay in force: {fault}"
                ),
            ),
        };
        self.events.push(&Event::Notice { level, message });
    }

    /// Open connections of a kind.
    pub(crate) fn connections(&self, kind: Kind) -> u64 {
        self.group(kind).sockets()
    }

    /// Connections that were opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.outcomes.opened() + self.polls.opened()
    }

    /// Senders of a kind that share HTTP/2 connections.
    pub(crate) fn streams(&self, kind: Kind) -> u64 {
        self.group(kind).seats()
    }

    /// Whether senders of a kind share connections, as far as is known.
    pub(crate) fn shares(&self, kind: Kind) -> bool {
        self.may_share() && !self.group(kind).speaks_http1()
    }

    /// Tells an engine that looks for it that nobody waits for jobs of these types any more. Each answer that is on
    /// its way is still read, so that no job is stranded in it. Polls that share a connection with those of other types
    /// are left to their end: resetting their streams could strand an answer.
    pub(crate) fn half_close_polls(&self, of: impl Fn(usize) -> bool) {
        let closable = self.closable.borrow();
        let wanted = |half_close: &Weak<HalfClose>| {
            closable.iter().any(|(job_type, other)| !of(*job_type) && other.ptr_eq(half_close))
        };
        let chosen = closable.iter().filter(|(job_type, half_close)| of(*job_type) && !wanted(half_close));
        for half_close in chosen.filter_map(|(_, half_close)| half_close.upgrade()) {
            half_close.close();
        }
    }

    /// A connection for one sender: a place on one that is there, or a new one. Those of polls can be half-closed.
    async fn connect(
        &self,
        kind: Kind,
        job_type: usize,
    ) -> Result<(Connection, Option<Rc<HalfClose>>), SendError> {
        let (connection, half_close) = self.take_or_open(kind).await?;
        let mut known = self.closable.borrow_mut();
        known.retain(|(_, other)| other.strong_count() > 0);
        if let Some(half_close) = half_close.as_ref().map(Rc::downgrade)
            && !known.iter().any(|(other, same)| *other == job_type && same.ptr_eq(&half_close))
        {
            known.push((job_type, half_close));
        }
        Ok((connection, half_close))
    }

    async fn take_or_open(&self, kind: Kind) -> Result<(Connection, Option<Rc<HalfClose>>), SendError> {
        let group = self.group(kind);
        if let Some(seat) = group.seat_for_now() {
            return Ok(seated(seat));
        }
        if !self.shares(kind) {
            return self.open(kind).await;
        }
        // What one of those who wait opens, or fails to open, serves all of them.
        let failures = group.failures();
        let _opening = group.opening.lock().await;
        if let Some(seat) = group.seat_for_now() {
            return Ok(seated(seat));
        }
        if group.wants_way() {
            return self.open_another(kind).await;
        }
        if group.failures() != failures {
            return Err(SendError::Unsent(group.words()));
        }
        let opened = self.open(kind).await;
        if let Err(SendError::Unsent(words)) = &opened {
            group.failed(words);
        }
        opened
    }

    /// Opens one more connection than is needed; if that does not work soon, those that there are have to do.
    async fn open_another(&self, kind: Kind) -> Result<(Connection, Option<Rc<HalfClose>>), SendError> {
        if let Ok(Ok(opened)) = timeout(WAY_LIMIT, self.open(kind)).await {
            return Ok(opened);
        }
        let group = self.group(kind);
        group.no_more_ways();
        match group.seat() {
            Some(seat) => Ok(seated(seat)),
            None => self.open(kind).await,
        }
    }

    async fn open(&self, kind: Kind) -> Result<(Connection, Option<Rc<HalfClose>>), SendError> {
        let group = self.group(kind);
        self.reread_certificates(Tls::reread);
        let began = Instant::now();
        let mut socket = self.dial().await?;
        let half_close = (kind == Kind::Polls).then(|| socket.closable());
        let share = f64::from(self.turn.get() as u32 % 16) / 16.0;
        let (age, open) = (Age::new(began, self.route.max_age, share, &self.renewal), Open::new(group));
        let http2 = socket.agreed_http2() || self.route.prior_knowledge();
        group.found_http1(!http2);
        if !http2 {
            return Ok((Connection::Http1(Box::new(Http1::new(socket, kind, age, open))), half_close));
        }
        let peer = socket.peer();
        let shared = match Shared::open(socket, kind, age, open, half_close).await {
            Ok(shared) => shared,
            Err(error) => {
                self.avoid(peer);
                return Err(error);
            }
        };
        group.add(&shared);
        let seat =
            shared.seat().ok_or_else(|| SendError::Refused("the engine allows no stream".to_owned()))?;
        Ok(seated(seat))
    }

    /// Whether connections may turn out to speak HTTP/2.
    fn may_share(&self) -> bool {
        match self.route.http2 {
            Http2::Never => false,
            Http2::Auto => self.route.tls.is_some(),
            Http2::Always => true,
        }
    }

    /// Whether a proxy only connects, and does not read requests.
    fn tunnels(&self) -> bool {
        self.route.tls.is_some() || self.route.prior_knowledge()
    }

    fn group(&self, kind: Kind) -> &Rc<Group> {
        match kind {
            Kind::Outcomes => &self.outcomes,
            Kind::Polls => &self.polls,
        }
    }

    /// What status 407 means where a proxy reads requests: this one has not gone further.
    fn proxy_refusal(&self) -> Option<String> {
        let proxy = self.route.proxy.as_ref().filter(|_| !self.tunnels())?;
        Some(proxy.unauthorized())
    }
}

fn seated(seat: Seat) -> (Connection, Option<Rc<HalfClose>>) {
    let half_close = seat.half_close();
    (Connection::Http2(seat), half_close)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_that_repeat_the_credentials_are_masked() {
        let settings = json!({"kind": "camunda", "url": "http://engine:8080"});
        let route = Route::new(&serde_json::from_value(settings).unwrap()).unwrap();
        let transport = Transport::new(route, Arc::new(Events::new().unwrap()));
        assert_eq!(transport.without_credentials("no header yet"), "no header yet");
        transport.set_authorization(Some("Bearer hunter2"));
        assert_eq!(transport.without_credentials("token hunter2 expired"), "token ******** expired");
    }
}
