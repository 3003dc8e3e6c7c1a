//! What a sink does at each point of a conversation.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// A point of the conversation at which the sink answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The greeting.
    Connect,
    /// `EHLO` and `HELO`.
    Ehlo,
    /// `STARTTLS`.
    StartTls,
    /// The end of an authentication.
    Auth,
    /// `MAIL`.
    Mail,
    /// `RCPT`.
    Rcpt,
    /// `DATA`.
    Data,
    /// The final dot.
    EndOfData,
    /// `RSET`.
    Reset,
}

impl Stage {
    /// All of them, in the order of a conversation.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Ehlo,
        Self::StartTls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::EndOfData,
        Self::Reset,
    ];
}

/// What the sink does instead of, or before, its usual answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Act {
    /// Answers as usual.
    #[default]
    Accept,
    /// Answers with this line or these lines (separated by CRLF, the last end is added).
    Answer(String),
    /// Never answers.
    Hang,
    /// Answers as usual after this time.
    Delay(Duration),
    /// Answers as usual, but with this pause before each byte.
    Drip(Duration),
    /// Closes the connection without an answer; a mail at [`Stage::EndOfData`] is not taken.
    Cut,
    /// Like [`Act::Cut`], but a mail at [`Stage::EndOfData`] is taken.
    TakeAndCut,
}

impl Act {
    /// Answers with a line.
    pub fn answer(line: impl Into<String>) -> Self {
        Self::Answer(line.into())
    }
}

/// Acts by stage and recipient. What is not mentioned is accepted.
#[derive(Debug, Clone, Default)]
pub struct Script {
    once: HashMap<Stage, VecDeque<Act>>,
    always: HashMap<Stage, Act>,
    recipients: HashMap<String, Act>,
}

impl Script {
    /// Does the same at this stage each time.
    #[must_use]
    pub fn always(mut self, stage: Stage, act: Act) -> Self {
        self.set(stage, act);
        self
    }

    /// Does this the next time; acts given for the same stage follow one another.
    #[must_use]
    pub fn once(mut self, stage: Stage, act: Act) -> Self {
        self.then(stage, act);
        self
    }

    /// Does this when the recipient, in lower case, is named.
    #[must_use]
    pub fn recipient(mut self, address: impl Into<String>, act: Act) -> Self {
        self.recipients.insert(address.into(), act);
        self
    }

    /// Changes what is done at this stage each time.
    pub fn set(&mut self, stage: Stage, act: Act) {
        self.always.insert(stage, act);
    }

    /// Adds to what is done at this stage once.
    pub fn then(&mut self, stage: Stage, act: Act) {
        self.once.entry(stage).or_default().push_back(act);
    }

    pub(super) fn next(&mut self, stage: Stage, recipient: Option<&str>) -> Act {
        if let Some(act) = recipient.and_then(|r| self.recipients.get(r)) {
            return act.clone();
        }
        let once = self.once.get_mut(&stage).and_then(VecDeque::pop_front);
        once.or_else(|| self.always.get(&stage).cloned()).unwrap_or_default()
    }
}
