//! A request while faults are in force: carries out the plan drawn for it.

use std::future::pending;

use super::connection::Connection;
use super::head::Head;
use super::receipt::Receipt;
use super::reply::{Answer, Outgoing};
use super::service;
use crate::camunda;
use crate::faults::{After, Before, Plan};

/// Like the service's `settle`, with faults.
pub(super) async fn settle(connection: &Connection, head: &Head<'_>, body: &[u8]) -> Outgoing {
    let mut service = InService::begin(connection);
    let Plan { delay, before, after } = connection.shared.change(|state, _| camunda::plan(state, head));
    match before {
        None => {}
        Some(Before::Refuse(answer)) => {
            service.end();
            connection.shared.change(|state, _| camunda::note_refusal(state, head, body, answer.status));
            tokio::time::sleep(delay).await;
            return Outgoing::Whole(answer, None);
        }
        Some(Before::Reset) => {
            connection.shared.change(|state, _| camunda::note_cut(state, head, body));
            return Outgoing::Reset;
        }
        Some(Before::Hang) => {
            connection.shared.change(|state, _| camunda::note_cut(state, head, body));
            return pending().await;
        }
    }
    let reply = service::apply(connection, head, body, || service.end()).await;
    let (answer, receipt) = service::seal(connection, reply);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    service.end();
    spoil(answer, receipt, after).await
}

/// What happens to the answer.
async fn spoil(mut answer: Answer, receipt: Option<Receipt>, after: Option<After>) -> Outgoing {
    let lose = |receipt: Option<Receipt>| receipt.into_iter().for_each(Receipt::lose);
    let has_body = !answer.body.is_empty();
    match after {
        None => Outgoing::Whole(answer, receipt),
        Some(After::CutJson) if !has_body => Outgoing::Whole(answer, receipt),
        Some(After::CutJson) => {
            lose(receipt);
            answer.body.truncate(answer.body.len() / 2);
            Outgoing::Whole(answer, None)
        }
        Some(After::Truncate) if has_body => {
            lose(receipt);
            Outgoing::Half(answer)
        }
        Some(After::Hang) => {
            lose(receipt);
            pending().await
        }
        // Dropping the receipt tells the account.
        Some(After::Reset | After::Truncate) => Outgoing::Reset,
    }
}

/// Counts a request as in service until it is answered, held or dropped.
struct InService<'a> {
    connection: &'a Connection,
    counted: bool,
}

impl<'a> InService<'a> {
    fn begin(connection: &'a Connection) -> Self {
        connection.shared.state.borrow_mut().faults.in_service += 1;
        Self { connection, counted: true }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.counted) {
            let mut state = self.connection.shared.state.borrow_mut();
            state.faults.in_service = state.faults.in_service.saturating_sub(1);
        }
    }
}

impl Drop for InService<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
