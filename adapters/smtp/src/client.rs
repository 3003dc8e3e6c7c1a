//! The conversation with one server: a session is opened once and carries many mails.

mod handshake;

use crate::{
    Timeouts,
    message::{Envelope, Prepared},
    reply::Reply,
    wire::{Fault, Wire},
};
use application::ports::SendError;
use std::{fmt::Write as _, time::Duration};
use tokio::time::Instant;

pub(crate) use handshake::Door;

/// A mail goes out in pieces of this size, each with its own time.
const PIECE: usize = 64 * 1024;

/// How long the reason of a server that has closed may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A session that has been greeted, protected and authenticated.
pub(crate) struct Session {
    wire: Wire,
    offers: Offers,
    mails: u32,
    /// A transaction was begun and given up: the next mail starts with `RSET`.
    reset_due: bool,
    broken: bool,
}

/// What the server offers after `EHLO`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one per extension, none of them a state")]
pub(crate) struct Offers {
    pipelining: bool,
    eight_bit: bool,
    utf8: bool,
    start_tls: bool,
    size: Option<SizeLimit>,
    plain: bool,
    login: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SizeLimit(Option<usize>);

/// By when a delivery has to be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub timeouts: Timeouts,
    pub overall: Instant,
}

impl Deadline {
    pub fn new(timeouts: Timeouts) -> Self {
        Self { timeouts, overall: Instant::now() + timeouts.overall }
    }

    pub fn step(&self, length: Duration) -> Instant {
        self.overall.min(Instant::now() + length)
    }

    fn reply(&self) -> Instant {
        self.step(self.timeouts.reply)
    }
}

/// How a delivery ended.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// With an outcome for the mail.
    Settled(Result<(), SendError>),
    /// The server closed or fell silent before it answered anything: nothing was handed over, and
    /// another connection may be tried.
    Unheard(SendError),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Reset,
    Mail,
    To,
    Other,
    Data,
}

impl Step {
    fn answer(self) -> &'static str {
        match self {
            Self::Reset => "the answer to RSET",
            Self::Mail => "the answer to MAIL",
            Self::To | Self::Other => "the answer to RCPT",
            Self::Data => "the answer to DATA",
        }
    }
}

/// What the server said to the envelope.
#[derive(Default)]
struct Verdict {
    heard: bool,
    begun: bool,
    refusal: Option<SendError>,
    data: Option<Reply>,
}

impl Session {
    /// Hands one mail over.
    pub async fn deliver(&mut self, mail: &Prepared, deadline: &Deadline) -> Delivery {
        self.mails += 1;
        let commands = match self.commands(mail) {
            Ok(commands) => commands,
            Err(refused) => return Delivery::Settled(Err(refused)),
        };
        self.reset_due = false;
        let mut verdict = Verdict::default();
        if let Err((fault, step)) = self.negotiate(&commands, &mut verdict, deadline).await {
            self.broken = true;
            let lost = SendError::Provider { reason: fault.while_waiting_for(step.answer()) };
            return if verdict.heard { Delivery::Settled(Err(lost)) } else { Delivery::Unheard(lost) };
        }
        self.reset_due = verdict.begun;
        if let Some(refusal) = verdict.refusal {
            // the server waits for a text that nobody may get
            self.broken |= verdict.data.is_some_and(|reply| reply.code == 354);
            let unheard = self.broken && !verdict.heard;
            return if unheard { Delivery::Unheard(refusal) } else { Delivery::Settled(Err(refusal)) };
        }
        self.reset_due = false;
        Delivery::Settled(self.hand_over(&mail.content, deadline).await)
    }

    /// Whether another mail may follow on this session.
    pub fn is_reusable(&self) -> bool {
        !self.broken && !self.wire.has_unread()
    }

    /// Mails that this session has seen.
    pub fn mails(&self) -> u32 {
        self.mails
    }

    /// Says goodbye, without waiting for the answer.
    pub async fn quit(mut self) {
        if !self.broken {
            let soon = Instant::now() + Duration::from_secs(1);
            let _ = self.wire.write(b"QUIT\r\n", soon).await;
        }
    }

    fn commands(&self, mail: &Prepared) -> Result<Vec<(Step, String)>, SendError> {
        let Envelope { from, to, others } = &mail.envelope;
        let refused = |reply: String| Err(SendError::Refused { reply });
        let mut begin = format!("MAIL FROM:<{from}>");
        if let Some(SizeLimit(limit)) = self.offers.size {
            let size = mail.content.len();
            if let Some(limit) = limit.filter(|limit| size > *limit) {
                return refused(format!("the mail has {size} bytes, the server takes {limit}"));
            }
            let _ = write!(begin, " SIZE={size}");
        }
        let ascii_envelope = from.is_ascii() && to.is_ascii() && others.iter().all(|o| o.is_ascii());
        if !mail.content.is_ascii() && self.offers.eight_bit {
            begin.push_str(" BODY=8BITMIME");
        }
        if !ascii_envelope {
            if !self.offers.utf8 {
                return refused("the server takes no international addresses (SMTPUTF8)".to_owned());
            }
            begin.push_str(" SMTPUTF8");
        }
        let mut commands = Vec::with_capacity(4 + others.len());
        if self.reset_due {
            commands.push((Step::Reset, "RSET\r\n".to_owned()));
        }
        commands.push((Step::Mail, begin + "\r\n"));
        commands.push((Step::To, format!("RCPT TO:<{to}>\r\n")));
        commands.extend(others.iter().map(|other| (Step::Other, format!("RCPT TO:<{other}>\r\n"))));
        // with further recipients a refused `to` would leave no way back from an accepted DATA
        if others.is_empty() {
            commands.push((Step::Data, "DATA\r\n".to_owned()));
        }
        Ok(commands)
    }

