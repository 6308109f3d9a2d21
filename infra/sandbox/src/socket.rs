//! Sockets that a test can really cut.
//!
//! Every accepted connection carries a [`Switch`]. Once thrown, each read and write on that
//! connection fails, so the HTTP server drops the socket: the peer sees it close without an
//! answer, whatever the handler was about to say.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Cuts one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cut: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Switch {
    /// Closes the connection: nothing more is read from it or written to it.
    pub(crate) fn cut(&self) {
        self.0.cut();
    }
}

impl Inner {
    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *self.lock());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails when cut; otherwise remembers whom to wake when it will be.
    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        let mut wakers = self.lock();
        if self.cut.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        Ok(())
    }
}

impl Connected<IncomingStream<'_, CutListener>> for Switch {
    fn connect_info(stream: IncomingStream<'_, CutListener>) -> Self {
        stream.io().switch.clone()
    }
}

/// All open connections of one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    closed: bool,
    list: Vec<Weak<Inner>>,
}

impl Connections {
    /// Cuts every connection, and those still to be accepted.
    pub(crate) fn close(&self) {
        let list = {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            open.closed = true;
            std::mem::take(&mut open.list)
        };
        list.iter()
            .filter_map(Weak::upgrade)
            .for_each(|inner| inner.cut());
    }

    fn add(&self, switch: &Switch) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.list.retain(|weak| weak.strong_count() > 0);
        open.list.push(Arc::downgrade(&switch.0));
        if open.closed {
            switch.cut();
        }
    }
}

/// A TCP listener whose connections can be cut.
pub(crate) struct CutListener {
    inner: TcpListener,
    connections: Connections,
}

impl CutListener {
    /// Wraps a listener.
    pub(crate) fn new(inner: TcpListener, connections: Connections) -> Self {
        Self { inner, connections }
    }
}

impl Listener for CutListener {
    type Io = CutStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, addr) = Listener::accept(&mut self.inner).await;
        let switch = Switch::default();
        self.connections.add(&switch);
        (CutStream { io, switch }, addr)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// A connection with its switch.
pub(crate) struct CutStream {
    io: TcpStream,
    switch: Switch,
}

impl AsyncRead for CutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.switch.0.check(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.switch.0.check(cx)?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.0.check(cx)?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
