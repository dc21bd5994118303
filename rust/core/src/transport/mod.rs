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
mod route;
mod socket;
mod stream;
mod tls;
mod wire;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::HeaderValue;

pub use address::{Address, AddressError};
use age::Age;
pub(crate) use error::SendError;
use group::{Group, Open};
use http1::Http1;
use http2::Shared;
use line::Connection;
pub(crate) use line::Line;
pub(crate) use route::Route;
use socket::HalfClose;
use wire::Fixed;

use crate::events::Events;
use crate::settings::Http2;

/// What a connection is for. Held polls never starve outcomes: the kinds share nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Short answers.
    Outcomes,
    /// Answers with many jobs, held for long, and closed from this side in a drain.
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
    outcomes: Rc<Group>,
    polls: Rc<Group>,
    closable: RefCell<Vec<Weak<HalfClose>>>,
}

impl Transport {
    pub(crate) fn new(route: Route, events: Arc<Events>) -> Self {
        let authority = route.address.authority();
        let fixed = Fixed::new(&authority, route.address.https, &route.address.base_path);
        // Fleets that start together begin at different addresses.
        let turn =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos() as usize);
        let mut transport = Self {
            route,
            authority,
            fixed,
            authorization: RefCell::new(None),
            events,
            turn: Cell::new(turn),
            outcomes: Rc::default(),
            polls: Rc::default(),
            closable: RefCell::default(),
        };
        if let Some(proxy) = &transport.route.proxy
            && !transport.tunnels()
        {
            transport.fixed.through_proxy(proxy.authorization.clone());
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

    /// Tells an engine that looks for it that nobody waits for held polls any more. Each answer that is on its way
    /// is still read, so that no job is stranded in it.
    pub(crate) fn half_close_polls(&self) {
        for half_close in self.closable.borrow().iter().filter_map(Weak::upgrade) {
            half_close.close();
        }
    }

    /// A connection for one sender: a place on one that is there, or a new one.
    async fn connect(&self, kind: Kind) -> Result<Connection, SendError> {
        let group = self.group(kind);
        if let Some(seat) = group.seat() {
            return Ok(Connection::Http2(seat));
        }
        if !self.may_share() || group.speaks_http1() {
            return self.open(kind).await;
        }
        // What one of those who wait opens, or fails to open, serves all of them.
        let failures = group.failures();
        let _opening = group.opening.lock().await;
        if let Some(seat) = group.seat() {
            return Ok(Connection::Http2(seat));
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

    async fn open(&self, kind: Kind) -> Result<Connection, SendError> {
        let group = self.group(kind);
        let socket = self.dial(kind).await?;
        let share = f64::from(self.turn.get() as u32 % 16) / 16.0;
        let (age, open) = (Age::new(self.route.max_age, share), Open::new(group));
        let http2 = socket.agreed_http2() || self.route.prior_knowledge();
        group.found_http1(!http2);
        if !http2 {
            return Ok(Connection::Http1(Http1::open(socket, kind, age, open).await?));
        }
        let shared = Shared::open(socket, kind, age, open).await?;
        group.add(&shared);
        let seat =
            shared.seat().ok_or_else(|| SendError::Refused("the engine allows no stream".to_owned()))?;
        Ok(Connection::Http2(seat))
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

    fn note_closable(&self, half_close: &Rc<HalfClose>) {
        let mut known = self.closable.borrow_mut();
        known.retain(|other| other.strong_count() > 0);
        known.push(Rc::downgrade(half_close));
    }

    /// What status 407 means where a proxy reads requests: this one has not gone further.
    fn proxy_refusal(&self) -> Option<String> {
        let proxy = self.route.proxy.as_ref().filter(|_| !self.tunnels())?;
        Some(proxy.unauthorized())
    }
}
