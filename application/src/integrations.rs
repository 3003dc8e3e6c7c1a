//! Connections of a workspace to e-mail providers.

mod checks;
mod trial;

use crate::{
    access::{Caller, Denied},
    failure::{Failure, FailureKind},
    platform::Platform,
    ports::{Mailer, Purpose, StoreError},
};
use domain::{
    dkim::{Dkim, domain_of},
    email_address::EmailAddress,
    ids::{IntegrationId, SenderId},
    integrations::{EmailProvider, Integration, ProviderSettings, Sender, SmtpSettings},
    mail_name::MailName,
    permissions::Permission,
    secret::{Sealed, Secret},
    validation::{Check, FieldProblem, Invalid, required_text},
};
use std::sync::Arc;

/// Why a sender of another kind of provider has no key here.
const ONLY_SMTP: &str = "is for smtp; other providers sign with keys of their own";

/// The use cases of integrations.
pub struct Integrations {
    platform: Arc<Platform>,
    /// Takes the mails of workspaces.
    mailer: Arc<dyn Mailer>,
}

/// Why a use case of integrations failed.
#[derive(Debug, thiserror::Error)]
pub enum IntegrationsError {
    /// The workspace has no such integration.
    #[error("no integration of this workspace has this integration_id")]
    NotFound,
    /// A type that the product does not have yet.
    #[error("integrations of this type are not supported yet; the supported type is email")]
    UnsupportedType,
    /// A way to sign in to the mail server that the product does not have yet.
    #[error("SMTP with oauth2 is not supported yet; use auth_type basic")]
    UnsupportedAuthentication,
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for IntegrationsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound => FailureKind::NotFound,
            Self::UnsupportedType | Self::UnsupportedAuthentication => FailureKind::Unprocessable,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "integration-not-found",
            Self::UnsupportedType => "integration-type-unsupported",
            Self::UnsupportedAuthentication => "smtp-authentication-unsupported",
            Self::Invalid(e) => e.code(),
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn problems(&self) -> &[FieldProblem] {
        match self {
            Self::Invalid(e) => e.problems(),
            _ => &[],
        }
    }
}

/// What a client gives of an integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationDraft {
    /// See [`Integration::name`].
    pub name: String,
    /// How to reach the provider. A secret that is absent or empty keeps the stored one.
    pub settings: ProviderSettings<Secret>,
    /// See [`EmailProvider::senders`].
    pub senders: Vec<SenderDraft>,
    /// See [`EmailProvider::rate_limit_per_minute`].
    pub rate_limit_per_minute: u32,
}

/// What a client gives of a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderDraft {
    /// The identifier that it had; `None` gets a new one.
    pub id: Option<SenderId>,
    /// See [`Sender::email`].
    pub email: EmailAddress,
    /// See [`Sender::name`].
    pub name: MailName,
    /// See [`Sender::is_default`].
    pub is_default: bool,
    /// See [`Sender::dkim`].
    pub dkim: Option<DkimDraft>,
}

/// What a client gives of how the mails of a sender are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimDraft {
    /// The domain that signs; by default that of the address.
    pub domain: Option<String>,
    /// See [`Dkim::selector`].
    pub selector: String,
    /// The key in PEM; absent, the stored one of this sender is kept.
    pub private_key: Option<Secret>,
}

impl Integrations {
    /// Most integrations of a workspace.
    const MOST: usize = 50;

    /// Takes its ports. The mailer is that of workspaces, not the installation's own.
    #[must_use]
    pub fn new(platform: Arc<Platform>, mailer: Arc<dyn Mailer>) -> Self {
        Self { platform, mailer }
    }

