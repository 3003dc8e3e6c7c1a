//! Keys that make a request repeatable: at most one message is made for each.

/// Who gave a key. Equal texts of different scopes are different keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyScope {
    /// The member `external_id` of a message.
    ExternalId,
    /// The header `Idempotency-Key` of a request.
    Header,
    /// The same header of a request for several messages; each has a key of its own.
    Batch,
}

impl KeyScope {
    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ExternalId => "external_id",
            Self::Header => "header",
            Self::Batch => "batch",
        }
    }
}

/// A key of at most [`IdempotencyKey::LONGEST`] characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey {
    scope: KeyScope,
    text: String,
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing is there.
    #[error("must not be empty")]
    Empty,
    /// Longer than [`IdempotencyKey::LONGEST`].
    #[error("must have at most 255 characters")]
    TooLong,
    /// Neither a quoted string (RFC 8941) nor one word of visible ASCII characters.
    #[error("must be a quoted string such as \"8e03978e-40d5\", of visible ASCII characters")]
    Malformed,
}

impl IdempotencyKey {
    /// Longest key, in characters.
    pub const LONGEST: usize = 255;

    /// The key of a message's `external_id`, trimmed.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn external(text: &str) -> Result<Self, KeyError> {
        Self::of(KeyScope::ExternalId, text.trim().to_owned())
    }

    /// The value of the header: a string in double quotes as the standard wants it (RFC 8941 §3.3.3),
    /// or the same text without quotes as many clients send it.
    ///
    /// # Errors
    /// When it is empty, too long or malformed.
    pub fn from_header(value: &str) -> Result<Self, KeyError> {
        let value = value.trim();
        let text = match value.strip_prefix('"') {
            Some(rest) => unquoted(rest).ok_or(KeyError::Malformed)?,
            None if value.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') => {
                value.to_owned()
            }
            None => return Err(KeyError::Malformed),
        };
        Self::of(KeyScope::Header, text)
    }

    /// The key of one message of a request for several whose header this is.
    #[must_use]
    pub fn of_item(&self, place: usize) -> Self {
        Self { scope: KeyScope::Batch, text: format!("{}#{place}", self.text) }
    }

    fn of(scope: KeyScope, text: String) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.chars().count() > Self::LONGEST {
            return Err(KeyError::TooLong);
        }
        Ok(Self { scope, text })
    }

    /// Who gave it.
    #[must_use]
    pub fn scope(&self) -> KeyScope {
        self.scope
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The text of a quoted string whose opening quote has been read.
fn unquoted(rest: &str) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    let mut letters = rest.chars();
    loop {
        match letters.next()? {
            '"' => return letters.next().is_none().then_some(text),
            '\\' => match letters.next()? {
                c @ ('"' | '\\') => text.push(c),
                _ => return None,
            },
            c @ ' '..='~' => text.push(c),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_no_part_of_the_key() {
        let quoted = IdempotencyKey::from_header(r#" "8e03978e-40d5" "#).unwrap();
        assert_eq!(quoted, IdempotencyKey::from_header("8e03978e-40d5").unwrap());
        assert_eq!(quoted.as_str(), "8e03978e-40d5");
    }

    #[test]
    fn what_is_escaped_means_itself() {
        assert_eq!(IdempotencyKey::from_header(r#""a \"b\" \\ c""#).unwrap().as_str(), r#"a "b" \ c"#);
    }

    #[test]
    fn a_malformed_header_is_refused() {
        for bad in ["\"open", "\"a\" b", "\"a\\n\"", "two words", "é", "\"é\"", "a\"b", "a\\b"] {
            assert_eq!(IdempotencyKey::from_header(bad), Err(KeyError::Malformed), "{bad}");
        }
        for empty in ["", " ", "\"\""] {
            assert_eq!(IdempotencyKey::from_header(empty), Err(KeyError::Empty), "{empty}");
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(IdempotencyKey::external(&"é".repeat(255)).is_ok());
        assert_eq!(IdempotencyKey::external(&"é".repeat(256)), Err(KeyError::TooLong));
    }

    #[test]
    fn equal_texts_of_two_scopes_are_two_keys() {
        assert_ne!(IdempotencyKey::external("a").unwrap(), IdempotencyKey::from_header("a").unwrap());
    }
}
