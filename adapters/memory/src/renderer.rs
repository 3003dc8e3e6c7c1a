//! A renderer that knows no more of Liquid than `{{ a.b }}`, and of MJML than its names.

use crate::locked;
use application::ports::{
    CompileError, CompileRequest, Compiled, LinkPolicy, Overrides, PageContent, PreparedEmail, RenderError,
    RenderedEmail, Renderer, TemplateKey,
};
use async_trait::async_trait;
use domain::templates::{EmailBody, EmailContent};
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    sync::{Arc, Mutex},
};

/// Puts variables in place and counts how often it compiled. Clones share the count.
///
/// A content whose MJML has no `<mjml` or leaves a `{{` open cannot be compiled.
#[derive(Clone, Default)]
pub struct PlainRenderer(Arc<Mutex<Workshop>>);

#[derive(Default)]
struct Workshop {
    prepared: HashMap<TemplateKey, Arc<Plain>>,
    compilations: usize,
}

impl PlainRenderer {
    /// Nothing is compiled yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many contents were compiled to be sent; previews do not count.
    #[must_use]
    pub fn compilations(&self) -> usize {
        locked(&self.0).compilations
    }
}

#[async_trait]
impl Renderer for PlainRenderer {
    async fn prepare(
        &self,
        key: &TemplateKey,
        content: &EmailContent,
    ) -> Result<Arc<dyn PreparedEmail>, CompileError> {
        let mut workshop = locked(&self.0);
        if let Some(known) = workshop.prepared.get(key) {
            return Ok(Arc::<Plain>::clone(known));
        }
        workshop.compilations += 1;
        let prepared = Arc::new(Plain::compile(content)?);
        workshop.prepared.insert(key.clone(), Arc::clone(&prepared));
        Ok(prepared)
    }

    async fn compile(
        &self,
        request: &CompileRequest,
        links: Option<Arc<dyn LinkPolicy>>,
    ) -> Result<Compiled, CompileError> {
        let plain = Plain::compile(&request.content)?;
        let has_data = request.data.as_object().is_some_and(|d| !d.is_empty());
        let filled = |text: &str, escape: bool| {
            if request.preserve_liquid || !has_data {
                return Ok(text.to_owned());
            }
            substitute(text, &request.data, escape).map_err(|e| failure(e.message))
        };
        let html = filled(&plain.html, true)?;
        let subject = |text: &str| if request.web { Ok(text.to_owned()) } else { filled(text, false) };
        Ok(Compiled {
            mjml: mjml(&request.content.body),
            html: match links.filter(|_| !request.web) {
                Some(links) => follow(&html, links.as_ref()),
                None => html,
            },
            subject: subject(&plain.subject)?,
            subject_preview: subject(&plain.preview)?,
        })
    }

    async fn page(&self, content: &EmailContent, data: &Value) -> Result<PageContent, CompileError> {
        let plain = Plain::compile(content)?;
        let html = substitute(&plain.html, data, true).map_err(|e| failure(e.message))?;
        Ok(PageContent { styles: String::new(), html })
    }

    fn mjml(&self, content: &EmailContent) -> String {
        mjml(&content.body)
    }
}

struct Plain {
    subject: String,
    preview: String,
    html: String,
    text: Option<String>,
}

impl Plain {
    fn compile(content: &EmailContent) -> Result<Self, CompileError> {
        let source = mjml(&content.body);
        if !source.contains("<mjml") {
            return Err(failure("the mjml element is missing".to_owned()));
        }
        let plain = Self {
            subject: content.subject.clone(),
            preview: content.subject_preview.clone().unwrap_or_default(),
            html: html(&source),
            text: content.text.clone().filter(|t| !t.trim().is_empty()),
        };
        for part in
            [&plain.subject, &plain.preview, &plain.html, plain.text.as_ref().unwrap_or(&String::new())]
        {
            substitute(part, &Value::Null, false).map_err(|e| failure(e.message))?;
        }
        Ok(plain)
    }
}

