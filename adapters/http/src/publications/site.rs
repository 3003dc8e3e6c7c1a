//! Answers on the domains of workspaces: the host names the workspace, the path its page.

use super::{
    cache::{Place, Rendered},
    conditional::{Encoding, is_fresh},
    feeds::{self, POSTS_IN_FEED},
    pages::{self, Article, List, Message, POSTS_PER_PAGE, Sitemap},
    words::Words,
};
use crate::features::Shared;
use application::{
    failure::{Failure as _, FailureKind},
    publications::{FullPost, Preview, PublicationsError, Site},
};
use askama::Template;
use domain::{
    Timestamp,
    ids::{BroadcastId, WorkspaceId},
    slug::Slug,
};
use poem::{
    Endpoint, Request, Response, Result,
    error::NotFoundError,
    http::{HeaderMap, Method, StatusCode, header, uri::Authority},
};
use serde::Deserialize;
use std::sync::Arc;

/// The most addresses of a sitemap (sitemaps.org).
const MAX_ADDRESSES: u64 = 50_000;
/// Posts read at once for a sitemap.
const BATCH: u64 = 1_000;
/// Pages beyond are not looked for.
const MAX_PAGE: u64 = 1_000_000;

const HTML: &str = "text/html; charset=utf-8";

/// Nothing is executed, framed or sent elsewhere; images may come from anywhere, as in mails.
const POLICY: &str = "default-src 'none'; img-src https: http: data:; media-src https:; \
    style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers every path that the server has no other use for.
#[derive(Clone)]
pub(crate) struct SiteEndpoint(pub(crate) Shared);

impl Endpoint for SiteEndpoint {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let Some(host) = host(&request) else { return Err(NotFoundError.into()) };
        let features = &self.0;
        let site = features.sites.site(host.clone(), features.publications.site(&host)).await;
        let site = match site {
            Ok(Some(site)) => site,
            Ok(None) if request.uri().path() == "/" && request.method() == Method::GET => {
                return Ok(redirect(StatusCode::TEMPORARY_REDIRECT, "/docs"));
            }
            Ok(None) => return Err(NotFoundError.into()),
            Err(error) => return Ok(unavailable(&error)),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let refused = Response::builder().status(StatusCode::METHOD_NOT_ALLOWED);
            return Ok(refused.header(header::ALLOW, "GET, HEAD").finish());
        }
        let query = request.params::<PageQuery>().unwrap_or_default();
        let visit = Visit { features, site: &site, headers: request.headers() };
        Ok(visit.answer(request.uri().path(), &query).await)
    }
}

/// Whose domain a request came to. A failure to find out counts as nobody's.
pub(crate) async fn workspace_of_host(features: &Shared, request: &Request) -> Option<WorkspaceId> {
    let host = host(request)?;
    let site = features.sites.site(host.clone(), features.publications.site(&host)).await;
    site.ok().flatten().map(|site| site.workspace.clone())
}

/// The host that was asked, in lower case and without its port. `None` when it is not exactly one.
fn host(request: &Request) -> Option<String> {
    let mut given = request.headers().get_all(header::HOST).iter();
    let authority = match (given.next(), given.next()) {
        (Some(one), None) => Authority::try_from(one.as_bytes()).ok()?,
        (None, _) => request.uri().authority()?.clone(),
        (Some(_), Some(_)) => return None,
    };
    Some(authority.host().trim_end_matches('.').to_lowercase()).filter(|host| !host.is_empty())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PageQuery {
    page: Option<String>,
    expires: Option<String>,
    signature: Option<String>,
}

/// One request to a site.
struct Visit<'a> {
    features: &'a Shared,
    site: &'a Arc<Site>,
    headers: &'a HeaderMap,
}

