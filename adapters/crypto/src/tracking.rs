//! Tokens of tracked addresses: what they stand for in clear, and an HMAC-SHA256 over it.
//!
//! A token holds its version, the moment, the workspace, the message and the link, then the first
//! half of the HMAC, all as unpadded base64 for URLs. Checking one needs no database.

use crate::keys::derived;
use application::ports::TrackingTokens;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use domain::{
    ids::{MessageId, WorkspaceId},
    secret::Secret,
    tracking::{LONGEST_LINK, Tracked},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;

const VERSION: u8 = 1;

/// Bytes kept of the HMAC.
const TAG: usize = 16;

/// Longer tokens are none of ours.
const LONGEST_TOKEN: usize = 2 * LONGEST_LINK;

/// What the keys of these tokens are derived with, so that no other hash can be taken for one.
const PURPOSE: &[u8] = b"addresses in mails that report opens and clicks, version 1";

/// Tokens under the installation's key. Those of former keys are still good.
pub struct HmacTrackingTokens {
    key: Hmac<Sha256>,
    former: Vec<Hmac<Sha256>>,
}

impl HmacTrackingTokens {
    /// Signs with a key, and also accepts what was signed with others.
    #[must_use]
    pub fn new(secret_key: &Secret, former: &[Secret]) -> Self {
        let of = |key| derived(key, PURPOSE);
        Self { key: of(secret_key), former: former.iter().map(of).collect() }
    }
}

impl TrackingTokens for HmacTrackingTokens {
    fn issue(&self, tracked: &Tracked) -> String {
        let mut bytes = written(tracked);
        let tag = self.key.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..TAG]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn verify(&self, token: &str) -> Option<Tracked> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (body, tag) = bytes.split_last_chunk::<TAG>()?;
        let signed = |key: &Hmac<Sha256>| key.clone().chain_update(body).verify_truncated_left(tag).is_ok();
        if !std::iter::once(&self.key).chain(&self.former).any(signed) {
            return None;
        }
        read(body)
    }
}

fn written(tracked: &Tracked) -> Vec<u8> {
    let Tracked { workspace, message, sent_at, link } = tracked;
    let mut bytes = vec![VERSION];
    // Whole seconds fit until the year 36812.
    bytes.extend_from_slice(&sent_at.timestamp().to_be_bytes()[3..]);
    for id in [workspace.as_str(), message.as_str()] {
        bytes.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes.extend_from_slice(link.as_deref().unwrap_or_default().as_bytes());
    bytes
}

fn read(body: &[u8]) -> Option<Tracked> {
    let (version, body) = body.split_first()?;
    let (seconds, body) = body.split_first_chunk::<5>()?;
    let seconds = seconds.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
    let (workspace, body) = text(body)?;
    let (message, link) = text(body)?;
    let link = std::str::from_utf8(link).ok()?;
    if *version != VERSION {
        return None;
    }
    Some(Tracked {
        workspace: WorkspaceId::parse(workspace).ok()?,
        message: MessageId::parse(message).ok()?,
        sent_at: DateTime::from_timestamp(seconds, 0)?,
        link: (!link.is_empty()).then(|| link.to_owned()),
    })
}

/// Reads a text after its length.
fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, bytes) = bytes.split_first()?;
    let (text, rest) = bytes.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(key: &str, former: &[&str]) -> HmacTrackingTokens {
        let former: Vec<_> = former.iter().map(|key| Secret::new(*key)).collect();
        HmacTrackingTokens::new(&Secret::new(key), &former)
    }

    fn tracked(link: Option<&str>) -> Tracked {
        Tracked {
            workspace: WorkspaceId::parse("acme").unwrap(),
            message: MessageId::parse("0199b0c5-2f5c-7b57-8d3e-5d6f1c0a9e11").unwrap(),
            sent_at: "2026-06-01T09:00:00Z".parse().unwrap(),
            link: link.map(str::to_owned),
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_issued() {
        for tracked in [tracked(None), tracked(Some("https://shop.example/a?b=é#c"))] {
            let tokens = tokens("k", &[]);
            assert_eq!(tokens.verify(&tokens.issue(&tracked)), Some(tracked));
        }
    }

    #[test]
    fn a_former_key_is_still_good_and_any_other_is_not() {
        let tracked = tracked(Some("https://shop.example/"));
        let old = tokens("old", &[]).issue(&tracked);
        assert_eq!(tokens("new", &["older", "old"]).verify(&old), Some(tracked));
        assert_eq!(tokens("new", &[]).verify(&old), None);
    }

    #[test]
    fn an_opening_is_no_link() {
        let tokens = tokens("k", &[]);
        assert_eq!(tokens.verify(&tokens.issue(&tracked(None))).unwrap().link, None);
    }

    #[test]
    fn the_hash_of_another_purpose_signs_nothing() {
        use application::ports::Vault as _;
        let body = written(&tracked(Some("https://evil.example/")));
        let hash = crate::AesVault::new(Secret::new("k")).hash(std::str::from_utf8(&body).unwrap());
        let mut bytes = body;
        bytes.extend_from_slice(&hex::decode(hash).unwrap()[..TAG]);
        assert_eq!(tokens("k", &[]).verify(&URL_SAFE_NO_PAD.encode(bytes)), None);
    }

    proptest! {
        #[test]
        fn a_changed_bit_anywhere_is_noticed(link in "https://[a-z]{1,20}", place in any::<prop::sample::Index>(), bit in 0..8) {
            let tokens = tokens("k", &[]);
            let mut bytes = URL_SAFE_NO_PAD.decode(tokens.issue(&tracked(Some(&link)))).unwrap();
            let at = place.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(tokens.verify(&URL_SAFE_NO_PAD.encode(bytes)), None);
        }

        #[test]
        fn any_text_at_all_is_read_without_panic(text in "\\PC{0,200}") {
            prop_assert_eq!(tokens("k", &[]).verify(&text), None);
        }
    }
}
