//! Finds the links of a mail when it is prepared and leaves marks in their place, so that only the
//! marks differ from one recipient to the next.

use crate::{
    liquid::syntax::{has_liquid, is_balanced},
    markup::{self, Attribute, Markup, Scanner, Tag},
    mjml::Tokens,
    nonce::nonce,
};
use application::ports::LinkPolicy;

/// The Liquid block around the URL of a link.
pub const BLOCK: &str = "link_url";
/// Its end.
pub const END_BLOCK: &str = "endlink_url";

const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A link that is the same for everyone.
    Static,
    /// A link whose URL was made while rendering.
    Found,
    Pixel,
    Preview,
}

impl Mark {
    fn digit(self) -> char {
        match self {
            Self::Static => '1',
            Self::Found => '2',
            Self::Pixel => '3',
            Self::Preview => '4',
        }
    }

    fn write(self, index: usize) -> String {
        format!("{OPEN}{}{}{index}{CLOSE}", nonce(), self.digit())
    }
}

/// Reads the mark after its opening character: kind, index and length.
fn read_mark(text: &str) -> Option<(Mark, usize, usize)> {
    let rest = text.strip_prefix(nonce())?;
    let kind = match rest.as_bytes().first()? {
        b'1' => Mark::Static,
        b'2' => Mark::Found,
        b'3' => Mark::Pixel,
        b'4' => Mark::Preview,
        _ => return None,
    };
    let end = rest.find(CLOSE)?;
    Some((kind, rest[1..end].parse().ok()?, nonce().len() + end + CLOSE.len_utf8()))
}

/// Notes a URL that was made while rendering; its mark is returned.
pub fn found_mark(url: String, found: &mut Vec<String>) -> String {
    found.push(url);
    Mark::Found.write(found.len() - 1)
}

/// Puts marks in place of the links of markup that came with the data.
pub fn mark_found(markup: String, found: &mut Vec<String>) -> String {
    if !markup.contains('<') {
        return markup;
    }
    let mut out = Replacer::new(&markup);
    for tag in tags(&markup).filter(is_link) {
        for href in hrefs(&markup, &tag) {
            out.quoted(&href, &found_mark(href.value.to_owned(), found));
        }
    }
    out.finish()
}

/// Whether a link is left alone: nothing to follow, or nothing that can be followed over the web.
fn is_exempt(url: &str) -> bool {
    const SCHEMES: [&str; 7] = ["mailto", "tel", "sms", "javascript", "data", "blob", "file"];
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.trim());
    url.is_empty()
        || url.starts_with('#')
        || has_liquid(url)
        || scheme.is_some_and(|scheme| SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)))
}

/// A URL in a quoted attribute. An `&` stays as it is unless it would read as an entity.
fn attribute_url(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for (at, character) in url.char_indices() {
        match character {
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' if markup::starts_with_entity(&url[at..]) => out.push_str("&amp;"),
            other => out.push(other),
        }
    }
    out
}

fn tags(source: &str) -> impl Iterator<Item = Tag<'_>> {
    Scanner::new(source).filter_map(|found| match found {
        Markup::Tag(tag) => Some(tag),
        Markup::Other { .. } => None,
    })
}

fn is_link(tag: &Tag<'_>) -> bool {
    !tag.closing && tag.complete && ["a", "area"].iter().any(|name| tag.name.eq_ignore_ascii_case(name))
}

fn hrefs<'a>(source: &'a str, tag: &Tag<'_>) -> impl Iterator<Item = Attribute<'a>> {
    let href = |attribute: &Attribute<'_>| attribute.has_value && attribute.name.eq_ignore_ascii_case("href");
    markup::attributes(source, tag).into_iter().filter(href)
}

/// Copies a source with replacements, from front to back.
struct Replacer<'a> {
    source: &'a str,
    out: String,
    from: usize,
}

impl<'a> Replacer<'a> {
    fn new(source: &'a str) -> Self {
        Self { source, out: String::with_capacity(source.len() + 256), from: 0 }
    }

    fn replace(&mut self, at: usize, length: usize, with: &str) {
        self.out.push_str(&self.source[self.from..at]);
        self.out.push_str(with);
        self.from = at + length;
    }

    /// Replaces the value of an attribute, adding the quotes that are missing.
    fn quoted(&mut self, attribute: &Attribute<'_>, value: &str) {
        if attribute.quote.is_some() {
            self.replace(attribute.at, attribute.value.len(), value);
        } else {
            self.replace(attribute.at, attribute.value.len(), &format!("\"{value}\""));
        }
    }

    fn finish(mut self) -> String {
        self.out.push_str(&self.source[self.from..]);
        self.out
    }
}

/// HTML with marks in it and what the marks stand for.
#[derive(Debug, Default, Clone)]
pub struct Marked {
    /// The HTML, with Liquid in place.
    pub html: String,
    /// The URLs of static links by index.
    links: Vec<String>,
}

