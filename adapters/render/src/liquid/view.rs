//! Lets Liquid read JSON where it lies, without a copy.

use liquid_core::{
    ObjectView, Value, ValueView,
    model::{ArrayView, DisplayCow, KStringCow, ScalarCow, State},
};
use ref_cast::RefCast;
use serde_json::Value as Json;
use std::fmt;

/// JSON in the eyes of Liquid.
#[derive(Debug, RefCast)]
#[repr(transparent)]
pub struct JsonView(Json);

fn view(value: &Json) -> &dyn ValueView {
    JsonView::ref_cast(value)
}

fn number(value: &serde_json::Number) -> ScalarCow<'static> {
    value.as_i64().map_or_else(|| ScalarCow::new(value.as_f64().unwrap_or_default()), ScalarCow::new)
}

/// Writes elements without anything between them, as Liquid does with arrays and objects.
struct Elements<'a>(&'a JsonView);

impl fmt::Display for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.0 {
            Json::Array(items) => items.iter().try_for_each(|item| write!(f, "{}", view(item).render())),
            Json::Object(map) => {
                map.iter().try_for_each(|(key, value)| write!(f, "{key}{}", view(value).render()))
            }
            _ => Ok(()),
        }
    }
}

impl ValueView for JsonView {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        match &self.0 {
            Json::Null => DisplayCow::Borrowed(&""),
            Json::Bool(value) => DisplayCow::Borrowed(value),
            Json::String(text) => DisplayCow::Borrowed(text),
            Json::Number(value) => match value.as_f64().filter(|_| value.is_f64()) {
                Some(float) => DisplayCow::Owned(Box::new(float)),
                None => DisplayCow::Borrowed(value),
            },
            Json::Array(_) | Json::Object(_) => DisplayCow::Owned(Box::new(Elements(self))),
        }
    }

    fn source(&self) -> DisplayCow<'_> {
        DisplayCow::Borrowed(&self.0)
    }

    fn type_name(&self) -> &'static str {
        match &self.0 {
            Json::Null => "nil",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    fn query_state(&self, state: State) -> bool {
        match (&self.0, state) {
            (Json::Null | Json::Bool(false), State::Truthy) => false,
            (_, State::Truthy) | (Json::Null | Json::Bool(false), State::Blank | State::DefaultValue) => true,
            (Json::String(text), State::Blank) => text.trim().is_empty(),
            (Json::String(text), _) => text.is_empty(),
            (Json::Array(items), _) => items.is_empty(),
            (Json::Object(map), _) => map.is_empty(),
            _ => false,
        }
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        match &self.0 {
            Json::String(text) => KStringCow::from_ref(text),
            _ => KStringCow::from_string(self.render().to_string()),
        }
    }

    fn to_value(&self) -> Value {
        match &self.0 {
            Json::Null => Value::Nil,
            Json::Bool(value) => Value::scalar(*value),
            Json::Number(value) => Value::Scalar(number(value)),
            Json::String(text) => Value::scalar(text.clone()),
            Json::Array(items) => Value::Array(items.iter().map(|item| view(item).to_value()).collect()),
            Json::Object(map) => Value::Object(
                map.iter().map(|(key, value)| (key.clone().into(), view(value).to_value())).collect(),
            ),
        }
    }

    fn as_scalar(&self) -> Option<ScalarCow<'_>> {
        match &self.0 {
            Json::Bool(value) => Some(ScalarCow::new(*value)),
            Json::Number(value) => Some(number(value)),
            Json::String(text) => Some(ScalarCow::new(text.as_str())),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }

    fn as_array(&self) -> Option<&dyn ArrayView> {
        self.0.is_array().then_some(self as &dyn ArrayView)
    }

    fn as_object(&self) -> Option<&dyn ObjectView> {
        self.0.is_object().then_some(self as &dyn ObjectView)
    }

    fn is_nil(&self) -> bool {
        self.0.is_null()
    }
}

impl ArrayView for JsonView {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        self.0.as_array().map_or(0, |items| i64::try_from(items.len()).unwrap_or(i64::MAX))
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.0.as_array().into_iter().flatten().map(view))
    }

    fn contains_key(&self, index: i64) -> bool {
        ArrayView::get(self, index).is_some()
    }

    fn get(&self, index: i64) -> Option<&dyn ValueView> {
        let items = self.0.as_array()?;
        let index = if index < 0 { i64::try_from(items.len()).ok()?.checked_add(index)? } else { index };
        items.get(usize::try_from(index).ok()?).map(view)
    }
}

impl ObjectView for JsonView {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        self.0.as_object().map_or(0, |map| i64::try_from(map.len()).unwrap_or(i64::MAX))
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(
            self.0.as_object().into_iter().flat_map(|map| map.keys()).map(|key| KStringCow::from_ref(key)),
        )
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new(self.0.as_object().into_iter().flat_map(|map| map.values()).map(view))
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        let entries = self.0.as_object().into_iter().flatten();
        Box::new(entries.map(|(key, value)| (KStringCow::from_ref(key), view(value))))
    }

    fn contains_key(&self, index: &str) -> bool {
        self.0.get(index).is_some()
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        self.0.as_object()?.get(index).map(view)
    }
}
