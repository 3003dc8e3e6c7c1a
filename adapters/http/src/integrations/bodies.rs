//! What the operations of integrations read and answer.

use crate::{Moment, Text, body::complete};
use application::integrations::{IntegrationDraft, IntegrationsError, SenderDraft};
use domain::{
    email_address::EmailAddress,
    ids::SenderId,
    integrations::{EmailProvider, Integration, ProviderSettings, Sender, SmtpSecurity, SmtpSettings},
    mail_name::MailName,
    secret::{Sealed, Secret},
    validation::{Check, Invalid},
};
use poem_openapi::Object;

/// The port on which TLS begins with the first byte (RFC 8314).
const IMPLICIT_TLS_PORT: u16 = 465;

/// Adding an integration.
#[derive(Object)]
#[oai(rename = "CreateIntegrationBody")]
pub(super) struct CreateBody {
    pub(super) workspace_id: Text,
    /// How people call it.
    name: Text,
    /// `email`.
    #[oai(rename = "type")]
    kind: Text,
    /// With type `email`.
    provider: Option<ProviderBody>,
}

/// Replacing an integration.
#[derive(Object)]
#[oai(rename = "UpdateIntegrationBody")]
pub(super) struct UpdateBody {
    pub(super) workspace_id: Text,
    pub(super) integration_id: Text,
    /// How people call it.
    name: Text,
    provider: Option<ProviderBody>,
}

/// Removing an integration.
#[derive(Object)]
#[oai(rename = "DeleteIntegrationBody")]
pub(super) struct DeleteBody {
    pub(super) workspace_id: Text,
    pub(super) integration_id: Text,
}

/// An e-mail provider with its senders.
#[derive(Object)]
#[oai(rename = "EmailProviderDraft")]
struct ProviderBody {
    /// `smtp`.
    kind: Text,
    /// With kind `smtp`.
    smtp: Option<SmtpBody>,
    /// At least one.
    senders: Vec<SenderBody>,
    /// Most mails per minute; above zero.
    rate_limit_per_minute: u32,
}

/// How to reach a mail server.
#[derive(Object)]
#[oai(rename = "SmtpProviderDraft")]
struct SmtpBody {
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

/// An address that mails may come from.
#[derive(Object)]
#[oai(rename = "Sender", skip_serializing_if_is_none)]
struct SenderBody {
    /// A UUID; one that is left out is given by the server.
    id: Option<Text>,
    email: Text,
    name: Text,
    /// Used when a template names no sender.
    #[oai(default)]
    is_default: bool,
}

impl TryFrom<CreateBody> for IntegrationDraft {
    type Error = IntegrationsError;

    fn try_from(body: CreateBody) -> Result<Self, IntegrationsError> {
        match body.kind.0.as_str() {
            "email" => draft(body.name, body.provider),
            "supabase" | "llm" | "firecrawl" => Err(IntegrationsError::UnsupportedType),
            _ => Err(Invalid::one("/type", "must be email").into()),
        }
    }
}

impl TryFrom<UpdateBody> for IntegrationDraft {
    type Error = IntegrationsError;

    fn try_from(body: UpdateBody) -> Result<Self, IntegrationsError> {
        draft(body.name, body.provider)
    }
}

fn draft(name: Text, provider: Option<ProviderBody>) -> Result<IntegrationDraft, IntegrationsError> {
    let provider = provider.ok_or_else(|| Invalid::one("/provider", "is required"))?;
    match provider.kind.0.as_str() {
        "smtp" => {}
        "ses" | "sparkpost" | "postmark" | "mailgun" | "mailjet" | "sendgrid" => {
            return Err(IntegrationsError::UnsupportedKind);
        }
        _ => return Err(Invalid::one("/provider/kind", "must be smtp").into()),
    }
    let smtp = provider.smtp.ok_or_else(|| Invalid::one("/provider/smtp", "is required"))?;
    match smtp.auth_type.as_ref().map(|kind| kind.0.as_str()) {
        None | Some("" | "basic") => {}
        Some("oauth2") => return Err(IntegrationsError::UnsupportedAuthentication),
        Some(_) => return Err(Invalid::one("/provider/smtp/auth_type", "must be basic").into()),
    }
    let mut check = Check::default();
    let mut senders = Vec::new();
    for (n, sender) in provider.senders.into_iter().enumerate() {
        senders.extend(check.nested(&format!("/provider/senders/{n}"), sender.try_into()));
    }
    check.finish()?;
    Ok(IntegrationDraft {
        name: name.0,
        settings: ProviderSettings::Smtp(smtp.into()),
        senders,
        rate_limit_per_minute: provider.rate_limit_per_minute,
    })
}

impl From<SmtpBody> for SmtpSettings<Secret> {
    fn from(body: SmtpBody) -> Self {
        let filled = |text: Option<Text>| text.map(|text| text.0).filter(|text| !text.is_empty());
        Self {
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
        }
    }
}

impl TryFrom<SenderBody> for SenderDraft {
    type Error = Invalid;

    fn try_from(body: SenderBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let email = check.field("/email", EmailAddress::parse(&body.email.0));
        let name = check.field("/name", MailName::parse(&body.name.0));
        let made = || {
            Some(Self {
                id: body.id.and_then(|id| SenderId::parse(&id.0).ok()),
                email: email?,
                name: name?,
                is_default: body.is_default,
            })
        };
        complete(check, made())
    }
}

/// An integration of a workspace. Its secrets are never answered.
#[derive(Object)]
#[oai(rename = "Integration")]
pub(crate) struct IntegrationBody {
    id: String,
    name: String,
    /// `email`.
    #[oai(rename = "type")]
    kind: String,
    email_provider: ProviderAnswer,
    created_at: Moment,
    updated_at: Moment,
}

/// An e-mail provider as it is kept.
#[derive(Object)]
#[oai(rename = "EmailProvider")]
struct ProviderAnswer {
    /// `smtp`.
    kind: String,
    smtp: SmtpAnswer,
    senders: Vec<SenderBody>,
    rate_limit_per_minute: u32,
}

/// How a mail server is reached.
#[derive(Object)]
#[oai(rename = "SmtpProvider", skip_serializing_if_is_none)]
struct SmtpAnswer {
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

impl From<Integration> for IntegrationBody {
    fn from(integration: Integration) -> Self {
        Self {
            id: integration.id.to_string(),
            name: integration.name,
            kind: "email".to_owned(),
            email_provider: integration.provider.into(),
            created_at: integration.created_at.into(),
            updated_at: integration.updated_at.into(),
        }
    }
}

impl From<EmailProvider<Sealed>> for ProviderAnswer {
    fn from(provider: EmailProvider<Sealed>) -> Self {
        let kind = provider.settings.kind().to_owned();
        let ProviderSettings::Smtp(smtp) = provider.settings;
        Self {
            kind,
            smtp: SmtpAnswer {
                host: smtp.host,
                port: smtp.port,
                use_tls: smtp.security != SmtpSecurity::None,
                username: smtp.username,
                password_set: smtp.password.is_some(),
                ehlo_hostname: smtp.ehlo_hostname,
                auth_type: "basic".to_owned(),
            },
            senders: provider.senders.into_iter().map(Into::into).collect(),
            rate_limit_per_minute: provider.rate_limit_per_minute,
        }
    }
}

impl From<Sender> for SenderBody {
    fn from(sender: Sender) -> Self {
        Self {
            id: Some(Text(sender.id.to_string())),
            email: sender.email.as_str().into(),
            name: sender.name.as_str().into(),
            is_default: sender.is_default,
        }
    }
}
