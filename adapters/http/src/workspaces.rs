//! `workspaces.*`: tenants and their settings.

use crate::{
    Bearer, Body, Created, Moment, Problem, Text,
    body::complete,
    features::{Shared, workspace_id},
    integrations::IntegrationBody,
    tags::Tag,
};
use application::workspaces::{WorkspaceDraft, WorkspaceView};
use domain::{
    ids::IntegrationId,
    languages::Language,
    timezones::Timezone,
    validation::{Check, Invalid},
    workspaces::WorkspaceSettings,
};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use std::collections::BTreeMap;

pub(crate) struct WorkspacesApi(pub(crate) Shared);

/// What the owner of a workspace chooses. In an update everything is replaced: what is left out is
/// cleared.
#[derive(Object)]
#[oai(rename = "WorkspaceSettings", skip_serializing_if_is_none)]
struct SettingsBody {
    /// The organisation's site.
    #[oai(nullable)]
    website_url: Option<Text>,
    /// Shown on public pages.
    #[oai(nullable)]
    logo_url: Option<Text>,
    /// Shown on public pages.
    #[oai(nullable)]
    cover_url: Option<Text>,
    /// An IANA time zone.
    timezone: Text,
    /// One of `languages`.
    default_language: Text,
    /// All languages that content may be in.
    languages: Vec<Text>,
    /// Whether opens and clicks are recorded. A new workspace begins with true.
    #[oai(default)]
    email_tracking_enabled: bool,
    /// The e-mail integration for transactional mail.
    #[oai(nullable)]
    transactional_email_provider_id: Option<Text>,
    /// The e-mail integration for broadcasts.
    #[oai(nullable)]
    marketing_email_provider_id: Option<Text>,
    /// Public base URL of the workspace's own domain.
    #[oai(nullable)]
    custom_endpoint_url: Option<Text>,
    /// Labels by name of a custom contact field.
    #[oai(nullable)]
    custom_field_labels: Option<BTreeMap<String, Text>>,
}

/// A workspace to make or to change.
#[derive(Object)]
#[oai(rename = "WorkspaceDraft")]
struct DraftBody {
    /// 1 to 20 lower-case letters and digits; stays for good.
    id: Text,
    /// 1 to 32 characters.
    name: Text,
    settings: SettingsBody,
}

#[derive(Object)]
struct WorkspaceIdBody {
    id: Text,
}

/// A workspace. Secrets are never part of it.
#[derive(Object)]
#[oai(rename = "Workspace")]
pub(crate) struct WorkspaceBody {
    id: String,
    name: String,
    settings: SettingsBody,
    integrations: Vec<IntegrationBody>,
    created_at: Moment,
    updated_at: Moment,
}

#[derive(Object)]
struct WorkspaceAnswer {
    workspace: WorkspaceBody,
}

#[derive(Object)]
#[oai(rename = "WorkspaceDeleted")]
struct DeletedAnswer {
    /// Always `success`.
    status: String,
}

#[OpenApi(tag = "Tag::Workspaces")]
impl WorkspacesApi {
    /// Lists the workspaces of the caller
    #[oai(path = "/workspaces.list", method = "get", operation_id = "workspacesList")]
    async fn list(&self, bearer: Bearer) -> Result<Json<Vec<WorkspaceBody>>, Problem> {
        let workspaces = self.0.workspaces.list(&bearer.0).await?;
        Ok(Json(workspaces.into_iter().map(Into::into).collect()))
    }

    /// Gives one workspace
    #[oai(path = "/workspaces.get", method = "get", operation_id = "workspacesGet")]
    async fn get(
        &self,
        bearer: Bearer,
        /// The workspace.
        id: Query<String>,
    ) -> Result<Json<WorkspaceAnswer>, Problem> {
        let caller = self.0.enter_named(&bearer, "/id", &id.0).await?;
        let workspace = self.0.workspaces.get(&caller).await?.into();
        Ok(Json(WorkspaceAnswer { workspace }))
    }

    /// Makes a workspace with its database
    ///
    /// For root only, who becomes its owner. When an earlier attempt was interrupted, the same
    /// request carries on.
    #[oai(path = "/workspaces.create", method = "post", operation_id = "workspacesCreate")]
    async fn create(
        &self,
        bearer: Bearer,
        Body(body): Body<DraftBody>,
    ) -> Result<Created<WorkspaceBody>, Problem> {
        let id = workspace_id("/id", &body.id.0)?;
        let workspace = self.0.workspaces.create(&bearer.0, id, body.try_into()?).await?;
        Ok(Created(workspace.into()))
    }

