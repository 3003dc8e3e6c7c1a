//! The use cases behind the operations.

use crate::{SiteCache, bearer::Bearer, problem::Problem};
use application::{
    access::{Access, Caller},
    api_keys::ApiKeys,
    broadcasts::Broadcasts,
    connections::Connections,
    contacts::Contacts,
    deliveries::Deliveries,
    feedback::{ProviderFeedback, Subject},
    integrations::Integrations,
    lists::Lists,
    members::Members,
    messages::Messages,
    publications::Publications,
    readiness::Readiness,
    subscriptions::Subscriptions,
    templates::Templates,
    tracking::{ToWrite, Tracking},
    transactional::Transactional,
    users::{CodeMail, Users},
    workspaces::Workspaces,
};
use domain::{ids::WorkspaceId, validation::Invalid};
use std::{ops::Deref, sync::Arc};
use tracing::Instrument as _;

/// The use cases behind the operations, one field per feature.
pub struct Features {
    /// Who calls.
    pub access: Access,
    /// Keys for programs.
    pub api_keys: ApiKeys,
    /// Newsletters.
    pub broadcasts: Broadcasts,
    /// How the database connections are used.
    pub connections: Connections,
    /// The people that mails go to.
    pub contacts: Contacts,
    /// Mails that are handed over at once.
    pub deliveries: Arc<Deliveries>,
    /// What providers report about mails.
    pub feedback: ProviderFeedback,
    /// E-mail providers of a workspace.
    pub integrations: Integrations,
    /// Lists and the standing of their members.
    pub lists: Lists,
    /// Who belongs to a workspace.
    pub members: Members,
    /// The history of messages.
    pub messages: Messages,
    /// Broadcasts on the web.
    pub publications: Publications,
    /// Copies of their pages. The use cases that change what the public sees must be given the same.
    pub sites: SiteCache,
    /// Whether the installation can serve.
    pub readiness: Readiness,
    /// What contacts may do about their own mails.
    pub subscriptions: Subscriptions,
    /// What mails are made from.
    pub templates: Templates,
    /// Opens and clicks.
    pub tracking: Arc<Tracking>,
    /// Mails that programs ask for.
    pub transactional: Transactional,
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
        Ok(self.access.enter(&bearer.0, &workspace).await?)
    }
}

/// Reads a workspace's identifier and notes it in the span of the request.
pub(crate) fn workspace_id(pointer: &str, text: &str) -> Result<WorkspaceId, Invalid> {
    let id = WorkspaceId::parse(text).map_err(|rule| Invalid::one(pointer, rule))?;
    tracing::Span::current().record("workspace.id", id.as_str());
    Ok(id)
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

    /// Writes opens and clicks down after the answer, when nobody does so already.
    pub(crate) fn write_down(&self, to_write: Option<ToWrite>) {
        if let (Some(features), Some(to_write)) = (self.0.clone(), to_write) {
            tokio::spawn(async move { features.tracking.write_down(to_write).await }.in_current_span());
        }
    }

    /// Tells a provider about a new integration after the answer, for which nobody waits.
    pub(crate) fn introduce(&self, subject: Option<Subject>) {
        if let (Some(features), Some(subject)) = (self.0.clone(), subject) {
            tokio::spawn(async move { features.feedback.introduce(subject).await }.in_current_span());
        }
    }

    /// Tells a provider after the answer that an integration is gone.
    pub(crate) fn take_leave(&self, subject: Option<Subject>) {
        if let (Some(features), Some(subject)) = (self.0.clone(), subject) {
            tokio::spawn(async move { features.feedback.take_leave(subject).await }.in_current_span());
        }
    }

    /// Mails a sign-in code after the answer: how long the mail takes must not tell whether the
    /// address has an account.
    pub(crate) fn mail_code(&self, mail: Option<CodeMail>) {
        if let (Some(features), Some(mail)) = (self.0.clone(), mail) {
            tokio::spawn(async move { features.users.mail_code(mail).await }.in_current_span());
        }
    }
}

impl Deref for Shared {
    type Target = Features;

    fn deref(&self) -> &Features {
        self.0.as_deref().expect("operations are called only through `api`, which has the features")
    }
}
