//! HTTP/2 with prior knowledge over cleartext, many streams on one connection.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use hyper::{Request, StatusCode};
use jobfleet_localengine::{Dialect, Engine, Fault, FaultKind, NewJobs, Options, Settings, Target};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

type Outcome = Result<(), Box<dyn Error>>;

/// A socket as hyper wants it.
struct Wire(TcpStream);

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = [0; 16 * 1024];
        let mut whole = ReadBuf::new(&mut space);
        let mut buffer = whole.take(target.remaining());
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        target.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[derive(Clone)]
struct Spawn;

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Spawn {
    fn execute(&self, task: F) {
        tokio::spawn(task);
    }
}

async fn connect(engine: &Engine) -> Result<SendRequest<Full<Bytes>>, Box<dyn Error>> {
    let stream = TcpStream::connect(engine.addr()).await?;
    let (sender, connection) = http2::handshake(Spawn, Wire(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn post(path: &str, body: &str) -> Result<Request<Full<Bytes>>, Box<dyn Error>> {
    let request = Request::post(format!("http://engine{path}")).header("content-type", "application/json");
    Ok(request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?)
}

#[tokio::test]
async fn many_streams_of_one_connection_settle_their_jobs() -> Outcome {
    let engine = Engine::start(Options::default())?;
    let (first, last) = engine.add_jobs(NewJobs::new("work", 200)).ok_or("stopped")?;
    let mut sender = connect(&engine).await?;
    let ask = r#"{"type":"work","maxJobsToActivate":200,"timeout":60000}"#;
    let answer = sender.send_request(post("/v2/jobs/activation", ask)?).await?;
    let body = answer.into_body().collect().await?.to_bytes();
    assert_eq!(String::from_utf8(body.to_vec())?.matches("\"jobKey\"").count(), 200);
    let mut settling = Vec::new();
    for key in first..=last {
        sender.ready().await?;
        settling.push(sender.send_request(post(&format!("/v2/jobs/{key}/completion"), "{}")?));
    }
    for answer in settling {
        assert_eq!(answer.await?.status(), StatusCode::NO_CONTENT);
    }
    let account = engine.account();
    assert_eq!((account.completed, account.undelivered, account.lost), (200, 0, 0));
    Ok(())
}

#[tokio::test]
async fn a_held_stream_waits_while_others_go_on() -> Outcome {
    let engine = Engine::start(Options::default())?;
    let mut sender = connect(&engine).await?;
    let ask = r#"{"type":"work","maxJobsToActivate":1,"timeout":60000,"requestTimeout":60000}"#;
    let held = tokio::spawn(sender.send_request(post("/v2/jobs/activation", ask)?));
    let is_held = async {
        while engine.held_polls() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_held).await?;
    sender.ready().await?;
    assert_eq!(
        sender.send_request(post("/local/jobs", r#"{"type":"work"}"#)?).await?.status(),
        StatusCode::OK
    );
    let body = held.await??.into_body().collect().await?.to_bytes();
    assert!(body.windows(8).any(|window| window == b"\"jobKey\""));
    Ok(())
}

#[tokio::test]
async fn a_reset_ends_its_stream_only() -> Outcome {
    let engine = Engine::start(Options::default())?;
    let (key, _) = engine.add_jobs(NewJobs::new("work", 1)).ok_or("stopped")?;
    engine.set_faults(vec![Fault::new(FaultKind::ResetAfter).on([Target::Complete]).times(1)]);
    let mut sender = connect(&engine).await?;
    let path = format!("/v2/jobs/{key}/completion");
    assert!(sender.send_request(post(&path, "{}")?).await.is_err());
    sender.ready().await?;
    assert_eq!(sender.send_request(post(&path, "{}")?).await?.status(), StatusCode::NOT_FOUND);
    let account = engine.account();
    assert_eq!((account.completed, account.settled_twice), (1, 1), "nobody had activated it");
    Ok(())
}

#[tokio::test]
async fn the_old_dialect_speaks_it_only_when_switched_on() -> Outcome {
    let refusing = Engine::start(Options { dialect: Dialect::V8_6, ..Options::default() })?;
    let mut sender = connect(&refusing).await?;
    assert!(sender.send_request(post("/v2/topology", "")?).await.is_err());
    let settings = Settings { http2: Some(true), ..Settings::default() };
    let willing = Engine::start(Options { dialect: Dialect::V8_6, settings, ..Options::default() })?;
    let mut sender = connect(&willing).await?;
    let request = Request::get("http://engine/v2/topology").body(Full::default())?;
    assert_eq!(sender.send_request(request).await?.status(), StatusCode::OK);
    Ok(())
}
