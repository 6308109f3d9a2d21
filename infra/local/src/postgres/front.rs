//! What stands before PostgreSQL here: it ends TLS with a certificate of its own making, as a pooler
//! does, and makes the trouble that tests ask for, at the n-th request.
//!
//! A request is one message after which the client waits: a simple query, or the Sync of the extended
//! protocol. Logging in is none.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What a client sends to ask for TLS.
const SSL_REQUEST: u32 = 80_877_103;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It never arrives; the session ends.
    CutBefore,
    /// It is done, its answer never arrives; the session ends.
    CutAfter,
    /// It waits until [`Front::release`], or until its client is gone.
    Hold,
}

/// The front of one test. Dropping it ends all its sessions.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    authority: String,
    state: Arc<State>,
    running: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    requests: AtomicU64,
    scripted: Mutex<BTreeMap<u64, Trouble>>,
    held: AtomicU64,
    released: Notify,
    down: watch::Sender<bool>,
    /// Clients that wanted to go on without TLS.
    plain: AtomicBool,
    /// The first request that leaves something behind in its session.
    sticky: Mutex<Option<String>>,
}

impl Front {
    /// Stands before the server at `upstream`, under the name `localhost`.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let (authority, acceptor) = certificate("localhost")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream,
            requests: AtomicU64::new(0),
            scripted: Mutex::default(),
            held: AtomicU64::new(0),
            released: Notify::new(),
            down: watch::Sender::new(false),
            plain: AtomicBool::new(false),
            sticky: Mutex::default(),
        });
        let running = tokio::spawn(accept(listener, acceptor, Arc::clone(&state)));
        Ok(Self {
            address,
            authority,
            state,
            running,
        })
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The authority of its certificate, in PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// How many requests came so far.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Makes trouble for the n-th request from now, counted from 1.
    pub fn script(&self, n: u64, trouble: Trouble) {
        self.state.scripted().insert(self.requests() + n, trouble);
    }

    /// How much of what was scripted has not happened.
    pub fn pending(&self) -> usize {
        self.state.scripted().len()
    }

    /// How many requests were held so far.
    pub fn held(&self) -> u64 {
        self.state.held.load(Ordering::SeqCst)
    }

    /// Lets every held request go on.
    pub fn release(&self) {
        self.state.released.notify_waiters();
    }

    /// Whether anybody tried to go on without TLS.
    pub fn saw_plain(&self) -> bool {
        self.state.plain.load(Ordering::SeqCst)
    }

    /// The first request that left something behind in its session, which a pooler would pin for it: a
    /// statement with a name, a setting, a lock or a table of the session.
    pub fn sticky(&self) -> Option<String> {
        let sticky = self.state.sticky.lock();
        sticky.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Down, every session ends and none begins.
    pub fn set_down(&self, down: bool) {
        self.state.down.send_replace(down);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.running.abort();
        self.set_down(true);
    }
}

impl State {
    fn scripted(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Trouble>> {
        self.scripted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_sticky(&self, kind: u8, body: &[u8]) {
        let text = String::from_utf8_lossy(body).to_uppercase();
        let named = kind == b'P' && body.first().is_some_and(|first| *first != 0);
        let of_session = kind == b'Q'
            && text
                .split(';')
                .map(str::trim_start)
                .any(|one| one.starts_with("SET ") && !one.starts_with("SET LOCAL "));
        let words = [
            "PG_ADVISORY_LOCK(",
            "LISTEN ",
            "TEMP TABLE",
            "PREPARE ",
            "DECLARE ",
        ];
        let says = matches!(kind, b'Q' | b'P') && words.iter().any(|word| text.contains(word));
        if named || of_session || says {
            let mut sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
            sticky.get_or_insert(text);
        }
    }

    /// Counts a request; what is to happen to it.
    fn request(&self) -> Option<Trouble> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        self.scripted().remove(&number)
    }
}

/// An authority, and who has a certificate of it for this name.
fn certificate(name: &str) -> Result<(String, TlsAcceptor)> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate()?;
    let own = rcgen::CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &issuer)?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], private)?;
    Ok((
        authority_certificate.pem(),
        TlsAcceptor::from(Arc::new(config)),
    ))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        let mut down = state.down.subscribe();
        tokio::spawn(async move {
            let ended = down.wait_for(|down| *down);
            tokio::select! {
                _ = ended => {}
                // How a session ends is its client's affair.
                _ = session(socket, acceptor, &state) => {}
            }
        });
    }
}

