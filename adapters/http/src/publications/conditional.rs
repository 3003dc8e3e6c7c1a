//! Conditional requests (RFC 9110, section 13) and the choice of an encoding (section 12.5.3).

use poem::http::{HeaderMap, header};
use std::time::SystemTime;

/// Whether the client's copy is still good: by its tag when it names one, else by its date.
pub(super) fn is_fresh(headers: &HeaderMap, etag: &str, modified: SystemTime) -> bool {
    let mut tags = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let mut tags = tags.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
        return tags.any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag));
    }
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    since.and_then(|text| httpdate::parse_http_date(text).ok()).is_some_and(|since| {
        let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        seconds(modified) <= seconds(since)
    })
}

/// A tag without the mark of a weak one: tags are compared weakly (section 8.8.3.2).
fn opaque(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Brotli,
}

impl Encoding {
    /// The smallest that the client takes.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let accepted: Vec<_> = lists.flat_map(|list| list.split(',')).filter_map(wanted).collect();
        let takes = |name: &str| accepted.iter().any(|given| given.eq_ignore_ascii_case(name));
        if takes("br") {
            Self::Brotli
        } else if takes("gzip") {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    /// The value of the header `Content-Encoding`.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}

/// The name of an encoding, unless its weight is zero.
fn wanted(item: &str) -> Option<&str> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.trim().parse::<f32>().ok());
    weight.is_none_or(|weight| weight > 0.0).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::http::HeaderValue;
    use std::time::Duration;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn fresh(pairs: &[(header::HeaderName, &'static str)]) -> bool {
        // Thu, 01 Jan 1970 00:01:00.5 GMT
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(60_500);
        is_fresh(&headers(pairs), "W/\"abc\"", modified)
    }

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        for (tags, good) in
            [("\"abc\"", true), ("W/\"x\", W/\"abc\"", true), ("*", true), ("\"ab\"", false), ("", false)]
        {
            assert_eq!(fresh(&[(header::IF_NONE_MATCH, tags)]), good, "{tags}");
        }
    }

    #[test]
    fn dates_are_compared_in_whole_seconds() {
        assert!(fresh(&[(header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:01:00 GMT")]));
        assert!(!fresh(&[(header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:59 GMT")]));
        assert!(!fresh(&[(header::IF_MODIFIED_SINCE, "yesterday")]));
    }

    #[test]
    fn a_date_beside_a_tag_is_not_looked_at() {
        let date = (header::IF_MODIFIED_SINCE, "Thu, 01 Jan 2026 00:00:00 GMT");
        assert!(!fresh(&[(header::IF_NONE_MATCH, "\"other\""), date]));
    }

    #[test]
    fn the_smallest_accepted_encoding_is_chosen() {
        for (accepted, chosen) in [
            ("gzip, deflate, br", Encoding::Brotli),
            ("gzip;q=0.5, br;q=0", Encoding::Gzip),
            ("GZIP", Encoding::Gzip),
            ("identity", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            assert_eq!(
                Encoding::accepted(&headers(&[(header::ACCEPT_ENCODING, accepted)])),
                chosen,
                "{accepted}"
            );
        }
    }
}
