//! Answers of a server, and what they mean for a mail.

use application::ports::SendError;
use std::fmt;

/// What is kept of an answer: enough for a person, too little to be a burden.
const KEPT: usize = 500;

/// An answer on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub code: u16,
    /// The text of all lines, enhanced status code first, without control characters.
    pub text: String,
}

/// One line of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub code: u16,
    pub last: bool,
    pub text: &'a [u8],
}

/// Reads a line without its end; `None` when it is no SMTP.
pub(crate) fn parse_line(line: &[u8]) -> Option<Line<'_>> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !(b'2'..=b'5').contains(&digits[0]) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest {
        [] => Some(Line { code, last: true, text: rest }),
        [b' ', text @ ..] => Some(Line { code, last: true, text }),
        [b'-', text @ ..] => Some(Line { code, last: false, text }),
        _ => None,
    }
}

impl Reply {
    /// Joins the texts of the lines. An enhanced status code (RFC 2034) stays once, in front.
    pub fn new<'a>(code: u16, lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut text = String::new();
        let mut status: Option<String> = None;
        for line in lines {
            let line = String::from_utf8_lossy(line);
            let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let line = line.trim();
            let line = match &status {
                Some(status) => line.strip_prefix(status.as_str()).unwrap_or(line).trim_start(),
                None => line,
            };
            if status.is_none() {
                let first = line.split(' ').next().unwrap_or_default();
                status = Some(if is_enhanced(first) { first.to_owned() } else { "\0".to_owned() });
            }
            if !text.is_empty() && !line.is_empty() {
                text.push(' ');
            }
            text.push_str(line);
        }
        if let Some((cut, _)) = text.char_indices().nth(KEPT) {
            text.truncate(cut);
            text.push('…');
        }
        Self { code, text }
    }

    /// Done, or go on.
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// The server closes the connection.
    pub fn is_goodbye(&self) -> bool {
        self.code == 421
    }

    /// What a negative answer to `MAIL`, `RCPT`, `DATA` or the final dot means for the mail.
    pub fn refusal(&self) -> SendError {
        match self.code {
            421 => self.unusable("closing"),
            400..=499 => SendError::Deferred { reply: self.to_string() },
            // a mistake in our talk or in the account's rights, not in the mail
            500 | 502 | 503 | 530 | 534 | 535 | 538 => self.unusable("refused"),
            501.. => SendError::Refused { reply: self.to_string() },
            _ => self.unusable("unexpected answer"),
        }
    }

    /// The answer means that the server cannot be used.
    pub fn unusable(&self, what: &str) -> SendError {
        SendError::Provider { reason: format!("{what}: {self}") }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

/// `5.1.1` and the like (RFC 3463).
fn is_enhanced(word: &str) -> bool {
    let mut parts = word.split('.');
    let number = |p: Option<&str>| {
        p.is_some_and(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(parts.next(), Some("2" | "4" | "5"))
        && number(parts.next())
        && number(parts.next())
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_read() {
        let read = |text: &'static str| parse_line(text.as_bytes()).map(|l| (l.code, l.last, l.text));
        assert_eq!(read("250-SIZE 1000"), Some((250, false, &b"SIZE 1000"[..])));
        assert_eq!(read("250 ok"), Some((250, true, &b"ok"[..])));
        assert_eq!(read("354"), Some((354, true, &b""[..])));
        for bad in ["", "25", "25x ok", "150 ok", "650 ok", "250ok", "HTTP/1.1 400 Bad"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_enhanced_status_is_kept_once() {
        let reply = Reply::new(550, [&b"5.1.1 No such"[..], &b"5.1.1 user here"[..]]);
        assert_eq!(reply.to_string(), "550 5.1.1 No such user here");
    }

    #[test]
    fn a_reply_is_one_short_line() {
        let long = "x".repeat(4000);
        let reply = Reply::new(550, [&b"a\tb\0c\x1b[31m"[..], &b""[..], long.as_bytes()]);
        assert!(reply.text.starts_with("a b c [31m x"));
        assert_eq!(reply.text.chars().count(), KEPT + 1);
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_ends_on_one_line(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(read) = parse_line(&line) {
                let reply = Reply::new(read.code, [read.text, read.text]);
                prop_assert!(!reply.to_string().contains(char::is_control));
                prop_assert!((200..600).contains(&reply.code));
            }
        }
    }

    #[test]
    fn codes_are_told_apart() {
        let kind = |code| match (Reply { code, text: String::new() }).refusal() {
            SendError::Refused { .. } => 'r',
            SendError::Deferred { .. } => 'd',
            SendError::Provider { .. } => 'p',
            SendError::Unconfirmed { .. } | SendError::Malformed { .. } => '?',
        };
        for code in [501, 504, 550, 551, 552, 553, 554, 555, 571] {
            assert_eq!(kind(code), 'r', "{code}");
        }
        for code in [450, 451, 452, 454, 471] {
            assert_eq!(kind(code), 'd', "{code}");
        }
        for code in [421, 500, 502, 503, 530, 535, 220, 354] {
            assert_eq!(kind(code), 'p', "{code}");
        }
    }
}
