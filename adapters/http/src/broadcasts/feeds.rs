//! What the operations read and answer about data feeds.

use crate::{
    Moment, Text,
    body::{complete, text_of},
};
use application::broadcasts::TriedFeed;
use domain::{
    Timestamp,
    data_feeds::{DataFeeds, Feed, FeedDraft, FeedHeader, FeedsDraft, OnFailure},
    email_address::EmailAddress,
    ids::BroadcastId,
    secret::Secret,
    validation::{Check, Invalid},
};
use poem_openapi::Object;
use serde_json::{Map, Value};

/// Stands in answers for the value of a header; sent back, the stored value is meant.
const MASK: &str = "********";

/// Data from elsewhere. A feed that is left out stays as it is.
#[derive(Object)]
#[oai(rename = "DataFeedDraft")]
pub(super) struct FeedsDraftBody {
    /// Asked when the broadcast starts: `global_feed` in templates. When it gives no data, the
    /// broadcast is not started.
    #[oai(nullable)]
    global_feed: Option<GlobalDraft>,
    /// Asked for each recipient when its mail is made: `recipient_feed` in templates.
    #[oai(nullable)]
    recipient_feed: Option<RecipientDraft>,
}

/// A feed that is asked once.
#[derive(Object)]
#[oai(rename = "GlobalFeedDraft")]
struct GlobalDraft {
    /// Whether it is asked.
    #[oai(default)]
    enabled: bool,
    /// An https address on the public internet, without query and fragment.
    #[oai(nullable)]
    url: Option<Text>,
    /// At most 20, sent along.
    #[oai(nullable)]
    headers: Option<Vec<HeaderDraft>>,
}

/// A feed that is asked for each recipient.
#[derive(Object)]
#[oai(rename = "RecipientFeedDraft")]
struct RecipientDraft {
    /// Whether it is asked.
    #[oai(default)]
    enabled: bool,
    /// An https address on the public internet, without query and fragment.
    #[oai(nullable)]
    url: Option<Text>,
    /// At most 20, sent along.
    #[oai(nullable)]
    headers: Option<Vec<HeaderDraft>>,
    /// What becomes of a recipient for whom it gives no data: `pause` pauses the broadcast, `skip`
    /// leaves the recipient out, `fail` counts its mail as failed, `send` sends it without the data.
    /// `pause` when left out. What may pass is tried three times before.
    #[oai(nullable)]
    on_failure: Option<Text>,
}

/// A header.
#[derive(Object)]
#[oai(rename = "FeedHeaderDraft")]
pub(super) struct HeaderDraft {
    name: Text,
    /// Stored encrypted. Left out, or as it is answered, the stored value is meant, as long as scheme,
    /// host and port of the address stay.
    #[oai(nullable)]
    value: Option<Text>,
}

impl FeedsDraftBody {
    /// What it says; bad fields are noted.
    pub(super) fn read(self, check: &mut Check) -> FeedsDraft {
        let global = self.global_feed.map(|feed| FeedDraft {
            enabled: feed.enabled,
            url: text_of(feed.url).unwrap_or_default(),
            headers: headers(feed.headers),
        });
        let recipient = self.recipient_feed.map(|feed| {
            let way = text_of(feed.on_failure).filter(|name| !name.is_empty());
            let known = way.as_deref().map_or(Some(OnFailure::default()), OnFailure::from_name);
            let rule = "must be pause, skip, fail or send";
            check.require(known.is_some(), "/data_feed/recipient_feed/on_failure", rule);
            let headers = headers(feed.headers);
            let draft =
                FeedDraft { enabled: feed.enabled, url: text_of(feed.url).unwrap_or_default(), headers };
            (draft, known.unwrap_or_default())
        });
        FeedsDraft { global, recipient }
    }
}

fn headers(bodies: Option<Vec<HeaderDraft>>) -> Vec<(String, Option<Secret>)> {
    let value = |value: Option<Text>| text_of(value).filter(|value| value != MASK).map(Secret::new);
    bodies.into_iter().flatten().map(|header| (header.name.0, value(header.value))).collect()
}

/// Data from elsewhere.
#[derive(Object)]
#[oai(rename = "DataFeed", skip_serializing_if_is_none)]
pub(super) struct FeedsBody {
    global_feed: Option<FeedBody>,
    /// What the global feed said; only in the answer about one broadcast.
    global_feed_data: Option<Value>,
    global_feed_fetched_at: Option<Moment>,
    recipient_feed: Option<FeedBody>,
}

