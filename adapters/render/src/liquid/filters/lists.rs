//! Filters of lists. A single value counts as a list of one, nil as an empty one.

use super::{
    Call, fits,
    numbers::{Number, number},
    text, text_of, texts, whole,
};
use crate::liquid::{conditions::equal, runtime::spend};
use liquid_core::{
    Result, Value, ValueView,
    model::{State, ValueViewCmp},
};
use std::cmp::Ordering;

/// The longest list.
const MAX_ITEMS: usize = 20_000;

fn items(value: &dyn ValueView) -> Vec<&dyn ValueView> {
    match value.as_array() {
        Some(array) => array.values().take(MAX_ITEMS).collect(),
        None if value.is_nil() || value.is_state() => Vec::new(),
        None => vec![value],
    }
}

fn owned<'a>(items: impl IntoIterator<Item = &'a dyn ValueView>) -> Value {
    Value::Array(items.into_iter().map(liquid_core::ValueView::to_value).collect())
}

fn property<'a>(item: &'a dyn ValueView, name: &str) -> Option<&'a dyn ValueView> {
    item.as_object()?.get(name).filter(|value| !value.is_nil())
}

pub fn default(call: &Call<'_>) -> Result<Value> {
    let is_false = |value: &dyn ValueView| value.as_scalar().and_then(|s| s.to_bool()) == Some(false);
    let allowed = call.named("allow_false").is_some_and(|value| value.query_state(State::Truthy));
    let missing = match (call.input.is_nil(), is_false(call.input)) {
        (true, _) => true,
        (_, true) => !allowed,
        _ => call.input.query_state(State::Empty),
    };
    let other = || call.argument(0).map_or(Value::Nil, ValueView::to_value);
    Ok(if missing { other() } else { call.input.to_value() })
}

pub fn size(call: &Call<'_>) -> Result<Value> {
    if let Some(array) = call.input.as_array() {
        return Ok(Value::scalar(array.size()));
    }
    if let Some(object) = call.input.as_object() {
        return Ok(Value::scalar(object.size()));
    }
    Ok(texts::characters(&call.text()))
}

pub fn slice(call: &Call<'_>) -> Result<Value> {
    let wanted = |count: usize| {
        let start = call.argument(0).map_or(0, |value| number(value).to_whole());
        let length = call.argument(1).map_or(1, |value| number(value).to_whole());
        let all = i64::try_from(count).unwrap_or(i64::MAX);
        let start = if start < 0 { start.saturating_add(all) } else { start };
        if start < 0 {
            return (0, 0);
        }
        (usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(length).unwrap_or(0))
    };
    if let Some(array) = call.input.as_array() {
        let (skip, take) = wanted(usize::try_from(array.size()).unwrap_or(0));
        return Ok(owned(array.values().skip(skip).take(take)));
    }
    let input = call.text();
    let (skip, take) = wanted(input.chars().count());
    Ok(text(input.chars().skip(skip).take(take).collect::<String>()))
}

pub fn first(call: &Call<'_>) -> Result<Value> {
    if call.input.is_scalar() {
        return Ok(text(call.text().chars().take(1).collect::<String>()));
    }
    Ok(items(call.input).first().map_or(Value::Nil, liquid_core::ValueView::to_value))
}

pub fn last(call: &Call<'_>) -> Result<Value> {
    if call.input.is_scalar() {
        return Ok(text(call.text().chars().next_back().map(String::from).unwrap_or_default()));
    }
    Ok(items(call.input).last().map_or(Value::Nil, liquid_core::ValueView::to_value))
}

pub fn join(call: &Call<'_>) -> Result<Value> {
    let glue = call.argument(0).map_or_else(|| " ".to_owned(), |glue| text_of(glue).into_string());
    let texts: Vec<String> = items(call.input).iter().map(|item| item.render().to_string()).collect();
    let length = texts.iter().map(String::len).sum::<usize>();
    fits(length.saturating_add(glue.len().saturating_mul(texts.len())))?;
    Ok(text(texts.join(&glue)))
}

pub fn reverse(call: &Call<'_>) -> Result<Value> {
    Ok(owned(items(call.input).into_iter().rev()))
}

pub fn sort(call: &Call<'_>) -> Result<Value> {
    sorted(call, |a, b| ValueViewCmp::new(a).partial_cmp(&ValueViewCmp::new(b)).unwrap_or(Ordering::Equal))
}