impl PreparedEmail for Plain {
    fn render(
        &self,
        data: &Value,
        overrides: &Overrides,
        links: Option<&dyn LinkPolicy>,
    ) -> Result<RenderedEmail, RenderError> {
        let subject = substitute(overrides.subject.as_ref().unwrap_or(&self.subject), data, false)?;
        let preview = overrides.subject_preview.as_ref().filter(|p| **p != self.preview);
        let mut html = substitute(&self.html, data, true)?;
        if let Some(preview) = preview {
            let shown = format!("<body><div>{}</div>", substitute(preview, data, true)?);
            html = html.replacen("<body>", &shown, 1);
        }
        let text = match &self.text {
            Some(text) => substitute(text, data, false)?,
            None => without_tags(&html),
        };
        if let Some(links) = links {
            html = follow(&html, links);
        }
        Ok(RenderedEmail { subject: subject.replace(['\r', '\n'], " "), html, text })
    }

    fn missing(&self, data: &Value) -> Vec<String> {
        let sources = [&self.subject, &self.preview, &self.html];
        let tags = sources.into_iter().chain(&self.text).flat_map(|source| source.split("{{").skip(1));
        let paths = tags.filter_map(|after| Some(after.split_once("}}")?.0.trim().to_owned()));
        let value = |path: &String| path.split('.').fold(data, |value, name| &value[name]).is_null();
        paths.filter(value).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn failure(message: String) -> CompileError {
    CompileError { message, issues: Vec::new() }
}

/// Replaces every `{{ path }}`; what is missing is empty.
fn substitute(text: &str, data: &Value, escape: bool) -> Result<String, RenderError> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (path, after) = after
            .split_once("}}")
            .ok_or_else(|| RenderError { message: "a variable is not closed with }}".to_owned() })?;
        let value = match path.trim().split('.').fold(data, |value, name| &value[name]) {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        made.push_str(before);
        made.push_str(&if escape { escaped(&value) } else { value });
        rest = after;
    }
    Ok(made + rest)
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

fn mjml(body: &EmailBody) -> String {
    match body {
        EmailBody::Code { mjml_source } => mjml_source.clone(),
        EmailBody::Visual { visual_editor_tree } => block(visual_editor_tree),
    }
}

fn block(tree: &Value) -> String {
    let name = tree["type"].as_str().unwrap_or("mj-raw");
    let mut written = format!("<{name}");
    for (attribute, value) in tree["attributes"].as_object().into_iter().flatten() {
        if let Some(value) = value.as_str() {
            // Writing into a text cannot fail.
            let _ = write!(written, " {attribute}=\"{}\"", escaped(value));
        }
    }
    written.push('>');
    written.push_str(tree["content"].as_str().unwrap_or_default());
    written.extend(tree["children"].as_array().into_iter().flatten().map(block));
    written + "</" + name + ">"
}

/// Gives the elements of MJML names of HTML.
fn html(source: &str) -> String {
    let mut pieces = source.split('<');
    let mut html = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (slash, piece) = piece.strip_prefix('/').map_or(("", piece), |piece| ("/", piece));
        let end = piece.find([' ', '\n', '\t', '/', '>']).unwrap_or(piece.len());
        let (name, rest) = piece.split_at(end);
        let name = match name {
            "mjml" => "html",
            "mj-head" => "head",
            "mj-title" => "title",
            "mj-body" => "body",
            "mj-button" => "a",
            other if other.starts_with("mj-") => "div",
            other => other,
        };
        html.extend(["<", slash, name, rest]);
    }
    html
}

fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts the addresses of a policy in place of those of links, and its image at the end of the body.
fn follow(html: &str, links: &dyn LinkPolicy) -> String {
    let mut made = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("href=\"") {
        let (url, after) = after.split_once('"').unwrap_or((after, ""));
        let kept = ["mailto:", "tel:", "sms:", "javascript:", "data:", "blob:", "file:", "#"];
        let is_kept = url.is_empty() || kept.iter().any(|k| url.starts_with(k));
        let rewritten = if is_kept { None } else { links.rewrite(&url.replace("&amp;", "&")) };
        let url = rewritten.map_or_else(|| url.to_owned(), |url| escaped(&url));
        made.push_str(before);
        made.push_str("href=\"");
        made.push_str(&url);
        made.push('"');
        rest = after;
    }
    made.push_str(rest);
    match links.pixel() {
        Some(pixel) => {
            made.replacen("</body>", &format!("<img src=\"{}\" alt=\"\"></body>", escaped(&pixel)), 1)
        }
        None => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::{TemplateId, WorkspaceId};
    use serde_json::json;

    fn content() -> EmailContent {
        let mjml_source = "<mjml><mj-body><mj-text>Dear {{ contact.first_name }}</mj-text>\
                           <mj-button href=\"https://shop.example/?a=1&amp;b=2\">Go</mj-button></mj-body></mjml>";
        EmailContent {
            body: EmailBody::Code { mjml_source: mjml_source.to_owned() },
            sender_id: None,
            reply_to: None,
            subject: "For {{ contact.first_name }}{{ contact.nothing }}".to_owned(),
            subject_preview: None,
            compiled_preview: None,
            text: None,
        }
    }

    fn key(version: i64) -> TemplateKey {
        TemplateKey {
            workspace: WorkspaceId::parse("acme").unwrap(),
            template: TemplateId::parse("welcome").unwrap(),
            version,
            language: None,
        }
    }

    fn ana() -> Value {
        json!({"contact": {"first_name": "<Ana>"}})
    }

    struct Tracked;

    impl LinkPolicy for Tracked {
        fn rewrite(&self, url: &str) -> Option<String> {
            Some(format!("https://t.example/?to={url}"))
        }

        fn pixel(&self) -> Option<String> {
            Some("https://t.example/pixel".to_owned())
        }
    }

    #[tokio::test]
    async fn variables_are_escaped_in_html_only() {
        let prepared = PlainRenderer::new().prepare(&key(1), &content()).await.unwrap();
        let mail = prepared.render(&ana(), &Overrides::default(), None).unwrap();
        assert_eq!(mail.subject, "For <Ana>");
        assert!(mail.html.contains("<div>Dear &lt;Ana&gt;</div>"), "{}", mail.html);
    }

    #[tokio::test]
    async fn a_content_is_compiled_once_per_key() {
        let renderer = PlainRenderer::new();
        for version in [1, 1, 2, 1] {
            renderer.prepare(&key(version), &content()).await.unwrap();
        }
        assert_eq!(renderer.compilations(), 2);
    }

    #[tokio::test]
    async fn links_follow_the_policy() {
        let prepared = PlainRenderer::new().prepare(&key(1), &content()).await.unwrap();
        let mail = prepared.render(&ana(), &Overrides::default(), Some(&Tracked)).unwrap();
        let href = "href=\"https://t.example/?to=https://shop.example/?a=1&amp;b=2\"";
        assert!(mail.html.contains(href), "{}", mail.html);
        assert!(mail.html.ends_with("<img src=\"https://t.example/pixel\" alt=\"\"></body></html>"));
    }

    #[tokio::test]
    async fn an_override_may_hold_variables() {
        let prepared = PlainRenderer::new().prepare(&key(1), &content()).await.unwrap();
        let overrides =
            Overrides { subject: Some("Hi {{ contact.first_name }}".into()), subject_preview: None };
        assert_eq!(prepared.render(&ana(), &overrides, None).unwrap().subject, "Hi <Ana>");
    }

    #[tokio::test]
    async fn an_open_variable_cannot_be_compiled() {
        let content = EmailContent { subject: "{{ contact".to_owned(), ..content() };
        assert!(PlainRenderer::new().prepare(&key(1), &content).await.is_err());
    }
}