/// A feed.
#[derive(Object)]
#[oai(rename = "Feed", skip_serializing_if_is_none)]
struct FeedBody {
    enabled: bool,
    url: String,
    headers: Vec<HeaderBody>,
    /// `pause`, `skip`, `fail` or `send`; of a recipient feed.
    on_failure: Option<String>,
}

/// A header.
#[derive(Object)]
#[oai(rename = "FeedHeader")]
struct HeaderBody {
    name: String,
    /// Always `********`.
    value: String,
}

impl FeedBody {
    fn new(feed: Feed, on_failure: Option<OnFailure>) -> Self {
        let masked = |header: FeedHeader| HeaderBody { name: header.name, value: MASK.to_owned() };
        Self {
            enabled: feed.enabled,
            url: feed.url,
            headers: feed.headers.into_iter().map(masked).collect(),
            on_failure: on_failure.map(|way| way.name().to_owned()),
        }
    }
}

impl FeedsBody {
    /// As they are answered; `None` without any.
    pub(super) fn new(feeds: DataFeeds, data: Option<Map<String, Value>>) -> Option<Self> {
        if feeds.global.is_none() && feeds.recipient.is_none() {
            return None;
        }
        Some(Self {
            global_feed: feeds.global.map(|feed| FeedBody::new(feed, None)),
            global_feed_data: data.map(Value::Object),
            global_feed_fetched_at: feeds.global_fetched_at.map(Into::into),
            recipient_feed: feeds.recipient.map(|feed| FeedBody::new(feed, Some(feeds.on_failure))),
        })
    }
}

/// Trying a global feed.
#[derive(Object)]
#[oai(rename = "GlobalFeedTrial")]
pub(super) struct GlobalTrialBody {
    pub(super) workspace_id: Text,
    broadcast_id: Text,
    /// An https address on the public internet, without query and fragment.
    url: Text,
    #[oai(nullable)]
    headers: Option<Vec<HeaderDraft>>,
}

/// Headers as they were given.
type Headers = Vec<(String, Option<Secret>)>;

impl GlobalTrialBody {
    pub(super) fn read(self) -> Result<(BroadcastId, String, Headers), Invalid> {
        let id =
            BroadcastId::parse(&self.broadcast_id.0).map_err(|rule| Invalid::one("/broadcast_id", rule))?;
        Ok((id, self.url.0, headers(self.headers)))
    }
}

/// Trying a recipient feed.
#[derive(Object)]
#[oai(rename = "RecipientFeedTrial")]
pub(super) struct RecipientTrialBody {
    pub(super) workspace_id: Text,
    broadcast_id: Text,
    /// A contact; left out, a made-up one.
    #[oai(nullable)]
    contact_email: Option<Text>,
    /// An https address on the public internet, without query and fragment.
    url: Text,
    #[oai(nullable)]
    headers: Option<Vec<HeaderDraft>>,
}

impl RecipientTrialBody {
    pub(super) fn read(self) -> Result<(BroadcastId, Option<EmailAddress>, String, Headers), Invalid> {
        let mut check = Check::default();
        let id = check.field("/broadcast_id", BroadcastId::parse(&self.broadcast_id.0));
        let email = text_of(self.contact_email).filter(|email| !email.is_empty());
        let email = email.map(|email| EmailAddress::parse(&email)).transpose();
        let email = check.field("/contact_email", email);
        let (id, email) = complete(check, id.zip(email))?;
        Ok((id, email, self.url.0, headers(self.headers)))
    }
}

/// What a feed that was tried said.
#[derive(Object)]
#[oai(rename = "TriedFeed", skip_serializing_if_is_none)]
pub(super) struct TriedBody {
    /// Whether it gave data.
    success: bool,
    /// The data as templates see it.
    data: Option<Value>,
    fetched_at: Option<Moment>,
    /// For whom it was asked; of a recipient feed.
    contact_email: Option<String>,
    /// Why there is no data.
    error: Option<String>,
}

impl From<TriedFeed> for TriedBody {
    fn from(tried: TriedFeed) -> Self {
        let at: Timestamp = tried.at;
        let contact_email = tried.contact.map(String::from);
        match tried.data {
            Ok(data) => Self {
                success: true,
                data: Some(Value::Object(data)),
                fetched_at: Some(at.into()),
                contact_email,
                error: None,
            },
            Err(error) => Self {
                success: false,
                data: None,
                fetched_at: None,
                contact_email,
                error: Some(error.reason),
            },
        }
    }
}
