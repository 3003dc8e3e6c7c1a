//! Broadcasts of a workspace and their accounts.

use super::StoreError;
use crate::page::{Counted, Page};
use async_trait::async_trait;
use domain::{
    Timestamp,
    broadcasts::{
        Audience, AudienceCounts, AudienceMember, Audit, Broadcast, Ledger, Recipient, RecipientState,
        VariationResult,
    },
    email_address::EmailAddress,
    ids::{BroadcastId, MessageId},
};
use serde_json::{Map, Value};

/// A line of an account, and why it stands as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLine {
    /// The line.
    pub recipient: Recipient,
    /// What the message history says about the mail.
    pub status_info: Option<String>,
}

/// Keeps broadcasts and a line for each recipient.
#[async_trait]
pub trait BroadcastStore {
    /// The broadcast.
    async fn broadcast(&mut self, id: &BroadcastId) -> Result<Option<Broadcast>, StoreError>;

    /// The broadcast, kept from changes by others until the unit of work ends.
    async fn broadcast_for_update(&mut self, id: &BroadcastId) -> Result<Option<Broadcast>, StoreError>;

    /// Broadcasts with this status, newest first.
    async fn broadcasts(
        &mut self,
        status: Option<&str>,
        limit: u64,
        offset: u64,
    ) -> Result<Counted<Broadcast>, StoreError>;

    /// Broadcasts whose recipients are still being planned, and before them scheduled ones whose moment
    /// has come and tests of which the rates are to choose a content now.
    async fn broadcasts_in_planning(&mut self, now: Timestamp) -> Result<Vec<BroadcastId>, StoreError>;

    /// The earliest moment at which a broadcast starts or the rates of a test choose.
    async fn next_broadcast_due(&mut self) -> Result<Option<Timestamp>, StoreError>;

    /// Up to `size` people that a broadcast goes to, each once, in the order of their addresses behind
    /// one. They are live active members of a live list of the audience and on none that it leaves out,
    /// and no list knows that their address bounced or that they complained.
    async fn audience_after(
        &mut self,
        audience: &Audience,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Vec<AudienceMember>, StoreError>;

    /// Who an audience reaches and who not, everybody counted once.
    async fn audience_counts(&mut self, audience: &Audience) -> Result<AudienceCounts, StoreError>;

    /// Fails with [`StoreError::Duplicate`] when the identifier is taken, or the slug by another page.
    async fn insert_broadcast(&mut self, broadcast: &Broadcast) -> Result<(), StoreError>;

    /// Replaces all but the moment of creation. Answers whether the broadcast was there. Fails with
    /// [`StoreError::Duplicate`] when its slug is taken by another page.
    async fn update_broadcast(&mut self, broadcast: &Broadcast) -> Result<bool, StoreError>;

    /// Keeps what the global feed of a broadcast said, in place of what it said before.
    async fn keep_global_feed(
        &mut self,
        broadcast: &BroadcastId,
        data: &Map<String, Value>,
    ) -> Result<(), StoreError>;

    /// What the global feed of a broadcast said, when it was asked.
    async fn global_feed(
        &mut self,
        broadcast: &BroadcastId,
    ) -> Result<Option<Map<String, Value>>, StoreError>;

    /// Adds lines to the account; a recipient that already has a line for this broadcast is passed
    /// over. Answers which messages got a line.
    async fn insert_recipients_if_absent(
        &mut self,
        recipients: &[Recipient],
    ) -> Result<Vec<MessageId>, StoreError>;

    /// Notes what became of recipients, found by broadcast and message.
    async fn set_recipient_states(
        &mut self,
        states: &[(BroadcastId, MessageId, RecipientState)],
    ) -> Result<(), StoreError>;

    /// Notes as cancelled every queued recipient of a broadcast whose mail is no longer in the queue.
    async fn cancel_recipients(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError>;

    /// Removes the broadcast with its account. Answers whether it was there.
    async fn delete_broadcast(&mut self, id: &BroadcastId) -> Result<bool, StoreError>;

    /// Lines of a broadcast's account whose state has this name, all without one, in the order of their
    /// addresses behind one.
    async fn account_after(
        &mut self,
        broadcast: &BroadcastId,
        state: Option<&'static str>,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Page<AccountLine>, StoreError>;

    /// Lines of failed recipients of a broadcast, and with `unknown` those of unknown ones, in the order
    /// of their addresses behind one.
    async fn failed_recipients_after(
        &mut self,
        broadcast: &BroadcastId,
        unknown: bool,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Vec<Recipient>, StoreError>;

    /// Gives lines of failed or unknown recipients, found by broadcast and address, a new message that
    /// is queued. A line in another state is passed over. Answers which messages were taken.
    async fn requeue_recipients(&mut self, lines: &[Recipient]) -> Result<Vec<MessageId>, StoreError>;

    /// The account of a broadcast, counted at one moment.
    async fn ledger(&mut self, broadcast: &BroadcastId) -> Result<Ledger, StoreError>;

    /// The account of a broadcast and its mails in the queue, counted at one moment. Looks through the
    /// whole queue.
    async fn audit(&mut self, broadcast: &BroadcastId) -> Result<Audit, StoreError>;

    /// What became of the mails of a test, by variation; without one that nobody was tested with.
    async fn variation_results(
        &mut self,
        broadcast: &BroadcastId,
    ) -> Result<Vec<VariationResult>, StoreError>;

    /// The identifiers of all broadcasts behind one, in their order.
    async fn broadcast_ids_after(
        &mut self,
        after: Option<&BroadcastId>,
        size: usize,
    ) -> Result<Vec<BroadcastId>, StoreError>;
}
