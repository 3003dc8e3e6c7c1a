//! One connection of a sink.

use super::{Act, ReceivedMail, Shared, SinkTls, Stage};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{future::pending, io};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

/// Longest command and largest mail that a sink takes.
const LINE: usize = 64 * 1024;
const MAIL: usize = 64 * 1024 * 1024;

/// Talks until either side is done.
pub(super) async fn hold(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match (&shared.options.tls, &shared.acceptor) {
        (SinkTls::Implicit(_), Some(tls)) => talk_protected(stream, tls, shared, true).await,
        (SinkTls::StartTls(_), Some(tls)) => {
            let mut talk = Talk::new(stream, shared, false);
            if !talk.greet().await? || talk.run().await? == End::Closed {
                return Ok(());
            }
            talk_protected(talk.io, tls, shared, false).await
        }
        _ => {
            let mut talk = Talk::new(stream, shared, false);
            if talk.greet().await? {
                talk.run().await?;
            }
            Ok(())
        }
    }
}

async fn talk_protected(
    stream: TcpStream,
    tls: &TlsAcceptor,
    shared: &Shared,
    greet: bool,
) -> io::Result<()> {
    let stream = tls.accept(stream).await?;
    let mut talk = Talk::new(stream, shared, true);
    if !greet || talk.greet().await? {
        talk.run().await?;
    }
    talk.io.shutdown().await
}

#[derive(PartialEq, Eq)]
enum End {
    Closed,
    StartTls,
}

