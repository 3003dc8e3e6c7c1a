//! Tenants.

use crate::{
    Timestamp,
    ids::{IntegrationId, WorkspaceId},
    languages::Language,
    secret::Sealed,
    timezones::Timezone,
    validation::{Check, Invalid},
};
use std::collections::BTreeMap;

/// Where a workspace stands. Its database exists for certain only when it is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceState {
    /// Its database is being made; a repeated create carries on.
    Creating,
    /// In use.
    Active,
    /// Its database is being dropped; a repeated delete carries on.
    Deleting,
}

impl WorkspaceState {
    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::Deleting => "deleting",
        }
    }

    /// Reads the stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "creating" => Some(Self::Creating),
            "active" => Some(Self::Active),
            "deleting" => Some(Self::Deleting),
            _ => None,
        }
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its identifier, also part of its database's name.
    pub id: WorkspaceId,
    /// How people call it.
    pub name: String,
    /// What its owner chose.
    pub settings: WorkspaceSettings,
    /// The sealed secret key of the workspace: signs links, seals message data.
    pub secret_key: Sealed,
    /// Creating, active or deleting.
    pub state: WorkspaceState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What the owner of a workspace chooses. Field names are those of the wire.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WorkspaceSettings {
    /// The organisation's site.
    #[serde(default)]
    pub website_url: Option<String>,
    /// Shown on public pages.
    #[serde(default)]
    pub logo_url: Option<String>,
    /// Shown on public pages.
    #[serde(default)]
    pub cover_url: Option<String>,
    /// For schedules and statistics.
    pub timezone: Timezone,
    /// The language of content without a translation.
    pub default_language: Language,
    /// All languages that content may be in.
    pub languages: Vec<Language>,
    /// Whether opens and clicks are recorded.
    #[serde(default)]
    pub email_tracking_enabled: bool,
    /// Provider of transactional mail.
    #[serde(default)]
    pub transactional_email_provider_id: Option<IntegrationId>,
    /// Provider of broadcasts.
    #[serde(default)]
    pub marketing_email_provider_id: Option<IntegrationId>,
    /// Public base URL of the workspace's own domain.
    #[serde(default)]
    pub custom_endpoint_url: Option<String>,
    /// Labels of custom contact fields, by field name.
    #[serde(default)]
    pub custom_field_labels: BTreeMap<String, String>,
}

impl Eq for WorkspaceSettings {}

impl WorkspaceSettings {
    /// The least that a workspace needs: time zone and languages.
    #[must_use]
    pub fn new(timezone: Timezone, default_language: Language, languages: Vec<Language>) -> Self {
        Self {
            website_url: None,
            logo_url: None,
            cover_url: None,
            timezone,
            default_language,
            languages,
            email_tracking_enabled: true,
            transactional_email_provider_id: None,
            marketing_email_provider_id: None,
            custom_endpoint_url: None,
            custom_field_labels: BTreeMap::new(),
        }
    }

    /// The host of the workspace's own domain, in lower case, without the port.
    #[must_use]
    pub fn custom_endpoint_host(&self) -> Option<String> {
        let url = url::Url::parse(self.custom_endpoint_url.as_deref()?).ok()?;
        url.host_str().map(|host| host.trim_end_matches('.').to_lowercase())
    }

    /// The provider of mails that contacts ask for: that of newsletters, else that of transactional mail.
    #[must_use]
    pub fn mail_provider_for_contacts(&self) -> Option<IntegrationId> {
        self.marketing_email_provider_id.or(self.transactional_email_provider_id)
    }

    /// Checks what one field alone cannot tell.
    ///
    /// # Errors
    /// Every field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.require(!self.languages.is_empty(), "/languages", "needs at least one language");
        check.require(
            self.languages.iter().all(|l| self.languages.iter().filter(|o| *o == l).count() == 1),
            "/languages",
            "must not repeat a language",
        );
        check.require(
            self.languages.contains(&self.default_language),
            "/default_language",
            "must be one of languages",
        );
        for (pointer, url) in [
            ("/website_url", &self.website_url),
            ("/logo_url", &self.logo_url),
            ("/cover_url", &self.cover_url),
        ] {
            let good = url.as_deref().is_none_or(|u| web_url(u) || web_url(&format!("https://{u}")));
            check.require(good, pointer, "must be a web address");
        }
        let endpoint = self.custom_endpoint_url.as_deref();
        check.require(
            endpoint.is_none_or(web_url),
            "/custom_endpoint_url",
            "must be an http or https URL with a host",
        );
        for (field, label) in &self.custom_field_labels {
            let pointer = "/custom_field_labels";
            let custom = crate::contacts::ContactField::from_name(field)
                .is_some_and(crate::contacts::ContactField::is_custom);
            check.require(custom, pointer, "names a field that is no custom field");
            let length = label.chars().count();
            check.require((1..=100).contains(&length), pointer, "labels have 1 to 100 characters");
        }
        check.finish()
    }
}

/// Whether the text is an absolute `http` or `https` URL with a host.
#[must_use]
pub fn web_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> WorkspaceSettings {
        let en = Language::parse("en").unwrap();
        WorkspaceSettings::new(Timezone::UTC, en.clone(), vec![en])
    }

    #[test]
    fn the_default_language_is_one_of_the_languages() {
        let mut settings = settings();
        assert!(settings.check().is_ok());
        settings.default_language = Language::parse("fr").unwrap();
        assert_eq!(settings.check().unwrap_err().0[0].pointer, "/default_language");
    }

    #[test]
    fn a_custom_endpoint_is_a_web_url() {
        let mut settings = settings();
        for (url, good) in
            [("https://news.shop.example", true), ("javascript:alert(1)", false), ("shop", false)]
        {
            settings.custom_endpoint_url = Some(url.into());
            assert_eq!(settings.check().is_ok(), good, "{url}");
        }
    }

    #[test]
    fn hosts_are_compared_without_case_and_port() {
        let mut settings = settings();
        assert_eq!(settings.custom_endpoint_host(), None);
        settings.custom_endpoint_url = Some("https://News.Shop.example.:8443/a".into());
        assert_eq!(settings.custom_endpoint_host().as_deref(), Some("news.shop.example"));
    }

    #[test]
    fn labels_are_for_custom_fields_only() {
        let mut settings = settings();
        settings.custom_field_labels.insert("custom_string_1".into(), "Plan".into());
        assert!(settings.check().is_ok());
        settings.custom_field_labels.insert("email".into(), "Mail".into());
        assert!(settings.check().is_err());
    }
}
