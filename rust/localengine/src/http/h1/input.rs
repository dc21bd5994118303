//! The receiving half: bytes of a connection become requests with their whole bodies.

use std::io;

use httparse::Status;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

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
    pub(super) async fn receive<S>(&mut self, stream: &mut S) -> io::Result<Received>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
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
    async fn receive_chunks<S>(&mut self, stream: &mut S, mut parsed: Parsed) -> io::Result<Received>
    where
        S: AsyncRead + Unpin,
    {
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

    async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S, room: usize) -> io::Result<usize> {
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    /// A request with this body, in chunks of these sizes or, without any, with a length.
    fn request(body: &[u8], chunks: &[usize]) -> Vec<u8> {
        let mut text = b"POST /v2/jobs/activation HTTP/1.1\r\nhost: h\r\n".to_vec();
        if chunks.is_empty() {
            text.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            text.extend(body);
            return text;
        }
        text.extend(b"transfer-encoding: chunked\r\n\r\n");
        let mut rest = body;
        for size in chunks.iter().copied().chain([body.len()]) {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            if !chunk.is_empty() {
                text.extend(format!("{:X};x=y\r\n", chunk.len()).bytes());
                text.extend(chunk);
                text.extend(b"\r\n");
            }
            rest = after;
        }
        text.extend(if body.len().is_multiple_of(2) {
            &b"0\r\n\r\n"[..]
        } else {
            b"0\r\ntrailer: 1\r\n\r\n"
        });
        text
    }

    async fn bodies(stream: Vec<u8>, cuts: Vec<usize>) -> Vec<Vec<u8>> {
        let (mut near, mut far) = duplex(1 << 20);
        let writing = async move {
            let mut rest = &stream[..];
            for cut in cuts.into_iter().chain([stream.len()]) {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                near.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
                rest = after;
            }
        };
        let reading = async move {
            let (mut input, mut bodies) = (Input::default(), Vec::new());
            while let Received::Request(parsed) = input.receive(&mut far).await.unwrap() {
                bodies.push(input.body(&parsed).to_vec());
                input.consume(&parsed);
            }
            bodies
        };
        tokio::join!(writing, reading).1
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn requests_arrive_whole_however_their_bytes_are_cut(
            requests in vec((vec(any::<u8>(), 0..300), vec(1..40usize, 0..5)), 1..5),
            cuts in vec(1..120usize, 0..12),
        ) {
            let stream = requests.iter().flat_map(|(body, chunks)| request(body, chunks)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let got = runtime.block_on(bodies(stream, cuts));
            let sent: Vec<_> = requests.into_iter().map(|(body, _)| body).collect();
            prop_assert_eq!(got, sent);
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_status() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (text, status) in [
            (b"nonsense\r\n\r\n".to_vec(), 400),
            (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n".to_vec(), 400),
            (b"POST / HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n".to_vec(), 413),
            (format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(MAX_HEAD + 10)).into_bytes(), 431),
        ] {
            let (mut near, mut far) = duplex(1 << 20);
            let received = runtime.block_on(async {
                near.write_all(&text).await.unwrap();
                Input::default().receive(&mut far).await.unwrap()
            });
            assert!(matches!(received, Received::Bad(found) if found == status), "{status}");
        }
    }
}
