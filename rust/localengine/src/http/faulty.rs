//! A request while faults are in force: carries out the plan drawn for it.

use std::rc::Rc;

use hyper::Response;
use hyper::http::request::Parts;

use super::Cut;
use super::body::AnswerBody;
use super::connection::Connection;
use super::service::{self, Sending};
use crate::camunda;
use crate::faults::{After, Before, Plan};

/// Like the service's `answer`, with faults.
pub(super) async fn answer(
    connection: &Rc<Connection>,
    head: &Parts,
    body: &[u8],
) -> Result<Response<AnswerBody>, Cut> {
    let mut service = InService::begin(connection);
    let Plan { delay, before, after } = connection.shared.change(|state, _| camunda::plan(state, head));
    match before {
        None => {}
        Some(Before::Refuse(answer)) => {
            service.end();
            tokio::time::sleep(delay).await;
            return Ok(service::respond(connection, answer, Sending::Whole(None)));
        }
        Some(cut @ (Before::Reset | Before::Hang)) => {
            connection.shared.change(|state, _| camunda::note_cut(state, head, body));
            if matches!(cut, Before::Hang) {
                std::future::pending::<()>().await;
            }
            connection.reset();
            return Err(Cut);
        }
    }
    let reply = service::settle(connection, head, body, |_| service.end()).await;
    let (answer, receipt) = service::seal(connection, reply);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    service.end();
    let has_body = !answer.body.is_empty();
    match after {
        None => Ok(service::respond(connection, answer, Sending::Whole(receipt))),
        Some(After::CutJson) if !has_body => {
            Ok(service::respond(connection, answer, Sending::Whole(receipt)))
        }
        Some(After::CutJson) => {
            receipt.into_iter().for_each(super::receipt::Receipt::lose);
            let mut answer = answer;
            answer.body.truncate(answer.body.len() / 2);
            Ok(service::respond(connection, answer, Sending::Whole(None)))
        }
        Some(After::Truncate) if has_body => {
            receipt.into_iter().for_each(super::receipt::Receipt::lose);
            Ok(service::respond(connection, answer, Sending::Half))
        }
        Some(After::Hang) => {
            receipt.into_iter().for_each(super::receipt::Receipt::lose);
            std::future::pending().await
        }
        Some(After::Reset | After::Truncate) => {
            drop(receipt);
            connection.reset();
            Err(Cut)
        }
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
