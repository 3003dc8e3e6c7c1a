//! What a run must reach.

use std::process::ExitCode;

/// The gates of one run. Each prints a line when it is looked at.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    passed: u32,
    failed: Vec<String>,
}

impl Gates {
    /// `seen` says what was found and what was asked for.
    pub(crate) fn check(&mut self, name: &str, passed: bool, seen: &str) {
        println!("{}  {name}: {seen}", if passed { "PASS" } else { "FAIL" });
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(name.to_owned());
        }
    }

    /// The figure must not be above the limit.
    pub(crate) fn at_most(&mut self, name: &str, figure: f64, limit: f64, unit: &str) {
        let unit = after_a_space(unit);
        self.check(name, figure <= limit, &format!("{}{unit}, at most {limit}{unit}", number(figure)));
    }

    /// The figure must not be below the limit.
    pub(crate) fn at_least(&mut self, name: &str, figure: f64, limit: f64, unit: &str) {
        let unit = after_a_space(unit);
        self.check(name, figure >= limit, &format!("{}{unit}, at least {limit}{unit}", number(figure)));
    }

    /// Names of those that failed.
    #[cfg(test)]
    pub(crate) fn failed(&self) -> &[String] {
        &self.failed
    }

    /// The last line, and the exit code.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        if self.failed.is_empty() {
            println!("all {} gates passed", self.passed);
            ExitCode::SUCCESS
        } else {
            println!(
                "{} gates passed, {} failed: {}",
                self.passed,
                self.failed.len(),
                self.failed.join(", ")
            );
            ExitCode::FAILURE
        }
    }
}

fn after_a_space(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}

/// As many digits as say something.
fn number(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1000.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.3}"),
    }
}
