//! From templates to mails.

use async_trait::async_trait;
use domain::{
    ids::{TemplateId, WorkspaceId},
    templates::EmailContent,
};
use serde_json::Value;
use std::sync::Arc;

/// Names one immutable content: a version of a template in one language.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TemplateKey {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Which template.
    pub template: TemplateId,
    /// Which version.
    pub version: i64,
    /// Language of a translation; `None` is the base content.
    pub language: Option<String>,
}

/// What one send replaces of the content. Both may hold Liquid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Overrides {
    /// Replaces the subject.
    pub subject: Option<String>,
    /// Replaces the preview line.
    pub subject_preview: Option<String>,
}

/// What happens to the links of a mail.
pub trait LinkPolicy: Send + Sync {
    /// The address to put in place of a link's, or `None` to keep it. Not asked for empty links,
    /// fragments and the schemes mailto, tel, sms, javascript, data, blob and file.
    fn rewrite(&self, url: &str) -> Option<String>;

    /// The address of an image that reports the opening, or `None` for none.
    fn pixel(&self) -> Option<String> {
        None
    }
}

/// A mail made for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedEmail {
    /// Subject line, on one line.
    pub subject: String,
    /// The body as HTML.
    pub html: String,
    /// The body as plain text: the template's own, else made from the HTML.
    pub text: String,
}

/// Why a mail could not be made. The text is for the author of the template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RenderError {
    /// What is wrong and where.
    pub message: String,
}

/// One thing that is wrong with a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileIssue {
    /// Line of the author's source, from 1; 0 when unknown.
    pub line: u32,
    /// What is wrong.
    pub message: String,
    /// The element it is about; empty when unknown.
    pub tag_name: String,
}

/// Why a source could not be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong, in one line.
    pub message: String,
    /// Each single issue; may be empty.
    pub issues: Vec<CompileIssue>,
}

/// A content with its MJML compiled and its Liquid parsed.
pub trait PreparedEmail: Send + Sync {
    /// Makes the mail for one recipient. Variables that are missing are empty; values are escaped in
    /// HTML unless the template says `raw`.
    ///
    /// # Errors
    /// When Liquid fails or a limit on time or size is reached.
    fn render(
        &self,
        data: &Value,
        overrides: &Overrides,
        links: Option<&dyn LinkPolicy>,
    ) -> Result<RenderedEmail, RenderError>;

    /// The variables that the content shows and that have no value in the data, by name. Those that it
    /// tests first or gives a default are not among them.
    fn missing(&self, data: &Value) -> Vec<String>;
}

/// A content to look at without storing it.
#[derive(Debug, Clone, PartialEq)]
pub struct CompileRequest {
    /// The content.
    pub content: EmailContent,
    /// Variables; with none, Liquid is left in place.
    pub data: Value,
    /// Leaves Liquid in place.
    pub preserve_liquid: bool,
    /// For the web: sections only for mails are left out, subjects and links are left alone.
    pub web: bool,
}

/// A compiled content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The MJML.
    pub mjml: String,
    /// The HTML.
    pub html: String,
    /// The subject with its variables.
    pub subject: String,
    /// The preview line with its variables.
    pub subject_preview: String,
}

/// A content as a part of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageContent {
    /// Style sheets, without their elements.
    pub styles: String,
    /// What stands in the body.
    pub html: String,
}

/// Makes mails from templates.
#[async_trait]
pub trait Renderer: Send + Sync {
    /// Compiles MJML and parses Liquid, once per key: later calls with the same key are answered
    /// from memory, and calls at the same time share one compilation.
    async fn prepare(
        &self,
        key: &TemplateKey,
        content: &EmailContent,
    ) -> Result<Arc<dyn PreparedEmail>, CompileError>;

    /// Compiles a content for a preview.
    async fn compile(
        &self,
        request: &CompileRequest,
        links: Option<Arc<dyn LinkPolicy>>,
    ) -> Result<Compiled, CompileError>;

    /// Makes a content for the web: sections only for mails are left out, links are left alone.
    async fn page(&self, content: &EmailContent, data: &Value) -> Result<PageContent, CompileError>;

    /// The MJML of a content, with its Liquid left in place.
    fn mjml(&self, content: &EmailContent) -> String;
}
