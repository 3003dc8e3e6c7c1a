//! Which variables a content shows to the reader, so that one without a value can be told of.

use super::syntax::{Piece, pieces};
use serde_json::Value;
use std::collections::BTreeSet;

/// Paths of the variables that a content writes out as they are. Not among them are those that it
/// tests first, gives a default, or makes itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted(Vec<String>);

impl Wanted {
    /// What some sources write out.
    pub fn of<'a>(sources: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Found::default();
        for source in sources {
            found.read(source);
        }
        let Found { shown, tested, own } = found;
        let known = |path: &&String| {
            let root = path.split('.').next().unwrap_or_default();
            own.contains(root) || tested.iter().any(|tested| is_within(path, tested))
        };
        Self(shown.iter().filter(|path| !known(path)).cloned().collect())
    }

    /// Those that have no value in the data.
    pub fn missing(&self, data: &Value) -> Vec<String> {
        self.0.iter().filter(|path| !has_value(data, path)).cloned().collect()
    }
}

/// Whether a path is another one or lies below it. Who asks whether a feed answered has asked for all
/// that it says.
fn is_within(path: &str, tested: &str) -> bool {
    let tested = tested.strip_suffix("._success").unwrap_or(tested);
    path.strip_prefix(tested).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn has_value(data: &Value, path: &str) -> bool {
    let mut value = data;
    for name in path.split('.') {
        value = match value {
            Value::Object(map) => match map.get(name) {
                Some(found) => found,
                None => return name == "size",
            },
            Value::Array(items) => return name == "size" || !items.is_empty(),
            Value::String(_) => return name == "size",
            _ => return false,
        };
    }
    !value.is_null()
}

#[derive(Default)]
struct Found {
    shown: BTreeSet<String>,
    tested: BTreeSet<String>,
    own: BTreeSet<String>,
}

impl Found {
    fn read(&mut self, source: &str) {
        // Within these, nothing is read as Liquid.
        let mut until = None;
        for piece in pieces(source).unwrap_or_default() {
            let Piece::Tag(tag, _) = piece else { continue };
            let inner = tag[2..tag.len() - 2].trim_matches('-').trim();
            let (name, rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
            if let Some(end) = until {
                until = (name != end).then_some(end);
            } else if tag.starts_with("{{") {
                self.show(inner);
            } else {
                match name {
                    "raw" => until = Some("endraw"),
                    "comment" => until = Some("endcomment"),
                    _ => self.tag(name, rest),
                }
            }
        }
    }

    fn show(&mut self, inner: &str) {
        let mut parts = inner.split('|');
        let first = parts.next().unwrap_or_default();
        if !parts.any(|filter| filter.trim().starts_with("default")) {
            self.shown.extend(path(first));
        }
    }

    fn tag(&mut self, name: &str, rest: &str) {
        let word = || rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).find(|w| !w.is_empty());
        match name {
            "assign" | "capture" | "increment" | "decrement" | "for" | "tablerow" => {
                self.own.extend(word().map(str::to_owned));
            }
            "if" | "elsif" | "unless" | "case" | "when" => {
                let words = rest.split(|c: char| c.is_whitespace() || "=<>!()".contains(c));
                self.tested.extend(words.filter_map(path));
            }
            _ => {}
        }
    }
}

/// A plain path such as `contact.first_name`; nothing for literals and what is computed.
fn path(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let words = [
        "nil",
        "null",
        "true",
        "false",
        "blank",
        "empty",
        "forloop",
        "tablerowloop",
        "and",
        "or",
        "contains",
    ];
    let root = text.split('.').next()?;
    (text.split('.').all(is_name) && !words.contains(&root)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn missing(source: &str) -> Vec<String> {
        let data =
            json!({"contact": {"email": "a@x.example", "last_name": null, "custom_json_1": {"a": [1]}}});
        Wanted::of([source]).missing(&data)
    }

    #[test]
    fn what_is_shown_without_a_value_is_named_once() {
        let source = "{{ contact.first_name }} {{contact.email}} {{- contact.last_name | upcase -}} {{ contact.first_name }}";
        assert_eq!(missing(source), ["contact.first_name", "contact.last_name"]);
        assert_eq!(missing("{{ contact.custom_json_1.a.first }} {{ offer.price }}"), ["offer.price"]);
    }

    #[test]
    fn what_has_a_default_or_is_tested_first_is_not_missed() {
        for source in [
            "{{ contact.first_name | default: 'friend' }}",
            "{% if contact.first_name %}{{ contact.first_name }}{% endif %}",
            "{% unless offer == blank %}{{ offer.price }}{% endunless %}",
            "{% if recipient_feed._success %}{{ recipient_feed.points }}{% endif %}",
        ] {
            assert_eq!(missing(source), Vec::<String>::new(), "{source}");
        }
    }

    #[test]
    fn what_a_template_makes_itself_is_not_missed() {
        for source in [
            "{% assign name = 'x' %}{{ name }}",
            "{% for item in items %}{{ item.name }} {{ forloop.index }}{% endfor %}",
            "{% capture text %}x{% endcapture %}{{ text }}",
            "{{ 'text' }} {{ 1 }} {{ items[0] }} {{ true }}",
            "{% raw %}{{ nothing }}{% endraw %}{% comment %}{{ nothing }}{% endcomment %}",
        ] {
            assert_eq!(missing(source), Vec::<String>::new(), "{source}");
        }
    }
}
