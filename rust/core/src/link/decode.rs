//! Takes the payload of one frame apart. Bytes members are slices of the payload, not copies.

use bytes::{Buf, Bytes};

use super::frame::{FrameError, OutcomeHead, ToCore, ToWorker, kind, outcome_kind};
use super::outcome::Outcome;
use super::reader::Decode;

impl Decode for ToWorker {
    fn decode(kind: u8, payload: Bytes) -> Result<Self, FrameError> {
        let mut payload = Payload { kind, bytes: payload };
        match kind {
            kind::JOB => Ok(Self::Job {
                lane: payload.u16()?,
                type_index: payload.u16()?,
                number: payload.u64()?,
                body: payload.bytes,
            }),
            kind::DRAIN => payload.end(Self::Drain),
            kind::CANCEL => {
                let (lane, number) = (payload.u16()?, payload.u64()?);
                Ok(Self::Cancel { lane, number, reason: payload.rest_as_text()? })
            }
            kind::LIMIT => {
                let (lane, number, limit_ms) = (payload.u16()?, payload.u64()?, payload.u64()?);
                payload.end(Self::Limit { lane, number, limit_ms })
            }
            kind => Err(FrameError::UnknownKind { kind }),
        }
    }
}

impl Decode for ToCore {
    fn decode(kind: u8, payload: Bytes) -> Result<Self, FrameError> {
        let mut payload = Payload { kind, bytes: payload };
        match kind {
            kind::OUTCOME => {
                let head = OutcomeHead {
                    lane: payload.u16()?,
                    slot: payload.u16()?,
                    number: payload.u64()?,
                    run_ns: payload.u64()?,
                };
                let outcome = payload.outcome()?;
                payload.end(Self::Outcome { head, outcome })
            }
            kind::LOG => Ok(Self::Log {
                level: payload.u8()?,
                lane: payload.u16()?,
                number: payload.u64()?,
                record: payload.bytes,
            }),
            kind::READY => payload.end(Self::Ready),
            kind::START_FAILED => Ok(Self::StartFailed { error: payload.rest_as_text()? }),
            kind::LOGS_DROPPED => {
                let count = payload.u64()?;
                payload.end(Self::LogsDropped { count })
            }
            kind => Err(FrameError::UnknownKind { kind }),
        }
    }
}

struct Payload {
    kind: u8,
    bytes: Bytes,
}

impl Payload {
    fn u8(&mut self) -> Result<u8, FrameError> {
        self.bytes.try_get_u8().map_err(|_| self.short())
    }

    fn u16(&mut self) -> Result<u16, FrameError> {
        self.bytes.try_get_u16_le().map_err(|_| self.short())
    }

    fn u32(&mut self) -> Result<u32, FrameError> {
        self.bytes.try_get_u32_le().map_err(|_| self.short())
    }

    fn u64(&mut self) -> Result<u64, FrameError> {
        self.bytes.try_get_u64_le().map_err(|_| self.short())
    }

    fn i32(&mut self) -> Result<i32, FrameError> {
        self.bytes.try_get_i32_le().map_err(|_| self.short())
    }

    fn blob(&mut self) -> Result<Bytes, FrameError> {
        let length = self.u32()? as usize;
        if length > self.bytes.len() {
            return Err(self.short());
        }
        Ok(self.bytes.split_to(length))
    }

    fn text(&mut self) -> Result<String, FrameError> {
        let blob = self.blob()?;
        self.utf8(&blob)
    }

    fn rest_as_text(&self) -> Result<String, FrameError> {
        self.utf8(&self.bytes)
    }

    fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FrameError>,
    ) -> Result<Option<T>, FrameError> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(self.malformed("an optional member starts with neither 0 nor 1")),
        }
    }

    fn outcome(&mut self) -> Result<Outcome, FrameError> {
        match self.u8()? {
            outcome_kind::COMPLETE => Ok(Outcome::Complete {
                variables: self.optional(Self::blob)?,
                result: self.optional(Self::blob)?,
                business_id: self.optional(Self::text)?,
            }),
            outcome_kind::FAIL => Ok(Outcome::Fail {
                message: self.text()?,
                retries: self.optional(Self::i32)?,
                backoff_ms: self.optional(Self::u64)?,
                variables: self.optional(Self::blob)?,
            }),
            outcome_kind::ERROR => Ok(Outcome::Error {
                code: self.text()?,
                message: self.optional(Self::text)?,
                variables: self.optional(Self::blob)?,
            }),
            outcome_kind::HAND_BACK => {
                Ok(Outcome::HandBack { message: self.text()?, backoff_ms: self.u64()? })
            }
            _ => Err(self.malformed("the outcome's kind is unknown")),
        }
    }

    fn end<F>(&self, frame: F) -> Result<F, FrameError> {
        if self.bytes.is_empty() { Ok(frame) } else { Err(self.malformed("bytes are left over at its end")) }
    }

    fn utf8(&self, bytes: &[u8]) -> Result<String, FrameError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.malformed("a text is not UTF-8")),
        }
    }

    fn short(&self) -> FrameError {
        self.malformed("it ends too early")
    }

    fn malformed(&self, what: &'static str) -> FrameError {
        FrameError::Malformed { kind: self.kind, what }
    }
}
