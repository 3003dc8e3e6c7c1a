//! Finds tags and attributes in MJML and HTML without building a tree, so that broken or deeply nested
//! markup costs no stack and every position stays that of the source.

use std::borrow::Cow;

/// One piece of markup; the text between two of them is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Markup<'a> {
    /// `<name …>`, `<name …/>` or `</name>`.
    Tag(Tag<'a>),
    /// A comment, a declaration or an instruction, from `start` to `end`.
    Other {
        /// Position of the `<`.
        start: usize,
        /// Position after the `>`.
        end: usize,
    },
}

/// A tag of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Position of the `<`.
    pub start: usize,
    /// Position after the `>`.
    pub end: usize,
    /// As written.
    pub name: &'a str,
    /// Whether it is a closing tag.
    pub closing: bool,
    /// Whether it closes itself.
    pub empty: bool,
    /// Whether the `>` is there.
    pub complete: bool,
}

/// An attribute with its value as written, without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// As written.
    pub name: &'a str,
    /// The value; empty for a bare attribute.
    pub value: &'a str,
    /// Position of the value in the source.
    pub at: usize,
    /// The quote around the value; `None` without quotes.
    pub quote: Option<char>,
    /// Whether there is a `=`.
    pub has_value: bool,
}

/// Elements of HTML that never have content.
pub const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];

/// Walks over the markup of a source.
#[derive(Debug)]
pub struct Scanner<'a> {
    source: &'a str,
    position: usize,
}

impl<'a> Scanner<'a> {
    /// From the start of the source.
    pub fn new(source: &'a str) -> Self {
        Self { source, position: 0 }
    }

    /// Goes on at another position.
    pub fn jump(&mut self, position: usize) {
        self.position = position;
    }

    fn tag(&self, start: usize, name_at: usize) -> Tag<'a> {
        let bytes = self.source.as_bytes();
        let mut at = name_at;
        while at < bytes.len() && !bytes[at].is_ascii_whitespace() && !matches!(bytes[at], b'>' | b'/') {
            at += 1;
        }
        let name = &self.source[name_at..at];
        let mut quote = None;
        let mut before = b' ';
        while at < bytes.len() {
            let byte = bytes[at];
            match quote {
                Some(open) if byte == open => quote = None,
                None if byte == b'>' => break,
                None if matches!(byte, b'"' | b'\'') && before == b'=' => quote = Some(byte),
                Some(_) | None => {}
            }
            if !byte.is_ascii_whitespace() {
                before = byte;
            }
            at += 1;
        }
        let complete = at < bytes.len();
        Tag {
            start,
            end: if complete { at + 1 } else { at },
            name,
            closing: name_at == start + 2,
            empty: complete && before == b'/',
            complete,
        }
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Markup<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.source.as_bytes();
        loop {
            let start = self.position + self.source.get(self.position..)?.find('<')?;
            let rest = &self.source[start..];
            let closing = rest.starts_with("</");
            let name_at = start + 1 + usize::from(closing);
            let found = if bytes.get(name_at).is_some_and(u8::is_ascii_alphabetic) {
                let tag = self.tag(start, name_at);
                self.position = tag.end;
                if !closing && !tag.empty && matches!(tag.name, "style" | "script" | "mj-style") {
                    let close = format!("</{}", tag.name);
                    self.position += self.source[tag.end..].find(&close).unwrap_or(0);
                }
                Markup::Tag(tag)
            } else if rest.starts_with("<!") || rest.starts_with("<?") {
                let close = if rest.starts_with("<!--") { "-->" } else { ">" };
                let end = rest.find(close).map_or(self.source.len(), |at| start + at + close.len());
                self.position = end;
                Markup::Other { start, end }
            } else {
                self.position = start + 1;
                continue;
            };
            return Some(found);
        }
    }
}

/// The attributes of an opening tag.
pub fn attributes<'a>(source: &'a str, tag: &Tag<'_>) -> Vec<Attribute<'a>> {
    let bytes = source.as_bytes();
    let end = if tag.complete { tag.end - 1 } else { tag.end };
    let mut at = tag.start + 1 + usize::from(tag.closing) + tag.name.len();
    let mut found = Vec::new();
    loop {
        while at < end && (bytes[at].is_ascii_whitespace() || bytes[at] == b'/') {
            at += 1;
        }
        if at >= end {
            return found;
        }
        let name_at = at;
        at += 1;
        while at < end && !bytes[at].is_ascii_whitespace() && !matches!(bytes[at], b'=' | b'/') {
            at += 1;
        }
        let name = &source[name_at..at];
        let mut next = at;
        while next < end && bytes[next].is_ascii_whitespace() {
            next += 1;
        }
        if next >= end || bytes[next] != b'=' {
            found.push(Attribute { name, value: "", at, quote: None, has_value: false });
            continue;
        }
        at = next + 1;
        while at < end && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        let quote = (at < end && matches!(bytes[at], b'"' | b'\'')).then(|| bytes[at]);
        let value_at = if quote.is_some() { at + 1 } else { at };
        at = value_at;
        while at < end && quote.map_or(!bytes[at].is_ascii_whitespace(), |open| bytes[at] != open) {
            at += 1;
        }
        found.push(Attribute {
            name,
            value: &source[value_at..at],
            at: value_at,
            quote: quote.map(char::from),
            has_value: true,
        });
        if quote.is_some() {
            at += 1;
        }
    }
}

