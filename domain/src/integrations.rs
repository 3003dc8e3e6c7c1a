//! Connections of a workspace to e-mail providers.

use crate::{
    Timestamp,
    dkim::Dkim,
    email_address::EmailAddress,
    ids::{IntegrationId, SenderId, WorkspaceId},
    mail_name::MailName,
    secret::Sealed,
};

/// An address that mails may come from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sender {
    /// Its identifier, named by templates.
    pub id: SenderId,
    /// The From address.
    pub email: EmailAddress,
    /// The name beside it.
    pub name: MailName,
    /// Used when a template names none.
    pub is_default: bool,
    /// How its mails are signed; only over SMTP, as others sign by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dkim: Option<Dkim>,
}

/// How an SMTP session is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpSecurity {
    /// TLS from the first byte (RFC 8314, port 465).
    Implicit,
    /// `STARTTLS` required (RFC 3207); without it no mail is sent.
    StartTls,
    /// No protection.
    None,
}

/// How to reach an SMTP server. `S` is the form of the secrets: [`Sealed`] at rest,
/// [`crate::secret::Secret`] in use.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SmtpSettings<S> {
    /// Host name or address of the server.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Protection of the session.
    pub security: SmtpSecurity,
    /// Name given in `EHLO`; by default the domain of the From address.
    pub ehlo_hostname: Option<String>,
    /// Account; no authentication when absent.
    pub username: Option<String>,
    /// Password of the account.
    pub password: Option<S>,
}

/// How to reach Postmark.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PostmarkSettings<S> {
    /// The token of the server.
    pub server_token: S,
    /// The message stream that mails are sent through.
    pub message_stream: String,
}

/// Where Mailgun keeps a domain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailgunRegion {
    /// The United States.
    #[default]
    Us,
    /// The European Union.
    Eu,
}

/// How to reach Mailgun.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MailgunSettings<S> {
    /// The sending domain, as registered there.
    pub domain: String,
    /// Where it is kept.
    pub region: MailgunRegion,
    /// The key of the API.
    pub api_key: S,
    /// The key that the provider signs its calls with; unsigned calls are refused when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_signing_key: Option<S>,
}

/// How to reach `SendGrid`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SendgridSettings<S> {
    /// The key of the API.
    pub api_key: S,
    /// The public key to the key that the provider signs its calls with, in base64; unsigned calls are
    /// refused when it is known. No secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_public_key: Option<String>,
}

/// How to reach Mailjet.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MailjetSettings<S> {
    /// The public half of the key.
    pub api_key: S,
    /// The private half of the key.
    pub secret_key: S,
    /// Mails are checked and never delivered.
    pub sandbox_mode: bool,
}

/// How to reach `SparkPost`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SparkpostSettings<S> {
    /// Base URL of the API, without a slash at the end.
    pub endpoint: String,
    /// The key of the API.
    pub api_key: S,
    /// Mails are taken and never delivered.
    pub sandbox_mode: bool,
}

/// How to reach Amazon SES.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SesSettings<S> {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The identifier of the key; no secret.
    pub access_key: String,
    /// The key.
    pub secret_key: S,
    /// The set that sorts the provider's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_set: Option<String>,
}

/// A service that takes mails. More kinds are added as variants.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProviderSettings<S> {
    /// Any SMTP submission server.
    Smtp(SmtpSettings<S>),
    /// Postmark.
    Postmark(PostmarkSettings<S>),
    /// Mailgun.
    Mailgun(MailgunSettings<S>),
    /// `SendGrid`.
    Sendgrid(SendgridSettings<S>),
    /// Mailjet.
    Mailjet(MailjetSettings<S>),
    /// `SparkPost`.
    Sparkpost(SparkpostSettings<S>),
    /// Amazon SES.
    Ses(SesSettings<S>),
}

