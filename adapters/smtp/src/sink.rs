//! An SMTP server inside the process that takes every mail and does what a script says: for tests
//! and demonstrations. It listens on loopback only.

mod conversation;
mod script;

pub use script::{Act, Script, Stage};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// A mail that the sink has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMail {
    /// The address of `MAIL FROM`.
    pub from: String,
    /// The accepted addresses of `RCPT TO`, in order.
    pub to: Vec<String>,
    /// The text as it was before dots were doubled.
    pub data: Vec<u8>,
}

impl ReceivedMail {
    /// The text, with what is no UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    /// The value of a header, unfolded; the first one when there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.data, name)
    }
}

/// What the sink remembers of the mails it takes, beside their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Everything.
    #[default]
    Mails,
    /// The values of `X-Message-ID`.
    Ids,
    /// Nothing.
    Nothing,
}

/// How the sink protects sessions.
#[derive(Debug, Default)]
pub enum SinkTls {
    /// Not at all.
    #[default]
    None,
    /// `STARTTLS` is offered.
    StartTls(Identity),
    /// TLS from the first byte.
    Implicit(Identity),
}

/// A certificate and its key, both DER.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, self-signed or signed by a root that the client trusts.
    pub certificate: Vec<u8>,
    /// Its private key in PKCS #8.
    pub key: Vec<u8>,
}

/// How a sink behaves.
#[derive(Debug, Default)]
pub struct SinkOptions {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// What it remembers.
    pub keep: Keep,
    /// Its protection.
    pub tls: SinkTls,
    /// An account and its password, without which no mail is taken.
    pub account: Option<(String, String)>,
    /// Offered after `EHLO`; by default `PIPELINING`, `8BITMIME`, `SMTPUTF8`,
    /// `ENHANCEDSTATUSCODES`.
    pub offers: Option<Vec<String>>,
    /// What it does where.
    pub script: Script,
}

/// A running sink; it stops when dropped.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: AbortHandle,
}

/// What the conversations have in common.
struct Shared {
    options: SinkOptions,
    acceptor: Option<TlsAcceptor>,
    script: Mutex<Script>,
    seen: Mutex<Seen>,
    /// Marked as changed whenever anything was seen.
    news: watch::Sender<()>,
}

#[derive(Default)]
struct Seen {
    count: usize,
    mails: Vec<ReceivedMail>,
    ids: Vec<String>,
    sessions: usize,
    open: usize,
    peak: usize,
    commands: Vec<String>,
}

impl Sink {
    /// Starts listening.
    ///
    /// # Errors
    /// When the port is taken or the certificate does not fit its key.
    pub async fn start(mut options: SinkOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let acceptor = match &options.tls {
            SinkTls::None => None,
            SinkTls::StartTls(identity) | SinkTls::Implicit(identity) => Some(tls_acceptor(identity)?),
        };
        let script = Mutex::new(std::mem::take(&mut options.script));
        let shared = Arc::new(Shared {
            options,
            acceptor,
            script,
            seen: Mutex::default(),
            news: watch::Sender::new(()),
        });
        let address = listener.local_addr()?;
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, acceptor })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens from now on.
    pub fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut lock(&self.shared.script));
    }

    /// The mails taken so far, with [`Keep::Mails`].
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedMail> {
        lock(&self.shared.seen).mails.clone()
    }

    /// The `X-Message-ID` of the mails taken so far, unless [`Keep::Nothing`].
    #[must_use]
    pub fn message_ids(&self) -> Vec<String> {
        lock(&self.shared.seen).ids.clone()
    }

    /// How many mails were taken so far.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.shared.seen).count
    }

    /// How many connections there were so far.
    #[must_use]
    pub fn sessions(&self) -> usize {
        lock(&self.shared.seen).sessions
    }

    /// How many connections were open at the same time at most.
    #[must_use]
    pub fn peak_sessions(&self) -> usize {
        lock(&self.shared.seen).peak
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        lock(&self.shared.seen).open
    }

    /// The commands heard so far, in order and without credentials; none with [`Keep::Nothing`].
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        lock(&self.shared.seen).commands.clone()
    }

    /// Waits until at least `mails` were taken; false when that takes longer than `patience`.
    pub async fn wait_for(&self, mails: usize, patience: Duration) -> bool {
        self.wait_until(patience, |sink| sink.count() >= mails).await
    }

    /// Waits until something holds of what was seen; false when that takes longer than `patience`.
    pub async fn wait_until(&self, patience: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let mut news = self.shared.news.subscribe();
        let holding = news.wait_for(|()| holds(self));
        matches!(tokio::time::timeout(patience, holding).await, Ok(Ok(_)))
    }

    /// Closes the port and all connections: later ones are refused.
    pub fn stop(&self) {
        self.acceptor.abort();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let shared = Arc::clone(&shared);
                conversations.spawn(async move {
                    let _open = Open::new(&shared);
                    // a client that goes away is no concern of a sink
                    let _ = conversation::hold(stream, &shared).await;
                });
            }
            Some(_) = conversations.join_next() => {}
        }
    }
}

/// Counts a connection for as long as it lives.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut seen = lock(&shared.seen);
        seen.sessions += 1;
        seen.open += 1;
        seen.peak = seen.peak.max(seen.open);
        drop(seen);
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        lock(&self.0.seen).open -= 1;
        self.0.news.send_replace(());
    }
}

impl Shared {
    fn act(&self, stage: Stage, recipient: Option<&str>) -> Act {
        lock(&self.script).next(stage, recipient)
    }

    fn hear(&self, command: &str) {
        if self.options.keep != Keep::Nothing {
            lock(&self.seen).commands.push(command.to_owned());
            self.news.send_replace(());
        }
    }

    fn take(&self, mail: ReceivedMail) {
        let mut seen = lock(&self.seen);
        seen.count += 1;
        if self.options.keep != Keep::Nothing {
            seen.ids.extend(mail.header("X-Message-ID"));
        }
        if self.options.keep == Keep::Mails {
            seen.mails.push(mail);
        }
        drop(seen);
        self.news.send_replace(());
    }
}

fn tls_acceptor(identity: &Identity) -> io::Result<TlsAcceptor> {
    let invalid = |error: rustls::Error| io::Error::new(io::ErrorKind::InvalidInput, error);
    let key = PrivateKeyDer::try_from(identity.key.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let chain = vec![CertificateDer::from(identity.certificate.clone())];
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(invalid)?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// Finds a header in a message and unfolds its value.
fn header(message: &[u8], name: &str) -> Option<String> {
    let head = message.windows(4).position(|w| w == b"\r\n\r\n").map_or(message, |end| &message[..end]);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let is_wanted = |line: &&str| line.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
    let first = lines.find(is_wanted)?;
    let mut value = first.split_once(':').map_or("", |(_, value)| value).to_owned();
    for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push_str(more);
    }
    Some(value.trim().to_owned())
}

/// Nothing under these locks panics half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
