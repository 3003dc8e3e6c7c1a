//! Cuts Liquid into tags, checks its shape, and rewrites what the parser does not know: `liquid`,
//! `echo`, inline comments, unknown filters, and the escaping of values in HTML.

use super::{LiquidError, filters};
use crate::{links, markup};
use std::borrow::Cow;

/// The longest string with Liquid that an author may give, in bytes.
pub const MAX_SOURCE: usize = 100 * 1024;
/// How deep blocks may be nested.
const MAX_NESTING: usize = 100;
/// How deep brackets may be nested within one tag.
const MAX_BRACKETS: usize = 8;
/// The longest tag, in bytes.
const MAX_TAG: usize = 20_000;

/// What the values of a source go into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// HTML: values are escaped, and entities within tags are read.
    Html,
    /// Plain text: values are taken as they are.
    Text,
    /// Plain text that was made from HTML: as text, but entities within tags are read.
    TextOfHtml,
}

/// A piece of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text between tags.
    Text(&'a str),
    /// `{{ … }}` or `{% … %}`, whole, and where it starts.
    Tag(&'a str, usize),
}

/// Cuts a source into text and tags.
///
/// # Errors
/// The position of a tag that is not closed.
pub fn pieces(source: &str) -> Result<Vec<Piece<'_>>, usize> {
    let mut found = Vec::new();
    let (mut from, mut search) = (0, 0);
    while let Some(at) = source[search..].find('{').map(|at| search + at) {
        let close = match source.as_bytes().get(at + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            _ => {
                search = at + 1;
                continue;
            }
        };
        let length = source[at + 2..].find(close).ok_or(at)?;
        let end = at + 2 + length + 2;
        if from < at {
            found.push(Piece::Text(&source[from..at]));
        }
        found.push(Piece::Tag(&source[at..end], at));
        (from, search) = (end, end);
    }
    if from < source.len() {
        found.push(Piece::Text(&source[from..]));
    }
    Ok(found)
}

/// Whether a source holds Liquid.
pub fn has_liquid(source: &str) -> bool {
    source.contains("{{") || source.contains("{%")
}

/// The line of a position, from 1.
pub fn line_of(source: &str, position: usize) -> u32 {
    let before = source.get(..position).unwrap_or(source);
    u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
}

/// A tag taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts<'a> {
    output: bool,
    trim_start: bool,
    trim_end: bool,
    inner: Cow<'a, str>,
}

impl<'a> Parts<'a> {
    fn of(tag: &'a str, mode: Mode) -> Self {
        let inner = &tag[2..tag.len() - 2];
        let (trim_start, inner) = inner.strip_prefix('-').map_or((false, inner), |rest| (true, rest));
        let (trim_end, inner) = inner.strip_suffix('-').map_or((false, inner), |rest| (true, rest));
        // The line breaks of a text that was made from HTML are not those that the author trims.
        let trims = mode != Mode::TextOfHtml;
        Self {
            output: tag.starts_with("{{"),
            trim_start: trim_start && trims,
            trim_end: trim_end && trims,
            inner: clean(inner.trim(), mode),
        }
    }

    /// The name of a tag and what follows it.
    fn name(&self) -> (&str, &str) {
        let inner = self.inner.trim();
        if let Some(rest) = inner.strip_prefix('#') {
            return ("#", rest);
        }
        let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
        (&inner[..end], inner[end..].trim())
    }
}

/// Removes what editors put into tags: hard blanks, invisible characters and, in HTML, entities.
fn clean(inner: &str, mode: Mode) -> Cow<'_, str> {
    let odd =
        |c: char| matches!(c, '&' | '\u{a0}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\t' | '\r' | '\n');
    if !inner.contains(odd) {
        return Cow::Borrowed(inner);
    }
    let mut text = inner.to_owned();
    for blank in ["&nbsp;", "&#160;", "&#xa0;", "&#xA0;"] {
        text = text.replace(blank, " ");
    }
    if mode != Mode::Text {
        text = markup::unescape(&text).into_owned();
    }
    text.retain(|c| !matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}'));
    Cow::Owned(text.replace(['\u{a0}', '\t'], " "))
}

const BLOCKS: [&str; 10] =
    ["if", "unless", "for", "case", "capture", "tablerow", "ifchanged", "comment", "raw", links::BLOCK];
const TAGS: [&str; 6] = ["assign", "cycle", "increment", "decrement", "break", "continue"];
const BRANCHES: [&str; 3] = ["else", "elsif", "when"];

