//! Data from elsewhere in one mail, and what becomes of a mail without it.

use super::{Deliveries, Item, draft::Unsendable};
use crate::{
    data_feeds::{Subject, nothing},
    ports::FeedError,
};
use chrono::Duration;
use domain::{
    broadcasts::SkipReason,
    contacts::Contact,
    data_feeds::OnFailure,
    deliveries::{Outcome, reason},
    workspaces::Workspace,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// How often a feed is asked for one recipient before its failure counts.
const ATTEMPTS: u32 = 3;
/// The pause between two attempts.
const PAUSE: Duration = Duration::seconds(5);

impl Deliveries {
    /// Adds what the feeds of a broadcast say to the variables of one mail. Holds no lease.
    pub(super) async fn add_feeds(
        &self,
        workspace: &Workspace,
        item: &Item,
        contact: &Contact,
        data: &mut Map<String, Value>,
    ) -> Result<(), Unsendable> {
        let Some(broadcast) = item.broadcast.as_deref() else { return Ok(()) };
        if let Some(feed) = &item.global_feed {
            data.insert("global_feed".to_owned(), Value::clone(feed));
        }
        let Some(feed) = broadcast.feeds.active_recipient() else { return Ok(()) };
        let subject = Subject { workspace, broadcast, list: item.list.as_deref() };
        let said = match self.ports.feeds.recipient(feed, &subject, contact).await {
            Ok(said) => Value::Object(said),
            Err(error) if broadcast.feeds.on_failure == OnFailure::Send && !is_tried_again(item, &error) => {
                nothing()
            }
            Err(error) => return Err(Unsendable::Feed(error)),
        };
        data.insert("recipient_feed".to_owned(), said);
        Ok(())
    }

    /// Asks the global feed of a broadcast for mails that are made before its start. Holds no lease.
    pub(super) async fn ask_ahead(&self, workspace: &Workspace, items: &mut [Item]) -> Result<(), FeedError> {
        let Some(first) = items.first() else { return Ok(()) };
        let Some(broadcast) = first.broadcast.clone() else { return Ok(()) };
        let Some(feed) = broadcast.feeds.active_global() else { return Ok(()) };
        let subject = Subject { workspace, broadcast: &broadcast, list: first.list.as_deref() };
        let said = Arc::new(Value::Object(self.ports.feeds.global(feed, &subject).await?));
        for item in items {
            item.global_feed = Some(said.clone());
        }
        Ok(())
    }

    /// The outcome of a mail that was not made because its feed gave no data.
    pub(super) fn without_feed(&self, item: &Item, error: &FeedError) -> Outcome {
        let now = self.ports.clock.now();
        let why = reason(&format!("Recipient feed failed: {error}"));
        if is_tried_again(item, error) {
            return Outcome::Retry { at: now + PAUSE, reason: why };
        }
        match item.broadcast.as_ref().map(|broadcast| broadcast.feeds.on_failure).unwrap_or_default() {
            OnFailure::Pause => Outcome::Halted { at: now, reason: why },
            OnFailure::Skip => Outcome::Skipped { why: SkipReason::NoFeed },
            OnFailure::Fail | OnFailure::Send => Outcome::Failed { reason: why },
        }
    }
}

fn is_tried_again(item: &Item, error: &FeedError) -> bool {
    error.may_pass && item.delivery.attempts < ATTEMPTS
}
