//! Tenants: making, changing and removing them.

mod starter;
mod steps;

use crate::{
    access::{Caller, Denied, Identity},
    failure::{Failure, FailureKind},
    platform::Platform,
    ports::{Purpose, StoreError, SystemStore},
};
use domain::{
    Timestamp,
    ids::{IntegrationId, WorkspaceId},
    integrations::Integration,
    permissions::{Permission, Permissions, Resource, Role},
    users::Member,
    validation::{Check, FieldProblem, Invalid, required_text},
    workspaces::{Workspace, WorkspaceSettings, WorkspaceState},
};
use std::sync::Arc;

/// The use cases of workspaces.
pub struct Workspaces {
    platform: Arc<Platform>,
}

/// Why a use case of workspaces failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkspacesError {
    /// No such workspace.
    #[error("no workspace has this id")]
    NotFound,
    /// The identifier is taken.
    #[error("a workspace with this id exists; choose another id")]
    Taken,
    /// The installation has as many workspaces as its operator allows.
    #[error("the workspace limit of this installation ({0}) is reached")]
    Quota(u32),
    /// Another workspace answers on this host.
    #[error("custom_endpoint_url: another workspace uses this host; choose another one")]
    HostTaken,
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

impl Failure for WorkspacesError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotFound => FailureKind::NotFound,
            Self::Taken | Self::HostTaken => FailureKind::Conflict,
            Self::Quota(_) => FailureKind::Forbidden,
            Self::Invalid(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "workspace-not-found",
            Self::Taken => "workspace-id-taken",
            Self::Quota(_) => "workspace-limit",
            Self::HostTaken => "workspace-host-taken",
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

/// A workspace with its integrations, secrets sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceView {
    /// The workspace.
    pub workspace: Workspace,
    /// Its integrations, oldest first.
    pub integrations: Vec<Integration>,
}

/// What a client gives of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceDraft {
    /// See [`Workspace::name`].
    pub name: String,
    /// See [`Workspace::settings`].
    pub settings: WorkspaceSettings,
}

impl WorkspaceDraft {
    fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.field("/name", required_text(&self.name, 32));
        check.nested("/settings", self.settings.check());
        check.finish()
    }

    fn fill(self, workspace: &mut Workspace, now: Timestamp) {
        self.name.trim().clone_into(&mut workspace.name);
        workspace.settings = self.settings;
        workspace.updated_at = now;
    }
}

impl Workspaces {
    /// Takes its ports.
    #[must_use]
    pub fn new(platform: Arc<Platform>) -> Self {
        Self { platform }
    }

    /// The workspaces of the caller, newest first.
    ///
    /// # Errors
    /// When the store fails.
    #[tracing::instrument(name = "workspaces.list", skip_all)]
    pub async fn list(&self, identity: &Identity) -> Result<Vec<WorkspaceView>, WorkspacesError> {
        let mut store = self.platform.broker.read_system(Purpose::interactive("workspaces.list")).await?;
        let workspaces = store.workspaces_of(identity.user).await?;
        Ok(with_integrations(&mut *store, workspaces).await?)
    }

    /// The workspace of the caller.
    ///
    /// # Errors
    /// Without `workspace:read`.
    #[tracing::instrument(name = "workspaces.get", skip_all)]
    pub async fn get(&self, caller: &Caller) -> Result<WorkspaceView, WorkspacesError> {
        caller.require(Permission::Read(Resource::Workspace))?;
        let mut store = self.platform.broker.read_system(Purpose::interactive("workspaces.get")).await?;
        let workspace = store.workspace(&caller.workspace).await?.ok_or(WorkspacesError::NotFound)?;
        view(&mut *store, workspace).await
    }

    /// Makes a workspace with its database; the caller becomes its owner. When an earlier attempt
    /// was interrupted, the same call carries on. Tracking is on and no provider is chosen yet.
    ///
    /// # Errors
    /// For others than root, when the identifier is taken, a rule is broken or the quota reached.
    #[tracing::instrument(name = "workspaces.create", skip_all)]
    pub async fn create(
        &self,
        identity: &Identity,
        id: WorkspaceId,
        mut draft: WorkspaceDraft,
    ) -> Result<WorkspaceView, WorkspacesError> {
        identity.require_root()?;
        draft.settings.email_tracking_enabled = true;
        draft.settings.transactional_email_provider_id = None;
        draft.settings.marketing_email_provider_id = None;
        draft.settings.custom_endpoint_url = None;
        draft.settings.custom_field_labels.clear();
        draft.check()?;
        self.register(identity, &id, draft).await?;
        self.finish_creation(&id).await?;
        self.add_starter_content(identity, &id).await;
        let mut store = self.platform.broker.read_system(Purpose::interactive("workspaces.create")).await?;
        let workspace = store.workspace(&id).await?.ok_or(WorkspacesError::NotFound)?;
        view(&mut *store, workspace).await
    }

