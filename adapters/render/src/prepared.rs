//! A content with its MJML compiled and its Liquid parsed; each recipient costs only the rendering.

use crate::{
    blocks::Channel,
    links::Marked,
    liquid::{
        LiquidError, Rendered, Template,
        syntax::{Mode, Piece, pieces, rewrite},
        wanted::Wanted,
    },
    markup,
    mjml::{self, Skeleton, Tokens},
    plain,
};
use application::ports::{
    Clock, CompileError, CompileIssue, LinkPolicy, Overrides, PreparedEmail, RenderError, RenderedEmail,
};
use domain::templates::EmailContent;
use moka::sync::Cache;
use serde_json::Value;
use std::sync::Arc;

/// How many overridden lines stay parsed.
const MAX_OVERRIDES: u64 = 256;

/// Lines that replace those of the content, parsed once and used for many mails.
#[derive(Clone)]
pub struct Lines(Cache<(Mode, String), Arc<Template>>);

impl Default for Lines {
    fn default() -> Self {
        Self(Cache::new(MAX_OVERRIDES))
    }
}

impl Lines {
    fn parsed(&self, mode: Mode, source: &str) -> Result<Arc<Template>, LiquidError> {
        let key = (mode, source.to_owned());
        if let Some(found) = self.0.get(&key) {
            return Ok(found);
        }
        let source = if mode == Mode::Html { escaped_around_liquid(source) } else { source.to_owned() };
        let parsed = Arc::new(Template::parse_given(&source, mode)?);
        self.0.insert(key, Arc::clone(&parsed));
        Ok(parsed)
    }
}

/// A prepared content.
pub struct Prepared {
    marked: Marked,
    html: Template,
    subject: Template,
    preview: Template,
    text: Text,
    lines: Lines,
    clock: Arc<dyn Clock>,
    wanted: Wanted,
    size: usize,
}

enum Text {
    /// The author's own.
    Own(Template),
    /// Made from the HTML.
    Derived(Template),
    /// Taken from each rendered HTML, where its Liquid does not stand by itself as text.
    FromHtml,
}

