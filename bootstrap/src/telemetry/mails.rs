//! Counts mails by what became of them.

use application::ports::{MailRoute, Mailer, OutgoingMail, SendError};
use async_trait::async_trait;
use opentelemetry::{KeyValue, global, metrics::Histogram};
use std::{sync::Arc, time::Instant};

/// Bounds of the duration histogram, in seconds.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 240.0];

/// A mailer that is measured.
pub struct MeteredMailer {
    inner: Arc<dyn Mailer>,
    duration: Histogram<f64>,
}

impl MeteredMailer {
    /// Measures another mailer.
    #[must_use]
    pub fn new(inner: Arc<dyn Mailer>) -> Self {
        let duration = global::meter("notifuse")
            .f64_histogram("mail.send.duration")
            .with_description("Time to hand a mail over, by outcome")
            .with_unit("s")
            .with_boundaries(SECONDS.to_vec())
            .build();
        Self { inner, duration }
    }
}

#[async_trait]
impl Mailer for MeteredMailer {
    async fn send(&self, route: &MailRoute, mail: &OutgoingMail) -> Result<(), SendError> {
        let kind = match route {
            MailRoute::Provider { settings, .. } => settings.kind(),
            MailRoute::Outbox => "outbox",
        };
        let begun = Instant::now();
        let sent = self.inner.send(route, mail).await;
        let labels = [KeyValue::new("mail.route", kind), KeyValue::new("outcome", outcome(&sent))];
        self.duration.record(begun.elapsed().as_secs_f64(), &labels);
        sent
    }
}

fn outcome(sent: &Result<(), SendError>) -> &'static str {
    match sent {
        Ok(()) => "sent",
        Err(SendError::Refused { .. }) => "refused",
        Err(SendError::Deferred { .. }) => "deferred",
        Err(SendError::Provider { .. }) => "provider",
        Err(SendError::Unconfirmed { .. }) => "unconfirmed",
        Err(SendError::Malformed { .. }) => "malformed",
    }
}
