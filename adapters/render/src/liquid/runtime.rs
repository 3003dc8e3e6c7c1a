//! What a template sees while it is rendered: the variables, where missing ones are nil, and the
//! budget that one render may spend.

use super::view::JsonView;
use liquid_core::{
    Error, Expression, ObjectView, Result, Runtime, Value, ValueCow, ValueView,
    model::{KString, KStringCow, KStringRef, ScalarCow, try_find},
    runtime::{PartialStore, Registers, Renderable},
};
use ref_cast::RefCast;
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, HashSet},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// The largest text or list that a filter or a capture may make, in bytes.
pub const MAX_VALUE: usize = 1024 * 1024;
/// The largest output of one render, in bytes.
pub const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// What all assigned variables may take together, in bytes.
const MAX_VARIABLES: usize = 16 * 1024 * 1024;
/// Rounds of loops, filters and comparisons of one render.
const MAX_STEPS: u64 = 100_000;
/// The clock is read once in so many steps.
const LOOK_EVERY: u64 = 32;
/// How long one render may take.
const MAX_TIME: Duration = Duration::from_secs(3);

/// The budget of one render.
#[derive(Debug)]
pub struct Budget {
    steps: u64,
    variables: usize,
    deadline: Instant,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: MAX_STEPS, variables: MAX_VARIABLES, deadline: Instant::now() + MAX_TIME }
    }
}

/// Takes from the budget of a render.
///
/// # Errors
/// When nothing is left or the time is over.
pub fn spend(runtime: &dyn Runtime, steps: usize) -> Result<()> {
    let mut budget = runtime.registers().get_mut::<Budget>();
    let steps = u64::try_from(steps).unwrap_or(u64::MAX);
    // Reading the clock costs more than most steps.
    let look = budget.steps / LOOK_EVERY != budget.steps.saturating_sub(steps) / LOOK_EVERY;
    if budget.steps < steps || budget.variables == 0 {
        budget.steps = 0;
        return Err(Error::with_msg("the template does more work than one mail may take"));
    }
    budget.steps -= steps;
    if look && Instant::now() > budget.deadline {
        budget.steps = 0;
        return Err(Error::with_msg("the template takes longer than one mail may take"));
    }
    Ok(())
}

/// The value of an expression; nil when a part of it is missing.
pub fn value<'e>(expression: &'e Expression, runtime: &'e dyn Runtime) -> ValueCow<'e> {
    expression.try_evaluate(runtime).unwrap_or(ValueCow::Owned(Value::Nil))
}

/// Texts that captures made, which are markup already and are not escaped again.
#[derive(Debug, Default)]
pub struct Captured(pub HashSet<String>);

/// URLs of links that were made while rendering, in the order of their marks.
#[derive(Debug, Default)]
pub struct FoundLinks(pub Vec<String>);

/// The outermost scope: the data of the recipient under the variables of the template.
pub struct Variables<'d> {
    data: &'d JsonView,
    assigned: RefCell<HashMap<KString, Value>>,
    counters: RefCell<HashMap<KString, Value>>,
    registers: Registers,
}

impl<'d> Variables<'d> {
    /// A fresh scope with a full budget.
    pub fn new(data: &'d serde_json::Value) -> Self {
        Self {
            data: JsonView::ref_cast(data),
            assigned: RefCell::default(),
            counters: RefCell::default(),
            registers: Registers::default(),
        }
    }
}

