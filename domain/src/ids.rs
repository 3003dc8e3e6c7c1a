//! Identifiers, one type each, so that none is taken for another.

use std::fmt;
use uuid::Uuid;

/// Why a text is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(&'static str);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $rule:expr, $message:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// When the text breaks the rule of this identifier.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let rule: fn(&str) -> bool = $rule;
                if rule(text) { Ok(Self(text.to_owned())) } else { Err(IdError($message)) }
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID that the identifier generator or a database has given.
            #[must_use]
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// # Errors
            /// When the text is no UUID.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError("must be a UUID"))
            }

            /// The UUID itself.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

fn length(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
}

fn word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

text_id!(
    /// A tenant, chosen by who creates it: 1 to 20 lower-case letters and digits.
    WorkspaceId,
    |t| length(t, 20) && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
    "must be 1 to 20 lower-case letters or digits"
);
text_id!(
    /// A list, chosen by the client: 1 to 32 letters and digits.
    ListId,
    |t| length(t, 32) && t.bytes().all(|b| b.is_ascii_alphanumeric()),
    "must be 1 to 32 letters or digits"
);
text_id!(
    /// A segment, chosen by the client: 1 to 32 lower-case letters, digits and `_`.
    SegmentId,
    |t| length(t, 32)
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
    "must be 1 to 32 lower-case letters, digits or underscores"
);
text_id!(
    /// A template, chosen by the client: 1 to 32 letters, digits, `_` and `-`.
    TemplateId,
    |t| length(t, 32) && word(t),
    "must be 1 to 32 letters, digits, underscores or hyphens"
);
text_id!(
    /// A transactional notification, chosen by the client: 1 to 32 letters, digits, `_` and `-`.
    NotificationId,
    |t| length(t, 32) && word(t),
    "must be 1 to 32 letters, digits, underscores or hyphens"
);
text_id!(
    /// A broadcast, given by the server: 32 lower-case hexadecimal digits.
    BroadcastId,
    |t| t.len() == 32 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
    "must be 32 lower-case hexadecimal digits"
);
text_id!(
    /// A message, given by the server: 1 to 100 letters, digits, `_` and `-`.
    MessageId,
    |t| length(t, 100) && word(t),
    "must be 1 to 100 letters, digits, underscores or hyphens"
);

uuid_id!(
    /// A person or an API key.
    UserId
);
uuid_id!(
    /// One signed-in browser of a user.
    SessionId
);
uuid_id!(
    /// A pending invitation to a workspace.
    InvitationId
);
uuid_id!(
    /// A connection of a workspace to an outside service.
    IntegrationId
);
uuid_id!(
    /// A sender address of an e-mail provider.
    SenderId
);

uuid_id!(
    /// A report about a mail.
    FeedbackId
);

impl FeedbackId {
    /// The identifier of a report with this fingerprint (at least 16 bytes in hexadecimal): the same
    /// for each repetition.
    ///
    /// # Errors
    /// When the text is no such fingerprint.
    pub fn from_fingerprint(hex: &str) -> Result<Self, IdError> {
        let digits = hex.get(..32).ok_or(IdError("must have 32 hexadecimal digits"))?;
        let number = u128::from_str_radix(digits, 16);
        let number = number.map_err(|_| IdError("must have 32 hexadecimal digits"))?;
        Ok(Self(uuid::Builder::from_custom_bytes(number.to_be_bytes()).into_uuid()))
    }
}

impl BroadcastId {
    /// The identifier of a broadcast made from a fresh UUID.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid.simple().to_string())
    }
}

impl MessageId {
    /// The identifier of a message made from a fresh UUID.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_workspace_id_is_always_safe_in_a_name(text in "\\PC{0,30}") {
            if let Ok(id) = WorkspaceId::parse(&text) {
                prop_assert!(id.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
                prop_assert!((1..=20).contains(&id.as_str().len()));
            }
        }

        #[test]
        fn every_word_of_the_alphabet_is_a_workspace_id(text in "[a-z0-9]{1,20}") {
            let id = WorkspaceId::parse(&text).unwrap();
            prop_assert_eq!(id.as_str(), text);
        }
    }

    #[test]
    fn a_workspace_id_is_lower_case_and_short() {
        assert!(WorkspaceId::parse("acme2").is_ok());
        for bad in ["", "Acme", "a-b", "abcdefghijklmnopqrstu", "ä", "a b"] {
            assert!(WorkspaceId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_id_has_no_punctuation() {
        assert!(ListId::parse("News2026").is_ok());
        assert!(ListId::parse("news-2026").is_err());
    }

    #[test]
    fn a_template_id_is_a_word() {
        assert!(TemplateId::parse("june_a-2").is_ok());
        assert!(TemplateId::parse("june a").is_err());
        assert!(TemplateId::parse(&"x".repeat(33)).is_err());
    }
}
