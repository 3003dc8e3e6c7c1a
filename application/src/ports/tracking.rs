//! Opens and clicks in a workspace, and the addresses that report them.

use super::StoreError;
use async_trait::async_trait;
use domain::{
    ids::{BroadcastId, MessageId},
    tracking::{Engagement, LinkClicks, Tracked},
};

/// Signs and checks the addresses that mails report by.
pub trait TrackingTokens: Send + Sync {
    /// The token of a tracked address, for a URL. The moment of sending is kept in whole seconds.
    fn issue(&self, tracked: &Tracked) -> String;

    /// What a token stands for; `None` when it was not issued with a key of this installation.
    fn verify(&self, token: &str) -> Option<Tracked>;
}

/// Keeps engagements, and counts them for broadcasts.
#[async_trait]
pub trait TrackingStore {
    /// Notes engagements. The first opening and the first click of somebody also stand on the
    /// message; a click is an opening, too. Passed over are those of messages that are neither in the
    /// history nor planned.
    async fn record_engagements(&mut self, engagements: &[Engagement]) -> Result<(), StoreError>;

    /// Writes onto messages what was noted before they came into the history.
    async fn apply_early_engagements(&mut self, messages: &[MessageId]) -> Result<(), StoreError>;

    /// The engagements with a message, the earliest first.
    async fn engagements(&mut self, message: &MessageId, most: usize) -> Result<Vec<Engagement>, StoreError>;

    /// The links of a broadcast that were followed, in byte order of the link, after one.
    async fn link_clicks_after(
        &mut self,
        broadcast: &BroadcastId,
        after: Option<&str>,
        size: usize,
    ) -> Result<Vec<LinkClicks>, StoreError>;
}
