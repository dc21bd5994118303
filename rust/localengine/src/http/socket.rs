//! A client's byte stream: TCP, or TLS over it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// See the module.
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// TLS, and what was read from it ahead of its turn.
pub(crate) struct Tls {
    stream: TlsStream<TcpStream>,
    ahead: Vec<u8>,
}

impl Socket {
    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(Tls { stream, ahead: Vec::new() }))
    }

    /// Ends when the client closed its side. One that sends a further request instead is there.
    pub(super) async fn departure(&mut self) {
        let present = match self {
            Self::Plain(stream) => matches!(stream.peek(&mut [0]).await, Ok(1..)),
            Self::Tls(tls) => {
                let mut bytes = [0; 1024];
                let read = tls.stream.read(&mut bytes).await.unwrap_or(0);
                tls.ahead.extend_from_slice(bytes.get(..read).unwrap_or_default());
                read > 0
            }
        };
        if present {
            std::future::pending().await
        }
    }

    /// Has the next close be a reset.
    pub(super) fn set_zero_linger(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_zero_linger(),
            Self::Tls(tls) => tls.stream.get_ref().0.set_zero_linger(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(tls) if tls.ahead.is_empty() => Pin::new(&mut tls.stream).poll_read(cx, buffer),
            Self::Tls(tls) => {
                let length = tls.ahead.len().min(buffer.remaining());
                buffer.put_slice(tls.ahead.get(..length).unwrap_or_default());
                tls.ahead.drain(..length);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, data),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // TCP has nothing to flush.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(tls) => {
                ready!(Pin::new(&mut tls.stream).poll_flush(cx))?;
                Pin::new(&mut tls.stream).poll_shutdown(cx)
            }
        }
    }
}
