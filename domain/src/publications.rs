//! Broadcasts as pages on the web.

use crate::{
    Timestamp,
    ids::BroadcastId,
    slug::Slug,
    validation::{Check, Invalid, required_text},
    workspaces::web_url,
};

/// Where a broadcast appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Channels {
    /// It is mailed to its audience.
    pub email: bool,
    /// It is a page on the workspace's own domain.
    pub web: bool,
}

impl Channels {
    /// Neither channel means mail.
    #[must_use]
    pub fn new(email: bool, web: bool) -> Self {
        Self { email: email || !web, web }
    }
}

impl Default for Channels {
    fn default() -> Self {
        Self { email: true, web: false }
    }
}

/// First parts of paths that belong to the server itself, so that no page can be named like them.
const RESERVED: [&str; 18] = [
    "api",
    "config",
    "console",
    "docs",
    "feed",
    "health",
    "healthz",
    "metrics",
    "notification-center",
    "openapi",
    "opens",
    "preferences",
    "preview",
    "robots",
    "sitemap",
    "subscribe",
    "unsubscribe-oneclick",
    "visit",
];

/// How a broadcast appears as a page. Texts that are `None` are taken from the broadcast.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WebSettings {
    /// The readable part of its address, unique among the pages of the workspace.
    pub slug: Slug,
    /// Title of the page, at most 255 characters.
    pub meta_title: Option<String>,
    /// What search engines and the list of pages show, at most 500 characters.
    pub meta_description: Option<String>,
    /// Title in previews of other sites (Open Graph).
    pub og_title: Option<String>,
    /// Description in previews of other sites (Open Graph).
    pub og_description: Option<String>,
    /// Image in previews of other sites (Open Graph): an absolute URL.
    pub og_image: Option<String>,
    /// The address that search engines should know instead of the page's own.
    pub canonical_url: Option<String>,
    /// Keywords, at most 50.
    pub keywords: Vec<String>,
    /// When it became or becomes public. `None`: when the broadcast starts.
    pub published_at: Option<Timestamp>,
}

impl WebSettings {
    /// A page with nothing but its address.
    #[must_use]
    pub fn new(slug: Slug) -> Self {
        Self {
            slug,
            meta_title: None,
            meta_description: None,
            og_title: None,
            og_description: None,
            og_image: None,
            canonical_url: None,
            keywords: Vec::new(),
            published_at: None,
        }
    }

    /// The path of the page on the workspace's domain.
    #[must_use]
    pub fn path(&self, broadcast: &BroadcastId) -> String {
        format!("/{}-{broadcast}", self.slug)
    }

    /// # Errors
    /// Every field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.require(!is_reserved(&self.slug), "/slug", "is reserved for the server; choose another one");
        for (pointer, text, max) in [
            ("/meta_title", &self.meta_title, 255),
            ("/meta_description", &self.meta_description, 500),
            ("/og_title", &self.og_title, 255),
            ("/og_description", &self.og_description, 500),
        ] {
            if let Some(text) = text {
                check.field(pointer, required_text(text, max));
            }
        }
        for (pointer, url) in [("/og_image", &self.og_image), ("/canonical_url", &self.canonical_url)] {
            let good = url.as_deref().is_none_or(|url| url.len() <= 2_000 && web_url(url));
            check.require(good, pointer, "must be an http or https URL of at most 2000 characters");
        }
        check.require(self.keywords.len() <= 50, "/keywords", "must be at most 50");
        for (n, keyword) in self.keywords.iter().enumerate() {
            check.field(&format!("/keywords/{n}"), required_text(keyword, 100));
        }
        check.finish()
    }
}

/// Whether the server needs the address itself.
#[must_use]
pub fn is_reserved(slug: &Slug) -> bool {
    RESERVED.contains(&slug.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(slug: &str) -> WebSettings {
        WebSettings::new(Slug::parse(slug).unwrap())
    }

    #[test]
    fn without_any_channel_a_broadcast_is_mailed() {
        assert_eq!(Channels::new(false, false), Channels { email: true, web: false });
        assert_eq!(Channels::new(false, true), Channels { email: false, web: true });
    }

    #[test]
    fn addresses_of_the_server_are_refused() {
        assert!(page("api-news").check().is_ok());
        for slug in RESERVED {
            assert_eq!(page(slug).check().unwrap_err().0[0].pointer, "/slug", "{slug}");
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let settings = WebSettings {
            meta_title: Some(" ".into()),
            og_description: Some("x".repeat(501)),
            og_image: Some("javascript:alert(1)".into()),
            canonical_url: Some("/relative".into()),
            keywords: vec!["ok".into(), String::new()],
            ..page("june")
        };
        let problems = settings.check().unwrap_err().0;
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            ["/meta_title", "/og_description", "/og_image", "/canonical_url", "/keywords/1"]
        );
    }
}
