//! What a broadcast is sent with and how contents are compared, as it is read and answered.

use crate::{Moment, Text, body::text_of, templates::TemplateBody};
use application::broadcasts::{TestResults, VariationOutcome};
use domain::{
    broadcasts::{AbTest, Variation, WinnerChoice, WinnerMetric},
    ids::{BroadcastId, TemplateId},
    templates::Template,
    validation::{Check, Invalid},
};
use poem_openapi::{Enum, Object};
use std::collections::{BTreeMap, HashMap};

/// A content of a broadcast.
#[derive(Object)]
#[oai(rename = "VariationDraft")]
struct VariationDraft {
    #[oai(nullable)]
    variation_name: Option<Text>,
    template_id: Text,
}

/// What a broadcast is sent with.
#[derive(Object)]
#[oai(rename = "TestSettingsDraft")]
pub(super) struct TestSettingsDraft {
    /// Whether contents are compared on a sample of the audience before the rest gets the best.
    #[oai(default)]
    enabled: bool,
    /// About how much of the audience is tested on, 1 to 100; required when enabled. Who is in the
    /// sample, and with which content, depends on nothing but the broadcast and the address.
    #[oai(nullable)]
    sample_percentage: Option<u32>,
    /// Whether the rates choose the content for the rest, or a person with `broadcasts.selectWinner`.
    #[oai(default)]
    auto_send_winner: bool,
    /// `open_rate` or `click_rate`, over mails sent; required when the rates choose. The first
    /// variation wins among equals.
    #[oai(nullable)]
    auto_send_winner_metric: Option<Text>,
    /// How many hours after the last mail of the sample was planned the rates choose, 1 to 168;
    /// required when they do.
    #[oai(nullable)]
    test_duration_hours: Option<u32>,
    /// One, or 2 to 8 with different templates when enabled.
    variations: Vec<VariationDraft>,
}

impl TestSettingsDraft {
    /// The contents, and how they are compared; bad fields are noted.
    pub(super) fn read(self, check: &mut Check) -> (Vec<Variation>, Option<AbTest>) {
        let test = if self.enabled { check.nested("/test_settings", self.test()) } else { None };
        let mut variations = Vec::new();
        for (n, draft) in self.variations.into_iter().enumerate() {
            let pointer = format!("/test_settings/variations/{n}/template_id");
            if let Some(template_id) = check.field(&pointer, TemplateId::parse(&draft.template_id.0)) {
                let variation_name = text_of(draft.variation_name).unwrap_or_default();
                variations.push(Variation { variation_name, template_id });
            }
        }
        (variations, test)
    }

    fn test(&self) -> Result<AbTest, Invalid> {
        let mut winner = WinnerChoice::ByHand;
        if self.auto_send_winner {
            let name = self.auto_send_winner_metric.as_ref().map_or("", |name| name.0.as_str());
            let rule = "must be open_rate or click_rate";
            let metric = WinnerMetric::from_name(name)
                .ok_or_else(|| Invalid::one("/auto_send_winner_metric", rule))?;
            // What is out of bounds is refused there.
            let hours = self.test_duration_hours.and_then(|hours| u8::try_from(hours).ok()).unwrap_or(0);
            winner = WinnerChoice::Automatic { metric, hours };
        }
        AbTest::new(self.sample_percentage.unwrap_or(0), winner)
    }
}

/// A content of a broadcast.
#[derive(Object)]
#[oai(rename = "Variation", skip_serializing_if_is_none)]
struct VariationBody {
    variation_name: String,
    template_id: String,
    /// Its latest version; with `with_templates`, unless it was deleted.
    template: Option<TemplateBody>,
}

/// By what a content wins.
#[derive(Enum)]
#[oai(rename = "WinnerMetric", rename_all = "snake_case")]
enum MetricBody {
    OpenRate,
    ClickRate,
}

/// What a broadcast is sent with.
#[derive(Object)]
#[oai(rename = "TestSettings", skip_serializing_if_is_none)]
pub(super) struct TestSettingsBody {
    enabled: bool,
    sample_percentage: u32,
    auto_send_winner: bool,
    auto_send_winner_metric: Option<MetricBody>,
    test_duration_hours: Option<u32>,
    variations: Vec<VariationBody>,
}

