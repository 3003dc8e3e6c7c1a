//! What a broadcast would do, counted before it is started.

use super::{Audience, Variation};
use crate::ids::IntegrationId;
use std::fmt;

/// Who an audience reaches and who not. Everybody with a live membership of one of its lists is counted
/// once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AudienceCounts {
    /// Would be mailed.
    pub recipients: u64,
    /// Further memberships of those, through which nobody is mailed a second time.
    pub duplicates: u64,
    /// Complained about a mail, through whichever list.
    pub complained: u64,
    /// Has an address that bounced, through whichever list.
    pub bounced: u64,
    /// Left every list of the audience that it was on.
    pub unsubscribed: u64,
    /// Has not confirmed yet.
    pub pending: u64,
    /// Is on a list that is left out.
    pub excluded: u64,
}

/// Stands for a plan: how many are reached, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanHash {
    recipients: u64,
    content: u64,
}

/// The text is no hash of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the hash of a plan")]
pub struct PlanHashError;

impl PlanHash {
    /// So many recipients more or less are no other plan, whatever their share.
    const FEW: u64 = 10;
    /// One in so many recipients more or less is no other plan.
    const SHARE: u64 = 100;

    /// Takes what a broadcast would be sent with.
    #[must_use]
    pub fn of(
        recipients: u64,
        audience: &Audience,
        contents: &[Variation],
        versions: &[i64],
        provider: IntegrationId,
    ) -> Self {
        let mut text = provider.uuid().to_string();
        for list in audience.lists() {
            text.push_str("\n+");
            text.push_str(list.as_str());
        }
        for list in &audience.excluded_lists {
            text.push_str("\n-");
            text.push_str(list.as_str());
        }
        for (content, version) in contents.iter().zip(versions) {
            text.push_str("\n=");
            text.push_str(content.template_id.as_str());
            text.push(' ');
            text.push_str(&version.to_string());
        }
        Self { recipients, content: super::testing::mix(text.bytes()) }
    }

    /// # Errors
    /// When it is not the text of a hash.
    pub fn parse(text: &str) -> Result<Self, PlanHashError> {
        let (recipients, content) = text.split_once('-').ok_or(PlanHashError)?;
        let recipients = recipients.parse().map_err(|_| PlanHashError)?;
        let content = u64::from_str_radix(content, 16).map_err(|_| PlanHashError)?;
        Ok(Self { recipients, content })
    }

    /// Whether what is planned now is still what was seen: the same lists, contents and provider, and
    /// as many recipients up to one in a hundred, or ten.
    #[must_use]
    pub fn covers(&self, now: &Self) -> bool {
        let most = (self.recipients / Self::SHARE).max(Self::FEW);
        self.content == now.content && self.recipients.abs_diff(now.recipients) <= most
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.recipients, self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ListId, TemplateId};

    fn hash(recipients: u64, list: &str, version: i64) -> PlanHash {
        let audience = Audience {
            list: ListId::parse(list).unwrap(),
            further_lists: vec![],
            excluded_lists: vec![],
            segments: vec![],
            exclude_unsubscribed: true,
        };
        let template_id = TemplateId::parse("june").unwrap();
        let contents = [Variation { variation_name: String::new(), template_id }];
        let provider = IntegrationId::from_uuid(uuid::Uuid::from_u128(1));
        PlanHash::of(recipients, &audience, &contents, &[version], provider)
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = hash(1_203, "news", 1);
        assert_eq!(PlanHash::parse(&hash.to_string()), Ok(hash));
        for text in ["", "12", "x-1", "1-x"] {
            PlanHash::parse(text).unwrap_err();
        }
    }

    #[test]
    fn a_few_recipients_more_or_less_are_the_same_plan() {
        assert!(hash(50, "news", 1).covers(&hash(60, "news", 1)));
        assert!(!hash(50, "news", 1).covers(&hash(61, "news", 1)));
        assert!(hash(5_000, "news", 1).covers(&hash(4_950, "news", 1)));
        assert!(!hash(5_000, "news", 1).covers(&hash(4_949, "news", 1)));
    }

    #[test]
    fn another_list_or_version_is_another_plan() {
        assert!(!hash(50, "news", 1).covers(&hash(50, "vip", 1)));
        assert!(!hash(50, "news", 1).covers(&hash(50, "news", 2)));
    }
}
