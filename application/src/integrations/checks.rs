//! The rules for the settings of each kind of provider. Pointers begin at the settings.

use super::DkimDraft;
use domain::{
    dkim,
    email_address::EmailAddress,
    hosts,
    integrations::{ProviderSettings, SmtpSettings},
    secret::Secret,
    validation::{Check, Invalid},
};

const SOUND: &str = "must have at most 1000 characters, none of them a control character";

/// Checks settings. `private_hosts` may be named in development only.
pub(super) fn settings(given: &ProviderSettings<Secret>, private_hosts: bool) -> Result<(), Invalid> {
    let mut check = Check::default();
    match given {
        ProviderSettings::Smtp(server) => return smtp(server, private_hosts),
        ProviderSettings::Postmark(postmark) => {
            let stream = postmark.message_stream.as_str();
            let good = stream.len() <= 100
                && stream.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            check.require(
                good,
                "/message_stream",
                "must have at most 100 letters, digits, hyphens and underscores",
            );
        }
        ProviderSettings::Mailgun(mailgun) => {
            let good = hosts::is_host(&mailgun.domain) && mailgun.domain.parse::<std::net::IpAddr>().is_err();
            check.require(
                good && !mailgun.domain.contains(['[', ':']),
                "/domain",
                "must be the name of the domain",
            );
        }
        ProviderSettings::Sendgrid(sendgrid) => {
            let key = sendgrid.webhook_public_key.as_deref().unwrap_or_default();
            let sound = key.len() <= 500
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
            check.require(sound, "/webhook_public_key", "must be a public key in base64");
        }
        ProviderSettings::Mailjet(_) => {}
        ProviderSettings::Sparkpost(sparkpost) => {
            check.field("/endpoint", endpoint(&sparkpost.endpoint, private_hosts));
        }
        ProviderSettings::Ses(ses) => {
            // The region becomes a part of a host name.
            let region = (5..=32).contains(&ses.region.len())
                && ses.region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            check.require(region, "/region", "must be the name of a region such as eu-west-1");
            let access_key = (16..=128).contains(&ses.access_key.len())
                && ses.access_key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            check.require(access_key, "/access_key", "must be the id of a key: 16 to 128 letters and digits");
            let set = ses.configuration_set.as_deref().unwrap_or_default();
            let sound =
                set.len() <= 64 && set.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            check.require(
                sound,
                "/configuration_set",
                "must have at most 64 letters, digits, hyphens and underscores",
            );
        }
    }
    // that a needed secret is there is known only when the stored one has been looked at
    let _ = given.try_map_secrets(|field, secret| {
        check.require(
            is_token(secret.expose()),
            &format!("/{field}"),
            "must have at most 1000 visible ASCII characters",
        );
        Ok::<(), std::convert::Infallible>(())
    });
    check.finish()
}

/// How the mails of a sender are signed.
pub(super) fn dkim(draft: &DkimDraft, address: &EmailAddress) -> Result<(), Invalid> {
    let mut check = Check::default();
    let domain = draft.domain.clone().or_else(|| dkim::domain_of(address)).unwrap_or_default();
    check.require(
        hosts::is_host(&domain) && dkim::may_sign(&domain, address),
        "/domain",
        "must be the domain of the sender's address, or one above it",
    );
    check.require(
        dkim::is_selector(&draft.selector),
        "/selector",
        "must have 1 to 63 lower-case letters, digits, hyphens and dots",
    );
    check.finish()
}

/// A key as it can stand in a header.
fn is_token(text: &str) -> bool {
    text.len() <= 1_000 && text.bytes().all(|b| b.is_ascii_graphic())
}

fn endpoint(text: &str, private_hosts: bool) -> Result<(), &'static str> {
    const FORM: &str = "must be an https address without query, such as https://api.sparkpost.com";
    let url = url::Url::parse(text).map_err(|_| FORM)?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && text.len() <= 500;
    let host = url.host_str().filter(|_| plain).ok_or(FORM)?;
    match url.scheme() {
        "https" => {}
        "http" if private_hosts => {}
        _ => return Err(FORM),
    }
    if private_hosts || hosts::may_be_public(host) {
        Ok(())
    } else {
        Err("must not be a loopback or private address")
    }
}

fn sound(text: &str) -> bool {
    text.chars().count() <= 1_000 && !text.chars().any(char::is_control)
}

fn smtp(smtp: &SmtpSettings<Secret>, private_hosts: bool) -> Result<(), Invalid> {
    let mut check = Check::default();
    if hosts::is_host(&smtp.host) {
        check.require(
            private_hosts || hosts::may_be_public(&smtp.host),
            "/host",
            "must not be a loopback or private address; use the public name of the mail server",
        );
    } else {
        check.problem("/host", "must be a host name or an IP address");
    }
    check.require(smtp.port > 0, "/port", "must be between 1 and 65535");
    let greeting = smtp.ehlo_hostname.as_deref();
    check.require(greeting.is_none_or(hosts::is_host), "/ehlo_hostname", "must be a host name");
    check.require(smtp.username.as_deref().is_none_or(sound), "/username", SOUND);
    check.require(smtp.password.as_ref().is_none_or(|p| sound(p.expose())), "/password", SOUND);
    check.finish()
}
