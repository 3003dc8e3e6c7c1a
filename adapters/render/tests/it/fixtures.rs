//! Contents, clocks and policies for the tests.

use application::ports::{Clock, LinkPolicy, Overrides, PreparedEmail, RenderedEmail, Renderer, TemplateKey};
use domain::{
    Timestamp,
    ids::{TemplateId, WorkspaceId},
    templates::{EmailBody, EmailContent},
};
use render::MjmlRenderer;
use serde_json::Value;
use std::sync::Arc;

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp(1_700_000_000, 0).unwrap()
    }
}

pub fn renderer() -> MjmlRenderer {
    MjmlRenderer::new(Arc::new(FixedClock))
}

pub fn key(version: i64) -> TemplateKey {
    TemplateKey {
        workspace: WorkspaceId::parse("acme").unwrap(),
        template: TemplateId::parse("welcome").unwrap(),
        version,
        language: None,
    }
}

pub fn content(body: EmailBody) -> EmailContent {
    EmailContent {
        body,
        sender_id: None,
        reply_to: None,
        subject: "Hello {{ contact.first_name }}".into(),
        subject_preview: None,
        compiled_preview: None,
        text: None,
    }
}

pub fn code(mjml: &str) -> EmailContent {
    content(EmailBody::Code { mjml_source: mjml.into() })
}

pub fn with_text(html: &str) -> EmailContent {
    code(&format!(
        "<mjml><mj-body><mj-section><mj-column><mj-text>{html}</mj-text></mj-column></mj-section></mj-body></mjml>"
    ))
}

pub async fn prepared(content: &EmailContent) -> Arc<dyn PreparedEmail> {
    renderer().prepare(&key(1), content).await.unwrap()
}

pub async fn mail(content: &EmailContent, data: &Value) -> RenderedEmail {
    prepared(content).await.render(data, &Overrides::default(), None).unwrap()
}

/// Leads every link over one address and reports openings.
pub struct Tracked;

impl LinkPolicy for Tracked {
    fn rewrite(&self, url: &str) -> Option<String> {
        Some(format!("https://t.example/r?{url}"))
    }

    fn pixel(&self) -> Option<String> {
        Some("https://t.example/p?a=1&b=2".into())
    }
}