impl Marked {
    /// Marks links, the place of the pixel and that of the preview. With `evaluate`, URLs that hold
    /// Liquid are marked too, for a text that Liquid will render.
    pub fn new(html: &str, tokens: &Tokens, evaluate: bool) -> Self {
        let mut out = Replacer::new(html);
        let mut links = Vec::new();
        let mut body = None;
        let last_body = tags(html).filter(|t| t.closing && t.name.eq_ignore_ascii_case("body")).last();
        for tag in tags(html) {
            if tag.closing {
                if last_body.as_ref() == Some(&tag) {
                    out.replace(tag.start, 0, &Mark::Pixel.write(0));
                }
                continue;
            }
            let link = is_link(&tag);
            for attribute in markup::attributes(html, &tag) {
                let name = tokens.without(attribute.name);
                let address = ["href", "src", "action"].iter().any(|known| name.eq_ignore_ascii_case(known));
                if !address || !attribute.has_value {
                    continue;
                }
                let link = link && name.eq_ignore_ascii_case("href");
                match address_in_place(&attribute, link, tokens, evaluate) {
                    Address::Same => {}
                    Address::Written(value) => out.replace(attribute.at, attribute.value.len(), &value),
                    Address::Link(url) => {
                        links.push(url);
                        out.quoted(&attribute, &Mark::Static.write(links.len() - 1));
                    }
                    Address::Evaluated => {
                        let block = format!("{{% {BLOCK} %}}{}{{% {END_BLOCK} %}}", attribute.value);
                        out.quoted(&attribute, &block);
                    }
                }
            }
            if body.is_none() && tag.name.eq_ignore_ascii_case("body") {
                body = Some(tag.end);
                out.replace(tag.end, 0, &Mark::Preview.write(0));
            }
        }
        let mut html = out.finish();
        if last_body.is_none() {
            html.push_str(&Mark::Pixel.write(0));
        }
        Self { html: tokens.restore(&html), links }
    }

    /// Puts what is wanted in place of the marks.
    pub fn resolve(
        &self,
        rendered: &str,
        found: &[String],
        preview: &str,
        policy: Option<&dyn LinkPolicy>,
    ) -> String {
        let rewritten = |url: &str| {
            let other = policy.filter(|_| !is_exempt(url)).and_then(|policy| policy.rewrite(url));
            attribute_url(other.as_deref().unwrap_or(url))
        };
        let mut out = String::with_capacity(rendered.len() + 64 * self.links.len() + 256);
        let mut rest = rendered;
        while let Some(at) = rest.find(OPEN) {
            out.push_str(&rest[..at]);
            rest = &rest[at + OPEN.len_utf8()..];
            let Some((mark, index, length)) = read_mark(rest) else { continue };
            rest = &rest[length..];
            match mark {
                Mark::Static => out.push_str(&rewritten(self.links.get(index).map_or("", String::as_str))),
                Mark::Found => {
                    let url = markup::unescape(found.get(index).map_or("", |url| url.trim()));
                    out.push_str(&rewritten(&url));
                }
                Mark::Pixel => {
                    if let Some(url) = policy.and_then(LinkPolicy::pixel) {
                        out.push_str(&pixel(&url));
                    }
                }
                Mark::Preview if preview.is_empty() => {}
                Mark::Preview => {
                    out.push_str(PREVIEW_START);
                    out.push_str(preview);
                    out.push_str("</div>");
                }
            }
        }
        out.push_str(rest);
        out
    }
}

const PREVIEW_START: &str = "<div style=\"display:none;font-size:1px;color:#ffffff;line-height:1px;\
    max-height:0px;max-width:0px;opacity:0;overflow:hidden;\">";

fn pixel(url: &str) -> String {
    format!(
        "<table role=\"presentation\" width=\"100%\" border=\"0\" cellpadding=\"0\" cellspacing=\"0\">\
         <tr><td><img src=\"{}\" alt=\"\" style=\"border:0;margin:0;padding:0;\"></td></tr></table>",
        attribute_url(url)
    )
}

enum Address {
    Same,
    Written(String),
    Link(String),
    Evaluated,
}

fn address_in_place(attribute: &Attribute<'_>, link: bool, tokens: &Tokens, evaluate: bool) -> Address {
    let value = attribute.value;
    if tokens.any(value) {
        let starts_exempt = is_exempt(value.trim());
        let whole = evaluate && link && !starts_exempt && is_balanced(&tokens.restore(value));
        return if whole { Address::Evaluated } else { Address::Same };
    }
    let url = markup::unescape(value);
    let url = url.trim();
    if link && !is_exempt(url) {
        return Address::Link(url.to_owned());
    }
    if attribute.quote.is_none() || !value.contains('&') {
        return Address::Same;
    }
    Address::Written(attribute_url(url))
}