fn name_of(path: &[ScalarCow<'_>]) -> KString {
    path.first().map(|first| first.to_kstr().into_owned()).unwrap_or_default()
}

impl Runtime for Variables<'_> {
    fn partials(&self) -> &dyn PartialStore {
        &NoPartials
    }

    fn name(&self) -> Option<KStringRef<'_>> {
        None
    }

    fn roots(&self) -> BTreeSet<KStringCow<'_>> {
        BTreeSet::new()
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        let name = name_of(path);
        if let Some(value) = self.assigned.borrow().get(name.as_str()) {
            return try_find(value, &path[1..]).map(|found| ValueCow::Owned(found.into_owned()));
        }
        if ObjectView::contains_key(self.data, name.as_str()) {
            return try_find(self.data, path);
        }
        let counter = self.counters.borrow().get(name.as_str()).cloned();
        counter.filter(|_| path.len() == 1).map(ValueCow::Owned)
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
        Ok(self.try_get(path).unwrap_or(ValueCow::Owned(Value::Nil)))
    }

    fn set_global(&self, name: KString, val: Value) -> Option<Value> {
        let mut budget = self.registers.get_mut::<Budget>();
        budget.variables = budget.variables.saturating_sub(weight(&val) + name.len());
        self.assigned.borrow_mut().insert(name, val)
    }

    fn set_index(&self, name: KString, val: Value) -> Option<Value> {
        self.counters.borrow_mut().insert(name, val)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.counters.borrow().get(name).cloned().map(ValueCow::Owned)
    }

    fn registers(&self) -> &Registers {
        &self.registers
    }
}

/// The scope of one round of a loop: two names over everything else.
pub struct Round<'p> {
    parent: &'p dyn Runtime,
    item: (&'p str, &'p dyn ValueView),
    position: (&'static str, &'p dyn ValueView),
}

impl<'p> Round<'p> {
    /// A round with its element and its position.
    pub fn new(
        parent: &'p dyn Runtime,
        item: (&'p str, &'p dyn ValueView),
        position: (&'static str, &'p dyn ValueView),
    ) -> Self {
        Self { parent, item, position }
    }
}

impl Runtime for Round<'_> {
    fn partials(&self) -> &dyn PartialStore {
        self.parent.partials()
    }

    fn name(&self) -> Option<KStringRef<'_>> {
        None
    }

    fn roots(&self) -> BTreeSet<KStringCow<'_>> {
        BTreeSet::new()
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        let name = path.first()?.to_kstr();
        for (own, value) in [self.item, self.position] {
            if own == name.as_str() {
                return try_find(value, &path[1..]);
            }
        }
        self.parent.try_get(path)
    }

    fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
        Ok(self.try_get(path).unwrap_or(ValueCow::Owned(Value::Nil)))
    }

    fn set_global(&self, name: KString, val: Value) -> Option<Value> {
        self.parent.set_global(name, val)
    }

    fn set_index(&self, name: KString, val: Value) -> Option<Value> {
        self.parent.set_index(name, val)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.parent.get_index(name)
    }

    fn registers(&self) -> &Registers {
        self.parent.registers()
    }
}

#[derive(Debug)]
struct NoPartials;

impl PartialStore for NoPartials {
    fn contains(&self, _name: &str) -> bool {
        false
    }

    fn names(&self) -> Vec<&str> {
        Vec::new()
    }

    fn try_get(&self, _name: &str) -> Option<Arc<dyn Renderable>> {
        None
    }

    fn get(&self, _name: &str) -> Result<Arc<dyn Renderable>> {
        Err(Error::with_msg("partials are not available in mails"))
    }
}

/// About how many bytes a value takes.
pub fn weight(value: &dyn ValueView) -> usize {
    const EACH: usize = 48;
    if let Some(array) = value.as_array() {
        array.values().map(weight).sum::<usize>() + EACH
    } else if let Some(object) = value.as_object() {
        object.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>() + EACH
    } else if let Some(scalar) = value.as_scalar() {
        if scalar.type_name() == "string" { scalar.to_kstr().len() + EACH } else { EACH }
    } else {
        EACH
    }
}

/// A writer that refuses to grow beyond its limit.
#[derive(Debug)]
pub struct Sink {
    bytes: Vec<u8>,
    limit: usize,
}

impl Sink {
    /// An empty one with room for `expected` bytes and at most `limit`.
    pub fn new(expected: usize, limit: usize) -> Self {
        Self { bytes: Vec::with_capacity(expected.min(limit)), limit }
    }

    /// What was written.
    pub fn into_text(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}

impl io::Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + buffer.len() > self.limit {
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
