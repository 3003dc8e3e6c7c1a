//! Data from elsewhere in the mails of a broadcast: the same for everybody, or for each recipient.

use crate::{
    Timestamp, hosts,
    secret::{Sealed, Secret},
    validation::{Check, Invalid},
};
use std::collections::HashSet;
use url::{Host, Url};

/// The feeds of a broadcast.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DataFeeds {
    /// Asked once, when the broadcast starts.
    pub global: Option<Feed>,
    /// When the data of the global feed was fetched.
    pub global_fetched_at: Option<Timestamp>,
    /// Asked for each recipient, when its mail is made.
    pub recipient: Option<Feed>,
    /// What becomes of a recipient for whom its feed has nothing.
    #[serde(default)]
    pub on_failure: OnFailure,
}

impl DataFeeds {
    /// The global feed, when it is turned on.
    #[must_use]
    pub fn active_global(&self) -> Option<&Feed> {
        self.global.as_ref().filter(|feed| feed.enabled)
    }

    /// The feed of each recipient, when it is turned on.
    #[must_use]
    pub fn active_recipient(&self) -> Option<&Feed> {
        self.recipient.as_ref().filter(|feed| feed.enabled)
    }

    /// Takes what a client gives, with headers sealed. A feed that is left out stays as it is, and data
    /// that was fetched is kept.
    ///
    /// # Errors
    /// Every field that breaks a rule, and a header whose value is not known.
    pub fn replaced(&self, draft: FeedsDraft, seal: impl Fn(&Secret) -> Sealed) -> Result<Self, Invalid> {
        let mut check = Check::default();
        let global = draft.global.map(|feed| feed.sealed(self.global.as_ref(), &seal));
        let global = global.map(|feed| check.nested("/global_feed", feed));
        let (recipient, on_failure) = draft.recipient.map_or((None, None), |(feed, on_failure)| {
            let feed = check.nested("/recipient_feed", feed.sealed(self.recipient.as_ref(), &seal));
            (Some(feed), Some(on_failure))
        });
        check.finish()?;
        Ok(Self {
            global: global.flatten().or_else(|| self.global.clone()),
            global_fetched_at: self.global_fetched_at,
            recipient: recipient.flatten().or_else(|| self.recipient.clone()),
            on_failure: on_failure.unwrap_or(self.on_failure),
        })
    }
}

/// Where data comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Feed {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// An address for which [`check_url`] holds, unless the feed is turned off.
    pub url: String,
    /// Sent along with each request.
    pub headers: Vec<FeedHeader>,
}

/// A header of requests to a feed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeedHeader {
    /// Its name.
    pub name: String,
    /// Its value, which may be a key.
    pub value: Sealed,
}

/// What becomes of a recipient for whom its feed has nothing, after the last attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The broadcast is paused, and the mail waits.
    #[default]
    Pause,
    /// The recipient is skipped.
    Skip,
    /// The mail has failed, and can be sent again on request.
    Fail,
    /// The mail is sent without the data.
    Send,
}

impl OnFailure {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Pause, Self::Skip, Self::Fail, Self::Send];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Skip => "skip",
            Self::Fail => "fail",
            Self::Send => "send",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }
}

/// What a client gives of the feeds of a broadcast; a feed that is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedsDraft {
    /// See [`DataFeeds::global`].
    pub global: Option<FeedDraft>,
    /// See [`DataFeeds::recipient`] and [`DataFeeds::on_failure`].
    pub recipient: Option<(FeedDraft, OnFailure)>,
}

/// What a client gives of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedDraft {
    /// See [`Feed::enabled`].
    pub enabled: bool,
    /// See [`Feed::url`].
    pub url: String,
    /// Names and values; without a value the stored one is meant.
    pub headers: Vec<(String, Option<Secret>)>,
}

/// Most headers of a feed.
const MOST_HEADERS: usize = 20;