impl<S> ProviderSettings<S> {
    /// The name of the kind on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Smtp(_) => "smtp",
            Self::Postmark(_) => "postmark",
            Self::Mailgun(_) => "mailgun",
            Self::Sendgrid(_) => "sendgrid",
            Self::Mailjet(_) => "mailjet",
            Self::Sparkpost(_) => "sparkpost",
            Self::Ses(_) => "ses",
        }
    }

    /// The same settings with every secret turned into another form; `turn` is told the name of the
    /// field, too.
    ///
    /// # Errors
    /// The first error of `turn`.
    pub fn try_map_secrets<T, E>(
        &self,
        mut turn: impl FnMut(&'static str, &S) -> Result<T, E>,
    ) -> Result<ProviderSettings<T>, E> {
        Ok(match self {
            Self::Smtp(smtp) => ProviderSettings::Smtp(SmtpSettings {
                host: smtp.host.clone(),
                port: smtp.port,
                security: smtp.security,
                ehlo_hostname: smtp.ehlo_hostname.clone(),
                username: smtp.username.clone(),
                password: smtp.password.as_ref().map(|s| turn("password", s)).transpose()?,
            }),
            Self::Postmark(postmark) => ProviderSettings::Postmark(PostmarkSettings {
                server_token: turn("server_token", &postmark.server_token)?,
                message_stream: postmark.message_stream.clone(),
            }),
            Self::Mailgun(mailgun) => ProviderSettings::Mailgun(MailgunSettings {
                domain: mailgun.domain.clone(),
                region: mailgun.region,
                api_key: turn("api_key", &mailgun.api_key)?,
                webhook_signing_key: mailgun
                    .webhook_signing_key
                    .as_ref()
                    .map(|key| turn("webhook_signing_key", key))
                    .transpose()?,
            }),
            Self::Sendgrid(sendgrid) => ProviderSettings::Sendgrid(SendgridSettings {
                api_key: turn("api_key", &sendgrid.api_key)?,
                webhook_public_key: sendgrid.webhook_public_key.clone(),
            }),
            Self::Mailjet(mailjet) => ProviderSettings::Mailjet(MailjetSettings {
                api_key: turn("api_key", &mailjet.api_key)?,
                secret_key: turn("secret_key", &mailjet.secret_key)?,
                sandbox_mode: mailjet.sandbox_mode,
            }),
            Self::Sparkpost(sparkpost) => ProviderSettings::Sparkpost(SparkpostSettings {
                endpoint: sparkpost.endpoint.clone(),
                api_key: turn("api_key", &sparkpost.api_key)?,
                sandbox_mode: sparkpost.sandbox_mode,
            }),
            Self::Ses(ses) => ProviderSettings::Ses(SesSettings {
                region: ses.region.clone(),
                access_key: ses.access_key.clone(),
                secret_key: turn("secret_key", &ses.secret_key)?,
                configuration_set: ses.configuration_set.clone(),
            }),
        })
    }

    /// The secret in the field of this name, when there is one.
    #[must_use]
    pub fn secret(&self, field: &str) -> Option<&S> {
        match (self, field) {
            (Self::Smtp(SmtpSettings { password, .. }), "password") => password.as_ref(),
            (Self::Postmark(postmark), "server_token") => Some(&postmark.server_token),
            (Self::Mailgun(mailgun), "api_key") => Some(&mailgun.api_key),
            (Self::Mailgun(mailgun), "webhook_signing_key") => mailgun.webhook_signing_key.as_ref(),
            (Self::Sendgrid(sendgrid), "api_key") => Some(&sendgrid.api_key),
            (Self::Mailjet(mailjet), "api_key") => Some(&mailjet.api_key),
            (Self::Mailjet(mailjet), "secret_key") => Some(&mailjet.secret_key),
            (Self::Sparkpost(sparkpost), "api_key") => Some(&sparkpost.api_key),
            (Self::Ses(ses), "secret_key") => Some(&ses.secret_key),
            _ => None,
        }
    }
}

/// An e-mail provider with the senders that it accepts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EmailProvider<S> {
    /// How to reach it.
    pub settings: ProviderSettings<S>,
    /// At least one.
    pub senders: Vec<Sender>,
    /// Most mails per minute; above zero.
    pub rate_limit_per_minute: u32,
}

impl<S> EmailProvider<S> {
    /// The sender with this identifier, else the default one, else the first.
    #[must_use]
    pub fn sender(&self, wanted: Option<SenderId>) -> Option<&Sender> {
        let named = wanted.and_then(|id| self.senders.iter().find(|s| s.id == id));
        named.or_else(|| self.senders.iter().find(|s| s.is_default)).or_else(|| self.senders.first())
    }
}

/// A connection of a workspace to an e-mail provider, secrets sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// Its identifier.
    pub id: IntegrationId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// How people call it.
    pub name: String,
    /// The provider.
    pub provider: EmailProvider<Sealed>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(n: u128, is_default: bool) -> Sender {
        Sender {
            id: SenderId::from_uuid(uuid::Uuid::from_u128(n)),
            email: EmailAddress::parse(&format!("s{n}@shop.example")).unwrap(),
            name: MailName::parse("Shop").unwrap(),
            is_default,
            dkim: None,
        }
    }

    #[test]
    fn a_sender_is_found_by_id_then_default_then_first() {
        let settings = ProviderSettings::<Sealed>::Smtp(SmtpSettings {
            host: "mx.shop.example".into(),
            port: 587,
            security: SmtpSecurity::StartTls,
            ehlo_hostname: None,
            username: None,
            password: None,
        });
        let senders = vec![sender(1, false), sender(2, true)];
        let mut provider = EmailProvider { settings, senders, rate_limit_per_minute: 60 };
        let (first, second) = (provider.senders[0].id, provider.senders[1].id);
        let unknown = SenderId::from_uuid(uuid::Uuid::from_u128(9));
        assert_eq!(provider.sender(Some(first)).unwrap().id, first);
        assert_eq!(provider.sender(Some(unknown)).unwrap().id, second);
        provider.senders[1].is_default = false;
        assert_eq!(provider.sender(None).unwrap().id, first);
    }

    #[test]
    fn every_secret_is_turned_and_found_by_its_name() {
        let mailjet = ProviderSettings::Mailjet(MailjetSettings {
            api_key: "public",
            secret_key: "private",
            sandbox_mode: true,
        });
        let turned = mailjet.try_map_secrets(|field, s| Ok::<_, ()>(format!("{field}={s}"))).unwrap();
        assert_eq!(turned.secret("api_key").unwrap(), "api_key=public");
        assert_eq!(turned.secret("secret_key").unwrap(), "secret_key=private");
        assert_eq!(turned.secret("password"), None);
    }
}
