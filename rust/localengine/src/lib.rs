//! The embedded engine. Owns one job store and the wire dialects over it; knows nothing of fleets.
//!
//! One native thread with one current-thread runtime carries everything, so its state needs no lock.

mod account;
mod admin;
mod camunda;
mod engine;
mod faults;
mod http;
mod options;
mod polls;
mod presence;
mod shared;
mod store;

pub use account::Account;
pub use engine::Engine;
pub use faults::{Fault, FaultKind, Target};
pub use options::{Dialect, Options, Settings};
pub use store::NewJobs;
