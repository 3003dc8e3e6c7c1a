//! The relaxed forms of a head and a body (RFC 6376 §3.4.2 and §3.4.4).

use std::fmt::Write as _;

/// One field of a head.
pub(super) struct Field {
    /// In lower case.
    pub(super) name: String,
    value: String,
}

/// The fields of a head, in their order.
pub(super) fn fields(head: &str) -> Vec<Field> {
    let mut lines: Vec<String> = Vec::new();
    for line in head.split("\r\n") {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    let field = |line: &String| {
        let (name, value) = line.split_once(':')?;
        Some(Field {
            name: name.trim_end().to_ascii_lowercase(),
            value: squeezed(value).trim_start().to_owned(),
        })
    };
    lines.iter().filter_map(field).collect()
}

/// What is signed: the named fields from the last of each name upwards, a missing one as nothing, then the
/// signature's own field so far.
pub(super) fn signed(fields: &[Field], names: &[&str], own: &str) -> String {
    let mut text = String::new();
    let mut used = vec![false; fields.len()];
    for name in names {
        let last = fields.iter().enumerate().rev().find(|(n, field)| !used[*n] && field.name == *name);
        if let Some((n, field)) = last {
            used[n] = true;
            let _ = write!(text, "{}:{}\r\n", field.name, field.value);
        }
    }
    for field in self::fields(own) {
        let _ = write!(text, "{}:{}", field.name, field.value);
    }
    text
}

/// Lines without blanks at their ends and with single ones inside, without empty lines at the end.
pub(super) fn body(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    for line in body.split("\r\n") {
        text.push_str(&squeezed(line));
        text.push_str("\r\n");
    }
    let end = text.trim_end_matches("\r\n").len();
    text.truncate(end);
    if !text.is_empty() {
        text.push_str("\r\n");
    }
    text
}

/// Blanks in a row become one space; none is left at the end.
fn squeezed(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut blank = false;
    for c in line.chars() {
        if matches!(c, ' ' | '\t') {
            blank = true;
        } else {
            if std::mem::take(&mut blank) {
                text.push(' ');
            }
            text.push(c);
        }
    }
    text
}
