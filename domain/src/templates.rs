//! What mails are made from.

use crate::{
    Timestamp,
    email_address::EmailAddress,
    ids::{IntegrationId, TemplateId},
    languages::Language,
    validation::{Check, Invalid, required_text},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How the body of a mail is written.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "editor_mode", rename_all = "snake_case")]
pub enum EmailBody {
    /// A tree of MJML blocks, as the visual editor makes it. The root block is `mjml`.
    Visual {
        /// The root block.
        visual_editor_tree: Value,
    },
    /// MJML source.
    Code {
        /// The source.
        mjml_source: String,
    },
}

/// The content of an e-mail template. Subject, preview, texts, URLs and attributes may hold Liquid.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EmailContent {
    /// The body.
    #[serde(flatten)]
    pub body: EmailBody,
    /// Identifier of the wanted sender; an unknown one means the provider's default.
    pub sender_id: Option<String>,
    /// Where replies go.
    pub reply_to: Option<EmailAddress>,
    /// Subject line, 1 to 255 characters.
    pub subject: String,
    /// The line that inboxes show beside the subject.
    pub subject_preview: Option<String>,
    /// MJML as last generated, for lists of templates.
    pub compiled_preview: Option<String>,
    /// Plain-text alternative; made from the HTML when absent.
    pub text: Option<String>,
}

/// The content of a template for pages.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WebContent {
    /// The editor's document.
    pub content: Map<String, Value>,
    /// Rendered by the editor.
    pub html: String,
    /// Plain text of the same.
    pub plain_text: String,
}

/// What a template holds, by channel.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum TemplateContent {
    /// A mail.
    Email(EmailContent),
    /// A page.
    Web(WebContent),
}

impl TemplateContent {
    /// The name of the channel on the wire.
    #[must_use]
    pub fn channel(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Web(_) => "web",
        }
    }

    /// The content of a mail, when it is one.
    #[must_use]
    pub fn email(&self) -> Option<&EmailContent> {
        match self {
            Self::Email(content) => Some(content),
            Self::Web(_) => None,
        }
    }
}

/// One version of a template. Versions are never changed, only followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Chosen by the client, unchanging.
    pub id: TemplateId,
    /// How people call it, 1 to 255 characters.
    pub name: String,
    /// 1 for the first.
    pub version: i64,
    /// What it holds.
    pub content: TemplateContent,
    /// What it is for, such as `marketing` or `transactional`.
    pub category: String,
    /// Stored for clients, without a meaning of its own.
    pub macro_id: Option<String>,
    /// The integration that manages it.
    pub integration: Option<IntegrationId>,
    /// Variables for previews and test sends.
    pub test_data: Map<String, Value>,
    /// Settings of outside channels, stored for clients.
    pub settings: Map<String, Value>,
    /// The same content in other languages.
    pub translations: BTreeMap<Language, TemplateContent>,
    /// When the first version was made.
    pub created_at: Timestamp,
    /// When this version was made.
    pub updated_at: Timestamp,
}

/// What a client gives of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateDraft {
    /// See [`Template::id`].
    pub id: TemplateId,
    /// See [`Template::name`].
    pub name: String,
    /// See [`Template::content`].
    pub content: TemplateContent,
    /// See [`Template::category`].
    pub category: String,
    /// See [`Template::macro_id`].
    pub macro_id: Option<String>,
    /// See [`Template::test_data`].
    pub test_data: Map<String, Value>,
    /// See [`Template::settings`].
    pub settings: Map<String, Value>,
    /// See [`Template::translations`].
    pub translations: BTreeMap<Language, TemplateContent>,
}

/// The editor mode of a template never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("editor_mode cannot change between versions of a template")]
pub struct EditorModeChanged;

