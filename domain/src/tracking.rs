//! Opens and clicks: what mails report about themselves, and who is behind it.

use crate::{
    Timestamp,
    ids::{MessageId, WorkspaceId},
};
use chrono::Duration;
use std::collections::BTreeMap;

/// The longest address that a tracked link leads to, in bytes. Longer links are left as they are.
pub const LONGEST_LINK: usize = 2_000;

/// What a tracked address in a mail stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// The workspace that sent the mail.
    pub workspace: WorkspaceId,
    /// The mail.
    pub message: MessageId,
    /// When the mail was made, in whole seconds.
    pub sent_at: Timestamp,
    /// Where a link leads; `None` for the image that reports the opening.
    pub link: Option<String>,
}

/// What was done with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngagementKind {
    /// Its images were loaded.
    Opened,
    /// A link was followed.
    Clicked,
}

impl EngagementKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Opened, Self::Clicked];

    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Clicked => "clicked",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Who did it, as far as one can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// A mail program or a browser: somebody.
    Human,
    /// The image proxy of a mailbox provider: probably on behalf of somebody.
    Proxy,
    /// A scanner, a crawler or a prefetch: nobody.
    Machine,
}

impl Actor {
    /// Every actor.
    pub const ALL: [Self; 3] = [Self::Human, Self::Proxy, Self::Machine];

    /// The name on the wire and in storage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Proxy => "proxy",
            Self::Machine => "machine",
        }
    }

    /// The actor with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|actor| actor.name() == name)
    }

    /// Whether the message counts as opened or clicked by it.
    #[must_use]
    pub fn counts(self) -> bool {
        self != Self::Machine
    }
}

/// Something that was done with a mail by one kind of actor, once or repeatedly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engagement {
    /// The mail.
    pub message: MessageId,
    /// What was done.
    pub kind: EngagementKind,
    /// By whom.
    pub actor: Actor,
    /// The link that was followed; empty for an opening.
    pub link: String,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

/// What tells engagements apart.
pub type EngagementKey = (MessageId, EngagementKind, Actor, String);

impl Engagement {
    /// What tells it apart from others.
    #[must_use]
    pub fn key(&self) -> EngagementKey {
        (self.message.clone(), self.kind, self.actor, self.link.clone())
    }

    /// Adds what happened again.
    pub fn add(&mut self, again: &Self) {
        self.count = self.count.saturating_add(again.count);
        self.first_at = self.first_at.min(again.first_at);
        self.last_at = self.last_at.max(again.last_at);
    }
}

/// Engagements with those of one key added up, in the order of their keys.
#[must_use]
pub fn added_up(engagements: &[Engagement]) -> Vec<Engagement> {
    let mut sums = BTreeMap::<EngagementKey, Engagement>::new();
    for engagement in engagements {
        sums.entry(engagement.key())
            .and_modify(|sum| sum.add(engagement))
            .or_insert_with(|| engagement.clone());
    }
    sums.into_values().collect()
}

/// How often a link of a broadcast was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkClicks {
    /// Where it leads.
    pub link: String,
    /// Messages in which somebody followed it.
    pub messages: u64,
    /// How often somebody followed it.
    pub clicks: u64,
    /// How often a machine followed it.
    pub machine_clicks: u64,
}

/// Sooner than this after the sending nobody reads a mail: filters on its way do.
const TRANSIT: Duration = Duration::seconds(7);

/// Parts of the user agents of scanners, crawlers and programs, in lower case.
const MACHINES: [&str; 44] = [
    "apache-httpclient",
    "axios/",
    "barracuda",
    "bitdefender",
    "cisco ironport",
    "crawler",
    "curl/",
    "emailprotection",
    "emailsecurity",
    "facebookexternalhit",
    "fireeye",
    "forcepoint",
    "go-http-client",
    "googleother",
    "headlesschrome",
    "ironport",
    "java/",
    "libwww-perl",
    "linkcheck",
    "mcafee",
    "messagelabs",
    "mimecast",
    "node-fetch",
    "phantomjs",
    "playwright",
    "postmanruntime",
    "proofpoint",
    "puppeteer",
    "python-requests",
    "python-urllib",
    "python/",
    "safelinks",
    "selenium",
    "skypeuripreview",
    "sophos",
    "spider",
    "symantec",
    "threatdetection",
    "trend micro",
    "trendmicro",
    "urldefense",
    "urlscan",
    "virustotal",
    "wget/",
];

