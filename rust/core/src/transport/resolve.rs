//! Addresses of the host: looked up anew for new connections, by one at a time for all that wait for the answer.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Name servers that have not answered by then are as good as down, whatever the system would still try.
const LIMIT: Duration = Duration::from_secs(10);

/// Connections that are opened within this time of each other share one look.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub(super) struct Resolver {
    /// Held by who asks.
    asking: Mutex<()>,
    latest: RefCell<Option<Latest>>,
    pinned: RefCell<Option<Vec<SocketAddr>>>,
}

struct Latest {
    at: Instant,
    found: Result<Vec<SocketAddr>, String>,
}

impl Resolver {
    /// Uses these addresses and looks nothing up, for a test; with none every look fails.
    pub(super) fn pin(&self, addresses: Option<Vec<SocketAddr>>) {
        *self.pinned.borrow_mut() = addresses;
    }

    /// The addresses of a host; an error is one sentence.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        if let Some(pinned) = self.pinned.borrow().as_ref() {
            let found = (!pinned.is_empty()).then(|| pinned.clone());
            return found.ok_or_else(|| format!("cannot resolve {host}: no address is known"));
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        self.ask(host, tokio::net::lookup_host((host, port)), LIMIT).await
    }

    async fn ask<A>(
        &self,
        host: &str,
        look: impl Future<Output = std::io::Result<A>>,
        limit: Duration,
    ) -> Result<Vec<SocketAddr>, String>
    where
        A: Iterator<Item = SocketAddr>,
    {
        let wanted_at = Instant::now();
        let _asking = self.asking.lock().await;
        if let Some(found) = self.known_since(wanted_at) {
            return found;
        }
        let found = match timeout(limit, look).await {
            Ok(Ok(addresses)) => Ok(addresses.collect::<Vec<_>>()),
            Ok(Err(error)) => Err(format!("cannot resolve {host}: {error}")),
            Err(_) => {
                Err(format!("cannot resolve {host}: no name server answers in {} s", limit.as_secs_f32()))
            }
        };
        *self.latest.borrow_mut() = Some(Latest { at: Instant::now(), found: found.clone() });
        found
    }

    /// What was found since then, or a moment before; a failure counts only for those who waited for it.
    fn known_since(&self, wanted_at: Instant) -> Option<Result<Vec<SocketAddr>, String>> {
        let latest = self.latest.borrow();
        let latest = latest.as_ref()?;
        let fresh = match &latest.found {
            Ok(_) => latest.at + SHARED_FOR > wanted_at,
            Err(_) => latest.at > wanted_at,
        };
        fresh.then(|| latest.found.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;
    use std::io;
    use std::vec::IntoIter;

    use super::*;

    type Found = io::Result<IntoIter<SocketAddr>>;

    fn found() -> Found {
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1))].into_iter())
    }

    #[tokio::test]
    async fn name_servers_that_never_answer_are_given_up() {
        let resolver = Resolver::default();
        let soon = Duration::from_millis(20);
        let words = resolver.ask("engine.test", pending::<Found>(), soon).await.unwrap_err();
        assert!(words.contains("no name server answers in 0.02 s"), "{words}");
        assert_eq!(resolver.ask("engine.test", async { found() }, LIMIT).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn those_who_wait_share_one_look_and_later_ones_look_again() {
        let (resolver, looks) = (Resolver::default(), Cell::new(0));
        let look = || async {
            looks.set(looks.get() + 1);
            tokio::task::yield_now().await;
            found()
        };
        let (one, two) = tokio::join!(resolver.ask("x", look(), LIMIT), resolver.ask("x", look(), LIMIT));
        assert_eq!((one.unwrap(), looks.get()), (two.unwrap(), 1));
        resolver.latest.borrow_mut().as_mut().unwrap().at -= SHARED_FOR * 2;
        resolver.ask("x", look(), LIMIT).await.unwrap();
        assert_eq!(looks.get(), 2);
    }

    #[tokio::test]
    async fn a_failure_is_asked_again_at_once() {
        let resolver = Resolver::default();
        let failed: Found = Err(io::Error::other("no such host"));
        let words = resolver.ask("engine.test", async { failed }, LIMIT).await.unwrap_err();
        assert!(words.contains("cannot resolve engine.test: no such host"), "{words}");
        assert!(resolver.ask("engine.test", async { found() }, LIMIT).await.is_ok());
    }
}
