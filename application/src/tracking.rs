//! Opens and clicks: noted in memory at once, and written down a moment later.
//!
//! Whoever follows a link waits for no database and needs none. What was noted of a workspace is
//! written by one writer at a time; what comes meanwhile goes into its next unit of work. A process
//! that is killed loses what was noted within the last moment.

use crate::{
    failure::{Failure, FailureKind},
    ports::{Clock, ConnectionBroker, Purpose, StoreError, TrackingTokens},
    rate_limit::{Limit, RateLimiter},
};
use domain::{
    Timestamp,
    ids::WorkspaceId,
    tracking::{Engagement, EngagementKey, EngagementKind, Tracked, Visit, actor},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The use cases of tracking. The token in the address stands for the caller.
pub struct Tracking {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    tokens: Arc<dyn TrackingTokens>,
    limiter: RateLimiter,
    noted: Mutex<Noted>,
}

/// The address was not made by this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this link is not valid")]
pub struct UnknownLink;

impl Failure for UnknownLink {
    fn kind(&self) -> FailureKind {
        FailureKind::Invalid
    }

    fn code(&self) -> &'static str {
        "link-invalid"
    }
}

/// What is noted and not yet written.
#[derive(Default)]
struct Noted {
    workspaces: HashMap<WorkspaceId, Waiting>,
    size: usize,
}

#[derive(Default)]
struct Waiting {
    engagements: BTreeMap<EngagementKey, Engagement>,
    /// Whether somebody writes.
    writing: bool,
}

/// Somebody has to call [`Tracking::write_down`] for the workspace.
#[must_use = "what was noted is written by whoever is told so"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToWrite(pub WorkspaceId);

impl Tracking {
    /// Engagements noted before further ones are passed over.
    const MOST_NOTED: usize = 50_000;
    /// Engagements written in one unit of work.
    const BATCH: usize = 500;

    /// Takes its ports.
    pub fn new(
        broker: Arc<dyn ConnectionBroker>,
        clock: Arc<dyn Clock>,
        tokens: Arc<dyn TrackingTokens>,
    ) -> Self {
        let limiter = RateLimiter::new(clock.clone());
        Self { broker, clock, tokens, limiter, noted: Mutex::default() }
    }

    /// Notes that the images of a mail were loaded. An address that is none of ours is passed over.
    pub fn open(&self, token: &str, visit: Visit<'_>) -> Option<ToWrite> {
        let tracked = self.tokens.verify(token).filter(|tracked| tracked.link.is_none())?;
        self.note(&tracked, EngagementKind::Opened, String::new(), visit)
    }

    /// Notes that a link was followed, and answers where it leads.
    ///
    /// # Errors
    /// When the address was not made by this installation.
    pub fn follow(&self, token: &str, visit: Visit<'_>) -> Result<(String, Option<ToWrite>), UnknownLink> {
        let mut tracked = self.tokens.verify(token).ok_or(UnknownLink)?;
        let link = tracked.link.take().ok_or(UnknownLink)?;
        let to_write = self.note(&tracked, EngagementKind::Clicked, link.clone(), visit);
        Ok((link, to_write))
    }

    fn note(
        &self,
        tracked: &Tracked,
        kind: EngagementKind,
        link: String,
        visit: Visit<'_>,
    ) -> Option<ToWrite> {
        let now = domain::to_microseconds(self.clock.now());
        self.limiter.attempt(Limit::TRACKING, tracked.message.as_str()).ok()?;
        let engagement = Engagement {
            message: tracked.message.clone(),
            kind,
            actor: actor(kind, visit, now - tracked.sent_at),
            link,
            count: 1,
            first_at: now,
            last_at: now,
        };
        self.noted().add(&tracked.workspace, engagement)
    }

    /// Writes down what was noted of a workspace, until nothing is left. After a failure it waits for
    /// the next engagement of the workspace.
    #[tracing::instrument(name = "tracking.write_down", skip_all)]
    pub async fn write_down(&self, ToWrite(workspace): ToWrite) {
        loop {
            let batch = self.noted().take(&workspace);
            let Some(batch) = batch else { return };
            let written = self.write(&workspace, &batch).await;
            match written {
                Ok(()) => {}
                Err(StoreError::WorkspaceMissing) => {
                    self.noted().forget(&workspace);
                    return;
                }
                Err(error) => {
                    tracing::warn!(
                        workspace.id = %workspace,
                        count = batch.len(),
                        error = &error as &dyn std::error::Error,
                        "opens and clicks are not written down yet"
                    );
                    self.noted().put_back(&workspace, batch);
                    return;
                }
            }
        }
    }

    /// Writes down what is still noted, when the process is about to end.
    pub async fn finish(&self) {
        let left: Vec<_> = self.noted().workspaces.keys().cloned().collect();
        for workspace in left {
            self.write_down(ToWrite(workspace)).await;
        }
    }

    async fn write(&self, workspace: &WorkspaceId, batch: &[Engagement]) -> Result<(), StoreError> {
        let mut store = self.broker.write(workspace, Purpose::background("tracking.write_down")).await?;
        store.record_engagements(batch).await?;
        store.commit().await
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    /// Adds an engagement. Answers whether a writer has to begin.
    fn add(&mut self, workspace: &WorkspaceId, engagement: Engagement) -> Option<ToWrite> {
        let room = self.size < Tracking::MOST_NOTED;
        let waiting = self.workspaces.entry(workspace.clone()).or_default();
        if let Some(known) = waiting.engagements.get_mut(&engagement.key()) {
            known.add(&engagement);
        } else if room {
            waiting.engagements.insert(engagement.key(), engagement);
            self.size += 1;
        }
        let begins = !waiting.writing;
        waiting.writing = true;
        begins.then(|| ToWrite(workspace.clone()))
    }

    /// The next batch of a writer; `None` when there is nothing more, and the writer is done.
    fn take(&mut self, workspace: &WorkspaceId) -> Option<Vec<Engagement>> {
        let waiting = self.workspaces.get_mut(workspace)?;
        let mut batch = Vec::new();
        while batch.len() < Tracking::BATCH {
            let Some((_, engagement)) = waiting.engagements.pop_first() else { break };
            batch.push(engagement);
        }
        self.size -= batch.len();
        if batch.is_empty() {
            self.workspaces.remove(workspace);
            return None;
        }
        Some(batch)
    }

    /// Keeps what a writer could not write. The writer is done.
    fn put_back(&mut self, workspace: &WorkspaceId, batch: Vec<Engagement>) {
        for engagement in batch {
            let _ = self.add(workspace, engagement);
        }
        if let Some(waiting) = self.workspaces.get_mut(workspace) {
            waiting.writing = false;
        }
    }

    /// Drops what was noted of a workspace that is gone.
    fn forget(&mut self, workspace: &WorkspaceId) {
        if let Some(waiting) = self.workspaces.remove(workspace) {
            self.size -= waiting.engagements.len();
        }
    }
}

/// What is written into the addresses of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) workspace: WorkspaceId,
    pub(crate) message: domain::ids::MessageId,
    pub(crate) sent_at: Timestamp,
}

impl Mark {
    /// The token of a link, or of the image that reports the opening.
    pub(crate) fn token(&self, tokens: &dyn TrackingTokens, link: Option<String>) -> String {
        tokens.issue(&Tracked {
            workspace: self.workspace.clone(),
            message: self.message.clone(),
            sent_at: self.sent_at,
            link,
        })
    }
}