impl Visit<'_> {
    async fn answer(&self, path: &str, query: &PageQuery) -> Response {
        let answered = match path.trim_start_matches('/') {
            "" => self.list(query.page.as_deref()).await,
            "feed.xml" => self.feed(Place::Rss, "application/rss+xml; charset=utf-8").await,
            "feed.json" => self.feed(Place::JsonFeed, "application/feed+json; charset=utf-8").await,
            "sitemap.xml" => self.sitemap().await,
            "robots.txt" => Ok(text(pages::robots(self.site))),
            other => match other.strip_prefix("preview/") {
                Some(id) => self.preview(id, query).await,
                None => self.post(path, other.trim_end_matches('/')).await,
            },
        };
        answered.unwrap_or_else(|error| self.refused(&error))
    }

    async fn list(&self, page: Option<&str>) -> Loaded {
        let number = match page.map(str::parse::<u64>) {
            None => 1,
            Some(Ok(1)) => return Ok(redirect(StatusCode::MOVED_PERMANENTLY, "/")),
            Some(Ok(0) | Err(_)) => return Ok(redirect(StatusCode::FOUND, "/")),
            Some(Ok(number)) if number > MAX_PAGE => return Err(Arc::new(PublicationsError::NotFound)),
            Some(Ok(number)) => number,
        };
        let (features, site) = (self.features, self.site);
        let make = async {
            let offset = (number - 1) * POSTS_PER_PAGE;
            let found = features.publications.posts(site, POSTS_PER_PAGE, offset).await?;
            let last = found.total.div_ceil(POSTS_PER_PAGE).max(1);
            if number > last {
                return Err(PublicationsError::NotFound);
            }
            let modified = found.items.iter().map(|post| post.updated_at).max();
            let page = List::new(site, &found.items, number, last);
            Ok(Rendered::new(HTML, html(&page), modified.unwrap_or(Timestamp::UNIX_EPOCH)))
        };
        let page = features.sites.page(site, Place::List(number), make).await?;
        Ok(self.send(&page))
    }

    /// The post that the end of a path names; any other spelling of its address leads to the right one.
    async fn post(&self, path: &str, name: &str) -> Loaded {
        let (features, site) = (self.features, self.site);
        let Some(id) = named(name) else {
            let slug = Slug::parse(name).map_err(|_| PublicationsError::NotFound)?;
            let post = features.publications.by_slug(site, &slug).await?;
            return Ok(redirect(StatusCode::MOVED_PERMANENTLY, &post.path()));
        };
        let make = async {
            let full = features.publications.post(site, &id).await?;
            let page = html(&Article::new(site, &full, false));
            Ok(Rendered::new(HTML, page, full.post.updated_at).at(full.post.path()))
        };
        let page = features.sites.page(site, Place::Post(id.clone()), make).await?;
        match &page.path {
            Some(right) if right != path => Ok(redirect(StatusCode::MOVED_PERMANENTLY, right)),
            _ => Ok(self.send(&page)),
        }
    }

    async fn feed(&self, place: Place, content_type: &'static str) -> Loaded {
        let (features, site) = (self.features, self.site);
        let is_rss = place == Place::Rss;
        let make = Box::pin(async {
            let posts: Vec<FullPost> = features.publications.latest(site, POSTS_IN_FEED).await?;
            let modified = posts.iter().map(|full| full.post.updated_at).max();
            let feed = if is_rss { feeds::rss(site, &posts) } else { feeds::json(site, &posts) };
            Ok(Rendered::new(content_type, feed, modified.unwrap_or(Timestamp::UNIX_EPOCH)))
        });
        let page = features.sites.page(site, place, make).await?;
        Ok(self.send(&page))
    }

    async fn sitemap(&self) -> Loaded {
        let (features, site) = (self.features, self.site);
        let make = async {
            let mut posts = Vec::new();
            for offset in (0..MAX_ADDRESSES).step_by(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
                let found = features.publications.posts(site, BATCH, offset).await?;
                posts.extend(found.items);
                if offset + BATCH >= found.total {
                    break;
                }
            }
            posts.truncate(usize::try_from(MAX_ADDRESSES - 1).unwrap_or(usize::MAX));
            let modified = posts.iter().map(|post| post.published_at).max();
            let sitemap = html(&Sitemap { site, posts: &posts });
            let modified = modified.unwrap_or(Timestamp::UNIX_EPOCH);
            Ok(Rendered::new("application/xml; charset=utf-8", sitemap, modified))
        };
        let page = features.sites.page(site, Place::Sitemap, make).await?;
        Ok(self.send(&page))
    }

    async fn preview(&self, id: &str, query: &PageQuery) -> Loaded {
        let broadcast = BroadcastId::parse(id).map_err(|_| PublicationsError::NotFound)?;
        let expires = query.expires.as_deref().and_then(|text| text.parse().ok());
        let (Some(expires), Some(signature)) = (expires, query.signature.clone()) else {
            return Err(Arc::new(PublicationsError::BadLink));
        };
        let link = Preview { broadcast, expires, signature };
        let full = self.features.publications.preview(self.site, &link).await?;
        let page = html(&Article::new(self.site, &full, true));
        Ok(locked_down(Response::builder())
            .content_type(HTML)
            .header(header::CACHE_CONTROL, "private, no-store")
            .header("x-robots-tag", "noindex, nofollow")
            .body(page))
    }

    fn send(&self, page: &Rendered) -> Response {
        let modified = page.modified.into();
        let response = locked_down(Response::builder())
            .header(header::ETAG, &page.etag)
            .header(header::LAST_MODIFIED, httpdate::fmt_http_date(modified))
            .header(header::CACHE_CONTROL, "public, max-age=0, s-maxage=60, must-revalidate")
            .header(header::VARY, "Accept-Encoding");
        if is_fresh(self.headers, &page.etag, modified) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        let encoding = Encoding::accepted(self.headers);
        let response = response.content_type(page.content_type);
        let response = match encoding.name() {
            Some(name) => response.header(header::CONTENT_ENCODING, name),
            None => response,
        };
        response.body(page.body(encoding))
    }

    /// A page that tells why there is no other.
    fn refused(&self, error: &PublicationsError) -> Response {
        let words = Words::of(&self.site.language);
        let (status, text) = match error.kind() {
            FailureKind::NotFound => (StatusCode::NOT_FOUND, words.missing),
            FailureKind::Unauthenticated => (StatusCode::FORBIDDEN, words.expired),
            FailureKind::Unprocessable => {
                tracing::warn!(workspace.id = %self.site.workspace, %error, "a page cannot be made");
                (StatusCode::INTERNAL_SERVER_ERROR, words.later)
            }
            _ => return unavailable(error),
        };
        locked_down(Response::builder())
            .status(status)
            .content_type(HTML)
            .header(header::CACHE_CONTROL, "no-store")
            .body(html(&Message { site: self.site, words, text }))
    }
}