/// Parts of the user agents of image proxies of mailbox providers, in lower case.
const PROXIES: [&str; 5] =
    ["googleimageproxy", "ggpht.com", "yahoomailproxy", "yahoocachesystem", "yandexmail"];

/// What is known of a request for a tracked address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Visit<'a> {
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// It says of itself that it only looks ahead.
    pub is_prefetch: bool,
}

/// Tells who is behind a request for a tracked address.
#[must_use]
pub fn actor(kind: EngagementKind, visit: Visit<'_>, since_sending: Duration) -> Actor {
    let agent = visit.user_agent.unwrap_or_default().trim().to_ascii_lowercase();
    if visit.is_prefetch
        || since_sending < TRANSIT
        || agent.is_empty()
        || MACHINES.iter().any(|part| agent.contains(part))
        || names_a_bot(&agent)
    {
        return Actor::Machine;
    }
    // Apple's privacy proxy says nothing but this.
    let is_proxy = agent == "mozilla/5.0" || PROXIES.iter().any(|part| agent.contains(part));
    match kind {
        _ if !is_proxy => Actor::Human,
        EngagementKind::Opened => Actor::Proxy,
        // A proxy loads images; a link it follows is being examined.
        EngagementKind::Clicked => Actor::Machine,
    }
}

/// Whether a word of the text ends in "bot". Cubot makes telephones.
fn names_a_bot(agent: &str) -> bool {
    agent.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.ends_with("bot") && word != "cubot")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Duration = Duration::seconds(60);
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    fn opened_by(agent: &str) -> Actor {
        actor(EngagementKind::Opened, Visit { user_agent: Some(agent), is_prefetch: false }, LATER)
    }

    #[test]
    fn people_use_mail_programs_and_browsers() {
        for agent in [
            FIREFOX,
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0)",
            "Mozilla/5.0 (Linux; Android 14; CUBOT KINGKONG) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Security/1 JavaFX/21 Thunderbird/128.0",
        ] {
            assert_eq!(opened_by(agent), Actor::Human, "{agent}");
        }
    }

    #[test]
    fn scanners_and_crawlers_are_machines() {
        for agent in [
            "",
            "  ",
            "curl/8.5.0",
            "python-requests/2.32",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "Barracuda Sentinel (EE)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0",
            "Slackbot-LinkExpanding 1.0",
        ] {
            assert_eq!(opened_by(agent), Actor::Machine, "{agent}");
        }
    }

    #[test]
    fn image_proxies_open_and_never_click() {
        for agent in [
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "YahooMailProxy; https://help.yahoo.com/",
            "Mozilla/5.0",
        ] {
            let visit = Visit { user_agent: Some(agent), is_prefetch: false };
            assert_eq!(actor(EngagementKind::Opened, visit, LATER), Actor::Proxy, "{agent}");
            assert_eq!(actor(EngagementKind::Clicked, visit, LATER), Actor::Machine, "{agent}");
        }
    }

    #[test]
    fn what_comes_with_the_sending_or_ahead_of_the_reader_is_a_machine() {
        let visit = Visit { user_agent: Some(FIREFOX), is_prefetch: false };
        assert_eq!(actor(EngagementKind::Clicked, visit, Duration::milliseconds(6_999)), Actor::Machine);
        assert_eq!(actor(EngagementKind::Clicked, visit, Duration::seconds(7)), Actor::Human);
        let ahead = Visit { is_prefetch: true, ..visit };
        assert_eq!(actor(EngagementKind::Opened, ahead, LATER), Actor::Machine);
    }

    #[test]
    fn what_happens_again_is_added_up() {
        let at = |seconds| Timestamp::UNIX_EPOCH + Duration::seconds(seconds);
        let one = |kind, seconds| Engagement {
            message: MessageId::parse("m-1").unwrap(),
            kind,
            actor: Actor::Human,
            link: String::new(),
            count: 1,
            first_at: at(seconds),
            last_at: at(seconds),
        };
        let sums = added_up(&[
            one(EngagementKind::Opened, 5),
            one(EngagementKind::Clicked, 1),
            one(EngagementKind::Opened, 3),
        ]);
        assert_eq!(sums.len(), 2);
        assert_eq!((sums[0].count, sums[0].first_at, sums[0].last_at), (2, at(3), at(5)));
    }
}
