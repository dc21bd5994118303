//! Fault injection: which requests are answered wrongly, late or not at all. Sans-I/O: it draws plans, the HTTP
//! shell carries them out.

mod answers;
mod draw;
mod random;
mod spec;

pub(crate) use answers::unauthorized;
pub(crate) use draw::{After, Before, Faults, Plan, Subject};
pub use spec::{Fault, FaultKind, Target};
