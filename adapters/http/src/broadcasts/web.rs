//! How a broadcast appears on the web, as it is read and answered.

use crate::{Moment, Text, body::text_of};
use domain::{
    publications::{Channels, WebSettings},
    slug::Slug,
    validation::Check,
};
use poem_openapi::Object;

/// Where a broadcast appears. With neither, it is mailed.
#[derive(Object)]
#[oai(rename = "Channels", default)]
pub(super) struct ChannelsBody {
    /// It is mailed to its audience.
    email: bool,
    /// It is a page on the workspace's own domain.
    web: bool,
}

impl Default for ChannelsBody {
    fn default() -> Self {
        Channels::default().into()
    }
}

impl From<ChannelsBody> for Channels {
    fn from(body: ChannelsBody) -> Self {
        Self::new(body.email, body.web)
    }
}

impl From<Channels> for ChannelsBody {
    fn from(channels: Channels) -> Self {
        Self { email: channels.email, web: channels.web }
    }
}

/// How a broadcast appears as a page; required when it is on the web.
#[derive(Object)]
#[oai(rename = "WebSettingsDraft")]
pub(super) struct WebSettingsDraft {
    /// The readable part of its address: 1 to 100 lower-case letters, digits or hyphens, unique among
    /// the pages of the workspace.
    slug: Text,
    /// At most 255 characters; by default the name of the broadcast.
    #[oai(nullable)]
    meta_title: Option<Text>,
    /// At most 500 characters.
    #[oai(nullable)]
    meta_description: Option<Text>,
    /// At most 255 characters; by default the title.
    #[oai(nullable)]
    og_title: Option<Text>,
    /// At most 500 characters; by default the description.
    #[oai(nullable)]
    og_description: Option<Text>,
    #[oai(nullable)]
    og_image: Option<Text>,
    /// The address that search engines should know instead of the page's own.
    #[oai(nullable)]
    canonical_url: Option<Text>,
    /// At most 50, of at most 100 characters.
    #[oai(nullable)]
    keywords: Option<Vec<Text>>,
    /// When the page becomes public, once the broadcast is started; by default at that moment.
    #[oai(nullable)]
    published_at: Option<Moment>,
}

impl WebSettingsDraft {
    /// The settings; a bad slug is noted, all else is checked with the draft.
    pub(super) fn read(self, check: &mut Check) -> Option<WebSettings> {
        let slug = check.field("/web_settings/slug", Slug::parse(&self.slug.0))?;
        let given = |text: Option<Text>| text_of(text).filter(|text| !text.trim().is_empty());
        Some(WebSettings {
            slug,
            meta_title: given(self.meta_title),
            meta_description: given(self.meta_description),
            og_title: given(self.og_title),
            og_description: given(self.og_description),
            og_image: given(self.og_image),
            canonical_url: given(self.canonical_url),
            keywords: self.keywords.unwrap_or_default().into_iter().map(|keyword| keyword.0).collect(),
            published_at: self.published_at.map(|at| at.0),
        })
    }
}

/// How a broadcast appears as a page.
#[derive(Object)]
#[oai(rename = "WebSettings", skip_serializing_if_is_none)]
pub(super) struct WebSettingsBody {
    slug: String,
    meta_title: Option<String>,
    meta_description: Option<String>,
    og_title: Option<String>,
    og_description: Option<String>,
    og_image: Option<String>,
    canonical_url: Option<String>,
    keywords: Vec<String>,
    /// When it became or becomes public.
    published_at: Option<Moment>,
}

impl From<WebSettings> for WebSettingsBody {
    fn from(web: WebSettings) -> Self {
        Self {
            slug: web.slug.into(),
            meta_title: web.meta_title,
            meta_description: web.meta_description,
            og_title: web.og_title,
            og_description: web.og_description,
            og_image: web.og_image,
            canonical_url: web.canonical_url,
            keywords: web.keywords,
            published_at: web.published_at.map(Into::into),
        }
    }
}
