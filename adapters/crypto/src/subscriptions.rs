//! Links to a contact's own pages: when they end, and a keyed hash of whom and what they are for.

use crate::keys::derived;
use application::ports::{ContactTokens, TokenError};
use chrono::DateTime;
use domain::{
    Timestamp,
    secret::Secret,
    subscriptions::{ContactPass, LinkRight},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Keeps these hashes apart from all others under the same key.
const PURPOSE: &[u8] = b"links to the own pages of contacts, version 1";

/// Signs with HMAC-SHA256 under a key of its own, which is derived from the installation's.
pub struct HmacContactTokens {
    key: Hmac<Sha256>,
    former: Vec<Hmac<Sha256>>,
}

impl HmacContactTokens {
    /// Signs with a key, and also accepts what was signed with others.
    #[must_use]
    pub fn new(secret_key: &Secret, former: &[Secret]) -> Self {
        let of = |key| derived(key, PURPOSE);
        Self { key: of(secret_key), former: former.iter().map(of).collect() }
    }
}

impl ContactTokens for HmacContactTokens {
    fn issue(&self, pass: &ContactPass, expires_at: Timestamp) -> String {
        let seconds = expires_at.timestamp();
        let tag = signed(&self.key, pass, seconds).finalize().into_bytes();
        format!("{seconds:x}-{}", hex::encode(tag))
    }

    fn verify(&self, token: &str, pass: &ContactPass, now: Timestamp) -> Result<(), TokenError> {
        let (written, tag) = token.split_once('-').ok_or(TokenError::Invalid)?;
        let seconds = i64::from_str_radix(written, 16).map_err(|_| TokenError::Invalid)?;
        if written != format!("{seconds:x}") {
            return Err(TokenError::Invalid);
        }
        let tag = hex::decode(tag).map_err(|_| TokenError::Invalid)?;
        let mut keys = std::iter::once(&self.key).chain(&self.former);
        // The comparison takes the same time wherever two tags differ.
        if !keys.any(|key| signed(key, pass, seconds).verify_slice(&tag).is_ok()) {
            return Err(TokenError::Invalid);
        }
        let expires_at = DateTime::from_timestamp(seconds, 0).ok_or(TokenError::Invalid)?;
        if now < expires_at { Ok(()) } else { Err(TokenError::Expired) }
    }
}

/// The hash of a pass that ends at a second. No part of it can hold a line break.
fn signed(key: &Hmac<Sha256>, pass: &ContactPass, seconds: i64) -> Hmac<Sha256> {
    let right = match &pass.right {
        LinkRight::Manage => "manage".to_owned(),
        LinkRight::Confirm(list) => format!("confirm {list}"),
    };
    let text = format!("{right}\n{}\n{seconds}\n{}", pass.workspace, pass.email);
    key.clone().chain_update(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;
    use domain::{
        email_address::EmailAddress,
        ids::{ListId, WorkspaceId},
    };
    use proptest::prelude::*;

    fn tokens(key: &str, former: &[&str]) -> HmacContactTokens {
        let former: Vec<_> = former.iter().map(|key| Secret::new(*key)).collect();
        HmacContactTokens::new(&Secret::new(key), &former)
    }

    fn pass() -> ContactPass {
        ContactPass {
            workspace: WorkspaceId::parse("acme").unwrap(),
            email: EmailAddress::parse("ana@shop.example").unwrap(),
            right: LinkRight::Manage,
        }
    }

    fn now() -> Timestamp {
        "2026-06-01T09:00:00Z".parse().unwrap()
    }

    fn token(tokens: &HmacContactTokens) -> String {
        tokens.issue(&pass(), now() + Duration::days(1))
    }

    #[test]
    fn a_link_is_good_until_it_ends() {
        let tokens = tokens("k", &[]);
        let token = token(&tokens);
        assert_eq!(tokens.verify(&token, &pass(), now()), Ok(()));
        let late = now() + Duration::days(1);
        assert_eq!(tokens.verify(&token, &pass(), late), Err(TokenError::Expired));
    }

    #[test]
    fn a_link_has_one_spelling() {
        let tokens = tokens("k", &[]);
        let token = token(&tokens);
        for other in [format!("0{token}"), format!("+{token}"), format!("{token}0"), token.replace('-', "--")]
        {
            assert_eq!(tokens.verify(&other, &pass(), now()), Err(TokenError::Invalid), "{other}");
        }
    }

    #[test]
    fn the_end_of_a_link_cannot_be_put_off() {
        let tokens = tokens("k", &[]);
        let (_, tag) = token(&tokens).split_once('-').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let later = (now() + Duration::days(400)).timestamp();
        assert_eq!(tokens.verify(&format!("{later:x}-{tag}"), &pass(), now()), Err(TokenError::Invalid));
    }

    #[test]
    fn a_link_is_good_for_its_workspace_address_and_right_alone() {
        let tokens = tokens("k", &[]);
        let token = token(&tokens);
        let others = [
            ContactPass { workspace: WorkspaceId::parse("other").unwrap(), ..pass() },
            ContactPass { email: EmailAddress::parse("bob@shop.example").unwrap(), ..pass() },
            ContactPass { right: LinkRight::Confirm(ListId::parse("news").unwrap()), ..pass() },
        ];
        for other in others {
            assert_eq!(tokens.verify(&token, &other, now()), Err(TokenError::Invalid), "{other:?}");
        }
    }

    #[test]
    fn a_former_key_is_still_good_and_any_other_is_not() {
        let old = token(&tokens("old", &[]));
        assert_eq!(tokens("new", &["older", "old"]).verify(&old, &pass(), now()), Ok(()));
        assert_eq!(tokens("new", &[]).verify(&old, &pass(), now()), Err(TokenError::Invalid));
    }

    proptest! {
        #[test]
        fn any_text_at_all_is_refused_without_panic(text in "[0-9a-f-]{0,100}|\\PC{0,50}") {
            prop_assert_eq!(tokens("k", &[]).verify(&text, &pass(), now()), Err(TokenError::Invalid));
        }
    }
}