    /// Adds an integration; its secrets are sealed.
    ///
    /// # Errors
    /// For others than owners, or when a rule is broken.
    #[tracing::instrument(name = "integrations.create", skip_all)]
    pub async fn create(
        &self,
        caller: &Caller,
        draft: IntegrationDraft,
    ) -> Result<Integration, IntegrationsError> {
        caller.require(Permission::Own)?;
        self.check(&draft)?;
        let platform = &self.platform;
        let now = platform.clock.now();
        let integration = Integration {
            id: IntegrationId::from_uuid(platform.ids.uuid()),
            workspace: caller.workspace.clone(),
            name: draft.name.trim().to_owned(),
            provider: self.provider(draft, None)?,
            created_at: now,
            updated_at: now,
        };
        let purpose = Purpose::interactive("workspaces.createIntegration");
        let mut store = platform.broker.write_system(purpose).await?;
        let known = store.integrations(std::slice::from_ref(&caller.workspace)).await?;
        if known.len() >= Self::MOST {
            let rule = format!("a workspace has at most {} integrations; delete one first", Self::MOST);
            return Err(Invalid::one("", rule).into());
        }
        store.insert_integration(&integration).await?;
        store.commit().await?;
        Ok(integration)
    }

    /// Replaces name and provider. Secrets that are not given are kept.
    ///
    /// # Errors
    /// For others than owners, when there is no such integration, or a rule is broken.
    #[tracing::instrument(name = "integrations.update", skip_all)]
    pub async fn update(
        &self,
        caller: &Caller,
        id: IntegrationId,
        draft: IntegrationDraft,
    ) -> Result<Integration, IntegrationsError> {
        caller.require(Permission::Own)?;
        self.check(&draft)?;
        let purpose = Purpose::interactive("workspaces.updateIntegration");
        let mut store = self.platform.broker.write_system(purpose).await?;
        let stored = store.integration(&caller.workspace, id).await?.ok_or(IntegrationsError::NotFound)?;
        let integration = Integration {
            name: draft.name.trim().to_owned(),
            provider: self.provider(draft, Some(&stored.provider))?,
            updated_at: self.platform.clock.now(),
            ..stored
        };
        store.update_integration(&integration).await?;
        store.commit().await?;
        Ok(integration)
    }

    /// Removes an integration; a workspace that sent through it has no provider then.
    ///
    /// # Errors
    /// For others than owners, or when there is no such integration.
    #[tracing::instrument(name = "integrations.delete", skip_all)]
    pub async fn delete(&self, caller: &Caller, id: IntegrationId) -> Result<(), IntegrationsError> {
        caller.require(Permission::Own)?;
        let purpose = Purpose::interactive("workspaces.deleteIntegration");
        let mut store = self.platform.broker.write_system(purpose).await?;
        if !store.delete_integration(&caller.workspace, id).await? {
            return Err(IntegrationsError::NotFound);
        }
        if let Some(mut workspace) = store.workspace(&caller.workspace).await? {
            let settings = &mut workspace.settings;
            let chosen =
                [&mut settings.transactional_email_provider_id, &mut settings.marketing_email_provider_id];
            let mut cleared = false;
            for provider in chosen {
                cleared |= provider.take_if(|p| *p == id).is_some();
            }
            if cleared {
                workspace.updated_at = self.platform.clock.now();
                store.update_workspace(&workspace).await?;
            }
        }
        store.commit().await?;
        Ok(())
    }

    fn dkim(
        &self,
        draft: DkimDraft,
        address: &EmailAddress,
        before: Option<&Sender>,
    ) -> Result<Dkim, Invalid> {
        let domain = draft.domain.or_else(|| domain_of(address)).unwrap_or_default();
        let selector = draft.selector;
        if let Some(private_key) = draft.private_key {
            let public_key = self.platform.dkim_keys.public(&private_key);
            let public_key = public_key.map_err(|error| Invalid::one("/private_key", error))?;
            let private_key = self.platform.vault.seal(&private_key);
            return Ok(Dkim { domain, selector, public_key, private_key });
        }
        let kept = before.and_then(|sender| sender.dkim.clone());
        let kept = kept.ok_or_else(|| Invalid::one("/private_key", "is required"))?;
        Ok(Dkim { domain, selector, ..kept })
    }

