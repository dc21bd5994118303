//! What the client concludes from a server that speaks in frames of its own making.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::super::{Kind, Line, Route, SendError, Transport};
use crate::engine::{Answer, Method, Request};
use crate::events::Events;

#[path = "ways_tests.rs"]
mod ways;

const LIMIT: Duration = Duration::from_secs(60);

/// What the server does with a request.
#[derive(Clone, Copy)]
enum Deed {
    Answer,
    /// RST_STREAM with this code.
    Reset(u8),
    /// GOAWAY that names this stream as the last one, then silence.
    GoAway(u8),
    /// GOAWAY that names this stream as the last one, then the end.
    GoAwayAndClose(u8),
    Close,
    Nothing,
}

/// A server of HTTP/2 and its script: from the connection's number and the stream to what happens.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(script: impl Fn(usize, u8) -> Deed + Send + Sync + 'static) -> Self {
        Self::with_settings(&[], script)
    }

    fn with_settings(settings: &[u8], script: impl Fn(usize, u8) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, script) = (Arc::clone(&connections), Arc::new(script));
        let settings = settings.to_vec();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::AcqRel);
                let (script, settings) = (Arc::clone(&script), settings.clone());
                // The client's end of the connection is this thread's end.
                std::thread::spawn(move || serve(socket, &settings, |stream| script(number, stream)));
            }
        });
        Self { port, connections }
    }

    fn transport(&self) -> Transport {
        let settings = json!({
            "kind": "camunda", "url": format!("http://127.0.0.1:{}", self.port), "http2": "always",
        });
        let route = Route::new(&serde_json::from_value(settings).unwrap()).unwrap();
        Transport::new(route, Arc::new(Events::new().unwrap()))
    }
}

fn frame(socket: &mut TcpStream, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
    let mut bytes = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
    bytes.extend_from_slice(payload);
    // A client that has left needs no frame.
    let _ = socket.write_all(&bytes);
}

fn serve(mut socket: TcpStream, settings: &[u8], script: impl Fn(u8) -> Deed) {
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).unwrap();
    frame(&mut socket, 4, 0, 0, settings);
    let mut head = [0; 9];
    while socket.read_exact(&mut head).is_ok() {
        let mut payload =
            vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        socket.read_exact(&mut payload).unwrap();
        let (kind, flags, stream) = (head[3], head[4], head[8]);
        match kind {
            4 if flags & 1 == 0 => frame(&mut socket, 4, 1, 0, &[]),
            6 if flags & 1 == 0 => frame(&mut socket, 6, 1, 0, &payload),
            0 | 1 if flags & 1 == 1 => match script(stream) {
                // The static table has ":status 204" at 9.
                Deed::Answer => frame(&mut socket, 1, 5, stream, &[0x89]),
                Deed::Reset(code) => frame(&mut socket, 3, 0, stream, &[0, 0, 0, code]),
                Deed::GoAway(last) => frame(&mut socket, 7, 0, 0, &[0, 0, 0, last, 0, 0, 0, 0]),
                Deed::GoAwayAndClose(last) => {
                    frame(&mut socket, 7, 0, 0, &[0, 0, 0, last, 0, 0, 0, 0]);
                    return;
                }
                Deed::Close => return,
                Deed::Nothing => {}
            },
            _ => {}
        }
    }
}

