//! Cuts a stream of bytes into frames, without I/O.

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{FrameError, LENGTH_BYTES, MAX_FRAME};

/// Bytes offered to one read: about 500 small jobs, and small enough that a kept outcome pins little memory.
const CHUNK: usize = 64 * 1024;

/// A read is worth its system call with this much room at least.
const MIN_SPACE: usize = 16 * 1024;

/// A set of frames that can be read from a link: [`super::ToCore`] or [`super::ToWorker`].
pub trait Decode: Sized {
    /// The frame of this `kind`; `payload` excludes length and kind, and may be kept or sliced without a copy.
    fn decode(kind: u8, payload: Bytes) -> Result<Self, FrameError>;
}

/// Collects what was read and yields whole frames, whose payloads share the read buffer.
///
/// Memory follows the bytes that came, not the length a frame claims, and never exceeds one frame of
/// [`MAX_FRAME`] and one chunk. After an error the stream is lost: every further call repeats the error.
#[derive(Debug)]
pub struct FrameReader<F> {
    buffer: BytesMut,
    filled: usize,
    failed: Option<FrameError>,
    frames: PhantomData<fn() -> F>,
}

impl<F: Decode> FrameReader<F> {
    /// An empty reader. It allocates with the first [`space`](Self::space).
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: BytesMut::new(), filled: 0, failed: None, frames: PhantomData }
    }

    /// Room for the next read; say with [`filled`](Self::filled) how much of it was used.
    pub fn space(&mut self) -> &mut [u8] {
        if self.buffer.len() - self.filled < MIN_SPACE {
            let missing = self.frame_bytes().unwrap_or(0).saturating_sub(self.filled);
            let room = CHUNK.max(missing.min(self.filled));
            self.buffer.resize(self.filled + room, 0);
        }
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Take over the first `count` bytes of the last [`space`](Self::space).
    pub fn filled(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.buffer.len());
    }

    /// Copy `bytes` in; for callers that do not read into [`space`](Self::space).
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let count = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            if let Some(room) = space.get_mut(..count) {
                room.copy_from_slice(now);
            }
            self.filled(count);
            bytes = later;
        }
    }

    /// The next whole frame, or none until more bytes come.
    pub fn next_frame(&mut self) -> Result<Option<F>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let frame = self.cut();
        if let Err(error) = &frame {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
            self.filled = 0;
        }
        frame
    }

    /// Bytes of a frame that is not whole yet; at the end of the stream, other than zero means that it was cut.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.filled
    }

    fn cut(&mut self) -> Result<Option<F>, FrameError> {
        let Some(total) = self.frame_bytes() else { return Ok(None) };
        let length = total - LENGTH_BYTES;
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length > MAX_FRAME {
            return Err(FrameError::TooLong { length });
        }
        if self.filled < total {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(total);
        self.filled -= total;
        frame.advance(LENGTH_BYTES);
        let kind = frame.get_u8();
        F::decode(kind, frame.freeze()).map(Some)
    }

    /// The whole size of the frame at the front, once its length has come.
    fn frame_bytes(&self) -> Option<usize> {
        let head = self.buffer.get(..self.filled)?.first_chunk::<LENGTH_BYTES>()?;
        Some(u32::from_le_bytes(*head) as usize + LENGTH_BYTES)
    }
}

impl<F: Decode> Default for FrameReader<F> {
    fn default() -> Self {
        Self::new()
    }
}
