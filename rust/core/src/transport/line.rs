//! One sender's line to the engine: the connection that it used last, or a place on a shared one.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::dial::DIAL_LIMIT;
use super::error::SendError;
use super::http1::Http1;
use super::http2::Seat;
use super::socket::HalfClose;
use super::{Kind, Transport};
use crate::engine::{Answer, Request};
use crate::tasks::Pulse;

/// Connections that may end on a request, one after the other, before the engine counts as out of reach.
const TRIES: usize = 3;

/// An open connection.
pub(super) enum Connection {
    Http1(Box<Http1>),
    Http2(Seat),
}

impl Connection {
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Http1(open) => open.peer,
            Self::Http2(seat) => seat.peer(),
        }
    }
}

/// See the module.
pub(crate) struct Line {
    kind: Kind,
    /// Of polls; of no meaning for commands.
    job_type: usize,
    connection: Option<Connection>,
    /// Of the latest connection.
    half_close: Option<Rc<HalfClose>>,
    /// Of the task that waits on the line.
    pulse: Option<Rc<Pulse>>,
}

impl Line {
    /// For commands.
    pub(crate) fn outcomes() -> Self {
        Self { kind: Kind::Outcomes, job_type: 0, connection: None, half_close: None, pulse: None }
    }

    /// For polls of one job type.
    pub(crate) fn polls(job_type: usize) -> Self {
        Self { kind: Kind::Polls, job_type, connection: None, half_close: None, pulse: None }
    }

    /// Notes with the task that waits on the line by when each step is over.
    pub(crate) fn watched(self, pulse: Rc<Pulse>) -> Self {
        Self { pulse: Some(pulse), ..self }
    }

    /// Has a connection that a request can go out on at once.
    pub(crate) async fn ready(&mut self, transport: &Transport) -> Result<(), SendError> {
        self.give_up_stale().await;
        if self.connection.is_none() {
            self.connect(transport).await?;
        }
        Ok(())
    }

    async fn connect(&mut self, transport: &Transport) -> Result<(), SendError> {
        if let Some(pulse) = &self.pulse {
            // Whoever waits for another to open a shared connection may have to open one after that.
            pulse.within(2 * DIAL_LIMIT);
        }
        let (connection, half_close) = transport.connect(self.kind, self.job_type).await?;
        (self.connection, self.half_close) = (Some(connection), half_close);
        Ok(())
    }

    /// Sends one request and reads its answer to the end. A request that the connection never took goes out on the
    /// next. The answer has to come within `limit` of sending.
    pub(crate) async fn send(
        &mut self,
        transport: &Transport,
        request: &Request,
        limit: Duration,
    ) -> Result<Answer, SendError> {
        let mut tries = 0;
        loop {
            if self.connection.is_none() {
                self.connect(transport).await?;
            }
            let Some(connection) = &mut self.connection else { continue };
            if let Some(pulse) = &self.pulse {
                pulse.within(limit);
            }
            let deadline = Instant::now() + limit;
            let result = match connection {
                Connection::Http1(open) => open.send(transport, request, deadline).await,
                Connection::Http2(seat) => {
                    seat.send(transport.http2_request(request)?, request.body.clone(), deadline).await
                }
            };
            if matches!(result, Err(SendError::Ambiguous(_))) && Instant::now() >= deadline {
                transport.avoid(connection.peer());
            }
            tries += 1;
            match result {
                Err(SendError::Gone(_)) if tries < TRIES => self.connection = None,
                Err(SendError::Gone(words)) => return Err(SendError::Unsent(words)),
                Ok(Answer { status: 407, .. }) if let Some(words) = transport.proxy_refusal() => {
                    return Err(SendError::Unsent(words));
                }
                other => return other,
            }
        }
    }

    /// Closes a connection that no further request should go out on.
    pub(crate) async fn give_up_stale(&mut self) {
        let reusable = match &mut self.connection {
            Some(Connection::Http1(open)) => open.reusable().await,
            Some(Connection::Http2(seat)) => seat.reusable(),
            None => return,
        };
        if !reusable || self.half_closed() {
            self.connection = None;
        }
    }

    /// Whether this side has told the engine that nobody waits on the connection any more.
    pub(crate) fn half_closed(&self) -> bool {
        self.half_close.as_ref().is_some_and(|half_close| half_close.is_wanted())
    }

    /// Gives up the connection, whatever is on its way on it.
    pub(crate) fn close(&mut self) {
        self.connection = None;
    }
}
