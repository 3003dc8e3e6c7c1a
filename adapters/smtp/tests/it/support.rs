//! What the tests have in common.

use application::ports::{Clock, MailRoute, Mailbox, Mailer as _, OutgoingMail, SendError};
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::{IntegrationId, MessageId, WorkspaceId},
    integrations::{ProviderSettings, SmtpSecurity, SmtpSettings},
    secret::Secret,
};
use smtp::{
    Config, MailRouter, Timeouts,
    sink::{Act, Script, Sink, SinkOptions, Stage},
};
use std::{sync::Arc, time::Duration};

pub struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp(1_790_000_000, 0).unwrap()
    }
}

/// Long enough for a busy machine; no test waits for it.
pub const PATIENT: Duration = Duration::from_secs(20);
/// For steps that are meant to time out.
pub const SHORT: Duration = Duration::from_millis(150);

pub fn patient() -> Config {
    let timeouts = Timeouts {
        connect: PATIENT,
        tls: PATIENT,
        reply: PATIENT,
        body: PATIENT,
        confirmation: PATIENT,
        overall: PATIENT * 2,
    };
    Config { timeouts, idle: PATIENT, allow_private_hosts: true, ..Config::default() }
}

pub fn impatient() -> Config {
    let timeouts = Timeouts { reply: SHORT, tls: SHORT, confirmation: SHORT, ..patient().timeouts };
    Config { timeouts, ..patient() }
}

pub fn router(config: &Config) -> MailRouter {
    MailRouter::new(config, Arc::new(Noon)).unwrap()
}

pub fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub fn mail(id: &str) -> OutgoingMail {
    OutgoingMail {
        message_id: MessageId::parse(id).unwrap(),
        from: Mailbox { address: address("news@shop.example"), name: None },
        to: Mailbox { address: address("ana@home.example"), name: None },
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: None,
        subject: "Hello".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        text: "Hello\n.\n..end".to_owned(),
        list_unsubscribe: None,
        attachments: Vec::new(),
        dkim: None,
    }
}

pub fn settings(sink: &Sink) -> SmtpSettings<Secret> {
    SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: sink.addr().port(),
        security: SmtpSecurity::None,
        ehlo_hostname: None,
        username: None,
        password: None,
    }
}

pub fn route(settings: SmtpSettings<Secret>) -> MailRoute {
    let integration = IntegrationId::from_uuid(uuid::Uuid::from_u128(1));
    let pool = Some((WorkspaceId::parse("acme").unwrap(), integration));
    MailRoute::Provider { pool, settings: Arc::new(ProviderSettings::Smtp(settings)) }
}

pub async fn sink(script: Script) -> Sink {
    Sink::start(SinkOptions { script, ..SinkOptions::default() }).await.unwrap()
}

/// What becomes of a mail when the server acts like this at one stage.
pub async fn outcome(stage: Stage, act: Act) -> Result<(), SendError> {
    let sink = sink(Script::default().always(stage, act)).await;
    router(&patient()).send(&route(settings(&sink)), &mail("m1")).await
}

/// The kind of an outcome in a word.
pub fn kind(outcome: &Result<(), SendError>) -> &'static str {
    match outcome {
        Ok(()) => "sent",
        Err(SendError::Refused { .. }) => "refused",
        Err(SendError::Deferred { .. }) => "deferred",
        Err(SendError::Provider { .. }) => "provider",
        Err(SendError::Unconfirmed { .. }) => "unconfirmed",
        Err(SendError::Malformed { .. }) => "malformed",
    }
}
