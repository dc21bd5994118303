//! What was received and not used yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::transport::socket::Socket;

/// The longest head of an answer.
const LONGEST_HEAD: usize = 256 * 1024;

/// See the module.
pub(super) struct Input {
    space: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn new(bytes: usize) -> Self {
        Self { space: vec![0; bytes], start: 0, end: 0 }
    }

    pub(super) fn unread(&self) -> &[u8] {
        self.space.get(self.start..self.end).unwrap_or_default()
    }

    /// The first bytes have been used.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    /// Reads once, behind what is unread; 0 at the end of the stream.
    pub(super) fn poll_fill(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room()?;
        let mut room = ReadBuf::new(self.space.get_mut(self.end..).unwrap_or_default());
        match Pin::new(socket).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) => {
                let received = room.filled().len();
                self.end += received;
                Poll::Ready(Ok(received))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.space.len() && self.start > 0 {
            self.space.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else if self.end == self.space.len() {
            if self.end >= LONGEST_HEAD {
                return Err(io::Error::other("the head of an answer has no end"));
            }
            self.space.resize(2 * self.end, 0);
        }
        Ok(())
    }
}
