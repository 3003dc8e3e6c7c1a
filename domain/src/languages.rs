//! The languages that content can be written in.

/// Content languages of the product.
#[rustfmt::skip]
pub const CONTENT_LANGUAGES: [&str; 31] = [
    "ar", "ca", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "id", "it", "ja",
    "ko", "nl", "nb", "pl", "pt", "pt-BR", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh", "zh-TW",
];

/// Languages of the console and of system mails.
pub const CONSOLE_LANGUAGES: [&str; 8] = ["en", "fr", "es", "de", "ca", "pt-BR", "ja", "it"];

/// A language that content can be written in, such as `pt-BR`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(String);

/// The text is no content language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a supported language code")]
pub struct LanguageError;

impl Language {
    /// # Errors
    /// When the code is not one of the content languages.
    pub fn parse(code: &str) -> Result<Self, LanguageError> {
        if CONTENT_LANGUAGES.contains(&code) { Ok(Self(code.to_owned())) } else { Err(LanguageError) }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Language {
    type Error = LanguageError;
    fn try_from(code: String) -> Result<Self, Self::Error> {
        Self::parse(&code)
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.0
    }
}
