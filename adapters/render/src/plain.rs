//! Makes the plain-text alternative from the HTML of a mail, with Liquid left in place, so that the
//! work is done once for all recipients.

use crate::{
    markup::{self, Markup, Scanner, Tag},
    mjml::Tokens,
};

/// Elements that start on a new line.
const BLOCKS: [&str; 18] = [
    "p", "div", "table", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre",
    "section", "article", "hr",
];
/// Elements with an empty line around them.
const APART: [&str; 10] = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote"];
/// Elements whose text nobody sees.
const UNSEEN: [&str; 4] = ["head", "title", "style", "script"];

/// The text of HTML whose Liquid was replaced by tokens; the tokens of what is left out are kept as far
/// as they execute something.
pub fn from_html(html: &str, tokens: &Tokens) -> String {
    let mut writer = Writer { tokens, out: String::with_capacity(html.len() / 4), unseen: None, links: Vec::new() };
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

struct Writer<'a> {
    tokens: &'a Tokens,
    out: String,
    unseen: Option<String>,
    /// URLs of open links and where their text starts.
    links: Vec<(String, usize)>,
}

impl Writer<'_> {
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
        let text = markup::numeric_entities(text);
        for character in markup::unescape(&text).chars() {
            match character {
                '\u{200b}'..='\u{200d}' | '\u{ad}' | '\u{feff}' | '\u{34f}' => {}
                blank if blank.is_whitespace() => {
                    if !self.out.ends_with([' ', '\n']) {
                        self.out.push(' ');
                    }
                }
                other => self.out.push(other),
            }
        }
    }

    /// Starts a new line, with at least `breaks` line breaks before it.
    fn line(&mut self, breaks: usize) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        let have = self.out.len() - self.out.trim_end_matches('\n').len();
        if !self.out.is_empty() {
            self.out.extend(std::iter::repeat_n('\n', breaks.saturating_sub(have)));
        }
    }

    fn open(&mut self, html: &str, tag: &Tag<'_>) {
        let name = tag.name.to_ascii_lowercase();
        if self.unseen.is_some() {
            self.executed(&html[tag.start..tag.end]);
            return;
        }
        let attributes = markup::attributes(html, tag);
        let attribute = |wanted: &str| {
            attributes.iter().find(|a| a.name.eq_ignore_ascii_case(wanted)).map(|a| markup::unescape(a.value))
        };
        match name.as_str() {
            "br" => self.out.push('\n'),
            "li" => {
                self.line(1);
                self.out.push_str("- ");
            }
            "hr" => {
                self.line(1);
                self.out.push_str("---");
                self.line(1);
            }
            "img" => {
                if let Some(alt) = attribute("alt") {
                    self.text(&alt);
                }
            }
            "td" | "th" => self.text(" "),
            "a" => {
                let url = attribute("href").map(|url| url.trim().to_owned()).unwrap_or_default();
                self.links.push((url, self.out.len()));
            }
            other if UNSEEN.contains(&other) && !tag.empty => self.unseen = Some(name),
            other if BLOCKS.contains(&other) => self.line(if APART.contains(&other) { 2 } else { 1 }),
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
            let label = self.out.get(start..).unwrap_or_default().trim().to_owned();
            let address = url.strip_prefix("mailto:").or_else(|| url.strip_prefix("tel:")).unwrap_or(&url);
            if address.is_empty() || address.starts_with('#') || label == address {
                return;
            }
            if label.is_empty() {
                self.out.push_str(address);
            } else {
                let kept = self.out.trim_end().len();
                self.out.truncate(kept);
                self.out.push_str(&format!(" ({address})"));
            }
        } else if BLOCKS.contains(&name.as_str()) {
            self.line(if APART.contains(&name.as_str()) { 2 } else { 1 });
        }
    }
}

/// Tidies a rendered text: no blanks at the ends of lines, at most one empty line in a row.
pub fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 1;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        out.push_str(line);
        empty = 0;
    }
    out.push('\n');
    out
}