impl TemplateDraft {
    /// Checks lengths, bodies and languages.
    ///
    /// # Errors
    /// Every field that breaks a rule.
    pub fn check(&self, languages: &[Language]) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.field("/name", required_text(&self.name, 255));
        check.field("/category", required_text(&self.category, 20));
        let macro_id = self.macro_id.as_deref().unwrap_or("").chars().count();
        check.require(macro_id <= 32, "/template_macro_id", "must have at most 32 characters");
        check.nested("", check_content(&self.content));
        for (language, content) in &self.translations {
            let pointer = format!("/translations/{}", language.as_str());
            check.require(
                languages.contains(language),
                &pointer,
                "is not among the languages of the workspace",
            );
            check.require(
                content.channel() == self.content.channel(),
                &pointer,
                "must have the channel of the template",
            );
            check.nested(&pointer, check_content(content));
        }
        check.finish()
    }

    /// The first version.
    #[must_use]
    pub fn into_first_version(self, now: Timestamp) -> Template {
        self.into_version(1, None, now, now)
    }

    /// The version after `latest`.
    ///
    /// # Errors
    /// When the draft has another editor mode.
    pub fn into_next_version(self, latest: &Template, now: Timestamp) -> Result<Template, EditorModeChanged> {
        let mode = |c: &TemplateContent| c.email().map(|e| std::mem::discriminant(&e.body));
        if mode(&self.content) != mode(&latest.content) {
            return Err(EditorModeChanged);
        }
        Ok(self.into_version(latest.version + 1, latest.integration, latest.created_at, now))
    }

    fn into_version(
        self,
        version: i64,
        integration: Option<IntegrationId>,
        created_at: Timestamp,
        updated_at: Timestamp,
    ) -> Template {
        let name = self.name.trim().to_owned();
        let titled = |mut content: TemplateContent| {
            if let TemplateContent::Email(email) = &mut content {
                email.entitle(&name);
            }
            content
        };
        Template {
            content: titled(self.content),
            translations: self.translations.into_iter().map(|(l, c)| (l, titled(c))).collect(),
            id: self.id,
            version,
            category: self.category.trim().to_owned(),
            macro_id: self.macro_id,
            integration,
            test_data: self.test_data,
            settings: self.settings,
            created_at,
            updated_at,
            name,
        }
    }
}

fn check_content(content: &TemplateContent) -> Result<(), Invalid> {
    let mut check = Check::default();
    match content {
        TemplateContent::Email(email) => {
            check.field("/email/subject", required_text(&email.subject, 255));
            let preview = email.subject_preview.as_deref().unwrap_or("").chars().count();
            check.require(preview <= 255, "/email/subject_preview", "must have at most 255 characters");
            match &email.body {
                EmailBody::Visual { visual_editor_tree: tree } => {
                    check.require(
                        tree["type"] == "mjml" && tree["children"].is_array(),
                        "/email/visual_editor_tree",
                        "must be an mjml block with children",
                    );
                }
                EmailBody::Code { mjml_source } => check.require(
                    !mjml_source.trim().is_empty(),
                    "/email/mjml_source",
                    "is required in code mode",
                ),
            }
        }
        TemplateContent::Web(web) => {
            check.require(!web.content.is_empty(), "/web/content", "is required");
        }
    }
    check.finish()
}

impl Template {
    /// The content for a contact of this language: its translation when there is one for exactly
    /// this code and it is not the default language, else the base content.
    #[must_use]
    pub fn content_for(&self, language: Option<&str>, default_language: &Language) -> &TemplateContent {
        language
            .filter(|code| !code.is_empty() && *code != default_language.as_str())
            .and_then(|code| Language::parse(code).ok())
            .and_then(|language| self.translations.get(&language))
            .unwrap_or(&self.content)
    }
}

impl EmailContent {
    /// Writes the template's name into every `mj-title`, and the subject preview (else the name)
    /// into every `mj-preview`. Source without `mj-head` gets one; source without `mjml` is kept.
    pub fn entitle(&mut self, name: &str) {
        let preview = self.subject_preview.as_deref().filter(|p| !p.is_empty()).unwrap_or(name);
        match &mut self.body {
            EmailBody::Visual { visual_editor_tree } => {
                set_block_content(visual_editor_tree, "mj-title", name);
                set_block_content(visual_editor_tree, "mj-preview", preview);
            }
            EmailBody::Code { mjml_source } => {
                let titled = set_element_text(mjml_source, "mj-title", name);
                *mjml_source = set_element_text(&titled, "mj-preview", preview);
            }
        }
    }
}

/// Sets the content of every block of one type in a tree of blocks.
pub fn set_block_content(block: &mut Value, kind: &str, content: &str) {
    if block["type"] == kind {
        block["content"] = Value::String(content.to_owned());
    }
    if let Some(children) = block.get_mut("children").and_then(Value::as_array_mut) {
        for child in children {
            set_block_content(child, kind, content);
        }
    }
}

/// Sets the text of the first `element` of an MJML source, adding it to `mj-head` when absent.
#[must_use]
pub fn set_element_text(source: &str, element: &str, text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let whole = format!("<{element}>{escaped}</{element}>");
    let closing = format!("</{element}>");
    if let Some(start) = find_tag(source, element) {
        let opened = source[start..].find('>').map(|i| start + i + 1);
        return match opened {
            Some(end) if source[..end].ends_with("/>") => splice(source, start, end, &whole),
            Some(end) => match source[end..].find(&closing) {
                Some(length) => splice(source, end, end + length, &escaped),
                None => source.to_owned(),
            },
            None => source.to_owned(),
        };
    }
    for (parent, inserted) in [("mj-head", whole.clone()), ("mjml", format!("<mj-head>{whole}</mj-head>"))] {
        let Some(start) = find_tag(source, parent) else { continue };
        if let Some(end) = source[start..].find('>').map(|i| start + i + 1)
            && !source[..end].ends_with("/>")
        {
            return splice(source, end, end, &inserted);
        }
    }
    source.to_owned()
}

