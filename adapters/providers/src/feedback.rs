//! The `FeedbackReader` port: checks the signature of a provider and reads what it reports.

mod fields;
mod mailgun;
mod mailjet;
mod postmark;
mod sendgrid;
mod ses;
mod smtp;
mod sns;
mod sparkpost;

use crate::{Config, TlsError, client::client};
use application::ports::{Clock, FeedbackReader, InboundCall, ReadingError, Report};
use async_trait::async_trait;
use chrono::Duration;
use domain::{Timestamp, integrations::ProviderSettings, secret::Secret};
use sns::Topics;
use std::sync::Arc;

/// Providers call again for up to a day; what was signed earlier is somebody's recording.
const LONGEST_WAY: Duration = Duration::hours(25);
/// How far the clocks of providers may be ahead of ours.
const AHEAD: Duration = Duration::minutes(15);

/// Reads the calls of providers. Where the provider signs them, the signature is checked: by the
/// certificate that Amazon publishes, or by the key in the settings when it is known.
pub struct SignedFeedback {
    topics: Topics,
    clock: Arc<dyn Clock>,
}

impl SignedFeedback {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        Ok(Self { topics: Topics::new(client(config)?, config), clock })
    }
}

#[async_trait]
impl FeedbackReader for SignedFeedback {
    async fn read(
        &self,
        settings: &ProviderSettings<Secret>,
        call: &InboundCall,
    ) -> Result<Vec<Report>, ReadingError> {
        let now = self.clock.now();
        match settings {
            ProviderSettings::Ses(_) => match self.topics.open(&call.body, now).await? {
                Some(message) => ses::reports(&message, now),
                None => Ok(Vec::new()),
            },
            ProviderSettings::Mailgun(mailgun) => {
                mailgun::reports(mailgun.webhook_signing_key.as_ref(), &call.body, now)
            }
            ProviderSettings::Sendgrid(sendgrid) => {
                if let Some(key) = &sendgrid.webhook_public_key {
                    sendgrid::verify(key, call, now)?;
                }
                sendgrid::reports(&call.body, now)
            }
            ProviderSettings::Postmark(_) => postmark::reports(&call.body, now),
            ProviderSettings::Mailjet(_) => mailjet::reports(&call.body, now),
            ProviderSettings::Sparkpost(_) => sparkpost::reports(&call.body, now),
            ProviderSettings::Smtp(_) => smtp::reports(&call.body, now),
        }
    }
}

/// Refuses what was signed too long ago, or in the future.
fn fresh(signed_at: Timestamp, now: Timestamp) -> Result<(), ReadingError> {
    if signed_at < now - LONGEST_WAY || signed_at > now + AHEAD {
        return Err(ReadingError::NotAuthentic("its signature is too old"));
    }
    Ok(())
}
