//! Every class of answer at every stage, and what it means for the mail.

use crate::support::{address, kind, mail, outcome, patient, route, router, settings, sink};
use application::ports::{Mailer as _, SendError};
use smtp::sink::{Act, Script, Sink, SinkOptions, Stage};

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let sink = sink(Script::default()).await;
    let mailer = router(&patient());
    mailer.send(&route(settings(&sink)), &mail("m1")).await.unwrap();
    let received = sink.received();
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].from.as_str(), received[0].to.as_slice()),
        ("news@shop.example", &["ana@home.example".to_owned()][..])
    );
    assert_eq!(received[0].header("x-message-id").as_deref(), Some("m1"));
    assert!(received[0].text().contains("\r\nHello\r\n.\r\n..end\r\n"), "{}", received[0].text());
}

#[tokio::test]
async fn answers_are_classified_by_stage() {
    let cases = [
        (Stage::Connect, "421 4.3.2 busy", "provider"),
        (Stage::Connect, "554 5.7.1 go away", "provider"),
        (Stage::Ehlo, "451 4.3.0 later", "provider"),
        (Stage::Ehlo, "550 5.7.1 bad name", "provider"),
        (Stage::Mail, "421 4.3.2 closing", "provider"),
        (Stage::Mail, "451 4.7.1 later", "deferred"),
        (Stage::Mail, "530 5.7.0 authentication required", "provider"),
        (Stage::Mail, "553 5.1.8 sender refused", "refused"),
        (Stage::Rcpt, "421 4.3.2 closing", "provider"),
        (Stage::Rcpt, "450 4.2.1 greylisted", "deferred"),
        (Stage::Rcpt, "452 4.2.2 full", "deferred"),
        (Stage::Rcpt, "550 5.1.1 no such user", "refused"),
        (Stage::Data, "421 4.3.2 closing", "provider"),
        (Stage::Data, "451 4.3.0 later", "deferred"),
        (Stage::Data, "554 5.7.1 no", "refused"),
        (Stage::EndOfData, "421 4.3.2 closing", "provider"),
        (Stage::EndOfData, "452 4.3.1 disk full", "deferred"),
        (Stage::EndOfData, "554 5.6.0 spam", "refused"),
    ];
    for (stage, answer, wanted) in cases {
        let outcome = outcome(stage, Act::answer(answer)).await;
        assert_eq!(kind(&outcome), wanted, "{stage:?}: {answer}");
        let words = outcome.unwrap_err().to_string();
        assert!(words.contains(answer), "{words}");
    }
}

#[tokio::test]
async fn a_lost_connection_before_the_dot_is_the_providers_fault() {
    for stage in [Stage::Connect, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data] {
        let outcome = outcome(stage, Act::Cut).await;
        assert_eq!(kind(&outcome), "provider", "{stage:?}");
    }
}

#[tokio::test]
async fn a_lost_connection_after_the_dot_leaves_the_mail_unconfirmed() {
    for act in [Act::Cut, Act::TakeAndCut] {
        let outcome = outcome(Stage::EndOfData, act).await;
        assert_eq!(kind(&outcome), "unconfirmed");
    }
}

#[tokio::test]
async fn nonsense_is_no_success() {
    let nonsense = ["", "hello", "999 what", "250", "250-endless\r\n550 mixed", "354 go on"];
    for answer in nonsense {
        let outcome = outcome(Stage::Connect, Act::answer(answer)).await;
        assert_eq!(kind(&outcome), "provider", "{answer}");
    }
    let outcome = outcome(Stage::EndOfData, Act::answer("what?")).await;
    assert_eq!(kind(&outcome), "unconfirmed");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let lines = "250-more\r\n".repeat(200) + "250 end";
    assert_eq!(kind(&outcome(Stage::Ehlo, Act::answer(lines)).await), "provider");
    let line = format!("550 {}", "x".repeat(1_000_000));
    assert_eq!(kind(&outcome(Stage::Rcpt, Act::answer(line)).await), "provider");
}

#[tokio::test]
async fn a_refused_connection_is_the_providers_fault() {
    let sink = sink(Script::default()).await;
    let route = route(settings(&sink));
    drop(sink);
    tokio::task::yield_now().await;
    let outcome = router(&patient()).send(&route, &mail("m1")).await;
    assert_eq!(kind(&outcome), "provider");
}

#[tokio::test]
async fn an_unknown_host_is_the_providers_fault() {
    let sink = sink(Script::default()).await;
    let mut settings = settings(&sink);
    settings.host = "no such host".to_owned();
    let outcome = router(&patient()).send(&route(settings), &mail("m1")).await;
    assert_eq!(kind(&outcome), "provider");
}

