//! Templates of a workspace.

use crate::{
    MemorySession,
    state::{Kept, WorkspaceState},
};
use application::ports::{StoreError, TemplateStore};
use async_trait::async_trait;
use domain::{Timestamp, ids::TemplateId, templates::Template};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
};

#[async_trait]
impl TemplateStore for MemorySession<WorkspaceState> {
    async fn template(&mut self, id: &TemplateId) -> Result<Option<Template>, StoreError> {
        self.look(|state| state.latest_templates().remove(id).cloned())
    }

    async fn template_version(
        &mut self,
        id: &TemplateId,
        version: i64,
    ) -> Result<Option<Template>, StoreError> {
        self.look(|state| state.templates.get(&(id.clone(), version)).map(|t| t.ever().clone()))
    }

    async fn templates(
        &mut self,
        category: Option<&str>,
        channel: Option<&str>,
    ) -> Result<Vec<Template>, StoreError> {
        self.look(|state| {
            let mut found: Vec<_> = state
                .latest_templates()
                .into_values()
                .filter(|t| category.is_none_or(|category| t.category == category))
                .filter(|t| channel.is_none_or(|channel| t.content.channel() == channel))
                .cloned()
                .collect();
            found.sort_by_key(|t| Reverse(t.updated_at));
            found
        })
    }

    async fn insert_template(&mut self, template: &Template) -> Result<(), StoreError> {
        self.change(|state| match state.templates.entry((template.id.clone(), template.version)) {
            Entry::Occupied(_) => Err(StoreError::Duplicate),
            Entry::Vacant(place) => {
                place.insert(Kept::new(template.clone()));
                Ok(())
            }
        })
    }

    async fn delete_template(&mut self, id: &TemplateId, now: Timestamp) -> Result<bool, StoreError> {
        self.change(|state| {
            let versions = state.templates.iter_mut().filter(|((template, _), _)| template == id);
            Ok(versions.fold(false, |was_live, (_, version)| version.delete(now) || was_live))
        })
    }
}

impl WorkspaceState {
    /// Versions ascend in the table, so the last one read of each template is its latest.
    fn latest_templates(&self) -> BTreeMap<TemplateId, &Template> {
        self.templates.iter().filter_map(|((id, _), kept)| Some((id.clone(), kept.live()?))).collect()
    }
}
