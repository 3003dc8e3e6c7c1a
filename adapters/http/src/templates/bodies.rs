//! What the operations of templates read and answer.

use crate::{
    Moment, Text,
    body::{complete, object, text_of},
};
use domain::{
    email_address::EmailAddress,
    ids::TemplateId,
    languages::Language,
    templates::{EmailBody, EmailContent, Template, TemplateContent, TemplateDraft, WebContent},
    validation::{Check, Invalid},
};
use poem_openapi::Object;
use serde_json::Value;
use std::collections::BTreeMap;

/// The content of a mail.
#[derive(Object)]
#[oai(rename = "EmailTemplateDraft")]
pub(super) struct EmailDraft {
    /// `visual` (default) or `code`.
    #[oai(nullable)]
    pub(super) editor_mode: Option<Text>,
    /// MJML source; required in code mode.
    #[oai(nullable)]
    pub(super) mjml_source: Option<Text>,
    /// Identifier of a sender of the provider; its default sender when unknown.
    #[oai(nullable)]
    pub(super) sender_id: Option<Text>,
    #[oai(nullable)]
    pub(super) reply_to: Option<Text>,
    /// 1 to 255 characters; may hold Liquid.
    pub(super) subject: Text,
    /// At most 255 characters; may hold Liquid.
    #[oai(nullable)]
    pub(super) subject_preview: Option<Text>,
    /// Filled by the server when empty.
    #[oai(nullable)]
    pub(super) compiled_preview: Option<Text>,
    /// A tree of blocks whose root is an `mjml` block with `children`; required in visual mode.
    #[oai(nullable)]
    pub(super) visual_editor_tree: Option<Value>,
    /// Plain-text alternative; made from the HTML when left out.
    #[oai(nullable)]
    pub(super) text: Option<Text>,
}

/// The content of a page.
#[derive(Object)]
#[oai(rename = "WebTemplateDraft")]
struct WebDraft {
    /// The editor's document.
    content: Value,
    #[oai(nullable)]
    html: Option<Text>,
    #[oai(nullable)]
    plain_text: Option<Text>,
}

/// The content in another language.
#[derive(Object)]
#[oai(rename = "TemplateTranslationDraft")]
struct TranslationDraft {
    #[oai(nullable)]
    email: Option<EmailDraft>,
    #[oai(nullable)]
    web: Option<WebDraft>,
}

/// A template to make, or its next version.
#[derive(Object)]
#[oai(rename = "TemplateDraft")]
pub(super) struct DraftBody {
    pub(super) workspace_id: Text,
    /// 1 to 32 letters, digits, underscores and hyphens; stays for good.
    id: Text,
    /// 1 to 255 characters.
    name: Text,
    /// `email` or `web`.
    channel: Text,
    /// Required for channel `email`, else absent.
    #[oai(nullable)]
    email: Option<EmailDraft>,
    /// Required for channel `web`, else absent.
    #[oai(nullable)]
    web: Option<WebDraft>,
    /// 1 to 20 characters, such as `marketing` or `transactional`.
    category: Text,
    /// Stored for clients.
    #[oai(nullable)]
    template_macro_id: Option<Text>,
    /// Variables for previews and test sends.
    #[oai(nullable)]
    test_data: Option<Value>,
    /// Stored for clients.
    #[oai(nullable)]
    settings: Option<Value>,
    /// By language code.
    #[oai(nullable)]
    translations: Option<BTreeMap<String, TranslationDraft>>,
}

impl TryFrom<DraftBody> for TemplateDraft {
    type Error = Invalid;

    fn try_from(body: DraftBody) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let id = check.field("/id", TemplateId::parse(&body.id.0));
        let content = content(&mut check, "", &body.channel.0, body.email, body.web);
        let mut translations = BTreeMap::new();
        for (code, draft) in body.translations.unwrap_or_default() {
            let pointer = format!("/translations/{code}");
            let language = check.field(&pointer, Language::parse(&code));
            let translated = self::content(&mut check, &pointer, &body.channel.0, draft.email, draft.web);
            translations.extend(language.zip(translated));
        }
        let test_data = object(&mut check, "/test_data", body.test_data);
        let settings = object(&mut check, "/settings", body.settings);
        let (id, content) = complete(check, id.zip(content))?;
        Ok(Self {
            id,
            name: body.name.0,
            content,
            category: body.category.0,
            macro_id: text_of(body.template_macro_id),
            test_data: test_data.unwrap_or_default(),
            settings: settings.unwrap_or_default(),
            translations,
        })
    }
}

fn content(
    check: &mut Check,
    pointer: &str,
    channel: &str,
    email: Option<EmailDraft>,
    web: Option<WebDraft>,
) -> Option<TemplateContent> {
    match (channel, email, web) {
        ("email", Some(email), None) => {
            check.nested(&format!("{pointer}/email"), email.try_into()).map(TemplateContent::Email)
        }
        ("web", None, Some(web)) => {
            let content = object(check, &format!("{pointer}/web/content"), Some(web.content))?;
            Some(TemplateContent::Web(WebContent {
                content,
                html: text_of(web.html).unwrap_or_default(),
                plain_text: text_of(web.plain_text).unwrap_or_default(),
            }))
        }
        ("email", ..) => {
            check.problem(&format!("{pointer}/email"), "is required for channel email, and web absent");
            None
        }
        ("web", ..) => {
            check.problem(&format!("{pointer}/web"), "is required for channel web, and email absent");
            None
        }
        _ => {
            check.problem("/channel", "must be email or web");
            None
        }
    }
}

