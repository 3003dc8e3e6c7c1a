//! Amazon SNS: envelopes signed by a certificate that Amazon publishes.
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use super::{
    fields::{json, moment, required, text},
    fresh,
};
use crate::Config;
use application::ports::ReadingError;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::Timestamp;
use reqwest::Client;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use url::Url;
use x509_parser::pem::parse_x509_pem;

/// Certificates kept; Amazon publishes one for each region and some months.
const KEPT: usize = 32;
/// Most bytes of a certificate.
const LARGEST: usize = 32 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Members that are signed, in their order.
const OF_NOTIFICATION: [&str; 6] = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const OF_SUBSCRIPTION: [&str; 7] =
    ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/// Opens what topics send.
pub(super) struct Topics {
    client: Client,
    /// For development: a server on this machine may stand for Amazon.
    allow_private_hosts: bool,
    certificates: Mutex<HashMap<String, Arc<Certificate>>>,
}

struct Certificate {
    not_before: i64,
    not_after: i64,
    /// PKCS #1.
    key: Vec<u8>,
}

impl Topics {
    pub fn new(client: Client, config: &Config) -> Self {
        Self { client, allow_private_hosts: config.allow_private_hosts, certificates: Mutex::default() }
    }

    /// The message of a notification. `None` for what only manages the topic; a subscription is
    /// confirmed.
    pub async fn open(&self, body: &[u8], now: Timestamp) -> Result<Option<String>, ReadingError> {
        let envelope = json(body)?;
        let kind = required(&envelope, "Type")?;
        let signed: &[&str] = match kind {
            "Notification" => &OF_NOTIFICATION,
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => &OF_SUBSCRIPTION,
            _ => return Err(ReadingError::Malformed("the type of the envelope is unknown")),
        };
        self.verify(&envelope, signed, now).await?;
        match kind {
            "Notification" => Ok(Some(required(&envelope, "Message")?.to_owned())),
            "SubscriptionConfirmation" => {
                self.confirm(required(&envelope, "SubscribeURL")?).await?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    async fn verify(&self, envelope: &Value, signed: &[&str], now: Timestamp) -> Result<(), ReadingError> {
        let unsigned = ReadingError::NotAuthentic("it has no signature");
        let algorithm: &RsaParameters = match text(envelope, "SignatureVersion") {
            "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            "2" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(unsigned),
        };
        let signature = BASE64_STANDARD.decode(text(envelope, "Signature"));
        let signature = signature.ok().filter(|s| !s.is_empty()).ok_or(unsigned.clone())?;
        let signed_at = moment(&envelope["Timestamp"]).ok_or(unsigned)?;
        let certificate = self.certificate(text(envelope, "SigningCertURL"), now).await?;
        UnparsedPublicKey::new(algorithm, &certificate.key)
            .verify(canonical(envelope, signed).as_bytes(), &signature)
            .map_err(|_| ReadingError::NotAuthentic("its signature is not by Amazon"))?;
        fresh(signed_at, now)
    }

    async fn certificate(&self, url: &str, now: Timestamp) -> Result<Arc<Certificate>, ReadingError> {
        let url =
            self.amazon(url).filter(|url| url.path().rsplit_once('.').is_some_and(|(_, kind)| kind == "pem"));
        let url = url.ok_or(ReadingError::NotAuthentic("its certificate is not one of Amazon"))?;
        let known = self.certificates().get(url.as_str()).cloned();
        let certificate = if let Some(certificate) = known {
            certificate
        } else {
            let text = self.fetch(url.clone()).await.ok_or(ReadingError::Unavailable)?;
            let certificate = Arc::new(parse(&text).ok_or(ReadingError::Unavailable)?);
            let mut kept = self.certificates();
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(url.into(), certificate.clone());
            certificate
        };
        if (certificate.not_before..=certificate.not_after).contains(&now.timestamp()) {
            Ok(certificate)
        } else {
            Err(ReadingError::NotAuthentic("its certificate has run out"))
        }
    }

    async fn confirm(&self, url: &str) -> Result<(), ReadingError> {
        let url = self.amazon(url).ok_or(ReadingError::NotAuthentic("it is to be confirmed elsewhere"))?;
        self.fetch(url).await.map(drop).ok_or(ReadingError::Unavailable)
    }

    /// An address of Amazon SNS, and of nobody else.
    fn amazon(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?;
        let plain = url.username().is_empty() && url.password().is_none();
        let secure = url.scheme() == "https" && url.port().is_none() && is_sns(host);
        let loopback = || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        (plain && (secure || (self.allow_private_hosts && loopback()))).then_some(url)
    }

    async fn fetch(&self, url: Url) -> Option<String> {
        let mut response = self.client.get(url).timeout(TIMEOUT).send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return None;
            }
        }
        String::from_utf8(bytes).ok()
    }

    fn certificates(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Certificate>>> {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `sns.eu-west-1.amazonaws.com`, also in China.
fn is_sns(host: &str) -> bool {
    let host = host.strip_suffix(".cn").unwrap_or(host);
    let region = host.strip_prefix("sns.").and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    region.is_some_and(|region| {
        region.len() >= 3 && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

/// The text that is signed: name and value of each member on lines of their own.
fn canonical(envelope: &Value, signed: &[&str]) -> String {
    let mut canonical = String::new();
    for name in signed {
        if let Some(value) = envelope[*name].as_str() {
            canonical.extend([name, "\n", value, "\n"]);
        }
    }
    canonical
}

fn parse(text: &str) -> Option<Certificate> {
    let (_, pem) = parse_x509_pem(text.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let validity = certificate.validity();
    Some(Certificate {
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        key: certificate.public_key().subject_public_key.data.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_sns_are_amazons() {
        for host in ["sns.eu-west-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn"] {
            assert!(is_sns(host), "{host}");
        }
        for host in [
            "sns.amazonaws.com",
            "sns.eu-west-1.amazonaws.com.evil.example",
            "evil.sns.eu-west-1.amazonaws.com",
            "sns.evil.example/.amazonaws.com",
            "sns.a.b.amazonaws.com",
            "bucket.s3.amazonaws.com",
            "169.254.169.254",
        ] {
            assert!(!is_sns(host), "{host}");
        }
    }
}
