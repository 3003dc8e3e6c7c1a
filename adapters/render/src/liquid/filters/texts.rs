//! Filters of texts.

use super::{Call, fits, text, text_of, whole};
use crate::{
    links,
    liquid::runtime::{Captured, FoundLinks},
    markup,
};
use base64::{
    DecodeError, Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use liquid_core::{Error, Result, Value, ValueView};
use std::borrow::Cow;

pub fn unchanged(call: &Call<'_>) -> Result<Value> {
    Ok(call.input.to_value())
}

/// Escapes unless the text was made by a capture, whose values are escaped already.
pub fn in_html(call: &Call<'_>) -> Result<Value> {
    let value = call.input.render().to_string();
    fits(value.len())?;
    let Cow::Owned(escaped) = markup::escape(&value) else { return Ok(text(value)) };
    let captured = call.runtime.registers().get_mut::<Captured>().0.contains(value.as_str());
    Ok(text(if captured { value } else { escaped }))
}

pub fn as_markup(call: &Call<'_>) -> Result<Value> {
    let value = call.input.render().to_string();
    fits(value.len())?;
    let mut found = call.runtime.registers().get_mut::<FoundLinks>();
    Ok(text(links::mark_found(value, &mut found.0)))
}

pub fn append(call: &Call<'_>) -> Result<Value> {
    Ok(text(format!("{}{}", call.text(), call.argument_text(0))))
}

pub fn prepend(call: &Call<'_>) -> Result<Value> {
    Ok(text(format!("{}{}", call.argument_text(0), call.text())))
}

pub fn upcase(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.text().to_uppercase()))
}

pub fn downcase(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.text().to_lowercase()))
}

pub fn capitalize(call: &Call<'_>) -> Result<Value> {
    let input = call.text();
    let mut characters = input.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    Ok(text(first + &characters.as_str().to_lowercase()))
}

pub fn strip(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.text().trim()))
}

pub fn lstrip(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.text().trim_start()))
}

pub fn rstrip(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.text().trim_end()))
}

pub fn strip_html(call: &Call<'_>) -> Result<Value> {
    let input = call.text();
    let source = input.as_str();
    let mut out = String::with_capacity(source.len());
    let mut from = 0;
    for markup in markup::Scanner::new(source) {
        let (start, end) = match &markup {
            markup::Markup::Tag(tag) => (tag.start, tag.end),
            markup::Markup::Other { start, end } => (*start, *end),
        };
        if start < from {
            continue;
        }
        out.push_str(&source[from..start]);
        from = end;
        if let markup::Markup::Tag(tag) = markup
            && !tag.closing
            && matches!(tag.name, "style" | "script")
            && let Some(close) = source[end..].find(&format!("</{}", tag.name))
        {
            from = end + close;
        }
    }
    out.push_str(&source[from..]);
    Ok(text(out))
}

pub fn strip_newlines(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.text().replace(['\r', '\n'], "")))
}

pub fn newline_to_br(call: &Call<'_>) -> Result<Value> {
    let input = call.text().replace("\r\n", "\n");
    fits(input.len() + input.matches('\n').count() * 6)?;
    Ok(text(input.replace('\n', "<br />\n")))
}

pub fn escape(call: &Call<'_>) -> Result<Value> {
    Ok(text(markup::escape(&call.text())))
}

pub fn escape_once(call: &Call<'_>) -> Result<Value> {
    Ok(text(markup::escape(&markup::unescape(&call.text()))))
}

pub fn url_encode(call: &Call<'_>) -> Result<Value> {
    let mut out = String::new();
    for byte in call.text().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                for half in [byte >> 4, byte & 15] {
                    out.push(char::from_digit(u32::from(half), 16).unwrap_or('0').to_ascii_uppercase());
                }
            }
        }
    }
    Ok(text(out))
}

pub fn url_decode(call: &Call<'_>) -> Result<Value> {
    let input = call.text();
    let bytes = input.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| input.get(at + 1..at + 3)).flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    Ok(text(String::from_utf8_lossy(&out)))
}

pub fn base64_encode(call: &Call<'_>) -> Result<Value> {
    Ok(text(STANDARD.encode(call.text().as_bytes())))
}

pub fn base64_url_safe_encode(call: &Call<'_>) -> Result<Value> {
    Ok(text(URL_SAFE.encode(call.text().as_bytes())))
}

pub fn base64_decode(call: &Call<'_>) -> Result<Value> {
    decoded(STANDARD.decode(call.text().as_bytes()))
}

pub fn base64_url_safe_decode(call: &Call<'_>) -> Result<Value> {
    decoded(URL_SAFE.decode(call.text().as_bytes()))
}

