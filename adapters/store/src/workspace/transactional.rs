//! Transactional notifications.

use super::expressions::{count_of_rows, counted, holds, read_all, rows};
use crate::session::{Fields as _, Session, to_json};
use application::{
    page::Counted,
    ports::{NotificationStore, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    ids::{IntegrationId, NotificationId},
    transactional::{EmailChannel, MailTracking, Notification},
    utm::UtmParameters,
};
use sea_orm::{
    QueryResult,
    sea_query::{Condition, Expr, ExprTrait as _, Order, Query, SelectStatement, UpdateStatement},
};
use uuid::Uuid;

const TABLE: &str = "transactional_notifications";
const COLUMNS: [&str; 9] = [
    "id",
    "name",
    "description",
    "channels",
    "tracking_settings",
    "metadata",
    "integration_id",
    "created_at",
    "updated_at",
];

/// What is kept of the ways in which a notification is sent.
#[derive(serde::Serialize, serde::Deserialize)]
struct Channels {
    email: EmailChannel,
}

/// What is kept of the links of a notification's mails.
#[derive(serde::Serialize, serde::Deserialize)]
struct Tracking {
    #[serde(flatten)]
    utm: UtmParameters,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enable_tracking: Option<bool>,
}

#[async_trait]
impl NotificationStore for Session {
    async fn notification(&mut self, id: &NotificationId) -> Result<Option<Notification>, StoreError> {
        let query = live().columns(COLUMNS).and_where(Expr::col("id").eq(id.as_str())).take();
        self.one(&query).await?.map(|row| notification(&row)).transpose()
    }

    async fn notifications(
        &mut self,
        search: Option<&str>,
        limit: Option<u64>,
        offset: u64,
    ) -> Result<Counted<Notification>, StoreError> {
        let mut found = live();
        if let Some(part) = search {
            let backend = self.backend();
            found.cond_where(
                Condition::any().add(holds(backend, "name", part)).add(holds(backend, "id", part)),
            );
        }
        let total = counted(self, count_of_rows(&mut found.clone())).await?;
        found
            .columns(COLUMNS)
            .order_by("created_at", Order::Desc)
            .order_by("id", Order::Asc)
            .limit(rows(limit.unwrap_or(u64::MAX)))
            .offset(rows(offset));
        Ok(Counted { items: read_all(&self.all(&found).await?, notification)?, total })
    }

    async fn insert_notification(&mut self, notification: &Notification) -> Result<(), StoreError> {
        let statement = Query::insert()
            .into_table(TABLE)
            .columns(COLUMNS)
            .values_panic([
                notification.id.as_str().into(),
                notification.name.as_str().into(),
                notification.description.as_str().into(),
                channels(notification)?.into(),
                tracking(notification)?.into(),
                to_json(&notification.metadata, "metadata")?.into(),
                notification.integration.map(IntegrationId::uuid).into(),
                notification.created_at.into(),
                notification.updated_at.into(),
            ])
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn update_notification(&mut self, notification: &Notification) -> Result<bool, StoreError> {
        let statement = change(&notification.id)
            .value("name", notification.name.as_str())
            .value("description", notification.description.as_str())
            .value("channels", channels(notification)?)
            .value("tracking_settings", tracking(notification)?)
            .value("metadata", to_json(&notification.metadata, "metadata")?)
            .value("integration_id", notification.integration.map(IntegrationId::uuid))
            .value("updated_at", notification.updated_at)
            .take();
        Ok(self.exec(&statement).await? > 0)
    }

    async fn delete_notification(&mut self, id: &NotificationId, now: Timestamp) -> Result<bool, StoreError> {
        let statement = change(id).value("deleted_at", now).take();
        Ok(self.exec(&statement).await? > 0)
    }
}

/// Notifications that are not deleted.
fn live() -> SelectStatement {
    Query::select().from(TABLE).and_where(Expr::col("deleted_at").is_null()).take()
}

/// A change of a notification that is not deleted.
fn change(id: &NotificationId) -> UpdateStatement {
    Query::update()
        .table(TABLE)
        .and_where(Expr::col("id").eq(id.as_str()))
        .and_where(Expr::col("deleted_at").is_null())
        .take()
}

fn channels(notification: &Notification) -> Result<serde_json::Value, StoreError> {
    to_json(&Channels { email: notification.email.clone() }, "channels")
}

fn tracking(notification: &Notification) -> Result<serde_json::Value, StoreError> {
    let Notification { utm, tracking, .. } = notification;
    to_json(&Tracking { utm: utm.clone(), enable_tracking: tracking.flag() }, "tracking_settings")
}

fn notification(row: &QueryResult) -> Result<Notification, StoreError> {
    let Channels { email } = row.json("channels")?;
    let Tracking { utm, enable_tracking } = row.json("tracking_settings")?;
    Ok(Notification {
        id: row.parsed("id", NotificationId::parse)?,
        name: row.field("name")?,
        description: row.field("description")?,
        email,
        utm,
        tracking: MailTracking::from_flag(enable_tracking),
        metadata: row.json("metadata")?,
        integration: row.field::<Option<Uuid>>("integration_id")?.map(IntegrationId::from_uuid),
        created_at: row.field("created_at")?,
        updated_at: row.field("updated_at")?,
    })
}
