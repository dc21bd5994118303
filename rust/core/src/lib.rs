//! jobfleet-core: activates jobs, dispatches them to worker processes, settles their outcomes and renews
//! their leases. It knows no Python; the supervisor drives it through [`Core`].

mod activate;
mod ask;
mod audit;
mod authorize;
mod bury;
pub mod clock;
mod core;
mod demand;
mod dispatch;
mod drain;
pub mod engine;
pub mod events;
mod fleet;
pub mod fork_guard;
mod gate;
mod generations;
mod intake;
pub mod job;
mod ledger;
pub mod link;
pub mod permits;
mod pick;
mod poison;
pub mod recorder;
mod renew;
mod scan;
pub mod settings;
mod settle;
mod snapshot;
mod solitude;
mod state;
pub mod stats;
mod tasks;
mod transport;
mod version;
mod watch;
mod workers;

pub use crate::core::{Core, CoreError, WorkerEnds};
#[doc(hidden)]
pub use crate::tasks::Tamper;
pub use crate::transport::{Address, AddressError};
