//! Pages of a workspace.

use crate::{MemorySession, state::WorkspaceState, transactional::counted};
use application::{
    page::Counted,
    ports::{PublicationStore, StoreError},
};
use async_trait::async_trait;
use domain::{Timestamp, broadcasts::Broadcast, slug::Slug};
use std::cmp::Reverse;

#[async_trait]
impl PublicationStore for MemorySession<WorkspaceState> {
    async fn publications(
        &mut self,
        now: Timestamp,
        limit: u64,
        offset: u64,
    ) -> Result<Counted<Broadcast>, StoreError> {
        self.look(|state| {
            let mut found: Vec<_> =
                state.broadcasts.values().filter(|b| b.public_page(now).is_some()).collect();
            found.sort_by_key(|b| (Reverse(b.web.as_ref().and_then(|web| web.published_at)), &b.id));
            counted(&found, limit, offset)
        })
    }

    async fn publication_by_slug(&mut self, slug: &Slug) -> Result<Option<Broadcast>, StoreError> {
        self.look(|state| state.broadcasts.values().find(|b| slug_of(b) == Some(slug)).cloned())
    }
}

/// The slug that nobody else may have.
pub(crate) fn slug_of(broadcast: &Broadcast) -> Option<&Slug> {
    broadcast.web.as_ref().filter(|_| broadcast.channels.web).map(|web| &web.slug)
}
