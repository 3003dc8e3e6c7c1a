//! The queue: a delivery is waiting or claimed, and gone when it is done.

use super::expressions::{checked, constant, given, read_all, rows, rows_per_statement};
use crate::{
    failure::Failure,
    session::{Fields as _, Session},
};
use application::ports::{Claim, DeliveryStore, Settled, StoreError};
use async_trait::async_trait;
use domain::{
    Timestamp,
    deliveries::{Delivery, DeliverySource, Outcome},
    email_address::EmailAddress,
    ids::{BroadcastId, IntegrationId, ListId, MessageId, NotificationId, TemplateId},
};
use sea_orm::{
    DbBackend, QueryResult, Statement,
    sea_query::{
        CommonTableExpression, Expr, ExprTrait as _, LockBehavior, LockType, Order, Query, SelectStatement,
        TableRef, UpdateStatement, Value, ValueTuple, WithClause,
    },
};
use std::{
    cmp,
    collections::{BTreeSet, HashSet},
};
use uuid::Uuid;

const COLUMNS: [&str; 11] = [
    "message_id",
    "source_type",
    "source_id",
    "list_id",
    "recipient",
    "template_id",
    "template_version",
    "integration_id",
    "attempts",
    "due_at",
    "created_at",
];
const WAITING: &str = "waiting";
const CLAIMED: &str = "claimed";
const BEGUN: &str = "begun";
const ASIDE: &str = "aside";

#[async_trait]
impl DeliveryStore for Session {
    async fn insert_deliveries(&mut self, deliveries: &[Delivery]) -> Result<(), StoreError> {
        for deliveries in deliveries.chunks(rows_per_statement(COLUMNS.len() + 2)) {
            let mut statement = Query::insert();
            statement.into_table("deliveries").columns(COLUMNS.into_iter().chain(["priority", "state"]));
            for delivery in deliveries {
                statement.values_panic(values(delivery)?.map(Expr::val));
            }
            self.exec(&statement).await?;
        }
        Ok(())
    }

