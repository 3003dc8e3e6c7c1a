//! What a provider answered, and what that means for the mail.

use crate::letter::clean;
use application::ports::SendError;
use domain::secret::Secret;
use reqwest::{Response, header::RETRY_AFTER};
use serde_json::Value;

/// Characters of the provider's words that are kept.
const KEPT: usize = 500;

/// An answer whose body was read as far as it could be.
pub(crate) struct Answer {
    pub status: u16,
    /// Seconds or a date, as given.
    retry_after: Option<String>,
    /// The name of the fault, where a header tells it.
    pub fault: Option<String>,
    /// `Null` when the body is no JSON.
    pub body: Value,
}

/// What kept a provider from taking a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// This mail or its recipient, for good.
    Mail,
    /// The moment: the same mail may be taken later.
    Moment,
    /// The provider, the account or our talk: other mails would fare no better.
    Provider,
}

/// Why a mail was not taken, read from the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// `None` leaves it to the status.
    pub blame: Option<Blame>,
    /// Code and words of the provider.
    pub words: String,
}

impl Answer {
    /// Reads the body up to `limit` bytes. A body that breaks off leaves the status alone to speak.
    pub async fn read(mut response: Response, limit: usize) -> Self {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(|value| value.chars().take(40).collect());
        let fault = response.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let fault =
            fault.map(|value| value.split(':').next().unwrap_or_default().chars().take(100).collect());
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = limit.saturating_sub(bytes.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                break;
            }
        }
        Self { status, retry_after, fault, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the answer means for the mail. The words never hold one of the secrets.
    pub fn settle(&self, complaint: Option<Complaint>, secrets: &[&Secret]) -> Result<(), SendError> {
        let complaint = match complaint {
            None if self.is_success() => return Ok(()),
            None => Complaint { blame: None, words: String::new() },
            Some(complaint) => complaint,
        };
        let mut words = clean(&format!("{} {}", self.status, complaint.words));
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            words = words.replace(secret.expose(), "…");
        }
        if let Some((cut, _)) = words.char_indices().nth(KEPT) {
            words.truncate(cut);
            words.push('…');
        }
        if let Some(retry_after) = &self.retry_after {
            words = format!("{words} (retry after: {})", clean(retry_after));
        }
        // credentials that are not accepted are nobody else's fault, whatever the body says
        let by_status = by_status(self.status);
        let blame = complaint.blame.filter(|_| !matches!(self.status, 401 | 403 | 429 | 500..));
        Err(match blame.unwrap_or(by_status) {
            Blame::Mail => SendError::Refused { reply: words },
            Blame::Moment => SendError::Deferred { reply: words },
            Blame::Provider => SendError::Provider { reason: words },
        })
    }
}

fn by_status(status: u16) -> Blame {
    match status {
        400 | 406 | 413 | 422 => Blame::Mail,
        408 | 420 | 425 | 429 => Blame::Moment,
        _ => Blame::Provider,
    }
}

/// The member as text, also when it is a number.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Texts on one line, without the empty ones.
pub(crate) fn join(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(status: u16, blame: Option<Blame>, words: &str) -> Result<(), SendError> {
        let answer = Answer { status, retry_after: None, fault: None, body: Value::Null };
        answer.settle(Some(Complaint { blame, words: words.to_owned() }), &[&Secret::new("hunter2")])
    }

    #[test]
    fn rights_and_faults_of_the_server_are_never_blamed_on_the_mail() {
        for status in [401, 403, 500, 503] {
            let sent = settled(status, Some(Blame::Mail), "no");
            assert!(matches!(sent, Err(SendError::Provider { .. })), "{status}: {sent:?}");
        }
        assert!(matches!(settled(429, Some(Blame::Mail), "no"), Err(SendError::Deferred { .. })));
        assert!(matches!(settled(404, None, ""), Err(SendError::Provider { .. })));
        assert!(matches!(settled(302, None, ""), Err(SendError::Provider { .. })));
    }

    #[test]
    fn the_words_are_one_short_line_without_secrets() {
        let words = format!("a\r\nkey hunter2 {}", "x".repeat(2000));
        let Err(SendError::Refused { reply }) = settled(400, None, &words) else { panic!("refused") };
        assert!(reply.starts_with("400 a  key … x"), "{reply}");
        assert_eq!(reply.chars().count(), KEPT + 1);
    }
}
