//! A small HTTP proxy that notes what it is asked for.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

/// Connects every request to one engine, whatever it names.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `wanted` is the Proxy-Authorization header without which requests are refused.
    pub(crate) fn start(engine: SocketAddr, wanted: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let note = Arc::clone(&seen);
        spawn(move || {
            for client in listener.incoming().flatten() {
                let note = Arc::clone(&note);
                spawn(move || serve(client, engine, wanted, &note));
            }
        });
        Self { port, seen }
    }

    /// The head of each connection's first request.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, engine: SocketAddr, wanted: Option<&str>, seen: &Mutex<Vec<String>>) {
    let Some(head) = read_head(&mut client) else { return };
    seen.lock().unwrap().push(head.clone());
    let sent = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("proxy-authorization: ").map(|_| line));
    if wanted.is_some_and(|wanted| !sent.is_some_and(|line| line.ends_with(wanted))) {
        let _ = client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(engine) else { return };
    if head.starts_with("CONNECT ") {
        let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\nvia: a test\r\n\r\n");
    } else {
        // The engine takes a request with a whole address by its path.
        let (line, rest) = head.split_once("\r\n").unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let path = words[1].splitn(4, '/').nth(3).unwrap();
        let _ = upstream
            .write_all(format!("{} /{path} HTTP/1.1\r\nconnection: close\r\n{rest}", words[0]).as_bytes());
    }
    let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    spawn(move || pass(&mut from, &mut to));
    pass(&mut upstream, &mut client);
}

fn read_head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    let _ = std::io::copy(from, to);
    let _ = to.shutdown(Shutdown::Write);
}
