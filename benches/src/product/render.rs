//! Making one mail for one recipient, without sending it.

use super::house::processor_time;
use crate::{figures::micros, gates::Gates};
use application::ports::{LinkPolicy, Overrides, Renderer as _, TemplateKey};
use domain::{
    ids::{TemplateId, WorkspaceId},
    templates::EmailContent,
};
use render::MjmlRenderer;
use serde_json::json;
use std::sync::Arc;

/// Fifteen blocks, ten variables, ten links.
pub(super) const LETTER: &str = include_str!("letter.mjml");
const ROUNDS: u32 = 20_000;

/// Puts as long an address in place of each link as the product does.
struct Tracked;

impl LinkPolicy for Tracked {
    fn rewrite(&self, url: &str) -> Option<String> {
        Some(format!("https://mail.bench.example/r/{:0>120}", url.len()))
    }

    fn pixel(&self) -> Option<String> {
        Some(format!("https://mail.bench.example/t/{:0>80}", 1))
    }
}

pub(super) async fn measure(gates: &mut Gates) -> anyhow::Result<()> {
    let renderer = MjmlRenderer::new(Arc::new(crypto::SystemClock));
    let content: EmailContent = serde_json::from_value(json!({
        "editor_mode": "code", "mjml_source": LETTER, "subject": "{{ contact.first_name }}, news"}))?;
    let key = TemplateKey {
        workspace: WorkspaceId::parse("bench")?,
        template: TemplateId::parse("letter")?,
        version: 1,
        language: None,
    };
    let prepared = renderer.prepare(&key, &content).await?;
    let before = processor_time()?;
    let mut bytes = 0;
    for number in 0..ROUNDS {
        let data = json!({"contact": {"first_name": format!("Ada {number}"), "last_name": "Lovelace",
            "email": format!("c{number}@example.com"), "country": "DK", "custom_string_1": "Sidamo",
            "custom_number_1": number}, "broadcast": {"name": "Harvest"}, "unsubscribe_url": "https://x.example/u"});
        bytes += prepared.render(&data, &Overrides::default(), Some(&Tracked))?.html.len();
    }
    let each = processor_time()?.saturating_sub(before) / ROUNDS;
    println!(
        "Rendering for one recipient: {:.0} µs of processor time, {} bytes of HTML ({ROUNDS} of them)",
        micros(each),
        bytes / ROUNDS as usize
    );
    gates.at_most("render", micros(each), 100.0, "µs");
    println!();
    Ok(())
}
