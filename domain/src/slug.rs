//! The readable part of a public address.

use std::fmt;

/// 1 to 100 lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// The text is no slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 lower-case letters, digits or hyphens")]
pub struct SlugError;

impl Slug {
    /// # Errors
    /// When the text is no slug.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        let sound = (1..=100).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if sound { Ok(Self(text.to_owned())) } else { Err(SlugError) }
    }

    /// Makes a slug from a title: lower case, blanks and underscores become one hyphen, the rest
    /// is dropped. `None` when nothing is left.
    #[must_use]
    pub fn from_title(title: &str) -> Option<Self> {
        let mut slug = String::new();
        for c in title.to_lowercase().chars() {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                slug.push(c);
            } else if (c.is_whitespace() || c == '_' || c == '-') && !slug.is_empty() && !slug.ends_with('-')
            {
                slug.push('-');
            }
            if slug.len() == 100 {
                break;
            }
        }
        Self::parse(slug.trim_end_matches('-')).ok()
    }

    /// The slug as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_title_becomes_a_slug() {
        assert_eq!(Slug::from_title("  June_News:  Été & more ").unwrap().as_str(), "june-news-t-more");
        assert_eq!(Slug::from_title("日本"), None);
    }

    proptest! {
        #[test]
        fn a_made_slug_is_a_slug(title in "\\PC{0,200}") {
            if let Some(slug) = Slug::from_title(&title) {
                prop_assert_eq!(Slug::parse(slug.as_str()), Ok(slug));
            }
        }
    }
}
