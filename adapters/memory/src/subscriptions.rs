//! Links to a contact's own pages, signed with a keyed checksum.

use crate::PlainVault;
use application::ports::{ContactTokens, TokenError, Vault as _};
use chrono::DateTime;
use domain::{
    Timestamp,
    subscriptions::{ContactPass, LinkRight},
};

/// Tokens that anybody can forge who reads this.
#[derive(Clone, Default)]
pub struct PlainContactTokens {
    vault: PlainVault,
}

impl PlainContactTokens {
    fn checksum(&self, pass: &ContactPass, seconds: i64) -> String {
        let list = match &pass.right {
            LinkRight::Manage => "",
            LinkRight::Confirm(list) => list.as_str(),
        };
        self.vault.hash(&format!("{list}\n{}\n{seconds}\n{}", pass.workspace, pass.email))
    }
}

impl ContactTokens for PlainContactTokens {
    fn issue(&self, pass: &ContactPass, expires_at: Timestamp) -> String {
        let seconds = expires_at.timestamp();
        format!("{seconds:x}-{}", self.checksum(pass, seconds))
    }

    fn verify(&self, token: &str, pass: &ContactPass, now: Timestamp) -> Result<(), TokenError> {
        let (seconds, checksum) = token.split_once('-').ok_or(TokenError::Invalid)?;
        let seconds = i64::from_str_radix(seconds, 16).map_err(|_| TokenError::Invalid)?;
        if checksum != self.checksum(pass, seconds) {
            return Err(TokenError::Invalid);
        }
        let expires_at = DateTime::from_timestamp(seconds, 0).ok_or(TokenError::Invalid)?;
        if now < expires_at { Ok(()) } else { Err(TokenError::Expired) }
    }
}
