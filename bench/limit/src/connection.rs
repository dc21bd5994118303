//! One connection, opened again whenever the engine closed it.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// See the module.
pub(crate) struct Connection {
    authority: String,
    host: HeaderValue,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(crate) fn new(authority: &str) -> io::Result<Self> {
        let host = HeaderValue::from_str(authority).map_err(io::Error::other)?;
        Ok(Self { authority: authority.into(), host, sender: None })
    }

    /// POST `body` to `path`: the answer's status and its whole body.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> io::Result<(StatusCode, Bytes)> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse().map_err(io::Error::other)?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON);
        let answer = self.ready().await?.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        Ok((status, body))
    }

    async fn ready(&mut self) -> io::Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        match &mut self.sender {
            Some(sender) => Ok(sender),
            empty => {
                let stream = TcpStream::connect(&self.authority).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
                // Its errors come back through the sender.
                tokio::spawn(connection);
                Ok(empty.insert(sender))
            }
        }
    }
}