    /// Replaces name and settings
    #[oai(path = "/workspaces.update", method = "post", operation_id = "workspacesUpdate")]
    async fn update(
        &self,
        bearer: Bearer,
        Body(body): Body<DraftBody>,
    ) -> Result<Json<WorkspaceBody>, Problem> {
        let caller = self.0.enter_named(&bearer, "/id", &body.id.0).await?;
        let workspace = self.0.workspaces.update(&caller, body.try_into()?).await?;
        Ok(Json(workspace.into()))
    }

    /// Removes a workspace with its database
    ///
    /// When an earlier attempt was interrupted, the same request carries on.
    #[oai(path = "/workspaces.delete", method = "post", operation_id = "workspacesDelete")]
    async fn delete(
        &self,
        bearer: Bearer,
        Body(body): Body<WorkspaceIdBody>,
    ) -> Result<Json<DeletedAnswer>, Problem> {
        let id = workspace_id("/id", &body.id.0)?;
        self.0.workspaces.delete(&bearer.0, &id).await?;
        Ok(Json(DeletedAnswer { status: "success".to_owned() }))
    }
}

impl TryFrom<DraftBody> for WorkspaceDraft {
    type Error = Invalid;

    fn try_from(body: DraftBody) -> Result<Self, Invalid> {
        let settings = WorkspaceSettings::try_from(body.settings).map_err(|e| e.below("/settings"))?;
        Ok(Self { name: body.name.0, settings })
    }
}

impl TryFrom<SettingsBody> for WorkspaceSettings {
    type Error = Invalid;

    fn try_from(body: SettingsBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let timezone = check.field("/timezone", Timezone::parse(&body.timezone.0));
        let default_language = check.field("/default_language", Language::parse(&body.default_language.0));
        let mut languages = Vec::new();
        for (n, code) in body.languages.iter().enumerate() {
            languages.extend(check.field(&format!("/languages/{n}"), Language::parse(&code.0)));
        }
        let mut provider = |pointer: &str, id: Option<Text>| {
            filled(id).and_then(|id| check.field(pointer, IntegrationId::parse(&id)))
        };
        let transactional =
            provider("/transactional_email_provider_id", body.transactional_email_provider_id);
        let marketing = provider("/marketing_email_provider_id", body.marketing_email_provider_id);
        let labels = body.custom_field_labels.unwrap_or_default();
        let made = || {
            Some(Self {
                website_url: filled(body.website_url),
                logo_url: filled(body.logo_url),
                cover_url: filled(body.cover_url),
                email_tracking_enabled: body.email_tracking_enabled,
                transactional_email_provider_id: transactional,
                marketing_email_provider_id: marketing,
                custom_endpoint_url: filled(body.custom_endpoint_url),
                custom_field_labels: labels.into_iter().map(|(field, label)| (field, label.0)).collect(),
                ..Self::new(timezone?, default_language?, languages)
            })
        };
        complete(check, made())
    }
}

/// A text that says something: absent and blank mean the same.
fn filled(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0.trim().to_owned()).filter(|text| !text.is_empty())
}

impl From<WorkspaceView> for WorkspaceBody {
    fn from(view: WorkspaceView) -> Self {
        let workspace = view.workspace;
        Self {
            id: workspace.id.to_string(),
            name: workspace.name,
            settings: workspace.settings.into(),
            integrations: view.integrations.into_iter().map(Into::into).collect(),
            created_at: workspace.created_at.into(),
            updated_at: workspace.updated_at.into(),
        }
    }
}

impl From<WorkspaceSettings> for SettingsBody {
    fn from(settings: WorkspaceSettings) -> Self {
        let provider = |id: Option<IntegrationId>| id.map(|id| Text(id.to_string()));
        let labels: BTreeMap<_, _> =
            settings.custom_field_labels.into_iter().map(|(field, label)| (field, Text(label))).collect();
        Self {
            website_url: settings.website_url.map(Text),
            logo_url: settings.logo_url.map(Text),
            cover_url: settings.cover_url.map(Text),
            timezone: settings.timezone.name().into(),
            default_language: settings.default_language.as_str().into(),
            languages: settings.languages.iter().map(|language| language.as_str().into()).collect(),
            email_tracking_enabled: settings.email_tracking_enabled,
            transactional_email_provider_id: provider(settings.transactional_email_provider_id),
            marketing_email_provider_id: provider(settings.marketing_email_provider_id),
            custom_endpoint_url: settings.custom_endpoint_url.map(Text),
            custom_field_labels: Some(labels).filter(|labels| !labels.is_empty()),
        }
    }
}
