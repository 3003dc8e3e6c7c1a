//! What the operations about accounts read and answer.

use crate::Text;
use domain::broadcasts::{Ledger, Skipped};
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
