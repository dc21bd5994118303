//! jobfleet-core: activates jobs, dispatches them to worker processes, settles their outcomes and renews
//! their leases. It knows no Python; the supervisor drives it through [`core::Core`].

pub mod fork_guard;
pub mod link;
pub mod recorder;