/// Escapes a text for HTML, in content as well as in quoted attributes.
pub fn escape(text: &str) -> Cow<'_, str> {
    replace_bytes(text, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\'' => Some("&#39;"),
        _ => None,
    })
}

/// Escapes a text for the content of an element.
pub fn escape_content(text: &str) -> Cow<'_, str> {
    replace_bytes(text, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        _ => None,
    })
}

fn replace_bytes(text: &str, with: impl Fn(u8) -> Option<&'static str>) -> Cow<'_, str> {
    let Some(first) = text.bytes().position(|byte| with(byte).is_some()) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    let mut from = first;
    for (at, byte) in text.bytes().enumerate().skip(first) {
        if let Some(replacement) = with(byte) {
            out.push_str(&text[from..at]);
            out.push_str(replacement);
            from = at + 1;
        }
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Replaces the entities that mails use by their characters; unknown ones are kept.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((character, length)) = entity(rest) {
            out.push(character);
            rest = &rest[length..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether a text that starts with `&` would be read as an entity.
pub fn starts_with_entity(text: &str) -> bool {
    entity(text).is_some()
}

/// The character and the length of the entity at the start of a text.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => match name.strip_prefix('#') {
            Some(number) => char::from_u32(match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            })?,
            None => named(name)?,
        },
    };
    Some((character, end + 1))
}

/// Makes the named entities of HTML that XML does not know numeric. Others are kept.
pub fn numeric_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        if let Some((end, character)) = end.and_then(|end| Some((end, named(&rest[1..end])?))) {
            out.push_str("&#");
            out.push_str(&u32::from(character).to_string());
            out.push(';');
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn named(name: &str) -> Option<char> {
    Some(match name {
        "nbsp" => '\u{a0}',
        "ensp" => '\u{2002}',
        "emsp" => '\u{2003}',
        "thinsp" => '\u{2009}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "shy" => '\u{ad}',
        "bull" => '•',
        "hellip" => '…',
        "mdash" => '—',
        "ndash" => '–',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "sect" => '§',
        "para" => '¶',
        "deg" => '°',
        "plusmn" => '±',
        "times" => '×',
        "divide" => '÷',
        "micro" => 'µ',
        "middot" => '·',
        "euro" => '€',
        "pound" => '£',
        "yen" => '¥',
        "cent" => '¢',
        "larr" => '←',
        "rarr" => '→',
        "uarr" => '↑',
        "darr" => '↓',
        "harr" => '↔',
        "iexcl" => '¡',
        "iquest" => '¿',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<String> {
        Scanner::new(source)
            .filter_map(|m| match m {
                Markup::Tag(t) => Some(format!("{}{}", if t.closing { "/" } else { "" }, t.name)),
                Markup::Other { .. } => None,
            })
            .collect()
    }

    #[test]
    fn tags_are_found_where_quotes_and_comments_hide_brackets() {
        assert_eq!(names(r#"a < b <p title="a > b">x</p><!-- <i> --><br/>"#), ["p", "/p", "br"]);
    }

    #[test]
    fn style_sheets_hold_no_tags() {
        assert_eq!(names("<style>a>b{} <p></style><i>"), ["style", "/style", "i"]);
    }

    #[test]
    fn attributes_are_read_in_every_form() {
        let source = r#"<a href = "x y" id=z checked data-a='"'/>"#;
        let Some(Markup::Tag(tag)) = Scanner::new(source).next() else { panic!("there is a tag") };
        let found: Vec<_> =
            attributes(source, &tag).iter().map(|a| (a.name, a.value, a.quote, a.has_value)).collect();
        assert_eq!(
            found,
            [
                ("href", "x y", Some('"'), true),
                ("id", "z", None, true),
                ("checked", "", None, false),
                ("data-a", "\"", Some('\''), true)
            ]
        );
        assert!(tag.empty);
    }

    #[test]
    fn letters_beyond_ascii_break_nothing() {
        for source in ["</aé", "<aé é=é é>", "<a é"] {
            for markup in Scanner::new(source) {
                let Markup::Tag(tag) = markup else { continue };
                attributes(source, &tag);
            }
        }
    }

    #[test]
    fn entities_come_and_go() {
        assert_eq!(unescape("a &amp; b&#39;&#x41;&nope; &"), "a & b'A&nope; &");
        assert_eq!(numeric_entities("&nbsp;&amp;&euro;&nope;&"), "&#160;&amp;&#8364;&nope;&");
        assert_eq!(escape("<a b=\"c\">'&"), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;");
    }

    proptest::proptest! {
        #[test]
        fn any_source_can_be_scanned(source in "\\PC*|[<>/a-c=\"' !-]*") {
            for markup in Scanner::new(&source) {
                if let Markup::Tag(tag) = markup {
                    attributes(&source, &tag);
                }
            }
            let escaped = escape(&source).into_owned();
            proptest::prop_assert_eq!(unescape(&escaped), source.as_str());
        }
    }
}
