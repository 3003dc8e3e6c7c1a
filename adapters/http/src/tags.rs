//! The groups of operations in the document.

use poem_openapi::Tags;

/// A group of operations.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Whether the server runs.
    Status,
    /// Accounts: signing in and out.
    Users,
    /// Tenants and their settings.
    Workspaces,
    /// Who belongs to a workspace, and who is invited.
    Members,
    /// Keys for programs.
    #[oai(rename = "API keys")]
    ApiKeys,
    /// E-mail providers of a workspace.
    Integrations,
}
