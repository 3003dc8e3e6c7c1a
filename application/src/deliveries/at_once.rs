//! One mail at once, outside of the queue: to see what a template makes.

use super::{Deliveries, Provider, draft::Draft, draft::Unsendable};
use crate::{contacts::ContactView, ports::SendError};
use domain::{
    contacts::Contact,
    ids::{MessageId, SenderId},
    integrations::Integration,
    languages::Language,
    lists::Membership,
    templates::Template,
    transactional::EmailOptions,
    utm::UtmParameters,
    workspaces::Workspace,
};

/// What the mail of a trial is made from.
pub(crate) struct Trial {
    pub(crate) workspace: Workspace,
    pub(crate) integration: Integration,
    pub(crate) sender: SenderId,
    pub(crate) message: MessageId,
    pub(crate) contact: Contact,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) template: Template,
    pub(crate) language: Option<Language>,
    pub(crate) options: EmailOptions,
}

impl Deliveries {
    /// Makes and hands over the mail of a trial. Holds no lease.
    pub(crate) async fn try_out(&self, trial: Trial) -> Result<(), SendError> {
        let malformed = |reason: &str| SendError::Malformed { reason: reason.to_owned() };
        let provider = Provider::open(self.ports.vault.as_ref(), trial.integration)
            .map_err(|_| malformed("the credentials of the e-mail provider cannot be opened"))?;
        let contact = ContactView { contact: trial.contact, memberships: Some(trial.memberships) };
        let draft = Draft {
            workspace: &trial.workspace,
            provider: &provider.provider,
            message: &trial.message,
            language: trial.language.as_ref().map(Language::as_str),
            contact,
            template: &trial.template,
            sender: Some(trial.sender),
            options: trial.options,
            data: trial.template.test_data.clone(),
            list: None,
            broadcast: None,
            utm: UtmParameters::default(),
            // To see how a mail with reports looks, whatever the workspace has chosen.
            tracked: true,
            identities: &provider.identities,
        };
        let mail = self.write(draft).await.map_err(|error| match error {
            Unsendable::Failed(why) => malformed(&why),
            Unsendable::Feed(error) => malformed(&error.reason),
            Unsendable::Later(_) => malformed("the files of this message could not be read"),
        })?;
        self.ports.mailer.send(&provider.route, &mail).await
    }
}
