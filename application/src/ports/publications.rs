//! Pages of a workspace.

use super::StoreError;
use crate::page::Counted;
use async_trait::async_trait;
use domain::{Timestamp, broadcasts::Broadcast, slug::Slug};

/// Finds the broadcasts that are pages.
#[async_trait]
pub trait PublicationStore {
    /// Broadcasts whose page is public at `now` (see [`Broadcast::public_page`]), the latest published first.
    async fn publications(
        &mut self,
        now: Timestamp,
        limit: u64,
        offset: u64,
    ) -> Result<Counted<Broadcast>, StoreError>;

    /// The broadcast on the web, public or not, whose page has this slug.
    async fn publication_by_slug(&mut self, slug: &Slug) -> Result<Option<Broadcast>, StoreError>;
}
