//! Several processes that deliver for one installation: together they keep to the rate of a provider, and
//! leave it alone when it fails.

use crate::support::{Stage, owner, patch, reset, workspace};
use application::{deliveries::Deliveries, ports::SendError, transactional::SendRequest};
use chrono::Duration;
use domain::{messages::MessageFilter, transactional::EmailOptions};
use serde_json::{Map, json};

async fn stage(per_minute: u32, mails: usize) -> Stage {
    let stage = Stage::with_rate(per_minute).await;
    stage.furnish().await;
    for n in 0..mails {
        let request = SendRequest {
            notification: reset(),
            external_id: None,
            idempotency_key: None,
            contact: patch(json!({"email": format!("c{n:03}@shop.example")})),
            data: Map::new(),
            metadata: None,
            options: EmailOptions::default(),
            files: Vec::new(),
            send_at: None,
        };
        stage.transactional.send(&owner(), request).await.unwrap();
    }
    stage
}

/// Claims, begins, hands over and records once. Answers how many mails were tried.
async fn turn(process: &Deliveries) -> usize {
    let batch = process.claim(&workspace()).await.unwrap();
    let mut settled = Vec::new();
    for item in batch.items() {
        if !process.begin(&batch, &[item]).await.unwrap().is_empty() {
            settled.push(process.deliver(&batch, item).await);
        }
    }
    process.record(&batch, &settled).await.unwrap();
    let tried: Vec<_> = settled.iter().map(|s| &s.message).collect();
    let messages = batch.items().iter().map(application::deliveries::Item::message);
    let untried: Vec<_> = messages.filter(|m| !tried.contains(m)).cloned().collect();
    process.release(&batch, &untried).await.unwrap();
    settled.len()
}

fn down() -> SendError {
    SendError::Provider { reason: "connection refused".into() }
}

#[tokio::test]
async fn two_processes_send_no_more_than_the_rate() {
    let stage = stage(120, 400).await;
    let processes = [stage.another_process(), stage.another_process()];
    let mut by_process = [0, 0];
    for half_second in 0..120 {
        // Now the one is the first to ask, now the other.
        for n in [half_second / 2 % 2, 1 - half_second / 2 % 2] {
            by_process[n] += turn(&processes[n]).await;
        }
        stage.clock.advance(Duration::milliseconds(500));
    }
    let sent = stage.mailer.sent().len();
    assert_eq!(sent, by_process[0] + by_process[1]);
    assert!((119..=122).contains(&sent), "{sent} of 120 a minute");
    assert!(by_process.iter().all(|n| *n > 30), "each has its part: {by_process:?}");
}

#[tokio::test]
async fn two_processes_at_the_same_moment_use_the_rate_once() {
    let stage = stage(600, 60).await;
    let processes = [stage.another_process(), stage.another_process()];
    let mut counts = Vec::new();
    for _ in 0..3 {
        // Both learn what is free before either of them takes it.
        let id = workspace();
        let (a, b) = tokio::join!(processes[0].claim(&id), processes[1].claim(&id));
        let (a, b) = (a.unwrap(), b.unwrap());
        counts.push(a.items().len() + b.items().len());
        for (process, batch) in processes.iter().zip([&a, &b]) {
            let all: Vec<_> = batch.items().iter().map(|item| item.message().clone()).collect();
            process.release(batch, &all).await.unwrap();
        }
        stage.clock.advance(Duration::seconds(1));
    }
    assert_eq!(counts, [10, 10, 10]);
}

#[tokio::test]
async fn who_was_too_late_comes_back_when_the_rate_allows() {
    let stage = stage(1, 3).await;
    let processes = [stage.another_process(), stage.another_process()];
    assert_eq!(turn(&processes[0]).await, 1);
    let batch = processes[1].claim(&workspace()).await.unwrap();
    assert_eq!(batch.items().len(), 0);
    assert_eq!(batch.next(), Some(stage.clock_now() + Duration::minutes(1)));
    let any = MessageFilter::default();
    let waiting = stage.messages.list(&owner(), &any, None, 100).await.unwrap();
    assert_eq!(waiting.items.len(), 3, "nothing is lost");
    stage.clock.advance(Duration::minutes(1));
    assert_eq!(turn(&processes[1]).await, 1);
}

#[tokio::test]
async fn failures_of_all_processes_count_together() {
    let stage = stage(60_000, 40).await;
    let processes = [stage.another_process(), stage.another_process()];
    stage.mailer.fail_next((0..40).map(|_| down()));
    let first = processes[0].claim(&workspace()).await.unwrap();
    for item in &first.items()[..3] {
        processes[0].begin(&first, &[item]).await.unwrap();
        processes[0].deliver(&first, item).await;
    }
    let rest: Vec<_> = first.items()[3..].iter().map(|item| item.message().clone()).collect();
    processes[0].release(&first, &rest).await.unwrap();
    assert_eq!(turn(&processes[1]).await, 2, "the fifth failure in a row is the last");
    assert_eq!(turn(&processes[0]).await, 0, "the other leaves it alone as well");
    let batch = processes[0].claim(&workspace()).await.unwrap();
    assert_eq!(batch.next(), Some(stage.clock_now() + Duration::minutes(1)));
}

#[tokio::test]
async fn one_process_tries_for_all() {
    let stage = stage(60_000, 40).await;
    let processes = [stage.another_process(), stage.another_process()];
    stage.mailer.fail_next((0..5).map(|_| down()));
    turn(&processes[0]).await;
    stage.clock.advance(Duration::minutes(1));
    let [a, b] = [&processes[0], &processes[1]];
    let (first, second) = (a.claim(&workspace()).await.unwrap(), b.claim(&workspace()).await.unwrap());
    assert_eq!((first.items().len(), second.items().len()), (1, 1), "both would try");
    assert_eq!(a.begin(&first, &[&first.items()[0]]).await.unwrap().len(), 1);
    assert_eq!(b.begin(&second, &[&second.items()[0]]).await.unwrap().len(), 0, "one is enough");
    let settled = a.deliver(&first, &first.items()[0]).await;
    a.record(&first, &[settled]).await.unwrap();
    b.release(&second, &[second.items()[0].message().clone()]).await.unwrap();
    assert!(turn(b).await > 1, "it works again, for all");
}

#[tokio::test]
async fn a_mail_costs_the_system_database_nothing_while_the_provider_works() {
    let stage = stage(60_000, 50).await;
    let process = stage.another_process();
    let batch = process.claim(&workspace()).await.unwrap();
    assert_eq!(batch.items().len(), 50);
    let before = stage.broker.system_leases();
    for item in batch.items() {
        assert_eq!(process.begin(&batch, &[item]).await.unwrap().len(), 1);
        process.deliver(&batch, item).await;
    }
    assert_eq!(stage.broker.system_leases(), before);
    assert_eq!(stage.mailer.sent().len(), 50);
}
