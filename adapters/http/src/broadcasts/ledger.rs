//! What the operations about accounts read and answer.

use crate::{Moment, Text, cursor};
use application::{page::Page, ports::AccountLine};
use domain::broadcasts::{Broadcast, Ledger, SkipReason, Skipped};
use poem_openapi::Object;

/// Recipients by state. `planned` is the sum of the others, at any moment.
#[derive(Object)]
#[oai(rename = "Ledger")]
pub(super) struct LedgerBody {
    planned: u64,
    /// Waiting in the queue.
    queued: u64,
    /// Being handed over to the provider.
    sending: u64,
    sent: u64,
    /// Refused for good, or could not be made; the message history tells why.
    failed: u64,
    /// Handed over without an answer: may or may not have gone out.
    unknown: u64,
    /// Found at the last moment that the mail must not be sent.
    skipped: u64,
    skipped_reasons: SkippedBody,
    /// Not handed over before the broadcast was cancelled.
    cancelled: u64,
}

/// Recipients that were skipped, by what happened since they were planned.
#[derive(Object)]
#[oai(rename = "LedgerSkipped")]
struct SkippedBody {
    unsubscribed: u64,
    bounced: u64,
    complained: u64,
    /// No longer a confirmed member of the list.
    not_member: u64,
    /// On a list that the broadcast leaves out.
    excluded: u64,
    /// The contact was deleted.
    deleted: u64,
    /// The recipient feed had no data for it.
    no_feed: u64,
}

impl From<Skipped> for SkippedBody {
    fn from(skipped: Skipped) -> Self {
        Self {
            unsubscribed: skipped.unsubscribed,
            bounced: skipped.bounced,
            complained: skipped.complained,
            not_member: skipped.not_member,
            excluded: skipped.excluded,
            deleted: skipped.deleted,
            no_feed: skipped.no_feed,
        }
    }
}

impl From<Ledger> for LedgerBody {
    fn from(ledger: Ledger) -> Self {
        Self {
            planned: ledger.planned,
            queued: ledger.queued,
            sending: ledger.sending,
            sent: ledger.sent,
            failed: ledger.failed,
            unknown: ledger.unknown,
            skipped: ledger.skipped.total(),
            skipped_reasons: ledger.skipped.into(),
            cancelled: ledger.cancelled,
        }
    }
}

/// Sending again to whom a mail failed.
#[derive(Object)]
#[oai(rename = "BroadcastRetry")]
pub(super) struct RetryBody {
    pub(super) workspace_id: Text,
    pub(super) id: Text,
    /// Whether those are mailed again of whom nobody knows whether their mail went out: some of them
    /// may get it twice.
    #[oai(default)]
    pub(super) include_unknown: bool,
}

#[derive(Object)]
#[oai(rename = "BroadcastRetried")]
pub(super) struct RetriedAnswer {
    pub(super) success: bool,
    /// How many mails were put into the queue.
    pub(super) retried: u64,
}

#[derive(Object)]
pub(super) struct LedgerAnswer {
    pub(super) broadcast_id: String,
    pub(super) ledger: LedgerBody,
}

/// A line of the account of a broadcast.
#[derive(Object)]
#[oai(rename = "BroadcastRecipient", skip_serializing_if_is_none)]
struct RecipientBody {
    /// The contact; a stand-in when it was deleted.
    contact_email: String,
    /// `queued` also while it is being handed over, `sent`, `failed`, `unknown`, `skipped` or
    /// `cancelled`.
    state: String,
    /// Why it was skipped, or what the provider said.
    reason: Option<String>,
    /// The list through which the contact is reached.
    list_id: String,
    /// The template that its mail is made from.
    template_id: Option<String>,
    /// Whether it is part of the sample of a test.
    in_test: bool,
    message_id: String,
    planned_at: Moment,
}

/// A page of the account of a broadcast.
#[derive(Object)]
#[oai(rename = "BroadcastRecipients", skip_serializing_if_is_none)]
pub(super) struct RecipientsPage {
    recipients: Vec<RecipientBody>,
    /// For the next page; none follows when it is missing.
    next_cursor: Option<String>,
    has_more: bool,
}

impl RecipientsPage {
    pub(super) fn new(broadcast: &Broadcast, page: Page<AccountLine>) -> Self {
        let last = page.items.last().filter(|_| page.has_more);
        let next_cursor = last.map(|line| cursor::write_address(&line.recipient.email));
        let body = |AccountLine { recipient, status_info }: AccountLine| RecipientBody {
            contact_email: recipient.email.into(),
            state: recipient.state.name().to_owned(),
            reason: recipient.state.skip_reason().map(|why| SkipReason::name(why).to_owned()).or(status_info),
            list_id: recipient.list.into(),
            template_id: broadcast
                .variations
                .get(usize::from(recipient.variation))
                .map(|v| v.template_id.to_string()),
            in_test: recipient.in_test,
            message_id: recipient.message.to_string(),
            planned_at: recipient.planned_at.into(),
        };
        Self { next_cursor, has_more: page.has_more, recipients: page.items.into_iter().map(body).collect() }
    }
}
