//! What a broadcast would do, before it is started.

use super::{Batch, Deliveries, Item, TrialError, Unsendable};
use crate::{
    access::Caller,
    ports::{OutgoingMail, Purpose, StoreError, WorkspaceStore},
};
use domain::{
    broadcasts::{AudienceCounts, Broadcast, PlanHash},
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, ListId, MessageId, TemplateId},
    permissions::{Permission, Resource},
    templates::Template,
};
use std::sync::Arc;

/// What a broadcast would do.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// Who it reaches.
    pub counts: AudienceCounts,
    /// The lists it goes to, and how many active members each has.
    pub lists: Vec<(ListId, u64)>,
    /// How long the provider's rate limit makes it last at least, in seconds.
    pub seconds: u64,
    /// Its contents made for the first recipients.
    pub samples: Vec<Sample>,
    /// What should be looked at before it is started.
    pub warnings: Vec<Warning>,
    /// Stands for this plan.
    pub hash: PlanHash,
}

/// A mail as one recipient would get it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its template.
    pub template: TemplateId,
    /// The recipient.
    pub email: EmailAddress,
    /// The mail.
    pub mail: OutgoingMail,
}

/// What should be looked at before a broadcast is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What kind of warning.
    pub kind: WarningKind,
    /// In which template, when it is about one.
    pub template: Option<TemplateId>,
    /// For which recipient, when it is about one.
    pub email: Option<EmailAddress>,
    /// More for people, such as the message of a template.
    pub detail: String,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningKind {
    /// Nobody would be mailed.
    NoRecipients,
    /// The mail has no link to leave the list.
    NoUnsubscribeLink,
    /// Some mail programs cut the mail off.
    TooLarge,
    /// The mail cannot be made for this recipient.
    CannotBeMade,
    /// A feed gave no data.
    FeedFailed,
}

impl WarningKind {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoRecipients => "no_recipients",
            Self::NoUnsubscribeLink => "missing_unsubscribe_link",
            Self::TooLarge => "too_large",
            Self::CannotBeMade => "cannot_be_made",
            Self::FeedFailed => "feed_failed",
        }
    }
}

/// Recipients for whom each content is made.
const SAMPLES: usize = 3;
/// Beyond so many bytes of HTML, Gmail cuts a mail off.
const CLIPPED: usize = 102 * 1024;

impl Deliveries {
    /// Counts who a broadcast would reach now, makes its mails for a few of them, and tells what should
    /// be looked at. Sends and stores nothing.
    ///
    /// # Errors
    /// Without `broadcasts:read`, or when there is no such broadcast, template or provider.
    #[tracing::instrument(name = "deliveries.forecast", skip_all)]
    pub async fn forecast(&self, caller: &Caller, id: &BroadcastId) -> Result<Forecast, TrialError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.plan");
        let (workspace, key, providers) = self.configuration(&caller.workspace, purpose).await?;
        let provider = workspace.settings.marketing_email_provider_id.ok_or(TrialError::NoProvider)?;
        let mut store = self.ports.broker.read(&caller.workspace, purpose).await?;
        let broadcast = store.broadcast(id).await?.ok_or(TrialError::NotFound)?;
        let templates = templates(store.as_mut(), &broadcast).await?;
        let counts = store.audience_counts(&broadcast.audience).await?;
        let mut lists = Vec::new();
        for list in broadcast.audience.lists() {
            lists.push((list.clone(), store.list_stats(list).await?.active));
        }
        let mut items = self.items(store.as_mut(), &broadcast, &templates, provider).await?;
        drop(store);
        let no_feed = self.ask_ahead(&workspace, &mut items).await.err();
        let versions: Vec<_> = templates.iter().map(|t| t.version).collect();
        let hash =
            PlanHash::of(counts.recipients, &broadcast.audience, &broadcast.variations, &versions, provider);
        let rate = providers.get(&provider).map_or(1, |p| p.provider.rate_limit_per_minute).max(1);
        let seconds = counts.recipients.saturating_mul(60).div_ceil(u64::from(rate));
        let batch = Batch { workspace, key, providers, items, next: None };
        let (samples, mut warnings) = self.samples(&batch).await?;
        warnings.extend(no_feed.map(|error| Warning {
            kind: WarningKind::FeedFailed,
            template: None,
            email: None,
            detail: format!("the global feed failed: {error}"),
        }));
        if counts.recipients == 0 {
            warnings.push(Warning {
                kind: WarningKind::NoRecipients,
                template: None,
                email: None,
                detail: "nobody would be mailed".to_owned(),
            });
        }
        Ok(Forecast { counts, lists, seconds, samples, warnings, hash })
    }

    /// The mails of every content to the first recipients.
    async fn items(
        &self,
        store: &mut dyn WorkspaceStore,
        broadcast: &Broadcast,
        templates: &[Arc<Template>],
        provider: IntegrationId,
    ) -> Result<Vec<Item>, StoreError> {
        let members = store.audience_after(&broadcast.audience, None, SAMPLES).await?;
        let emails: Vec<_> = members.iter().map(|m| m.email.clone()).collect();
        let contacts = store.contacts(&emails).await?;
        let broadcast = Arc::new(broadcast.clone());
        let mut items = Vec::new();
        for template in templates {
            for member in &members {
                let Some(contact) = contacts.iter().find(|c| c.email == member.email) else { continue };
                let list = store.list(&member.list).await?.map(Arc::new);
                let message = MessageId::from_uuid(self.ports.ids.uuid());
                let contact = contact.clone();
                items.push(self.single(message, contact, &broadcast, list, template, provider));
            }
        }
        Ok(items)
    }

    async fn samples(&self, batch: &Batch) -> Result<(Vec<Sample>, Vec<Warning>), TrialError> {
        let (mut samples, mut warnings) = (Vec::new(), Vec::new());
        for item in batch.items() {
            let (template, email) = (item.delivery.template.clone(), item.delivery.recipient.clone());
            let mut warn = |kind, detail: String| {
                let (template, email) = (Some(template.clone()), Some(email.clone()));
                warnings.push(Warning { kind, template, email, detail });
            };
            let mail = match self.compose(batch, item).await {
                Ok((_, mail)) => mail,
                Err(Unsendable::Later(error)) => return Err(error.into()),
                Err(Unsendable::Failed(why)) => {
                    warn(WarningKind::CannotBeMade, why);
                    continue;
                }
                Err(Unsendable::Feed(error)) => {
                    warn(WarningKind::FeedFailed, format!("the recipient feed failed: {error}"));
                    continue;
                }
            };
            if !mail.html.contains("/notification-center?") && !mail.html.contains("/unsubscribe-oneclick?") {
                warn(WarningKind::NoUnsubscribeLink, "the mail has no link to leave the list".to_owned());
            }
            if mail.html.len() > CLIPPED {
                warn(WarningKind::TooLarge, format!("the mail has {} bytes of HTML", mail.html.len()));
            }
            samples.push(Sample { template, email, mail });
        }
        Ok((samples, warnings))
    }
}

async fn templates(
    store: &mut dyn WorkspaceStore,
    broadcast: &Broadcast,
) -> Result<Vec<Arc<Template>>, TrialError> {
    let mut templates = Vec::with_capacity(broadcast.variations.len());
    for variation in &broadcast.variations {
        let found = store.template(&variation.template_id).await?.filter(|t| t.content.email().is_some());
        let unknown = || TrialError::UnknownTemplate(variation.template_id.clone());
        templates.push(Arc::new(found.ok_or_else(unknown)?));
    }
    Ok(templates)
}
