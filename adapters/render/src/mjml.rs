//! Compiles MJML with Liquid in it: Liquid and HTML are taken out, what is left is checked against
//! limits and known components and compiled, then everything is put back.

mod attributes;
mod structure;
mod tokens;

pub use tokens::Tokens;

use crate::{blocks::Channel, liquid::syntax::line_of};
use application::ports::{CompileError, CompileIssue};
use mrml::prelude::{
    parser::{Error as ParseError, ParserOptions, Span},
    render::RenderOptions,
};
use structure::Structure;

/// The largest source, in bytes.
const MAX_SOURCE: usize = 1024 * 1024;

/// A compiled source. Liquid is still out of it, so that the HTML can be scanned.
#[derive(Debug)]
pub struct Skeleton {
    /// The HTML, with tokens for Liquid.
    pub html: String,
    /// What the tokens stand for.
    pub tokens: Tokens,
    /// The content of `mj-preview` as HTML, with tokens; it is not in the HTML.
    pub preview: Option<String>,
}

/// Compiles a source, without the sections that the channel does not show.
///
/// # Errors
/// What is wrong, with line and column in the source.
pub fn compile(source: &str, channel: Channel) -> Result<Skeleton, CompileError> {
    if source.len() > MAX_SOURCE {
        return Err(refused(vec![issue(0, "the source is larger than 1 MiB", "mjml")]));
    }
    let protected = tokens::protect(source)
        .map_err(|at| refused(vec![issue_at(source, at, "a Liquid tag is opened but never closed", "")]))?;
    let structure = Structure::read(&protected.text, &protected.tokens, channel).map_err(|faults| {
        let origin = |at| protected.origins.of(at);
        refused(faults.into_iter().map(|f| issue_at(source, origin(f.at), &f.message, &f.tag)).collect())
    })?;
    let origin = |at: usize| protected.origins.of(structure.origins.of(at));
    let parsed = mrml::parse_with_options(&structure.mjml, &ParserOptions::default()).map_err(|error| {
        let (at, message, tag) = describe(&error, &structure.mjml);
        refused(vec![issue_at(source, origin(at), &message, &tag)])
    })?;
    let html = parsed.element.render(&RenderOptions::default()).map_err(|error| {
        tracing::debug!(%error, "MJML could not be rendered");
        refused(vec![issue(0, "the MJML cannot be rendered", "mjml")])
    })?;
    let html = structure.attributes.apply(html).map_err(|message| refused_whole(&message))?;
    let html = structure.finish(&html);
    Ok(Skeleton { html, tokens: protected.tokens, preview: structure.preview })
}

fn issue(line: u32, message: &str, tag: &str) -> CompileIssue {
    CompileIssue { line, message: message.to_owned(), tag_name: tag.to_owned() }
}

fn issue_at(source: &str, position: usize, message: &str, tag: &str) -> CompileIssue {
    let position = position.min(source.len());
    let before = source.get(..position).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let line = line_of(source, position);
    issue(line, &format!("line {line}, column {column}: {message}"), tag)
}

/// An error of all issues, named after the first.
pub fn refused(issues: Vec<CompileIssue>) -> CompileError {
    let message = issues.first().map(|issue| issue.message.clone()).unwrap_or_default();
    CompileError { message, issues }
}

/// An error about a source as a whole.
pub fn refused_whole(message: &str) -> CompileError {
    refused(vec![issue(0, message, "")])
}

/// Position in the compiled source, message and element.
fn describe(error: &ParseError, mjml: &str) -> (usize, String, String) {
    let excerpt = |span: &Span| {
        let text = mjml.get(span.start..span.end).unwrap_or_default();
        text.chars().take(40).collect::<String>()
    };
    let element = |span: &Span| excerpt(span).trim_start_matches(['<', '/']).trim_end_matches('>').to_owned();
    match error {
        ParseError::UnexpectedElement { position, .. } => {
            let name = element(position);
            (position.start, format!("<{name}> is not allowed here"), name)
        }
        ParseError::UnexpectedToken { position, .. } => {
            (position.start, format!("`{}` is not allowed here", excerpt(position).trim()), String::new())
        }
        ParseError::MissingAttribute { name, position, .. } => {
            (position.start, format!("the attribute {name} is missing"), element(position))
        }
        ParseError::InvalidAttribute { position, .. } => {
            (position.start, format!("`{}` is no valid attribute", excerpt(position)), String::new())
        }
        ParseError::InvalidFormat { position, .. } => {
            (position.start, format!("`{}` has a wrong form", excerpt(position)), String::new())
        }
        ParseError::EndOfStream { .. } => (mjml.len(), "the source ends too early".to_owned(), String::new()),
        ParseError::SizeLimit { .. } => (0, "the source is too large".to_owned(), String::new()),
        ParseError::ParserError { source, .. } => {
            let position = source.pos();
            let line = usize::try_from(position.row.saturating_sub(1)).unwrap_or(0);
            let start: usize = mjml.split_inclusive('\n').take(line).map(str::len).sum();
            let column = usize::try_from(position.col.saturating_sub(1)).unwrap_or(0);
            let width: usize = mjml[start..].chars().take(column).map(char::len_utf8).sum();
            (start + width, "the markup is broken here".to_owned(), String::new())
        }
        ParseError::NoRootNode => (0, "there is no <mjml> element".to_owned(), "mjml".to_owned()),
        ParseError::IncludeLoaderError { position, .. } => {
            (position.start, "includes are not available".to_owned(), "mj-include".to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
