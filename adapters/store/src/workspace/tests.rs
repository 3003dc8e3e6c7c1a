//! What only these stores can get wrong: limits of statements, patterns, locks. What every store
//! must do is told by the conformance suite.

mod bulk;
mod database;
mod locks;
mod patterns;
mod reading;

use database::Database;
use domain::{
    Timestamp,
    broadcasts::{Recipient, RecipientState},
    deliveries::{Delivery, DeliverySource},
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, ListId, MessageId, NotificationId, TemplateId},
    messages::{Message, MessageState},
    transactional::EmailOptions,
};
use uuid::Uuid;

/// Makes a test of each function, on either engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Database::on_sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Database::on_postgres().await).await;
            })+
        }
    };
}
use on_both_engines;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
}

fn email(number: usize) -> EmailAddress {
    EmailAddress::parse(&format!("contact{number:06}@shop.example")).unwrap()
}

fn message_id(number: usize) -> MessageId {
    MessageId::parse(&format!("message-{number:06}")).unwrap()
}

fn broadcast_id() -> BroadcastId {
    BroadcastId::parse(&"a1".repeat(16)).unwrap()
}

fn template() -> TemplateId {
    TemplateId::parse("welcome").unwrap()
}

fn integration() -> IntegrationId {
    IntegrationId::from_uuid(Uuid::from_u128(7))
}

fn broadcast_delivery(number: usize) -> Delivery {
    Delivery {
        message: message_id(number),
        source: DeliverySource::Broadcast { broadcast: broadcast_id(), list: ListId::parse("news").unwrap() },
        recipient: email(number),
        template: template(),
        template_version: 1,
        integration: integration(),
        attempts: 0,
        due_at: at(0),
        created_at: at(0),
    }
}

fn transactional_delivery(number: usize) -> Delivery {
    let notification = NotificationId::parse("reset").unwrap();
    Delivery { source: DeliverySource::Transactional { notification }, ..broadcast_delivery(number) }
}

fn recipient(number: usize) -> Recipient {
    Recipient {
        broadcast: broadcast_id(),
        email: email(number),
        list: ListId::parse("news").unwrap(),
        variation: 0,
        in_test: false,
        message: message_id(number),
        state: RecipientState::Queued,
        planned_at: at(0),
    }
}

fn message(number: usize) -> Message {
    Message {
        id: message_id(number),
        external_id: None,
        contact_email: email(number),
        broadcast: Some(broadcast_id()),
        notification: None,
        list: None,
        template: template(),
        template_version: 1,
        state: MessageState::Queued,
        status_info: None,
        data: None,
        metadata: None,
        options: EmailOptions::default(),
        sent_at: None,
        delivered_at: None,
        failed_at: None,
        opened_at: None,
        clicked_at: None,
        bounced_at: None,
        complained_at: None,
        unsubscribed_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}
