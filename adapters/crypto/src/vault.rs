//! Sealing with AES-256-GCM and hashing with HMAC-SHA256.

use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead as _};
use application::ports::{Vault, VaultError};
use domain::secret::{Sealed, Secret};
use hmac::{Hmac, Mac};
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const NONCE_LENGTH: usize = 12;

/// Seals under a key derived from a passphrase. The sealed form is the lower-case hexadecimal of
/// nonce, cipher text and tag.
pub struct AesVault {
    passphrase: Secret,
    cipher: Aes256Gcm,
    former: Vec<Aes256Gcm>,
}

impl AesVault {
    /// A vault under the installation's key, taken as text.
    #[must_use]
    pub fn new(secret_key: Secret) -> Self {
        let cipher = cipher(&secret_key);
        Self { passphrase: secret_key, cipher, former: Vec::new() }
    }

    /// The same vault, which also opens what was sealed under another key.
    #[must_use]
    pub fn opening(mut self, former: &Secret) -> Self {
        self.former.push(cipher(former));
        self
    }
}

impl Vault for AesVault {
    fn seal(&self, text: &Secret) -> Sealed {
        seal(&self.cipher, text)
    }

    fn open(&self, sealed: &Sealed) -> Result<Secret, VaultError> {
        let mut ciphers = std::iter::once(&self.cipher).chain(&self.former);
        ciphers.find_map(|cipher| open(cipher, sealed).ok()).ok_or(VaultError)
    }

    fn seal_with(&self, key: &Secret, text: &Secret) -> Sealed {
        seal(&cipher(key), text)
    }

    fn open_with(&self, key: &Secret, sealed: &Sealed) -> Result<Secret, VaultError> {
        open(&cipher(key), sealed)
    }

    fn hash(&self, text: &str) -> String {
        self.hash_with(&self.passphrase, text)
    }

    fn hash_with(&self, key: &Secret, text: &str) -> String {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    fn fingerprint(&self, bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    fn same(&self, a: &str, b: &str) -> bool {
        a.as_bytes().ct_eq(b.as_bytes()).into()
    }
}

fn cipher(passphrase: &Secret) -> Aes256Gcm {
    Aes256Gcm::new(&Sha256::digest(passphrase.expose().as_bytes()))
}

fn seal(cipher: &Aes256Gcm, text: &Secret) -> Sealed {
    let mut nonce = [0_u8; NONCE_LENGTH];
    rand::rng().fill_bytes(&mut nonce);
    let sealed = cipher
        .encrypt(&nonce.into(), text.expose().as_bytes())
        .expect("AES-GCM refuses only texts of more than 64 GiB");
    Sealed::new(hex::encode([&nonce[..], &sealed].concat()))
}

fn open(cipher: &Aes256Gcm, sealed: &Sealed) -> Result<Secret, VaultError> {
    let bytes = hex::decode(sealed.as_str()).map_err(|_| VaultError)?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LENGTH>().ok_or(VaultError)?;
    let text = cipher.decrypt(&(*nonce).into(), sealed).map_err(|_| VaultError)?;
    String::from_utf8(text).map(Secret::new).map_err(|_| VaultError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WORKSPACE_KEY: &str = "ws-secret-for-tests-0123456789";

    fn vault() -> AesVault {
        AesVault::new(Secret::new("the key of the installation"))
    }

    #[test]
    fn a_link_is_signed_as_existing_clients_expect() {
        assert_eq!(
            vault().hash_with(&Secret::new(WORKSPACE_KEY), "ana@shop.example"),
            "d700b417342ced6e0614282e70fc3e6453e5b628a8379ead8c38cb635ff8bf46"
        );
    }

    #[test]
    fn message_data_sealed_by_an_existing_installation_opens() {
        let stored = "000102030405060708090a0bd123d0d82c62c33046ffe74dc9dd3a2681b15b8e889960";
        let opened = vault().open_with(&Secret::new(WORKSPACE_KEY), &Sealed::new(stored));
        assert_eq!(opened, Ok(Secret::new(r#"{"a":1}"#)));
    }

    #[test]
    fn a_fingerprint_is_the_plain_sha_256() {
        assert_eq!(
            vault().fingerprint(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_installation_hashes_under_its_own_key() {
        let vault = vault();
        let by_name = vault.hash_with(&Secret::new("the key of the installation"), "123456");
        assert_eq!(vault.hash("123456"), by_name);
        assert_ne!(vault.hash("123456"), vault.hash_with(&Secret::new("another"), "123456"));
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let text = Secret::new("hunter2");
        assert_ne!(vault().seal(&text), vault().seal(&text));
    }

    #[test]
    fn another_key_opens_nothing() {
        let sealed = vault().seal(&Secret::new("hunter2"));
        assert_eq!(AesVault::new(Secret::new("another")).open(&sealed), Err(VaultError));
    }

    #[test]
    fn what_was_sealed_under_a_former_key_opens() {
        let former = Secret::new("another");
        let sealed = AesVault::new(former.clone()).seal(&Secret::new("hunter2"));
        let vault = vault().opening(&former);
        assert_eq!(vault.open(&sealed), Ok(Secret::new("hunter2")));
        assert_eq!(AesVault::new(former).open(&vault.seal(&Secret::new("x"))), Err(VaultError));
    }

    #[test]
    fn what_is_too_short_or_no_hexadecimal_is_refused() {
        for bad in ["", "00", "zz", &"0".repeat(55), &"0".repeat(54)] {
            assert_eq!(vault().open(&Sealed::new(bad)), Err(VaultError), "{bad:?}");
        }
    }

    #[test]
    fn hashes_are_the_same_only_when_every_digit_is() {
        let vault = vault();
        assert!(vault.same("abc", "abc"));
        assert!(!vault.same("abc", "abd"));
        assert!(!vault.same("abc", "ab"));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_to_the_same(text in "\\PC{0,200}", key in "\\PC{0,40}") {
            let (text, key) = (Secret::new(text), Secret::new(key));
            let vault = vault();
            prop_assert_eq!(vault.open(&vault.seal(&text)), Ok(text.clone()));
            prop_assert_eq!(vault.open_with(&key, &vault.seal_with(&key, &text)), Ok(text));
        }

        #[test]
        fn a_changed_bit_anywhere_is_noticed(text in "\\PC{0,40}", place in any::<prop::sample::Index>(), bit in 0..8) {
            let vault = vault();
            let mut bytes = hex::decode(vault.seal(&Secret::new(text)).as_str()).unwrap();
            let at = place.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(vault.open(&Sealed::new(hex::encode(bytes))), Err(VaultError));
        }

        #[test]
        fn any_text_at_all_is_opened_without_panic(text in "\\PC{0,200}") {
            prop_assert_eq!(vault().open(&Sealed::new(text)), Err(VaultError));
        }
    }
}
