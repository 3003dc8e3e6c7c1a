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
    /// For how many recipients, the first by address, every content was made to find the warnings.
    pub checked: usize,
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
    /// For which of the recipients that were looked at, at most ten of them.
    pub emails: Vec<EmailAddress>,
    /// For how many of them.
    pub affected: usize,
    /// More for people, such as the message of a template.
    pub detail: String,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningKind {
    /// Nobody would be mailed.
    NoRecipients,
    /// A variable that the mail shows has no value.
    UndefinedVariable,
    /// The mail has no text for those who do not see HTML.
    NoText,
    /// Receivers may doubt that the mail comes from its sender.
    UnverifiedSender,
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
            Self::UndefinedVariable => "undefined_variable",
            Self::NoText => "missing_text",
            Self::UnverifiedSender => "unverified_sender",
            Self::NoUnsubscribeLink => "missing_unsubscribe_link",
            Self::TooLarge => "too_large",
            Self::CannotBeMade => "cannot_be_made",
            Self::FeedFailed => "feed_failed",
        }
    }
}

/// Recipients whose mails are shown.
const SAMPLES: usize = 3;
/// Recipients for whom each content is made to find warnings, unless a feed is asked for each.
const CHECKED: usize = 100;
/// Recipients that a warning names.
const NAMED: usize = 10;
/// Domains for which only their owner can send with proof (DMARC).
const MAILBOX_HOSTS: [&str; 16] = [
    "gmail.com",
    "googlemail.com",
    "yahoo.com",
    "ymail.com",
    "aol.com",
    "hotmail.com",
    "outlook.com",
    "live.com",
    "msn.com",
    "icloud.com",
    "me.com",
    "mac.com",
    "gmx.com",
    "gmx.net",
    "mail.ru",
    "proton.me",
];
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
        let checked = items.len() / templates.len().max(1);
        let no_feed = self.ask_ahead(&workspace, &mut items).await.err();
        let versions: Vec<_> = templates.iter().map(|t| t.version).collect();
        let hash =
            PlanHash::of(counts.recipients, &broadcast.audience, &broadcast.variations, &versions, provider);
        let rate = providers.get(&provider).map_or(1, |p| p.provider.rate_limit_per_minute).max(1);
        let seconds = counts.recipients.saturating_mul(60).div_ceil(u64::from(rate));
        let batch = Batch { workspace, key, providers, items, next: None };
        let (samples, mut warnings) = self.samples(&batch).await?;
        // First what others may follow from.
        let no_feed = no_feed.map(|error| Warning {
            kind: WarningKind::FeedFailed,
            template: None,
            emails: Vec::new(),
            affected: 0,
            detail: format!("the global feed failed: {error}"),
        });
        warnings.splice(0..0, no_feed);
        if counts.recipients == 0 {
            warnings.push(Warning {
                kind: WarningKind::NoRecipients,
                template: None,
                emails: Vec::new(),
                affected: 0,
                detail: "nobody would be mailed".to_owned(),
            });
        }
        Ok(Forecast { counts, lists, seconds, samples, checked, warnings, hash })
    }

    /// The mails of every content to the first recipients.
    async fn items(
        &self,
        store: &mut dyn WorkspaceStore,
        broadcast: &Broadcast,
        templates: &[Arc<Template>],
        provider: IntegrationId,
    ) -> Result<Vec<Item>, StoreError> {
        let size = if broadcast.feeds.active_recipient().is_some() { SAMPLES } else { CHECKED };
        let members = store.audience_after(&broadcast.audience, None, size).await?;
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
        let (mut samples, mut warnings) = (Vec::<Sample>::new(), Warnings::default());
        for item in batch.items() {
            let (template, email) = (&item.delivery.template, &item.delivery.recipient);
            let mut warn = |kind, detail: &str| warnings.add(kind, template, email, detail);
            let written = match self.drafted(batch, item).await {
                Ok((_, draft)) => self.written(draft).await,
                Err(error) => Err(error),
            };
            let written = match written {
                Ok(written) => written,
                Err(Unsendable::Later(error)) => return Err(error.into()),
                Err(Unsendable::Failed(why)) => {
                    warn(WarningKind::CannotBeMade, &why);
                    continue;
                }
                Err(Unsendable::Feed(error)) => {
                    warn(WarningKind::FeedFailed, &format!("the recipient feed failed: {error}"));
                    continue;
                }
            };
            for name in written.missing() {
                warn(WarningKind::UndefinedVariable, &format!("{name} has no value"));
            }
            let mail = &written.mail;
            if !mail.html.contains("/notification-center?") && !mail.html.contains("/unsubscribe-oneclick?") {
                warn(WarningKind::NoUnsubscribeLink, "the mail has no link to leave the list");
            }
            if mail.html.len() > CLIPPED {
                warn(
                    WarningKind::TooLarge,
                    "the mail has more than 102 KiB of HTML: some programs cut it off",
                );
            }
            if mail.text.trim().is_empty() {
                warn(
                    WarningKind::NoText,
                    "the mail has no plain text: nothing in its HTML can be read as text",
                );
            }
            let domain = mail.from.address.domain();
            if written.other_sender {
                let why = "the sender that the template names is none of the provider's: another one is used";
                warn(WarningKind::UnverifiedSender, why);
            } else if MAILBOX_HOSTS.contains(&domain) {
                let why = format!("only its owner can send for {domain} with proof: mails may be refused");
                warn(WarningKind::UnverifiedSender, &why);
            }
            if samples.iter().filter(|sample| sample.template == *template).count() < SAMPLES {
                samples.push(Sample { template: template.clone(), email: email.clone(), mail: written.mail });
            }
        }
        Ok((samples, warnings.0))
    }
}

/// Warnings that say the same of a template, together.
#[derive(Default)]
struct Warnings(Vec<Warning>);

impl Warnings {
    fn add(&mut self, kind: WarningKind, template: &TemplateId, email: &EmailAddress, detail: &str) {
        let same =
            |w: &&mut Warning| w.kind == kind && w.template.as_ref() == Some(template) && w.detail == detail;
        if let Some(known) = self.0.iter_mut().find(same) {
            known.affected += 1;
            if known.emails.len() < NAMED {
                known.emails.push(email.clone());
            }
        } else {
            self.0.push(Warning {
                kind,
                template: Some(template.clone()),
                emails: vec![email.clone()],
                affected: 1,
                detail: detail.to_owned(),
            });
        }
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
