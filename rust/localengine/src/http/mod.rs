//! The HTTP shell: sockets, connections, bodies, and which bytes reached the client.

mod body;
mod connection;
mod receipt;
mod reply;
mod service;
mod socket;

pub(crate) use connection::Connection;
pub(crate) use reply::{Answer, Reply};
