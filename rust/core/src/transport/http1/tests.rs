//! What the client concludes from a server that sends bytes of its own making.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::head::{Framing, Head};
use crate::engine::{Answer, Method, Request};
use crate::events::Events;
use crate::transport::{Kind, Line, Route, SendError, Transport};

const LIMIT: Duration = Duration::from_secs(30);
const DONE: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// What the server does once it has a request.
#[derive(Clone)]
enum Deed {
    /// Send this, and go on.
    Say(String),
    /// Send this byte by byte, and go on.
    Drip(String),
    /// Send this, and close.
    Close(String),
    /// Answer `204` when the body is as long as was said, else close.
    Measure,
    /// Nothing, ever.
    Silence,
}

/// A server and its script: from the number of the connection and of the request on it to what happens.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(script: impl Fn(usize, usize) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, script) = (Arc::clone(&connections), Arc::new(script));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (number, script) = (count.fetch_add(1, Ordering::AcqRel), Arc::clone(&script));
                // The client's end of the connection is this thread's end.
                std::thread::spawn(move || serve(socket, |request| script(number, request)));
            }
        });
        Self { port, connections }
    }

    fn transport(&self) -> Transport {
        let settings = json!({"kind": "camunda", "url": format!("http://127.0.0.1:{}", self.port)});
        let route = Route::new(&serde_json::from_value(settings).unwrap()).unwrap();
        Transport::new(route, Arc::new(Events::new().unwrap()))
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

fn serve(mut socket: TcpStream, script: impl Fn(usize) -> Deed) {
    socket.set_nodelay(true).unwrap();
    for number in 0.. {
        let Some(length) = read_head(&mut socket) else { return };
        let deed = script(number);
        let mut body = vec![0; length];
        if matches!(deed, Deed::Measure | Deed::Say(_) | Deed::Drip(_))
            && socket.read_exact(&mut body).is_err()
        {
            return;
        }
        // A client that has left needs no answer.
        let _ = match deed {
            Deed::Say(text) => socket.write_all(text.as_bytes()),
            Deed::Drip(text) => text.bytes().try_for_each(|byte| socket.write_all(&[byte])),
            Deed::Measure if body.iter().all(|byte| *byte == b'x') => socket.write_all(DONE.as_bytes()),
            Deed::Measure => return,
            Deed::Close(text) => {
                let _ = socket.write_all(text.as_bytes());
                // What was not read would turn the end into a reset, which may overtake the answer.
                let _ = socket.shutdown(std::net::Shutdown::Write);
                let _ = socket.read_to_end(&mut body);
                return;
            }
            Deed::Silence => socket.read_to_end(&mut body).map(|_| ()),
        };
    }
}

/// The length of the body that follows.
fn read_head(socket: &mut TcpStream) -> Option<usize> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some(length.map_or(0, |length| length.parse().unwrap()))
}

fn request(body: impl Into<Bytes>) -> Request {
    Request { method: Method::Post, path: "/v2/jobs/1/completion".into(), body: body.into() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Two requests in a row: what came of the first one, and how many connections both have taken.
fn twice(deed: Deed) -> (Result<Answer, SendError>, usize) {
    let server =
        Server::start(
            move |connection, number| {
                if (connection, number) == (0, 0) { deed.clone() } else { Deed::Say(DONE.to_owned()) }
            },
        );
    let transport = server.transport();
    run(async {
        let mut line = Line::outcomes();
        let first = line.send(&transport, &request("{}"), LIMIT).await;
        assert_eq!(line.send(&transport, &request("{}"), LIMIT).await.unwrap().status, 204);
        (first, server.connections())
    })
}

fn body_of(answer: Result<Answer, SendError>) -> String {
    String::from_utf8(answer.unwrap().body.to_vec()).unwrap()
}

#[test]
fn bodies_end_where_their_head_says() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 1),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\nContent-Length: 5\r\n\r\nhello", "hello", 1),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n",
            "hello",
            1,
        ),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "", 1),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "hi",
            1,
        ),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", "hi", 1),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 2),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi", "hi", 2),
        // Who sends both may mean either.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "hi",
            2,
        ),
    ];
    for (text, body, connections) in cases {
        for deed in [Deed::Say(text.to_owned()), Deed::Drip(text.to_owned())] {
            let (answer, opened) = twice(deed);
            assert_eq!((body_of(answer).as_str(), opened), (body, connections), "{text}");
        }
    }
}

