//! Reads the structure of a source: checks it, and takes out what the compiler should not see, such as
//! the HTML within texts.

use super::{
    attributes::HtmlAttributes,
    tokens::{Origins, Tokens},
};
use crate::blocks::Channel;
use crate::markup::{Markup, Scanner, Tag, VOID, attributes, numeric_entities};

/// How deep elements may be nested; the compiler works on the stack.
const MAX_DEPTH: usize = 100;

/// Components that the compiler knows.
const COMPONENTS: [&str; 34] = [
    "mjml",
    "mj-accordion",
    "mj-accordion-element",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-all",
    "mj-attributes",
    "mj-body",
    "mj-breakpoint",
    "mj-button",
    "mj-carousel",
    "mj-carousel-image",
    "mj-class",
    "mj-column",
    "mj-divider",
    "mj-font",
    "mj-group",
    "mj-head",
    "mj-html-attributes",
    "mj-hero",
    "mj-image",
    "mj-navbar",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-section",
    "mj-social",
    "mj-social-element",
    "mj-spacer",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
    "mj-wrapper",
];

/// Components whose content is HTML or text, which the compiler passes on.
const OPAQUE: [&str; 10] = [
    "mj-text",
    "mj-button",
    "mj-table",
    "mj-raw",
    "mj-title",
    "mj-accordion-title",
    "mj-accordion-text",
    "mj-navbar-link",
    "mj-social-element",
    "mj-style",
];

/// Something wrong at a position.
#[derive(Debug)]
pub struct Fault {
    /// Where.
    pub at: usize,
    /// What.
    pub message: String,
    /// The element.
    pub tag: String,
}

/// What the compiler gets to see, and the rest.
#[derive(Debug, Default)]
pub struct Structure {
    /// For the compiler.
    pub mjml: String,
    /// Positions in it and where they come from.
    pub origins: Origins,
    /// The content of `mj-preview`.
    pub preview: Option<String>,
    /// What `mj-html-attributes` adds to the HTML.
    pub attributes: HtmlAttributes,
    contents: Tokens,
    /// Liquid outside of the body, executed before the mail is written.
    before: String,
    /// The same after the body.
    after: String,
}

impl Structure {
    /// Reads a source whose Liquid was replaced by tokens.
    pub fn read(source: &str, liquid: &Tokens, channel: Channel) -> Result<Self, Vec<Fault>> {
        let inline = source.contains("inline=\"inline\"") || source.contains("inline='inline'");
        let structure = Self { contents: Tokens::for_source(source), ..Self::default() };
        let mut reader = Reader {
            source,
            liquid,
            channel,
            inline,
            structure,
            faults: Vec::new(),
            open: Vec::new(),
            from: 0,
            body: false,
        };
        reader.read();
        if reader.faults.is_empty() { Ok(reader.structure) } else { Err(reader.faults) }
    }

    /// Puts the contents back into the compiled HTML, and Liquid where it is executed.
    pub fn finish(&self, html: &str) -> String {
        let html = self.contents.restore(html).replace("<!--:", "").replace(":-->", "");
        format!("{}{html}{}", self.before, self.after)
    }
}