fn decoded(bytes: std::result::Result<Vec<u8>, DecodeError>) -> Result<Value> {
    let bytes = bytes.map_err(|_| Error::with_msg("the value is no valid base64"))?;
    Ok(text(String::from_utf8_lossy(&bytes)))
}

pub fn replace(call: &Call<'_>) -> Result<Value> {
    replaced(call, &call.argument_text(1))
}

pub fn remove(call: &Call<'_>) -> Result<Value> {
    replaced(call, "")
}

fn replaced(call: &Call<'_>, with: &str) -> Result<Value> {
    let (input, what) = (call.text(), call.argument_text(0));
    if what.is_empty() {
        return Ok(text(input.into_string()));
    }
    let count = input.matches(&what).count();
    fits(input.len().saturating_add(count.saturating_mul(with.len())))?;
    Ok(text(input.replace(&what, with)))
}

pub fn replace_first(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.text().replacen(&call.argument_text(0), &call.argument_text(1), 1)))
}

pub fn remove_first(call: &Call<'_>) -> Result<Value> {
    Ok(text(call.text().replacen(&call.argument_text(0), "", 1)))
}

pub fn replace_last(call: &Call<'_>) -> Result<Value> {
    replaced_last(call, &call.argument_text(1))
}

pub fn remove_last(call: &Call<'_>) -> Result<Value> {
    replaced_last(call, "")
}

fn replaced_last(call: &Call<'_>, with: &str) -> Result<Value> {
    let (input, what) = (call.text(), call.argument_text(0));
    Ok(text(match input.rfind(&what) {
        Some(at) => format!("{}{with}{}", &input[..at], &input[at + what.len()..]),
        None => input.into_string(),
    }))
}

fn length(call: &Call<'_>, at: usize, usual: usize) -> usize {
    let given = call.argument(at).map(|value| super::numbers::number(value).to_whole());
    given.map_or(usual, |n| usize::try_from(n).unwrap_or(0))
}

pub fn truncate(call: &Call<'_>) -> Result<Value> {
    let (input, limit) = (call.text(), length(call, 0, 50));
    if input.chars().count() <= limit {
        return Ok(text(input.into_string()));
    }
    let end = call.argument(1).map_or_else(|| "...".into(), |end| text_of(end).into_string());
    let kept: String = input.chars().take(limit.saturating_sub(end.chars().count())).collect();
    Ok(text(kept + &end))
}

pub fn truncatewords(call: &Call<'_>) -> Result<Value> {
    let (input, limit) = (call.text(), length(call, 0, 15).max(1));
    let words: Vec<&str> = input.split_whitespace().take(limit.saturating_add(1)).collect();
    if words.len() <= limit {
        return Ok(text(input.into_string()));
    }
    let end = call.argument(1).map_or_else(|| "...".into(), |end| text_of(end).into_string());
    Ok(text(words[..limit].join(" ") + &end))
}

pub fn split(call: &Call<'_>) -> Result<Value> {
    let (input, by) = (call.text(), call.argument_text(0));
    let input = input.as_str();
    let mut parts: Vec<Value> = match by.as_str() {
        "" => input.chars().map(|c| text(c.to_string())).collect(),
        " " => input.split_whitespace().map(text).collect(),
        by => input.split(by).map(text).collect(),
    };
    while parts.last().is_some_and(|last| last.to_kstr().is_empty()) {
        parts.pop();
    }
    Ok(Value::Array(parts))
}

pub fn handleize(call: &Call<'_>) -> Result<Value> {
    let lower = call.text().to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    Ok(text(words.join("-")))
}

pub fn json(call: &Call<'_>) -> Result<Value> {
    Ok(text(to_json(call.input).to_string()))
}

fn to_json(value: &dyn ValueView) -> serde_json::Value {
    use serde_json::Value as Json;
    if let Some(array) = value.as_array() {
        Json::Array(array.values().map(to_json).collect())
    } else if let Some(object) = value.as_object() {
        Json::Object(object.iter().map(|(key, value)| (key.into_string(), to_json(value))).collect())
    } else if let Some(scalar) = value.as_scalar() {
        match scalar.type_name() {
            "whole number" => scalar.to_integer().map_or(Json::Null, Json::from),
            "fractional number" => scalar.to_float().map_or(Json::Null, Json::from),
            "boolean" => scalar.to_bool().map_or(Json::Null, Json::from),
            _ => Json::String(scalar.to_kstr().into_string()),
        }
    } else {
        Json::Null
    }
}

/// The length of a text in characters.
pub fn characters(input: &str) -> Value {
    whole(input.chars().count())
}
