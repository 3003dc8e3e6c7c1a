//! The bytes of attached files in a workspace.

use crate::{
    MemorySession,
    state::{KeptContent, WorkspaceState},
};
use application::ports::{AttachmentStore, FileContent, StoreError};
use async_trait::async_trait;
use chrono::Duration;
use domain::Timestamp;

#[async_trait]
impl AttachmentStore for MemorySession<WorkspaceState> {
    async fn insert_contents_if_absent(
        &mut self,
        contents: &[FileContent],
        needed_until: Timestamp,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|state| {
            for FileContent { checksum, content } in contents {
                let kept = state
                    .contents
                    .entry(checksum.clone())
                    .or_insert_with(|| KeptContent { content: content.clone(), needed_until });
                if kept.needed_until < needed_until - Duration::days(1) {
                    kept.needed_until = needed_until;
                }
            }
            Ok(())
        })
    }

    async fn contents(&mut self, checksums: &[&str]) -> Result<Vec<FileContent>, StoreError> {
        self.look(|state| {
            let kept = state.contents.iter().filter(|(checksum, _)| checksums.contains(&checksum.as_str()));
            kept.map(|(checksum, kept)| FileContent {
                checksum: checksum.clone(),
                content: kept.content.clone(),
            })
            .collect()
        })
    }

    async fn purge_contents(&mut self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.change(|state| {
            let old = state.contents.iter().filter(|(_, kept)| kept.needed_until <= now);
            let mut old: Vec<_> = old.map(|(checksum, kept)| (kept.needed_until, checksum.clone())).collect();
            old.sort();
            old.truncate(limit);
            for (_, checksum) in &old {
                state.contents.remove(checksum);
            }
            Ok(old.len() as u64)
        })
    }

    async fn next_content_purge(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.look(|state| state.contents.values().map(|kept| kept.needed_until).min())
    }
}
