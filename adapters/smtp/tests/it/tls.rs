//! Protection and authentication.

use crate::support::{impatient, kind, mail, patient, route, router, settings};
use application::ports::Mailer as _;
use domain::{
    integrations::{SmtpSecurity, SmtpSettings},
    secret::Secret,
};
use smtp::{
    Config,
    sink::{Act, Identity, Script, Sink, SinkOptions, SinkTls, Stage},
};

/// A self-signed certificate for a name, and its key.
fn identity(name: &str) -> Identity {
    let signed = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Identity { certificate: signed.cert.der().to_vec(), key: signed.signing_key.serialize_der() }
}

fn trusting(identity: &Identity, config: Config) -> Config {
    Config { trusted_roots: vec![identity.certificate.clone()], ..config }
}

async fn sink(tls: SinkTls, script: Script) -> Sink {
    let account = Some(("shop".to_owned(), "hunter2".to_owned()));
    Sink::start(SinkOptions { tls, script, account, ..SinkOptions::default() }).await.unwrap()
}

fn with_account(sink: &Sink, security: SmtpSecurity, password: &str) -> SmtpSettings<Secret> {
    SmtpSettings {
        host: "localhost".to_owned(),
        security,
        username: Some("shop".to_owned()),
        password: Some(Secret::new(password)),
        ..settings(sink)
    }
}

#[tokio::test]
async fn a_mail_goes_over_starttls_with_authentication() {
    let identity = identity("localhost");
    let config = trusting(&identity, patient());
    let sink = sink(SinkTls::StartTls(identity), Script::default()).await;
    let mailer = router(&config);
    let route = route(with_account(&sink, SmtpSecurity::StartTls, "hunter2"));
    mailer.send(&route, &mail("m1")).await.unwrap();
    mailer.send(&route, &mail("m2")).await.unwrap();
    assert_eq!((sink.count(), sink.sessions()), (2, 1));
    assert_eq!(sink.commands()[..4], ["EHLO shop.example", "STARTTLS", "EHLO shop.example", "AUTH"]);
}

#[tokio::test]
async fn a_mail_goes_over_tls_from_the_first_byte() {
    let identity = identity("localhost");
    let config = trusting(&identity, patient());
    let sink = sink(SinkTls::Implicit(identity), Script::default()).await;
    let route = route(with_account(&sink, SmtpSecurity::Implicit, "hunter2"));
    router(&config).send(&route, &mail("m1")).await.unwrap();
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    for implicit in [true, false] {
        let identity = identity("other.example");
        let config = trusting(&identity, patient());
        let (tls, security) = if implicit {
            (SinkTls::Implicit(identity), SmtpSecurity::Implicit)
        } else {
            (SinkTls::StartTls(identity), SmtpSecurity::StartTls)
        };
        let sink = sink(tls, Script::default()).await;
        let outcome =
            router(&config).send(&route(with_account(&sink, security, "hunter2")), &mail("m1")).await;
        assert_eq!(kind(&outcome), "provider");
        assert!(outcome.unwrap_err().to_string().contains("TLS"));
        assert!(!sink.commands().contains(&"AUTH".to_owned()));
    }
}

