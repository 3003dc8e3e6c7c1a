//! The latest posts as RSS 2.0 and JSON Feed 1.1.

use ammonia::UrlRelative;
use application::publications::{FullPost, Post, Site};
use rss::{
    ChannelBuilder, GuidBuilder, ItemBuilder,
    extension::atom::{AtomExtensionBuilder, Link},
};
use serde::Serialize;

/// Posts in a feed.
pub(super) const POSTS_IN_FEED: u64 = 20;

/// RSS 2.0 with the contents of the posts.
pub(super) fn rss(site: &Site, posts: &[FullPost]) -> String {
    let items = posts.iter().map(|full| {
        let post = &full.post;
        let guid = GuidBuilder::default().value(post.broadcast.to_string()).permalink(false).build();
        ItemBuilder::default()
            .title(Some(post.title().to_owned()))
            .link(Some(address(site, post)))
            .guid(Some(guid))
            .pub_date(Some(post.published_at.to_rfc2822()))
            // readers take it for HTML
            .description(post.settings.meta_description.as_deref().map(ammonia::clean_text))
            .content(Some(content(site, full)))
            .build()
    });
    let own = Link {
        rel: "self".to_owned(),
        href: format!("{}/feed.xml", site.base_url),
        mime_type: Some("application/rss+xml".to_owned()),
        ..Link::default()
    };
    let built = posts.iter().map(|full| full.post.updated_at).max();
    let channel = ChannelBuilder::default()
        .title(site.name.clone())
        .link(format!("{}/", site.base_url))
        .description(site.name.clone())
        .language(Some(site.language.as_str().to_owned()))
        .last_build_date(built.map(|at| at.to_rfc2822()))
        .atom_ext(Some(AtomExtensionBuilder::default().links(vec![own]).build()))
        .items(items.collect::<Vec<_>>())
        .build();
    channel.to_string()
}

#[derive(Serialize)]
struct JsonFeed<'a> {
    version: &'static str,
    title: &'a str,
    home_page_url: String,
    feed_url: String,
    language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
    items: Vec<JsonItem<'a>>,
}

#[derive(Serialize)]
struct JsonItem<'a> {
    id: String,
    url: String,
    title: &'a str,
    content_html: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    date_published: String,
    date_modified: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
}

/// JSON Feed 1.1 with the contents of the posts.
pub(super) fn json(site: &Site, posts: &[FullPost]) -> String {
    let items = posts.iter().map(|full| {
        let post = &full.post;
        JsonItem {
            id: post.broadcast.to_string(),
            url: address(site, post),
            title: post.title(),
            content_html: content(site, full),
            summary: post.settings.meta_description.as_deref(),
            image: post.settings.og_image.as_deref(),
            date_published: post.published_at.to_rfc3339(),
            date_modified: post.updated_at.to_rfc3339(),
            tags: &post.settings.keywords,
        }
    });
    let feed = JsonFeed {
        version: "https://jsonfeed.org/version/1.1",
        title: &site.name,
        home_page_url: format!("{}/", site.base_url),
        feed_url: format!("{}/feed.json", site.base_url),
        language: site.language.as_str().to_owned(),
        icon: site.logo_url.as_deref(),
        items: items.collect(),
    };
    serde_json::to_string(&feed).expect("texts become JSON without failing")
}

fn address(site: &Site, post: &Post) -> String {
    format!("{}{}", site.base_url, post.path())
}

/// The content for readers that show it among others: sanitised, with absolute links.
fn content(site: &Site, full: &FullPost) -> String {
    let mut sanitiser = ammonia::Builder::default();
    sanitiser.url_schemes(["http", "https", "mailto", "tel"].into());
    if let Ok(base) = url::Url::parse(&site.base_url) {
        sanitiser.url_relative(UrlRelative::RewriteWithBase(base));
    }
    sanitiser.clean(&full.content.html).to_string().trim().to_owned()
}
