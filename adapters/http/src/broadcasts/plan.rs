//! What a broadcast would do, as it is answered.

use application::deliveries::{Forecast, Sample, Warning};
use domain::broadcasts::AudienceCounts;
use poem_openapi::Object;

/// What a broadcast would do now.
#[derive(Object)]
#[oai(rename = "BroadcastPlan")]
pub(super) struct PlanAnswer {
    /// Who would be mailed.
    recipients: u64,
    /// Memberships of those in further lists, through which nobody is mailed a second time.
    duplicates_removed: u64,
    /// Who is on the lists and would not be mailed, everybody counted once.
    left_out: LeftOutBody,
    /// The lists it goes to.
    lists: Vec<PlannedListBody>,
    /// How long the rate limit of the provider makes it last at least.
    estimated_seconds: u64,
    /// Each content for up to three recipients.
    samples: Vec<SampleBody>,
    /// For so many recipients, the first by address, every content was made to find the warnings: 100, or 3
    /// when a feed is asked for each. Of the others nothing is said.
    checked_recipients: u64,
    /// What should be looked at.
    warnings: Vec<WarningBody>,
    /// Stands for this plan in `broadcasts.schedule`.
    hash: String,
}

/// Who is on the lists and would not be mailed.
#[derive(Object)]
#[oai(rename = "PlanLeftOut")]
struct LeftOutBody {
    unsubscribed: u64,
    /// Has not confirmed yet.
    pending: u64,
    bounced: u64,
    complained: u64,
    /// On a list that is left out.
    excluded: u64,
}

impl From<AudienceCounts> for LeftOutBody {
    fn from(counts: AudienceCounts) -> Self {
        Self {
            unsubscribed: counts.unsubscribed,
            pending: counts.pending,
            bounced: counts.bounced,
            complained: counts.complained,
            excluded: counts.excluded,
        }
    }
}

/// A list that a broadcast goes to.
#[derive(Object)]
#[oai(rename = "PlannedList")]
struct PlannedListBody {
    list_id: String,
    /// Its active members, those included who are left out for another reason.
    active: u64,
}

/// A mail as one recipient would get it.
#[derive(Object)]
#[oai(rename = "PlanSample")]
struct SampleBody {
    template_id: String,
    contact_email: String,
    subject: String,
    html: String,
    text: String,
}

impl From<Sample> for SampleBody {
    fn from(sample: Sample) -> Self {
        Self {
            template_id: sample.template.into(),
            contact_email: sample.email.into(),
            subject: sample.mail.subject,
            html: sample.mail.html,
            text: sample.mail.text,
        }
    }
}

/// What should be looked at before a broadcast is started.
#[derive(Object)]
#[oai(rename = "PlanWarning", skip_serializing_if_is_none)]
struct WarningBody {
    /// `no_recipients`, `undefined_variable`, `missing_unsubscribe_link`, `missing_text`, `too_large` (over
    /// 102 KiB of HTML), `unverified_sender` (another one is used than the template names, or its domain
    /// lets nobody else send for it; DNS is not looked at), `cannot_be_made` or `feed_failed`.
    kind: String,
    template_id: Option<String>,
    /// The first recipient it is about.
    contact_email: Option<String>,
    /// Recipients it is about, at most ten of those that were checked.
    contact_emails: Vec<String>,
    /// How many of those that were checked it is about.
    affected: u64,
    detail: String,
}

impl From<Warning> for WarningBody {
    fn from(warning: Warning) -> Self {
        Self {
            kind: warning.kind.name().to_owned(),
            template_id: warning.template.map(String::from),
            contact_email: warning.emails.first().map(ToString::to_string),
            contact_emails: warning.emails.into_iter().map(String::from).collect(),
            affected: warning.affected as u64,
            detail: warning.detail,
        }
    }
}

impl From<Forecast> for PlanAnswer {
    fn from(forecast: Forecast) -> Self {
        let lists = forecast.lists.into_iter();
        Self {
            recipients: forecast.counts.recipients,
            duplicates_removed: forecast.counts.duplicates,
            left_out: forecast.counts.into(),
            lists: lists.map(|(id, active)| PlannedListBody { list_id: id.into(), active }).collect(),
            estimated_seconds: forecast.seconds,
            samples: forecast.samples.into_iter().map(Into::into).collect(),
            checked_recipients: forecast.checked as u64,
            warnings: forecast.warnings.into_iter().map(Into::into).collect(),
            hash: forecast.hash.to_string(),
        }
    }
}
