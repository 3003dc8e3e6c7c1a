//! What the operations of pages read and answer.

use crate::{
    Moment, Text,
    body::{complete, text_of},
};
use application::publications::{PreviewLink, SlugVerdict};
use domain::{
    ids::BroadcastId,
    validation::{Check, Invalid},
};
use poem_openapi::Object;

/// A slug to try.
#[derive(Object)]
#[oai(rename = "SlugRequest")]
pub(super) struct SlugBody {
    pub(super) workspace_id: Text,
    slug: Text,
    /// The broadcast that may have it already.
    #[oai(nullable)]
    broadcast_id: Option<Text>,
}

impl SlugBody {
    pub(super) fn read(self) -> Result<(String, Option<BroadcastId>), Invalid> {
        let mut check = Check::default();
        let given = text_of(self.broadcast_id).filter(|id| !id.is_empty());
        let broadcast = given.map(|id| check.field("/broadcast_id", BroadcastId::parse(&id)));
        complete(check, Some((self.slug.0, broadcast.flatten())))
    }
}

/// Whether a slug can be used.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct SlugAnswer {
    /// It has the form of a slug and is not reserved.
    valid: bool,
    /// No other page has it.
    available: bool,
    /// What is wrong with it.
    error: Option<String>,
}

impl From<SlugVerdict> for SlugAnswer {
    fn from(verdict: SlugVerdict) -> Self {
        Self { valid: verdict.valid, available: verdict.available, error: verdict.error }
    }
}

/// A link to a page.
#[derive(Object)]
#[oai(rename = "PagePreview")]
pub(super) struct PreviewAnswer {
    url: String,
    /// Useless from then on.
    expires_at: Moment,
}

impl From<PreviewLink> for PreviewAnswer {
    fn from(link: PreviewLink) -> Self {
        Self { url: link.url, expires_at: link.expires_at.into() }
    }
}