/// Rewrites a source for the parser.
///
/// # Errors
/// What is wrong with its shape, with the line.
pub fn rewrite(source: &str, mode: Mode) -> Result<String, LiquidError> {
    let pieces = pieces(source)
        .map_err(|at| LiquidError::at(line_of(source, at), "a Liquid tag is opened but never closed"))?;
    let mut writer =
        Writer { source, mode, out: String::with_capacity(source.len() + 256), open: Vec::new() };
    for piece in pieces {
        match piece {
            Piece::Text(text) => writer.text(text),
            Piece::Tag(tag, at) => writer.tag(tag, at)?,
        }
    }
    match writer.open.last() {
        Some((name, at)) => {
            Err(LiquidError::at(line_of(source, *at), format!("{{% {name} %}} is never closed")))
        }
        None => Ok(writer.out),
    }
}

struct Writer<'a> {
    source: &'a str,
    mode: Mode,
    out: String,
    open: Vec<(String, usize)>,
}

impl Writer<'_> {
    fn inside(&self, name: &str) -> bool {
        self.open.last().is_some_and(|(open, _)| open == name)
    }

    fn text(&mut self, text: &str) {
        if !self.inside("comment") && !self.inside("doc") {
            self.out.push_str(text);
        }
    }

    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Result<T, LiquidError> {
        Err(LiquidError::at(line_of(self.source, at), message))
    }

    fn tag(&mut self, tag: &str, at: usize) -> Result<(), LiquidError> {
        let parts = Parts::of(tag, self.mode);
        for verbatim in ["comment", "doc", "raw"] {
            if self.inside(verbatim) {
                if !parts.output && parts.name().0 == format!("end{verbatim}") {
                    self.open.pop();
                    self.nothing(&parts);
                } else if verbatim == "raw" {
                    // The parser sees no tag in it: it works on the stack and could be led too deep.
                    self.out.push_str(if tag.starts_with("{{") { "{{ '{{' }}" } else { "{{ '{%' }}" });
                    self.out.push_str(&tag[2..]);
                }
                return Ok(());
            }
        }
        if parts.inner.len() > MAX_TAG || bracket_depth(&parts.inner) > MAX_BRACKETS {
            return self.fail(at, "a Liquid tag is too long or nests too many brackets");
        }
        if parts.output {
            return self.output(&parts, &parts.inner, at);
        }
        self.statement(&parts, at)
    }

    fn statement(&mut self, parts: &Parts<'_>, at: usize) -> Result<(), LiquidError> {
        let (name, rest) = parts.name();
        match name {
            "#" => self.nothing(parts),
            "echo" => return self.output(parts, rest, at),
            "liquid" => {
                self.nothing(parts);
                for line in rest.lines().map(str::trim).filter(|line| !line.is_empty()) {
                    self.tag(&format!("{{% {line} %}}"), at)?;
                }
            }
            "doc" | "comment" | "raw" => {
                self.open.push((name.to_owned(), at));
                self.nothing(parts);
            }
            "include" | "render" | "layout" | "section" => {
                return self.fail(at, format!("{{% {name} %}} is not available in mails"));
            }
            _ if BLOCKS.contains(&name) => {
                self.open.push((name.to_owned(), at));
                if self.open.len() > MAX_NESTING {
                    return self
                        .fail(at, format!("more than {MAX_NESTING} Liquid blocks within one another"));
                }
                self.emit(parts, "{%", &spaced(name, rest), "%}");
            }
            _ if BRANCHES.contains(&name) => {
                if self.open.is_empty() {
                    return self.fail(at, format!("{{% {name} %}} stands outside of a block"));
                }
                self.emit(parts, "{%", &spaced(name, rest), "%}");
            }
            "assign" => {
                let chain = rest.split_once('=').map(|(target, chain)| {
                    format!("assign {} = {}", target.trim(), join(&known_filters(&split_chain(chain))))
                });
                self.emit(parts, "{%", &chain.unwrap_or_else(|| spaced(name, rest)), "%}");
            }
            _ if TAGS.contains(&name) => self.emit(parts, "{%", &spaced(name, rest), "%}"),
            _ => match name.strip_prefix("end") {
                Some(block) if self.inside(block) => {
                    self.open.pop();
                    self.emit(parts, "{%", name, "%}");
                }
                Some(_) => return self.fail(at, format!("{{% {name} %}} closes nothing that is open")),
                None => return self.fail(at, format!("{{% {name} %}} is not a known tag")),
            },
        }
        Ok(())
    }

    fn output(&mut self, parts: &Parts<'_>, chain: &str, at: usize) -> Result<(), LiquidError> {
        if chain.trim().is_empty() {
            self.nothing(parts);
            return Ok(());
        }
        let links = split_chain(chain);
        if links[0].is_empty() {
            return self.fail(at, "a value is missing before the first |");
        }
        let filtered = known_filters(&links);
        let chain =
            if self.mode == Mode::Html { escaped(filtered) } else { without_markup(filtered, self.mode) };
        self.emit(parts, "{{", &join(&chain), "}}");
        Ok(())
    }

    /// A tag that does nothing but trim the blanks around it.
    fn nothing(&mut self, parts: &Parts<'_>) {
        self.emit(parts, "{%", "comment %}{% endcomment", "%}");
    }

    fn emit(&mut self, parts: &Parts<'_>, open: &str, inner: &str, close: &str) {
        self.out.push_str(open);
        self.out.push_str(if parts.trim_start { "- " } else { " " });
        self.out.push_str(inner);
        self.out.push_str(if parts.trim_end { " -" } else { " " });
        self.out.push_str(close);
    }
}

