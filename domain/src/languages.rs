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

macro_rules! page_languages {
    ($($variant:ident $code:literal $name:literal;)*) => {
        /// A language that the pages and mails for contacts themselves are written in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each name says what it is")]
        pub enum PageLanguage { $($variant,)* }

        impl PageLanguage {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its code (ISO 639-1).
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// How it calls itself.
            #[must_use]
            pub fn own_name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The language of a tag such as `pt-BR`, when there is one.
            #[must_use]
            pub fn of(tag: &str) -> Option<Self> {
                let code = tag.trim().split(['-', '_']).next().unwrap_or_default().to_lowercase();
                Self::ALL.iter().copied().find(|language| language.code() == code)
            }
        }
    };
}

page_languages! {
    Ar "ar" "العربية";
    De "de" "Deutsch";
    En "en" "English";
    Es "es" "Español";
    Fr "fr" "Français";
    Hi "hi" "हिन्दी";
    Ja "ja" "日本語";
    Pl "pl" "Polski";
    Pt "pt" "Português";
    Ru "ru" "Русский";
    Zh "zh" "中文";
}

impl PageLanguage {
    /// Whether it is written from right to left.
    #[must_use]
    pub fn is_right_to_left(self) -> bool {
        self == Self::Ar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_its_language() {
        for (tag, language) in
            [("pt-BR", PageLanguage::Pt), ("FR", PageLanguage::Fr), ("zh_TW", PageLanguage::Zh)]
        {
            assert_eq!(PageLanguage::of(tag), Some(language));
        }
        assert_eq!(PageLanguage::of("sv"), None);
        assert_eq!(PageLanguage::of(""), None);
    }
}
