//! Copies of what the public sees: which workspace answers on a host, and its pages.

use super::conditional::Encoding;
use application::{
    ports::SiteChanges,
    publications::{PublicationsError, Site},
};
use bytes::Bytes;
use domain::{
    Timestamp,
    ids::{BroadcastId, WorkspaceId},
};
use moka::future::Cache;
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
    io::Write as _,
    sync::Arc,
    time::Duration,
};

/// How old a copy may become: how late a change made in another process is seen.
const MAX_AGE: Duration = Duration::from_mins(1);
/// Hosts to remember, unknown ones included.
const MAX_HOSTS: u64 = 10_000;
/// What all pages may take together, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Names a page of a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    List(u64),
    Post(BroadcastId),
    Rss,
    JsonFeed,
    Sitemap,
}

/// A page, ready to be sent.
pub(super) struct Rendered {
    pub(super) content_type: &'static str,
    pub(super) etag: String,
    pub(super) modified: Timestamp,
    /// The path it belongs to, when others lead to it.
    pub(super) path: Option<String>,
    identity: Bytes,
    gzip: Bytes,
    brotli: Bytes,
}

impl Rendered {
    pub(super) fn new(content_type: &'static str, text: String, modified: Timestamp) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let etag = format!("W/\"{:016x}-{:x}\"", hasher.finish(), text.len());
        let (gzip, brotli) = (gzip(text.as_bytes()), brotli(text.as_bytes()));
        Self { content_type, etag, modified, path: None, identity: text.into(), gzip, brotli }
    }

    /// The same, belonging to this path.
    pub(super) fn at(self, path: String) -> Self {
        Self { path: Some(path), ..self }
    }

    pub(super) fn body(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Identity => &self.identity,
            Encoding::Gzip => &self.gzip,
            Encoding::Brotli => &self.brotli,
        }
        .clone()
    }

    fn size(&self) -> u32 {
        let bytes = self.identity.len() + self.gzip.len() + self.brotli.len() + 256;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing into memory does not fail").into()
}

fn brotli(bytes: &[u8]) -> Bytes {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &params).expect("writing into memory does not fail");
    out.into()
}

type Loaded<T> = Result<T, Arc<PublicationsError>>;

/// Remembers hosts and pages. Clones share the memory.
#[derive(Clone)]
pub struct SiteCache {
    hosts: Cache<String, Option<Arc<Site>>>,
    pages: Cache<(WorkspaceId, Place), Arc<Rendered>>,
}

impl Default for SiteCache {
    fn default() -> Self {
        let hosts = Cache::builder().max_capacity(MAX_HOSTS).time_to_live(MAX_AGE);
        let pages = Cache::builder()
            .weigher(|_, page: &Arc<Rendered>| page.size())
            .max_capacity(MAX_BYTES)
            .time_to_live(MAX_AGE)
            .support_invalidation_closures();
        Self { hosts: hosts.build(), pages: pages.build() }
    }
}

impl SiteCache {
    /// What answers on a host; asked at the same time, it is loaded once.
    pub(super) async fn site(
        &self,
        host: String,
        load: impl Future<Output = Result<Option<Site>, PublicationsError>>,
    ) -> Loaded<Option<Arc<Site>>> {
        self.hosts.try_get_with(host, async { Ok(load.await?.map(Arc::new)) }).await
    }

    /// A page; asked at the same time, it is made once.
    pub(super) async fn page(
        &self,
        site: &Site,
        place: Place,
        make: impl Future<Output = Result<Rendered, PublicationsError>>,
    ) -> Loaded<Arc<Rendered>> {
        let key = (site.workspace.clone(), place);
        self.pages.try_get_with(key, async { make.await.map(Arc::new) }).await
    }
}

impl SiteChanges for SiteCache {
    fn changed(&self, workspace: &WorkspaceId) {
        // a host may be new to the workspace, hence unknown here
        self.hosts.invalidate_all();
        let changed = workspace.clone();
        let told = self.pages.invalidate_entries_if(move |(workspace, _), _| *workspace == changed);
        if let Err(error) = told {
            tracing::error!(%error, "pages could not be forgotten; all of them are");
            self.pages.invalidate_all();
        }
    }
}
