//! The settings of each kind of e-mail provider, as they are given and as they are answered.

use crate::Text;
use application::integrations::IntegrationsError;
use domain::{
    integrations::{
        MailgunRegion, MailgunSettings, MailjetSettings, PostmarkSettings, ProviderSettings,
        SendgridSettings, SesSettings, SmtpSecurity, SmtpSettings, SparkpostSettings,
    },
    secret::{Sealed, Secret},
    validation::Invalid,
};
use poem_openapi::Object;

/// The port on which TLS begins with the first byte (RFC 8314).
const IMPLICIT_TLS_PORT: u16 = 465;

/// How to reach a mail server.
#[derive(Object)]
#[oai(rename = "SmtpProviderDraft")]
pub(super) struct SmtpBody {
    /// Host name or IP address.
    host: Text,
    /// 1 to 65535.
    port: u16,
    /// With TLS: from the first byte on port 465, by STARTTLS on others.
    #[oai(default)]
    use_tls: bool,
    /// No authentication when left out or empty.
    #[oai(nullable)]
    username: Option<Text>,
    /// Left out or empty in an update: the stored one is kept.
    #[oai(nullable, write_only)]
    password: Option<Text>,
    /// The name given in `EHLO`; by default the domain of the sender.
    #[oai(nullable)]
    ehlo_hostname: Option<Text>,
    /// `basic`.
    #[oai(nullable)]
    auth_type: Option<Text>,
}

/// How to reach Postmark.
#[derive(Object)]
#[oai(rename = "PostmarkProviderDraft")]
pub(super) struct PostmarkBody {
    /// Left out or empty in an update: the stored one is kept.
    #[oai(nullable, write_only)]
    server_token: Option<Text>,
    /// By default `outbound`.
    #[oai(nullable)]
    message_stream: Option<Text>,
}

/// How to reach Mailgun.
#[derive(Object)]
#[oai(rename = "MailgunProviderDraft")]
pub(super) struct MailgunBody {
    /// The sending domain, as registered there.
    domain: Text,
    /// `US`, the default, or `EU`.
    #[oai(nullable)]
    region: Option<Text>,
    /// Left out or empty in an update: the stored one is kept.
    #[oai(nullable, write_only)]
    api_key: Option<Text>,
    /// The HTTP webhook signing key of the account. Once it is known, calls that are not signed with it
    /// are refused. `webhooks.register` asks Mailgun for it. Left out or empty in an update: the stored
    /// one is kept.
    #[oai(nullable, write_only)]
    webhook_signing_key: Option<Text>,
}

/// How to reach `SendGrid`.
#[derive(Object)]
#[oai(rename = "SendgridProviderDraft")]
pub(super) struct SendgridBody {
    /// Left out or empty in an update: the stored one is kept.
    #[oai(nullable, write_only)]
    api_key: Option<Text>,
    /// The verification key of the signed event webhook, in base64. Once it is known, calls that are not
    /// signed with it are refused. `webhooks.register` asks `SendGrid` for it. Left out or empty in an
    /// update: the stored one is kept.
    #[oai(nullable)]
    webhook_public_key: Option<Text>,
}

/// How to reach Mailjet.
#[derive(Object)]
#[oai(rename = "MailjetProviderDraft")]
pub(super) struct MailjetBody {
    /// Left out or empty in an update: the stored one is kept.
    #[oai(nullable, write_only)]
    api_key: Option<Text>,
    /// Left out or empty in an update: the stored one is kept.
    #[oai(nullable, write_only)]
    secret_key: Option<Text>,
    /// Mails are checked and never delivered.
    #[oai(default)]
    sandbox_mode: bool,
}

/// How to reach `SparkPost`.
#[derive(Object)]
#[oai(rename = "SparkpostProviderDraft")]
pub(super) struct SparkpostBody {
    /// Base URL of the API, such as `https://api.sparkpost.com`.
    endpoint: Text,
    /// Left out or empty in an update: the stored one is kept.
    #[oai(nullable, write_only)]
    api_key: Option<Text>,
    /// Mails are taken and never delivered.
    #[oai(default)]
    sandbox_mode: bool,
}

/// How to reach Amazon SES (version 2 of its API).
#[derive(Object)]
#[oai(rename = "SesProviderDraft")]
pub(super) struct SesBody {
    /// The region, such as `eu-west-1`.
    region: Text,
    /// The id of the access key.
    access_key: Text,
    /// Left out or empty in an update: the stored one is kept.
    #[oai(nullable, write_only)]
    secret_key: Option<Text>,
    /// The configuration set that sorts the provider's events; none by default.
    #[oai(nullable)]
    configuration_set: Option<Text>,
}