#[tokio::test]
async fn an_unknown_certificate_is_refused() {
    let sink = sink(SinkTls::StartTls(identity("localhost")), Script::default()).await;
    let route = route(with_account(&sink, SmtpSecurity::StartTls, "hunter2"));
    assert_eq!(kind(&router(&patient()).send(&route, &mail("m1")).await), "provider");
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_in_clear() {
    let sink = sink(SinkTls::None, Script::default()).await;
    let route = route(with_account(&sink, SmtpSecurity::StartTls, "hunter2"));
    let outcome = router(&patient()).send(&route, &mail("m1")).await;
    assert!(outcome.unwrap_err().to_string().contains("STARTTLS"));
    assert_eq!(sink.commands(), ["EHLO shop.example"]);
}

#[tokio::test]
async fn a_refused_starttls_ends_the_session() {
    for answer in ["454 4.7.0 not now", "502 5.5.1 unknown"] {
        let script = Script::default().always(Stage::StartTls, Act::answer(answer));
        let sink = sink(SinkTls::StartTls(identity("localhost")), script).await;
        let route = route(with_account(&sink, SmtpSecurity::StartTls, "hunter2"));
        let outcome = router(&patient()).send(&route, &mail("m1")).await;
        assert_eq!(kind(&outcome), "provider");
        assert_eq!(sink.commands(), ["EHLO shop.example", "STARTTLS"]);
    }
}

#[tokio::test]
async fn what_is_slipped_in_before_tls_is_dropped() {
    let identity = identity("localhost");
    let config = trusting(&identity, patient());
    let slipped = Act::answer("220 2.0.0 go ahead\r\n250-sink.example\r\n250 AUTH X-NOTHING");
    let script = Script::default().always(Stage::StartTls, slipped);
    let sink = sink(SinkTls::StartTls(identity), script).await;
    let route = route(with_account(&sink, SmtpSecurity::StartTls, "hunter2"));
    router(&config).send(&route, &mail("m1")).await.unwrap();
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn a_server_silent_in_the_handshake_is_given_up() {
    let sink = crate::support::sink(Script::default().always(Stage::Connect, Act::Hang)).await;
    let settings = SmtpSettings { security: SmtpSecurity::Implicit, ..settings(&sink) };
    assert_eq!(kind(&router(&impatient()).send(&route(settings), &mail("m1")).await), "provider");
}

#[tokio::test]
async fn wrong_credentials_are_the_providers_fault_and_stay_secret() {
    let answer = Act::answer("535 5.7.8 shop may not enter with hunter3");
    let script = Script::default().always(Stage::Auth, answer);
    let sink = sink(SinkTls::None, script).await;
    let route = route(with_account(&sink, SmtpSecurity::None, "hunter3"));
    let words = router(&patient()).send(&route, &mail("m1")).await.unwrap_err().to_string();
    assert!(words.contains("535") && !words.contains("hunter3"), "{words}");
}

#[tokio::test]
async fn login_is_used_where_plain_is_not_offered() {
    let account = Some(("shop".to_owned(), "hunter2".to_owned()));
    let offers = Some(vec!["AUTH LOGIN".to_owned()]);
    let sink = Sink::start(SinkOptions { account, offers, ..SinkOptions::default() }).await.unwrap();
    let route = route(with_account(&sink, SmtpSecurity::None, "hunter2"));
    router(&patient()).send(&route, &mail("m1")).await.unwrap();
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn an_unknown_mechanism_ends_the_session() {
    let account = Some(("shop".to_owned(), "hunter2".to_owned()));
    let offers = Some(vec!["AUTH X-NOTHING".to_owned()]);
    let sink = Sink::start(SinkOptions { account, offers, ..SinkOptions::default() }).await.unwrap();
    let route = route(with_account(&sink, SmtpSecurity::None, "hunter2"));
    assert_eq!(kind(&router(&patient()).send(&route, &mail("m1")).await), "provider");
    assert!(!sink.commands().contains(&"AUTH".to_owned()));
}

#[tokio::test]
async fn whatever_fails_before_the_first_mail_is_the_providers_fault() {
    let answers = ["421 4.3.2 closing", "454 4.7.0 not now", "500 5.5.2 what", "535 5.7.8 no", "what?"];
    let acts = answers.map(Act::answer).into_iter().chain([Act::Cut]);
    for act in acts {
        for stage in [Stage::StartTls, Stage::Auth] {
            let identity = identity("localhost");
            let config = trusting(&identity, patient());
            let script = Script::default().always(stage, act.clone());
            let sink = sink(SinkTls::StartTls(identity), script).await;
            let route = route(with_account(&sink, SmtpSecurity::StartTls, "hunter2"));
            let outcome = router(&config).send(&route, &mail("m1")).await;
            assert_eq!(kind(&outcome), "provider", "{stage:?} {act:?}");
            assert!(!sink.commands().iter().any(|command| command.starts_with("MAIL")));
        }
    }
}
