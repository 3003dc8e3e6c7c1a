//! Opens and clicks.

use crate::support::Stage;
use application::{
    ports::{
        ConnectionBroker, Purpose, StoreError, SystemStore, SystemUnitOfWork, TrackingTokens as _,
        UnitOfWork, WorkspaceStore,
    },
    rate_limit::Limit,
    tracking::{ToWrite, Tracking, UnknownLink},
};
use async_trait::async_trait;
use chrono::Duration;
use domain::{
    Timestamp,
    broadcasts::{Recipient, RecipientState},
    email_address::EmailAddress,
    ids::{BroadcastId, MessageId, WorkspaceId},
    tracking::{Engagement, Tracked, Visit},
};
use memory::{FixedClock, MemoryBroker, PlainTrackingTokens};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

const LINK: &str = "https://shop.example/sale";
const FIREFOX: Visit<'_> = Visit {
    user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    is_prefetch: false,
};

/// Databases whose next units of work cannot be had.
#[derive(Clone)]
struct Failing {
    broker: MemoryBroker,
    failures: Arc<AtomicU32>,
}

#[async_trait]
impl ConnectionBroker for Failing {
    async fn read(&self, id: &WorkspaceId, why: Purpose) -> Result<Box<dyn WorkspaceStore>, StoreError> {
        self.broker.read(id, why).await
    }

    async fn write(&self, id: &WorkspaceId, why: Purpose) -> Result<Box<dyn UnitOfWork>, StoreError> {
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(StoreError::Abandoned);
        }
        self.broker.write(id, why).await
    }

    async fn read_system(&self, why: Purpose) -> Result<Box<dyn SystemStore>, StoreError> {
        self.broker.read_system(why).await
    }

    async fn write_system(&self, why: Purpose) -> Result<Box<dyn SystemUnitOfWork>, StoreError> {
        self.broker.write_system(why).await
    }
}

struct House {
    broker: Failing,
    clock: FixedClock,
    tracking: Tracking,
}

fn acme() -> WorkspaceId {
    WorkspaceId::parse("acme").unwrap()
}

fn message() -> MessageId {
    MessageId::parse("m-1").unwrap()
}

fn sent_at() -> Timestamp {
    "2026-06-01T08:00:00Z".parse().unwrap()
}

fn token(link: Option<&str>) -> String {
    let link = link.map(str::to_owned);
    PlainTrackingTokens::default().issue(&Tracked {
        workspace: acme(),
        message: message(),
        sent_at: sent_at(),
        link,
    })
}

impl House {
    /// A workspace that has sent one mail of a broadcast, a minute ago.
    async fn new() -> Self {
        let broker = Failing { broker: Stage::new().await.broker, failures: Arc::default() };
        let recipient = Recipient {
            broadcast: BroadcastId::parse(&"1".repeat(32)).unwrap(),
            email: EmailAddress::parse("ana@shop.example").unwrap(),
            list: crate::support::news(),
            variation: 0,
            in_test: false,
            message: message(),
            state: RecipientState::Queued,
            planned_at: sent_at(),
        };
        let mut unit = broker.write(&acme(), Purpose::background("test")).await.unwrap();
        unit.insert_recipients_if_absent(&[recipient]).await.unwrap();
        unit.commit().await.unwrap();
        let clock = FixedClock::at(sent_at() + Duration::minutes(1));
        let tracking = Tracking::new(
            Arc::new(broker.clone()),
            Arc::new(clock.clone()),
            Arc::new(PlainTrackingTokens::default()),
        );
        Self { broker, clock, tracking }
    }

    async fn written(&self) -> Vec<Engagement> {
        let mut store = self.broker.read(&acme(), Purpose::background("test")).await.unwrap();
        store.engagements(&message(), 100).await.unwrap()
    }
}

#[tokio::test]
async fn a_link_leads_on_before_anything_is_written() {
    let house = House::new().await;
    let (link, to_write) = house.tracking.follow(&token(Some(LINK)), FIREFOX).unwrap();
    assert_eq!(link, LINK);
    assert_eq!(house.written().await, []);
    house.tracking.write_down(to_write.unwrap()).await;
    assert_eq!(house.written().await[0].link, LINK);
}

#[tokio::test]
async fn what_comes_while_somebody_writes_needs_no_second_writer() {
    let house = House::new().await;
    let to_write = house.tracking.open(&token(None), FIREFOX).unwrap();
    assert_eq!(house.tracking.open(&token(None), FIREFOX), None);
    assert_eq!(house.tracking.follow(&token(Some(LINK)), FIREFOX).unwrap().1, None);
    house.tracking.write_down(to_write).await;
    let written = house.written().await;
    assert_eq!(written.iter().map(|e| e.count).collect::<Vec<_>>(), [1, 2]);
    assert!(house.tracking.open(&token(None), FIREFOX).is_some(), "the writer is done");
}

#[tokio::test]
async fn a_token_that_is_none_of_ours_leads_nowhere() {
    let house = House::new().await;
    for bad in ["", "x", "aHR0cHM6Ly9ldmlsLmV4YW1wbGU", &token(None)] {
        assert_eq!(house.tracking.follow(bad, FIREFOX), Err(UnknownLink), "{bad}");
    }
    assert_eq!(house.tracking.open(&token(Some(LINK)), FIREFOX), None);
    assert_eq!(house.tracking.open("x", FIREFOX), None);
}

#[tokio::test]
async fn a_replayed_address_is_noted_only_so_often_and_always_leads_on() {
    let house = House::new().await;
    let mut writer = None;
    for _ in 0..Limit::TRACKING.attempts + 50 {
        let (_, to_write) = house.tracking.follow(&token(Some(LINK)), FIREFOX).unwrap();
        writer = writer.or(to_write);
    }
    house.tracking.write_down(writer.unwrap()).await;
    assert_eq!(house.written().await[0].count, Limit::TRACKING.attempts as u64);
}

#[tokio::test]
async fn what_could_not_be_written_waits_for_the_next_writer() {
    let house = House::new().await;
    let to_write = house.tracking.open(&token(None), FIREFOX).unwrap();
    house.broker.failures.store(1, Ordering::SeqCst);
    house.tracking.write_down(to_write).await;
    assert_eq!(house.written().await, []);
    house.clock.advance(Duration::seconds(1));
    let to_write = house.tracking.open(&token(None), FIREFOX).unwrap();
    house.tracking.write_down(to_write).await;
    assert_eq!(house.written().await[0].count, 2);
}

#[tokio::test]
async fn what_is_noted_is_written_before_the_end() {
    let house = House::new().await;
    let _left = house.tracking.open(&token(None), FIREFOX);
    house.tracking.finish().await;
    assert_eq!(house.written().await.len(), 1);
}

#[tokio::test]
async fn what_is_noted_of_a_workspace_that_is_gone_is_dropped() {
    let house = House::new().await;
    let gone = Tracked {
        workspace: WorkspaceId::parse("gone").unwrap(),
        message: message(),
        sent_at: sent_at(),
        link: None,
    };
    let token = PlainTrackingTokens::default().issue(&gone);
    let to_write = house.tracking.open(&token, FIREFOX).unwrap();
    house.tracking.write_down(to_write).await;
    assert!(house.tracking.open(&token, FIREFOX).is_some());
    assert_eq!(house.tracking.open(&token, FIREFOX), None::<ToWrite>);
}