async fn session(mut socket: TcpStream, acceptor: TlsAcceptor, state: &State) -> Result<()> {
    let (_, code) = (socket.read_u32().await?, socket.read_u32().await?);
    if code != SSL_REQUEST {
        state.plain.store(true, Ordering::SeqCst);
        return Ok(());
    }
    socket.write_all(b"S").await?;
    let (mut from_client, to_client) = split(acceptor.accept(socket).await?);
    let upstream = TcpStream::connect(state.upstream)
        .await
        .context("PostgreSQL")?;
    upstream.set_nodelay(true)?;
    let (from_server, mut to_server) = split(upstream);
    // The start-up message has a length and no type.
    let length = from_client.read_u32().await?;
    to_server.write_u32(length).await?;
    copy_body(&mut from_client, &mut to_server, length).await?;
    to_server.flush().await?;
    let lost = Arc::new(AtomicBool::new(false));
    let answers = answers(from_server, to_client, Arc::clone(&lost));
    let requests = requests(from_client, to_server, state, &lost);
    tokio::select! {
        ended = answers => ended,
        ended = requests => ended,
    }
}

/// Hands over what the client sends, message by message, with the trouble that is scripted.
async fn requests(
    mut from: ReadHalf<TlsStream<TcpStream>>,
    mut to: WriteHalf<TcpStream>,
    state: &State,
    lost: &AtomicBool,
) -> Result<()> {
    loop {
        let kind = from.read_u8().await?;
        let length = from.read_u32().await?;
        let mut body = vec![0; length.saturating_sub(4) as usize];
        from.read_exact(&mut body).await?;
        state.note_sticky(kind, &body);
        let waits = matches!(kind, b'Q' | b'S');
        match waits.then(|| state.request()).flatten() {
            Some(Trouble::CutBefore) => return Ok(()),
            Some(Trouble::CutAfter) => lost.store(true, Ordering::SeqCst),
            Some(Trouble::Hold) => {
                let released = state.released.notified();
                state.held.fetch_add(1, Ordering::SeqCst);
                // A client that is gone sends nothing more; one that waits sends nothing either.
                tokio::select! {
                    () = released => {}
                    _ = from.read_u8() => return Ok(()),
                }
            }
            None => {}
        }
        to.write_u8(kind).await?;
        to.write_u32(length).await?;
        to.write_all(&body).await?;
        if waits {
            to.flush().await?;
        }
    }
}

/// Hands over what the server answers; an answer that is to be lost ends the session when it is whole.
async fn answers(
    mut from: ReadHalf<TcpStream>,
    mut to: WriteHalf<TlsStream<TcpStream>>,
    lost: Arc<AtomicBool>,
) -> Result<()> {
    loop {
        let kind = from.read_u8().await?;
        let length = from.read_u32().await?;
        let mut body = vec![0; length.saturating_sub(4) as usize];
        from.read_exact(&mut body).await?;
        // 'Z': the server is ready for the next, so this one is done.
        let ready = kind == b'Z';
        if lost.load(Ordering::SeqCst) {
            if ready {
                return Ok(());
            }
            continue;
        }
        to.write_u8(kind).await?;
        to.write_u32(length).await?;
        to.write_all(&body).await?;
        // SASL's challenges ('R') are waited for as well.
        if ready || matches!(kind, b'R' | b'E') {
            to.flush().await?;
        }
    }
}

async fn copy_body(
    from: &mut ReadHalf<TlsStream<TcpStream>>,
    to: &mut WriteHalf<TcpStream>,
    length: u32,
) -> Result<()> {
    let mut body = vec![0; length.saturating_sub(4) as usize];
    from.read_exact(&mut body).await?;
    to.write_all(&body).await?;
    Ok(())
}
