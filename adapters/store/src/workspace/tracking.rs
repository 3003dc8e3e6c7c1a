//! Opens and clicks, and what of them is counted for broadcasts.

use super::expressions::{given, read_all, rows, rows_per_statement};
use crate::session::{Fields as _, Session};
use application::ports::{StoreError, TrackingStore};
use async_trait::async_trait;
use domain::{
    Timestamp,
    ids::{BroadcastId, MessageId},
    tracking::{Actor, Engagement, EngagementKey, EngagementKind, LinkClicks, added_up},
};
use sea_orm::{
    QueryResult,
    sea_query::{
        Expr, ExprTrait as _, Func, OnConflict, Order, Query, SelectStatement, TableRef, UpdateStatement,
        ValueTuple,
    },
};
use std::{
    cmp,
    collections::{BTreeMap, HashMap, HashSet},
};

const COLUMNS: [&str; 7] = ["message_id", "kind", "actor", "link", "count", "first_at", "last_at"];

/// Broadcasts of known messages; `None` for a message that is part of none.
type Known = HashMap<MessageId, Option<BroadcastId>>;

/// First moments of messages.
type Firsts = BTreeMap<MessageId, Timestamp>;

#[async_trait]
impl TrackingStore for Session {
    async fn record_engagements(&mut self, engagements: &[Engagement]) -> Result<(), StoreError> {
        let engagements = added_up(engagements);
        let known = self.known(&engagements).await?;
        let engagements: Vec<_> =
            engagements.into_iter().filter(|engagement| known.contains_key(&engagement.message)).collect();
        let mut new = HashSet::new();
        for engagements in engagements.chunks(rows_per_statement(COLUMNS.len())) {
            let inserted = self.insert_engagements(engagements).await?;
            let again: Vec<_> = engagements.iter().filter(|e| !inserted.contains(&e.key())).collect();
            if !again.is_empty() {
                self.exec(&repeated(&again)).await?;
            }
            new.extend(inserted);
        }
        self.note_firsts(&engagements).await?;
        self.count_engaged(&engagements, &known, &new).await?;
        self.count_clicks(&engagements, &known, &new).await
    }

    async fn apply_early_engagements(&mut self, messages: &[MessageId]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let ids = given(self.backend(), messages.iter().map(MessageId::as_str));
        let query = selection().and_where(Expr::col("message_id").in_subquery(ids)).take();
        let early = read_all(&self.all(&query).await?, engagement)?;
        self.note_firsts(&early).await
    }

    async fn engagements(&mut self, message: &MessageId, most: usize) -> Result<Vec<Engagement>, StoreError> {
        let query = selection()
            .and_where(Expr::col("message_id").eq(message.as_str()))
            .order_by("first_at", Order::Asc)
            .order_by("kind", Order::Asc)
            .order_by("actor", Order::Asc)
            .order_by("link", Order::Asc)
            .limit(rows(most as u64))
            .take();
        read_all(&self.all(&query).await?, engagement)
    }

    async fn link_clicks_after(
        &mut self,
        broadcast: &BroadcastId,
        after: Option<&str>,
        size: usize,
    ) -> Result<Vec<LinkClicks>, StoreError> {
        let query = Query::select()
            .columns(["link", "messages", "clicks", "machine_clicks"])
            .from("broadcast_links")
            .and_where(Expr::col("broadcast_id").eq(broadcast.as_str()))
            .and_where_option(after.map(|after| Expr::col("link").gt(after)))
            .order_by("link", Order::Asc)
            .limit(rows(size as u64))
            .take();
        read_all(&self.all(&query).await?, |row| {
            Ok(LinkClicks {
                link: row.field("link")?,
                messages: row.field::<i64>("messages")?.unsigned_abs(),
                clicks: row.field::<i64>("clicks")?.unsigned_abs(),
                machine_clicks: row.field::<i64>("machine_clicks")?.unsigned_abs(),
            })
        })
    }
}

impl Session {
    /// Which messages are in the history, or planned and about to come into it.
    async fn known(&mut self, engagements: &[Engagement]) -> Result<Known, StoreError> {
        let mut known = Known::new();
        for (table, id) in [("message_history", "id"), ("broadcast_recipients", "message_id")] {
            let missing = engagements.iter().map(|e| &e.message).filter(|id| !known.contains_key(*id));
            let missing: HashSet<_> = missing.map(MessageId::as_str).collect();
            if missing.is_empty() {
                break;
            }
            let query = Query::select()
                .expr_as(Expr::col(id), "id")
                .column("broadcast_id")
                .from(table)
                .and_where(Expr::col(id).in_subquery(given(self.backend(), missing)))
                .take();
            for row in self.all(&query).await? {
                let broadcast: Option<String> = row.field("broadcast_id")?;
                let broadcast = broadcast.and_then(|id| BroadcastId::parse(&id).ok());
                known.insert(row.parsed("id", MessageId::parse)?, broadcast);
            }
        }
        Ok(known)
    }

