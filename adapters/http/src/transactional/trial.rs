//! What `transactional.testTemplate` reads and answers.

use super::send::OptionsBody;
use crate::{
    Text,
    body::{complete, text_of},
};
use application::{ports::SendError, transactional::TemplateTrial};
use domain::{
    email_address::EmailAddress,
    ids::{IntegrationId, SenderId, TemplateId},
    languages::Language,
    validation::{Check, Invalid},
};
use poem_openapi::Object;

#[derive(Object)]
#[oai(rename = "TestTemplateBody")]
pub(super) struct TestTemplateBody {
    pub(super) workspace_id: Text,
    template_id: Text,
    integration_id: Text,
    /// The provider's default sender is taken when it has none of this id.
    sender_id: Text,
    recipient_email: Text,
    /// The translation; that of the contact's language by default.
    #[oai(nullable)]
    language: Option<Text>,
    #[oai(nullable)]
    email_options: Option<OptionsBody>,
}

impl TryFrom<TestTemplateBody> for TemplateTrial {
    type Error = Invalid;

    fn try_from(body: TestTemplateBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let template = check.field("/template_id", TemplateId::parse(&body.template_id.0));
        let integration = check.field("/integration_id", IntegrationId::parse(&body.integration_id.0));
        let sender = check.field("/sender_id", SenderId::parse(&body.sender_id.0));
        let recipient = check.field("/recipient_email", EmailAddress::parse(&body.recipient_email.0));
        let language = text_of(body.language);
        let language = language.and_then(|code| check.field("/language", Language::parse(code.trim())));
        let options = check.nested("/email_options", body.email_options.unwrap_or_default().read());
        let made = template.zip(integration).zip(sender).zip(recipient).zip(options);
        let ((((template, integration), sender), recipient), (options, files)) = complete(check, made)?;
        Ok(Self { template, integration, sender, recipient, language, options, files })
    }
}

#[derive(Object)]
#[oai(rename = "TestedTemplate", skip_serializing_if_is_none)]
pub(super) struct TestedAnswer {
    /// Whether the mail was taken.
    success: bool,
    /// What the template or the provider is wrong with.
    error: Option<String>,
}

impl From<Result<(), SendError>> for TestedAnswer {
    fn from(sent: Result<(), SendError>) -> Self {
        let error = sent.err().map(|error| error.to_string());
        Self { success: error.is_none(), error }
    }
}