impl TryFrom<EmailDraft> for EmailContent {
    type Error = Invalid;

    fn try_from(draft: EmailDraft) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let body = match draft.editor_mode.as_ref().map_or("", |mode| mode.0.as_str()) {
            "" | "visual" => {
                let tree = draft.visual_editor_tree.filter(Value::is_object);
                check.require(tree.is_some(), "/visual_editor_tree", "is required in visual mode");
                tree.map(|visual_editor_tree| EmailBody::Visual { visual_editor_tree })
            }
            "code" => {
                let source = text_of(draft.mjml_source);
                check.require(source.is_some(), "/mjml_source", "is required in code mode");
                source.map(|mjml_source| EmailBody::Code { mjml_source })
            }
            _ => {
                check.problem("/editor_mode", "must be visual or code");
                None
            }
        };
        let reply_to =
            text_of(draft.reply_to).and_then(|t| check.field("/reply_to", EmailAddress::parse(&t)));
        let body = complete(check, body)?;
        Ok(Self {
            body,
            sender_id: text_of(draft.sender_id),
            reply_to,
            subject: draft.subject.0,
            subject_preview: text_of(draft.subject_preview),
            compiled_preview: text_of(draft.compiled_preview),
            text: text_of(draft.text),
        })
    }
}

/// The content of a mail.
#[derive(Object)]
#[oai(rename = "EmailTemplate", skip_serializing_if_is_none)]
struct EmailAnswer {
    /// `visual` or `code`.
    editor_mode: String,
    mjml_source: Option<String>,
    sender_id: Option<String>,
    reply_to: Option<String>,
    subject: String,
    subject_preview: Option<String>,
    /// MJML.
    compiled_preview: Option<String>,
    visual_editor_tree: Option<Value>,
    text: Option<String>,
}

impl From<EmailContent> for EmailAnswer {
    fn from(content: EmailContent) -> Self {
        let (mode, tree, source) = match content.body {
            EmailBody::Visual { visual_editor_tree } => ("visual", Some(visual_editor_tree), None),
            EmailBody::Code { mjml_source } => ("code", None, Some(mjml_source)),
        };
        Self {
            editor_mode: mode.to_owned(),
            mjml_source: source,
            sender_id: content.sender_id,
            reply_to: content.reply_to.map(String::from),
            subject: content.subject,
            subject_preview: content.subject_preview,
            compiled_preview: content.compiled_preview,
            visual_editor_tree: tree,
            text: content.text,
        }
    }
}

/// The content of a page.
#[derive(Object)]
#[oai(rename = "WebTemplate")]
struct WebAnswer {
    content: Value,
    html: String,
    plain_text: String,
}

/// The content in another language.
#[derive(Object)]
#[oai(rename = "TemplateTranslation", skip_serializing_if_is_none)]
struct TranslationAnswer {
    email: Option<EmailAnswer>,
    web: Option<WebAnswer>,
}

impl From<TemplateContent> for TranslationAnswer {
    fn from(content: TemplateContent) -> Self {
        match content {
            TemplateContent::Email(email) => Self { email: Some(email.into()), web: None },
            TemplateContent::Web(web) => {
                let content = Value::Object(web.content);
                let web = WebAnswer { content, html: web.html, plain_text: web.plain_text };
                Self { email: None, web: Some(web) }
            }
        }
    }
}

/// One version of a template.
#[derive(Object)]
#[oai(rename = "Template", skip_serializing_if_is_none)]
pub(crate) struct TemplateBody {
    id: String,
    name: String,
    version: i64,
    /// `email` or `web`.
    channel: String,
    email: Option<EmailAnswer>,
    web: Option<WebAnswer>,
    category: String,
    template_macro_id: Option<String>,
    integration_id: Option<String>,
    test_data: Value,
    settings: Value,
    translations: BTreeMap<String, TranslationAnswer>,
    created_at: Moment,
    updated_at: Moment,
}

impl From<Template> for TemplateBody {
    fn from(template: Template) -> Self {
        let channel = template.content.channel().to_owned();
        let content = TranslationAnswer::from(template.content);
        let translations = template.translations.into_iter();
        Self {
            id: template.id.to_string(),
            name: template.name,
            version: template.version,
            channel,
            email: content.email,
            web: content.web,
            category: template.category,
            template_macro_id: template.macro_id,
            integration_id: template.integration.map(|id| id.to_string()),
            test_data: Value::Object(template.test_data),
            settings: Value::Object(template.settings),
            translations: translations.map(|(l, c)| (String::from(l), c.into())).collect(),
            created_at: template.created_at.into(),
            updated_at: template.updated_at.into(),
        }
    }
}

#[derive(Object)]
pub(super) struct TemplateAnswer {
    template: TemplateBody,
}

impl From<Template> for TemplateAnswer {
    fn from(template: Template) -> Self {
        Self { template: template.into() }
    }
}

#[derive(Object)]
pub(super) struct TemplatesAnswer {
    templates: Vec<TemplateBody>,
}

impl From<Vec<Template>> for TemplatesAnswer {
    fn from(templates: Vec<Template>) -> Self {
        Self { templates: templates.into_iter().map(Into::into).collect() }
    }
}

#[derive(Object)]
#[oai(rename = "DeleteTemplateBody")]
pub(super) struct DeleteBody {
    pub(super) workspace_id: Text,
    pub(super) id: Text,
}

#[derive(Object)]
#[oai(rename = "TemplateDeleted")]
pub(super) struct DeletedAnswer {
    pub(super) success: bool,
}