fn request() -> Request {
    Request { method: Method::Post, path: "/v2/jobs/1/completion".into(), body: Bytes::from_static(b"{}") }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

fn send_one(server: &Server) -> Result<Answer, SendError> {
    let transport = server.transport();
    run(async { Line::outcomes().send(&transport, &request(), LIMIT).await })
}

#[test]
fn an_answered_stream_is_answered() {
    assert_eq!(send_one(&Server::start(|_, _| Deed::Answer)).unwrap().status, 204);
}

#[test]
fn a_refused_stream_was_not_processed() {
    let server = Server::start(|_, _| Deed::Reset(7));
    assert!(matches!(send_one(&server), Err(SendError::Refused(_))));
}

#[test]
fn a_stream_that_is_reset_otherwise_leaves_doubt() {
    for code in [0, 1, 2, 8, 11] {
        let server = Server::start(move |_, _| Deed::Reset(code));
        assert!(matches!(send_one(&server), Err(SendError::Ambiguous(_))), "{code}");
    }
}

#[test]
fn a_connection_that_breaks_leaves_doubt_and_is_not_used_again() {
    let server = Server::start(|connection, _| if connection == 0 { Deed::Close } else { Deed::Answer });
    let transport = server.transport();
    run(async {
        let mut line = Line::outcomes();
        assert!(matches!(line.send(&transport, &request(), LIMIT).await, Err(SendError::Ambiguous(_))));
        line.ready(&transport).await.unwrap();
        assert_eq!(line.send(&transport, &request(), LIMIT).await.unwrap().status, 204);
    });
    assert_eq!(server.connections.load(Ordering::Acquire), 2);
}

#[test]
fn a_stream_beyond_the_last_of_a_goaway_goes_out_again_on_another_connection() {
    for deed in [Deed::GoAway(0), Deed::GoAwayAndClose(0)] {
        let server = Server::start(move |connection, _| if connection == 0 { deed } else { Deed::Answer });
        assert_eq!(send_one(&server).unwrap().status, 204);
        assert_eq!(server.connections.load(Ordering::Acquire), 2);
    }
}

#[test]
fn a_stream_up_to_the_last_of_a_goaway_leaves_doubt_when_the_connection_ends() {
    let server = Server::start(|_, stream| Deed::GoAwayAndClose(stream));
    assert!(matches!(send_one(&server), Err(SendError::Ambiguous(_))));
    assert_eq!(server.connections.load(Ordering::Acquire), 1);
}

#[test]
fn an_engine_that_only_says_goaway_is_out_of_reach_after_some_tries() {
    let server = Server::start(|_, _| Deed::GoAway(0));
    assert!(matches!(send_one(&server), Err(SendError::Unsent(_))));
}

#[test]
fn no_more_streams_share_a_connection_than_the_engine_allows() {
    // SETTINGS_MAX_CONCURRENT_STREAMS = 2.
    let server = Server::with_settings(&[0, 3, 0, 0, 0, 2], |_, _| Deed::Answer);
    let transport = server.transport();
    run(async {
        let mut lines: Vec<_> = (0..5).map(|_| Line::outcomes()).collect();
        for line in &mut lines {
            line.ready(&transport).await.unwrap();
        }
        assert_eq!((transport.connections(Kind::Outcomes), transport.streams(Kind::Outcomes)), (3, 5));
        // A place that is given up is taken again, and connections without any are closed.
        lines.truncate(1);
        lines.push(Line::outcomes());
        lines[1].ready(&transport).await.unwrap();
        assert_eq!(transport.streams(Kind::Outcomes), 2);
        let closed = async {
            while transport.connections(Kind::Outcomes) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, closed).await.unwrap();
    });
}

#[test]
fn polls_and_outcomes_share_no_connection() {
    let server = Server::start(|_, _| Deed::Answer);
    let transport = server.transport();
    run(async {
        let mut lines = [Line::outcomes(), Line::polls(0)];
        for line in &mut lines {
            line.ready(&transport).await.unwrap();
        }
        assert_eq!((transport.connections(Kind::Outcomes), transport.connections(Kind::Polls)), (1, 1));
    });
}

#[test]
fn a_connection_on_which_an_answer_is_missing_gets_no_further_requests() {
    let server = Server::start(|connection, _| if connection == 0 { Deed::Nothing } else { Deed::Answer });
    let transport = server.transport();
    run(async {
        let mut line = Line::outcomes();
        line.ready(&transport).await.unwrap();
        let lost = line.send(&transport, &request(), Duration::from_millis(100)).await;
        assert!(matches!(lost, Err(SendError::Ambiguous(_))));
        line.ready(&transport).await.unwrap();
        assert_eq!(line.send(&transport, &request(), LIMIT).await.unwrap().status, 204);
    });
}

#[test]
fn what_does_not_speak_it_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server { port: listener.local_addr().unwrap().port(), connections: Arc::default() };
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let Err(SendError::Unsent(words)) = send_one(&server) else { panic!("it was not noticed") };
    assert!(words.contains("engine.http2"), "{words}");
}
