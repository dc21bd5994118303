//! The receiving half: bytes of a connection become requests with their whole bodies.

use std::io;

use httparse::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::parse::{Framing, Parse, Parsed, parse};
use crate::http::Head;
use crate::http::service::MAX_BODY;

/// Room made for each read beside what a length announces.
const READ: usize = 2 * 1024;

/// Longest head.
const MAX_HEAD: usize = 64 * 1024;

/// What came in.
pub(super) enum Received {
    Request(Parsed),
    /// The client closed its side between two requests.
    Nothing,
    /// It is no request; the status says why.
    Bad(u16),
}

/// Bytes read and not consumed yet.
#[derive(Default)]
pub(super) struct Input {
    buffer: Vec<u8>,
}

impl Input {
    /// The next request with all of its body in the buffer.
    pub(super) async fn receive(&mut self, stream: &mut TcpStream) -> io::Result<Received> {
        let mut parsed = loop {
            if self.buffer.is_empty() && self.read(stream, READ).await? == 0 {
                return Ok(Received::Nothing);
            }
            match parse(&self.buffer) {
                Parse::Whole(parsed) => break parsed,
                Parse::Bad => return Ok(Received::Bad(400)),
                Parse::Partial if self.buffer.len() > MAX_HEAD => return Ok(Received::Bad(431)),
                Parse::Partial => {}
            }
            if self.read(stream, READ).await? == 0 {
                return Ok(Received::Nothing);
            }
        };
        if parsed.expects_continue && self.buffer.len() == parsed.head_length {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        match parsed.framing {
            Framing::Length(length) if length > MAX_BODY => return Ok(Received::Bad(413)),
            Framing::Length(length) => {
                let end = parsed.head_length + length;
                while self.buffer.len() < end {
                    if self.read(stream, end - self.buffer.len()).await? == 0 {
                        return Ok(Received::Nothing);
                    }
                }
                (parsed.body_length, parsed.consumed) = (length, length);
            }
            Framing::Chunked => return self.receive_chunks(stream, parsed).await,
        }
        Ok(Received::Request(parsed))
    }

    /// Joins the chunks of a body in place.
    async fn receive_chunks(&mut self, stream: &mut TcpStream, mut parsed: Parsed) -> io::Result<Received> {
        let start = parsed.head_length;
        let mut at = start;
        loop {
            let rest = self.buffer.get(at..).unwrap_or_default();
            match httparse::parse_chunk_size(rest) {
                Err(_) => return Ok(Received::Bad(400)),
                Ok(Status::Complete((line, 0))) => {
                    let Some(end) = trailer_end(rest.get(line..).unwrap_or_default()) else {
                        if self.read(stream, READ).await? == 0 {
                            return Ok(Received::Nothing);
                        }
                        continue;
                    };
                    parsed.consumed = at + line + end - start;
                    return Ok(Received::Request(parsed));
                }
                Ok(Status::Complete((_, size))) if size > (MAX_BODY - parsed.body_length) as u64 => {
                    return Ok(Received::Bad(413));
                }
                Ok(Status::Complete((line, size))) => {
                    let size = size as usize;
                    let end = at + line + size + 2;
                    if self.buffer.len() >= end {
                        self.buffer.copy_within(at + line..at + line + size, start + parsed.body_length);
                        parsed.body_length += size;
                        at = end;
                        continue;
                    }
                }
                Ok(Status::Partial) => {}
            }
            if self.read(stream, READ).await? == 0 {
                return Ok(Received::Nothing);
            }
        }
    }

    pub(super) fn head(&self, parsed: &Parsed) -> Head<'_> {
        parsed.head(&self.buffer)
    }

    pub(super) fn body(&self, parsed: &Parsed) -> &[u8] {
        let start = parsed.head_length;
        self.buffer.get(start..start + parsed.body_length).unwrap_or_default()
    }

    /// Makes room for the next request.
    pub(super) fn consume(&mut self, parsed: &Parsed) {
        let end = parsed.head_length + parsed.consumed;
        if end >= self.buffer.len() {
            self.buffer.clear();
            // A large body does not keep its room for ever.
            self.buffer.shrink_to(READ * 8);
        } else {
            self.buffer.drain(..end);
        }
    }

    async fn read(&mut self, stream: &mut TcpStream, room: usize) -> io::Result<usize> {
        self.buffer.reserve(room.clamp(READ, 1 << 20));
        stream.read_buf(&mut self.buffer).await
    }
}

/// Where the lines after the last chunk end: at the first empty one.
fn trailer_end(rest: &[u8]) -> Option<usize> {
    if rest.starts_with(b"\r\n") {
        return Some(2);
    }
    rest.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}
