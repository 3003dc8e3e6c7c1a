//! Liquid for mails: lenient like Shopify's, escaped for HTML, bounded in time and size. Templates are
//! parsed once and rendered many times; what they render is never read as Liquid again.

mod capture;
mod conditions;
pub mod filters;
mod loops;
pub mod runtime;
pub mod syntax;
mod view;
pub mod wanted;

use chrono::{DateTime, Utc};
use liquid_core::{Language, ParseBlock, ParseTag, Renderable, Runtime, parser};
use liquid_lib::stdlib;
use runtime::{FoundLinks, MAX_OUTPUT, Sink, Variables};
use std::sync::LazyLock;
use syntax::{Mode, Piece, has_liquid, line_of, pieces, rewrite};

/// What is wrong with a template or went wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LiquidError {
    /// Line of the source, from 1; 0 when unknown.
    pub line: u32,
    /// What is wrong, without anything from the data.
    pub message: String,
}

impl LiquidError {
    fn at(line: u32, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

static LANGUAGE: LazyLock<Language> = LazyLock::new(language);

fn language() -> Language {
    let mut language = Language::empty();
    let blocks: [Box<dyn ParseBlock>; 9] = [
        conditions::Conditional::If.into(),
        conditions::Conditional::Unless.into(),
        loops::Loop::For.into(),
        loops::Loop::TableRow.into(),
        capture::Aside::Capture.into(),
        capture::Aside::Link.into(),
        stdlib::CaseBlock.into(),
        stdlib::CommentBlock.into(),
        stdlib::IfChangedBlock.into(),
    ];
    for block in blocks {
        language.blocks.register(block.reflection().start_tag().to_owned(), block);
    }
    let tags: [Box<dyn ParseTag>; 6] = [
        stdlib::AssignTag.into(),
        stdlib::BreakTag.into(),
        stdlib::ContinueTag.into(),
        stdlib::CycleTag.into(),
        stdlib::IncrementTag.into(),
        stdlib::DecrementTag.into(),
    ];
    for tag in tags {
        language.tags.register(tag.reflection().tag().to_owned(), tag);
    }
    for (name, filter) in filters::all() {
        language.filters.register(name, filter);
    }
    language
}

/// A parsed template.
#[derive(Debug)]
pub struct Template(Parsed);

#[derive(Debug)]
enum Parsed {
    /// Without any Liquid.
    Text(String),
    Liquid {
        elements: liquid_core::Template,
        size: usize,
    },
}

/// What rendering made.
#[derive(Debug)]
pub struct Rendered {
    /// The text, with marks of links.
    pub text: String,
    /// The URLs that the marks stand for.
    pub links: Vec<String>,
}

impl Template {
    /// Parses a source.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn parse(source: &str, mode: Mode) -> Result<Self, LiquidError> {
        if !has_liquid(source) {
            return Ok(Self(Parsed::Text(source.to_owned())));
        }
        let rewritten = rewrite(source, mode)?;
        let elements = parser::parse(&rewritten, &LANGUAGE).map_err(|e| locate(source, mode, &e))?;
        Ok(Self(Parsed::Liquid { elements: liquid_core::Template::new(elements), size: source.len() }))
    }

    /// Parses a source that an author gave, which is limited in size.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn parse_given(source: &str, mode: Mode) -> Result<Self, LiquidError> {
        if source.len() > syntax::MAX_SOURCE {
            return Err(LiquidError::at(0, "the text is longer than 100 KiB"));
        }
        Self::parse(source, mode)
    }

    /// Renders with the data of one recipient.
    ///
    /// # Errors
    /// When a filter refuses its input or a limit is reached.
    pub fn render(&self, data: &serde_json::Value, now: DateTime<Utc>) -> Result<Rendered, LiquidError> {
        let (elements, size) = match &self.0 {
            Parsed::Text(text) => return Ok(Rendered { text: text.clone(), links: Vec::new() }),
            Parsed::Liquid { elements, size } => (elements, *size),
        };
        let variables = Variables::new(data);
        variables.registers().get_mut::<filters::Now>().0 = now;
        let mut sink = Sink::new(size + size / 4, MAX_OUTPUT);
        elements.render_to(&mut sink, &variables).map_err(|e| failure(&e))?;
        let links = std::mem::take(&mut variables.registers().get_mut::<FoundLinks>().0);
        Ok(Rendered { text: sink.into_text(), links })
    }
}

/// The first line of an error; the others quote values.
fn failure(error: &liquid_core::Error) -> LiquidError {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let message = first.strip_prefix("liquid: ").unwrap_or(first);
    LiquidError::at(
        0,
        match message {
            "Failed to render" => "the template renders more than one mail may hold".to_owned(),
            other => other.to_owned(),
        },
    )
}

/// Finds the tag that the parser stumbled over.
pub fn locate(source: &str, mode: Mode, error: &liquid_core::Error) -> LiquidError {
    for piece in pieces(source).unwrap_or_default() {
        let Piece::Tag(tag, at) = piece else { continue };
        if let Some(alone) = standing_alone(tag)
            && let Ok(rewritten) = rewrite(&alone, mode)
            && parser::parse(&rewritten, &LANGUAGE).is_err()
        {
            return LiquidError::at(line_of(source, at), format!("{tag} cannot be read"));
        }
    }
    let text = error.to_string();
    let reason =
        text.lines().find_map(|line| line.trim().strip_prefix("= ")).unwrap_or("it is not valid Liquid");
    LiquidError::at(0, format!("the Liquid cannot be read: {reason}"))
}

/// A tag with as much around it as it needs to be parsed by itself.
fn standing_alone(tag: &str) -> Option<String> {
    if tag.starts_with("{{") {
        return Some(tag.to_owned());
    }
    let inner = tag[2..tag.len() - 2].trim_matches('-').trim();
    let name = inner.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
    match name {
        "" | "comment" | "raw" | "else" | "liquid" | "doc" => None,
        "elsif" => Some(format!("{{% if a %}}{tag}{{% endif %}}")),
        "when" => Some(format!("{{% case a %}}{tag}{{% endcase %}}")),
        _ if name.starts_with("end") => None,
        "if" | "unless" | "for" | "case" | "capture" | "tablerow" | "ifchanged" => {
            Some(format!("{tag}{{% end{name} %}}"))
        }
        _ => Some(tag.to_owned()),
    }
}

#[cfg(test)]
mod tests;
