//! What the operations of integrations read and answer.

mod kinds;

use crate::{Moment, Text, body::complete};
use application::integrations::{DkimDraft, IntegrationDraft, IntegrationsError, SenderDraft};
use domain::{
    dkim::Dkim,
    email_address::EmailAddress,
    ids::SenderId,
    integrations::{EmailProvider, Integration, ProviderSettings, Sender},
    mail_name::MailName,
    secret::{Sealed, Secret},
    validation::{Check, Invalid},
};
use kinds::{
    Answers, MailgunAnswer, MailgunBody, MailjetAnswer, MailjetBody, PostmarkAnswer, PostmarkBody,
    SendgridAnswer, SendgridBody, SesAnswer, SesBody, SmtpAnswer, SmtpBody, SparkpostAnswer, SparkpostBody,
};
use poem_openapi::Object;

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

/// Trying a provider.
#[derive(Object)]
#[oai(rename = "TestProviderBody")]
pub(super) struct TestBody {
    pub(super) workspace_id: Text,
    /// Who gets the mail.
    to: Text,
    /// With all its secrets.
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
    /// `smtp`, `ses`, `postmark`, `mailgun`, `sendgrid`, `mailjet` or `sparkpost`.
    kind: Text,
    /// With kind `smtp`.
    smtp: Option<SmtpBody>,
    /// With kind `postmark`.
    postmark: Option<PostmarkBody>,
    /// With kind `mailgun`.
    mailgun: Option<MailgunBody>,
    /// With kind `sendgrid`.
    sendgrid: Option<SendgridBody>,
    /// With kind `mailjet`.
    mailjet: Option<MailjetBody>,
    /// With kind `sparkpost`.
    sparkpost: Option<SparkpostBody>,
    /// With kind `ses`.
    ses: Option<SesBody>,
    /// At least one.
    senders: Vec<SenderBody>,
    /// Most mails per minute; above zero.
    rate_limit_per_minute: u32,
}

/// An address that mails may come from.
#[derive(Object)]
#[oai(rename = "SenderDraft")]
struct SenderBody {
    /// A UUID; one that is left out is given by the server.
    id: Option<Text>,
    email: Text,
    name: Text,
    /// Used when a template names no sender.
    #[oai(default)]
    is_default: bool,
    /// With kind `smtp`: signs the mails of this sender (DKIM).
    #[oai(nullable)]
    dkim: Option<DkimBody>,
}

/// How the mails of a sender are signed (DKIM, RFC 6376).
#[derive(Object)]
#[oai(rename = "DkimDraft")]
struct DkimBody {
    /// The domain of the sender's address, which is the default, or one above it.
    #[oai(nullable)]
    domain: Option<Text>,
    /// Names the key: 1 to 63 lower-case letters, digits, hyphens and dots.
    selector: Text,
    /// In PEM: RSA of 2048 to 4096 bits, or Ed25519. Left out or empty in an update: the stored key of the
    /// sender with this `id` is kept.
    #[oai(nullable, write_only)]
    private_key: Option<Text>,
}

/// An address that mails may come from.
#[derive(Object)]
#[oai(rename = "Sender", skip_serializing_if_is_none)]
struct SenderAnswer {
    id: String,
    email: String,
    name: String,
    /// Used when a template names no sender.
    is_default: bool,
    /// How its mails are signed.
    dkim: Option<DkimAnswer>,
}

/// How the mails of a sender are signed. The TXT record has to be published for it.
#[derive(Object)]
#[oai(rename = "Dkim")]
struct DkimAnswer {
    domain: String,
    selector: String,
    /// `rsa` or `ed25519`.
    algorithm: String,
    /// Whether a private key is kept.
    private_key_set: bool,
    /// The name of the TXT record.
    record_name: String,
    /// The text of the TXT record. Longer than 255 characters, it goes into it in several strings.
    record_value: String,
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

impl TryFrom<TestBody> for (EmailAddress, IntegrationDraft) {
    type Error = IntegrationsError;

    fn try_from(body: TestBody) -> Result<Self, IntegrationsError> {
        let to = EmailAddress::parse(&body.to.0).map_err(|rule| Invalid::one("/to", rule))?;
        Ok((to, draft("test-integration".into(), body.provider)?))
    }
}

impl TryFrom<UpdateBody> for IntegrationDraft {
    type Error = IntegrationsError;

