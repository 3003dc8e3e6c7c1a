//! The use cases behind the operations.

use crate::{bearer::Bearer, problem::Problem};
use application::{
    access::{Access, Caller},
    api_keys::ApiKeys,
    integrations::Integrations,
    members::Members,
    readiness::Readiness,
    users::Users,
    workspaces::Workspaces,
};
use domain::{ids::WorkspaceId, validation::Invalid};
use std::{ops::Deref, sync::Arc};

/// The use cases behind the operations, one field per feature.
pub struct Features {
    /// Who calls.
    pub access: Access,
    /// Keys for programs.
    pub api_keys: ApiKeys,
    /// E-mail providers of a workspace.
    pub integrations: Integrations,
    /// Who belongs to a workspace.
    pub members: Members,
    /// Whether the installation can serve.
    pub readiness: Readiness,
    /// Accounts.
    pub users: Users,
    /// Tenants.
    pub workspaces: Workspaces,
}

impl Features {
    /// Lets the caller into the workspace that the member `workspace_id` of the request names.
    pub(crate) async fn enter(&self, bearer: &Bearer, workspace: &str) -> Result<Caller, Problem> {
        self.enter_named(bearer, "/workspace_id", workspace).await
    }

    /// Lets the caller into the workspace that another member of the request names.
    pub(crate) async fn enter_named(
        &self,
        bearer: &Bearer,
        pointer: &str,
        workspace: &str,
    ) -> Result<Caller, Problem> {
        let workspace = workspace_id(pointer, workspace)?;
        tracing::Span::current().record("workspace.id", workspace.as_str());
        Ok(self.access.enter(&bearer.0, &workspace).await?)
    }
}

/// Reads a workspace's identifier.
pub(crate) fn workspace_id(pointer: &str, text: &str) -> Result<WorkspaceId, Invalid> {
    WorkspaceId::parse(text).map_err(|rule| Invalid::one(pointer, rule))
}

/// The features as the operations hold them.
#[derive(Clone)]
pub(crate) struct Shared(Option<Arc<Features>>);

impl Shared {
    pub(crate) fn new(features: Arc<Features>) -> Self {
        Self(Some(features))
    }

    /// For the document alone: operations made of this can be described, not called.
    pub(crate) fn without_features() -> Self {
        Self(None)
    }
}

impl Deref for Shared {
    type Target = Features;

    fn deref(&self) -> &Features {
        self.0.as_deref().expect("operations are called only through `api`, which has the features")
    }
}