fn spaced(name: &str, rest: &str) -> String {
    if rest.is_empty() { name.to_owned() } else { format!("{name} {rest}") }
}

fn join(chain: &[String]) -> String {
    chain.join(" | ")
}

/// Splits `value | filter: argument | filter` at its bars, not within quotes.
fn split_chain(chain: &str) -> Vec<String> {
    let mut links = vec![String::new()];
    let mut quote = None;
    for character in chain.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character == '|' => {
                links.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(link) = links.last_mut() {
            link.push(character);
        }
    }
    links.into_iter().map(|link| link.trim().to_owned()).collect()
}

fn filter_name(link: &str) -> &str {
    link.split(|c: char| c == ':' || c.is_whitespace()).next().unwrap_or_default()
}

/// Drops filters that nobody knows: the value passes unchanged.
fn known_filters(links: &[String]) -> Vec<String> {
    let known = |link: &str| filters::exists(filter_name(link));
    links
        .iter()
        .enumerate()
        .filter(|(at, link)| *at == 0 || known(link))
        .map(|(_, link)| link.clone())
        .collect()
}

/// Adds the escaping to a chain for HTML, unless its end says how the value is to be written.
fn escaped(mut chain: Vec<String>) -> Vec<String> {
    let last = if chain.len() > 1 { filter_name(&chain[chain.len() - 1]) } else { "" };
    match last {
        "raw" => {
            let end = chain.len() - 1;
            filters::MARKUP.clone_into(&mut chain[end]);
            chain
        }
        "escape" | "escape_once" | "h" => chain,
        "newline_to_br" => {
            let end = chain.pop();
            let mut chain = escaped(chain);
            chain.extend(end);
            chain
        }
        _ => {
            chain.push(filters::ESCAPE.to_owned());
            chain
        }
    }
}

/// In text, markup that was asked for with `raw` loses its tags, and what was meant for HTML is not done.
fn without_markup(mut chain: Vec<String>, mode: Mode) -> Vec<String> {
    let end = chain.len() - 1;
    match filter_name(&chain[end]) {
        "raw" if end > 0 => "strip_html".clone_into(&mut chain[end]),
        "newline_to_br" | "escape" | "escape_once" | "h" if end > 0 && mode == Mode::TextOfHtml => {
            chain.pop();
            return without_markup(chain, mode);
        }
        _ => {}
    }
    chain
}

fn bracket_depth(inner: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in inner.bytes() {
        match byte {
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Whether the blocks of a fragment open and close within it.
pub fn is_balanced(fragment: &str) -> bool {
    let Ok(pieces) = pieces(fragment) else { return false };
    let mut open: Vec<String> = Vec::new();
    for piece in pieces {
        let Piece::Tag(tag, _) = piece else { continue };
        let parts = Parts::of(tag, Mode::Html);
        let (name, _) = parts.name();
        if parts.output {
            continue;
        }
        if BLOCKS.contains(&name) {
            open.push(name.to_owned());
        } else if let Some(block) = name.strip_prefix("end") {
            if open.pop().as_deref() != Some(block) {
                return false;
            }
        } else if BRANCHES.contains(&name) && open.is_empty() {
            return false;
        }
    }
    open.is_empty()
}
