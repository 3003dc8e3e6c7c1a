//! Makes the plain-text alternative from the HTML of a mail, with Liquid left in place, so that the
//! work is done once for all recipients.

use crate::{
    markup::{self, Markup, Scanner, Tag},
    mjml::Tokens,
};
use std::collections::HashMap;

/// Elements that start on a new line.
const BLOCKS: [&str; 18] = [
    "p",
    "div",
    "table",
    "tr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "blockquote",
    "pre",
    "section",
    "article",
    "hr",
];
/// Elements with an empty line around them.
const APART: [&str; 10] = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote"];
/// In a template of text: what follows starts on a new line.
const NEW_LINE: char = '\u{3}';
/// The same with an empty line between.
const APART_LINE: char = '\u{4}';
/// Elements whose text nobody sees.
const UNSEEN: [&str; 4] = ["head", "title", "style", "script"];

/// The text of HTML whose Liquid was replaced by tokens; the tokens of what is left out are kept as far
/// as they execute something.
pub fn from_html(html: &str, tokens: &Tokens) -> String {
    let mut writer = Writer {
        tokens,
        out: String::with_capacity(html.len() / 4),
        unseen: None,
        links: Vec::new(),
        urls: urls(html, tokens),
    };
    let mut from = 0;
    for found in Scanner::new(html) {
        let (start, end) = match &found {
            Markup::Tag(tag) => (tag.start, tag.end),
            Markup::Other { start, end } => (*start, *end),
        };
        writer.text(&html[from.min(start)..start]);
        from = end;
        match found {
            Markup::Tag(tag) if tag.closing => writer.close(tag.name),
            Markup::Tag(tag) => writer.open(html, &tag),
            Markup::Other { .. } => writer.executed(&html[start..end]),
        }
    }
    writer.text(&html[from..]);
    tokens.restore(&writer.out)
}

/// How often each URL is linked.
fn urls(html: &str, tokens: &Tokens) -> HashMap<String, usize> {
    let mut urls = HashMap::new();
    for found in Scanner::new(html) {
        if let Markup::Tag(tag) = found
            && !tag.closing
            && tag.name.eq_ignore_ascii_case("a")
        {
            *urls.entry(attribute(html, &tag, "href", tokens).unwrap_or_default()).or_default() += 1;
        }
    }
    urls
}

/// The value of an attribute, without entities.
fn attribute(html: &str, tag: &Tag<'_>, name: &str, tokens: &Tokens) -> Option<String> {
    let attributes = markup::attributes(html, tag);
    let found = attributes.iter().find(|a| tokens.without(a.name).eq_ignore_ascii_case(name));
    found.map(|attribute| markup::unescape(attribute.value).trim().to_owned())
}

struct Writer<'a> {
    tokens: &'a Tokens,
    out: String,
    unseen: Option<String>,
    /// URLs of open links and where their text starts.
    links: Vec<(String, usize)>,
    urls: HashMap<String, usize>,
}

impl Writer<'_> {
    /// Keeps what is executed of something that is not seen.
    fn executed(&mut self, hidden: &str) {
        for (_, token) in self.tokens.split(hidden) {
            if let Some((token, kept)) = token
                && kept.starts_with("{%")
            {
                self.out.push_str(token);
            }
        }
    }

    fn text(&mut self, text: &str) {
        if self.unseen.is_some() {
            self.executed(text);
            return;
        }
        for (before, token) in self.tokens.split(text) {
            let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
            self.out.extend(markup::unescape(before).chars().filter(|c| !is_invisible(*c)).map(blank));
            self.out.push_str(token.map_or("", |(token, _)| token));
        }
    }

    /// Ends the line at the start or the end of an element.
    fn line(&mut self, name: &str) {
        self.out.push(if APART.contains(&name) { APART_LINE } else { NEW_LINE });
    }

    fn open(&mut self, html: &str, tag: &Tag<'_>) {
        let name = tag.name.to_ascii_lowercase();
        if self.unseen.is_some() {
            self.executed(&html[tag.start..tag.end]);
            return;
        }
        let attribute = |name| attribute(html, tag, name, self.tokens);
        match name.as_str() {
            "br" => self.out.push('\n'),
            "li" => {
                self.line(&name);
                self.out.push_str("- ");
            }
            "hr" => {
                self.line(&name);
                self.out.push_str("---");
                self.line(&name);
            }
            "img" => {
                if let Some(alt) = attribute("alt") {
                    self.text(&alt);
                }
            }
            "td" | "th" => self.text(" "),
            "a" => {
                let url = attribute("href").unwrap_or_default();
                self.links.push((url, self.out.len()));
            }
            other if UNSEEN.contains(&other) && !tag.empty => self.unseen = Some(name),
            other if BLOCKS.contains(&other) => self.line(other),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        if let Some(unseen) = &self.unseen {
            if *unseen == name {
                self.unseen = None;
            }
            return;
        }
        if name == "a" {
            let Some((url, start)) = self.links.pop() else { return };
            let between = |c: char| c.is_whitespace() || matches!(c, NEW_LINE | APART_LINE);
            let label = self.out.get(start..).unwrap_or_default().trim_matches(between).to_owned();
            let address = url.strip_prefix("mailto:").or_else(|| url.strip_prefix("tel:")).unwrap_or(&url);
            if address.is_empty() || address.starts_with('#') || label == address {
                return;
            }
            if !label.is_empty() {
                let kept = self.out.trim_end_matches(between).len();
                self.out.truncate(kept);
                self.out.extend([" (", address, ")"]);
            } else if self.urls.get(&url).is_none_or(|count| *count < 2) {
                self.out.push_str(address);
            }
        } else if BLOCKS.contains(&name.as_str()) {
            self.line(&name);
        }
    }
}

fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200d}' | '\u{ad}' | '\u{feff}' | '\u{34f}')
}

/// Lays a rendered text out: no blanks around lines, no needless ones within, at most one empty line in
/// a row. Only now is it known which elements are there.
pub fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut lines, mut broken, mut blank) = (0_usize, 0_usize, false);
    for character in text.chars() {
        match character {
            NEW_LINE => lines = lines.max(1),
            APART_LINE => lines = 2,
            '\n' => broken += 1,
            other if other.is_whitespace() => blank = true,
            other => {
                let lines = std::mem::take(&mut lines).max(std::mem::take(&mut broken).min(2));
                if !out.is_empty() {
                    out.extend(std::iter::repeat_n('\n', lines));
                    if blank && lines == 0 {
                        out.push(' ');
                    }
                }
                blank = false;
                out.push(other);
            }
        }
    }
    out.push('\n');
    out
}
