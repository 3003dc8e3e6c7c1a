//! What happens to the links of a mail.

use crate::ports::LinkPolicy;
use domain::utm::UtmParameters;
use url::Url;

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
