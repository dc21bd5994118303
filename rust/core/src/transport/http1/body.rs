//! The body of an answer.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use httparse::Status;
use tokio::io::AsyncReadExt;

use super::head::Framing;
use super::{Broken, Http1};

/// Space that is taken on an engine's word for the length of a body.
const TRUSTED_BYTES: u64 = 64 * 1024 * 1024;

/// What is read at once of a body whose length is not known.
const STEP_BYTES: u64 = 16 * 1024;

impl Http1 {
    /// What arrives of the body, and whether that is all of it.
    pub(super) async fn receive(&mut self, framing: Framing) -> (Bytes, bool) {
        let known = if let Framing::Length(length) = framing { length.min(TRUSTED_BYTES) } else { 0 };
        let mut body = BytesMut::with_capacity(usize::try_from(known).unwrap_or(0));
        let received = match framing {
            Framing::Length(length) => self.receive_bytes(&mut body, length).await,
            Framing::Chunked => self.receive_chunks(&mut body).await,
            Framing::Close => self.receive_all(&mut body).await,
        };
        (body.freeze(), received.is_ok())
    }

    async fn receive_bytes(&mut self, body: &mut BytesMut, length: u64) -> Result<(), Broken> {
        let mut left = length;
        while left > 0 {
            let taken = self.take_unread(body, left);
            left -= if taken > 0 { taken } else { self.read_into(body, left).await? };
        }
        Ok(())
    }

    async fn receive_all(&mut self, body: &mut BytesMut) -> Result<(), Broken> {
        loop {
            if self.take_unread(body, u64::MAX) > 0 {
                continue;
            }
            match self.read_into(body, STEP_BYTES).await {
                Ok(_) => {}
                Err(Broken::Ended) => return Ok(()),
                Err(broken) => return Err(broken),
            }
        }
    }

    async fn receive_chunks(&mut self, body: &mut BytesMut) -> Result<(), Broken> {
        loop {
            let length = self.chunk_length().await?;
            if length == 0 {
                break;
            }
            self.receive_bytes(body, length).await?;
            if !self.line_is_empty().await? {
                return Err(Broken::Nonsense("a chunk is longer than it says".to_owned()));
            }
        }
        // Trailers tell nothing that is needed here.
        while !self.line_is_empty().await? {}
        Ok(())
    }

    async fn chunk_length(&mut self) -> Result<u64, Broken> {
        loop {
            match httparse::parse_chunk_size(self.input.unread()) {
                Ok(Status::Complete((used, length))) => {
                    self.input.consume(used);
                    return Ok(length);
                }
                Ok(Status::Partial) => self.fill().await?,
                Err(_) => return Err(Broken::Nonsense("a chunk's length makes no sense".to_owned())),
            }
        }
    }

    /// Consumes one line.
    async fn line_is_empty(&mut self) -> Result<bool, Broken> {
        loop {
            let unread = self.input.unread();
            if let Some(end) = memchr::memchr(b'\n', unread) {
                let is_empty = matches!(unread.get(..end), Some([] | [b'\r']));
                self.input.consume(end + 1);
                return Ok(is_empty);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Broken> {
        match self.in_time(|this, cx| this.input.poll_fill(&mut this.socket, cx)).await? {
            Ok(0) => Err(Broken::Ended),
            Ok(_) => Ok(()),
            Err(error) => Err(Broken::Socket(error)),
        }
    }

    /// Moves what has been received already.
    fn take_unread(&mut self, body: &mut BytesMut, most: u64) -> u64 {
        let unread = self.input.unread();
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(unread.len());
        body.extend_from_slice(unread.get(..count).unwrap_or_default());
        self.input.consume(count);
        count as u64
    }

    /// Reads straight into the body, past the input, which is empty.
    async fn read_into(&mut self, body: &mut BytesMut, most: u64) -> Result<u64, Broken> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let read = self.in_time(|this, cx| poll_read_into(this, cx, body, most)).await?;
        match read.map_err(Broken::Socket)? {
            0 => Err(Broken::Ended),
            count => Ok(count as u64),
        }
    }
}

fn poll_read_into(
    connection: &mut Http1,
    cx: &mut Context<'_>,
    body: &mut BytesMut,
    most: usize,
) -> Poll<std::io::Result<usize>> {
    if body.capacity() == body.len() {
        body.reserve(most.min(STEP_BYTES as usize));
    }
    let mut room = body.limit(most);
    pin!(connection.socket.read_buf(&mut room)).poll(cx)
}
