//! What happens to the links of a mail.

use crate::{
    ports::{LinkPolicy, TrackingTokens},
    tracking::Mark,
};
use domain::{tracking::LONGEST_LINK, utm::UtmParameters};
use url::Url;

/// The links of one mail: campaign parameters are appended, then they lead over the address that
/// counts clicks. Those to the contact's own pages are left alone.
pub(crate) struct MailLinks<'a> {
    base: &'a str,
    utm: UtmLinks,
    tracking: Option<(Mark, &'a dyn TrackingTokens)>,
}

/// Pages of the contact, below the base address.
const OWN_PAGES: [&str; 5] = ["notification-center", "unsubscribe-oneclick", "opens", "t/", "r/"];

impl<'a> MailLinks<'a> {
    /// `base` is the address that the mail's own links begin with, without a slash at its end.
    /// Without `tracking`, links lead where they say and nothing reports the opening.
    pub(crate) fn new(
        base: &'a str,
        utm: UtmParameters,
        tracking: Option<(Mark, &'a dyn TrackingTokens)>,
    ) -> Self {
        Self { base, utm: UtmLinks::new(utm), tracking }
    }

    /// The address of the image that reports the opening.
    pub(crate) fn opens(&self) -> Option<String> {
        let (mark, tokens) = self.tracking.as_ref()?;
        Some(format!("{}/t/{}", self.base, mark.token(*tokens, None)))
    }

    fn is_own(&self, url: &str) -> bool {
        let below = url.strip_prefix(self.base).and_then(|rest| rest.strip_prefix('/'));
        below.is_some_and(|page| OWN_PAGES.iter().any(|own| page.starts_with(own)))
    }
}

impl LinkPolicy for MailLinks<'_> {
    fn rewrite(&self, url: &str) -> Option<String> {
        if self.is_own(url) {
            return None;
        }
        let tagged = self.utm.rewrite(url);
        let Some((mark, tokens)) = &self.tracking else { return tagged };
        let link = Url::parse(tagged.as_deref().unwrap_or(url)).ok();
        let link = link.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let link = link.map(String::from).filter(|url| url.len() <= LONGEST_LINK);
        let tracked = link.map(|link| format!("{}/r/{}", self.base, mark.token(*tokens, Some(link))));
        tracked.or(tagged)
    }

    fn pixel(&self) -> Option<String> {
        self.opens()
    }
}

/// Appends campaign parameters to links that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UtmLinks(UtmParameters);

impl UtmLinks {
    /// Appends these parameters.
    #[must_use]
    pub fn new(utm: UtmParameters) -> Self {
        Self(utm)
    }
}

impl LinkPolicy for UtmLinks {
    fn rewrite(&self, url: &str) -> Option<String> {
        let mut url = Url::parse(url).ok().filter(Url::has_host)?;
        let tagged = url.query_pairs().any(|(key, _)| key.to_ascii_lowercase().starts_with("utm_"));
        if tagged || self.0.is_empty() {
            return None;
        }
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        pairs.extend(self.0.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())));
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        url.query_pairs_mut().clear().extend_pairs(pairs);
        Some(url.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        Timestamp,
        ids::{MessageId, WorkspaceId},
        tracking::Tracked,
    };
    use std::fmt::Write as _;

    /// Tokens that anybody can read.
    struct Clear;

    impl TrackingTokens for Clear {
        fn issue(&self, tracked: &Tracked) -> String {
            let mut token = format!("{}-{}", tracked.workspace, tracked.message);
            if let Some(link) = &tracked.link {
                write!(token, "-{link}").unwrap();
            }
            token
        }

        fn verify(&self, _token: &str) -> Option<Tracked> {
            None
        }
    }

    fn tracked(utm: UtmParameters) -> MailLinks<'static> {
        let mark = Mark {
            workspace: WorkspaceId::parse("acme").unwrap(),
            message: MessageId::parse("m1").unwrap(),
            sent_at: Timestamp::UNIX_EPOCH,
        };
        MailLinks::new("https://mail.acme.example", utm, Some((mark, &Clear)))
    }

    #[test]
    fn a_tracked_link_leads_over_the_counter_with_its_campaign() {
        let utm = UtmParameters { source: "news".into(), ..UtmParameters::default() };
        assert_eq!(
            tracked(utm).rewrite("https://shop.example/a").as_deref(),
            Some("https://mail.acme.example/r/acme-m1-https://shop.example/a?utm_source=news")
        );
        assert_eq!(
            tracked(UtmParameters::default()).pixel().as_deref(),
            Some("https://mail.acme.example/t/acme-m1")
        );
    }

    #[test]
    fn without_tracking_links_lead_where_they_say() {
        let utm = UtmParameters { source: "news".into(), ..UtmParameters::default() };
        let links = MailLinks::new("https://mail.acme.example", utm, None);
        assert_eq!(
            links.rewrite("https://shop.example/a").as_deref(),
            Some("https://shop.example/a?utm_source=news")
        );
        assert_eq!(links.pixel(), None);
    }

    #[test]
    fn the_contacts_own_pages_are_left_alone() {
        let utm = UtmParameters { source: "news".into(), ..UtmParameters::default() };
        let links = tracked(utm);
        for own in ["notification-center?wid=acme", "unsubscribe-oneclick?wid=acme", "t/x"] {
            assert_eq!(links.rewrite(&format!("https://mail.acme.example/{own}")), None, "{own}");
        }
        assert!(links.rewrite("https://mail.acme.example/shoes").is_some());
        assert!(links.rewrite("https://mail.acme.example.evil.example/notification-center").is_some());
    }

    #[test]
    fn what_cannot_be_followed_over_the_web_is_not_tracked() {
        let links = tracked(UtmParameters::default());
        for url in ["ftp://files.example/a", "shoes", "//shop.example", "https://"] {
            assert_eq!(links.rewrite(url), None, "{url}");
        }
        assert_eq!(links.rewrite(&format!("https://shop.example/{}", "x".repeat(2_000))), None);
    }

    fn links() -> UtmLinks {
        UtmLinks::new(UtmParameters {
            source: "news".into(),
            medium: "email".into(),
            campaign: "june sale".into(),
            ..UtmParameters::default()
        })
    }

    #[test]
    fn parameters_are_appended_and_the_query_is_sorted() {
        assert_eq!(
            links().rewrite("https://shop.example/a?z=1&b=%C3%A9#top").as_deref(),
            Some(
                "https://shop.example/a?b=%C3%A9&utm_campaign=june+sale&utm_medium=email&utm_source=news&z=1#top"
            )
        );
    }

    #[test]
    fn a_link_with_its_own_campaign_is_kept() {
        assert_eq!(links().rewrite("https://shop.example/?UTM_Source=x"), None);
        assert_eq!(links().rewrite("not a url"), None);
        assert_eq!(UtmLinks::new(UtmParameters::default()).rewrite("https://shop.example/"), None);
    }
}
