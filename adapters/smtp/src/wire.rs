//! One connection: bytes out, answers in, each within its time.

use crate::reply::{Reply, parse_line};
use rustls::pki_types::ServerName;
use std::{future::Future, io};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longest line taken from a server; RFC 5321 allows 512 bytes.
const LINE: usize = 4096;
/// Most lines of one answer.
const LINES: usize = 100;

/// A connection after a greeting may have been read from it.
pub(crate) struct Wire {
    stream: Stream,
    /// Received and not yet read.
    inbox: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why the connection cannot go on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Closed, or failed.
    Lost(String),
    /// Silent for too long.
    Late,
    /// Not SMTP.
    Garbled,
}

impl Fault {
    /// For people: what happened while waiting for `what`.
    pub fn while_waiting_for(self, what: &str) -> String {
        match self {
            Self::Lost(why) => format!("connection lost before {what}: {why}"),
            Self::Late => format!("timed out before {what}"),
            Self::Garbled => format!("no valid SMTP before {what}"),
        }
    }
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), inbox: Vec::new() }
    }

    /// Turns to TLS. What came in before is dropped: it was not protected.
    pub async fn secure(
        self,
        connector: &TlsConnector,
        name: ServerName<'static>,
        until: Instant,
    ) -> Result<Self, Fault> {
        let Stream::Plain(stream) = self.stream else { return Err(Fault::Garbled) };
        let stream = within(until, connector.connect(name, stream)).await?;
        Ok(Self { stream: Stream::Tls(Box::new(stream)), inbox: Vec::new() })
    }

    pub async fn write(&mut self, bytes: &[u8], until: Instant) -> Result<(), Fault> {
        match &mut self.stream {
            Stream::Plain(stream) => within(until, stream.write_all(bytes)).await,
            Stream::Tls(stream) => {
                within(until, async {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                })
                .await
            }
        }
    }

    /// The next answer, however many lines and however slow, until the moment given.
    pub async fn reply(&mut self, until: Instant) -> Result<Reply, Fault> {
        Ok(self.lines(until).await?.0)
    }

    /// The next answer, and its lines one by one.
    pub async fn lines(&mut self, until: Instant) -> Result<(Reply, Vec<Vec<u8>>), Fault> {
        let (mut code, mut texts) = (None, Vec::new());
        loop {
            let line = self.line(until).await?;
            let line = parse_line(&line).ok_or(Fault::Garbled)?;
            if *code.get_or_insert(line.code) != line.code || texts.len() == LINES {
                return Err(Fault::Garbled);
            }
            texts.push(line.text.to_vec());
            if line.last {
                return Ok((Reply::new(line.code, texts.iter().map(Vec::as_slice)), texts));
            }
        }
    }

    /// Whether the server has said something that nobody asked for.
    pub fn has_unread(&self) -> bool {
        !self.inbox.is_empty()
    }

    async fn line(&mut self, until: Instant) -> Result<Vec<u8>, Fault> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.inbox[searched..].iter().position(|b| *b == b'\n') {
                let rest = self.inbox.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut self.inbox, rest);
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            searched = self.inbox.len();
            if searched > LINE {
                return Err(Fault::Garbled);
            }
            let mut chunk = [0; 1024];
            let read = match &mut self.stream {
                Stream::Plain(stream) => within(until, stream.read(&mut chunk)).await?,
                Stream::Tls(stream) => within(until, stream.read(&mut chunk)).await?,
            };
            if read == 0 {
                return Err(Fault::Lost("closed by the server".into()));
            }
            self.inbox.extend_from_slice(&chunk[..read]);
        }
    }
}

async fn within<T>(until: Instant, step: impl Future<Output = io::Result<T>>) -> Result<T, Fault> {
    match timeout_at(until, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Fault::Lost(describe(&error))),
        Err(_) => Err(Fault::Late),
    }
}

/// A failure in words without an address in them.
pub(crate) fn describe(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => format!("TLS: {tls}"),
        None => error.kind().to_string(),
    }
}
