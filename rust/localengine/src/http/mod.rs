//! The HTTP shell: connections, requests, faults, and which answers reached their client.
//!
//! HTTP/1.1 is spoken by hand: with a general server beneath, half of the engine's own instructions per job went
//! there, and faults such as a body that breaks off want the socket itself. HTTP/2 is hyper's.

mod connection;
mod faulty;
mod h1;
mod h2;
mod head;
mod receipt;
mod reply;
mod service;
mod socket;
mod tls;

pub(crate) use connection::Connection;
pub(crate) use head::{Head, Method};
pub(crate) use reply::{Answer, Reply};
pub(crate) use tls::Acceptor;
