//! Signing mails for the domain of their sender (DKIM, RFC 6376).

use crate::{email_address::EmailAddress, secret::Sealed};

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DkimAlgorithm {
    /// RSA with SHA-256.
    Rsa,
    /// Ed25519 with SHA-256 (RFC 8463).
    Ed25519,
}

impl DkimAlgorithm {
    /// The name in signatures and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// What everybody may know of a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DkimPublicKey {
    /// How it signs.
    pub algorithm: DkimAlgorithm,
    /// The key in base64, as it stands in the record.
    pub key: String,
}

/// How the mails of a sender are signed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Dkim {
    /// The domain that signs: that of the sender's address, or one above it.
    pub domain: String,
    /// Names the key among those of the domain.
    pub selector: String,
    /// What the record shows.
    pub public_key: DkimPublicKey,
    /// The key in PEM, sealed.
    pub private_key: Sealed,
}

impl Dkim {
    /// The name of the TXT record that verifiers ask for.
    #[must_use]
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The text of that record.
    #[must_use]
    pub fn record(&self) -> String {
        format!("v=DKIM1; k={}; p={}", self.public_key.algorithm.name(), self.public_key.key)
    }
}

/// Whether a text can name a key: labels of a host name, with dots between them.
#[must_use]
pub fn is_selector(text: &str) -> bool {
    text.len() <= 63
        && text.split('.').all(|label| {
            let inner = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
        })
}

/// Whether a domain may sign for an address: it is that of the address, or one above it, and not a mere
/// top-level one. Verifiers ask for this alignment (RFC 7489 §3.1.1).
#[must_use]
pub fn may_sign(domain: &str, address: &EmailAddress) -> bool {
    let of_address = domain_of(address).unwrap_or_default();
    let above = of_address.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    above && domain.contains('.')
}

/// The domain of an address, in ASCII. `None` when it has no such form.
#[must_use]
pub fn domain_of(address: &EmailAddress) -> Option<String> {
    let (_, domain) = address.as_str().rsplit_once('@')?;
    match url::Host::parse(domain) {
        Ok(url::Host::Domain(domain)) => Some(domain),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_made_of_labels() {
        for good in ["s1", "2026-11", "mail.eu", "a"] {
            assert!(is_selector(good), "{good}");
        }
        for bad in ["", ".", "a.", "-a", "a-", "A", "a_b", "a b", "a;b", "é"] {
            assert!(!is_selector(bad), "{bad}");
        }
        assert!(!is_selector(&"a".repeat(64)));
    }

    #[test]
    fn a_domain_signs_for_itself_and_what_is_below_it() {
        let address = EmailAddress::parse("news@mail.shop.example").unwrap();
        assert!(may_sign("mail.shop.example", &address));
        assert!(may_sign("shop.example", &address));
        for other in ["example", "hop.example", "other.example", "x.mail.shop.example", ""] {
            assert!(!may_sign(other, &address), "{other}");
        }
    }

    #[test]
    fn an_international_domain_signs_in_ascii() {
        let address = EmailAddress::parse("news@bücher.example").unwrap();
        assert!(may_sign("xn--bcher-kva.example", &address));
    }

    #[test]
    fn the_record_shows_the_public_key() {
        let public_key = DkimPublicKey { algorithm: DkimAlgorithm::Ed25519, key: "AAAA".into() };
        let (domain, selector) = ("shop.example".into(), "s1".into());
        let dkim = Dkim { domain, selector, public_key, private_key: Sealed::new("00") };
        assert_eq!(dkim.record_name(), "s1._domainkey.shop.example");
        assert_eq!(dkim.record(), "v=DKIM1; k=ed25519; p=AAAA");
    }
}