/// Headers that belong to the connection or say what the request is.
const OWN_HEADERS: [&str; 11] = [
    "host",
    "content-length",
    "content-type",
    "accept",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

impl FeedDraft {
    /// Checks its headers and seals them. The value of a header is kept only as long as the feed stays
    /// at the same origin: a key must not be sent to another one.
    ///
    /// # Errors
    /// Every header that breaks a rule or has no value.
    pub fn sealed(self, before: Option<&Feed>, seal: impl Fn(&Secret) -> Sealed) -> Result<Feed, Invalid> {
        let mut check = Check::default();
        check.require(self.headers.len() <= MOST_HEADERS, "/headers", "must be at most 20");
        let before =
            before.filter(|feed| origin(&feed.url).is_some() && origin(&feed.url) == origin(&self.url));
        let mut names = HashSet::new();
        let mut headers = Vec::new();
        for (n, (name, value)) in self.headers.into_iter().enumerate().take(MOST_HEADERS) {
            let at = |member: &str| format!("/headers/{n}/{member}");
            let name = name.trim().to_owned();
            let low = name.to_ascii_lowercase();
            check.require(is_token(&name), &at("name"), "must be the name of a header");
            let own = OWN_HEADERS.contains(&low.as_str()) || low.starts_with("proxy-");
            check.require(!own, &at("name"), "is set by the server");
            check.require(names.insert(low), &at("name"), "must be named once");
            let kept = || {
                let known = before?.headers.iter().find(|h| h.name.eq_ignore_ascii_case(&name))?;
                Some(known.value.clone())
            };
            let value = match value {
                None => kept(),
                Some(value) => {
                    let good = value.expose().len() <= 4_096
                        && value.expose().bytes().all(|b| (0x20..0x7f).contains(&b) || b == b'\t');
                    check.require(good, &at("value"), "must be at most 4096 visible ASCII characters");
                    Some(seal(&value))
                }
            };
            check.require(value.is_some(), &at("value"), "is required: none is stored for this address");
            headers.extend(value.map(|value| FeedHeader { name, value }));
        }
        check.finish()?;
        Ok(Feed { enabled: self.enabled, url: self.url.trim().to_owned(), headers })
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> Option<String> {
    Url::parse(url.trim()).ok().map(|url| url.origin().ascii_serialization())
}

fn is_token(text: &str) -> bool {
    let sign = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=100).contains(&text.len()) && text.bytes().all(sign)
}

/// Names that end so are not on the internet.
const INSIDE: [&str; 7] = ["localhost", "local", "internal", "corp", "intranet", "lan", "home.arpa"];
/// Names under which clouds tell a machine its own secrets.
const METADATA: [&str; 3] = ["metadata", "instance-data", "metadata.goog"];

/// Whether a feed may have this address. What its name leads to is to be checked again when it is asked.
/// With `anywhere`, for development, so may one inside, and one without TLS.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(text: &str, anywhere: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "must be an https address")?;
    if text.len() > 2_000 {
        return Err("must have at most 2000 characters");
    }
    if url.scheme() != "https" && !(anywhere && url.scheme() == "http") {
        return Err("must be an https address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user or a password: use headers");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have neither a query nor a fragment");
    }
    let public = match url.host() {
        None => return Err("must name a host"),
        Some(Host::Ipv4(address)) => hosts::is_public(address.into()),
        Some(Host::Ipv6(address)) => hosts::is_public(address.into()),
        Some(Host::Domain(name)) => hosts::may_be_public(name) && !is_inside(name),
    };
    if public || anywhere { Ok(url) } else { Err("must lead to the public internet") }
}

fn is_inside(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let below = |end: &str| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    INSIDE.iter().any(|end| below(end)) || METADATA.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: &Secret) -> Sealed {
        Sealed::new(format!("sealed {}", secret.expose()))
    }

    fn draft(url: &str, headers: &[(&str, Option<&str>)]) -> FeedDraft {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(Secret::new)));
        FeedDraft { enabled: true, url: url.to_owned(), headers: headers.collect() }
    }

    #[test]
    fn a_feed_is_on_the_public_internet_and_behind_tls() {
        for good in ["https://api.shop.example/feed", "https://9.9.9.9:8443/", "https://[2620:fe::fe]/x"] {
            assert!(check_url(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://api.shop.example/feed",
            "ftp://api.shop.example/",
            "nonsense",
            "https://",
            "https://api.shop.example/feed?key=1",
            "https://api.shop.example/feed#part",
            "https://ana:secret@api.shop.example/",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://10.0.0.8/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://metadata.google.internal/",
            "https://metadata/",
            "https://db.cluster.local/",
            "https://wiki.corp./",
            "https://printer.LAN/",
        ] {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn in_development_a_feed_may_be_inside() {
        assert!(check_url("http://127.0.0.1:8080/feed", true).is_ok());
        assert!(check_url("file:///etc/passwd", true).is_err());
        assert!(check_url("http://127.0.0.1/?a=b", true).is_err());
    }

    #[test]
    fn headers_are_sealed_and_keep_their_values_at_the_same_origin_alone() {
        let made = draft("https://a.example/x", &[("X-Key", Some("1"))]).sealed(None, seal).unwrap();
        assert_eq!(made.headers[0].value, Sealed::new("sealed 1"));
        let kept = draft("https://a.example/y", &[("x-key", None)]).sealed(Some(&made), seal).unwrap();
        assert_eq!(kept.headers[0].value, made.headers[0].value);
        for elsewhere in ["https://b.example/x", "https://a.example:444/x", "http://a.example/x"] {
            let refused = draft(elsewhere, &[("X-Key", None)]).sealed(Some(&made), seal).unwrap_err();
            assert_eq!(refused.0[0].pointer, "/headers/0/value", "{elsewhere}");
        }
    }

    #[test]
    fn headers_that_break_the_request_are_refused() {
        for (name, value) in [
            ("Host", "x"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Proxy-Authorization", "x"),
            ("bad name", "x"),
            ("", "x"),
            ("X-Key", "a\r\nX-Other: b"),
            ("X-Key", "žž"),
        ] {
            draft("https://a.example/", &[(name, Some(value))]).sealed(None, seal).unwrap_err();
        }
        let twice = [("X-Key", Some("1")), ("x-key", Some("2"))];
        assert_eq!(
            draft("https://a.example/", &twice).sealed(None, seal).unwrap_err().0[0].pointer,
            "/headers/1/name"
        );
    }

    #[test]
    fn what_a_client_leaves_out_stays() {
        let recipient = Some((draft("https://a.example/", &[]), OnFailure::Skip));
        let first = FeedsDraft { global: Some(draft("https://g.example/", &[])), recipient };
        let made = DataFeeds::default().replaced(first, seal).unwrap();
        let made = DataFeeds { global_fetched_at: Some(Timestamp::UNIX_EPOCH), ..made };
        assert_eq!(made.replaced(FeedsDraft::default(), seal).unwrap(), made);
        let off = FeedDraft { enabled: false, ..draft("", &[]) };
        let other = made.replaced(FeedsDraft { global: Some(off), recipient: None }, seal).unwrap();
        assert_eq!((other.active_global(), other.on_failure), (None, OnFailure::Skip));
        assert_eq!(other.global_fetched_at, made.global_fetched_at);
    }

    #[test]
    fn every_way_is_found_by_its_name() {
        for way in OnFailure::ALL {
            assert_eq!(OnFailure::from_name(way.name()), Some(way));
        }
        assert_eq!(OnFailure::from_name("retry"), None);
    }
}
