//! Data from elsewhere in the mails of broadcasts: checking, sealing and asking.

use crate::{
    contacts::{ContactView, contact_json},
    ports::{Clock, FeedError, FeedReader, FeedRequest, Vault},
};
use domain::{
    broadcasts::Broadcast,
    contacts::Contact,
    data_feeds::{DataFeeds, Feed, FeedDraft, FeedsDraft},
    lists::List,
    secret::Secret,
    validation::{Check, Invalid},
    workspaces::Workspace,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Asks the feeds of broadcasts, for use cases and for the delivery worker.
pub struct Feeds {
    reader: Arc<dyn FeedReader>,
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
}

/// What a feed is asked about.
pub(crate) struct Subject<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) broadcast: &'a Broadcast,
    pub(crate) list: Option<&'a List>,
}

impl Feeds {
    /// Takes its ports.
    #[must_use]
    pub fn new(reader: Arc<dyn FeedReader>, vault: Arc<dyn Vault>, clock: Arc<dyn Clock>) -> Self {
        Self { reader, vault, clock }
    }

    /// The feeds of a broadcast after a change.
    ///
    /// # Errors
    /// Every field that breaks a rule.
    pub(crate) fn changed(&self, before: &DataFeeds, draft: FeedsDraft) -> Result<DataFeeds, Invalid> {
        let mut check = Check::default();
        let recipient = draft.recipient.as_ref().map(|(feed, _)| feed);
        for (pointer, feed) in
            [("/global_feed/url", draft.global.as_ref()), ("/recipient_feed/url", recipient)]
        {
            if let Some(feed) = feed.filter(|feed| feed.enabled) {
                check.field(pointer, self.reader.check(feed.url.trim()));
            }
        }
        let feeds = check.nested("", before.replaced(draft, |secret| self.vault.seal(secret)));
        check.finish().map_err(|invalid| invalid.below("/data_feed"))?;
        Ok(feeds.unwrap_or_default())
    }

    /// A feed to be tried, which is not stored. Headers without a value are those of `before`.
    ///
    /// # Errors
    /// Every field that breaks a rule.
    pub(crate) fn tried(&self, draft: FeedDraft, before: Option<&Feed>) -> Result<Feed, Invalid> {
        let mut check = Check::default();
        check.field("/url", self.reader.check(draft.url.trim()));
        let feed = check.nested("", draft.sealed(before, |secret| self.vault.seal(secret)));
        check.finish()?;
        feed.ok_or_else(|| Invalid::one("/url", "is required"))
    }

    /// What a feed says to everybody.
    ///
    /// # Errors
    /// When it says nothing.
    pub(crate) async fn global(
        &self,
        feed: &Feed,
        subject: &Subject<'_>,
    ) -> Result<Map<String, Value>, FeedError> {
        self.ask(feed, subject, None).await
    }

    /// What a feed says to one recipient.
    ///
    /// # Errors
    /// When it says nothing.
    pub(crate) async fn recipient(
        &self,
        feed: &Feed,
        subject: &Subject<'_>,
        contact: &Contact,
    ) -> Result<Map<String, Value>, FeedError> {
        self.ask(feed, subject, Some(contact)).await
    }

    async fn ask(
        &self,
        feed: &Feed,
        subject: &Subject<'_>,
        contact: Option<&Contact>,
    ) -> Result<Map<String, Value>, FeedError> {
        let unusable = |reason: &str| FeedError { reason: reason.to_owned(), may_pass: false };
        let mut headers = Vec::with_capacity(feed.headers.len());
        for header in &feed.headers {
            let value = self.vault.open(&header.value);
            let value: Secret = value.map_err(|_| unusable("a stored header cannot be opened"))?;
            headers.push((header.name.clone(), value));
        }
        let body = question(subject, contact);
        let request =
            FeedRequest { workspace: &subject.workspace.id, url: &feed.url, headers: &headers, body: &body };
        let mut data = self.reader.read(request).await?;
        data.insert("_success".to_owned(), json!(true));
        data.insert("_fetched_at".to_owned(), json!(self.clock.now()));
        Ok(data)
    }
}

/// What stands for a feed that had nothing.
pub(crate) fn nothing() -> Value {
    json!({ "_success": false })
}

fn question(subject: &Subject<'_>, contact: Option<&Contact>) -> Value {
    let Subject { workspace, broadcast, list } = subject;
    let list_id = list.map_or(&broadcast.audience.list, |list| &list.id);
    let mut body = json!({
        "broadcast": { "id": broadcast.id, "name": broadcast.name },
        "list": { "id": list_id, "name": list.map(|list| &list.name) },
        "workspace": { "id": workspace.id, "name": workspace.name },
    });
    if let Some(contact) = contact {
        let view = ContactView { contact: contact.clone(), memberships: None };
        let mut fields = contact_json(&view);
        fields.remove("contact_lists");
        fields.remove("contact_segments");
        body["contact"] = Value::Object(fields);
    }
    body
}