fn find_tag(source: &str, element: &str) -> Option<usize> {
    let opening = format!("<{element}");
    source.match_indices(&opening).map(|(at, _)| at).find(|at| {
        matches!(source.as_bytes().get(at + opening.len()), Some(b'>' | b'/' | b' ' | b'\n' | b'\r' | b'\t'))
    })
}

fn splice(source: &str, from: usize, to: usize, text: &str) -> String {
    format!("{}{text}{}", &source[..from], &source[to..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn draft(mode: EmailBody) -> TemplateDraft {
        TemplateDraft {
            id: TemplateId::parse("welcome").unwrap(),
            name: "Welcome & more".into(),
            content: TemplateContent::Email(EmailContent {
                body: mode,
                sender_id: None,
                reply_to: None,
                subject: "Hello".into(),
                subject_preview: None,
                compiled_preview: None,
                text: None,
            }),
            category: "transactional".into(),
            macro_id: None,
            test_data: Map::new(),
            settings: Map::new(),
            translations: BTreeMap::new(),
        }
    }

    fn code(source: &str) -> EmailBody {
        EmailBody::Code { mjml_source: source.into() }
    }

    fn visual() -> EmailBody {
        EmailBody::Visual {
            visual_editor_tree: json!({"id": "r", "type": "mjml", "children": [
            {"id": "h", "type": "mj-head", "children": [{"id": "t", "type": "mj-title", "content": "old"}]}]}),
        }
    }

    #[test]
    fn titles_follow_the_name_of_the_template() {
        let now = Timestamp::UNIX_EPOCH;
        let template = draft(visual()).into_first_version(now);
        let EmailBody::Visual { visual_editor_tree: tree } = &template.content.email().unwrap().body else {
            panic!("a visual template stays visual")
        };
        assert_eq!(tree["children"][0]["children"][0]["content"], "Welcome & more");
    }

    #[test]
    fn source_gets_title_and_preview() {
        for (source, wanted) in [
            ("<mjml><mj-body/></mjml>", "<mjml><mj-head><mj-title>N</mj-title></mj-head><mj-body/></mjml>"),
            (
                "<mjml><mj-head/><mj-body/></mjml>",
                "<mjml><mj-head><mj-title>N</mj-title></mj-head><mj-head/><mj-body/></mjml>",
            ),
            (
                "<mjml><mj-head><mj-title>x</mj-title></mj-head></mjml>",
                "<mjml><mj-head><mj-title>N</mj-title></mj-head></mjml>",
            ),
            (
                "<mjml><mj-head><mj-title /></mj-head></mjml>",
                "<mjml><mj-head><mj-title>N</mj-title></mj-head></mjml>",
            ),
            ("plain", "plain"),
        ] {
            assert_eq!(set_element_text(source, "mj-title", "N"), wanted);
        }
    }

    #[test]
    fn the_editor_mode_stays() {
        let now = Timestamp::UNIX_EPOCH;
        let first = draft(visual()).into_first_version(now);
        assert_eq!(draft(visual()).into_next_version(&first, now).unwrap().version, 2);
        assert_eq!(draft(code("<mjml/>")).into_next_version(&first, now), Err(EditorModeChanged));
    }

    #[test]
    fn a_translation_is_used_for_exactly_its_language() {
        let (en, fr) = (Language::parse("en").unwrap(), Language::parse("fr").unwrap());
        let mut given = draft(code("<mjml>en</mjml>"));
        let french = draft(code("<mjml>fr</mjml>")).content;
        given.translations.insert(fr.clone(), french);
        assert!(given.check(std::slice::from_ref(&en)).is_err());
        assert!(given.check(&[en.clone(), fr.clone()]).is_ok());
        let template = given.into_first_version(Timestamp::UNIX_EPOCH);
        assert_eq!(template.content_for(Some("fr"), &en), &template.translations[&fr]);
        assert_eq!(template.content_for(Some("fr"), &fr), &template.content);
        assert_eq!(template.content_for(Some("de"), &en), &template.content);
        assert_eq!(template.content_for(None, &en), &template.content);
    }

    #[test]
    fn a_body_is_required() {
        assert!(draft(code(" ")).check(&[]).is_err());
        let tree = EmailBody::Visual { visual_editor_tree: json!({"type": "mj-body"}) };
        assert_eq!(draft(tree).check(&[]).unwrap_err().0[0].pointer, "/email/visual_editor_tree");
    }
}
