//! The filters: the whole standard set, lenient about missing values and bounded in what they make.

#![expect(clippy::unnecessary_wraps, reason = "the table of filters needs functions of one type")]

mod dates;
mod lists;
mod numbers;
mod texts;

pub use dates::Now;

use super::runtime::{MAX_VALUE, spend, value, weight};
use liquid_core::{
    Error, Expression, Filter, FilterReflection, ParseFilter, Result, Runtime, Value, ValueCow, ValueView,
    model::KStringCow,
    parser::{FilterArguments, ParameterReflection},
};
use std::fmt;

/// Escapes a value for HTML; added by the rewriting of sources, unknown to authors.
pub const ESCAPE: &str = "in_html";
/// Passes a value on as markup and notes its links; stands for `raw`.
pub const MARKUP: &str = "as_markup";

/// A filter as a function.
type Apply = fn(&Call<'_>) -> Result<Value>;

/// A filter at work: the value before it and its arguments.
pub struct Call<'a> {
    input: &'a dyn ValueView,
    arguments: &'a [ValueCow<'a>],
    named: &'a [(&'a str, ValueCow<'a>)],
    runtime: &'a dyn Runtime,
}

impl<'a> Call<'a> {
    fn text(&self) -> KStringCow<'a> {
        text_of(self.input)
    }

    fn argument(&self, at: usize) -> Option<&dyn ValueView> {
        self.arguments.get(at).map(ValueCow::as_view).filter(|value| !value.is_nil())
    }

    fn argument_text(&self, at: usize) -> String {
        self.argument(at).map(|value| text_of(value).into_string()).unwrap_or_default()
    }

    fn named(&self, name: &str) -> Option<&dyn ValueView> {
        self.named.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_view())
    }
}

/// A value as text; nil is empty.
fn text_of(value: &dyn ValueView) -> KStringCow<'_> {
    if value.is_nil() { KStringCow::from_static("") } else { value.to_kstr() }
}

/// A text as a value.
fn text(text: impl Into<String>) -> Value {
    Value::scalar(text.into())
}

fn whole(number: usize) -> Value {
    Value::scalar(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Refuses what would become too large before it is made.
fn fits(bytes: usize) -> Result<()> {
    if bytes > MAX_VALUE { Err(Error::with_msg("a filter makes a value that is too large")) } else { Ok(()) }
}

const ALL: [(&str, Apply); 67] = [
    (ESCAPE, texts::in_html),
    (MARKUP, texts::as_markup),
    ("raw", texts::unchanged),
    ("append", texts::append),
    ("prepend", texts::prepend),
    ("upcase", texts::upcase),
    ("downcase", texts::downcase),
    ("capitalize", texts::capitalize),
    ("strip", texts::strip),
    ("lstrip", texts::lstrip),
    ("rstrip", texts::rstrip),
    ("strip_html", texts::strip_html),
    ("strip_newlines", texts::strip_newlines),
    ("newline_to_br", texts::newline_to_br),
    ("escape", texts::escape),
    ("h", texts::escape),
    ("escape_once", texts::escape_once),
    ("url_encode", texts::url_encode),
    ("url_decode", texts::url_decode),
    ("base64_encode", texts::base64_encode),
    ("base64_decode", texts::base64_decode),
    ("base64_url_safe_encode", texts::base64_url_safe_encode),
    ("base64_url_safe_decode", texts::base64_url_safe_decode),
    ("replace", texts::replace),
    ("replace_first", texts::replace_first),
    ("replace_last", texts::replace_last),
    ("remove", texts::remove),
    ("remove_first", texts::remove_first),
    ("remove_last", texts::remove_last),
    ("truncate", texts::truncate),
    ("truncatewords", texts::truncatewords),
    ("split", texts::split),
    ("handleize", texts::handleize),
    ("handle", texts::handleize),
    ("json", texts::json),
    ("default", lists::default),
    ("size", lists::size),
    ("slice", lists::slice),
    ("first", lists::first),
    ("last", lists::last),
    ("join", lists::join),
    ("reverse", lists::reverse),
    ("sort", lists::sort),
    ("sort_natural", lists::sort_natural),
    ("uniq", lists::uniq),
    ("compact", lists::compact),
    ("concat", lists::concat),
    ("map", lists::map),
    ("where", lists::filter_where),
    ("reject", lists::reject),
    ("find", lists::find),
    ("find_index", lists::find_index),
    ("has", lists::has),
    ("sum", lists::sum),
    ("abs", numbers::abs),
    ("ceil", numbers::ceil),
    ("floor", numbers::floor),
    ("round", numbers::round),
    ("plus", numbers::plus),
    ("minus", numbers::minus),
    ("times", numbers::times),
    ("divided_by", numbers::divided_by),
    ("modulo", numbers::modulo),
    ("at_least", numbers::at_least),
    ("at_most", numbers::at_most),
    ("date", dates::date),
    ("to_number", numbers::to_number),
];

/// Whether there is a filter of this name.
pub fn exists(name: &str) -> bool {
    ALL.iter().any(|(own, _)| *own == name)
}

/// All filters, for a parser.
pub fn all() -> impl Iterator<Item = (String, Box<dyn ParseFilter>)> {
    ALL.into_iter().map(|(name, apply)| (name.to_owned(), Named { name, apply }.into()))
}

#[derive(Clone)]
struct Named {
    name: &'static str,
    apply: Apply,
}

impl FilterReflection for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn description(&self) -> &'static str {
        ""
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for Named {
    fn parse(&self, arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        Ok(Box::new(Applied {
            name: self.name,
            apply: self.apply,
            arguments: arguments.positional.collect(),
            named: arguments.keyword.map(|(name, value)| (name.to_owned(), value)).collect(),
        }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

struct Applied {
    name: &'static str,
    apply: Apply,
    arguments: Vec<Expression>,
    named: Vec<(String, Expression)>,
}

impl fmt::Debug for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Filter for Applied {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        let arguments: Vec<_> = self.arguments.iter().map(|argument| value(argument, runtime)).collect();
        let named: Vec<_> =
            self.named.iter().map(|(name, given)| (name.as_str(), value(given, runtime))).collect();
        let call = Call { input, arguments: &arguments, named: &named, runtime };
        let made = (self.apply)(&call)?;
        let weight = weight(&made);
        spend(runtime, 1 + weight / 4096)?;
        fits(weight)?;
        Ok(made)
    }
}
