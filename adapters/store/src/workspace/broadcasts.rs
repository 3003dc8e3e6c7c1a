//! Broadcasts and their accounts.

mod account;
mod audience;

use super::expressions::{constant, count_of_rows, counted, read_all, rows, text_or_null};
use crate::{
    failure::Failure,
    session::{Fields as _, Session, from_json, to_json},
};
use application::{
    page::{Counted, Page},
    ports::{AccountLine, BroadcastStore, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    broadcasts::{
        Audience, AudienceCounts, AudienceMember, Audit, Broadcast, BroadcastState, Launch, Ledger, Progress,
        Recipient, RecipientState, VariationResult,
    },
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, MessageId, TemplateId},
};
use sea_orm::{
    QueryResult,
    sea_query::{Expr, ExprTrait as _, LockType, OnConflict, Order, Query, SelectStatement, Value},
};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

pub(super) const COLUMNS: [&str; 29] = [
    "id",
    "created_at",
    "name",
    "status",
    "audience",
    "variations",
    "utm_parameters",
    "metadata",
    "channels",
    "web_settings",
    "web_slug",
    "web_published_at",
    "template_versions",
    "integration_id",
    "cursor",
    "enqueued_count",
    "updated_at",
    "started_at",
    "completed_at",
    "paused_at",
    "cancelled_at",
    "schedule",
    "progress",
    "due_at",
    "pause_reason",
    "test",
    "winning_template",
    "test_sent_at",
    "data_feed",
];
/// Those of [`COLUMNS`] that never change.
const FIXED: usize = 2;

#[async_trait]
impl BroadcastStore for Session {
    async fn broadcast(&mut self, id: &BroadcastId) -> Result<Option<Broadcast>, StoreError> {
        self.one(&one(id)).await?.map(|row| broadcast(&row)).transpose()
    }

    async fn broadcast_for_update(&mut self, id: &BroadcastId) -> Result<Option<Broadcast>, StoreError> {
        // SQLite has one writer at a time and writes nothing for the lock.
        self.one(one(id).lock(LockType::Update)).await?.map(|row| broadcast(&row)).transpose()
    }

    async fn broadcasts(
        &mut self,
        status: Option<&str>,
        limit: u64,
        offset: u64,
    ) -> Result<Counted<Broadcast>, StoreError> {
        if status.is_some_and(|status| status.contains('\0')) {
            return Ok(Counted { items: Vec::new(), total: 0 });
        }
        let mut found = Query::select();
        found.from("broadcasts").and_where_option(status.map(|status| Expr::col("status").eq(status)));
        let total = counted(self, count_of_rows(&mut found.clone())).await?;
        found
            .columns(COLUMNS)
            .order_by("created_at", Order::Desc)
            .order_by("id", Order::Asc)
            .limit(rows(limit))
            .offset(rows(offset));
        Ok(Counted { items: read_all(&self.all(&found).await?, broadcast)?, total })
    }

    async fn broadcasts_in_planning(&mut self, now: Timestamp) -> Result<Vec<BroadcastId>, StoreError> {
        let in_planning = Query::select()
            .column("id")
            .from("broadcasts")
            .and_where(Expr::col("status").is_in(["processing", "testing", "winner_selected"].map(constant)))
            .order_by("started_at", Order::Asc)
            .order_by("id", Order::Asc)
            .take();
        let due = Query::select()
            .column("id")
            .from("broadcasts")
            .and_where(Expr::col("status").is_in(["scheduled", "test_completed"].map(constant)))
            .and_where(Expr::col("due_at").lte(now))
            .order_by("due_at", Order::Asc)
            .order_by("id", Order::Asc)
            .take();
        // Those whose moment has come first: they are then planned in turn with the others.
        let mut rows = self.all(&due).await?;
        rows.extend(self.all(&in_planning).await?);
        read_all(&rows, |row| row.parsed("id", BroadcastId::parse))
    }

