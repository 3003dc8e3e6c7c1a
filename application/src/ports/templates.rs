//! Templates of a workspace.

use super::StoreError;
use async_trait::async_trait;
use domain::{Timestamp, ids::TemplateId, templates::Template};

/// Keeps every version of every template. Deleting hides all versions from the listing.
#[async_trait]
pub trait TemplateStore {
    /// The latest version, unless the template is deleted.
    async fn template(&mut self, id: &TemplateId) -> Result<Option<Template>, StoreError>;

    /// One version, also of a deleted template: mails in the queue still need it.
    async fn template_version(
        &mut self,
        id: &TemplateId,
        version: i64,
    ) -> Result<Option<Template>, StoreError>;

    /// The latest version of every template that is not deleted, last changed first.
    async fn templates(
        &mut self,
        category: Option<&str>,
        channel: Option<&str>,
    ) -> Result<Vec<Template>, StoreError>;

    /// Adds a version. Fails with [`StoreError::Duplicate`] when that version exists, also of a
    /// deleted template.
    async fn insert_template(&mut self, template: &Template) -> Result<(), StoreError>;

    /// Marks all versions as deleted. Answers whether the template was there.
    async fn delete_template(&mut self, id: &TemplateId, now: Timestamp) -> Result<bool, StoreError>;
}
