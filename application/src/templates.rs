//! Templates: versions and previews.

use crate::{
    access::{Caller, Denied},
    directory::active_workspace,
    failure::{Failure, FailureKind},
    links::UtmLinks,
    ports::{
        Clock, CompileError, CompileRequest, Compiled, ConnectionBroker, LinkPolicy, Purpose, Renderer,
        SiteChanges, StoreError,
    },
};
use domain::{
    ids::TemplateId,
    languages::Language,
    permissions::{Permission, Resource},
    templates::{EditorModeChanged, Template, TemplateContent, TemplateDraft},
    utm::UtmParameters,
    validation::{FieldProblem, Invalid},
};
use std::sync::Arc;

/// The use cases of templates.
pub struct Templates {
    broker: Arc<dyn ConnectionBroker>,
    clock: Arc<dyn Clock>,
    renderer: Arc<dyn Renderer>,
    sites: Arc<dyn SiteChanges>,
}

/// Why a use case of templates failed.
#[derive(Debug, thiserror::Error)]
pub enum TemplatesError {
    /// No template has this identifier, or not this version.
    #[error("Template not found")]
    NotFound,
    /// The identifier is taken, perhaps by a deleted template.
    #[error("Template id already exists")]
    Taken,
    /// Another update of the template came first.
    #[error("the template was changed at the same time; read it again and repeat the update")]
    ChangedMeanwhile,
    /// An integration manages the template.
    #[error("the template belongs to an integration and cannot be deleted")]
    Managed,
    /// The editor mode of a template never changes.
    #[error(transparent)]
    EditorMode(#[from] EditorModeChanged),
    /// The input breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for TemplatesError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound => FailureKind::NotFound,
            Self::Taken | Self::ChangedMeanwhile | Self::Managed => FailureKind::Conflict,
            Self::EditorMode(_) => FailureKind::Invalid,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "template-not-found",
            Self::Taken => "template-id-taken",
            Self::ChangedMeanwhile => "template-changed-meanwhile",
            Self::Managed => "template-managed",
            Self::EditorMode(_) => "template-editor-mode",
            Self::Invalid(e) => e.code(),
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn problems(&self) -> &[FieldProblem] {
        match self {
            Self::Invalid(e) => e.problems(),
            _ => &[],
        }
    }
}

impl Templates {
    /// Takes its ports.
    pub fn new(
        broker: Arc<dyn ConnectionBroker>,
        clock: Arc<dyn Clock>,
        renderer: Arc<dyn Renderer>,
        sites: Arc<dyn SiteChanges>,
    ) -> Self {
        Self { broker, clock, renderer, sites }
    }

    /// Stores the first version of a template.
    ///
    /// # Errors
    /// Without `templates:write`, when the identifier is taken, or the draft breaks a rule.
    #[tracing::instrument(name = "templates.create", skip_all)]
    pub async fn create(&self, caller: &Caller, draft: TemplateDraft) -> Result<Template, TemplatesError> {
        caller.require(Permission::Write(Resource::Templates))?;
        draft.check(&self.languages(caller).await?)?;
        let template = self.previewed(draft.into_first_version(self.clock.now()));
        let mut store =
            self.broker.write(&caller.workspace, Purpose::interactive("templates.create")).await?;
        store.insert_template(&template).await.map_err(|e| taken(e, TemplatesError::Taken))?;
        store.commit().await?;
        Ok(template)
    }

    /// Stores the next version of a template.
    ///
    /// # Errors
    /// Without `templates:write`, when there is none, or the draft breaks a rule.
    #[tracing::instrument(name = "templates.update", skip_all)]
    pub async fn update(&self, caller: &Caller, draft: TemplateDraft) -> Result<Template, TemplatesError> {
        caller.require(Permission::Write(Resource::Templates))?;
        draft.check(&self.languages(caller).await?)?;
        let mut store =
            self.broker.write(&caller.workspace, Purpose::interactive("templates.update")).await?;
        let latest = store.template(&draft.id).await?.ok_or(TemplatesError::NotFound)?;
        let template = self.previewed(draft.into_next_version(&latest, self.clock.now())?);
        store.insert_template(&template).await.map_err(|e| taken(e, TemplatesError::ChangedMeanwhile))?;
        store.commit().await?;
        self.sites.changed(&caller.workspace);
        Ok(template)
    }