    /// Adds engagements that are not there. Answers which.
    async fn insert_engagements(
        &mut self,
        engagements: &[Engagement],
    ) -> Result<HashSet<EngagementKey>, StoreError> {
        let key = ["message_id", "kind", "actor", "link"];
        let mut statement = Query::insert();
        statement
            .into_table("message_engagements")
            .columns(COLUMNS)
            .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
            .returning(Query::returning().columns(COLUMNS));
        for engagement in engagements {
            statement.values_panic([
                engagement.message.as_str().into(),
                engagement.kind.name().into(),
                engagement.actor.name().into(),
                engagement.link.as_str().into(),
                number(engagement.count).into(),
                engagement.first_at.into(),
                engagement.last_at.into(),
            ]);
        }
        let rows = self.all(&statement).await?;
        rows.iter().map(|row| Ok(engagement(row)?.key())).collect()
    }

    /// Sets the first moments of messages that have none.
    async fn note_firsts(&mut self, engagements: &[Engagement]) -> Result<(), StoreError> {
        let (mut opened, mut clicked) = (Firsts::new(), Firsts::new());
        for engagement in engagements.iter().filter(|engagement| engagement.actor.counts()) {
            let note = |firsts: &mut Firsts| {
                let first = firsts.entry(engagement.message.clone()).or_insert(engagement.first_at);
                *first = cmp::min(*first, engagement.first_at);
            };
            note(&mut opened);
            if engagement.kind == EngagementKind::Clicked {
                note(&mut clicked);
            }
        }
        for (column, firsts) in [("opened_at", opened), ("clicked_at", clicked)] {
            let firsts: Vec<_> = firsts.into_iter().collect();
            for firsts in firsts.chunks(rows_per_statement(2)) {
                self.exec(&first(column, firsts)).await?;
            }
        }
        Ok(())
    }

    /// Counts messages that were opened or clicked by a kind of actor for the first time.
    async fn count_engaged(
        &mut self,
        engagements: &[Engagement],
        known: &Known,
        new: &HashSet<EngagementKey>,
    ) -> Result<(), StoreError> {
        let mut sums = BTreeMap::<(&BroadcastId, &'static str), i64>::new();
        let mut clicked = Vec::new();
        for engagement in engagements.iter().filter(|engagement| new.contains(&engagement.key())) {
            let Some(Some(broadcast)) = known.get(&engagement.message) else { continue };
            let counter = match (engagement.kind, engagement.actor) {
                (EngagementKind::Opened, Actor::Proxy) => "proxy_opened",
                (EngagementKind::Opened, Actor::Machine) => "machine_opened",
                (EngagementKind::Clicked, Actor::Machine) => {
                    clicked.push(engagement);
                    continue;
                }
                _ => continue,
            };
            *sums.entry((broadcast, counter)).or_default() += 1;
        }
        // A message counts once, however many of its links a machine follows.
        for message in self.first_followed(&clicked).await? {
            if let Some(Some(broadcast)) = known.get(&message) {
                *sums.entry((broadcast, "machine_clicked")).or_default() += 1;
            }
        }
        for ((broadcast, counter), sum) in sums {
            let added = Expr::col(("broadcast_stats", counter)).add(Expr::val(sum));
            let statement = Query::insert()
                .into_table("broadcast_stats")
                .columns(["broadcast_id", counter])
                .values_panic([broadcast.as_str().into(), sum.into()])
                .on_conflict(OnConflict::column("broadcast_id").value(counter, added).to_owned())
                .take();
            self.exec(&statement).await?;
        }
        Ok(())
    }

    /// Those messages whose links a machine has followed only in these engagements.
    async fn first_followed(&mut self, clicked: &[&Engagement]) -> Result<HashSet<MessageId>, StoreError> {
        let mut links = BTreeMap::<&MessageId, i64>::new();
        for engagement in clicked {
            *links.entry(&engagement.message).or_default() += 1;
        }
        if links.is_empty() {
            return Ok(HashSet::new());
        }
        let ids = given(self.backend(), links.keys().map(|id| id.as_str()));
        let query = Query::select()
            .column("message_id")
            .expr_as(Func::count(Expr::col("link")), "links")
            .from("message_engagements")
            .and_where(Expr::col("message_id").in_subquery(ids))
            .and_where(Expr::col("kind").eq(EngagementKind::Clicked.name()))
            .and_where(Expr::col("actor").eq(Actor::Machine.name()))
            .group_by_col("message_id")
            .take();
        let mut first = HashSet::new();
        for row in self.all(&query).await? {
            let message = row.parsed("message_id", MessageId::parse)?;
            if links.get(&message).is_some_and(|new| row.field::<i64>("links").is_ok_and(|all| all == *new)) {
                first.insert(message);
            }
        }
        Ok(first)
    }

    /// Counts how often the links of broadcasts were followed.
    async fn count_clicks(
        &mut self,
        engagements: &[Engagement],
        known: &Known,
        new: &HashSet<EngagementKey>,
    ) -> Result<(), StoreError> {
        let mut sums = BTreeMap::<(&BroadcastId, &str), [i64; 3]>::new();
        for engagement in engagements.iter().filter(|e| e.kind == EngagementKind::Clicked) {
            let Some(Some(broadcast)) = known.get(&engagement.message) else { continue };
            let sum = sums.entry((broadcast, engagement.link.as_str())).or_default();
            if engagement.actor.counts() {
                sum[0] += i64::from(new.contains(&engagement.key()));
                sum[1] += number(engagement.count);
            } else {
                sum[2] += number(engagement.count);
            }
        }
        let counters = ["messages", "clicks", "machine_clicks"];
        let added = |counter: &'static str| {
            let given = Expr::col(("excluded", counter));
            (counter, Expr::col(("broadcast_links", counter)).add(given))
        };
        let conflict = OnConflict::columns(["broadcast_id", "link"]).values(counters.map(added)).to_owned();
        let sums: Vec<_> = sums.into_iter().collect();
        for sums in sums.chunks(rows_per_statement(5)) {
            let mut statement = Query::insert();
            statement
                .into_table("broadcast_links")
                .columns(["broadcast_id", "link"].into_iter().chain(counters))
                .on_conflict(conflict.clone());
            for ((broadcast, link), [messages, clicks, machine_clicks]) in sums {
                statement.values_panic([
                    broadcast.as_str().into(),
                    (*link).into(),
                    (*messages).into(),
                    (*clicks).into(),
                    (*machine_clicks).into(),
                ]);
            }
            self.exec(&statement).await?;
        }
        Ok(())
    }
}

