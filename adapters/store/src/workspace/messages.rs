//! The history of messages.

use super::expressions::{given, page_and_one, read_all, rows_per_statement, text_or_null};
use crate::{
    failure::Failure,
    session::{Fields as _, Session, from_json, to_json},
};
use application::{
    page::Page,
    ports::{MessageEvent, MessageStore, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::{BroadcastId, ListId, MessageId, NotificationId, TemplateId},
    messages::{Message, MessageCursor, MessageFilter, MessageState, MessageStats},
    secret::Sealed,
};
use sea_orm::{
    QueryResult,
    sea_query::{
        Condition, Expr, ExprTrait as _, Func, LockBehavior, LockType, OnConflict, Order, Query,
        SelectStatement, TableRef, UpdateStatement, Value, ValueTuple,
    },
};
use std::collections::HashSet;

const COLUMNS: [&str; 23] = [
    "id",
    "contact_email",
    "external_id",
    "broadcast_id",
    "transactional_notification_id",
    "list_id",
    "template_id",
    "template_version",
    "state",
    "status_info",
    "message_data",
    "metadata",
    "channel_options",
    "sent_at",
    "delivered_at",
    "failed_at",
    "opened_at",
    "clicked_at",
    "bounced_at",
    "complained_at",
    "unsubscribed_at",
    "created_at",
    "updated_at",
];

#[async_trait]
impl MessageStore for Session {
    async fn insert_messages_if_absent(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        for messages in messages.chunks(rows_per_statement(COLUMNS.len())) {
            let mut statement = Query::insert();
            statement
                .into_table("message_history")
                .columns(COLUMNS)
                .on_conflict(OnConflict::column("id").do_nothing().to_owned());
            for message in messages {
                statement.values_panic(values(message)?.map(Expr::val));
            }
            self.exec(&statement).await?;
        }
        Ok(())
    }

    async fn messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = given(self.backend(), ids.iter().map(MessageId::as_str));
        let query = selection().and_where(Expr::col("id").in_subquery(ids)).take();
        read_all(&self.all(&query).await?, message)
    }

    async fn record_events(&mut self, events: &[MessageEvent]) -> Result<(), StoreError> {
        for events in rounds(events) {
            for state in MessageState::ALL {
                let alike: Vec<&MessageEvent> =
                    events.iter().copied().filter(|event| event.state == state).collect();
                for alike in alike.chunks(rows_per_statement(3)) {
                    self.exec(&record(state, alike)).await?;
                }
            }
        }
        Ok(())
    }

    async fn messages_after(
        &mut self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: usize,
    ) -> Result<Page<Message>, StoreError> {
        if filter.external_id.as_ref().is_some_and(|id| id.contains('\0')) {
            return Ok(Page::of(Vec::new(), size));
        }
        let mut query = selection();
        query
            .cond_where(condition(filter))
            .order_by("created_at", Order::Desc)
            .order_by("id", Order::Desc)
            .limit(page_and_one(size));
        if let Some(cursor) = after {
            query.and_where(Expr::col("created_at").lte(cursor.created_at)).cond_where(
                Condition::any()
                    .add(Expr::col("created_at").lt(cursor.created_at))
                    .add(Expr::col("id").lt(cursor.id.as_str())),
            );
        }
        Ok(Page::of(read_all(&self.all(&query).await?, message)?, size))
    }

    async fn note_unsubscribed(
        &mut self,
        message: &MessageId,
        recipient: &EmailAddress,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = Query::update()
            .table("message_history")
            .value("unsubscribed_at", now)
            .value("updated_at", now)
            .and_where(Expr::col("id").eq(message.as_str()))
            .and_where(Expr::col("contact_email").eq(recipient.as_str()))
            .and_where(Expr::col("unsubscribed_at").is_null())
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn purge_messages(&mut self, expired: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let chosen = oldest(limit)
            .column("id")
            .and_where(Expr::col("created_at").lte(expired))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let rows = self.all(&chosen).await?;
        let ids: Vec<String> = rows.iter().map(|row| row.field("id")).collect::<Result<_, _>>()?;
        if ids.is_empty() {
            return Ok(0);
        }
        let mut purged = 0;
        for (table, column) in [("message_engagements", "message_id"), ("message_history", "id")] {
            let ids = given(self.backend(), ids.iter().map(String::as_str));
            let removal =
                Query::delete().from_table(table).and_where(Expr::col(column).in_subquery(ids)).take();
            purged = self.exec(&removal).await?;
        }
        Ok(purged)
    }

    async fn oldest_message(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let query = oldest(1).column("created_at").take();
        self.one(&query).await?.map(|row| row.field("created_at")).transpose()
    }

    async fn message_stats(&mut self, broadcast: &BroadcastId) -> Result<MessageStats, StoreError> {
        let mut query = Query::select();
        query
            .columns(["sent", "delivered", "bounced", "complained", "failed", "opened", "clicked"])
            .columns(["unsubscribed", "proxy_opened", "machine_opened", "machine_clicked"])
            .from("broadcast_stats")
            .and_where(Expr::col("broadcast_id").eq(broadcast.as_str()));
        let Some(row) = self.one(&query).await? else { return Ok(MessageStats::default()) };
        let count = |event| row.field::<i64>(event).map(i64::unsigned_abs);
        Ok(MessageStats {
            sent: count("sent")?,
            delivered: count("delivered")?,
            bounced: count("bounced")?,
            complained: count("complained")?,
            failed: count("failed")?,
            opened: count("opened")?,
            clicked: count("clicked")?,
            unsubscribed: count("unsubscribed")?,
            proxy_opened: count("proxy_opened")?,
            machine_opened: count("machine_opened")?,
            machine_clicked: count("machine_clicked")?,
        })
    }
}

/// The messages that were accepted first and do not wait to be delivered, without columns yet.
fn oldest(limit: usize) -> SelectStatement {
    let waiting = Query::select()
        .expr(Expr::val(1))
        .from("deliveries")
        .and_where(Expr::col(("deliveries", "message_id")).equals(("message_history", "id")))
        .take();
    Query::select()
        .from("message_history")
        .and_where(Expr::exists(waiting).not())
        .order_by("created_at", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(limit as u64)
        .take()
}

/// The events in their order, cut where a message comes again.
fn rounds(events: &[MessageEvent]) -> Vec<Vec<&MessageEvent>> {
    let mut rounds: Vec<Vec<&MessageEvent>> = Vec::new();
    let mut seen = HashSet::new();
    for event in events {
        if !seen.insert(&event.message) {
            seen = HashSet::from([&event.message]);
            rounds.push(Vec::new());
        }
        match rounds.last_mut() {
            Some(round) => round.push(event),
            None => rounds.push(vec![event]),
        }
    }
    rounds
}

/// Notes events that lead to the same state.
fn record(state: MessageState, events: &[&MessageEvent]) -> UpdateStatement {
    // Both engines call the columns of such a list column1, column2 …
    let list = events.iter().map(|event| {
        let info = text_or_null(event.status_info.as_deref());
        ValueTuple::from((event.message.as_str(), info, event.at))
    });
    let at = || Expr::col(("event", "column3"));
    let none = Value::ChronoDateTimeUtc(None);
    let mut statement = Query::update();
    statement
        .table("message_history")
        .from(TableRef::ValuesList(list.collect(), "event".into()))
        .value("state", state.name())
        .value("status_info", Expr::col(("event", "column2")))
        .value("updated_at", at())
        .and_where(Expr::col(("message_history", "id")).equals(("event", "column1")));
    match state {
        MessageState::Queued => statement.value("failed_at", none),
        MessageState::Sent => {
            let first = Func::coalesce([Expr::col(("message_history", "sent_at")), at()]);
            statement.value("sent_at", first).value("failed_at", none)
        }
        MessageState::Failed => statement.value("failed_at", at()),
        MessageState::Unknown => &mut statement,
    };
    statement
}

fn condition(filter: &MessageFilter) -> Condition {
    let equal = |column: &'static str, value: Option<&str>| value.map(|value| Expr::col(column).eq(value));
    let seen = |column: &'static str, wanted: Option<bool>| {
        wanted.map(
            |wanted| {
                if wanted { Expr::col(column).is_not_null() } else { Expr::col(column).is_null() }
            },
        )
    };
    [
        equal("id", filter.id.as_ref().map(MessageId::as_str)),
        equal("external_id", filter.external_id.as_deref()),
        equal("list_id", filter.list.as_ref().map(ListId::as_str)),
        equal("contact_email", filter.contact_email.as_ref().map(EmailAddress::as_str)),
        equal("broadcast_id", filter.broadcast.as_ref().map(BroadcastId::as_str)),
        equal("template_id", filter.template.as_ref().map(TemplateId::as_str)),
        equal("state", filter.state.map(MessageState::name)),
        seen("sent_at", filter.is_sent),
        seen("delivered_at", filter.is_delivered),
        seen("failed_at", filter.is_failed),
        seen("opened_at", filter.is_opened),
        seen("clicked_at", filter.is_clicked),
        seen("bounced_at", filter.is_bounced),
        seen("complained_at", filter.is_complained),
        seen("unsubscribed_at", filter.is_unsubscribed),
        filter.sent_after.map(|at| Expr::col("sent_at").gte(at)),
        filter.sent_before.map(|at| Expr::col("sent_at").lte(at)),
        filter.updated_after.map(|at| Expr::col("updated_at").gte(at)),
        filter.updated_before.map(|at| Expr::col("updated_at").lte(at)),
    ]
    .into_iter()
    .fold(Condition::all(), Condition::add_option)
}

fn selection() -> SelectStatement {
    Query::select().columns(COLUMNS).from("message_history").take()
}

/// The values of [`COLUMNS`].
fn values(message: &Message) -> Result<[Value; 23], StoreError> {
    let metadata = message.metadata.as_ref().map(|metadata| to_json(metadata, "metadata")).transpose()?;
    Ok([
        message.id.as_str().into(),
        message.contact_email.as_str().into(),
        message.external_id.clone().into(),
        text_or_null(message.broadcast.as_ref().map(BroadcastId::as_str)),
        text_or_null(message.notification.as_ref().map(NotificationId::as_str)),
        text_or_null(message.list.as_ref().map(ListId::as_str)),
        message.template.as_str().into(),
        message.template_version.into(),
        message.state.name().into(),
        message.status_info.clone().into(),
        text_or_null(message.data.as_ref().map(Sealed::as_str)),
        metadata.into(),
        to_json(&message.options, "channel_options")?.into(),
        message.sent_at.into(),
        message.delivered_at.into(),
        message.failed_at.into(),
        message.opened_at.into(),
        message.clicked_at.into(),
        message.bounced_at.into(),
        message.complained_at.into(),
        message.unsubscribed_at.into(),
        message.created_at.into(),
        message.updated_at.into(),
    ])
}

fn message(row: &QueryResult) -> Result<Message, StoreError> {
    let metadata: Option<serde_json::Value> = row.field("metadata")?;
    Ok(Message {
        id: row.parsed("id", MessageId::parse)?,
        external_id: row.field("external_id")?,
        contact_email: row.parsed("contact_email", EmailAddress::parse)?,
        broadcast: parsed_if_any(row, "broadcast_id", BroadcastId::parse)?,
        notification: parsed_if_any(row, "transactional_notification_id", NotificationId::parse)?,
        list: parsed_if_any(row, "list_id", ListId::parse)?,
        template: row.parsed("template_id", TemplateId::parse)?,
        template_version: row.field("template_version")?,
        state: row.parsed("state", |name| MessageState::from_name(name).ok_or(()))?,
        status_info: row.field("status_info")?,
        data: row.field::<Option<String>>("message_data")?.map(Sealed::new),
        metadata: metadata.map(|json| from_json(json, "metadata")).transpose()?,
        options: row.json("channel_options")?,
        sent_at: row.field("sent_at")?,
        delivered_at: row.field("delivered_at")?,
        failed_at: row.field("failed_at")?,
        opened_at: row.field("opened_at")?,
        clicked_at: row.field("clicked_at")?,
        bounced_at: row.field("bounced_at")?,
        complained_at: row.field("complained_at")?,
        unsubscribed_at: row.field("unsubscribed_at")?,
        created_at: row.field("created_at")?,
        updated_at: row.field("updated_at")?,
    })
}

fn parsed_if_any<T, E>(
    row: &QueryResult,
    column: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.field(column)?;
    let value = text.map(|text| parse(&text)).transpose();
    value.map_err(|_| Failure::Unreadable(column.into()).into())
}
