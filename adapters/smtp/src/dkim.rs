//! Signatures of a sender's domain: DKIM (RFC 6376), with RSA or Ed25519 (RFC 8463).
//!
//! Header fields and body are signed in their relaxed form, as mail servers on the way may fold lines
//! anew. lettre's own signer calls itself once per character and would end the process on a long field.

mod canon;

use application::ports::{DkimIdentity, DkimKeyError, DkimKeys, SendError};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{
    Timestamp,
    dkim::{DkimAlgorithm, DkimPublicKey},
    secret::Secret,
};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{self, Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

/// Fields that are signed when a mail has them.
const SIGNED: &[&str] = &[
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

/// Fields that are signed once more than a mail has them, so that nobody can add one (RFC 6376 §8.15).
const SEALED: &[&str] = &["from", "to", "cc", "reply-to", "subject", "date"];

/// Columns of a line of the signature.
const COLUMNS: usize = 72;

/// Keys that are kept ready; more are read anew.
const KEYS: usize = 256;

/// Reads and checks private keys: the port behind the settings of senders.
#[derive(Debug, Clone, Copy, Default)]
pub struct DkimKeyReader;

impl DkimKeys for DkimKeyReader {
    fn public(&self, private: &Secret) -> Result<DkimPublicKey, DkimKeyError> {
        Key::read(private).map(|key| key.public())
    }
}

/// A private key, ready to sign.
enum Key {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// PKCS #1 or PKCS #8, as `openssl genrsa` and `openssl genpkey` write them.
    fn read(pem: &Secret) -> Result<Self, DkimKeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| DkimKeyError)?;
        match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Self::Rsa).ok(),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                let rsa = RsaKeyPair::from_pkcs8(der).map(Self::Rsa).ok();
                rsa.or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519).ok())
            }
            _ => None,
        }
        .ok_or(DkimKeyError)
    }

    fn public(&self) -> DkimPublicKey {
        match self {
            Self::Rsa(pair) => DkimPublicKey {
                algorithm: DkimAlgorithm::Rsa,
                key: BASE64_STANDARD.encode(subject_public_key(pair.public_key().as_ref())),
            },
            Self::Ed25519(pair) => DkimPublicKey {
                algorithm: DkimAlgorithm::Ed25519,
                key: BASE64_STANDARD.encode(pair.public_key().as_ref()),
            },
        }
    }

    fn algorithm(&self) -> DkimAlgorithm {
        match self {
            Self::Rsa(_) => DkimAlgorithm::Rsa,
            Self::Ed25519(_) => DkimAlgorithm::Ed25519,
        }
    }

    fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(pair) => {
                let mut signed = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, text, &mut signed).ok()?;
                Some(signed)
            }
            // RFC 8463 §3: what is signed is the hash.
            Self::Ed25519(pair) => {
                Some(pair.sign(digest::digest(&digest::SHA256, text).as_ref()).as_ref().to_vec())
            }
        }
    }
}

/// The keys in use, as reading one takes longer than signing with it.
#[derive(Default)]
pub(crate) struct Signer {
    keys: Mutex<HashMap<Vec<u8>, Arc<Key>>>,
}

impl Signer {
    /// Puts the signature before a mail.
    pub(crate) fn sign(
        &self,
        content: &mut String,
        identity: &DkimIdentity,
        now: Timestamp,
    ) -> Result<(), SendError> {
        let unusable = || SendError::Provider { reason: "the DKIM key of the sender is unusable".to_owned() };
        let key = self.key(&identity.private_key).map_err(|_| unusable())?;
        let field = signature_field(content, identity, &key, now).ok_or_else(unusable)?;
        content.insert_str(0, &field);
        Ok(())
    }

    fn key(&self, pem: &Secret) -> Result<Arc<Key>, DkimKeyError> {
        let name = digest::digest(&digest::SHA256, pem.expose().as_bytes()).as_ref().to_vec();
        let known = |keys: &HashMap<_, Arc<Key>>| keys.get(&name).cloned();
        if let Some(key) = known(&self.keys.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(key);
        }
        let key = Arc::new(Key::read(pem)?);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEYS {
            keys.clear();
        }
        keys.insert(name, Arc::clone(&key));
        Ok(key)
    }
}

/// The whole field, with the end of its last line.
fn signature_field(content: &str, identity: &DkimIdentity, key: &Key, now: Timestamp) -> Option<String> {
    let (head, body) = content.split_once("\r\n\r\n").unwrap_or((content, ""));
    let fields = canon::fields(head);
    let has = |name: &str| fields.iter().filter(|field| field.name == name).count();
    let mut signed: Vec<&str> = Vec::new();
    for name in SIGNED {
        signed.extend(std::iter::repeat_n(*name, has(name)));
    }
    signed.extend(SEALED);
    let hash = digest::digest(&digest::SHA256, canon::body(body).as_bytes());
    let mut field = format!(
        "DKIM-Signature: v=1; a={}-sha256; c=relaxed/relaxed; d={}; s={};\r\n t={}; h=",
        key.algorithm().name(),
        identity.domain,
        identity.selector,
        now.timestamp()
    );
    for (n, name) in signed.iter().enumerate() {
        let column = field.len() - field.rfind('\n').unwrap_or(0);
        if column + name.len() > COLUMNS {
            field.push_str("\r\n ");
        }
        let _ = write!(field, "{}{name}", if n > 0 { ":" } else { "" });
    }
    let _ = write!(field, ";\r\n bh={};\r\n b=", BASE64_STANDARD.encode(hash));
    let text = canon::signed(&fields, &signed, &field);
    let signature = BASE64_STANDARD.encode(key.sign(text.as_bytes())?);
    for (n, piece) in signature.as_bytes().chunks(COLUMNS).enumerate() {
        let line = if n > 0 { "\r\n  " } else { "" };
        let _ = write!(field, "{line}{}", String::from_utf8_lossy(piece));
    }
    field.push_str("\r\n");
    Some(field)
}

/// An RSA key as a `SubjectPublicKeyInfo` (RFC 5280 §4.1), which is what verifiers read.
fn subject_public_key(rsa: &[u8]) -> Vec<u8> {
    /// `rsaEncryption`, without parameters.
    const ALGORITHM: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = element(0x03, &[&[0][..], rsa].concat());
    element(0x30, &[ALGORITHM, &bits].concat())
}

/// Tag, length and content in DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut element = vec![tag];
    if let Ok(short @ ..0x80) = u8::try_from(length) {
        element.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        element.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
        element.extend_from_slice(bytes);
    }
    element.extend_from_slice(content);
    element
}

#[cfg(test)]
mod tests;