pub fn sort_natural(call: &Call<'_>) -> Result<Value> {
    sorted(call, |a, b| a.to_kstr().to_lowercase().cmp(&b.to_kstr().to_lowercase()))
}

/// Sorts by the property named, elements without it last.
fn sorted(call: &Call<'_>, order: impl Fn(&dyn ValueView, &dyn ValueView) -> Ordering) -> Result<Value> {
    let name = call.argument_text(0);
    let mut items = items(call.input);
    spend(call.runtime, items.len())?;
    // Insertion by halves: unlike the library's sort it accepts an order that is not total.
    let mut sorted: Vec<&dyn ValueView> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        let key = |item| {
            if name.is_empty() {
                Some(item).filter(|i: &&dyn ValueView| !i.is_nil())
            } else {
                property(item, &name)
            }
        };
        let at = sorted.partition_point(|other| match (key(*other), key(item)) {
            (Some(a), Some(b)) => order(a, b) != Ordering::Greater,
            (None, Some(_)) => false,
            (_, None) => true,
        });
        sorted.insert(at, item);
    }
    Ok(owned(sorted))
}

pub fn uniq(call: &Call<'_>) -> Result<Value> {
    let name = call.argument_text(0);
    let mut seen = std::collections::HashSet::new();
    let key = |item: &dyn ValueView| {
        let value = if name.is_empty() { Some(item) } else { property(item, &name) };
        value.map(|value| (value.type_name(), value.render().to_string()))
    };
    Ok(owned(items(call.input).into_iter().filter(|item| seen.insert(key(*item)))))
}

pub fn compact(call: &Call<'_>) -> Result<Value> {
    let name = call.argument_text(0);
    let present = |item: &dyn ValueView| {
        if name.is_empty() { !item.is_nil() } else { property(item, &name).is_some() }
    };
    Ok(owned(items(call.input).into_iter().filter(|item| present(*item))))
}

pub fn concat(call: &Call<'_>) -> Result<Value> {
    let other = call.argument(0).map(items).unwrap_or_default();
    Ok(owned(items(call.input).into_iter().chain(other)))
}

pub fn map(call: &Call<'_>) -> Result<Value> {
    let name = call.argument_text(0);
    let value = |item: &dyn ValueView| property(item, &name).map_or(Value::Nil, ValueView::to_value);
    Ok(Value::Array(items(call.input).into_iter().map(value).collect()))
}

/// Whether an element has the property with the value, or a true property when no value is given.
fn matches(call: &Call<'_>, item: &dyn ValueView) -> bool {
    let name = call.argument_text(0);
    let own = if item.is_object() { property(item, &name) } else { None };
    match call.arguments.get(1) {
        Some(wanted) => match own {
            Some(own) => equal(own, wanted.as_view()),
            None if item.is_object() => wanted.is_nil(),
            None => false,
        },
        None if item.is_object() => own.is_some_and(|own| own.query_state(State::Truthy)),
        None => text_of(item).as_str() == name,
    }
}

pub fn filter_where(call: &Call<'_>) -> Result<Value> {
    Ok(owned(items(call.input).into_iter().filter(|item| matches(call, *item))))
}

pub fn reject(call: &Call<'_>) -> Result<Value> {
    Ok(owned(items(call.input).into_iter().filter(|item| !matches(call, *item))))
}

pub fn find(call: &Call<'_>) -> Result<Value> {
    let found = items(call.input).into_iter().find(|item| matches(call, *item));
    Ok(found.map_or(Value::Nil, liquid_core::ValueView::to_value))
}

pub fn find_index(call: &Call<'_>) -> Result<Value> {
    let found = items(call.input).into_iter().position(|item| matches(call, item));
    Ok(found.map_or(Value::Nil, whole))
}

pub fn has(call: &Call<'_>) -> Result<Value> {
    Ok(Value::scalar(items(call.input).into_iter().any(|item| matches(call, item))))
}

pub fn sum(call: &Call<'_>) -> Result<Value> {
    let name = call.argument_text(0);
    let value = |item: &dyn ValueView| {
        if name.is_empty() { number(item) } else { property(item, &name).map_or(Number::Whole(0), number) }
    };
    Ok(items(call.input).into_iter().map(value).fold(Number::Whole(0), Number::plus).into_value())
}
