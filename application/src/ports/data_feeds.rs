//! Data from elsewhere.

use async_trait::async_trait;
use domain::{ids::WorkspaceId, secret::Secret};
use serde_json::{Map, Value};

/// A question to a feed.
#[derive(Debug)]
pub struct FeedRequest<'a> {
    /// On whose behalf.
    pub workspace: &'a WorkspaceId,
    /// Where.
    pub url: &'a str,
    /// Names and values.
    pub headers: &'a [(String, Secret)],
    /// What it is about.
    pub body: &'a Value,
}

/// Why a feed gave no data. The text is for whoever set the feed up and tells nothing of the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FeedError {
    /// What happened.
    pub reason: String,
    /// Whether the same question may be answered later.
    pub may_pass: bool,
}

/// Asks feeds.
#[async_trait]
pub trait FeedReader: Send + Sync {
    /// Whether a feed may have this address, before any name is looked up.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self, url: &str) -> Result<(), &'static str>;

    /// Posts the question and reads a JSON object. Bounded in time and size and in how many questions
    /// of a workspace are open; follows no redirect, and refuses an address inside whatever its name.
    ///
    /// # Errors
    /// When there is no such answer.
    async fn read(&self, request: FeedRequest<'_>) -> Result<Map<String, Value>, FeedError>;
}
