//! The byte stream to an engine: TCP, or TLS over it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::error::tls_error;

/// Tells the engine, once asked to, that nothing more will be sent, while answers are still read.
#[derive(Default)]
pub(super) struct HalfClose {
    wanted: Cell<bool>,
    reader: RefCell<Option<Waker>>,
}

impl HalfClose {
    /// Whether it was asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.get()
    }

    /// Closes the sending side as soon as the connection is polled, which this brings about.
    pub(super) fn close(&self) {
        self.wanted.set(true);
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.wake();
        }
    }
}

enum Bytes {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The error of TLS that ended a stream, for those to whom only its text is handed on.
pub(super) type Fault = Rc<RefCell<Option<rustls::Error>>>;

/// See the module.
pub(super) struct Socket {
    bytes: Bytes,
    half_close: Option<Rc<HalfClose>>,
    fault: Option<Fault>,
}

impl Socket {
    pub(super) fn plain(socket: TcpStream) -> Self {
        Self { bytes: Bytes::Plain(socket), half_close: None, fault: None }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { bytes: Bytes::Tls(Box::new(stream)), half_close: None, fault: None }
    }

    /// Who is at the other end: the engine, or a proxy.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let socket = match &self.bytes {
            Bytes::Plain(socket) => socket,
            Bytes::Tls(stream) => stream.get_ref().0,
        };
        socket.peer_addr().ok()
    }

    /// Makes the sending side closable from outside.
    pub(super) fn closable(&mut self) -> Rc<HalfClose> {
        Rc::clone(self.half_close.get_or_insert_default())
    }

    /// Where the error of TLS will be found that ends the stream, if one does.
    pub(super) fn fault(&mut self) -> Fault {
        Rc::clone(self.fault.get_or_insert_default())
    }

    /// Whether the two sides have agreed on HTTP/2 (ALPN).
    pub(super) fn agreed_http2(&self) -> bool {
        match &self.bytes {
            Bytes::Plain(_) => false,
            Bytes::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) {
        let Some(half_close) = self.half_close.as_ref() else { return };
        if !half_close.wanted.get() {
            *half_close.reader.borrow_mut() = Some(cx.waker().clone());
        } else if self.poll_end(cx).is_ready() {
            // Whatever came of it: it is tried once.
            self.half_close = None;
        }
    }

    fn noted(&self, error: io::Error) -> io::Error {
        if let (Some(fault), Some(found)) = (&self.fault, tls_error(&error)) {
            *fault.borrow_mut() = Some(found.clone());
        }
        error
    }

    /// What ended the stream, after a write has failed: an alert of the engine's may wait to be read, and it says
    /// more than a broken pipe.
    fn poll_cause<T>(&mut self, cx: &mut Context<'_>, error: io::Error) -> Poll<io::Result<T>> {
        let Bytes::Tls(stream) = &mut self.bytes else { return Poll::Ready(Err(error)) };
        let mut space = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(Err(cause)) if tls_error(&cause).is_some() => {
                    return Poll::Ready(Err(self.noted(cause)));
                }
                Poll::Ready(_) => return Poll::Ready(Err(error)),
                // The other side has closed, so the end of what can be read will come, and the write is tried again.
                Poll::Pending if is_closed(&error) => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.bytes {
            Bytes::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Bytes::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Whether the error says that the other side has closed.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.half_close.is_some() {
            this.poll_half_close(cx);
        }
        match &mut this.bytes {
            Bytes::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Bytes::Tls(stream) => {
                let read = Pin::new(stream).poll_read(cx, buffer);
                read.map_err(|error| this.noted(error))
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match &mut this.bytes {
            Bytes::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Bytes::Tls(stream) => {
                let written = Pin::new(stream).poll_write(cx, bytes);
                match written {
                    Poll::Ready(Err(error)) => this.poll_cause(cx, error),
                    other => other,
                }
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match &mut this.bytes {
            Bytes::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Bytes::Tls(stream) => {
                let written = Pin::new(stream).poll_write_vectored(cx, slices);
                match written {
                    Poll::Ready(Err(error)) => this.poll_cause(cx, error),
                    other => other,
                }
            }
        }
    }

    /// No, to HTTP/2: bodies of ordinary size are then copied behind each other and leave in one write.
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.bytes {
            // TCP has nothing to flush.
            Bytes::Plain(_) => Poll::Ready(Ok(())),
            Bytes::Tls(stream) => {
                let flushed = Pin::new(stream).poll_flush(cx);
                match flushed {
                    Poll::Ready(Err(error)) => this.poll_cause(cx, error),
                    other => other,
                }
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }
}
