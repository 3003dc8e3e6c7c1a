//! Header values as they go over the wire: folded, encoded, and never more than one header.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::email_address::EmailAddress;
use std::fmt::Write as _;

/// Where lines are folded (RFC 5322 §2.1.1); the hard limit is 998.
const WIDTH: usize = 76;
/// Longest word that is left as it is; longer ones are encoded, since encoded words can be folded.
const WORD: usize = 400;

/// The text on one line: controls become spaces, none are left at the ends.
pub(crate) fn clean(text: &str) -> String {
    let text: String = text.chars().map(|c| if breaks_lines(c) { ' ' } else { c }).collect();
    text.trim().to_owned()
}

fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Free text such as a subject, for a header with a name of `name` bytes.
pub(crate) fn free_text(name: usize, text: &str) -> String {
    let text = clean(text);
    let plain = is_printable(&text) && !text.contains("=?") && text.split(' ').all(|w| w.len() <= WORD);
    if plain { fold(name + 2, &text) } else { encoded_words(&text) }
}

/// A display name: atoms as they are, else a quoted string, else encoded words.
pub(crate) fn phrase(name: &str) -> String {
    let name = clean(name);
    if !is_printable(&name) || name.contains("=?") {
        return encoded_words(&name);
    }
    let atoms = !name.is_empty() && !name.contains("  ") && name.bytes().all(|b| b == b' ' || is_atext(b));
    if atoms { name } else { quoted(&name) }
}

/// An address as servers understand it: the domain in ASCII (punycode), an odd local part quoted.
/// `None` when the domain has no such form.
pub(crate) fn wire_address(address: &EmailAddress) -> Option<String> {
    let (local, domain) = address.as_str().rsplit_once('@')?;
    let domain = ascii_domain(domain)?;
    let dot_atom =
        local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(|b| is_atext(b) || b > 127));
    Some(if dot_atom { format!("{local}@{domain}") } else { format!("{}@{domain}", quoted(local)) })
}

/// A domain in ASCII.
pub(crate) fn ascii_domain(domain: &str) -> Option<String> {
    idna::domain_to_ascii(domain).ok().filter(|ascii| {
        !ascii.is_empty()
            && ascii.len() <= 253
            && ascii.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    })
}

/// Mailboxes, one a line.
pub(crate) fn mailboxes<'a>(all: impl IntoIterator<Item = (Option<&'a str>, &'a str)>) -> String {
    let mut value = String::new();
    for (name, address) in all {
        if !value.is_empty() {
            value.push_str(",\r\n ");
        }
        match name.map(phrase).filter(|phrase| !phrase.is_empty()) {
            Some(phrase) => {
                let gap = if phrase.len() + address.len() > WIDTH - 12 { "\r\n " } else { " " };
                let _ = write!(value, "{phrase}{gap}<{address}>");
            }
            None => value.push_str(address),
        }
    }
    value
}

/// A URL in angle brackets; whatever could end it is percent-encoded.
pub(crate) fn bracketed_url(url: &str) -> String {
    let mut value = String::with_capacity(url.len() + 2);
    value.push('<');
    for byte in url.trim().bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>') {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value.push('>');
    value
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn quoted(text: &str) -> String {
    let mut value = String::with_capacity(text.len() + 2);
    value.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            value.push('\\');
        }
        value.push(c);
    }
    value.push('"');
    value
}

/// Encoded words (RFC 2047), one a line. None splits a character.
fn encoded_words(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let cut = rest.floor_char_boundary(39);
        let (head, tail) = rest.split_at(cut);
        words.push(format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(head)));
        rest = tail;
    }
    words.join("\r\n ")
}

/// Breaks lines before spaces.
fn fold(mut column: usize, text: &str) -> String {
    let mut value = String::with_capacity(text.len() + 16);
    let mut gap = String::new();
    for word in text.split(' ') {
        if !word.is_empty() {
            if column + gap.len() + word.len() > WIDTH && !gap.is_empty() {
                value.push_str("\r\n");
                column = 0;
            }
            value.push_str(&gap);
            value.push_str(word);
            column += gap.len() + word.len();
            gap.clear();
        }
        gap.push(' ');
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_only_when_they_must_be() {
        assert_eq!(phrase("Acme Shop"), "Acme Shop");
        assert_eq!(phrase("Smith, John"), "\"Smith, John\"");
        assert_eq!(phrase("The \"best\" \\ shop"), "\"The \\\"best\\\" \\\\ shop\"");
        assert_eq!(phrase("a  b"), "\"a  b\"");
        assert_eq!(phrase("x@y.example"), "\"x@y.example\"");
    }

    #[test]
    fn other_alphabets_are_encoded() {
        assert_eq!(phrase("Adrián"), "=?utf-8?B?QWRyacOhbg==?=");
        assert_eq!(free_text(7, "Grüße"), "=?utf-8?B?R3LDvMOfZQ==?=");
    }

    #[test]
    fn text_that_looks_encoded_is_encoded_so_that_it_is_shown_as_written() {
        assert!(!free_text(7, "=?utf-8?B?QQ==?=").contains("QQ=="));
    }

    #[test]
    fn long_text_is_folded_and_unfolds_to_itself() {
        let text = "word and  another ".repeat(30).trim().to_owned();
        let folded = free_text(7, &text);
        assert!(folded.split("\r\n").all(|line| line.len() <= WIDTH && !line.trim().is_empty()));
        assert_eq!(folded.replace("\r\n", ""), text);
    }

    #[test]
    fn domains_go_out_in_ascii() {
        let address = EmailAddress::parse("ana@bücher.example").unwrap();
        assert_eq!(wire_address(&address).unwrap(), "ana@xn--bcher-kva.example");
    }

    #[test]
    fn a_local_part_with_dots_needs_no_quotes() {
        let address = EmailAddress::parse("a.b+c@shop.example").unwrap();
        assert_eq!(wire_address(&address).unwrap(), "a.b+c@shop.example");
    }

    #[test]
    fn a_url_cannot_leave_its_brackets() {
        assert_eq!(bracketed_url("https://x/?a=>\r\nb ü"), "<https://x/?a=%3E%0D%0Ab%20%C3%BC>");
    }
}
