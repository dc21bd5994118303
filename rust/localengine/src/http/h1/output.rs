//! The sending half: answers become bytes, in one write wherever they fit.

use std::io::{self, IoSlice, Write};

use hyper::StatusCode;
use tokio::io::AsyncWriteExt;

use crate::http::Answer;
use crate::http::connection::Connection;
use crate::http::socket::Socket;
use crate::options::Dialect;

/// Bodies up to this size are copied behind their head: cheaper than a second buffer for the kernel.
const SMALL: usize = 4 * 1024;

/// The head of an answer, and what follows its body.
#[derive(Default)]
pub(super) struct Output {
    head: Vec<u8>,
    chunked: bool,
}

impl Output {
    /// Builds the head.
    pub(super) fn answer(&mut self, connection: &Connection, answer: &Answer, closes: bool) {
        let shared = &connection.shared;
        let settings = &shared.state.borrow().settings;
        self.chunked = settings.chunked() && !answer.body.is_empty();
        self.head.clear();
        self.parts(&[b"HTTP/1.1 ", itoa::Buffer::new().format(answer.status).as_bytes(), b" "]);
        // Tomcat sends no reason, and some clients stumble over that.
        if settings.dialect > Dialect::V8_6 {
            let status = StatusCode::from_u16(answer.status).unwrap_or_default();
            self.parts(&[status.canonical_reason().unwrap_or_default().as_bytes()]);
        }
        if let Some(content_type) = answer.content_type {
            self.parts(&[b"\r\ncontent-type: ", content_type.as_bytes()]);
        }
        if self.chunked {
            self.parts(&[b"\r\ntransfer-encoding: chunked"]);
        } else if answer.status != 204 {
            self.parts(&[b"\r\ncontent-length: ", itoa::Buffer::new().format(answer.body.len()).as_bytes()]);
        }
        if answer.status == 401 {
            self.parts(&[b"\r\nwww-authenticate: Basic realm=\"Realm\""]);
        }
        if closes {
            self.parts(&[b"\r\nconnection: close"]);
        }
        shared.clock.date(|date| self.parts(&[b"\r\ndate: ", date.as_bytes(), b"\r\n\r\n"]));
        if self.chunked {
            // Writing to a Vec cannot fail.
            let _ = write!(self.head, "{:x}\r\n", answer.body.len());
        }
    }

    /// Sends head and body.
    pub(super) async fn send(&mut self, stream: &mut Socket, body: &[u8]) -> io::Result<()> {
        let tail: &[u8] = if self.chunked { b"\r\n0\r\n\r\n" } else { b"" };
        if body.len() <= SMALL {
            self.parts(&[body, tail]);
            stream.write_all(&self.head).await?;
            return stream.flush().await;
        }
        let mut slices = [IoSlice::new(&self.head), IoSlice::new(body), IoSlice::new(tail)];
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let written = stream.write_vectored(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        stream.flush().await
    }

    /// Sends the head and half of the body that it announces.
    pub(super) async fn send_half(&mut self, stream: &mut Socket, body: &[u8]) -> io::Result<()> {
        self.parts(&[body.get(..body.len() / 2).unwrap_or_default()]);
        stream.write_all(&self.head).await?;
        stream.shutdown().await
    }

    fn parts(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.head.extend_from_slice(part);
        }
    }
}
