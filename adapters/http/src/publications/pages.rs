//! The pages as HTML; every value is escaped by the template engine.

use super::words::Words;
use application::{
    ports::PageContent,
    publications::{FullPost, Post, Site},
};
use askama::Template;

/// Posts on one page of the list.
pub(super) const POSTS_PER_PAGE: u64 = 20;

/// One page of the list of posts.
#[derive(Template)]
#[template(path = "site/list.html")]
pub(super) struct List<'a> {
    site: &'a Site,
    words: Words,
    posts: &'a [Post],
    address: String,
    /// Where newer posts are.
    newer: Option<String>,
    /// Where older posts are.
    older: Option<String>,
}

impl<'a> List<'a> {
    /// Page `number` of `last`, both from 1.
    pub(super) fn new(site: &'a Site, posts: &'a [Post], number: u64, last: u64) -> Self {
        let address = |number: u64| match number {
            1 => format!("{}/", site.base_url),
            _ => format!("{}/?page={number}", site.base_url),
        };
        Self {
            site,
            words: Words::of(&site.language),
            posts,
            address: address(number),
            newer: (number > 1).then(|| address(number - 1)),
            older: (number < last).then(|| address(number + 1)),
        }
    }
}

/// A post.
#[derive(Template)]
#[template(path = "site/post.html")]
pub(super) struct Article<'a> {
    site: &'a Site,
    words: Words,
    post: &'a Post,
    content: &'a PageContent,
    /// Whether it is shown before the public may see it.
    preview: bool,
}

impl<'a> Article<'a> {
    pub(super) fn new(site: &'a Site, full: &'a FullPost, preview: bool) -> Self {
        Self { site, words: Words::of(&site.language), post: &full.post, content: &full.content, preview }
    }

    fn address(&self) -> String {
        format!("{}{}", self.site.base_url, self.post.path())
    }

    fn canonical(&self) -> String {
        self.post.settings.canonical_url.clone().unwrap_or_else(|| self.address())
    }

    fn og_title(&self) -> &str {
        self.post.settings.og_title.as_deref().unwrap_or_else(|| self.post.title())
    }

    fn og_description(&self) -> Option<&str> {
        let settings = &self.post.settings;
        settings.og_description.as_deref().or(settings.meta_description.as_deref())
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "site/message.html")]
pub(super) struct Message<'a> {
    pub(super) site: &'a Site,
    pub(super) words: Words,
    pub(super) text: &'a str,
}

/// All posts for search engines (sitemaps.org, protocol 0.9).
#[derive(Template)]
#[template(path = "site/sitemap.xml", escape = "html")]
pub(super) struct Sitemap<'a> {
    pub(super) site: &'a Site,
    pub(super) posts: &'a [Post],
}

/// What search engines may read.
pub(super) fn robots(site: &Site) -> String {
    format!("User-agent: *\nAllow: /\nDisallow: /preview/\n\nSitemap: {}/sitemap.xml\n", site.base_url)
}
