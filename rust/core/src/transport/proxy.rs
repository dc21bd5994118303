//! An HTTP proxy on the way to the engine: a tunnel for TLS and HTTP/2, else requests with the whole address.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::address::authority;

/// The head of an answer to CONNECT is never longer than this.
const LONGEST_HEAD: usize = 16 * 1024;

/// Where the proxy listens, and what it wants to be told.
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// The Proxy-Authorization header.
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Parses `http://[user:password@]host[:port]`. The error never shows the address, which may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let fault = |why: &str| format!("engine.proxy: {why}, expected http://[USER:PASSWORD@]HOST:PORT");
        let uri: http::Uri = url.parse().map_err(|_| fault("not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(fault("only proxies that are spoken to over http are supported"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| fault("the host is missing"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let credentials =
            uri.authority().and_then(|whole| whole.as_str().rsplit_once('@')).map(|pair| pair.0);
        let authorization = match credentials {
            None => None,
            Some(pair) => Some(basic(pair).ok_or_else(|| fault("the credentials cannot be read"))?),
        };
        Ok(Self { host, port: uri.port_u16().unwrap_or(80), authorization })
    }

    pub(super) fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Has the proxy connect `socket` to `target`; an error is one sentence.
    pub(super) async fn tunnel(&self, socket: &mut TcpStream, target: &str) -> Result<(), String> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let broken = |error| format!("the proxy {} broke the connection: {error}", self.authority());
        socket.write_all(&request).await.map_err(broken)?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head belongs to the engine.
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.map_err(broken)?);
            if head.len() > LONGEST_HEAD {
                return Err(format!("what answers at {} is no HTTP proxy", self.authority()));
            }
        }
        match status(&head) {
            Some(200..=299) => Ok(()),
            Some(407) => Err(self.unauthorized()),
            Some(status) => Err(format!("the proxy {} refuses {target}: HTTP {status}", self.authority())),
            None => Err(format!("what answers at {} is no HTTP proxy", self.authority())),
        }
    }

    /// The sentence for an answer with status 407.
    pub(super) fn unauthorized(&self) -> String {
        let given =
            if self.authorization.is_some() { "refuses the credentials of" } else { "wants credentials in" };
        format!("the proxy {} {given} its address (HTTP 407)", self.authority())
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

fn basic(pair: &str) -> Option<HeaderValue> {
    let (user, password) = pair.split_once(':').unwrap_or((pair, ""));
    let mut plain = decoded(user)?;
    plain.push(b':');
    plain.extend(decoded(password)?);
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Resolves `%41` and the like.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut plain = parts.next()?.as_bytes().to_vec();
    for part in parts {
        plain.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        plain.extend_from_slice(part.get(2..)?.as_bytes());
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_decoded_and_sent_as_basic() {
        let proxy = Proxy::parse("http://us%40er:p%3Ass@proxy.example:3128").unwrap();
        assert_eq!((proxy.authority().as_str(), proxy.port), ("proxy.example:3128", 3128));
        let sent = proxy.authorization.unwrap();
        assert_eq!(sent.to_str().unwrap(), format!("Basic {}", STANDARD.encode("us@er:p:ss")));
        assert!(Proxy::parse("http://proxy.example").unwrap().authorization.is_none());
    }

    #[test]
    fn a_wrong_address_is_refused_without_showing_its_password() {
        for url in [
            "https://u:secret@proxy",
            "u:secret@proxy:1",
            "http://",
            "socks5://u:secret@proxy",
            "http://a:%zz@b",
        ] {
            let Err(fault) = Proxy::parse(url) else { panic!("{url}") };
            assert!(
                fault.contains("http://[USER:PASSWORD@]HOST:PORT") && !fault.contains("secret"),
                "{fault}"
            );
        }
    }
}
