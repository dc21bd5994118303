//! Requests as they go on the wire, with the authorization that holds now.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method as HttpMethod, Uri};

use super::Transport;
use super::error::SendError;
use crate::engine::{Method, Request};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is the same in every request.
pub(super) struct Fixed {
    authority: Option<Authority>,
    scheme: Scheme,
    base_path: String,
    /// In a request line of HTTP/1.1, what stands before the path: a proxy reads the whole address.
    prefix: String,
    /// The header lines of HTTP/1.1.
    lines: Vec<u8>,
}

impl Fixed {
    pub(super) fn new(authority: &str, https: bool, base_path: &str) -> Self {
        Self {
            authority: authority.parse().ok(),
            scheme: if https { Scheme::HTTPS } else { Scheme::HTTP },
            base_path: base_path.to_owned(),
            prefix: base_path.to_owned(),
            lines: format!("host: {authority}\r\n").into_bytes(),
        }
    }

    /// Has a proxy read the requests.
    pub(super) fn through_proxy(&mut self, authorization: Option<&HeaderValue>) {
        let authority = self.authority.as_ref().map_or("", Authority::as_str);
        self.prefix = format!("{}://{authority}{}", self.scheme, self.base_path);
        if let Some(authorization) = authorization {
            push_line(&mut self.lines, b"proxy-authorization", authorization.as_bytes());
        }
    }

    fn whole_uri(&self, path: &str) -> Result<Uri, SendError> {
        let whole = match self.base_path.as_str() {
            "" => PathAndQuery::try_from(path),
            base => PathAndQuery::try_from(format!("{base}{path}")),
        };
        let whole =
            whole.map_err(|error| SendError::Unsent(format!("not a request path: {path:?}: {error}")))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = self.authority.clone();
        parts.path_and_query = Some(whole);
        Uri::from_parts(parts).map_err(|error| SendError::Unsent(format!("not an address: {error}")))
    }
}

impl Transport {
    /// Writes the head of a request in HTTP/1.1.
    pub(super) fn write_http1(&self, request: &Request, out: &mut Vec<u8>) -> Result<(), SendError> {
        if !request.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(SendError::Unsent(format!("not a request path: {:?}", request.path)));
        }
        out.extend_from_slice(match request.method {
            Method::Get => b"GET ",
            Method::Post => b"POST ",
            Method::Patch => b"PATCH ",
        });
        out.extend_from_slice(self.fixed.prefix.as_bytes());
        out.extend_from_slice(request.path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(&self.fixed.lines);
        if request.method != Method::Get || !request.body.is_empty() {
            let length = request.body.len();
            push_line(out, b"content-length", itoa::Buffer::new().format(length).as_bytes());
        }
        if !request.body.is_empty() {
            push_line(out, b"content-type", JSON.as_bytes());
        }
        if let Some(authorization) = self.authorization.borrow().as_ref() {
            push_line(out, b"authorization", authorization.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    pub(super) fn http2_request(&self, request: &Request) -> Result<http::Request<()>, SendError> {
        let mut wire = http::Request::new(());
        *wire.method_mut() = match request.method {
            Method::Get => HttpMethod::GET,
            Method::Post => HttpMethod::POST,
            Method::Patch => HttpMethod::PATCH,
        };
        *wire.uri_mut() = self.fixed.whole_uri(&request.path)?;
        if !request.body.is_empty() {
            wire.headers_mut().insert(CONTENT_TYPE, JSON);
        }
        if let Some(authorization) = self.authorization.borrow().as_ref() {
            wire.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        Ok(wire)
    }
}

fn push_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::header::HOST;
    use serde_json::json;

    use super::*;
    use crate::events::Events;
    use crate::transport::Route;

    fn transport(url: &str, proxy: Option<&str>) -> Transport {
        let settings = json!({"kind": "camunda", "url": url, "proxy": proxy});
        let route = Route::new(&serde_json::from_value(settings).unwrap()).unwrap();
        Transport::new(route, Arc::new(Events::new().unwrap()))
    }

    fn probe() -> Request {
        Request { method: Method::Get, path: "/v2/topology".into(), body: Bytes::new() }
    }

    fn head(transport: &Transport, request: &Request) -> String {
        let mut out = Vec::new();
        transport.write_http1(request, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_base_path_stands_before_the_protocols_own() {
        let transport = transport("http://engine.test:8080/zeebe/v2", None);
        transport.set_authorization(Some("Bearer x"));
        let first = head(&transport, &probe());
        assert_eq!(
            first,
            "GET /zeebe/v2/topology HTTP/1.1\r\nhost: engine.test:8080\r\nauthorization: Bearer x\r\n\r\n"
        );
        let second = transport.http2_request(&probe()).unwrap();
        assert_eq!(second.uri(), "http://engine.test:8080/zeebe/v2/topology");
        assert_eq!(second.headers()[AUTHORIZATION], "Bearer x");
        assert!(!second.headers().contains_key(HOST));
    }

    #[test]
    fn a_body_tells_its_length_and_type() {
        let transport = transport("http://engine.test:8080", None);
        let mut request =
            Request { method: Method::Post, path: "/v2/jobs/1/completion".into(), body: Bytes::new() };
        assert!(head(&transport, &request).contains("\r\ncontent-length: 0\r\n"));
        request.body = Bytes::from_static(b"{}");
        let lines = "\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n";
        assert!(head(&transport, &request).ends_with(lines));
    }

    #[test]
    fn a_path_that_would_end_the_request_line_is_refused() {
        let transport = transport("http://engine.test", None);
        for path in
            ["/v2/jobs/1 HTTP/1.1", "/v2/jobs/1\r\nx: y", "/v2/jobs/\u{7f}", "/v2/jobs/ä", "/v2/jobs/1#"]
        {
            let request = Request { path: path.to_owned(), ..probe() };
            let refused = transport.write_http1(&request, &mut Vec::new());
            assert!(matches!(refused, Err(SendError::Unsent(_))), "{path}");
            assert!(transport.http2_request(&request).is_err() || path.ends_with(['ä', '#']), "{path}");
        }
    }

    #[test]
    fn a_proxy_reads_the_whole_address_and_its_own_credentials() {
        let plain = transport("http://engine.test/zeebe", Some("http://u:p@proxy.test"));
        let wire = head(&plain, &probe());
        assert!(wire.starts_with("GET http://engine.test:80/zeebe/v2/topology HTTP/1.1\r\n"), "{wire}");
        assert!(wire.contains("\r\nproxy-authorization: Basic dTpw\r\n"), "{wire}");
    }
}
