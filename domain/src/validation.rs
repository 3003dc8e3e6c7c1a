//! Collecting every bad field of an input before answering.

use std::fmt::Display;

/// One bad field: where it stands and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) into the input, such as `/contact/email`.
    pub pointer: String,
    /// What is wrong and what to do, without the rejected value.
    pub message: String,
}

/// An input with at least one bad field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", summary(.0))]
pub struct Invalid(pub Vec<FieldProblem>);

impl Invalid {
    /// An input with exactly one bad field.
    pub fn one(pointer: impl Into<String>, message: impl Display) -> Self {
        Self(vec![FieldProblem { pointer: pointer.into(), message: message.to_string() }])
    }

    /// The same problems, each below `prefix`.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        for problem in &mut self.0 {
            problem.pointer.insert_str(0, prefix);
        }
        self
    }
}

fn summary(problems: &[FieldProblem]) -> String {
    problems
        .iter()
        .map(|p| {
            let name = p.pointer.trim_start_matches('/').replace('/', ".");
            if name.is_empty() { p.message.clone() } else { format!("{name}: {}", p.message) }
        })
        .collect::<Vec<_>>()
        .join("; ")
}

/// Gathers the problems of an input field by field.
///
/// ```
/// use domain::{email_address::EmailAddress, validation::Check};
///
/// let mut check = Check::default();
/// let email = check.field("/email", EmailAddress::parse("ana@shop.example"));
/// assert!(check.finish().is_ok());
/// assert!(email.is_some());
/// ```
#[derive(Debug, Default)]
pub struct Check(Vec<FieldProblem>);

impl Check {
    /// Takes the value of a good field, or remembers the problem of a bad one.
    pub fn field<T, E: Display>(&mut self, pointer: &str, value: Result<T, E>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(pointer, error);
                None
            }
        }
    }

    /// Takes a nested value, or remembers its problems below `pointer`.
    pub fn nested<T>(&mut self, pointer: &str, value: Result<T, Invalid>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.0.extend(invalid.below(pointer).0);
                None
            }
        }
    }

    /// Remembers a problem.
    pub fn problem(&mut self, pointer: &str, message: impl Display) {
        self.0.push(FieldProblem { pointer: pointer.to_owned(), message: message.to_string() });
    }

    /// Remembers a problem unless `good`.
    pub fn require(&mut self, good: bool, pointer: &str, message: impl Display) {
        if !good {
            self.problem(pointer, message);
        }
    }

    /// # Errors
    /// All remembered problems, when there are any.
    pub fn finish(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(self.0)) }
    }
}

/// A text whose length is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("is required")]
    Missing,
    /// Longer than allowed.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// Holds a control character.
    #[error("must not contain control characters")]
    Control,
}

/// A trimmed text of 1 to `max` characters (Unicode scalar values).
///
/// # Errors
/// When it is empty or too long.
pub fn required_text(text: &str, max: usize) -> Result<String, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Missing);
    }
    optional_text(text, max)
}

/// A trimmed text of at most `max` characters (Unicode scalar values).
///
/// # Errors
/// When it is too long.
pub fn optional_text(text: &str, max: usize) -> Result<String, TextError> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(TextError::TooLong(max));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_with_its_place() {
        let mut check = Check::default();
        check.problem("/name", "is required");
        check.nested::<()>("/contact", Err(Invalid::one("/email", "is not an address")));
        let invalid = check.finish().unwrap_err();
        assert_eq!(invalid.0[1].pointer, "/contact/email");
        assert_eq!(invalid.to_string(), "name: is required; contact.email: is not an address");
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert_eq!(required_text("žž", 2), Ok("žž".to_owned()));
        assert_eq!(required_text("žžž", 2), Err(TextError::TooLong(2)));
        assert_eq!(required_text("  ", 2), Err(TextError::Missing));
    }
}
