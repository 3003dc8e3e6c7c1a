//! The port: compiles once per content and keeps what it compiled.

use crate::{
    blocks::{self, Channel},
    links::Marked,
    liquid::{Template, syntax::Mode},
    mjml, page,
    prepared::{self, Lines, Prepared},
};
use application::ports::{
    Clock, CompileError, CompileRequest, Compiled, LinkPolicy, PageContent, PreparedEmail, Renderer,
    TemplateKey,
};
use async_trait::async_trait;
use domain::templates::{EmailBody, EmailContent};
use moka::future::Cache;
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How much the prepared contents may take together, in bytes, when nothing else is said.
const CACHE: u64 = 64 * 1024 * 1024;

/// Makes mails from MJML and Liquid.
#[derive(Clone)]
pub struct MjmlRenderer {
    prepared: Cache<TemplateKey, Arc<Prepared>>,
    lines: Lines,
    clock: Arc<dyn Clock>,
    compilations: Arc<AtomicU64>,
}

impl MjmlRenderer {
    /// A renderer that keeps up to 64 MiB of prepared contents.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_cache(clock, CACHE)
    }

    /// A renderer that keeps up to `bytes` of prepared contents.
    #[must_use]
    pub fn with_cache(clock: Arc<dyn Clock>, bytes: u64) -> Self {
        let weigh =
            |_: &TemplateKey, prepared: &Arc<Prepared>| u32::try_from(prepared.size()).unwrap_or(u32::MAX);
        Self {
            prepared: Cache::builder().weigher(weigh).max_capacity(bytes).build(),
            lines: Lines::default(),
            clock,
            compilations: Arc::default(),
        }
    }

    /// How often MJML was compiled for sending.
    #[must_use]
    pub fn compilations(&self) -> u64 {
        self.compilations.load(Ordering::Relaxed)
    }

    fn prepare_now(&self, content: &EmailContent) -> Result<Prepared, CompileError> {
        self.compilations.fetch_add(1, Ordering::Relaxed);
        let mjml = source(content, Channel::Email)?;
        Prepared::new(content, &mjml, Channel::Email, self.lines.clone(), Arc::clone(&self.clock))
    }

    fn compile_now(
        &self,
        request: &CompileRequest,
        links: Option<&dyn LinkPolicy>,
    ) -> Result<Compiled, CompileError> {
        let CompileRequest { content, data, web, .. } = request;
        let channel = if *web { Channel::Web } else { Channel::Email };
        let mjml = source(content, channel)?;
        let empty = data.as_object().is_none_or(serde_json::Map::is_empty);
        let preserve = request.preserve_liquid || empty;
        let links = links.filter(|_| !web);
        let now = self.clock.now();
        let line = |source: &str, what: &str| {
            if preserve || *web {
                return Ok(source.to_owned());
            }
            let rendered = prepared::line(source, what)?.render(data, now);
            Ok(prepared::one_line(&rendered.map_err(|error| prepared::refused(&error, what))?.text))
        };
        let subject = line(&content.subject, "the subject")?;
        let subject_preview = line(content.subject_preview.as_deref().unwrap_or_default(), "the preview")?;
        let visual = matches!(content.body, EmailBody::Visual { .. });
        if preserve || (*web && visual) {
            let skeleton = mjml::compile(&mjml, channel)?;
            let marked = Marked::new(&skeleton.html, &skeleton.tokens, false);
            let preview = prepared::preview(&skeleton, content);
            let html = marked.resolve(&marked.html, &[], &preview, links);
            return Ok(Compiled { mjml, html, subject, subject_preview });
        }
        let prepared = Prepared::new(content, &mjml, channel, self.lines.clone(), Arc::clone(&self.clock))?;
        let html = prepared.html(data, None, links).map_err(|error| mjml::refused_whole(&error.message))?;
        let failed = |error| prepared::refused(&error, "the mail");
        let written =
            Template::parse(&mjml, Mode::Html).map_err(failed)?.render(data, now).map_err(failed)?;
        let mjml = Marked::default().resolve(&written.text, &written.links, "", None);
        Ok(Compiled { mjml, html, subject, subject_preview })
    }
}

impl MjmlRenderer {
    fn page_now(&self, content: &EmailContent, data: &Value) -> Result<PageContent, CompileError> {
        let mjml = source(content, Channel::Web)?;
        let prepared =
            Prepared::new(content, &mjml, Channel::Web, self.lines.clone(), Arc::clone(&self.clock))?;
        let html = prepared.for_everybody(data).map_err(|error| mjml::refused_whole(&error.message))?;
        Ok(page::parts(&html))
    }
}

/// The MJML of a content.
fn source(content: &EmailContent, channel: Channel) -> Result<String, CompileError> {
    match &content.body {
        EmailBody::Code { mjml_source } => Ok(mjml_source.clone()),
        EmailBody::Visual { visual_editor_tree } => {
            if blocks::is_too_large(visual_editor_tree) {
                return Err(mjml::refused_whole("the content of a block is longer than 100 KiB"));
            }
            Ok(blocks::to_mjml(visual_editor_tree, channel))
        }
    }
}

/// Runs work that takes the processor for a while where it blocks nobody.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CompileError> + Send + 'static,
) -> Result<T, CompileError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "compiling a template ended early");
        Err(mjml::refused_whole("the template could not be compiled"))
    })
}

#[async_trait]
impl Renderer for MjmlRenderer {
    async fn prepare(
        &self,
        key: &TemplateKey,
        content: &EmailContent,
    ) -> Result<Arc<dyn PreparedEmail>, CompileError> {
        if let Some(prepared) = self.prepared.get(key).await {
            return Ok(prepared);
        }
        let compile = async {
            let (renderer, content) = (self.clone(), content.clone());
            aside(move || renderer.prepare_now(&content)).await.map(Arc::new)
        };
        let prepared = self.prepared.try_get_with(key.clone(), compile).await;
        Ok(prepared.map_err(|error| (*error).clone())?)
    }

    async fn compile(
        &self,
        request: &CompileRequest,
        links: Option<Arc<dyn LinkPolicy>>,
    ) -> Result<Compiled, CompileError> {
        let (renderer, request) = (self.clone(), request.clone());
        aside(move || renderer.compile_now(&request, links.as_deref())).await
    }

    async fn page(&self, content: &EmailContent, data: &Value) -> Result<PageContent, CompileError> {
        let (renderer, content, data) = (self.clone(), content.clone(), data.clone());
        aside(move || renderer.page_now(&content, &data)).await
    }

    fn mjml(&self, content: &EmailContent) -> String {
        match &content.body {
            EmailBody::Code { mjml_source } => mjml_source.clone(),
            EmailBody::Visual { visual_editor_tree } => blocks::to_mjml(visual_editor_tree, Channel::Any),
        }
    }
}
