//! An engine's address, parsed once.

use std::fmt;

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether the address says `https`.
    pub https: bool,
    /// Host name or address, without the brackets of IPv6.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The path before the protocol's own paths: empty, or starting with `/` and not ending with one.
    pub base_path: String,
}

/// Why a text is no engine address, in one sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Parses `http[s]://host[:port][/base/path]`. A trailing `/v2` is taken off: the protocol adds it.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let fail = |why: &str| AddressError(format!("engine address {url:?}: {why}"));
        let uri: http::Uri = url.parse().map_err(|_| fail("not a URL, expected http://HOST:PORT"))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(other) => return Err(fail(&format!("unknown scheme {other:?}, expected http or https"))),
            None => return Err(fail("the scheme is missing, expected http://HOST:PORT")),
        };
        if uri.query().is_some() || uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(fail("neither a query nor credentials belong into the address"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| fail("the host is missing"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path().trim_end_matches('/');
        let base_path = path.strip_suffix("/v2").unwrap_or(path).trim_end_matches('/').to_owned();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        Ok(Self { https, host, port, base_path })
    }

    pub(super) fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// Host and port as they stand in requests.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_path_keeps_everything_before_the_protocol() {
        let address = Address::parse("http://zeebe.example:8080/cluster/v2/").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("zeebe.example", 8080));
        assert_eq!(address.base_path, "/cluster");
        assert_eq!(Address::parse("http://[::1]").unwrap().authority(), "[::1]:80");
        let secure = Address::parse("https://zeebe.example/v2").unwrap();
        assert_eq!((secure.https, secure.port, secure.base_path.as_str()), (true, 443, ""));
    }

    #[test]
    fn a_wrong_address_names_the_remedy() {
        for (url, word) in [
            ("ftp://x", "expected http"),
            ("127.0.0.1:8080", "http://HOST:PORT"),
            ("http://user:secret@x", "credentials"),
        ] {
            let message = Address::parse(url).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
