//! The mails of workspaces: each kind of provider over its own protocol.

use application::ports::{MailRoute, Mailer, OutgoingMail, SendError};
use async_trait::async_trait;
use domain::integrations::ProviderSettings;
use providers::HttpMailer;
use smtp::MailRouter;
use std::sync::Arc;

/// Sends over SMTP or HTTP, as the route says.
pub(super) struct WorkspaceMailer {
    pub(super) smtp: Arc<MailRouter>,
    pub(super) http: HttpMailer,
}

#[async_trait]
impl Mailer for WorkspaceMailer {
    async fn send(&self, route: &MailRoute, mail: &OutgoingMail) -> Result<(), SendError> {
        match route {
            MailRoute::Outbox => self.smtp.send(route, mail).await,
            MailRoute::Provider { settings, .. } => match **settings {
                ProviderSettings::Smtp(_) => self.smtp.send(route, mail).await,
                ProviderSettings::Postmark(_)
                | ProviderSettings::Mailgun(_)
                | ProviderSettings::Sendgrid(_)
                | ProviderSettings::Mailjet(_)
                | ProviderSettings::Sparkpost(_)
                | ProviderSettings::Ses(_) => self.http.send(route, mail).await,
            },
        }
    }
}
