//! One sender's line to the engine: the connection that it used last, or a place on a shared one.

use std::time::Duration;

use tokio::time::Instant;

use super::error::SendError;
use super::http1::Http1;
use super::http2::Seat;
use super::{Kind, Transport};
use crate::engine::{Answer, Request};

/// Connections that may end on a request, one after the other, before the engine counts as out of reach.
const TRIES: usize = 3;

/// An open connection.
pub(super) enum Connection {
    Http1(Http1),
    Http2(Seat),
}

/// See the module.
pub(crate) struct Line {
    kind: Kind,
    connection: Option<Connection>,
}

impl Line {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, connection: None }
    }

    /// Has a connection that a request can go out on at once.
    pub(crate) async fn ready(&mut self, transport: &Transport) -> Result<(), SendError> {
        self.give_up_stale().await;
        if self.connection.is_none() {
            self.connection = Some(transport.connect(self.kind).await?);
        }
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
            let connection = match &mut self.connection {
                Some(open) => open,
                none => none.insert(transport.connect(self.kind).await?),
            };
            let deadline = Instant::now() + limit;
            let result = match connection {
                Connection::Http1(open) => open.send(transport.http1_request(request)?, deadline).await,
                Connection::Http2(seat) => {
                    seat.send(transport.http2_request(request)?, request.body.clone(), deadline).await
                }
            };
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
        if !reusable {
            self.connection = None;
        }
    }

    /// Gives up the connection, whatever is on its way on it.
    pub(crate) fn close(&mut self) {
        self.connection = None;
    }
}
