//! Trying a provider before it is kept.

use super::{IntegrationDraft, Integrations, IntegrationsError};
use crate::{
    access::Caller,
    ports::{DkimIdentity, MailRoute, Mailbox, OutgoingMail, SendError},
};
use domain::{
    dkim::domain_of,
    email_address::EmailAddress,
    ids::MessageId,
    permissions::{Permission, Resource},
    validation::Invalid,
};
use std::sync::Arc;

impl Integrations {
    /// Sends a fixed mail from the first sender of a draft, which is not kept. The inner error is
    /// the provider's.
    ///
    /// # Errors
    /// For those who may not change the workspace, or when a rule is broken: every secret must be
    /// given.
    #[tracing::instrument(name = "integrations.test", skip_all)]
    pub async fn test(
        &self,
        caller: &Caller,
        to: EmailAddress,
        draft: IntegrationDraft,
    ) -> Result<Result<(), SendError>, IntegrationsError> {
        caller.require(Permission::Write(Resource::Workspace))?;
        self.check(&draft)?;
        let kind = draft.settings.kind();
        let settings = draft.settings.try_map_secrets(|field, secret| {
            let given = Some(secret.clone()).filter(|s| !s.is_empty());
            given.ok_or_else(|| Invalid::one(format!("/provider/{kind}/{field}"), "is required"))
        })?;
        let sender = draft.senders.into_iter().next();
        let sender = sender.ok_or_else(|| Invalid::one("/provider/senders", "needs at least one sender"))?;
        let dkim = match sender.dkim {
            None => None,
            Some(dkim) => {
                let missing = || Invalid::one("/provider/senders/0/dkim/private_key", "is required");
                let private_key = dkim.private_key.ok_or_else(missing)?;
                let unusable = |error| Invalid::one("/provider/senders/0/dkim/private_key", error);
                self.platform.dkim_keys.public(&private_key).map_err(unusable)?;
                let domain = dkim.domain.or_else(|| domain_of(&sender.email)).unwrap_or_default();
                Some(Arc::new(DkimIdentity { domain, selector: dkim.selector, private_key }))
            }
        };
        let mail = OutgoingMail {
            message_id: MessageId::from_uuid(self.platform.ids.uuid()),
            from: Mailbox { address: sender.email, name: Some(sender.name) },
            to: Mailbox { address: to, name: None },
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: None,
            subject: "Test of the e-mail provider".to_owned(),
            html: "<!doctype html><html><body><p>This mail was sent to test an e-mail provider. It works.</p></body></html>".to_owned(),
            text: "This mail was sent to test an e-mail provider. It works.\n".to_owned(),
            list_unsubscribe: None,
            attachments: Vec::new(),
            dkim,
        };
        let route = MailRoute::Provider { pool: None, settings: Arc::new(settings) };
        Ok(self.mailer.send(&route, &mail).await)
    }
}
