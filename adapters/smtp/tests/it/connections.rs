//! Connections are shared by the mails of a route, bounded, and replaced when they have died.

use crate::support::{PATIENT, SHORT, kind, mail, patient, route, router, settings, sink};
use application::ports::{MailRoute, Mailer as _};
use smtp::{
    Config,
    sink::{Act, Script, Stage},
};
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn mails_follow_one_another_on_one_connection() {
    let sink = sink(Script::default()).await;
    let (mailer, route) = (router(&patient()), route(settings(&sink)));
    for n in 0..20 {
        mailer.send(&route, &mail(&format!("m{n}"))).await.unwrap();
    }
    assert_eq!((sink.count(), sink.sessions()), (20, 1));
}

#[tokio::test]
async fn a_refused_mail_does_not_cost_the_connection() {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::EndOfData] {
        let sink = sink(Script::default().once(stage, Act::answer("550 5.1.1 no"))).await;
        let (mailer, route) = (router(&patient()), route(settings(&sink)));
        let first = mailer.send(&route, &mail("m1")).await;
        assert_eq!(kind(&first), "refused", "{stage:?}");
        mailer.send(&route, &mail("m2")).await.unwrap();
        assert_eq!((sink.message_ids(), sink.sessions()), (vec!["m2".to_owned()], 1), "{stage:?}");
    }
}

#[tokio::test]
async fn a_connection_retires_after_its_mails() {
    let sink = sink(Script::default()).await;
    let config = Config { mails_per_connection: 3, ..patient() };
    let (mailer, route) = (router(&config), route(settings(&sink)));
    for n in 0..7 {
        mailer.send(&route, &mail(&format!("m{n}"))).await.unwrap();
    }
    assert_eq!(sink.sessions(), 3);
}

#[tokio::test]
async fn connections_are_bounded() {
    let pause = Act::Delay(Duration::from_millis(5));
    let sink = sink(Script::default().always(Stage::EndOfData, pause)).await;
    let config = Config { connections_per_route: 4, ..patient() };
    let (mailer, route) = (Arc::new(router(&config)), route(settings(&sink)));
    let mut sending = tokio::task::JoinSet::new();
    for n in 0..60 {
        let (mailer, route) = (Arc::clone(&mailer), route.clone());
        sending.spawn(async move { mailer.send(&route, &mail(&format!("m{n}"))).await });
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap().unwrap();
    }
    assert_eq!((sink.count(), sink.peak_sessions(), sink.sessions()), (60, 4, 4));
}

#[tokio::test]
async fn a_connection_that_died_in_the_meantime_costs_no_mail() {
    let farewells = [Act::Cut, Act::answer("421 4.4.2 idle for too long")];
    for farewell in farewells {
        let sink = sink(Script::default().once(Stage::Mail, Act::Accept).once(Stage::Mail, farewell)).await;
        let (mailer, route) = (router(&patient()), route(settings(&sink)));
        mailer.send(&route, &mail("m1")).await.unwrap();
        mailer.send(&route, &mail("m2")).await.unwrap();
        assert_eq!((sink.count(), sink.sessions()), (2, 2));
    }
}

#[tokio::test]
async fn a_connection_lost_after_the_dot_is_not_tried_again() {
    let script =
        Script::default().once(Stage::EndOfData, Act::Accept).once(Stage::EndOfData, Act::TakeAndCut);
    let sink = sink(script).await;
    let (mailer, route) = (router(&patient()), route(settings(&sink)));
    mailer.send(&route, &mail("m1")).await.unwrap();
    assert_eq!(kind(&mailer.send(&route, &mail("m2")).await), "unconfirmed");
    assert_eq!((sink.count(), sink.sessions()), (2, 1));
}

#[tokio::test]
async fn changed_settings_get_connections_of_their_own() {
    let sink = sink(Script::default()).await;
    let mailer = router(&patient());
    let old = settings(&sink);
    let new = domain::integrations::SmtpSettings { ehlo_hostname: Some("b.example".into()), ..old.clone() };
    mailer.send(&route(old), &mail("m1")).await.unwrap();
    mailer.send(&route(new.clone()), &mail("m2")).await.unwrap();
    mailer.send(&route(new), &mail("m3")).await.unwrap();
    assert_eq!(sink.sessions(), 2);
    assert!(sink.commands().contains(&"EHLO b.example".to_owned()));
}

#[tokio::test]
async fn workspaces_do_not_share_connections() {
    let sink = sink(Script::default()).await;
    let mailer = router(&patient());
    let own = route(settings(&sink));
    let MailRoute::Provider { settings, .. } = own.clone() else { unreachable!() };
    mailer.send(&own, &mail("m1")).await.unwrap();
    mailer.send(&MailRoute::Provider { pool: None, settings }, &mail("m2")).await.unwrap();
    assert_eq!(sink.sessions(), 2);
}

#[tokio::test]
async fn an_abandoned_delivery_gives_its_place_back() {
    let sink = sink(Script::default().once(Stage::Data, Act::Hang)).await;
    let config = Config { connections_per_route: 1, ..patient() };
    let (mailer, route) = (router(&config), route(settings(&sink)));
    let first = mail("m1");
    tokio::select! {
        biased;
        sent = mailer.send(&route, &first) => panic!("{sent:?}"),
        heard = sink.wait_until(PATIENT, |sink| sink.commands().contains(&"DATA".to_owned())) => assert!(heard),
    }
    mailer.send(&route, &mail("m2")).await.unwrap();
    assert_eq!(sink.message_ids(), ["m2"]);
}

#[tokio::test]
async fn an_unused_connection_is_closed_in_time() {
    let sink = sink(Script::default()).await;
    let mailer = router(&Config { idle: SHORT, ..patient() });
    mailer.send(&route(settings(&sink)), &mail("m1")).await.unwrap();
    assert!(sink.wait_until(PATIENT, |sink| sink.open_sessions() == 0).await);
    assert_eq!(sink.commands().last().unwrap(), "QUIT");
}

#[tokio::test]
async fn closing_says_goodbye_on_every_connection() {
    let sink = sink(Script::default()).await;
    let mailer = router(&patient());
    mailer.send(&route(settings(&sink)), &mail("m1")).await.unwrap();
    mailer.close().await;
    assert!(sink.wait_until(PATIENT, |sink| sink.open_sessions() == 0).await);
    assert_eq!(sink.commands().last().unwrap(), "QUIT");
}

#[tokio::test]
async fn outdated_connections_are_closed_at_once() {
    let sink = sink(Script::default()).await;
    let mailer = router(&patient());
    let old = settings(&sink);
    let new = domain::integrations::SmtpSettings { ehlo_hostname: Some("b.example".into()), ..old.clone() };
    mailer.send(&route(old), &mail("m1")).await.unwrap();
    mailer.send(&route(new), &mail("m2")).await.unwrap();
    assert!(sink.wait_until(PATIENT, |sink| sink.open_sessions() == 1).await);
}
