//! The `Mailer` port: each mail to the HTTP provider of its route.

use crate::{
    Config, TlsError,
    answer::{Answer, Complaint},
    client::client,
    guard::PrivateAddress,
    letter::Letter,
    mailgun, mailjet, postmark, sendgrid, ses,
    slots::{Owner, Slots},
    sparkpost,
};
use application::ports::{Clock, MailRoute, Mailer, OutgoingMail, SendError};
use async_trait::async_trait;
use domain::{hosts, integrations::ProviderSettings, secret::Secret};
use reqwest::{Client, RequestBuilder};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tracing::{Span, field::Empty};

/// How the answers of a provider are read.
type Reading = fn(&Answer) -> Option<Complaint>;

/// Speaks the HTTP interfaces of providers.
pub struct HttpMailer {
    client: Client,
    config: Config,
    slots: Slots,
    clock: Arc<dyn Clock>,
}

impl HttpMailer {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let client = client(&config)?;
        Ok(Self { client, slots: Slots::new(config.requests_per_route), config, clock })
    }

    #[tracing::instrument(
        name = "provider",
        skip_all,
        fields(
            message.id = %mail.message_id,
            provider.kind = settings.kind(),
            http.response.status_code = Empty,
        )
    )]
    async fn hand_over(
        &self,
        owner: &Owner,
        settings: &ProviderSettings<Secret>,
        mail: &OutgoingMail,
    ) -> Result<(), SendError> {
        let deadline = Instant::now() + self.config.overall;
        let letter = Letter::new(mail)?;
        let (request, read) = self.request(settings, &letter)?;
        let Ok(slot) = timeout_at(deadline, self.slots.slot(owner)).await else {
            return Err(unusable("timed out while waiting for other mails"));
        };
        let answer = self.exchange(request, deadline).await?;
        drop(slot);
        Span::current().record("http.response.status_code", answer.status);
        answer.settle(read(&answer), &secrets(settings))
    }

    fn request(
        &self,
        settings: &ProviderSettings<Secret>,
        letter: &Letter<'_>,
    ) -> Result<(RequestBuilder, Reading), SendError> {
        let (client, bases) = (&self.client, &self.config.bases);
        Ok(match settings {
            ProviderSettings::Postmark(postmark) => {
                (postmark::request(client, &bases.postmark, postmark, letter), postmark::complaint)
            }
            ProviderSettings::Mailgun(mailgun) => {
                (mailgun::request(client, bases, mailgun, letter), mailgun::complaint)
            }
            ProviderSettings::Sendgrid(sendgrid) => {
                (sendgrid::request(client, &bases.sendgrid, sendgrid, letter), sendgrid::complaint)
            }
            ProviderSettings::Mailjet(mailjet) => {
                (mailjet::request(client, &bases.mailjet, mailjet, letter), mailjet::complaint)
            }
            ProviderSettings::Sparkpost(sparkpost) => {
                self.check_endpoint(&sparkpost.endpoint)?;
                (sparkpost::request(client, sparkpost, letter), sparkpost::complaint)
            }
            ProviderSettings::Ses(settings) => {
                (ses::request(client, &bases.ses, settings, letter, self.clock.now())?, ses::complaint)
            }
            ProviderSettings::Smtp(_) => return Err(unusable("smtp is not reached over HTTP")),
        })
    }

    /// An address instead of a name is looked up by nobody, so that it is checked here.
    fn check_endpoint(&self, endpoint: &str) -> Result<(), SendError> {
        let url = url::Url::parse(endpoint).map_err(|_| unusable("its endpoint is no URL"))?;
        let host = url.host_str().unwrap_or_default();
        if self.config.allow_private_hosts || (url.scheme() == "https" && hosts::may_be_public(host)) {
            Ok(())
        } else {
            Err(unusable("its endpoint is not a public https address"))
        }
    }

    async fn exchange(&self, request: RequestBuilder, deadline: Instant) -> Result<Answer, SendError> {
        // connecting has its own, shorter time: what runs out later may have been handed over
        let least = self.config.connect + Duration::from_millis(1);
        let left = deadline.saturating_duration_since(Instant::now());
        if left < least {
            return Err(unusable("timed out while waiting for other mails"));
        }
        let response = request.timeout(left).send().await.map_err(|error| explain(&error))?;
        Ok(Answer::read(response, self.config.answer_limit).await)
    }
}

#[async_trait]
impl Mailer for HttpMailer {
    async fn send(&self, route: &MailRoute, mail: &OutgoingMail) -> Result<(), SendError> {
        match route {
            MailRoute::Provider { pool, settings } => self.hand_over(pool, settings, mail).await,
            MailRoute::Outbox => Err(unusable("the outbox is not reached over HTTP")),
        }
    }
}

/// What a request without an answer means. Once a connection stood, the mail may have been taken.
fn explain(error: &reqwest::Error) -> SendError {
    if error.is_builder() {
        return SendError::Malformed { reason: "the request cannot be written".to_owned() };
    }
    let late = error.is_timeout();
    if error.is_connect() {
        let private = causes(error).any(<dyn Error>::is::<PrivateAddress>);
        return unusable(match (private, late) {
            (true, _) => "its address is private, which is not allowed",
            (false, true) => "no connection: timed out",
            (false, false) => "no connection",
        });
    }
    let reason = if late {
        "timed out while waiting for the answer"
    } else {
        "the connection was lost before the answer"
    };
    SendError::Unconfirmed { reason: reason.to_owned() }
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

fn secrets(settings: &ProviderSettings<Secret>) -> Vec<&Secret> {
    ["server_token", "api_key", "secret_key"].iter().filter_map(|field| settings.secret(field)).collect()
}

fn unusable(reason: &str) -> SendError {
    SendError::Provider { reason: reason.to_owned() }
}
