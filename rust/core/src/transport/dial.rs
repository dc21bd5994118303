//! New connections: names are resolved, addresses tried in turn, then the proxy, then TLS.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::Transport;
use super::error::SendError;
use super::socket::Socket;

/// The next address is tried beside one that has not accepted by then (RFC 8305, section 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Addresses that could not be used come last for so long.
const AVOIDED_FOR: Duration = Duration::from_secs(30);

/// The most time for what follows: a proxy's tunnel, the TLS handshake, the first frames of HTTP/2.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// The most time for all addresses together.
pub(super) const DIAL_LIMIT: Duration = Duration::from_secs(60);

impl Transport {
    /// Opens a connection, trying every resolved address once.
    pub(super) async fn dial(&self) -> Result<Socket, SendError> {
        let (host, port) = match &self.route.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (self.route.address.host.as_str(), self.route.address.port),
        };
        let dialling = async {
            let addresses = self.resolver.resolve(host, port).await.map_err(SendError::Unsent)?;
            self.reach_any(host, &addresses).await
        };
        let late = || format!("no address of {host} can be used within {} s", DIAL_LIMIT.as_secs());
        timeout(DIAL_LIMIT, dialling).await.unwrap_or_else(|_| Err(SendError::Unsent(late())))
    }

    /// The first address that can be used, beginning with another one each time. One that lets itself be waited for
    /// holds up nobody: others are tried beside it.
    async fn reach_any(&self, host: &str, addresses: &[SocketAddr]) -> Result<Socket, SendError> {
        let mut left = self.in_turn(addresses).into_iter();
        let mut connecting = JoinSet::new();
        let mut last = format!("{host} resolves to no address");
        loop {
            if let Some(address) = left.next() {
                connecting.spawn(connect(address, self.route.connect_limit));
            }
            let ended = match left.len() {
                0 => connecting.join_next().await,
                _ => match timeout(NEXT_AFTER, connecting.join_next()).await {
                    Ok(ended) => ended,
                    Err(_) => continue,
                },
            };
            match ended {
                None => return Err(SendError::Unsent(last)),
                Some(Err(broken)) => last = format!("cannot connect: {broken}"),
                Some(Ok((address, connected))) => {
                    let reached = match connected {
                        Ok(socket) => self.secure(socket).await,
                        Err(words) => Err(words),
                    };
                    self.note(address, reached.is_ok());
                    match reached {
                        Ok(socket) => return Ok(socket),
                        Err(words) => last = words,
                    }
                }
            }
        }
    }

    /// The addresses in the order of trying.
    fn in_turn(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let mut order = addresses.to_vec();
        order.rotate_left(turn % addresses.len().max(1));
        let mut avoided = self.avoided.borrow_mut();
        avoided.retain(|(_, since)| since.elapsed() < AVOIDED_FOR);
        order.sort_by_key(|address| avoided.iter().any(|(known, _)| known == address));
        order
    }

    /// An address that accepts connections and leaves requests without an answer is tried after the others.
    pub(super) fn avoid(&self, address: Option<SocketAddr>) {
        address.into_iter().for_each(|address| self.note(address, false));
    }

    /// Remembers whether an address could be used.
    fn note(&self, address: SocketAddr, good: bool) {
        let mut avoided = self.avoided.borrow_mut();
        avoided.retain(|(known, _)| *known != address);
        if !good {
            avoided.push((address, Instant::now()));
        }
    }

    /// From a connection to a stream that HTTP can be spoken over; an error is one sentence.
    async fn secure(&self, mut socket: TcpStream) -> Result<Socket, String> {
        let target = &self.authority;
        if let Some(proxy) = &self.route.proxy
            && self.tunnels()
        {
            in_time(proxy.tunnel(&mut socket, target), "the proxy", "connect to the engine").await?;
        }
        match &self.route.tls {
            Some(tls) => {
                let handshake = tls.connect(socket, target);
                Ok(Socket::tls(in_time(handshake, target, "end the TLS handshake").await?))
            }
            None => Ok(Socket::plain(socket)),
        }
    }
}

/// One address; an error is one sentence.
async fn connect(address: SocketAddr, limit: Duration) -> (SocketAddr, Result<TcpStream, String>) {
    let cannot = |error| format!("cannot connect to {address}: {error}");
    let connected = match timeout(limit, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(cannot),
        Err(_) => Err(format!("{address} does not accept a connection in {} s", limit.as_secs_f32())),
    };
    (address, connected.and_then(|socket| socket.set_nodelay(true).map_err(cannot).map(|()| socket)))
}

async fn in_time<T>(
    step: impl Future<Output = Result<T, String>>,
    who: &str,
    what: &str,
) -> Result<T, String> {
    let late = || format!("{who} does not {what} in {} s", HANDSHAKE_LIMIT.as_secs());
    timeout(HANDSHAKE_LIMIT, step).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::events::Events;
    use crate::transport::Route;

    fn transport() -> Transport {
        let settings = json!({"kind": "camunda", "url": "http://engine.test"});
        let route = Route::new(&serde_json::from_value(settings).unwrap()).unwrap();
        Transport::new(route, Arc::new(Events::new().unwrap()))
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_dead_address_is_passed_over() {
        let ((_alive, there), (gone, dead)) = (listener(), listener());
        drop(gone);
        let transport = transport();
        for _ in 0..2 {
            assert!(transport.reach_any("engine.test", &[dead, there]).await.is_ok());
        }
        let Err(SendError::Unsent(words)) = transport.reach_any("engine.test", &[dead]).await else {
            panic!("it was reached")
        };
        assert!(words.contains(&dead.to_string()), "{words}");
    }

    #[tokio::test]
    async fn connections_spread_over_the_addresses() {
        let ends = [listener(), listener()];
        let addresses = ends.each_ref().map(|end| end.1);
        let transport = transport();
        for _ in 0..4 {
            assert!(transport.reach_any("engine.test", &addresses).await.is_ok());
        }
        for (end, _) in &ends {
            end.set_nonblocking(true).unwrap();
            assert_eq!(std::iter::from_fn(|| end.accept().ok()).count(), 2);
        }
    }
}