    fn check(&self, draft: &IntegrationDraft) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.field("/name", required_text(&draft.name, 255));
        check.require(
            draft.rate_limit_per_minute > 0,
            "/provider/rate_limit_per_minute",
            "must be above zero",
        );
        check.require(!draft.senders.is_empty(), "/provider/senders", "needs at least one sender");
        check.require(draft.senders.len() <= 100, "/provider/senders", "must have at most 100 senders");
        check.require(
            draft.senders.iter().filter(|s| s.is_default).count() <= 1,
            "/provider/senders",
            "must have at most one default sender",
        );
        let repeated = draft.senders.iter().enumerate().any(|(n, sender)| {
            sender.id.is_some() && draft.senders[..n].iter().any(|earlier| earlier.id == sender.id)
        });
        check.require(!repeated, "/provider/senders", "must not repeat an id");
        for (n, sender) in draft.senders.iter().enumerate() {
            let Some(dkim) = &sender.dkim else { continue };
            let over_smtp = matches!(draft.settings, ProviderSettings::Smtp(_));
            check.require(over_smtp, &format!("/provider/senders/{n}/dkim"), ONLY_SMTP);
            check.nested(&format!("/provider/senders/{n}/dkim"), checks::dkim(dkim, &sender.email));
        }
        let open = self.platform.installation.is_development();
        let pointer = format!("/provider/{}", draft.settings.kind());
        check.nested(&pointer, checks::settings(&draft.settings, open));
        check.finish()
    }

    fn provider(
        &self,
        draft: IntegrationDraft,
        stored: Option<&EmailProvider<Sealed>>,
    ) -> Result<EmailProvider<Sealed>, Invalid> {
        let kind = draft.settings.kind();
        let settings = stored.map(|stored| &stored.settings);
        let kept = |field: &str| settings.filter(|s| s.kind() == kind).and_then(|s| s.secret(field)).cloned();
        let seal = |secret: &Secret| self.platform.vault.seal(secret);
        let settings = match draft.settings {
            ProviderSettings::Smtp(smtp) => {
                let username = smtp.username.filter(|name| !name.is_empty());
                let given = smtp.password.filter(|p| !p.is_empty()).map(|p| seal(&p));
                ProviderSettings::Smtp(SmtpSettings {
                    host: smtp.host,
                    port: smtp.port,
                    security: smtp.security,
                    ehlo_hostname: smtp.ehlo_hostname,
                    password: given.or_else(|| kept("password")).filter(|_| username.is_some()),
                    username,
                })
            }
            over_http => over_http.try_map_secrets(|field, secret| {
                let given = Some(secret).filter(|s| !s.is_empty()).map(seal);
                given
                    .or_else(|| kept(field))
                    .ok_or_else(|| Invalid::one(format!("/provider/{kind}/{field}"), "is required"))
            })?,
        };
        let settings = with_kept_keys(settings, stored.map(|stored| &stored.settings));
        let mut senders = Vec::with_capacity(draft.senders.len());
        for (n, sender) in draft.senders.into_iter().enumerate() {
            let before = stored.and_then(|s| s.senders.iter().find(|s| Some(s.id) == sender.id));
            let dkim = sender.dkim.map(|dkim| self.dkim(dkim, &sender.email, before)).transpose();
            senders.push(Sender {
                id: sender.id.unwrap_or_else(|| SenderId::from_uuid(self.platform.ids.uuid())),
                email: sender.email,
                name: sender.name,
                is_default: sender.is_default,
                dkim: dkim.map_err(|invalid| invalid.below(&format!("/provider/senders/{n}/dkim")))?,
            });
        }
        Ok(EmailProvider { settings, senders, rate_limit_per_minute: draft.rate_limit_per_minute })
    }
}

/// The settings with the keys of the provider's calls that are kept, where none is given.
fn with_kept_keys(
    mut settings: ProviderSettings<Sealed>,
    stored: Option<&ProviderSettings<Sealed>>,
) -> ProviderSettings<Sealed> {
    match (&mut settings, stored) {
        (ProviderSettings::Mailgun(given), Some(ProviderSettings::Mailgun(kept))) => {
            let key = given.webhook_signing_key.take();
            given.webhook_signing_key = key.or_else(|| kept.webhook_signing_key.clone());
        }
        (ProviderSettings::Sendgrid(given), Some(ProviderSettings::Sendgrid(kept))) => {
            let key = given.webhook_public_key.take();
            given.webhook_public_key = key.or_else(|| kept.webhook_public_key.clone());
        }
        _ => {}
    }
    settings
}