    async fn claim_deliveries(
        &mut self,
        limit: usize,
        except: &[IntegrationId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut sources = self.sources(except).await?;
        sources.retain(|source| source.first_due <= now);
        let mut claimed = Vec::new();
        while claimed.len() < limit {
            let Some(priority) = sources.first().map(|source| source.priority) else { break };
            // What a source does not use of its part is shared out in the next round.
            let mut round: Vec<Source> = Vec::new();
            while sources.first().is_some_and(|source| source.priority == priority) {
                round.push(sources.remove(0));
            }
            let mut left = round.len();
            let mut more = Vec::new();
            for source in round {
                let part = (limit - claimed.len()).div_ceil(left);
                left -= 1;
                if part == 0 {
                    break;
                }
                let taken = self.claim_of(&source, part, except, now, lease_until).await?;
                if taken.len() == part {
                    more.push(source);
                }
                claimed.extend(taken);
            }
            more.append(&mut sources);
            sources = more;
        }
        let place = |d: &Delivery| (d.source.priority(), d.due_at);
        claimed.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.message.cmp(&b.message)));
        Ok(claimed)
    }

    async fn begin_deliveries(&mut self, claims: &[Claim]) -> Result<Vec<MessageId>, StoreError> {
        let mut begun: HashSet<String> = HashSet::new();
        let attempts: BTreeSet<u32> = claims.iter().map(|claim| claim.attempts).collect();
        for attempts in attempts {
            let messages = claims.iter().filter(|c| c.attempts == attempts).map(|c| c.message.as_str());
            let mut statement = self.update_of(CLAIMED, messages);
            statement
                .value("state", BEGUN)
                .and_where(Expr::col("attempts").eq(attempts))
                .returning(Query::returning().column("message_id"));
            let rows = self.all(&statement).await?;
            begun.extend(read_all(&rows, |row| row.field("message_id"))?);
        }
        let messages = claims.iter().map(|claim| &claim.message);
        Ok(messages.filter(|message| begun.contains(message.as_str())).cloned().collect())
    }

    async fn release_lapsed(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let statement = Query::update()
            .table("deliveries")
            .value("state", WAITING)
            .value("lease_until", Value::ChronoDateTimeUtc(None))
            .and_where(is(CLAIMED))
            .and_where(Expr::col("lease_until").lte(now))
            .take();
        self.exec(&statement).await
    }

    async fn lapsed_deliveries(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        let query = Query::select()
            .columns(COLUMNS)
            .from("deliveries")
            .and_where(is(BEGUN))
            .and_where(Expr::col("lease_until").lte(now))
            .order_by("lease_until", Order::Asc)
            .order_by("message_id", Order::Asc)
            .limit(rows(limit as u64))
            .take();
        read_all(&self.all(&query).await?, delivery)
    }

    async fn settle_deliveries(&mut self, settled: &[Settled]) -> Result<Vec<MessageId>, StoreError> {
        // A delivery is settled once: the first word about it counts.
        let mut seen = HashSet::new();
        let settled: Vec<&Settled> = settled.iter().filter(|s| seen.insert(s.message.as_str())).collect();
        let mut ended: HashSet<String> = HashSet::new();
        let mut retries = Vec::new();
        let mut finished = Vec::new();
        for Settled { message, outcome } in &settled {
            match outcome {
                Outcome::Retry { at, .. } | Outcome::Halted { at, .. } => {
                    retries.push((message.as_str(), *at));
                }
                _ => finished.push(message.as_str()),
            }
        }
        for retries in retries.chunks(rows_per_statement(2)) {
            let rows = self.all(&retry(retries)).await?;
            ended.extend(read_all(&rows, |row| row.field("message_id"))?);
        }
        if !finished.is_empty() {
            let removal = Query::delete()
                .from_table("deliveries")
                .and_where(Expr::col("message_id").in_subquery(given(self.backend(), finished)))
                .and_where(checked("state").eq(BEGUN))
                .returning_col("message_id")
                .take();
            let rows = self.all(&removal).await?;
            ended.extend(read_all(&rows, |row| row.field("message_id"))?);
        }
        let messages = settled.into_iter().map(|s| &s.message);
        Ok(messages.filter(|message| ended.contains(message.as_str())).cloned().collect())
    }

    async fn hold_deliveries(
        &mut self,
        messages: &[MessageId],
        lease_until: Timestamp,
    ) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        for state in [CLAIMED, BEGUN] {
            let mut statement = self.update_of(state, messages.iter().map(MessageId::as_str));
            statement.value("lease_until", lease_until);
            self.exec(&statement).await?;
        }
        Ok(())
    }

    async fn release_deliveries(&mut self, messages: &[MessageId]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut statement = self.update_of(CLAIMED, messages.iter().map(MessageId::as_str));
        statement
            .value("state", WAITING)
            .value("lease_until", Value::ChronoDateTimeUtc(None))
            .value("attempts", Expr::col("attempts").sub(1));
        self.exec(&statement).await.map(drop)
    }

    async fn set_deliveries_aside(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError> {
        self.halt_queue().await?;
        let statement = Query::update()
            .table("deliveries")
            .value("state", ASIDE)
            .value("lease_until", Value::ChronoDateTimeUtc(None))
            .and_where(of(broadcast))
            .and_where(checked("state").is_in([WAITING, CLAIMED]))
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn set_retries_aside(&mut self, messages: &[MessageId]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut statement = self.update_of(WAITING, messages.iter().map(MessageId::as_str));
        statement.value("state", ASIDE);
        self.exec(&statement).await.map(drop)
    }

    async fn put_deliveries_back(&mut self, broadcast: &BroadcastId) -> Result<(), StoreError> {
        self.halt_queue().await?;
        let statement = Query::update()
            .table("deliveries")
            .value("state", WAITING)
            .and_where(of(broadcast))
            .and_where(is(ASIDE))
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn remove_deliveries(
        &mut self,
        broadcast: &BroadcastId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.halt_queue().await?;
        let chosen = Query::select()
            .column("message_id")
            .from("deliveries")
            .and_where(of(broadcast))
            .and_where(checked("state").is_in([WAITING, CLAIMED, ASIDE]))
            .limit(rows(limit as u64))
            .take();
        let removal = Query::delete()
            .from_table("deliveries")
            .and_where(Expr::col("message_id").in_subquery(chosen))
            .returning(Query::returning().columns(COLUMNS))
            .take();
        read_all(&self.all(&removal).await?, delivery)
    }

    async fn next_delivery_due(&mut self, except: &[IntegrationId]) -> Result<Option<Timestamp>, StoreError> {
        let mut next: Option<Timestamp> = None;
        for state in [CLAIMED, BEGUN] {
            let lapse = Query::select()
                .column("lease_until")
                .from("deliveries")
                .and_where(is(state))
                .and_where(Expr::col("lease_until").is_not_null())
                .order_by("lease_until", Order::Asc)
                .limit(1)
                .take();
            if let Some(row) = self.one(&lapse).await? {
                let lapses: Timestamp = row.field("lease_until")?;
                next = Some(next.map_or(lapses, |next| cmp::min(next, lapses)));
            }
        }
        let first = self.sources(except).await?.into_iter().map(|source| source.first_due).min();
        Ok(next.into_iter().chain(first).min())
    }
}

impl Session {
    /// The sources of waiting deliveries, by priority.
    async fn sources(&mut self, except: &[IntegrationId]) -> Result<Vec<Source>, StoreError> {
        let mut sources: Vec<Source> = Vec::new();
        while sources.len() < MOST_SOURCES
            && let Some(row) = self.one(&first_beyond(sources.last(), except)).await?
        {
            sources.push(Source {
                priority: row.field("priority")?,
                id: row.field("source_id")?,
                first_due: row.field("due_at")?,
            });
        }
        Ok(sources)
    }

    /// Claims due deliveries of one source.
    async fn claim_of(
        &mut self,
        source: &Source,
        limit: usize,
        except: &[IntegrationId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut due = Query::select();
        due.column("message_id")
            .from("deliveries")
            .and_where(is(WAITING))
            .and_where(Expr::col("priority").eq(source.priority))
            .and_where(Expr::col("source_id").eq(source.id.as_str()))
            .and_where(Expr::col("due_at").lte(now))
            .order_by("due_at", Order::Asc)
            .order_by("message_id", Order::Asc)
            .limit(rows(limit as u64))
            .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
        but(&mut due, except);
        // Named apart, the choice is made once; as a part of the condition a plan may repeat it.
        let due = CommonTableExpression::new().table_name("due").column("message_id").query(due).to_owned();
        let chosen = Query::select().column("message_id").from("due").take();
        let claim = Query::update()
            .table("deliveries")
            .value("state", CLAIMED)
            .value("lease_until", lease_until)
            .value("attempts", Expr::col("attempts").add(1))
            .and_where(Expr::col("message_id").in_subquery(chosen))
            .returning(Query::returning().columns(COLUMNS))
            .take()
            .with(WithClause::new().cte(due).to_owned());
        read_all(&self.all(&claim).await?, delivery)
    }

    /// Waits for units of work that change the queue to end, and keeps others from changing it until
    /// this one ends. What changes many deliveries at once would otherwise wait for rows of a unit that
    /// waits for its rows. To be called before this unit changes the queue itself.
    async fn halt_queue(&mut self) -> Result<(), StoreError> {
        // SQLite has one writer at a time.
        if self.backend() == DbBackend::Postgres {
            let lock = "LOCK TABLE deliveries IN SHARE ROW EXCLUSIVE MODE";
            self.exec_raw(Statement::from_string(DbBackend::Postgres, lock)).await?;
        }
        Ok(())
    }

    /// An update, without values yet, of those of the given deliveries that are in this state.
    fn update_of<'a>(
        &self,
        state: &'static str,
        messages: impl IntoIterator<Item = &'a str>,
    ) -> UpdateStatement {
        Query::update()
            .table("deliveries")
            .and_where(Expr::col("message_id").in_subquery(given(self.backend(), messages)))
            .and_where(checked("state").eq(state))
            .take()
    }
}

/// That a delivery belongs to this broadcast.
fn of(broadcast: &BroadcastId) -> Expr {
    Expr::col("source_type").eq("broadcast").and(Expr::col("source_id").eq(broadcast.as_str()))
}

/// A condition that finds the index of the deliveries in this state.
fn is(state: &'static str) -> Expr {
    Expr::col("state").eq(constant(state))
}

/// A source with waiting deliveries.
struct Source {
    priority: i16,
    id: String,
    /// When the first of them is due.
    first_due: Timestamp,
}

/// Sources looked at for one claim: more than a batch has no part for each.
const MOST_SOURCES: usize = 256;

/// The earliest waiting delivery of the first source behind one, found in the index of claims.
fn first_beyond(source: Option<&Source>, except: &[IntegrationId]) -> SelectStatement {
    let place = || Expr::tuple([Expr::col("priority"), Expr::col("source_id")]);
    let mut query = Query::select();
    query
        .columns(["priority", "source_id", "due_at"])
        .from("deliveries")
        .and_where(is(WAITING))
        .order_by("priority", Order::Asc)
        .order_by("source_id", Order::Asc)
        .order_by("due_at", Order::Asc)
        .limit(1);
    if let Some(source) = source {
        let behind = Expr::tuple([Expr::val(source.priority), Expr::val(source.id.as_str())]);
        query.and_where(place().gt(behind));
    }
    but(&mut query, except);
    query
}

/// Passes over the deliveries of some integrations.
fn but(query: &mut SelectStatement, except: &[IntegrationId]) {
    if !except.is_empty() {
        query.and_where(Expr::col("integration_id").is_not_in(except.iter().map(|id| id.uuid())));
    }
}

/// Lets begun deliveries wait again, each until its moment.
fn retry(retries: &[(&str, Timestamp)]) -> UpdateStatement {
    // Both engines call the columns of such a list column1, column2 …
    let list = retries.iter().map(|(message, at)| ValueTuple::from((*message, *at))).collect();
    Query::update()
        .table("deliveries")
        .from(TableRef::ValuesList(list, "retry".into()))
        .value("state", WAITING)
        .value("lease_until", Value::ChronoDateTimeUtc(None))
        .value("due_at", Expr::col(("retry", "column2")))
        .and_where(Expr::col(("deliveries", "message_id")).equals(("retry", "column1")))
        .and_where(checked(("deliveries", "state")).eq(BEGUN))
        .returning(Query::returning().column("message_id"))
        .take()
}

/// The values of [`COLUMNS`], the priority and the state of a delivery that waits.
fn values(delivery: &Delivery) -> Result<[Value; 13], StoreError> {
    let (kind, source, list) = match &delivery.source {
        DeliverySource::Transactional { notification } => ("transactional", notification.as_str(), None),
        DeliverySource::Broadcast { broadcast, list } => ("broadcast", broadcast.as_str(), Some(list)),
        DeliverySource::Subscription { list } => {
            ("subscription", list.as_ref().map_or("", ListId::as_str), list.as_ref())
        }
    };
    let attempts = i32::try_from(delivery.attempts).map_err(|_| Failure::Unwritable("attempts"))?;
    Ok([
        delivery.message.as_str().into(),
        kind.into(),
        source.into(),
        list.map(|list| list.as_str().to_owned()).into(),
        delivery.recipient.as_str().into(),
        delivery.template.as_str().into(),
        delivery.template_version.into(),
        delivery.integration.uuid().into(),
        attempts.into(),
        delivery.due_at.into(),
        delivery.created_at.into(),
        delivery.source.priority().into(),
        WAITING.into(),
    ])
}

fn delivery(row: &QueryResult) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        message: row.parsed("message_id", MessageId::parse)?,
        source: source(row)?,
        recipient: row.parsed("recipient", EmailAddress::parse)?,
        template: row.parsed("template_id", TemplateId::parse)?,
        template_version: row.field("template_version")?,
        integration: IntegrationId::from_uuid(row.field::<Uuid>("integration_id")?),
        attempts: row.field::<i32>("attempts")?.unsigned_abs(),
        due_at: row.field("due_at")?,
        created_at: row.field("created_at")?,
    })
}

fn source(row: &QueryResult) -> Result<DeliverySource, StoreError> {
    let kind: String = row.field("source_type")?;
    match kind.as_str() {
        "transactional" => Ok(DeliverySource::Transactional {
            notification: row.parsed("source_id", NotificationId::parse)?,
        }),
        "subscription" => {
            let list: Option<String> = row.field("list_id")?;
            let list = list.map(|_| row.parsed("list_id", ListId::parse)).transpose()?;
            Ok(DeliverySource::Subscription { list })
        }
        _ => Ok(DeliverySource::Broadcast {
            broadcast: row.parsed("source_id", BroadcastId::parse)?,
            list: row.parsed("list_id", ListId::parse)?,
        }),
    }
}
