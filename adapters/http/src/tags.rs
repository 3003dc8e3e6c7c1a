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
    /// The people that mails go to.
    Contacts,
    /// Lists and the standing of their members.
    Lists,
    /// What mails are made from.
    Templates,
    /// Mails that a program asks for, one contact at a time.
    Transactional,
    /// Newsletters to the members of a list.
    Broadcasts,
    /// The history of messages.
    Messages,
}
