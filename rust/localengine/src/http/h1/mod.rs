//! HTTP/1.1: one connection, one request after the other.

mod input;
mod output;
mod parse;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::connection::Connection;
use super::reply::{Answer, Outgoing};
use super::service;
use super::socket::Socket;
use input::{Input, Received};
use output::Output;

/// Serves requests until either side closes.
pub(super) async fn serve(connection: &Connection, mut stream: Socket) -> io::Result<()> {
    let mut input = Input::default();
    let mut output = Output::default();
    let mut requests = 0;
    loop {
        let idle = connection.shared.state.borrow().settings.idle_close_ms.map(Duration::from_millis);
        let received = match idle {
            None => input.receive(&mut stream).await?,
            Some(limit) => match tokio::time::timeout(limit, input.receive(&mut stream)).await {
                Ok(received) => received?,
                Err(_) => return Ok(()),
            },
        };
        requests += 1;
        let (parsed, outgoing) = match received {
            Received::Nothing => return Ok(()),
            Received::Bad(status) => {
                let refusal = Answer { status, content_type: None, body: bytes::Bytes::new() };
                output.answer(connection, &refusal, true);
                return output.send(&mut stream, &refusal.body).await;
            }
            Received::Request(parsed) => {
                let head = input.head(&parsed);
                let work = service::settle(connection, &head, input.body(&parsed));
                match while_connected(&mut stream, work).await {
                    Some(outgoing) => (parsed, outgoing),
                    None => return Ok(()),
                }
            }
        };
        match outgoing {
            Outgoing::Whole(answer, receipt) => {
                let closes = {
                    let settings = &connection.shared.state.borrow().settings;
                    !parsed.keep_alive || service::closes(settings, answer.status, requests)
                };
                output.answer(connection, &answer, closes);
                output.send(&mut stream, &answer.body).await?;
                if let Some(receipt) = receipt {
                    receipt.confirm();
                }
                if closes {
                    return Ok(());
                }
            }
            Outgoing::Half(answer) => {
                output.answer(connection, &answer, false);
                return output.send_half(&mut stream, &answer.body).await;
            }
            // Closing without lingering is how a reset is made.
            Outgoing::Reset => return stream.set_zero_linger(),
        }
        input.consume(&parsed);
    }
}

/// Does the work unless the client leaves first.
async fn while_connected<T>(stream: &mut Socket, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut gone = pin!(stream.departure());
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => gone.as_mut().poll(cx).map(|()| None),
    })
    .await
}
