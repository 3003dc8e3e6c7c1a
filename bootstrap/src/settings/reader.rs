//! Reads variables, checks them against the table and collects what is wrong.

use super::table::{self, Kind, Variable};
use domain::{email_address::EmailAddress, mail_name::MailName, secret::Secret};
use http_api::TrustedProxies;
use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};
use url::Url;

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with its value. Never carries a secret.
    pub problem: String,
    /// What is accepted.
    pub accepted: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; accepted: {}", self.variable, self.problem, self.accepted)
    }
}

/// Reads variables by name. A bad value is noted and read as absent.
pub(super) struct Reader<'a> {
    values: &'a BTreeMap<String, String>,
    pub(super) problems: Vec<Problem>,
    #[cfg(test)]
    pub(super) names: std::collections::BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(values: &'a BTreeMap<String, String>) -> Self {
        Self {
            values,
            problems: Vec::new(),
            #[cfg(test)]
            names: std::collections::BTreeSet::new(),
        }
    }

    /// Whether the variable has a value. An empty one counts as none, as with `NAME=` in files.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|v| !v.trim().is_empty())
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.read(name, |text, kind| match kind {
            Kind::Host if !is_host(text) => Err("is no host name".to_owned()),
            Kind::Identifier(length) if !is_identifier(text, *length) => Err("is no such name".to_owned()),
            Kind::Prefix(length) if !is_prefix(text, *length) => Err("is no such name".to_owned()),
            Kind::LogFilter => log_filter(text).ok_or_else(|| format!("is {text:?}")),
            Kind::Origin if !is_origin(text) => Err(format!("is {text:?}")),
            _ => Ok(text.to_owned()),
        })
    }

    pub(super) fn networks(&mut self, name: &'static str) -> Option<TrustedProxies> {
        self.read(name, |text, _| text.parse::<TrustedProxies>().map_err(|e| e.to_string()))
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.read(name, |text, _| Ok(Secret::new(text)))
    }

    pub(super) fn path(&mut self, name: &'static str) -> Option<PathBuf> {
        self.read(name, |text, _| Ok(PathBuf::from(text)))
    }

    pub(super) fn email(&mut self, name: &'static str) -> Option<EmailAddress> {
        self.read(name, |text, _| EmailAddress::parse(text).map_err(|e| e.to_string()))
    }

    pub(super) fn name(&mut self, name: &'static str) -> Option<MailName> {
        self.read(name, |text, _| MailName::parse(text).map_err(|e| e.to_string()))
    }

    /// An address without its trailing slashes.
    pub(super) fn url(&mut self, name: &'static str) -> Option<String> {
        self.read(name, |text, kind| {
            let Kind::Url(schemes) = kind else { return Err("is not described as an address".to_owned()) };
            let url = Url::parse(text).map_err(|e| format!("is no address ({e})"))?;
            if !schemes.contains(&url.scheme()) {
                return Err(format!("begins with {}://", url.scheme()));
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err("carries credentials".to_owned());
            }
            if url.query().is_some() || url.fragment().is_some() {
                return Err("carries a query or fragment".to_owned());
            }
            Ok(text.trim_end_matches('/').to_owned())
        })
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.read(name, |text, _| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("is {text:?}")),
        })
    }

    /// The place of the value among the words of the table.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, meanings: &[T]) -> Option<T> {
        self.read(name, |text, kind| {
            let Kind::Choice(words) = kind else { return Err("is not described as a choice".to_owned()) };
            let place = words.iter().position(|word| word.eq_ignore_ascii_case(text));
            place.and_then(|p| meanings.get(p)).copied().ok_or_else(|| format!("is {text:?}"))
        })
    }

    pub(super) fn number(&mut self, name: &'static str) -> Option<u32> {
        self.read(name, |text, kind| {
            let Kind::Number(from, to) = kind else { return Err("is not described as a number".to_owned()) };
            match text.parse::<i128>() {
                Ok(number) => u32::try_from(number)
                    .ok()
                    .filter(|n| (*from..=*to).contains(n))
                    .ok_or_else(|| format!("is {number}")),
                Err(_) => Err(format!("is no whole number: {text:?}")),
            }
        })
    }

    pub(super) fn port(&mut self, name: &'static str) -> Option<u16> {
        self.number(name).and_then(|n| u16::try_from(n).ok())
    }

    pub(super) fn duration(&mut self, name: &'static str) -> Option<Duration> {
        self.read(name, |text, kind| {
            let Kind::Duration(from, to) = kind else { return Err("is not described as a time".to_owned()) };
            let duration = parse_duration(text)
                .ok_or_else(|| format!("is no length of time such as 500ms, 30s, 5m or 1h30m: {text:?}"))?;
            if (*from..=*to).contains(&duration) { Ok(duration) } else { Err(format!("is {text}")) }
        })
    }

    /// Notes a problem that concerns more than one value.
    pub(super) fn reject(
        &mut self,
        variable: &'static str,
        problem: impl Into<String>,
        accepted: impl Into<String>,
    ) {
        self.problems.push(Problem { variable, problem: problem.into(), accepted: accepted.into() });
    }

    /// Reads a value with a parser of the caller's.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str, &Kind) -> Result<T, String>,
    ) -> Option<T> {
        #[cfg(test)]
        self.names.insert(name);
        let Some(Variable { default, kind, .. }) = table::variable(name) else {
            self.reject(name, "is not described", "nothing");
            return None;
        };
        let set = self.values.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
        if let Some(text) = set {
            match parse(text, kind) {
                Ok(value) => return Some(value),
                Err(problem) => self.reject(name, problem, kind.accepted()),
            }
        }
        default.and_then(|text| parse(text, kind).ok())
    }
}

