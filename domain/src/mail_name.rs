//! Names shown beside an address in a mail.

/// A display name (RFC 5322 §3.4): 1 to 255 characters, none of them a control character, so that
/// it can never end a header line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailName(String);

/// Why a text is no display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailNameError {
    /// Nothing but white space.
    #[error("is required")]
    Missing,
    /// Longer than 255 characters after trimming.
    #[error("from_name exceeds maximum length of 255 characters")]
    TooLong,
    /// CR, LF, NUL or another C0 or C1 control.
    #[error("must not contain line breaks or other control characters")]
    Control,
}

impl MailName {
    /// # Errors
    /// When the text is empty, too long or holds a control character.
    pub fn parse(text: &str) -> Result<Self, MailNameError> {
        Self::parse_optional(text)?.ok_or(MailNameError::Missing)
    }

    /// Reads an override: absent, empty and blank all mean "no override".
    ///
    /// # Errors
    /// When the text is too long or holds a control character.
    pub fn parse_optional(text: &str) -> Result<Option<Self>, MailNameError> {
        if text.chars().any(char::is_control) {
            return Err(MailNameError::Control);
        }
        let text = text.trim();
        if text.chars().count() > 255 {
            return Err(MailNameError::TooLong);
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MailName {
    type Error = MailNameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<MailName> for String {
    fn from(name: MailName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blank_means_no_override() {
        assert_eq!(MailName::parse_optional(" \u{a0} "), Ok(None));
        assert_eq!(MailName::parse_optional(""), Ok(None));
    }

    #[test]
    fn a_name_cannot_inject_a_header() {
        for bad in ["A\r\nBcc: x@y.example", "A\n", "\0", "A\u{85}B", "\u{7f}"] {
            assert_eq!(MailName::parse_optional(bad), Err(MailNameError::Control), "{bad:?}");
        }
    }

    #[test]
    fn length_is_counted_in_characters_after_trimming() {
        assert!(MailName::parse(&format!(" {} ", "é".repeat(255))).is_ok());
        assert_eq!(MailName::parse(&"é".repeat(256)), Err(MailNameError::TooLong));
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_one_line(text in "(?s).{0,40}") {
            if let Ok(Some(name)) = MailName::parse_optional(&text) {
                prop_assert!(!name.as_str().chars().any(char::is_control));
            }
        }
    }
}
