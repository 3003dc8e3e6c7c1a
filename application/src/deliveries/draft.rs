//! Making one mail: which content, whose name, which variables.

use super::{Deliveries, variables};
use crate::{
    contacts::ContactView,
    links::MailLinks,
    ports::{
        DkimIdentity, FeedError, Mailbox, OutgoingMail, Overrides, PreparedEmail, StoreError, TemplateKey,
    },
    tracking::Mark,
};
use domain::{
    broadcasts::Broadcast,
    ids::{MessageId, SenderId},
    integrations::EmailProvider,
    lists::List,
    secret::Secret,
    templates::Template,
    transactional::EmailOptions,
    utm::UtmParameters,
    workspaces::Workspace,
};
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc};

/// What one mail is made from.
pub(super) struct Draft<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) provider: &'a EmailProvider<Secret>,
    pub(super) message: &'a MessageId,
    pub(super) contact: ContactView,
    pub(super) template: &'a Template,
    /// Chooses the translation.
    pub(super) language: Option<&'a str>,
    /// Wins over the template's.
    pub(super) sender: Option<SenderId>,
    /// What the request and the notification change, in this order.
    pub(super) options: EmailOptions,
    pub(super) data: Map<String, Value>,
    pub(super) list: Option<&'a List>,
    pub(super) broadcast: Option<&'a Broadcast>,
    pub(super) utm: UtmParameters,
    /// Whether opens and clicks are to be reported.
    pub(super) tracked: bool,
    /// Who signs for which sender.
    pub(super) identities: &'a HashMap<SenderId, Arc<DkimIdentity>>,
}

/// A mail, and what it was made from.
pub(super) struct Written {
    pub(super) mail: OutgoingMail,
    prepared: Arc<dyn PreparedEmail>,
    variables: Value,
    /// Whether the sender that was wanted is none of the provider's, so that another one is used.
    pub(super) other_sender: bool,
}

impl Written {
    /// The variables that it shows and that have no value.
    pub(super) fn missing(&self) -> Vec<String> {
        self.prepared.missing(&self.variables)
    }
}

/// Why a mail cannot be put together.
pub(super) enum Unsendable {
    /// Never.
    Failed(String),
    /// A feed gave no data, and the mail must not go out without it.
    Feed(FeedError),
    /// The store failed.
    Later(StoreError),
}

impl From<String> for Unsendable {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<&str> for Unsendable {
    fn from(why: &str) -> Self {
        Self::Failed(why.to_owned())
    }
}

impl Deliveries {
    /// Writes the mail. What the options leave open is the template's, then the sender's.
    pub(super) async fn write(&self, draft: Draft<'_>) -> Result<OutgoingMail, Unsendable> {
        self.written(draft).await.map(|written| written.mail)
    }

    /// The same, with what can be said about the mail.
    pub(super) async fn written(&self, draft: Draft<'_>) -> Result<Written, Unsendable> {
        let Draft { workspace, template, options, .. } = draft;
        let content = template
            .content_for(draft.language, &workspace.settings.default_language)
            .email()
            .ok_or("the template is no e-mail")?;
        let translated = template.translations.iter().find(|(_, c)| c.email() == Some(content));
        let key = TemplateKey {
            workspace: workspace.id.clone(),
            template: template.id.clone(),
            version: template.version,
            language: translated.map(|(language, _)| language.as_str().to_owned()),
        };
        let email = &draft.contact.contact.email;
        let (tokens, now) = (self.ports.contact_tokens.as_ref(), self.ports.clock.now());
        let passes = variables::Passes::new(tokens, &workspace.id, email, draft.list, now);
        let scene = variables::Scene {
            endpoint: &self.config.endpoint,
            workspace,
            message: draft.message,
            contact: &draft.contact,
            passes: &passes,
            list: draft.list,
            broadcast: draft.broadcast,
            now: self.ports.clock.now(),
        };
        let links = variables::Links::new(&scene);
        let mark = Mark { workspace: workspace.id.clone(), message: draft.message.clone(), sent_at: now };
        let tracking = draft.tracked.then(|| (mark, self.ports.tracking_tokens.as_ref()));
        let policy = MailLinks::new(&links.base, draft.utm, tracking);
        let variables = variables::variables(&scene, &links, policy.opens(), draft.data);
        let prepared = self.ports.renderer.prepare(&key, content).await.map_err(|e| e.to_string())?;
        let overrides = Overrides { subject: options.subject, subject_preview: options.subject_preview };
        let rendered = prepared.render(&variables, &overrides, Some(&policy)).map_err(|e| e.to_string())?;
        let of_template = content.sender_id.as_deref().and_then(|id| SenderId::parse(id).ok());
        let sender =
            draft.provider.sender(draft.sender.or(of_template)).ok_or("the e-mail provider has no sender")?;
        let attachments = self.files(&workspace.id, &options.attachments).await?;
        let mail = OutgoingMail {
            message_id: draft.message.clone(),
            from: Mailbox {
                address: sender.email.clone(),
                name: options.from_name.or_else(|| Some(sender.name.clone())),
            },
            to: Mailbox { address: email.clone(), name: None },
            cc: options.cc,
            bcc: options.bcc,
            reply_to: options.reply_to.or_else(|| content.reply_to.clone()),
            subject: rendered.subject,
            html: rendered.html,
            text: rendered.text,
            list_unsubscribe: links.oneclick_unsubscribe.filter(|_| draft.broadcast.is_some()),
            attachments,
            dkim: draft.identities.get(&sender.id).cloned(),
        };
        let wanted = draft.sender.or(of_template);
        let other_sender = wanted.is_some_and(|wanted| wanted != sender.id);
        Ok(Written { mail, prepared, variables, other_sender })
    }
}
