//! Servers that fall silent or drip: each step ends in its time.

use crate::support::{SHORT, impatient, kind, mail, patient, route, router, settings, sink};
use application::ports::Mailer as _;
use smtp::{
    Config, Timeouts,
    sink::{Act, Script, Stage},
};
use std::time::Duration;

#[tokio::test]
async fn a_silent_server_is_given_up_at_every_stage() {
    for (stage, wanted) in [
        (Stage::Connect, "provider"),
        (Stage::Ehlo, "provider"),
        (Stage::Mail, "provider"),
        (Stage::Rcpt, "provider"),
        (Stage::Data, "provider"),
        (Stage::EndOfData, "unconfirmed"),
    ] {
        let sink = sink(Script::default().always(stage, Act::Hang)).await;
        let outcome = router(&impatient()).send(&route(settings(&sink)), &mail("m1")).await;
        assert_eq!(kind(&outcome), wanted, "{stage:?}");
        assert!(outcome.unwrap_err().to_string().contains("timed out"));
    }
}

#[tokio::test]
async fn a_dripping_server_does_not_stretch_a_step() {
    for (stage, wanted) in [(Stage::Ehlo, "provider"), (Stage::EndOfData, "unconfirmed")] {
        let sink = sink(Script::default().always(stage, Act::Drip(SHORT / 3))).await;
        let outcome = router(&impatient()).send(&route(settings(&sink)), &mail("m1")).await;
        assert_eq!(kind(&outcome), wanted, "{stage:?}");
    }
}

#[tokio::test]
async fn many_slow_steps_do_not_stretch_a_delivery() {
    let script = Stage::ALL.into_iter().fold(Script::default(), |script, stage| {
        script.always(stage, Act::Delay(Duration::from_millis(100)))
    });
    let sink = sink(script).await;
    let timeouts = Timeouts { overall: Duration::from_millis(250), ..patient().timeouts };
    let mailer = router(&Config { timeouts, ..patient() });
    let outcome = mailer.send(&route(settings(&sink)), &mail("m1")).await;
    assert_eq!(kind(&outcome), "provider");
}

#[tokio::test]
async fn waiting_for_a_free_connection_ends_too() {
    let sink = sink(Script::default().always(Stage::EndOfData, Act::Hang)).await;
    let timeouts = Timeouts { overall: SHORT * 3, confirmation: SHORT * 9, ..patient().timeouts };
    let mailer = router(&Config { timeouts, connections_per_route: 1, ..patient() });
    let route = route(settings(&sink));
    let (first, second) = (mail("m1"), mail("m2"));
    let (first, second) = tokio::join!(mailer.send(&route, &first), mailer.send(&route, &second));
    assert_eq!((kind(&first), kind(&second)), ("unconfirmed", "provider"));
}
