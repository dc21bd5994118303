//! What a caller in the worker can get wrong.

use std::fmt;

use crate::link::MAX_FRAME;

/// A call that does not fit the lanes or what was taken. It changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message of each says what its members are")]
pub enum Misuse {
    Lane { lane: u16 },
    Slot { lane: u16, slot: u16 },
    SlotBusy { lane: u16, slot: u16 },
    Number { lane: u16, number: u64 },
    IsLoop { lane: u16 },
    NoLoop { lane: u16 },
    TooLong { bytes: usize },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lane { lane } => write!(f, "there is no lane {lane}"),
            Self::Slot { lane, slot } => write!(f, "lane {lane} has no slot {slot}"),
            Self::SlotBusy { lane, slot } => {
                write!(f, "slot {slot} of lane {lane} still runs a job: settle it before the next take")
            }
            Self::Number { lane, number } => write!(f, "lane {lane} never had a job {number}"),
            Self::IsLoop { lane } => write!(f, "lane {lane} is a loop lane: use try_take"),
            Self::NoLoop { lane } => write!(f, "lane {lane} is not a loop lane: use take"),
            Self::TooLong { bytes } => write!(
                f,
                "an outcome of {bytes} bytes is over the link's limit of {MAX_FRAME}: settle with a shorter one"
            ),
        }
    }
}

impl std::error::Error for Misuse {}