/// `1h30m`, `1.5s`, `250ms`; a bare `0` needs no unit.
fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

fn is_host(text: &str) -> bool {
    text.starts_with('/')
        || text.parse::<std::net::IpAddr>().is_ok()
        || (text.len() <= 253
            && text.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            }))
}

fn is_identifier(text: &str, length: usize) -> bool {
    text.len() <= length
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_prefix(text: &str, length: usize) -> bool {
    text.len() <= length && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_origin(text: &str) -> bool {
    let one = |text: &str| {
        Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
        })
    };
    text == "*" || text.split(',').all(|part| one(part.trim()))
}

/// Levels under the names that other loggers use too.
fn log_filter(text: &str) -> Option<String> {
    let level = |word: &str| match word.to_ascii_lowercase().as_str() {
        "off" | "disabled" => Some("off"),
        "error" | "fatal" | "panic" => Some("error"),
        "warn" | "warning" => Some("warn"),
        "info" => Some("info"),
        "debug" => Some("debug"),
        "trace" => Some("trace"),
        _ => None,
    };
    let target = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
    };
    let directive = |part: &str| match part.trim().split_once('=') {
        Some((name, word)) if target(name) => level(word).map(|l| format!("{name}={l}")),
        Some(_) => None,
        None => level(part.trim()).map(str::to_owned),
    };
    text.split(',').map(directive).collect::<Option<Vec<_>>>().map(|parts| parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_with_units() {
        for (text, millis) in
            [("0", 0), ("250ms", 250), ("1.5s", 1_500), ("2m", 120_000), ("1h30m", 5_400_000)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn times_without_number_or_unit_are_refused() {
        for bad in
            ["", "5", "s", "5 s", "-5s", "5d", "1..5s", "5sm", "m5", "1e9999h", "99999999999999999999999h"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn log_levels_go_by_several_names() {
        assert_eq!(log_filter("WARNING").as_deref(), Some("warn"));
        assert_eq!(log_filter("info, store=debug").as_deref(), Some("info,store=debug"));
        assert_eq!(log_filter("loud"), None);
        assert_eq!(log_filter("info,=debug"), None);
        assert_eq!(log_filter(""), None);
    }

    #[test]
    fn an_origin_has_no_path() {
        assert!(is_origin("https://a.example, https://b.example:8443"));
        assert!(is_origin("*") && is_origin("https://app.example.com") && is_origin("http://localhost:3000"));
        for bad in ["https://app.example.com/", "app.example.com", "ftp://x.example", "https://a.example/x"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_at_all_is_read_without_panic(text in "\\PC{0,40}") {
            let _ = (parse_duration(&text), log_filter(&text), is_host(&text), is_origin(&text));
        }

        #[test]
        fn written_times_are_read_back(millis in 0_u64..100_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&table::written(duration)), Some(duration));
        }
    }
}
