//! One request from its head to what goes out for it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::connection::Connection;
use super::faulty;
use super::head::Head;
use super::receipt::Receipt;
use super::reply::{Answer, Outgoing, Reply};
use crate::admin;
use crate::camunda::{self, Intake, Verdict};
use crate::options::Settings;
use crate::polls::Held;

/// Bodies beyond are refused: no client of a job API sends such.
pub(super) const MAX_BODY: usize = 64 << 20;

/// Applies a request. Dropped by the caller when the client leaves.
pub(super) async fn settle(connection: &Connection, head: &Head<'_>, body: &[u8]) -> Outgoing {
    if connection.shared.state.borrow().faults.is_empty() {
        let reply = apply(connection, head, body, || {}).await;
        let (answer, receipt) = seal(connection, reply);
        Outgoing::Whole(answer, receipt)
    } else {
        // Boxed, so that the state of faults does not weigh on every request without one.
        Box::pin(faulty::settle(connection, head, body)).await
    }
}

/// Applies a request and waits for its reply. `on_hold` is told when it becomes a held poll.
pub(super) async fn apply(
    connection: &Connection,
    head: &Head<'_>,
    body: &[u8],
    on_hold: impl FnOnce(),
) -> Reply {
    let shared = &connection.shared;
    let verdict = shared.change(|state, now| match admin::handle(shared, state, head, body) {
        Some(answer) => answer.into(),
        None => camunda::handle(state, &Intake { now, caller: &connection.caller, head, body }),
    });
    match verdict {
        Verdict::Reply(reply) => reply,
        Verdict::Hold(held) => {
            on_hold();
            hold(connection, held).await
        }
    }
}

/// Separates an answer from what hangs on its arrival.
pub(super) fn seal(connection: &Connection, reply: Reply) -> (Answer, Option<Receipt>) {
    let Reply { answer, batch, mark } = reply;
    (answer, Receipt::new(&connection.shared, batch, mark))
}

/// Tomcat, which Camunda is served by, closes the connection after these answers.
pub(super) fn closes(settings: &Settings, status: u16, requests: u64) -> bool {
    matches!(status, 400 | 500 | 503)
        || settings.max_requests_per_connection.is_some_and(|limit| requests >= limit)
}

/// Waits for a job or for the end of the hold.
async fn hold(connection: &Connection, held: Rc<Held>) -> Reply {
    let shared = &connection.shared;
    let mut presence = Departure { connection, held: &held, waiting: true };
    let wait = Duration::from_millis(held.until.saturating_sub(shared.clock.now()));
    let reply = poll_fn(|cx| held.take(cx.waker()).map_or(Poll::Pending, Poll::Ready));
    let reply = tokio::time::timeout(wait, reply).await;
    presence.waiting = false;
    reply.unwrap_or_else(|_| {
        shared.state.borrow_mut().polls.remove(&held);
        camunda::no_jobs().into()
    })
}

/// Dropped while the poll is held: the client is gone.
struct Departure<'a> {
    connection: &'a Connection,
    held: &'a Rc<Held>,
    waiting: bool,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        if !self.waiting {
            return;
        }
        let shared = &self.connection.shared;
        let mut state = shared.state.borrow_mut();
        if state.settings.notices_departed() {
            state.polls.remove(self.held);
        } else {
            self.held.departed.set(true);
        }
        drop(state);
        // Jobs may have come in the moment of the departure.
        let batch = self.held.take_orphan().and_then(|reply| reply.batch);
        drop(Receipt::new(shared, batch, None));
    }
}
