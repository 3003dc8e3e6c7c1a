//! Writes the visual editor's tree of blocks as MJML source. Liquid is left in place.

use crate::{
    liquid::syntax::MAX_SOURCE,
    markup::{escape, escape_content},
};
use serde_json::Value;

/// Deeper trees are cut off; the compiler refuses such a depth anyway.
const MAX_DEPTH: usize = 120;

/// Which blocks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// All but sections that are only for the web.
    Email,
    /// All but sections that are only for mails.
    Web,
    /// All.
    Any,
}

impl Channel {
    /// Whether a section with this visibility is left out.
    pub fn hides(self, visibility: &str) -> bool {
        matches!((visibility, self), ("email_only", Self::Web) | ("web_only", Self::Email))
    }
}

/// The MJML of a tree.
pub fn to_mjml(root: &Value, channel: Channel) -> String {
    let mut out = String::with_capacity(4096);
    write_block(&mut out, root, channel, 0);
    out
}

/// Whether a text in the tree is longer than an author's string may be.
pub fn is_too_large(root: &Value) -> bool {
    match root {
        Value::String(text) => text.len() > MAX_SOURCE,
        Value::Array(items) => items.iter().any(is_too_large),
        Value::Object(map) => map.values().any(is_too_large),
        _ => false,
    }
}

fn write_block(out: &mut String, block: &Value, channel: Channel, depth: usize) {
    let kind = block["type"].as_str().unwrap_or_default();
    if !is_name(kind) || depth > MAX_DEPTH || hidden(block, channel) {
        return;
    }
    let content = block["content"].as_str().unwrap_or_default();
    if kind == "mj-liquid" {
        out.push_str(content);
        return;
    }
    out.push('<');
    out.push_str(kind);
    if let Some(attributes) = block["attributes"].as_object() {
        for (key, value) in attributes {
            write_attribute(out, key, value);
        }
    }
    let children = block["children"].as_array().filter(|children| !children.is_empty());
    if children.is_none() && content.is_empty() {
        out.push_str(" />");
        return;
    }
    out.push('>');
    match children {
        Some(children) => {
            for child in children {
                write_block(out, child, channel, depth + 1);
            }
        }
        None if matches!(kind, "mj-text" | "mj-button" | "mj-raw") => out.push_str(content),
        None => out.push_str(&escape_content(content)),
    }
    out.push_str("</");
    out.push_str(kind);
    out.push('>');
}

fn hidden(block: &Value, channel: Channel) -> bool {
    let visibility = block["attributes"]["visibility"].as_str();
    block["type"] == "mj-section" && visibility.is_some_and(|visibility| channel.hides(visibility))
}

fn write_attribute(out: &mut String, key: &str, value: &Value) {
    let name = kebab_case(key);
    if name == "visibility" || !is_name(&name) {
        return;
    }
    let text = match value {
        Value::Bool(true) => {
            out.push(' ');
            out.push_str(&name);
            return;
        }
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    out.push(' ');
    out.push_str(&name);
    out.push_str("=\"");
    out.push_str(&escape(&text));
    out.push('"');
}

fn kebab_case(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    for character in key.chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

/// Names go into the source as they are, so they must not break out of it.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mjml(block: &Value) -> String {
        to_mjml(block, Channel::Email)
    }

    #[test]
    fn attributes_follow_the_rules() {
        for (attributes, wanted) in [
            (json!({"backgroundColor": "#fff"}), "<mj-section background-color=\"#fff\" />"),
            (json!({"a": null, "b": "", "c": false}), "<mj-section />"),
            (json!({"fullWidth": true}), "<mj-section full-width />"),
            (json!({"width": 600, "ratio": 1.5}), "<mj-section ratio=\"1.5\" width=\"600\" />"),
            (json!({"href": "a?b&c=\"<'>"}), "<mj-section href=\"a?b&amp;c=&quot;&lt;&#39;&gt;\" />"),
            (json!({"visibility": "all"}), "<mj-section />"),
            (json!({"x y": "1", "><script": "1"}), "<mj-section />"),
            (json!({"a": [1], "b": {}}), "<mj-section />"),
        ] {
            assert_eq!(mjml(&json!({"type": "mj-section", "attributes": attributes})), wanted);
        }
    }

    #[test]
    fn content_is_raw_only_where_it_is_html() {
        for kind in ["mj-text", "mj-button", "mj-raw"] {
            let block = json!({"type": kind, "content": "<b>&</b>"});
            assert_eq!(mjml(&block), format!("<{kind}><b>&</b></{kind}>"));
        }
        let title = json!({"type": "mj-title", "content": "a < b & c"});
        assert_eq!(mjml(&title), "<mj-title>a &lt; b &amp; c</mj-title>");
    }

    #[test]
    fn children_win_over_content() {
        let block = json!({"type": "mj-column", "content": "x", "children": [{"type": "mj-divider"}]});
        assert_eq!(mjml(&block), "<mj-column><mj-divider /></mj-column>");
    }

    #[test]
    fn a_liquid_block_is_its_content() {
        let block =
            json!({"type": "mj-body", "children": [{"type": "mj-liquid", "content": "{% if a < 3 %}"}]});
        assert_eq!(mjml(&block), "<mj-body>{% if a < 3 %}</mj-body>");
    }

    #[test]
    fn sections_are_left_out_where_they_are_not_wanted() {
        let section =
            |visibility: &str| json!({"type": "mj-section", "attributes": {"visibility": visibility}});
        assert_eq!(to_mjml(&section("email_only"), Channel::Web), "");
        assert_eq!(to_mjml(&section("web_only"), Channel::Email), "");
        assert_eq!(to_mjml(&section("email_only"), Channel::Email), "<mj-section />");
        assert_eq!(to_mjml(&section("web_only"), Channel::Any), "<mj-section />");
    }

    #[test]
    fn a_type_that_is_no_name_is_left_out() {
        assert_eq!(mjml(&json!({"type": "x><script>", "content": "a"})), "");
    }
}