    async fn next_broadcast_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let query = Query::select()
            .column("due_at")
            .from("broadcasts")
            .and_where(Expr::col("status").is_in(["scheduled", "test_completed"].map(constant)))
            .and_where(Expr::col("due_at").is_not_null())
            .order_by("due_at", Order::Asc)
            .limit(1)
            .take();
        self.one(&query).await?.map_or(Ok(None), |row| row.field("due_at"))
    }

    async fn audience_after(
        &mut self,
        audience: &Audience,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Vec<AudienceMember>, StoreError> {
        audience::after(self, audience, after, size).await
    }

    async fn audience_counts(&mut self, audience: &Audience) -> Result<AudienceCounts, StoreError> {
        audience::counts(self, audience).await
    }

    async fn insert_broadcast(&mut self, broadcast: &Broadcast) -> Result<(), StoreError> {
        let statement = Query::insert()
            .into_table("broadcasts")
            .columns(COLUMNS)
            .values_panic(values(broadcast)?.map(Expr::val))
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn update_broadcast(&mut self, broadcast: &Broadcast) -> Result<bool, StoreError> {
        let values = values(broadcast)?.map(Expr::val);
        let statement = Query::update()
            .table("broadcasts")
            .values(COLUMNS.into_iter().zip(values).skip(FIXED))
            .and_where(Expr::col("id").eq(broadcast.id.as_str()))
            .take();
        Ok(self.exec(&statement).await? > 0)
    }

    async fn keep_global_feed(
        &mut self,
        broadcast: &BroadcastId,
        data: &Map<String, Json>,
    ) -> Result<(), StoreError> {
        let data = serde_json::to_string(data).map_err(|_| Failure::Unwritable("data"))?;
        let statement = Query::insert()
            .into_table("broadcast_feeds")
            .columns(["broadcast_id", "data"])
            .values_panic([broadcast.as_str().into(), data.into()])
            .on_conflict(OnConflict::column("broadcast_id").update_column("data").to_owned())
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn global_feed(
        &mut self,
        broadcast: &BroadcastId,
    ) -> Result<Option<Map<String, Json>>, StoreError> {
        let query = Query::select()
            .column("data")
            .from("broadcast_feeds")
            .and_where(Expr::col("broadcast_id").eq(broadcast.as_str()))
            .take();
        let Some(row) = self.one(&query).await? else { return Ok(None) };
        let data: String = row.field("data")?;
        let data = serde_json::from_str(&data).map_err(|_| Failure::Unreadable("data".into()))?;
        Ok(Some(data))
    }

    async fn insert_recipients_if_absent(
        &mut self,
        recipients: &[Recipient],
    ) -> Result<Vec<MessageId>, StoreError> {
        account::insert_if_absent(self, recipients).await
    }

    async fn set_recipient_states(
        &mut self,
        states: &[(BroadcastId, MessageId, RecipientState)],
    ) -> Result<(), StoreError> {
        account::set_states(self, states).await
    }

    async fn cancel_recipients(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError> {
        account::cancel(self, broadcast).await
    }

    async fn delete_broadcast(&mut self, id: &BroadcastId) -> Result<bool, StoreError> {
        let id = id.as_str();
        let lines = Query::delete()
            .from_table("broadcast_recipients")
            .and_where(Expr::col("broadcast_id").eq(id))
            .take();
        self.exec(&lines).await?;
        let feed =
            Query::delete().from_table("broadcast_feeds").and_where(Expr::col("broadcast_id").eq(id)).take();
        self.exec(&feed).await?;
        let broadcast = Query::delete().from_table("broadcasts").and_where(Expr::col("id").eq(id)).take();
        Ok(self.exec(&broadcast).await? > 0)
    }

    async fn account_after(
        &mut self,
        broadcast: &BroadcastId,
        state: Option<&'static str>,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Page<AccountLine>, StoreError> {
        account::after(self, broadcast, state, after, size).await
    }

    async fn failed_recipients_after(
        &mut self,
        broadcast: &BroadcastId,
        unknown: bool,
        after: Option<&EmailAddress>,
        size: usize,
    ) -> Result<Vec<Recipient>, StoreError> {
        account::failed_after(self, broadcast, unknown, after, size).await
    }

    async fn requeue_recipients(&mut self, lines: &[Recipient]) -> Result<Vec<MessageId>, StoreError> {
        account::requeue(self, lines).await
    }

    async fn ledger(&mut self, broadcast: &BroadcastId) -> Result<Ledger, StoreError> {
        account::ledger(self, broadcast).await
    }

    async fn audit(&mut self, broadcast: &BroadcastId) -> Result<Audit, StoreError> {
        account::audit(self, broadcast).await
    }

    async fn variation_results(
        &mut self,
        broadcast: &BroadcastId,
    ) -> Result<Vec<VariationResult>, StoreError> {
        account::variation_results(self, broadcast).await
    }

    async fn broadcast_ids_after(
        &mut self,
        after: Option<&BroadcastId>,
        size: usize,
    ) -> Result<Vec<BroadcastId>, StoreError> {
        let query = Query::select()
            .column("id")
            .from("broadcasts")
            .and_where_option(after.map(|after| Expr::col("id").gt(after.as_str())))
            .order_by("id", Order::Asc)
            .limit(rows(size as u64))
            .take();
        read_all(&self.all(&query).await?, |row| row.parsed("id", BroadcastId::parse))
    }
}

fn one(id: &BroadcastId) -> SelectStatement {
    Query::select().columns(COLUMNS).from("broadcasts").and_where(Expr::col("id").eq(id.as_str())).take()
}

/// The values of [`COLUMNS`].
fn values(broadcast: &Broadcast) -> Result<[Value; 29], StoreError> {
    let launch = broadcast.launch.as_ref();
    let web = broadcast.web.as_ref();
    let page = web.filter(|_| broadcast.channels.web);
    let enqueued =
        i64::try_from(broadcast.enqueued_count).map_err(|_| Failure::Unwritable("enqueued_count"))?;
    let metadata = broadcast.metadata.as_ref().map(|metadata| to_json(metadata, "metadata")).transpose()?;
    let schedule = broadcast.schedule.as_ref().map(|schedule| to_json(schedule, "schedule")).transpose()?;
    let test = broadcast.test.as_ref().map(|test| to_json(test, "test")).transpose()?;
    let versions =
        launch.map(|launch| to_json(&launch.template_versions, "template_versions")).transpose()?;
    Ok([
        broadcast.id.as_str().into(),
        broadcast.created_at.into(),
        broadcast.name.as_str().into(),
        broadcast.state.name().into(),
        to_json(&broadcast.audience, "audience")?.into(),
        to_json(&broadcast.variations, "variations")?.into(),
        to_json(&broadcast.utm, "utm_parameters")?.into(),
        metadata.into(),
        to_json(&broadcast.channels, "channels")?.into(),
        web.map(|web| to_json(web, "web_settings")).transpose()?.into(),
        page.map(|web| web.slug.to_string()).into(),
        page.and_then(|web| web.published_at).into(),
        versions.into(),
        launch.map(|launch| launch.integration.uuid()).into(),
        broadcast.cursor.as_ref().map(|email| email.as_str().to_owned()).into(),
        enqueued.into(),
        broadcast.updated_at.into(),
        broadcast.state.started_at().into(),
        broadcast.state.completed_at().into(),
        broadcast.state.paused_at().into(),
        broadcast.state.cancelled_at().into(),
        schedule.into(),
        text_or_null(broadcast.state.progress().map(Progress::name)),
        broadcast.state.progress().and_then(Progress::due_at).into(),
        text_or_null(broadcast.state.pause_reason()),
        test.into(),
        text_or_null(broadcast.winning_template.as_ref().map(TemplateId::as_str)),
        broadcast.test_sent_at.into(),
        to_json(&broadcast.feeds, "data_feed")?.into(),
    ])
}

pub(super) fn broadcast(row: &QueryResult) -> Result<Broadcast, StoreError> {
    let versions: Option<serde_json::Value> = row.field("template_versions")?;
    let versions = versions.map(|json| from_json(json, "template_versions")).transpose()?;
    let integration: Option<Uuid> = row.field("integration_id")?;
    let launch = versions.zip(integration).map(|(template_versions, integration)| Launch {
        template_versions,
        integration: IntegrationId::from_uuid(integration),
    });
    let test: Option<serde_json::Value> = row.field("test")?;
    let winner: Option<String> = row.field("winning_template")?;
    let winner = winner.map(|id| TemplateId::parse(&id)).transpose();
    let metadata: Option<serde_json::Value> = row.field("metadata")?;
    let schedule: Option<serde_json::Value> = row.field("schedule")?;
    let web: Option<serde_json::Value> = row.field("web_settings")?;
    let cursor: Option<String> = row.field("cursor")?;
    let cursor = cursor.map(|email| EmailAddress::parse(&email)).transpose();
    Ok(Broadcast {
        id: row.parsed("id", BroadcastId::parse)?,
        name: row.field("name")?,
        audience: row.json("audience")?,
        variations: row.json("variations")?,
        test: test.map(|json| from_json(json, "test")).transpose()?,
        winning_template: winner.map_err(|_| Failure::Unreadable("winning_template".into()))?,
        test_sent_at: row.field("test_sent_at")?,
        utm: row.json("utm_parameters")?,
        metadata: metadata.map(|json| from_json(json, "metadata")).transpose()?,
        schedule: schedule.map(|json| from_json(json, "schedule")).transpose()?,
        channels: row.json("channels")?,
        web: web.map(|json| from_json(json, "web_settings")).transpose()?,
        feeds: row.json("data_feed")?,
        state: state(row)?,
        launch,
        cursor: cursor.map_err(|_| Failure::Unreadable("cursor".into()))?,
        enqueued_count: row.field::<i64>("enqueued_count")?.unsigned_abs(),
        created_at: row.field("created_at")?,
        updated_at: row.field("updated_at")?,
    })
}

fn state(row: &QueryResult) -> Result<BroadcastState, StoreError> {
    let status: String = row.field("status")?;
    let paused_at: Option<Timestamp> = row.field("paused_at")?;
    let cancelled_at: Option<Timestamp> = row.field("cancelled_at")?;
    match (status.as_str(), progress(row)?, paused_at, cancelled_at) {
        ("draft", None, ..) => Ok(BroadcastState::Draft),
        ("paused", Some(before), Some(paused_at), _) => {
            Ok(BroadcastState::Paused { before, paused_at, reason: row.field("pause_reason")? })
        }
        ("cancelled", Some(before), _, Some(cancelled_at)) => {
            Ok(BroadcastState::Cancelled { before, cancelled_at })
        }
        (status, Some(progress), ..) if status == progress.name() => Ok(BroadcastState::Running(progress)),
        _ => Err(Failure::Unreadable("status".into()).into()),
    }
}

fn progress(row: &QueryResult) -> Result<Option<Progress>, StoreError> {
    let Some(name) = row.field::<Option<String>>("progress")? else { return Ok(None) };
    let due_at: Option<Timestamp> = row.field("due_at")?;
    let started_at: Option<Timestamp> = row.field("started_at")?;
    let completed_at: Option<Timestamp> = row.field("completed_at")?;
    let progress = match (name.as_str(), due_at, started_at, completed_at) {
        ("scheduled", Some(due_at), ..) => Progress::Scheduled { due_at },
        ("processing", _, Some(started_at), _) => Progress::Processing { started_at },
        ("testing", _, Some(started_at), _) => Progress::Testing { started_at },
        ("test_completed", due_at, Some(started_at), _) => Progress::TestCompleted { started_at, due_at },
        ("winner_selected", _, Some(started_at), _) => Progress::WinnerSelected { started_at },
        ("processed", _, Some(started_at), Some(completed_at)) => {
            Progress::Processed { started_at, completed_at }
        }
        _ => return Err(Failure::Unreadable("progress".into()).into()),
    };
    Ok(Some(progress))
}
