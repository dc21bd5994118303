//! Requests as they go on the wire, with the authorization that holds now.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method as HttpMethod, Uri};

use super::Transport;
use super::error::SendError;
use crate::engine::{Method, Request};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is the same in every request.
pub(super) struct Fixed {
    host: HeaderValue,
    authority: Option<Authority>,
    scheme: Scheme,
    base_path: String,
    /// Requests name the whole address: a proxy reads them.
    absolute: bool,
    proxy_authorization: Option<HeaderValue>,
}

impl Fixed {
    pub(super) fn new(authority: &str, https: bool, base_path: &str) -> Self {
        Self {
            host: HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static("localhost")),
            authority: authority.parse().ok(),
            scheme: if https { Scheme::HTTPS } else { Scheme::HTTP },
            base_path: base_path.to_owned(),
            absolute: false,
            proxy_authorization: None,
        }
    }

    /// Has a proxy read the requests.
    pub(super) fn through_proxy(&mut self, authorization: Option<HeaderValue>) {
        self.absolute = true;
        self.proxy_authorization = authorization;
    }

    fn path(&self, request: &Request) -> Result<PathAndQuery, SendError> {
        let path = match self.base_path.as_str() {
            "" => PathAndQuery::try_from(request.path.as_str()),
            base => PathAndQuery::try_from(format!("{base}{}", request.path)),
        };
        path.map_err(|error| SendError::Unsent(format!("not a request path: {}: {error}", request.path)))
    }

    fn whole_uri(&self, path: PathAndQuery) -> Result<Uri, SendError> {
        let mut parts = hyper::http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = self.authority.clone();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| SendError::Unsent(format!("not an address: {error}")))
    }
}

impl Transport {
    pub(super) fn http1_request(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>, SendError> {
        let path = self.fixed.path(request)?;
        let mut wire = hyper::Request::new(Full::new(request.body.clone()));
        *wire.method_mut() = method(request.method);
        *wire.uri_mut() = if self.fixed.absolute { self.fixed.whole_uri(path)? } else { path.into() };
        let headers = wire.headers_mut();
        headers.insert(HOST, self.fixed.host.clone());
        if let Some(authorization) = &self.fixed.proxy_authorization {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        self.common_headers(request, headers);
        Ok(wire)
    }

    pub(super) fn http2_request(&self, request: &Request) -> Result<hyper::Request<()>, SendError> {
        let mut wire = hyper::Request::new(());
        *wire.method_mut() = method(request.method);
        *wire.uri_mut() = self.fixed.whole_uri(self.fixed.path(request)?)?;
        self.common_headers(request, wire.headers_mut());
        Ok(wire)
    }

    fn common_headers(&self, request: &Request, headers: &mut HeaderMap) {
        if !request.body.is_empty() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if let Some(authorization) = self.authorization.borrow().as_ref() {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
    }
}

fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
        Method::Patch => HttpMethod::PATCH,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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

    #[test]
    fn the_base_path_stands_before_the_protocols_own() {
        let transport = transport("http://engine.test:8080/zeebe/v2", None);
        transport.set_authorization(Some("Bearer x"));
        let first = transport.http1_request(&probe()).unwrap();
        assert_eq!(first.uri(), "/zeebe/v2/topology");
        assert_eq!(first.headers()[HOST], "engine.test:8080");
        let second = transport.http2_request(&probe()).unwrap();
        assert_eq!(second.uri(), "http://engine.test:8080/zeebe/v2/topology");
        assert_eq!((first.headers().get(AUTHORIZATION), second.headers().get(HOST)), {
            (second.headers().get(AUTHORIZATION), None)
        });
    }

    #[test]
    fn a_proxy_reads_the_whole_address_and_its_own_credentials() {
        let plain = transport("http://engine.test/zeebe", Some("http://u:p@proxy.test"));
        let wire = plain.http1_request(&probe()).unwrap();
        assert_eq!(wire.uri(), "http://engine.test:80/zeebe/v2/topology");
        assert!(wire.headers().contains_key(PROXY_AUTHORIZATION));
    }
}
