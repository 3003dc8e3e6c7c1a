//! The bytes of attached files in a workspace.

use super::StoreError;
use async_trait::async_trait;
use domain::Timestamp;
use std::sync::Arc;

/// The bytes of a file under their checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// SHA-256 in lower-case hexadecimal.
    pub checksum: String,
    /// The bytes.
    pub content: Arc<[u8]>,
}

/// Keeps the bytes of files, equal ones once.
#[async_trait]
pub trait AttachmentStore {
    /// Adds bytes that are needed until a moment, give or take a day. What exists is not written
    /// again; when it is needed for over a day longer than before, that is noted.
    async fn insert_contents_if_absent(
        &mut self,
        contents: &[FileContent],
        needed_until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Those of the given checksums that exist, in no particular order.
    async fn contents(&mut self, checksums: &[&str]) -> Result<Vec<FileContent>, StoreError>;

    /// Removes up to `limit` contents that are no longer needed. Answers how many.
    async fn purge_contents(&mut self, now: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// The earliest moment at which a content is no longer needed.
    async fn next_content_purge(&mut self) -> Result<Option<Timestamp>, StoreError>;
}