type Loaded = Result<Response, Arc<PublicationsError>>;

/// The broadcast at the end of a post's path: `slug-` and its identifier.
fn named(name: &str) -> Option<BroadcastId> {
    let (_, id) = name.rsplit_once('-')?;
    BroadcastId::parse(id).ok()
}

fn html(template: &impl Template) -> String {
    template.render().expect("writing into memory does not fail, and no template fails by itself")
}

fn locked_down(response: poem::ResponseBuilder) -> poem::ResponseBuilder {
    response
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::REFERRER_POLICY, "strict-origin-when-cross-origin")
}

fn text(text: String) -> Response {
    Response::builder()
        .content_type("text/plain; charset=utf-8")
        .header(header::CACHE_CONTROL, "public, max-age=3600")
        .body(text)
}

fn redirect(status: StatusCode, path: &str) -> Response {
    Response::builder().status(status).header(header::LOCATION, path).finish()
}

fn unavailable(error: &PublicationsError) -> Response {
    if error.kind() == FailureKind::Internal {
        tracing::error!(error = error as &dyn std::error::Error, "a page failed");
    }
    let after = error.kind().retry_after().map_or(60, |after| after.as_secs().max(1));
    Response::builder()
        .status(StatusCode::SERVICE_UNAVAILABLE)
        .content_type("text/plain; charset=utf-8")
        .header(header::RETRY_AFTER, after)
        .header(header::CACHE_CONTROL, "no-store")
        .body("This page is not available now. Please try again later.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[&'static str]) -> Option<String> {
        let request = pairs.iter().fold(Request::builder(), |builder, value| builder.header("host", *value));
        host(&request.finish())
    }

    #[test]
    fn a_host_is_compared_without_case_port_and_final_dot() {
        assert_eq!(asked(&["News.Shop.example.:8443"]).as_deref(), Some("news.shop.example"));
        assert_eq!(asked(&["[::1]:80"]).as_deref(), Some("[::1]"));
    }

    #[test]
    fn a_host_that_is_none_or_two_names_nothing() {
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["a.example", "b.example"]), None);
        assert_eq!(asked(&["a example"]), None);
    }

    #[test]
    fn the_end_of_a_path_names_the_post() {
        let id = "6f1c0b7e2d9a4c35b8e0f1a2b3c4d5e6";
        assert_eq!(named(&format!("june-news-{id}")).unwrap().to_string(), id);
        assert_eq!(named(&format!("-{id}")).unwrap().to_string(), id);
        for other in ["june", "june-1", "", id] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