#[tokio::test]
async fn private_hosts_are_not_reached_unless_allowed() {
    let sink = sink(Script::default()).await;
    let config = smtp::Config { allow_private_hosts: false, ..patient() };
    for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "::ffff:127.0.0.1"] {
        let mut settings = settings(&sink);
        settings.host = host.to_owned();
        let outcome = router(&config).send(&route(settings), &mail("m1")).await;
        assert_eq!(kind(&outcome), "provider", "{host}");
    }
    assert_eq!(sink.sessions(), 0);
}

#[tokio::test]
async fn a_refused_copy_does_not_stop_the_others() {
    for offers in [None, Some(vec![])] {
        let refusal = Act::answer("550 5.1.1 no such user");
        let script = Script::default().recipient("gone@home.example", refusal);
        let options = SinkOptions { script, offers, ..SinkOptions::default() };
        let sink = Sink::start(options).await.unwrap();
        let mut mail = mail("m1");
        mail.cc = vec![address("gone@home.example"), address("bob@home.example")];
        mail.bcc = vec![address("eve@home.example"), address("bob@home.example")];
        router(&patient()).send(&route(settings(&sink)), &mail).await.unwrap();
        let received = sink.received();
        assert_eq!(received[0].to, ["ana@home.example", "bob@home.example", "eve@home.example"]);
        assert!(!received[0].text().contains("eve@"));
    }
}

#[tokio::test]
async fn a_deferred_copy_does_not_stop_the_others() {
    let script = Script::default().recipient("slow@home.example", Act::answer("450 4.2.1 greylisted"));
    let sink = sink(script).await;
    let mut mail = mail("m1");
    mail.cc = vec![address("slow@home.example")];
    mail.bcc = vec![address("eve@home.example")];
    router(&patient()).send(&route(settings(&sink)), &mail).await.unwrap();
    assert_eq!(sink.received()[0].to, ["ana@home.example", "eve@home.example"]);
}

#[tokio::test]
async fn a_deferred_recipient_defers_the_mail_with_its_copies() {
    let script = Script::default().recipient("ana@home.example", Act::answer("451 4.7.1 later"));
    let sink = sink(script).await;
    let mut mail = mail("m1");
    mail.cc = vec![address("bob@home.example")];
    let outcome = router(&patient()).send(&route(settings(&sink)), &mail).await;
    assert_eq!(kind(&outcome), "deferred");
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn a_refused_recipient_stops_the_copies() {
    for offers in [None, Some(vec![])] {
        let refusal = Act::answer("550 5.1.1 no such user");
        let script = Script::default().recipient("ana@home.example", refusal);
        let options = SinkOptions { script, offers, ..SinkOptions::default() };
        let sink = Sink::start(options).await.unwrap();
        let mut mail = mail("m1");
        mail.cc = vec![address("bob@home.example")];
        let outcome = router(&patient()).send(&route(settings(&sink)), &mail).await;
        assert_eq!(kind(&outcome), "refused");
        assert_eq!(sink.count(), 0);
    }
}

#[tokio::test]
async fn a_leave_to_send_without_a_recipient_is_not_used() {
    let script = Script::default()
        .recipient("ana@home.example", Act::answer("250-2.1.5 fine\r\n550 5.1.1 not so fine"));
    let sink = sink(script).await;
    let outcome = router(&patient()).send(&route(settings(&sink)), &mail("m1")).await;
    assert_eq!(kind(&outcome), "provider");
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn a_mail_over_the_servers_limit_is_refused_without_a_word() {
    let offers = Some(vec!["SIZE 100".to_owned()]);
    let sink = Sink::start(SinkOptions { offers, ..SinkOptions::default() }).await.unwrap();
    let outcome = router(&patient()).send(&route(settings(&sink)), &mail("m1")).await;
    assert_eq!(kind(&outcome), "refused");
    assert!(!sink.commands().iter().any(|command| command.starts_with("MAIL")));
}

#[tokio::test]
async fn a_server_without_extensions_is_served() {
    let options = SinkOptions { offers: Some(Vec::new()), ..SinkOptions::default() };
    let sink = Sink::start(options).await.unwrap();
    router(&patient()).send(&route(settings(&sink)), &mail("m1")).await.unwrap();
    assert_eq!(sink.commands()[1], "MAIL FROM:<news@shop.example>");
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn a_large_mail_arrives_whole() {
    let sink = sink(Script::default()).await;
    let mut mail = mail("m1");
    mail.text = "a line of a long mail\n.\n".repeat(40_000);
    mail.html = String::new();
    router(&patient()).send(&route(settings(&sink)), &mail).await.unwrap();
    let wanted = mail.text.replace('\n', "\r\n");
    assert!(sink.received()[0].text().contains(&wanted));
}

#[tokio::test]
async fn the_words_of_the_server_are_kept_on_one_line() {
    let answer = Act::answer("550-5.1.1 The account\r\n550 5.1.1 does not exist");
    let outcome = outcome(Stage::Rcpt, answer).await;
    let reply = "550 5.1.1 The account does not exist".to_owned();
    assert_eq!(outcome, Err(SendError::Refused { reply }));
}