/// Adds to engagements that are there.
fn repeated(engagements: &[&Engagement]) -> UpdateStatement {
    // Both engines call the columns of such a list column1, column2 …
    let list = engagements.iter().map(|engagement| {
        let (kind, actor) = (engagement.kind.name(), engagement.actor.name());
        ValueTuple::Many(vec![
            engagement.message.as_str().into(),
            kind.into(),
            actor.into(),
            engagement.link.as_str().into(),
            number(engagement.count).into(),
            engagement.first_at.into(),
            engagement.last_at.into(),
        ])
    });
    let old = |column: &'static str| Expr::col(("message_engagements", column));
    let given = |column: &'static str| Expr::col(("again", column));
    let mut statement = Query::update();
    statement
        .table("message_engagements")
        .from(TableRef::ValuesList(list.collect(), "again".into()))
        .value("count", old("count").add(given("column5")))
        .value(
            "first_at",
            Expr::case(given("column6").lt(old("first_at")), given("column6")).finally(old("first_at")),
        )
        .value(
            "last_at",
            Expr::case(given("column7").gt(old("last_at")), given("column7")).finally(old("last_at")),
        );
    for (column, other) in
        [("message_id", "column1"), ("kind", "column2"), ("actor", "column3"), ("link", "column4")]
    {
        statement.and_where(old(column).eq(given(other)));
    }
    statement
}

/// Sets a moment of messages that have none.
fn first(column: &'static str, firsts: &[(MessageId, Timestamp)]) -> UpdateStatement {
    let list = firsts.iter().map(|(message, at)| ValueTuple::from((message.as_str(), *at)));
    Query::update()
        .table("message_history")
        .from(TableRef::ValuesList(list.collect(), "first".into()))
        .value(column, Expr::col(("first", "column2")))
        .value("updated_at", Expr::col(("first", "column2")))
        .and_where(Expr::col(("message_history", "id")).equals(("first", "column1")))
        .and_where(Expr::col(("message_history", column)).is_null())
        .take()
}

/// A counter as the engines take it.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn selection() -> SelectStatement {
    Query::select().columns(COLUMNS).from("message_engagements").take()
}

fn engagement(row: &QueryResult) -> Result<Engagement, StoreError> {
    Ok(Engagement {
        message: row.parsed("message_id", MessageId::parse)?,
        kind: row.parsed("kind", |name| EngagementKind::from_name(name).ok_or(()))?,
        actor: row.parsed("actor", |name| Actor::from_name(name).ok_or(()))?,
        link: row.field("link")?,
        count: row.field::<i64>("count")?.unsigned_abs(),
        first_at: row.field("first_at")?,
        last_at: row.field("last_at")?,
    })
}