    fn try_from(body: UpdateBody) -> Result<Self, IntegrationsError> {
        draft(body.name, body.provider)
    }
}

fn draft(name: Text, provider: Option<ProviderBody>) -> Result<IntegrationDraft, IntegrationsError> {
    let mut provider = provider.ok_or_else(|| Invalid::one("/provider", "is required"))?;
    let settings = settings(&mut provider)?;
    let mut check = Check::default();
    let mut senders = Vec::new();
    for (n, sender) in provider.senders.into_iter().enumerate() {
        senders.extend(check.nested(&format!("/provider/senders/{n}"), sender.try_into()));
    }
    check.finish()?;
    Ok(IntegrationDraft {
        name: name.0,
        settings,
        senders,
        rate_limit_per_minute: provider.rate_limit_per_minute,
    })
}

fn settings(provider: &mut ProviderBody) -> Result<ProviderSettings<Secret>, IntegrationsError> {
    let missing = |kind: &str| Invalid::one(format!("/provider/{kind}"), "is required");
    match provider.kind.0.as_str() {
        "smtp" => provider.smtp.take().ok_or_else(|| missing("smtp"))?.try_into(),
        "postmark" => Ok(provider.postmark.take().ok_or_else(|| missing("postmark"))?.into()),
        "mailgun" => provider.mailgun.take().ok_or_else(|| missing("mailgun"))?.try_into(),
        "sendgrid" => Ok(provider.sendgrid.take().ok_or_else(|| missing("sendgrid"))?.into()),
        "mailjet" => Ok(provider.mailjet.take().ok_or_else(|| missing("mailjet"))?.into()),
        "sparkpost" => Ok(provider.sparkpost.take().ok_or_else(|| missing("sparkpost"))?.into()),
        "ses" => Ok(provider.ses.take().ok_or_else(|| missing("ses"))?.into()),
        _ => {
            let rule = "must be smtp, ses, postmark, mailgun, sendgrid, mailjet or sparkpost";
            Err(Invalid::one("/provider/kind", rule).into())
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
                dkim: body.dkim.map(Into::into),
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
#[oai(rename = "EmailProvider", skip_serializing_if_is_none)]
struct ProviderAnswer {
    /// `smtp`, `ses`, `postmark`, `mailgun`, `sendgrid`, `mailjet` or `sparkpost`.
    kind: String,
    /// With kind `smtp`.
    smtp: Option<SmtpAnswer>,
    /// With kind `postmark`.
    postmark: Option<PostmarkAnswer>,
    /// With kind `mailgun`.
    mailgun: Option<MailgunAnswer>,
    /// With kind `sendgrid`.
    sendgrid: Option<SendgridAnswer>,
    /// With kind `mailjet`.
    mailjet: Option<MailjetAnswer>,
    /// With kind `sparkpost`.
    sparkpost: Option<SparkpostAnswer>,
    /// With kind `ses`.
    ses: Option<SesAnswer>,
    senders: Vec<SenderAnswer>,
    rate_limit_per_minute: u32,
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
        let Answers { smtp, postmark, mailgun, sendgrid, mailjet, sparkpost, ses } = provider.settings.into();
        Self {
            kind,
            smtp,
            postmark,
            mailgun,
            sendgrid,
            mailjet,
            sparkpost,
            ses,
            senders: provider.senders.into_iter().map(Into::into).collect(),
            rate_limit_per_minute: provider.rate_limit_per_minute,
        }
    }
}

impl From<DkimBody> for DkimDraft {
    fn from(body: DkimBody) -> Self {
        let filled = |text: Option<Text>| text.map(|t| t.0.trim().to_owned()).filter(|t| !t.is_empty());
        Self {
            domain: filled(body.domain).map(|domain| domain.to_ascii_lowercase()),
            selector: body.selector.0.trim().to_ascii_lowercase(),
            private_key: filled(body.private_key).map(Secret::new),
        }
    }
}

impl From<Sender> for SenderAnswer {
    fn from(sender: Sender) -> Self {
        Self {
            id: sender.id.to_string(),
            email: sender.email.to_string(),
            name: sender.name.as_str().to_owned(),
            is_default: sender.is_default,
            dkim: sender.dkim.map(Into::into),
        }
    }
}

impl From<Dkim> for DkimAnswer {
    fn from(dkim: Dkim) -> Self {
        Self {
            algorithm: dkim.public_key.algorithm.name().to_owned(),
            private_key_set: true,
            record_name: dkim.record_name(),
            record_value: dkim.record(),
            domain: dkim.domain,
            selector: dkim.selector,
        }
    }
}