    /// One version of a template, by default the latest.
    ///
    /// # Errors
    /// Without `templates:read`, or when there is none.
    #[tracing::instrument(name = "templates.get", skip_all)]
    pub async fn get(
        &self,
        caller: &Caller,
        id: &TemplateId,
        version: Option<i64>,
    ) -> Result<Template, TemplatesError> {
        caller.require(Permission::Read(Resource::Templates))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("templates.get")).await?;
        let latest = store.template(id).await?.ok_or(TemplatesError::NotFound)?;
        match version {
            Some(version) if version > 0 && version != latest.version => {
                store.template_version(id, version).await?.ok_or(TemplatesError::NotFound)
            }
            _ => Ok(latest),
        }
    }

    /// The latest version of every template.
    ///
    /// # Errors
    /// Without `templates:read`, or when the store fails.
    #[tracing::instrument(name = "templates.list", skip_all)]
    pub async fn list(
        &self,
        caller: &Caller,
        category: Option<&str>,
        channel: Option<&str>,
    ) -> Result<Vec<Template>, TemplatesError> {
        caller.require(Permission::Read(Resource::Templates))?;
        let mut store = self.broker.read(&caller.workspace, Purpose::interactive("templates.list")).await?;
        Ok(store.templates(category, channel).await?)
    }

    /// Removes a template. Mails that wait in the queue are still made from it.
    ///
    /// # Errors
    /// Without `templates:write`, when there is none, or an integration manages it.
    #[tracing::instrument(name = "templates.delete", skip_all)]
    pub async fn delete(&self, caller: &Caller, id: &TemplateId) -> Result<(), TemplatesError> {
        caller.require(Permission::Write(Resource::Templates))?;
        let mut store =
            self.broker.write(&caller.workspace, Purpose::interactive("templates.delete")).await?;
        let template = store.template(id).await?.ok_or(TemplatesError::NotFound)?;
        if template.integration.is_some() {
            return Err(TemplatesError::Managed);
        }
        store.delete_template(id, self.clock.now()).await?;
        store.commit().await?;
        self.sites.changed(&caller.workspace);
        Ok(())
    }

    /// Compiles a content for a preview. The inner result tells what is wrong with the content.
    ///
    /// # Errors
    /// Without `templates:read`.
    #[tracing::instrument(name = "templates.compile", skip_all)]
    pub async fn compile(
        &self,
        caller: &Caller,
        request: &CompileRequest,
        utm: UtmParameters,
    ) -> Result<Result<Compiled, CompileError>, TemplatesError> {
        caller.require(Permission::Read(Resource::Templates))?;
        let links = (!utm.is_empty()).then(|| Arc::new(UtmLinks::new(utm)) as Arc<dyn LinkPolicy>);
        Ok(self.renderer.compile(request, links).await)
    }

    async fn languages(&self, caller: &Caller) -> Result<Vec<Language>, StoreError> {
        let purpose = Purpose::interactive("templates.languages");
        Ok(active_workspace(self.broker.as_ref(), &caller.workspace, purpose).await?.settings.languages)
    }

    fn previewed(&self, mut template: Template) -> Template {
        for content in std::iter::once(&mut template.content).chain(template.translations.values_mut()) {
            if let TemplateContent::Email(email) = content
                && email.compiled_preview.as_deref().is_none_or(str::is_empty)
            {
                email.compiled_preview = Some(self.renderer.mjml(email));
            }
        }
        template
    }
}

fn taken(error: StoreError, otherwise: TemplatesError) -> TemplatesError {
    match error {
        StoreError::Duplicate => otherwise,
        other => other.into(),
    }
}
