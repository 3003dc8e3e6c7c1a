//! Enhanced status codes (RFC 3463) and what they say about an address.

use super::BounceClass;

/// Words by which servers without such codes say that there is nobody, in lower case.
const NOBODY: [&str; 9] = [
    "user unknown",
    "unknown user",
    "no such user",
    "no such recipient",
    "no such mailbox",
    "recipient unknown",
    "unknown recipient",
    "mailbox not found",
    "does not exist",
];

/// An enhanced status code of a failure, such as 5.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnhancedStatus {
    /// 4 for what may pass, 5 for what will not.
    pub class: u8,
    /// What it is about: 1 the address, 2 the mailbox, 3 the system, 4 the way, 5 the protocol, 6 the
    /// content, 7 security and policy.
    pub subject: u16,
    /// More closely.
    pub detail: u16,
}

impl EnhancedStatus {
    /// The first such code of a failure in a text. Addresses of hosts are none.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
            let mut parts = word.trim_matches('.').split('.');
            let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
            let number = |part: &str| part.parse().ok().filter(|_| (1..=3).contains(&part.len()));
            if parts.next().is_some() || !matches!(class, "4" | "5") {
                return None;
            }
            Some(Self { class: class.parse().ok()?, subject: number(subject)?, detail: number(detail)? })
        })
    }

    /// How much a bounce with this code weighs; `None` when the code leaves it open.
    #[must_use]
    pub fn class(self) -> Option<BounceClass> {
        match (self.class, self.subject, self.detail) {
            // no such mailbox or host, not an address, moved away, takes no mail, disabled, no route
            (5, 1, 1 | 2 | 3 | 6 | 10) | (5, 2, 1) | (5, 4, 4) => Some(BounceClass::Hard),
            // the message is too large, or its content cannot be taken
            (_, 2, 3) | (_, 3, 4) | (_, 6, _) => Some(BounceClass::Ignored),
            // full, or against a policy
            (_, 2, 2) | (_, 7, _) => Some(BounceClass::Soft),
            _ => None,
        }
    }
}

/// Whether a server says for good that the recipient does not exist: by an enhanced status code, or in
/// words where it gives none.
#[must_use]
pub fn names_nobody(reply: &str) -> bool {
    match EnhancedStatus::find(reply) {
        Some(status) if (status.subject, status.detail) != (0, 0) => {
            status.class() == Some(BounceClass::Hard)
        }
        Some(EnhancedStatus { class: 4, .. }) => false,
        _ => {
            let reply = reply.to_ascii_lowercase();
            let is_permanent = reply.split(|c: char| !c.is_ascii_digit()).any(|code| code == "550");
            is_permanent && NOBODY.iter().any(|words| reply.contains(words))
        }
    }
}
