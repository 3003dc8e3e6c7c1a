//! Data from elsewhere: trying feeds, and asking the global one at the start.

use super::{Broadcasts, BroadcastsError};
use crate::{
    access::Caller,
    data_feeds::Subject,
    directory::active_workspace,
    ports::{FeedError, Purpose, UnitOfWork},
};
use domain::{
    Timestamp,
    broadcasts::{Broadcast, BroadcastState},
    contacts::{Contact, ContactPatch},
    data_feeds::{Feed, FeedDraft},
    email_address::EmailAddress,
    ids::{BroadcastId, WorkspaceId},
    permissions::{Permission, Resource},
    secret::Secret,
};
use serde_json::{Map, Value, json};

/// What a feed that was tried said.
#[derive(Debug, Clone, PartialEq)]
pub struct TriedFeed {
    /// Its data, or why there is none.
    pub data: Result<Map<String, Value>, FeedError>,
    /// When it was asked.
    pub at: Timestamp,
    /// For whom it was asked, when it was for a recipient.
    pub contact: Option<EmailAddress>,
}

/// What a global feed said before its broadcast starts.
pub(super) struct Fetched {
    feed: Feed,
    data: Map<String, Value>,
    at: Timestamp,
}

/// The contact of a trial for nobody.
const SAMPLE: &str = "sample@example.com";

impl Broadcasts {
    /// Asks a global feed and stores nothing. Headers without a value are the stored ones.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is no such broadcast, or the feed breaks a rule.
    #[tracing::instrument(name = "broadcasts.refresh_global_feed", skip_all)]
    pub async fn refresh_global_feed(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        url: String,
        headers: Vec<(String, Option<Secret>)>,
    ) -> Result<TriedFeed, BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.refreshGlobalFeed");
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let broadcast = store.broadcast(id).await?.ok_or(BroadcastsError::NotFound)?;
        let list = store.list(&broadcast.audience.list).await?;
        drop(store);
        let draft = FeedDraft { enabled: true, url, headers };
        let feed = self.feeds.tried(draft, broadcast.feeds.global.as_ref())?;
        let subject = Subject { workspace: &workspace, broadcast: &broadcast, list: list.as_ref() };
        let data = self.feeds.global(&feed, &subject).await;
        Ok(TriedFeed { data, at: self.clock.now(), contact: None })
    }

    /// Asks a recipient feed for one contact, or for a made-up one, and stores nothing. Headers without
    /// a value are the stored ones.
    ///
    /// # Errors
    /// Without `broadcasts:write`, when there is no such broadcast or contact, or the feed breaks a rule.
    #[tracing::instrument(name = "broadcasts.test_recipient_feed", skip_all)]
    pub async fn test_recipient_feed(
        &self,
        caller: &Caller,
        id: &BroadcastId,
        contact: Option<&EmailAddress>,
        url: String,
        headers: Vec<(String, Option<Secret>)>,
    ) -> Result<TriedFeed, BroadcastsError> {
        caller.require(Permission::Write(Resource::Broadcasts))?;
        let purpose = Purpose::interactive("broadcasts.testRecipientFeed");
        let workspace = active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?;
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        let broadcast = store.broadcast(id).await?.ok_or(BroadcastsError::NotFound)?;
        let list = store.list(&broadcast.audience.list).await?;
        let contact = match contact {
            Some(email) => store.contact(email).await?.ok_or(BroadcastsError::UnknownContact)?,
            None => sample(self.clock.now())?,
        };
        drop(store);
        let draft = FeedDraft { enabled: true, url, headers };
        let feed = self.feeds.tried(draft, broadcast.feeds.recipient.as_ref())?;
        let subject = Subject { workspace: &workspace, broadcast: &broadcast, list: list.as_ref() };
        let data = self.feeds.recipient(&feed, &subject, &contact).await;
        Ok(TriedFeed { data, at: self.clock.now(), contact: Some(contact.email) })
    }

    /// What the global feed of a broadcast said when it was asked last.
    ///
    /// # Errors
    /// Without `broadcasts:read`, or when the store fails.
    #[tracing::instrument(name = "broadcasts.global_feed", skip_all)]
    pub async fn global_feed(
        &self,
        caller: &Caller,
        broadcast: &Broadcast,
    ) -> Result<Option<Map<String, Value>>, BroadcastsError> {
        caller.require(Permission::Read(Resource::Broadcasts))?;
        if broadcast.feeds.global_fetched_at.is_none() {
            return Ok(None);
        }
        let purpose = Purpose::interactive("broadcasts.get");
        let mut store = self.broker.read(&caller.workspace, purpose).await?;
        Ok(store.global_feed(&broadcast.id).await?)
    }

    /// Asks the global feed of a broadcast that is about to be started or scheduled, without a lease.
    /// One that is not, or has no such feed, asks nothing.
    pub(super) async fn fetch_global(
        &self,
        workspace: &WorkspaceId,
        id: &BroadcastId,
        purpose: Purpose,
    ) -> Result<Option<Fetched>, BroadcastsError> {
        let mut store = self.broker.read(workspace, purpose).await?;
        let Some(broadcast) = store.broadcast(id).await? else { return Ok(None) };
        let starts = broadcast.state == BroadcastState::Draft || broadcast.is_due(self.clock.now());
        let feed = broadcast.feeds.active_global().filter(|_| starts && broadcast.channels.email);
        let Some(feed) = feed.cloned() else { return Ok(None) };
        let list = store.list(&broadcast.audience.list).await?;
        drop(store);
        let workspace = active_workspace(self.broker.as_ref(), workspace, purpose).await?;
        let subject = Subject { workspace: &workspace, broadcast: &broadcast, list: list.as_ref() };
        let data = self.feeds.global(&feed, &subject).await.map_err(BroadcastsError::GlobalFeed)?;
        Ok(Some(Fetched { feed, data, at: self.clock.now() }))
    }
}

/// Keeps what the global feed said with the broadcast that starts.
pub(super) async fn keep_global(
    store: &mut dyn UnitOfWork,
    broadcast: &mut Broadcast,
    fetched: Option<Fetched>,
) -> Result<(), BroadcastsError> {
    let Some(feed) = broadcast.feeds.active_global().filter(|_| broadcast.channels.email) else {
        return Ok(());
    };
    let fetched = fetched.filter(|fetched| fetched.feed == *feed).ok_or(BroadcastsError::FeedChanged)?;
    store.keep_global_feed(&broadcast.id, &fetched.data).await?;
    broadcast.feeds.global_fetched_at = Some(fetched.at);
    Ok(())
}

fn sample(now: Timestamp) -> Result<Contact, BroadcastsError> {
    let fields = json!({
        "email": SAMPLE, "external_id": "sample", "first_name": "Sam", "last_name": "Sample",
        "language": "en", "timezone": "UTC", "country": "FR",
    });
    let patch = ContactPatch::from_json(&fields)?;
    Ok(Contact::new(&patch, now))
}
