//! The HTTP shell: sockets, connections, bodies, and which bytes reached the client.

mod body;
mod connection;
mod faulty;
mod receipt;
mod reply;
mod service;
mod socket;

use std::fmt;

pub(crate) use connection::Connection;
pub(crate) use reply::{Answer, Reply};

/// A fault ends the connection here.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cut off by a fault")
    }
}

impl std::error::Error for Cut {}