impl From<SesBody> for ProviderSettings<Secret> {
    fn from(body: SesBody) -> Self {
        Self::Ses(SesSettings {
            region: body.region.0.trim().to_owned(),
            access_key: body.access_key.0.trim().to_owned(),
            secret_key: secret(body.secret_key),
            configuration_set: filled(body.configuration_set).map(|set| set.trim().to_owned()),
        })
    }
}

impl TryFrom<SmtpBody> for ProviderSettings<Secret> {
    type Error = IntegrationsError;

    fn try_from(body: SmtpBody) -> Result<Self, IntegrationsError> {
        match body.auth_type.as_ref().map(|kind| kind.0.as_str()) {
            None | Some("" | "basic") => {}
            Some("oauth2") => return Err(IntegrationsError::UnsupportedAuthentication),
            Some(_) => return Err(Invalid::one("/provider/smtp/auth_type", "must be basic").into()),
        }
        Ok(Self::Smtp(SmtpSettings {
            host: body.host.0.trim().to_owned(),
            port: body.port,
            security: match (body.use_tls, body.port) {
                (false, _) => SmtpSecurity::None,
                (true, IMPLICIT_TLS_PORT) => SmtpSecurity::Implicit,
                (true, _) => SmtpSecurity::StartTls,
            },
            ehlo_hostname: filled(body.ehlo_hostname),
            username: filled(body.username),
            password: filled(body.password).map(Secret::new),
        }))
    }
}

impl From<PostmarkBody> for ProviderSettings<Secret> {
    fn from(body: PostmarkBody) -> Self {
        Self::Postmark(PostmarkSettings {
            server_token: secret(body.server_token),
            message_stream: filled(body.message_stream).unwrap_or_else(|| "outbound".to_owned()),
        })
    }
}

impl TryFrom<MailgunBody> for ProviderSettings<Secret> {
    type Error = IntegrationsError;

    fn try_from(body: MailgunBody) -> Result<Self, IntegrationsError> {
        let region = match filled(body.region).map(|region| region.to_ascii_uppercase()).as_deref() {
            None | Some("US") => MailgunRegion::Us,
            Some("EU") => MailgunRegion::Eu,
            Some(_) => return Err(Invalid::one("/provider/mailgun/region", "must be US or EU").into()),
        };
        let domain = body.domain.0.trim().to_owned();
        let key = filled(body.webhook_signing_key).map(|key| Secret::new(key.trim()));
        Ok(Self::Mailgun(MailgunSettings {
            domain,
            region,
            api_key: secret(body.api_key),
            webhook_signing_key: key.filter(|key| !key.is_empty()),
        }))
    }
}

impl From<SendgridBody> for ProviderSettings<Secret> {
    fn from(body: SendgridBody) -> Self {
        let key = filled(body.webhook_public_key).map(|key| key.trim().to_owned());
        Self::Sendgrid(SendgridSettings {
            api_key: secret(body.api_key),
            webhook_public_key: key.filter(|key| !key.is_empty()),
        })
    }
}

impl From<MailjetBody> for ProviderSettings<Secret> {
    fn from(body: MailjetBody) -> Self {
        Self::Mailjet(MailjetSettings {
            api_key: secret(body.api_key),
            secret_key: secret(body.secret_key),
            sandbox_mode: body.sandbox_mode,
        })
    }
}

impl From<SparkpostBody> for ProviderSettings<Secret> {
    fn from(body: SparkpostBody) -> Self {
        Self::Sparkpost(SparkpostSettings {
            endpoint: body.endpoint.0.trim().trim_end_matches('/').to_owned(),
            api_key: secret(body.api_key),
            sandbox_mode: body.sandbox_mode,
        })
    }
}

