//! New connections: names are resolved, addresses tried in turn, then the proxy, then TLS.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Transport;
use super::error::SendError;
use super::socket::Socket;
use super::tls::Reread;
use crate::events::Event;

/// Levels of log lines, as Python has them.
const INFO: u8 = 20;
const WARNING: u8 = 30;

/// A host that does not accept a connection in this time is as good as down; the next address is tried.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The most time for what follows: a proxy's tunnel, the TLS handshake, the first frames of HTTP/2.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

impl Transport {
    /// Opens a connection, trying every resolved address once.
    pub(super) async fn dial(&self) -> Result<Socket, SendError> {
        self.reread_certificates();
        let (host, port) = match &self.route.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (self.route.address.host.as_str(), self.route.address.port),
        };
        let addresses = resolve(host, port).await?;
        self.reach_any(host, &addresses).await
    }

    /// The first address that can be reached, beginning with another one each time.
    async fn reach_any(&self, host: &str, addresses: &[SocketAddr]) -> Result<Socket, SendError> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let mut last = format!("{host} resolves to no address");
        for step in 0..addresses.len() {
            let Some(address) = addresses.get(turn.wrapping_add(step) % addresses.len()) else { continue };
            match self.reach(*address).await {
                Ok(socket) => return Ok(socket),
                Err(words) => last = words,
            }
        }
        Err(SendError::Unsent(last))
    }

    /// One address, all the way to a stream that HTTP can be spoken over; an error is one sentence.
    async fn reach(&self, address: SocketAddr) -> Result<Socket, String> {
        let Ok(connected) = timeout(CONNECT_LIMIT, TcpStream::connect(address)).await else {
            return Err(format!("{address} does not accept a connection in {} s", CONNECT_LIMIT.as_secs()));
        };
        let cannot = |error| format!("cannot connect to {address}: {error}");
        let mut socket = connected.map_err(cannot)?;
        socket.set_nodelay(true).map_err(cannot)?;
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

    fn reread_certificates(&self) {
        let Some(reread) = self.route.tls.as_ref().and_then(|tls| tls.reread()) else { return };
        let (level, message) = match reread {
            Reread::Done => {
                (INFO, "the certificates have changed; the new ones hold for new connections".to_owned())
            }
            Reread::Failed(fault) => (
                WARNING,
                format!(
                    "the certificates have changed and cannot be used, the old ones stay in force: {fault}"
                ),
            ),
        };
        self.events.push(&Event::Notice { level, message });
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, SendError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => Ok(found.collect()),
        Err(error) => Err(SendError::Unsent(format!("cannot resolve {host}: {error}"))),
    }
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
