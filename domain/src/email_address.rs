//! E-mail addresses.

use std::fmt;
use validator::ValidateEmail as _;

/// A valid e-mail address (RFC 5321 mailbox), trimmed and in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// The text is no e-mail address. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a valid e-mail address")]
pub struct EmailAddressError;

impl EmailAddress {
    /// The longest address that SMTP can carry (RFC 5321 §4.5.3.1.3, less the angle brackets).
    pub const MAX_LENGTH: usize = 254;

    /// Trims, lower-cases and checks an address. The domain needs at least two labels, the last
    /// of which begins and ends with a letter; address literals are refused.
    ///
    /// # Errors
    /// When the text is no such address.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        let text = text.trim().to_lowercase();
        let sound = text.len() <= Self::MAX_LENGTH
            && !text.chars().any(|c| c.is_control() || c.is_whitespace())
            && text
                .rsplit_once('@')
                .is_some_and(|(local, domain)| is_dot_atom(local) && has_public_form(domain))
            && text.validate_email();
        if sound { Ok(Self(text)) } else { Err(EmailAddressError) }
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part behind the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// No dot at either end and no two in a row (RFC 5321 §4.1.2, Dot-string).
fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|part| !part.is_empty())
}

fn has_public_form(domain: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    domain.rsplit_once('.').is_some_and(|(head, last)| {
        !head.is_empty() && letter(last.chars().next()) && letter(last.chars().next_back())
    })
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hides the address: debug output ends in logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = EmailAddressError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_trimmed_and_lower_case() {
        let address = EmailAddress::parse("\u{a0} Ana@Shop.Example ").unwrap();
        assert_eq!(address.as_str(), "ana@shop.example");
        assert_eq!(address.domain(), "shop.example");
    }

    #[test]
    fn what_cannot_be_mailed_is_refused() {
        for bad in [
            "",
            "ana",
            "ana@",
            "@shop.example",
            "ana@localhost",
            "ana@[127.0.0.1]",
            "a b@shop.example",
            "ana@shop.example\r\nBcc: x@y.example",
            "ana@@shop.example",
            "ana@shop.1",
            "ana@shop.e1",
            ".ana@shop.example",
            "ana.@shop.example",
            "a..na@shop.example",
        ] {
            assert_eq!(EmailAddress::parse(bad), Err(EmailAddressError), "{bad}");
        }
        assert!(EmailAddress::parse(&format!("a@{}.example", "d".repeat(250))).is_err());
    }

    #[test]
    fn debug_output_hides_the_address() {
        let address = EmailAddress::parse("ana@shop.example").unwrap();
        assert!(!format!("{address:?}").contains("ana"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(text in "\\PC{0,80}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address));
            }
        }

        #[test]
        fn ordinary_addresses_are_accepted(local in "[a-z][a-z0-9._+-]{0,20}[a-z0-9]", host in "[a-z][a-z0-9]{0,20}", top in "[a-z]{2,6}") {
            prop_assume!(!local.contains(".."));
            let text = format!("{local}@{host}.{top}");
            prop_assert!(EmailAddress::parse(&text).is_ok(), "{}", text);
        }

        #[test]
        fn nothing_accepted_can_break_a_header(text in "[\\x00-\\x7f]{0,60}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(!address.as_str().contains(['\r', '\n', '\0', ' ']));
            }
        }
    }
}