    /// Everything up to the leave to send the text.
    async fn negotiate(
        &mut self,
        commands: &[(Step, String)],
        verdict: &mut Verdict,
        deadline: &Deadline,
    ) -> Result<(), (Fault, Step)> {
        let pipelining = self.offers.pipelining;
        if pipelining {
            let all: String = commands.iter().map(|(_, line)| line.as_str()).collect();
            self.wire.write(all.as_bytes(), deadline.reply()).await.map_err(|f| (f, Step::Mail))?;
        }
        let data = [(Step::Data, "DATA\r\n".to_owned())];
        let late = if commands.iter().any(|(step, _)| *step == Step::Data) { &[][..] } else { &data[..] };
        let in_time = commands.iter().map(|c| (c, pipelining));
        for ((step, line), sent) in in_time.chain(late.iter().map(|c| (c, false))) {
            let step = *step;
            if !sent {
                if verdict.refusal.is_some() {
                    break;
                }
                self.wire.write(line.as_bytes(), deadline.reply()).await.map_err(|f| (f, step))?;
            }
            let reply = self.wire.reply(deadline.reply()).await.map_err(|f| (f, step))?;
            if reply.is_goodbye() {
                self.broken = true;
                verdict.refusal = Some(reply.refusal());
                return Ok(());
            }
            verdict.heard |= step != Step::Reset;
            match step {
                Step::Reset if !reply.is_positive() => return Err((Fault::Garbled, step)),
                Step::Mail if reply.is_positive() => verdict.begun = true,
                Step::Mail | Step::To if !reply.is_positive() => {
                    verdict.refusal.get_or_insert_with(|| reply.refusal());
                }
                Step::Data => {
                    if reply.code != 354 {
                        verdict.refusal.get_or_insert_with(|| reply.refusal());
                    }
                    verdict.data = Some(reply);
                }
                Step::Reset | Step::Mail | Step::To | Step::Other => {}
            }
        }
        Ok(())
    }

    /// The text and the final dot. Once all of it was written, only an answer tells what became of
    /// the mail; as long as it was not, no server can have taken it.
    async fn hand_over(&mut self, content: &str, deadline: &Deadline) -> Result<(), SendError> {
        let timeouts = deadline.timeouts;
        if Instant::now() >= deadline.overall {
            self.broken = true;
            return Err(SendError::Provider { reason: Fault::Late.while_waiting_for("the text was sent") });
        }
        for piece in stuff_dots(content).as_bytes().chunks(PIECE) {
            let Err(fault) = self.wire.write(piece, deadline.step(timeouts.body)).await else { continue };
            self.broken = true;
            // a server that closes has often said why
            let reply = match &fault {
                Fault::Lost(_) => self.wire.reply(deadline.step(LAST_WORDS)).await.ok(),
                Fault::Late | Fault::Garbled => None,
            };
            return Err(match reply.filter(|reply| !reply.is_positive()) {
                Some(reply) => reply.refusal(),
                None => SendError::Provider { reason: fault.while_waiting_for("the end of the mail") },
            });
        }
        // not cut short by the whole: that would only leave more mails unconfirmed
        match self.wire.reply(Instant::now() + timeouts.confirmation).await {
            Ok(reply) if (200..300).contains(&reply.code) => Ok(()),
            Ok(reply) => {
                self.broken |= reply.is_goodbye();
                Err(reply.refusal())
            }
            Err(fault) => {
                self.broken = true;
                Err(SendError::Unconfirmed { reason: fault.while_waiting_for("the server's confirmation") })
            }
        }
    }
}

/// The text with doubled dots at the beginnings of lines, and the dot that ends it (RFC 5321
/// §4.5.2).
fn stuff_dots(content: &str) -> String {
    let mut text = String::with_capacity(content.len() + 64);
    for line in content.split_inclusive('\n') {
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(line);
    }
    if !text.ends_with("\r\n") {
        text.push_str("\r\n");
    }
    text.push_str(".\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_at_the_beginning_of_lines_only() {
        assert_eq!(stuff_dots(".a\r\n..b\r\nc.d\r\n."), "..a\r\n...b\r\nc.d\r\n..\r\n.\r\n");
        assert_eq!(stuff_dots(""), "\r\n.\r\n");
        assert_eq!(stuff_dots("a\r\n"), "a\r\n.\r\n");
    }
}