struct Reader<'a> {
    source: &'a str,
    liquid: &'a Tokens,
    /// What the source is compiled for.
    channel: Channel,
    /// Whether styles are inlined, for which the compiler must see the HTML.
    inline: bool,
    structure: Structure,
    faults: Vec<Fault>,
    open: Vec<(&'a str, usize)>,
    from: usize,
    body: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        let mut scanner = Scanner::new(self.source);
        while let Some(markup) = scanner.next() {
            match markup {
                Markup::Other { start, end } => self.other(start, end),
                Markup::Tag(tag) => {
                    self.text(tag.start);
                    if !self.check(&tag) {
                        return;
                    }
                    let end = if tag.closing { self.close(&tag) } else { self.opening(&tag) };
                    if let Some(end) = end {
                        scanner.jump(end);
                    }
                    if !self.faults.is_empty() {
                        return;
                    }
                }
            }
        }
        self.text(self.source.len());
        if let Some((name, at)) = self.open.pop() {
            self.fault(at, format!("<{name}> is never closed"), name);
        } else if !self.structure.mjml.contains("<mjml") {
            self.fault(0, "there is no <mjml> element", "mjml");
        }
    }

    fn fault(&mut self, at: usize, message: impl Into<String>, tag: &str) {
        self.faults.push(Fault { at, message: message.into(), tag: tag.to_owned() });
    }

    fn copy(&mut self, start: usize, end: usize) {
        self.structure.origins.note(self.structure.mjml.len(), start);
        self.structure.mjml.push_str(&numeric_entities(&self.source[start..end]));
        self.from = end;
    }

    fn put(&mut self, parts: &[&str]) {
        self.structure.mjml.extend(parts.iter().copied());
    }

    fn parent(&self) -> &'a str {
        self.open.last().map_or("", |(name, _)| name)
    }

    fn other(&mut self, start: usize, end: usize) {
        self.text(start);
        self.from = end;
        let written = &self.source[start..end];
        if written.starts_with("<!--") {
            self.copy(start, end);
        } else if written.starts_with("<![CDATA[") {
            self.fault(start, "CDATA sections are not available", "");
        } else if !self.open.is_empty() {
            self.fault(start, "declarations are only allowed before <mjml>", "");
        }
    }

    /// The text up to a position. Liquid between components is kept in a form that each of them takes.
    fn text(&mut self, end: usize) {
        let (start, parent) = (self.from, self.parent());
        if start >= end {
            return;
        }
        let text = &self.source[start..end];
        if !self.liquid.any(text) {
            self.copy(start, end);
            return;
        }
        self.from = end;
        for (before, token) in self.liquid.split(text) {
            self.structure.origins.note(self.structure.mjml.len(), start);
            self.structure.mjml.push_str(&numeric_entities(before));
            let Some((token, kept)) = token else { continue };
            let outside = matches!(parent, "" | "mjml" | "mj-head");
            match parent {
                _ if outside && kept.starts_with("{%") => {
                    let aside =
                        if self.body { &mut self.structure.after } else { &mut self.structure.before };
                    aside.push_str(token);
                }
                "mj-head" => self.put(&["<mj-raw>", token, "</mj-raw>"]),
                "mj-attributes" | "" | "mjml" => {
                    self.fault(start, format!("{kept} cannot stand here"), parent);
                }
                "table" | "tbody" | "thead" | "tfoot" | "tr" => {
                    self.put(&["<!--:", token, ":-->"]);
                }
                _ if parent.starts_with("mj-") && !OPAQUE.contains(&parent) => {
                    self.put(&["<!--:", token, ":-->"]);
                }
                _ => self.structure.mjml.push_str(token),
            }
        }
    }

    fn check(&mut self, tag: &Tag<'a>) -> bool {
        let name = tag.name;
        let (at, component) = (tag.start, name == "mjml" || name.starts_with("mj-"));
        if !tag.complete {
            self.fault(at, format!("<{name} has no closing >"), name);
        } else if name == "mj-include" {
            self.fault(at, "<mj-include> is not available", name);
        } else if component && !COMPONENTS.contains(&name) {
            self.fault(at, format!("<{name}> is not a known component"), name);
        } else if !tag.closing && self.open.len() >= MAX_DEPTH {
            self.fault(at, format!("more than {MAX_DEPTH} elements within one another"), name);
        } else if component && !tag.closing {
            let between = attributes(self.source, tag).into_iter().find(|a| self.liquid.any(a.name));
            if let Some(attribute) = between {
                let kept = self.liquid.split(attribute.name).into_iter().find_map(|(_, token)| token);
                let liquid = kept.map_or("Liquid", |(_, kept)| kept);
                self.fault(
                    at,
                    format!("{liquid} stands between the attributes of <{name}>; put it into a value"),
                    name,
                );
            }
        }
        self.faults.is_empty()
    }

    fn close(&mut self, tag: &Tag<'a>) -> Option<usize> {
        match self.open.pop() {
            Some((name, _)) if name == tag.name => {
                self.body |= name == "mj-body";
                self.copy(tag.start, tag.end);
            }
            Some((name, _)) => {
                self.fault(
                    tag.start,
                    format!("</{}> stands where </{name}> is expected", tag.name),
                    tag.name,
                );
            }
            None => self.fault(tag.start, format!("</{}> closes nothing that is open", tag.name), tag.name),
        }
        None
    }

    /// Whether an opening tag begins a section that the channel does not show.
    fn hidden(&self, tag: &Tag<'a>) -> bool {
        let visibility = || attributes(self.source, tag).into_iter().find(|a| a.name == "visibility");
        tag.name == "mj-section" && visibility().is_some_and(|a| self.channel.hides(a.value))
    }

    /// An opening tag; answers where to go on when its content was skipped.
    fn opening(&mut self, tag: &Tag<'a>) -> Option<usize> {
        let name = tag.name;
        if self.hidden(tag) {
            let end = if tag.empty { Some(tag.end) } else { closing(self.source, tag).map(|(_, end)| end) };
            match end {
                Some(end) => self.from = end,
                None => self.fault(tag.start, "<mj-section> is never closed", name),
            }
            return end;
        }
        if VOID.contains(&name) && !tag.empty {
            self.copy(tag.start, tag.end - 1);
            self.structure.mjml.push_str(" />");
            self.from = tag.end;
            return None;
        }
        if tag.empty {
            if !matches!(name, "mj-preview" | "mj-html-attributes") {
                self.copy(tag.start, tag.end);
            }
            self.from = tag.end;
            return None;
        }
        let opaque = OPAQUE.contains(&name) && (!self.inline || matches!(name, "mj-title" | "mj-raw"));
        if !opaque && !matches!(name, "mj-preview" | "mj-html-attributes") {
            self.open.push((name, tag.start));
            self.copy(tag.start, tag.end);
            return None;
        }
        let Some((content_end, end)) = closing(self.source, tag) else {
            self.fault(tag.start, format!("<{name}> is never closed"), name);
            return None;
        };
        let content = &self.source[tag.end..content_end];
        if name == "mj-preview" {
            let preview = numeric_entities(content.trim()).into_owned();
            self.structure.preview.get_or_insert(preview);
            self.from = end;
        } else if name == "mj-html-attributes" {
            if let Err((at, message)) = self.structure.attributes.read(content) {
                self.fault(tag.end + at, message, name);
            }
            self.from = end;
        } else {
            self.copy(tag.start, tag.end);
            if !content.trim().is_empty() {
                let token = self.structure.contents.keep(&numeric_entities(content));
                self.structure.mjml.push_str(&token);
            }
            self.copy(content_end, end);
        }
        Some(end)
    }
}

/// Where the content of an element without elements of its kind ends, and where its closing tag ends.
fn closing(source: &str, tag: &Tag<'_>) -> Option<(usize, usize)> {
    let close = format!("</{}", tag.name);
    let mut from = tag.end;
    loop {
        let start = from + source[from..].find(&close)?;
        let after = start + close.len();
        match source.as_bytes().get(after)? {
            b'>' => return Some((start, after + 1)),
            byte if byte.is_ascii_whitespace() => {
                return Some((start, after + source[after..].find('>')? + 1));
            }
            _ => from = after,
        }
    }
}
