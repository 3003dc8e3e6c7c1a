//! Notices of mail servers, uploaded by whoever receives them.

use super::{FeedbackError, ProviderFeedback, apply};
use crate::{
    access::Caller,
    ports::{Purpose, Report, StoreError, UnitOfWork},
};
use domain::{
    email_address::EmailAddress,
    feedback::Feedback,
    ids::MessageId,
    messages::Message,
    permissions::{Permission, Resource},
};
use std::collections::{HashMap, HashSet};

/// What became of an uploaded notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// What it reports about mails and contacts of the workspace.
    pub reports: Vec<Feedback>,
    /// How many of these were new.
    pub new: usize,
    /// How many reports are about mails and addresses that the workspace does not know.
    pub foreign: usize,
}

impl ProviderFeedback {
    /// Keeps what a notice reports (RFC 3464, RFC 5965), and does what follows. The mail is found by its
    /// Message-ID, the contact by the recipient; a report about neither is passed over. Uploading the
    /// same notice again changes nothing.
    ///
    /// # Errors
    /// Without `message_history:write`, when the mail is no such notice, or the store fails.
    #[tracing::instrument(name = "feedback.upload", skip_all)]
    pub async fn upload(&self, caller: &Caller, mail: &[u8]) -> Result<Uploaded, FeedbackError> {
        caller.require(Permission::Write(Resource::MessageHistory))?;
        let now = self.ports.clock.now();
        let reports = self.ports.notices.read(mail, now)?;
        let all = reports.len();
        let purpose = Purpose::interactive("inboundWebhookEvents.upload");
        let mut store = self.ports.broker.write(&caller.workspace, purpose).await?;
        let own = own(store.as_mut(), reports).await?;
        let reports = self.told("dsn", None, own, now);
        let new = apply(store.as_mut(), &reports, now).await?;
        store.commit().await?;
        Ok(Uploaded { new, foreign: all.saturating_sub(reports.len()), reports })
    }
}

/// Those reports that are about a mail or a contact of the workspace.
async fn own(store: &mut dyn UnitOfWork, reports: Vec<Report>) -> Result<Vec<Report>, StoreError> {
    let ids: Vec<_> = reports.iter().filter_map(message).collect();
    let messages: HashMap<MessageId, Message> =
        store.messages(&ids).await?.into_iter().map(|message| (message.id.clone(), message)).collect();
    let emails: Vec<_> = reports.iter().map(|report| report.recipient.clone()).collect();
    let contacts: HashSet<EmailAddress> =
        store.contacts(&emails).await?.into_iter().map(|contact| contact.email).collect();
    let own =
        reports.into_iter().filter_map(|report| match message(&report).and_then(|id| messages.get(&id)) {
            Some(message) => Some(Report { recipient: recipient(message, &report), ..report }),
            None => contacts.contains(&report.recipient).then_some(report),
        });
    Ok(own.collect())
}

fn message(report: &Report) -> Option<MessageId> {
    report.message.as_deref().and_then(|id| MessageId::parse(id).ok())
}

/// Whom the report is about. A mail without copies was for one address alone, also when it came back
/// from where that one forwards to.
fn recipient(message: &Message, report: &Report) -> EmailAddress {
    let has_copies = !(message.options.cc.is_empty() && message.options.bcc.is_empty());
    if has_copies { report.recipient.clone() } else { message.contact_email.clone() }
}
