//! Digits that differ for every process, so that neither a template nor data can hold them.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::OnceLock,
};

/// Twenty digits.
pub fn nonce() -> &'static str {
    static NONCE: OnceLock<String> = OnceLock::new();
    NONCE.get_or_init(|| format!("{:020}", RandomState::new().build_hasher().finish()))
}