impl Prepared {
    /// Compiles a content.
    ///
    /// # Errors
    /// What is wrong with its MJML or its Liquid.
    pub fn new(
        content: &EmailContent,
        mjml: &str,
        channel: Channel,
        lines: Lines,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CompileError> {
        let subject = line(&content.subject, "the subject")?;
        rewrite(mjml, Mode::Html).map_err(|error| refused(&error, "the mail"))?;
        let skeleton = mjml::compile(mjml, channel)?;
        let Skeleton { html, tokens, .. } = &skeleton;
        let marked = Marked::new(html, tokens, true);
        let parsed = Template::parse(&marked.html, Mode::Html).map_err(|error| {
            // The same fault in the author's source has a line that the author knows.
            let known = Template::parse(mjml, Mode::Html).err();
            refused(&known.unwrap_or(error), "the mail")
        })?;
        let preview = preview(&skeleton, content);
        let shown = tokens.restore(html);
        let own = content.text.as_deref().unwrap_or_default();
        let wanted = Wanted::of([shown.as_str(), &content.subject, &preview, own]);
        let preview =
            Template::parse_given(&preview, Mode::Html).map_err(|error| refused(&error, "the preview"))?;
        let text = match content.text.as_deref().filter(|text| !text.trim().is_empty()) {
            Some(text) => Text::Own(line(text, "the text")?),
            None => Template::parse(&plain::from_html(html, tokens), Mode::TextOfHtml)
                .map_or(Text::FromHtml, Text::Derived),
        };
        let size = 3 * marked.html.len() + 4096;
        Ok(Self { marked, html: parsed, subject, preview, text, lines, clock, wanted, size })
    }

    /// About how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// The preview line as HTML with Liquid: that of the source, else that of the content.
pub fn preview(skeleton: &Skeleton, content: &EmailContent) -> String {
    match &skeleton.preview {
        Some(preview) => skeleton.tokens.restore(preview),
        None => escaped_around_liquid(content.subject_preview.as_deref().unwrap_or_default()),
    }
}

/// A line that is no HTML, parsed.
///
/// # Errors
/// What is wrong with its Liquid.
pub fn line(source: &str, what: &str) -> Result<Template, CompileError> {
    Template::parse_given(source, Mode::Text).map_err(|error| refused(&error, what))
}

/// An error of the compilation from one of Liquid.
pub fn refused(error: &LiquidError, what: &str) -> CompileError {
    let message = match error.line {
        0 => format!("{what}: {}", error.message),
        line => format!("{what}, line {line}: {}", error.message),
    };
    let issue = CompileIssue { line: error.line, message: message.clone(), tag_name: String::new() };
    CompileError { message, issues: vec![issue] }
}

/// Escapes a plain text for HTML but not the Liquid in it.
fn escaped_around_liquid(source: &str) -> String {
    let Ok(pieces) = pieces(source) else { return markup::escape_content(source).into_owned() };
    pieces.into_iter().fold(String::with_capacity(source.len()), |mut out, piece| {
        match piece {
            Piece::Text(text) => out.push_str(&markup::escape_content(text)),
            Piece::Tag(tag, _) => out.push_str(tag),
        }
        out
    })
}

impl Prepared {
    /// Only the HTML for one recipient, with another preview line when one is given.
    ///
    /// # Errors
    /// When Liquid fails.
    pub fn html(
        &self,
        data: &Value,
        preview: Option<&str>,
        links: Option<&dyn LinkPolicy>,
    ) -> Result<String, RenderError> {
        let (body, preview) = self.body(data, preview)?;
        Ok(self.marked.resolve(&body.text, &body.links, &preview, links))
    }

    /// The HTML for everybody, without a preview line.
    ///
    /// # Errors
    /// When Liquid fails.
    pub fn for_everybody(&self, data: &Value) -> Result<String, RenderError> {
        let body = self.html.render(data, self.clock.now()).map_err(failed("the page"))?;
        Ok(self.marked.resolve(&body.text, &body.links, "", None))
    }

    fn body(&self, data: &Value, preview: Option<&str>) -> Result<(Rendered, String), RenderError> {
        let now = self.clock.now();
        let own = self.own(preview, Mode::Html, "the preview")?;
        let preview =
            own.as_deref().unwrap_or(&self.preview).render(data, now).map_err(failed("the preview"))?;
        let body = self.html.render(data, now).map_err(failed("the mail"))?;
        Ok((body, one_line(&preview.text)))
    }

    fn own(
        &self,
        given: Option<&str>,
        mode: Mode,
        what: &'static str,
    ) -> Result<Option<Arc<Template>>, RenderError> {
        let given = given.filter(|line| !line.is_empty());
        given.map(|line| self.lines.parsed(mode, line)).transpose().map_err(failed(what))
    }
}

fn failed(what: &'static str) -> impl Fn(LiquidError) -> RenderError {
    move |error| RenderError { message: format!("{what}: {error}") }
}

impl PreparedEmail for Prepared {
    fn render(
        &self,
        data: &Value,
        overrides: &Overrides,
        links: Option<&dyn LinkPolicy>,
    ) -> Result<RenderedEmail, RenderError> {
        let now = self.clock.now();
        let subject = self.own(overrides.subject.as_deref(), Mode::Text, "the subject")?;
        let subject = subject.as_deref().unwrap_or(&self.subject);
        let subject = one_line(&subject.render(data, now).map_err(failed("the subject"))?.text);
        let (body, preview) = self.body(data, overrides.subject_preview.as_deref())?;
        let html = self.marked.resolve(&body.text, &body.links, &preview, links);
        let text = match &self.text {
            Text::Own(text) => text.render(data, now).map_err(failed("the text"))?.text,
            Text::Derived(text) => plain::tidy(&text.render(data, now).map_err(failed("the text"))?.text),
            Text::FromHtml => {
                let direct = self.marked.resolve(&body.text, &body.links, "", None);
                plain::tidy(&plain::from_html(&direct, &Tokens::default()))
            }
        };
        Ok(RenderedEmail { subject, html, text })
    }

    fn missing(&self, data: &Value) -> Vec<String> {
        self.wanted.missing(data)
    }
}

/// A text on one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