#[test]
fn a_connection_on_which_more_came_than_the_answer_carries_nothing_more() {
    let (answer, opened) = twice(Deed::Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more".into()));
    assert_eq!((body_of(answer).as_str(), opened), ("hi", 2));
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let (answer, opened) =
        twice(Deed::Close("HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; q=1\r\n\r\nhello".into()));
    let answer = answer.unwrap();
    assert_eq!((answer.content_type.as_str(), &answer.body[..], opened), ("text/plain", &b"hello"[..], 2));
}

#[test]
fn a_body_that_breaks_off_is_handed_on_as_far_as_it_came() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nno number\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello, world\r\n0\r\n\r\n",
    ] {
        let (answer, opened) = twice(Deed::Close(text.to_owned()));
        let Err(SendError::Cut(answer)) = answer else { panic!("{text}: {answer:?}") };
        assert_eq!((&answer.body[..], answer.whole, opened), (&b"hello"[..], false, 2), "{text}");
    }
}

#[test]
fn what_is_no_answer_leaves_the_outcome_open() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(300 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
    for (text, words) in [
        ("", "closed it before it answered"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "closed it before it answered"),
        ("SSH-2.0-OpenSSH\r\n", "does not speak HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "Content-Length makes no sense: -5"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "Content-Length makes no sense: 6",
        ),
        (&many, "more than 100 header lines"),
        (&endless, "head of an answer has no end"),
    ] {
        let (answer, opened) = twice(Deed::Close(text.to_owned()));
        let Err(SendError::Ambiguous(told)) = answer else { panic!("{text:.60}: {answer:?}") };
        assert!(told.contains(words) && opened == 2, "{text:.60}: {told}");
    }
}

#[test]
fn a_close_between_two_requests_costs_none_of_them() {
    let server = Server::start(|connection, _| match connection {
        0 => Deed::Close("HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        _ => Deed::Say(DONE.to_owned()),
    });
    let transport = server.transport();
    run(async {
        let mut line = Line::outcomes();
        assert_eq!(line.send(&transport, &request("{}"), LIMIT).await.unwrap().status, 204);
        // The close reaches this side in its own time.
        while transport.connections(Kind::Outcomes) == 1 {
            line.give_up_stale().await;
            tokio::task::yield_now().await;
        }
        line.ready(&transport).await.unwrap();
        assert_eq!(line.send(&transport, &request("{}"), LIMIT).await.unwrap().status, 204);
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn an_answer_that_comes_before_the_whole_request_is_heard() {
    // More than the buffers of both sides take: the server reads none of it.
    let large = vec![b'x'; 32 * 1024 * 1024];
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(move |connection, _| match connection {
        0 => Deed::Close(refusal.to_owned()),
        _ => Deed::Measure,
    });
    let transport = server.transport();
    run(async {
        let mut line = Line::outcomes();
        assert_eq!(line.send(&transport, &request(large), LIMIT).await.unwrap().status, 413);
        assert_eq!(line.send(&transport, &request("xx"), LIMIT).await.unwrap().status, 204);
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn bodies_of_every_length_arrive_whole() {
    let server = Server::start(|_, _| Deed::Measure);
    let transport = server.transport();
    run(async {
        let mut line = Line::outcomes();
        for length in [0, 1, 8 * 1024, 8 * 1024 + 1, 16 * 1024 * 1024] {
            let answer = line.send(&transport, &request(vec![b'x'; length]), LIMIT).await.unwrap();
            assert_eq!(answer.status, 204, "{length}");
        }
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn a_connection_whose_answer_was_given_up_carries_nothing_more() {
    let server = Server::start(|connection, _| match connection {
        0 | 1 => Deed::Silence,
        _ => Deed::Say(DONE.to_owned()),
    });
    let transport = server.transport();
    run(async {
        let mut line = Line::outcomes();
        let late = line.send(&transport, &request("{}"), Duration::from_millis(50)).await;
        assert!(matches!(late, Err(SendError::Ambiguous(words)) if words == "no answer in time"));
        let body = request("{}");
        let dropped =
            tokio::time::timeout(Duration::from_millis(50), line.send(&transport, &body, LIMIT)).await;
        assert!(dropped.is_err());
        assert_eq!(line.send(&transport, &request("{}"), LIMIT).await.unwrap().status, 204);
        assert_eq!(server.connections(), 3);
    });
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Some((_, length))) = Head::parse(&bytes) {
            prop_assert!(length <= bytes.len());
        }
    }

    #[test]
    fn a_part_of_a_head_is_waited_for(length in 0..u64::MAX, cut in 0usize..200) {
        let whole = format!("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: {length}\r\nServer: x\r\n\r\n");
        let (head, used) = Head::parse(whole.as_bytes()).unwrap().unwrap();
        prop_assert_eq!((head.framing, head.keep_alive, used), (Framing::Length(length), true, whole.len()));
        let part = &whole.as_bytes()[..cut.min(whole.len() - 1)];
        prop_assert_eq!(Head::parse(part), Ok(None));
    }
}