struct Talk<'a, S> {
    io: S,
    shared: &'a Shared,
    secure: bool,
    authenticated: bool,
    inbox: Vec<u8>,
    /// Where the unread part of `inbox` begins.
    read: usize,
    outbox: Vec<u8>,
    from: Option<String>,
    to: Vec<String>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Talk<'a, S> {
    fn new(io: S, shared: &'a Shared, secure: bool) -> Self {
        let (inbox, outbox) = (Vec::new(), Vec::new());
        let authenticated = shared.options.account.is_none();
        Self { io, shared, secure, authenticated, inbox, read: 0, outbox, from: None, to: Vec::new() }
    }

    async fn greet(&mut self) -> io::Result<bool> {
        let code = self.act(Stage::Connect, None, "220 sink.example ESMTP").await?;
        self.flush().await?;
        Ok(code < 400)
    }

    async fn run(&mut self) -> io::Result<End> {
        while let Some(line) = self.line().await? {
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            self.shared.hear(if verb == "AUTH" { "AUTH" } else { &line });
            match verb.as_str() {
                "EHLO" | "HELO" => {
                    let offers = self.offers();
                    self.act(Stage::Ehlo, None, &offers).await?;
                    self.forget();
                }
                "STARTTLS" if self.shared.acceptor.is_some() && !self.secure => {
                    let code = self.act(Stage::StartTls, None, "220 2.0.0 go ahead").await?;
                    self.flush().await?;
                    if code == 220 {
                        return Ok(End::StartTls);
                    }
                }
                "AUTH" => self.authenticate(rest).await?,
                "MAIL" if self.from.is_some() => self.say("503 5.5.1 nested MAIL"),
                "MAIL" if !self.authenticated => self.say("530 5.7.0 authentication required"),
                "MAIL" => {
                    if self.act(Stage::Mail, None, "250 2.1.0 ok").await? < 300 {
                        self.from = Some(path(rest));
                    }
                }
                "RCPT" if self.from.is_none() => self.say("503 5.5.1 MAIL first"),
                "RCPT" => {
                    let address = path(rest);
                    let code = self.act(Stage::Rcpt, Some(&address.to_lowercase()), "250 2.1.5 ok").await?;
                    if code < 300 {
                        self.to.push(address);
                    }
                }
                "DATA" if self.to.is_empty() => self.say("554 5.5.1 no valid recipients"),
                "DATA" => {
                    if self.act(Stage::Data, None, "354 end with a dot").await? == 354 {
                        self.take().await?;
                    }
                }
                "RSET" => {
                    self.act(Stage::Reset, None, "250 2.0.0 ok").await?;
                    self.forget();
                }
                "NOOP" => self.say("250 2.0.0 ok"),
                "QUIT" => {
                    self.say("221 2.0.0 bye");
                    self.flush().await?;
                    return Ok(End::Closed);
                }
                _ => self.say("500 5.5.2 unknown command"),
            }
        }
        Ok(End::Closed)
    }

    fn offers(&self) -> String {
        let options = &self.shared.options;
        let usual =
            || ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"].map(str::to_owned).into();
        let mut offers: Vec<String> = options.offers.clone().unwrap_or_else(usual);
        if matches!(options.tls, SinkTls::StartTls(_)) && !self.secure {
            offers.push("STARTTLS".to_owned());
        }
        if options.account.is_some() && !offers.iter().any(|offer| offer.starts_with("AUTH")) {
            offers.push("AUTH PLAIN LOGIN".to_owned());
        }
        let Some(last) = offers.pop() else { return "250 sink.example".to_owned() };
        let mut answer = "250-sink.example\r\n".to_owned();
        for offer in &offers {
            answer.extend(["250-", offer, "\r\n"]);
        }
        answer + "250 " + &last
    }

    async fn authenticate(&mut self, rest: &str) -> io::Result<()> {
        let decode = |text: &str| {
            BASE64_STANDARD
                .decode(text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .unwrap_or_default()
        };
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = if mechanism.eq_ignore_ascii_case("PLAIN") {
            let token = decode(initial);
            let mut parts = token.split('\0').skip(1).map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        } else {
            self.say("334 VXNlcm5hbWU6");
            let user = self.line().await?.unwrap_or_default();
            self.say("334 UGFzc3dvcmQ6");
            let password = self.line().await?.unwrap_or_default();
            (decode(&user), decode(&password))
        };
        let right = self.shared.options.account.as_ref().is_some_and(|account| *account == given);
        let answer = if right { "235 2.7.0 welcome" } else { "535 5.7.8 authentication failed" };
        self.authenticated |= self.act(Stage::Auth, None, answer).await? == 235;
        Ok(())
    }

    /// Reads the text of a mail and answers to its final dot.
    async fn take(&mut self) -> io::Result<()> {
        self.flush().await?;
        let mut searched = 0;
        let length = loop {
            let unread = &self.inbox[self.read..];
            // the text may be empty, so that the line before the dot is that of DATA
            if unread.starts_with(b".\r\n") {
                break 0;
            }
            let found = unread[searched..].windows(5).position(|w| w == b"\r\n.\r\n");
            if let Some(at) = found {
                break searched + at + 2;
            }
            if unread.len() > MAIL {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            searched = unread.len().saturating_sub(4);
            if !self.receive().await? {
                return Ok(());
            }
        };
        let data = undouble_dots(&self.inbox[self.read..self.read + length]);
        self.read += length + 3;
        let from = self.from.take().unwrap_or_default();
        let mail = ReceivedMail { from, to: std::mem::take(&mut self.to), data };
        match self.shared.act(Stage::EndOfData, None) {
            Act::TakeAndCut => {
                self.shared.take(mail);
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Act::Answer(line) if !line.starts_with('2') => {
                self.say(&line);
                Ok(())
            }
            act @ (Act::Hang | Act::Cut) => self.perform(act, "").await.map(drop),
            act => {
                self.shared.take(mail);
                self.perform(act, "250 2.0.0 queued").await.map(drop)
            }
        }
    }

    /// Answers as the script says; returns the code of the answer.
    async fn act(&mut self, stage: Stage, recipient: Option<&str>, usual: &str) -> io::Result<u16> {
        let act = self.shared.act(stage, recipient);
        self.perform(act, usual).await
    }

    async fn perform(&mut self, act: Act, usual: &str) -> io::Result<u16> {
        let code = |line: &str| line.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
        match act {
            Act::Accept => self.say(usual),
            Act::Answer(line) => {
                self.say(&line);
                return Ok(code(&line));
            }
            Act::Hang => {
                self.flush().await?;
                pending::<()>().await;
            }
            Act::Delay(time) => {
                self.flush().await?;
                sleep(time).await;
                self.say(usual);
            }
            Act::Drip(pause) => {
                self.flush().await?;
                for byte in usual.bytes().chain(*b"\r\n") {
                    sleep(pause).await;
                    self.io.write_all(&[byte]).await?;
                    self.io.flush().await?;
                }
            }
            Act::Cut | Act::TakeAndCut => {
                self.flush().await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(code(usual))
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn say(&mut self, line: &str) {
        self.outbox.extend_from_slice(line.as_bytes());
        self.outbox.extend_from_slice(b"\r\n");
    }

    /// The next command; `None` when the client has gone.
    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            let unread = &self.inbox[self.read..];
            if let Some(end) = unread.iter().position(|b| *b == b'\n') {
                let line = String::from_utf8_lossy(&unread[..end]).trim_end().to_owned();
                self.read += end + 1;
                return Ok(Some(line));
            }
            if unread.len() > LINE {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            // answers to pipelined commands leave together
            self.flush().await?;
            if !self.receive().await? {
                return Ok(None);
            }
        }
    }

    async fn receive(&mut self) -> io::Result<bool> {
        if self.read == self.inbox.len() {
            self.inbox.clear();
        } else {
            self.inbox.drain(..self.read);
        }
        self.read = 0;
        self.inbox.reserve(16 * 1024);
        Ok(self.io.read_buf(&mut self.inbox).await? > 0)
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.outbox.is_empty() {
            self.io.write_all(&self.outbox).await?;
            self.io.flush().await?;
            self.outbox.clear();
        }
        Ok(())
    }
}

/// The address between the angle brackets.
fn path(rest: &str) -> String {
    let inner = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or("", |(address, _)| address).to_owned()
}

fn undouble_dots(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|b| *b == b'\n') {
        plain.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    plain
}
