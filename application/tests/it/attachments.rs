use crate::support::{Stage, owner, patch, reset, workspace};
use application::{
    ports::{ConnectionBroker as _, Purpose},
    transactional::SendRequest,
};
use chrono::Duration;
use domain::{
    attachments::NewFile,
    messages::{MessageFilter, MessageState},
    transactional::EmailOptions,
};
use serde_json::{Map, json};

fn with_files(files: &[NewFile]) -> SendRequest {
    SendRequest {
        notification: reset(),
        external_id: None,
        idempotency_key: None,
        contact: patch(json!({"email": "ana@shop.example"})),
        data: Map::new(),
        metadata: None,
        options: EmailOptions::default(),
        files: files.to_vec(),
        send_at: None,
    }
}

fn file(name: &str, content: &[u8], disposition: Option<&str>) -> NewFile {
    NewFile::parse(name, content.to_vec(), None, disposition).unwrap()
}

async fn stored(stage: &Stage) -> usize {
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 10).await.unwrap();
    let attached = page.items.iter().flat_map(|view| &view.message.options.attachments);
    let checksums: Vec<_> = attached.map(|file| file.checksum.as_str()).collect();
    let mut store = stage.broker.read(&workspace(), Purpose::interactive("test")).await.unwrap();
    store.contents(&checksums).await.unwrap().len()
}

#[tokio::test]
async fn files_go_with_the_mail() {
    let stage = Stage::with_notification().await;
    let files = [file("invoice.pdf", b"%PDF-1.7", None), file("logo.png", b"png", Some("inline"))];
    stage.transactional.send(&owner(), with_files(&files)).await.unwrap();
    assert_eq!(stage.deliver_all().await, 1);
    let mail = &stage.mailer.sent()[0];
    let sent: Vec<_> = mail
        .attachments
        .iter()
        .map(|a| (a.filename.as_str(), a.content_type.as_str(), a.inline, &*a.content))
        .collect();
    assert_eq!(
        sent,
        [
            ("invoice.pdf", "application/pdf", false, &b"%PDF-1.7"[..]),
            ("logo.png", "image/png", true, &b"png"[..])
        ]
    );
}

#[tokio::test]
async fn equal_files_are_stored_once() {
    let stage = Stage::with_notification().await;
    let files = [file("a.txt", b"same", None), file("b.txt", b"same", None)];
    stage.transactional.send(&owner(), with_files(&files)).await.unwrap();
    stage.transactional.send(&owner(), with_files(&files[..1])).await.unwrap();
    assert_eq!(stored(&stage).await, 1);
    assert_eq!(stage.deliver_all().await, 2);
    assert_eq!(stage.mailer.sent().iter().map(|mail| mail.attachments.len()).sum::<usize>(), 3);
}

#[tokio::test]
async fn files_are_a_part_of_what_a_key_is_good_for() {
    let stage = Stage::with_notification().await;
    let keyed = |content: &[u8]| SendRequest {
        external_id: Some(domain::idempotency::IdempotencyKey::external("k").unwrap()),
        ..with_files(&[file("a.txt", content, None)])
    };
    let first = stage.transactional.send(&owner(), keyed(b"one")).await.unwrap();
    assert_eq!(stage.transactional.send(&owner(), keyed(b"one")).await.unwrap(), first);
    assert!(stage.transactional.send(&owner(), keyed(b"two")).await.is_err());
}

#[tokio::test]
async fn files_that_are_no_longer_needed_are_forgotten() {
    let stage = Stage::with_notification().await;
    stage.transactional.send(&owner(), with_files(&[file("a.txt", b"a", None)])).await.unwrap();
    stage.deliver_all().await;
    let next = stage.deliveries.claim(&workspace()).await.unwrap().next().expect("a file will expire");
    assert_eq!(stored(&stage).await, 1);
    stage.clock.set(next);
    let later =
        stage.deliveries.claim(&workspace()).await.unwrap().next().expect("the history is looked after");
    assert!(later > next + chrono::Duration::days(20));
    assert_eq!(stored(&stage).await, 0);
}

#[tokio::test]
async fn a_file_that_is_used_again_is_kept_longer() {
    let stage = Stage::with_notification().await;
    let send = async || {
        stage.transactional.send(&owner(), with_files(&[file("a.txt", b"a", None)])).await.unwrap();
        stage.deliver_all().await;
    };
    send().await;
    stage.clock.advance(Duration::days(20));
    send().await;
    stage.clock.advance(Duration::days(20));
    stage.deliver_all().await;
    assert_eq!(stored(&stage).await, 1);
}

#[tokio::test]
async fn a_mail_whose_file_is_gone_fails_and_says_so() {
    let stage = Stage::with_notification().await;
    stage.transactional.send(&owner(), with_files(&[file("a.txt", b"a", None)])).await.unwrap();
    let mut store = stage.broker.write(&workspace(), Purpose::interactive("test")).await.unwrap();
    store.purge_contents("2099-01-01T00:00:00Z".parse().unwrap(), 10).await.unwrap();
    store.commit().await.unwrap();
    stage.deliver_all().await;
    let page = stage.messages.list(&owner(), &MessageFilter::default(), None, 10).await.unwrap();
    let message = &page.items[0].message;
    assert_eq!(message.state, MessageState::Failed);
    assert_eq!(message.status_info.as_deref(), Some("a file of this message is gone"));
}
