//! Filters of numbers. What is no number counts as 0.

use super::Call;
use liquid_core::{Error, Result, Value, ValueView};
use std::cmp::Ordering;

/// A number, kept whole as long as it is.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// Without a fraction.
    Whole(i64),
    /// With one.
    Fraction(f64),
}

impl Number {
    pub fn to_float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "Liquid computes fractions in doubles")]
            Self::Whole(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }

    pub fn to_whole(self) -> i64 {
        match self {
            Self::Whole(number) => number,
            #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is wanted")]
            Self::Fraction(number) => number as i64,
        }
    }

    pub fn into_value(self) -> Value {
        match self {
            Self::Whole(number) => Value::scalar(number),
            Self::Fraction(number) => Value::scalar(number),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        self.compute(other, i64::checked_add, |a, b| a + b)
    }

    fn compute(
        self,
        other: Self,
        whole: impl FnOnce(i64, i64) -> Option<i64>,
        fraction: impl FnOnce(f64, f64) -> f64,
    ) -> Self {
        if let (Self::Whole(a), Self::Whole(b)) = (self, other)
            && let Some(result) = whole(a, b)
        {
            return Self::Whole(result);
        }
        Self::Fraction(fraction(self.to_float(), other.to_float()))
    }
}

/// Reads a number.
pub fn number(value: &dyn ValueView) -> Number {
    let Some(scalar) = value.as_scalar() else { return Number::Whole(0) };
    match scalar.type_name() {
        "whole number" => Number::Whole(scalar.to_integer().unwrap_or(0)),
        "fractional number" => Number::Fraction(scalar.to_float().unwrap_or(0.0)),
        "string" => {
            let text = scalar.to_kstr();
            let text = text.trim();
            let fraction = || text.parse().ok().filter(|n: &f64| n.is_finite()).map(Number::Fraction);
            text.parse().ok().map(Number::Whole).or_else(fraction).unwrap_or(Number::Whole(0))
        }
        _ => Number::Whole(0),
    }
}

fn input(call: &Call<'_>) -> Number {
    number(call.input)
}

fn operand(call: &Call<'_>) -> Number {
    call.argument(0).map_or(Number::Whole(0), number)
}

pub fn to_number(call: &Call<'_>) -> Result<Value> {
    Ok(input(call).into_value())
}

pub fn abs(call: &Call<'_>) -> Result<Value> {
    Ok(match input(call) {
        Number::Whole(number) => Value::scalar(number.saturating_abs()),
        Number::Fraction(number) => Value::scalar(number.abs()),
    })
}

pub fn ceil(call: &Call<'_>) -> Result<Value> {
    rounded(input(call), f64::ceil)
}

pub fn floor(call: &Call<'_>) -> Result<Value> {
    rounded(input(call), f64::floor)
}

fn rounded(number: Number, round: impl FnOnce(f64) -> f64) -> Result<Value> {
    Ok(match number {
        Number::Whole(number) => Value::scalar(number),
        Number::Fraction(number) => Value::scalar(Number::Fraction(round(number)).to_whole()),
    })
}

pub fn round(call: &Call<'_>) -> Result<Value> {
    let digits = i32::try_from(operand(call).to_whole().clamp(0, 15)).unwrap_or(0);
    if digits == 0 {
        return rounded(input(call), f64::round);
    }
    let scale = 10_f64.powi(digits);
    Ok(match input(call) {
        Number::Whole(number) => Value::scalar(number),
        Number::Fraction(number) => Value::scalar((number * scale).round() / scale),
    })
}

pub fn plus(call: &Call<'_>) -> Result<Value> {
    Ok(input(call).plus(operand(call)).into_value())
}

pub fn minus(call: &Call<'_>) -> Result<Value> {
    Ok(input(call).compute(operand(call), i64::checked_sub, |a, b| a - b).into_value())
}

pub fn times(call: &Call<'_>) -> Result<Value> {
    Ok(input(call).compute(operand(call), i64::checked_mul, |a, b| a * b).into_value())
}

pub fn divided_by(call: &Call<'_>) -> Result<Value> {
    let by = nonzero(call)?;
    let floored = |a: i64, b: i64| {
        let quotient = a.checked_div(b)?;
        Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
    };
    Ok(input(call).compute(by, floored, |a, b| a / b).into_value())
}

pub fn modulo(call: &Call<'_>) -> Result<Value> {
    let by = nonzero(call)?;
    let floored = |a: i64, b: i64| {
        let rest = a.checked_rem(b)?;
        Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
    };
    Ok(input(call).compute(by, floored, |a, b| a - b * (a / b).floor()).into_value())
}

fn nonzero(call: &Call<'_>) -> Result<Number> {
    let by = operand(call);
    if by.to_float() == 0.0 { Err(Error::with_msg("a number is divided by 0")) } else { Ok(by) }
}

pub fn at_least(call: &Call<'_>) -> Result<Value> {
    bounded(call, Ordering::Less)
}

pub fn at_most(call: &Call<'_>) -> Result<Value> {
    bounded(call, Ordering::Greater)
}

fn bounded(call: &Call<'_>, wrong: Ordering) -> Result<Value> {
    let (input, bound) = (input(call), operand(call));
    let replaced = input.to_float().partial_cmp(&bound.to_float()) == Some(wrong);
    Ok(if replaced { bound } else { input }.into_value())
}
