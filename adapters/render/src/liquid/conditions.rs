//! `if` and `unless`: a nil compares with nothing, and chains of `elsif` take no stack.

use super::runtime::{spend, value};
use liquid_core::{
    BlockReflection, Error, Expression, Language, ParseBlock, Renderable, Result, Runtime, TagBlock,
    TagTokenIter, Template, ValueView,
    model::{State, ValueViewCmp},
    parser::{BlockElement, TagToken},
};
use std::io::Write;

/// `{% if %}`, or `{% unless %}`.
#[derive(Debug, Clone, Copy)]
pub enum Conditional {
    /// Renders when the first condition holds.
    If,
    /// Renders when the first condition does not hold.
    Unless,
}

impl BlockReflection for Conditional {
    fn start_tag(&self) -> &str {
        match self {
            Self::If => "if",
            Self::Unless => "unless",
        }
    }

    fn end_tag(&self) -> &str {
        match self {
            Self::If => "endif",
            Self::Unless => "endunless",
        }
    }

    fn description(&self) -> &'static str {
        ""
    }
}

impl ParseBlock for Conditional {
    fn parse(
        &self,
        arguments: TagTokenIter<'_>,
        mut tokens: TagBlock<'_, '_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let wanted = matches!(self, Self::If);
        let mut branches = Vec::new();
        let mut condition = Some((parse_condition(arguments)?, wanted));
        let mut body = Vec::new();
        while let Some(element) = tokens.next()? {
            match element {
                BlockElement::Tag(tag) if matches!(tag.name(), "else" | "elsif") => {
                    let branch = (condition.take(), Template::new(std::mem::take(&mut body)));
                    branches.push(branch);
                    if tag.name() == "elsif" {
                        condition = Some((parse_condition(tag.into_tokens())?, true));
                    }
                }
                element => body.push(element.parse(&mut tokens, options)?),
            }
        }
        branches.push((condition, Template::new(body)));
        tokens.assert_empty();
        Ok(Box::new(Branches(branches)))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

#[derive(Debug)]
struct Branches(Vec<(Option<(Condition, bool)>, Template)>);

impl Renderable for Branches {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        for (condition, body) in &self.0 {
            let taken = match condition {
                Some((condition, wanted)) => condition.holds(runtime)? == *wanted,
                None => true,
            };
            if taken {
                return body.render_to(writer, runtime);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    And,
    Or,
}

/// Comparisons in a row. As in Shopify's Liquid they are evaluated from the right, and `and` binds no
/// stronger than `or`.
#[derive(Debug)]
struct Condition {
    first: Comparison,
    rest: Vec<(Joint, Comparison)>,
}

impl Condition {
    fn holds(&self, runtime: &dyn Runtime) -> Result<bool> {
        let Some((_, last)) = self.rest.last() else { return self.first.holds(runtime) };
        let mut result = last.holds(runtime)?;
        for at in (0..self.rest.len()).rev() {
            let left = if at == 0 { &self.first } else { &self.rest[at - 1].1 };
            result = match self.rest[at].0 {
                Joint::And => left.holds(runtime)? && result,
                Joint::Or => left.holds(runtime)? || result,
            };
        }
        Ok(result)
    }
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    Equal,
    Unequal,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    Contains,
}

impl Operator {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "==" => Self::Equal,
            "!=" | "<>" => Self::Unequal,
            "<" => Self::Less,
            ">" => Self::Greater,
            "<=" => Self::LessOrEqual,
            ">=" => Self::GreaterOrEqual,
            "contains" => Self::Contains,
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct Comparison {
    left: Expression,
    right: Option<(Operator, Expression)>,
}

impl Comparison {
    fn holds(&self, runtime: &dyn Runtime) -> Result<bool> {
        spend(runtime, 1)?;
        let left = value(&self.left, runtime);
        let Some((operator, right)) = &self.right else {
            return Ok(left.query_state(State::Truthy));
        };
        let right = value(right, runtime);
        let (a, b) = (ValueViewCmp::new(left.as_view()), ValueViewCmp::new(right.as_view()));
        Ok(match operator {
            Operator::Equal => equal(left.as_view(), right.as_view()),
            Operator::Unequal => !equal(left.as_view(), right.as_view()),
            Operator::Less => a < b,
            Operator::Greater => a > b,
            Operator::LessOrEqual => a <= b,
            Operator::GreaterOrEqual => a >= b,
            Operator::Contains => contains(left.as_view(), right.as_view()),
        })
    }
}

/// Whether two values are the same; nil is only the same as nil, `blank` and `empty`.
pub fn equal(left: &dyn ValueView, right: &dyn ValueView) -> bool {
    let state = left.is_state() || right.is_state();
    if !state && left.is_nil() != right.is_nil() {
        return false;
    }
    if !state && left.is_scalar() != right.is_scalar() {
        return false;
    }
    ValueViewCmp::new(left) == ValueViewCmp::new(right)
}

fn contains(whole: &dyn ValueView, part: &dyn ValueView) -> bool {
    if part.is_nil() {
        false
    } else if let Some(array) = whole.as_array() {
        array.values().any(|element| equal(element, part))
    } else if let Some(object) = whole.as_object() {
        object.contains_key(part.to_kstr().as_str())
    } else {
        whole.is_scalar() && whole.to_kstr().contains(part.to_kstr().as_str())
    }
}

fn parse_condition(mut arguments: TagTokenIter<'_>) -> Result<Condition> {
    let (first, mut joint) = parse_comparison(&mut arguments)?;
    let mut rest = Vec::new();
    while let Some(current) = joint {
        let (comparison, next) = parse_comparison(&mut arguments)?;
        rest.push((current, comparison));
        joint = next;
    }
    Ok(Condition { first, rest })
}

fn parse_comparison(arguments: &mut TagTokenIter<'_>) -> Result<(Comparison, Option<Joint>)> {
    let left = arguments.expect_next("a condition is missing")?.expect_value().into_result()?;
    let mut next = arguments.next();
    let operator = next.as_ref().map(TagToken::as_str).and_then(Operator::of);
    let right = match operator {
        Some(operator) => {
            let right = arguments.expect_next("the right side is missing")?.expect_value().into_result()?;
            next = arguments.next();
            Some((operator, right))
        }
        None => None,
    };
    let joint = match next.as_ref().map(TagToken::as_str) {
        None => None,
        Some("and") => Some(Joint::And),
        Some("or") => Some(Joint::Or),
        Some(_) => return Err(Error::with_msg("\"and\", \"or\" or a comparison was expected")),
    };
    Ok((Comparison { left, right }, joint))
}
