//! What accounts, workspaces, members, keys and integrations stand on.

use crate::{
    ports::{
        Clock, ConnectionBroker, DkimKeys, IdGenerator, MailRoute, Mailbox, Mailer, Random, SiteChanges,
        Tokens, Vault, WorkspaceDatabases,
    },
    rate_limit::RateLimiter,
};
use domain::email_address::EmailAddress;
use std::sync::Arc;

/// How strict the installation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Nothing is relaxed.
    Production,
    /// For a developer's machine: sign-in codes and invitation tokens are answered to whoever asks
    /// for them, and mail servers may be on private addresses.
    Development,
}

/// What the operator of the installation decided.
#[derive(Debug, Clone)]
pub struct Installation {
    /// How strict it is.
    pub environment: Environment,
    /// The administrator; without one no workspace can be made.
    pub root_email: Option<EmailAddress>,
    /// Public base URL, without a slash at the end.
    pub api_endpoint: String,
    /// How the installation's own mail leaves.
    pub mail_route: MailRoute,
    /// Author of the installation's own mail.
    pub mail_from: Mailbox,
    /// Most workspaces; 0 is no limit.
    pub max_workspaces: u32,
    /// Most people in a workspace, open invitations included; 0 is no limit.
    pub max_users: u32,
}

impl Installation {
    /// Whether [`Environment::Development`] relaxes something.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.environment == Environment::Development
    }

    /// Whether this is the address of the administrator.
    #[must_use]
    pub fn is_root(&self, email: &str) -> bool {
        self.root_email.as_ref().is_some_and(|root| root.as_str() == email)
    }

    /// Host and, when given, port of [`Installation::api_endpoint`].
    #[must_use]
    pub fn api_host(&self) -> &str {
        let behind_scheme = self.api_endpoint.split_once("://").map_or(&*self.api_endpoint, |(_, rest)| rest);
        behind_scheme.split(['/', '?', '#']).next().unwrap_or_default()
    }
}

/// The installation and the ports of the features named above.
pub struct Platform {
    /// What the operator decided.
    pub installation: Installation,
    /// Lends connections.
    pub broker: Arc<dyn ConnectionBroker>,
    /// Makes and drops the databases of workspaces.
    pub databases: Arc<dyn WorkspaceDatabases>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives identifiers.
    pub ids: Arc<dyn IdGenerator>,
    /// Gives codes and keys.
    pub random: Arc<dyn Random>,
    /// Seals and hashes.
    pub vault: Arc<dyn Vault>,
    /// Reads keys that sign mails.
    pub dkim_keys: Arc<dyn DkimKeys>,
    /// Signs and checks tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Sends the installation's own mail.
    pub mailer: Arc<dyn Mailer>,
    /// Counts attempts.
    pub limiter: Arc<RateLimiter>,
    /// Told when the host of a workspace changes.
    pub sites: Arc<dyn SiteChanges>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_the_endpoint_keeps_its_port() {
        let mut installation = Installation {
            environment: Environment::Production,
            root_email: None,
            api_endpoint: "https://mail.shop.example:8443/base".into(),
            mail_route: MailRoute::Outbox,
            mail_from: Mailbox { address: EmailAddress::parse("no-reply@shop.example").unwrap(), name: None },
            max_workspaces: 0,
            max_users: 0,
        };
        assert_eq!(installation.api_host(), "mail.shop.example:8443");
        installation.api_endpoint = "http://localhost".into();
        assert_eq!(installation.api_host(), "localhost");
    }
}