    /// Replaces name and settings.
    ///
    /// # Errors
    /// For others than owners, when a rule is broken, a provider is unknown or the host is taken.
    #[tracing::instrument(name = "workspaces.update", skip_all)]
    pub async fn update(
        &self,
        caller: &Caller,
        draft: WorkspaceDraft,
    ) -> Result<WorkspaceView, WorkspacesError> {
        caller.require(Permission::Own)?;
        draft.check()?;
        let now = self.platform.clock.now();
        let mut store = self.platform.broker.write_system(Purpose::interactive("workspaces.update")).await?;
        let mut workspace = store.workspace(&caller.workspace).await?.ok_or(WorkspacesError::NotFound)?;
        let integrations = store.integrations(std::slice::from_ref(&caller.workspace)).await?;
        check_providers(&draft.settings, &integrations)?;
        draft.fill(&mut workspace, now);
        store.update_workspace(&workspace).await.map_err(|e| match e {
            StoreError::Duplicate => WorkspacesError::HostTaken,
            other => other.into(),
        })?;
        store.commit().await?;
        self.platform.sites.changed(&caller.workspace);
        Ok(WorkspaceView { workspace, integrations })
    }

    /// Removes a workspace with its database. When an earlier attempt was interrupted, the same
    /// call carries on; hence it takes also a workspace that nobody can enter any more.
    ///
    /// # Errors
    /// For others than owners.
    #[tracing::instrument(name = "workspaces.delete", skip_all)]
    pub async fn delete(&self, identity: &Identity, id: &WorkspaceId) -> Result<(), WorkspacesError> {
        let mut store = self.platform.broker.write_system(Purpose::interactive("workspaces.delete")).await?;
        let workspace = store.workspace(id).await?;
        let member = store.member(id, identity.user).await?;
        let mut workspace = match (workspace, member) {
            (Some(workspace), Some(member)) if member.role == Role::Owner => workspace,
            (Some(_), Some(_)) => return Err(Denied::Permission(Permission::Own).into()),
            (None, _) if identity.is_root => return Err(WorkspacesError::NotFound),
            _ => return Err(Denied::NotMember.into()),
        };
        workspace.state = WorkspaceState::Deleting;
        workspace.updated_at = self.platform.clock.now();
        store.update_workspace(&workspace).await?;
        store.commit().await?;
        self.finish_deletion(id).await?;
        self.platform.sites.changed(id);
        Ok(())
    }

    /// Writes the workspace and its owner, or finds what an interrupted attempt has written.
    async fn register(
        &self,
        identity: &Identity,
        id: &WorkspaceId,
        draft: WorkspaceDraft,
    ) -> Result<(), WorkspacesError> {
        let platform = &self.platform;
        let now = platform.clock.now();
        let mut store = platform.broker.write_system(Purpose::interactive("workspaces.create")).await?;
        let all = store.workspaces().await?;
        if let Some(mut begun) = all.iter().find(|w| w.id == *id).cloned() {
            if begun.state != WorkspaceState::Creating {
                return Err(WorkspacesError::Taken);
            }
            draft.fill(&mut begun, now);
            store.update_workspace(&begun).await?;
        } else {
            let max = platform.installation.max_workspaces;
            if max > 0 && all.len() >= max as usize {
                return Err(WorkspacesError::Quota(max));
            }
            let workspace = Workspace {
                id: id.clone(),
                name: draft.name.trim().to_owned(),
                settings: draft.settings,
                secret_key: platform.vault.seal(&platform.random.secret_key()),
                state: WorkspaceState::Creating,
                created_at: now,
                updated_at: now,
            };
            store.insert_workspace(&workspace).await.map_err(|e| match e {
                StoreError::Duplicate => WorkspacesError::Taken,
                other => other.into(),
            })?;
        }
        if store.member(id, identity.user).await?.is_none() {
            let owner = Member {
                user: identity.user,
                workspace: id.clone(),
                role: Role::Owner,
                permissions: Permissions::all(),
                created_at: now,
                updated_at: now,
            };
            store.insert_member(&owner).await?;
        }
        store.commit().await?;
        Ok(())
    }
}

fn check_providers(settings: &WorkspaceSettings, integrations: &[Integration]) -> Result<(), Invalid> {
    let mut check = Check::default();
    let known = |id: Option<IntegrationId>| id.is_none_or(|id| integrations.iter().any(|i| i.id == id));
    for (field, id) in [
        ("transactional_email_provider_id", settings.transactional_email_provider_id),
        ("marketing_email_provider_id", settings.marketing_email_provider_id),
    ] {
        check.require(
            known(id),
            &format!("/settings/{field}"),
            "names no e-mail integration of this workspace",
        );
    }
    check.finish()
}

async fn view(store: &mut dyn SystemStore, workspace: Workspace) -> Result<WorkspaceView, WorkspacesError> {
    let integrations = store.integrations(std::slice::from_ref(&workspace.id)).await?;
    Ok(WorkspaceView { workspace, integrations })
}

/// Adds to each workspace its integrations, with one query for all.
pub(crate) async fn with_integrations(
    store: &mut dyn SystemStore,
    workspaces: Vec<Workspace>,
) -> Result<Vec<WorkspaceView>, StoreError> {
    let ids: Vec<WorkspaceId> = workspaces.iter().map(|w| w.id.clone()).collect();
    let mut all = if ids.is_empty() { Vec::new() } else { store.integrations(&ids).await? };
    let views = workspaces.into_iter().map(|workspace| {
        let integrations = all.extract_if(.., |i| i.workspace == workspace.id).collect();
        WorkspaceView { workspace, integrations }
    });
    Ok(views.collect())
}