impl TestSettingsBody {
    pub(super) fn new(
        test: Option<AbTest>,
        variations: Vec<Variation>,
        templates: &HashMap<TemplateId, Template>,
    ) -> Self {
        let automatic = match test.map(|test| test.winner()) {
            Some(WinnerChoice::Automatic { metric, hours }) => Some((metric, hours)),
            _ => None,
        };
        let variations = variations.into_iter().map(|v| VariationBody {
            variation_name: v.variation_name,
            template: templates.get(&v.template_id).cloned().map(Into::into),
            template_id: v.template_id.into(),
        });
        Self {
            enabled: test.is_some(),
            sample_percentage: test.map_or(0, |test| test.sample_percentage().into()),
            auto_send_winner: automatic.is_some(),
            auto_send_winner_metric: automatic.map(|(metric, _)| match metric {
                WinnerMetric::OpenRate => MetricBody::OpenRate,
                WinnerMetric::ClickRate => MetricBody::ClickRate,
            }),
            test_duration_hours: automatic.map(|(_, hours)| hours.into()),
            variations: variations.collect(),
        }
    }
}

/// How one content does.
#[derive(Object)]
#[oai(rename = "VariationResult")]
struct VariationResultBody {
    template_id: String,
    /// How people call the template; empty when it was deleted.
    template_name: String,
    /// In the sample.
    recipients: u64,
    sent: u64,
    delivered: u64,
    opens: u64,
    clicks: u64,
    /// Opened, of those sent; 0 when none was.
    open_rate: f64,
    /// Clicked, of those sent; 0 when none was.
    click_rate: f64,
}

impl From<VariationOutcome> for VariationResultBody {
    fn from(outcome: VariationOutcome) -> Self {
        let VariationOutcome { template, name, result } = outcome;
        Self {
            template_id: template.into(),
            template_name: name,
            recipients: result.recipients,
            sent: result.sent,
            delivered: result.delivered,
            opens: result.opened,
            clicks: result.clicked,
            open_rate: result.open_rate(),
            click_rate: result.click_rate(),
        }
    }
}

/// How the contents of a broadcast do.
#[derive(Object)]
#[oai(rename = "TestResults", skip_serializing_if_is_none)]
pub(super) struct TestResultsAnswer {
    broadcast_id: String,
    status: String,
    test_started_at: Option<Moment>,
    /// When the last mail of the sample was planned.
    test_completed_at: Option<Moment>,
    /// By template.
    variation_results: BTreeMap<String, VariationResultBody>,
    /// The template to choose, while a person is to choose one: by 0.7 times the click rate and 0.3
    /// times the open rate.
    recommended_winner: Option<String>,
    /// The template that was chosen.
    winning_template: Option<String>,
    is_auto_send_winner: bool,
}

impl From<TestResults> for TestResultsAnswer {
    fn from(results: TestResults) -> Self {
        let TestResults { broadcast, variations, recommended } = results;
        let winner = broadcast.test.map(|test| test.winner());
        Self {
            broadcast_id: broadcast.id.to_string(),
            status: broadcast.state.name().to_owned(),
            test_started_at: broadcast.state.started_at().map(Into::into),
            test_completed_at: broadcast.test_sent_at.map(Into::into),
            variation_results: variations.into_iter().map(|v| (v.template.to_string(), v.into())).collect(),
            recommended_winner: recommended.map(String::from),
            winning_template: broadcast.winning_template.map(String::from),
            is_auto_send_winner: matches!(winner, Some(WinnerChoice::Automatic { .. })),
        }
    }
}

/// Choosing the content for the rest of the audience.
#[derive(Object)]
#[oai(rename = "WinnerChoice")]
pub(super) struct WinnerBody {
    pub(super) workspace_id: Text,
    id: Text,
    /// One of the variations.
    template_id: Text,
}

impl WinnerBody {
    pub(super) fn read(&self) -> Result<(BroadcastId, TemplateId), Invalid> {
        let mut check = Check::default();
        let id = check.field("/id", BroadcastId::parse(&self.id.0));
        let template = check.field("/template_id", TemplateId::parse(&self.template_id.0));
        crate::body::complete(check, id.zip(template))
    }
}
