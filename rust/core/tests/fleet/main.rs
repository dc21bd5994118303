//! The data path as a whole: the core, the local engine, and threads in the place of worker processes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod addresses;
mod asking;
mod books;
mod commands;
mod credentials;
mod deaths;
mod faults;
mod fencing;
mod flow;
mod generations;
mod hindrances;
mod http2;
mod leases;
mod outages;
mod pki;
mod proxies;
mod proxy;
mod rig;
mod shared_polls;
mod tasks;
mod tls;
mod tls_errors;