fn filled(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

/// An empty secret means the stored one.
fn secret(text: Option<Text>) -> Secret {
    Secret::new(text.map(|text| text.0.trim().to_owned()).unwrap_or_default())
}

/// How a mail server is reached.
#[derive(Object)]
#[oai(rename = "SmtpProvider", skip_serializing_if_is_none)]
pub(super) struct SmtpAnswer {
    host: String,
    port: u16,
    use_tls: bool,
    username: Option<String>,
    /// Whether a password is kept.
    password_set: bool,
    ehlo_hostname: Option<String>,
    /// `basic`.
    auth_type: String,
}

/// How Postmark is reached.
#[derive(Object)]
#[oai(rename = "PostmarkProvider")]
pub(super) struct PostmarkAnswer {
    message_stream: String,
    /// Whether a token is kept.
    server_token_set: bool,
}

/// How Mailgun is reached.
#[derive(Object)]
#[oai(rename = "MailgunProvider")]
pub(super) struct MailgunAnswer {
    domain: String,
    /// `US` or `EU`.
    region: String,
    /// Whether a key is kept.
    api_key_set: bool,
    /// Whether the key is known that Mailgun signs its calls with.
    webhook_signing_key_set: bool,
}

/// How `SendGrid` is reached.
#[derive(Object)]
#[oai(rename = "SendgridProvider", skip_serializing_if_is_none)]
pub(super) struct SendgridAnswer {
    /// Whether a key is kept.
    api_key_set: bool,
    /// The key that the signatures of its calls are checked with.
    webhook_public_key: Option<String>,
}

/// How Mailjet is reached.
#[derive(Object)]
#[oai(rename = "MailjetProvider")]
pub(super) struct MailjetAnswer {
    /// Whether the public half of the key is kept.
    api_key_set: bool,
    /// Whether the private half of the key is kept.
    secret_key_set: bool,
    sandbox_mode: bool,
}

/// How `SparkPost` is reached.
#[derive(Object)]
#[oai(rename = "SparkpostProvider")]
pub(super) struct SparkpostAnswer {
    endpoint: String,
    /// Whether a key is kept.
    api_key_set: bool,
    sandbox_mode: bool,
}

/// How Amazon SES is reached.
#[derive(Object)]
#[oai(rename = "SesProvider", skip_serializing_if_is_none)]
pub(super) struct SesAnswer {
    region: String,
    access_key: String,
    /// Whether a key is kept.
    secret_key_set: bool,
    configuration_set: Option<String>,
}

/// The settings of one kind; all others are absent.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) smtp: Option<SmtpAnswer>,
    pub(super) postmark: Option<PostmarkAnswer>,
    pub(super) mailgun: Option<MailgunAnswer>,
    pub(super) sendgrid: Option<SendgridAnswer>,
    pub(super) mailjet: Option<MailjetAnswer>,
    pub(super) sparkpost: Option<SparkpostAnswer>,
    pub(super) ses: Option<SesAnswer>,
}

impl From<ProviderSettings<Sealed>> for Answers {
    fn from(settings: ProviderSettings<Sealed>) -> Self {
        let mut answers = Self::default();
        match settings {
            ProviderSettings::Smtp(smtp) => {
                answers.smtp = Some(SmtpAnswer {
                    host: smtp.host,
                    port: smtp.port,
                    use_tls: smtp.security != SmtpSecurity::None,
                    username: smtp.username,
                    password_set: smtp.password.is_some(),
                    ehlo_hostname: smtp.ehlo_hostname,
                    auth_type: "basic".to_owned(),
                });
            }
            ProviderSettings::Postmark(postmark) => {
                let message_stream = postmark.message_stream;
                answers.postmark = Some(PostmarkAnswer { message_stream, server_token_set: true });
            }
            ProviderSettings::Mailgun(mailgun) => {
                let region = match mailgun.region {
                    MailgunRegion::Us => "US",
                    MailgunRegion::Eu => "EU",
                };
                let (domain, region) = (mailgun.domain, region.to_owned());
                answers.mailgun = Some(MailgunAnswer {
                    domain,
                    region,
                    api_key_set: true,
                    webhook_signing_key_set: mailgun.webhook_signing_key.is_some(),
                });
            }
            ProviderSettings::Sendgrid(sendgrid) => {
                let webhook_public_key = sendgrid.webhook_public_key;
                answers.sendgrid = Some(SendgridAnswer { api_key_set: true, webhook_public_key });
            }
            ProviderSettings::Mailjet(mailjet) => {
                answers.mailjet = Some(MailjetAnswer {
                    api_key_set: true,
                    secret_key_set: true,
                    sandbox_mode: mailjet.sandbox_mode,
                });
            }
            ProviderSettings::Sparkpost(sparkpost) => {
                answers.sparkpost = Some(SparkpostAnswer {
                    endpoint: sparkpost.endpoint,
                    api_key_set: true,
                    sandbox_mode: sparkpost.sandbox_mode,
                });
            }
            ProviderSettings::Ses(ses) => {
                answers.ses = Some(SesAnswer {
                    region: ses.region,
                    access_key: ses.access_key,
                    secret_key_set: true,
                    configuration_set: ses.configuration_set,
                });
            }
        }
        answers
    }
}
