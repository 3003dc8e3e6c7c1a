//! The `Mailer` port: each mail to the provider of its route, or to the outbox.

use crate::{
    Config, FileMailer, Timeouts,
    client::{Deadline, Delivery, Door, Session},
    dkim::Signer,
    message::{self, Prepared},
    pool::{Owner, Pool},
    tls,
};
use application::ports::{Clock, MailRoute, Mailer, OutgoingMail, SendError};
use async_trait::async_trait;
use domain::{
    integrations::{ProviderSettings, SmtpSettings},
    secret::Secret,
};
use std::sync::Arc;
use tracing::{Span, field::Empty};

/// Why TLS cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A trusted root of the settings is no certificate.
    #[error("a trusted root certificate is not valid")]
    Root,
    /// The cryptography at hand knows no acceptable version.
    #[error("no acceptable version of TLS is available")]
    Versions,
}

/// Sends mails where their routes lead.
pub struct MailRouter {
    smtp: SmtpMailer,
    outbox: FileMailer,
}

impl MailRouter {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let outbox = FileMailer::new(config.outbox.clone(), Arc::clone(&clock));
        Ok(Self { smtp: SmtpMailer::new(config, clock)?, outbox })
    }

    /// Closes the connections that wait for another mail. Call it last: later mails open new ones.
    pub async fn close(&self) {
        self.smtp.close().await;
    }
}

#[async_trait]
impl Mailer for MailRouter {
    async fn send(&self, route: &MailRoute, mail: &OutgoingMail) -> Result<(), SendError> {
        match route {
            MailRoute::Outbox => self.outbox.write(mail).await,
            MailRoute::Provider { pool, settings } => match &**settings {
                ProviderSettings::Smtp(server) => self.smtp.send(pool, settings, server, mail).await,
                other => {
                    let reason = format!("{} is not reached over SMTP", other.kind());
                    Err(SendError::Provider { reason })
                }
            },
        }
    }
}

/// Speaks SMTP.
pub struct SmtpMailer {
    door: Door,
    pool: Arc<Pool>,
    timeouts: Timeouts,
    signer: Signer,
    clock: Arc<dyn Clock>,
}

impl SmtpMailer {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let door =
            Door { connector: tls::connector(config)?, allow_private_hosts: config.allow_private_hosts };
        Ok(Self {
            door,
            pool: Pool::new(config),
            timeouts: config.timeouts,
            signer: Signer::default(),
            clock,
        })
    }

    /// Closes the connections that wait for another mail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    #[tracing::instrument(
        name = "smtp",
        skip_all,
        fields(
            message.id = %mail.message_id,
            server.address = %server.host,
            server.port = server.port,
            smtp.reused = Empty,
            outcome = Empty,
        )
    )]
    async fn send(
        &self,
        owner: &Owner,
        settings: &Arc<ProviderSettings<Secret>>,
        server: &SmtpSettings<Secret>,
        mail: &OutgoingMail,
    ) -> Result<(), SendError> {
        let sent = self.hand_over(owner, settings, server, mail).await;
        let outcome = match &sent {
            Ok(()) => "sent",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Deferred { .. }) => "deferred",
            Err(SendError::Provider { .. }) => "provider",
            Err(SendError::Unconfirmed { .. }) => "unconfirmed",
            Err(SendError::Malformed { .. }) => "malformed",
        };
        Span::current().record("outcome", outcome);
        sent
    }

    async fn hand_over(
        &self,
        owner: &Owner,
        settings: &Arc<ProviderSettings<Secret>>,
        server: &SmtpSettings<Secret>,
        mail: &OutgoingMail,
    ) -> Result<(), SendError> {
        let now = self.clock.now();
        let identity = mail.dkim.clone();
        let mut mail = message::prepare(mail, now)?;
        if let Some(identity) = identity {
            self.signer.sign(&mut mail.content, &identity, now)?;
        }
        let deadline = Deadline::new(self.timeouts);
        let slot = self.pool.slot(owner, settings, &deadline).await?;
        if let Some(mut session) = slot.parked() {
            Span::current().record("smtp.reused", true);
            match session.deliver(&mail, &deadline).await {
                Delivery::Settled(outcome) => {
                    self.pool.give_back(slot, session).await;
                    return outcome;
                }
                // closed while it was parked: nothing was handed over yet
                Delivery::Unheard(_) => drop(session),
            }
        }
        Span::current().record("smtp.reused", false);
        let (session, outcome) = self.first_mail(server, &mail, &deadline).await?;
        self.pool.give_back(slot, session).await;
        outcome
    }

    async fn first_mail(
        &self,
        server: &SmtpSettings<Secret>,
        mail: &Prepared,
        deadline: &Deadline,
    ) -> Result<(Session, Result<(), SendError>), SendError> {
        let mut session = self.door.open(server, &mail.envelope.from, deadline).await?;
        let outcome = match session.deliver(mail, deadline).await {
            Delivery::Settled(outcome) => outcome,
            Delivery::Unheard(lost) => Err(lost),
        };
        Ok((session, outcome))
    }
}
