//! The lines of accounts and what they add up to.

use crate::{
    session::{Fields as _, Session},
    workspace::expressions::{
        checked, constant, count, count_of_rows, given, page_and_one, read_all, rows, rows_per_statement,
        text_or_null,
    },
};
use application::{
    page::Page,
    ports::{AccountLine, StoreError},
};
use domain::{
    broadcasts::{Audit, Ledger, Recipient, RecipientState, SkipReason, VariationResult},
    email_address::EmailAddress,
    ids::{BroadcastId, ListId, MessageId},
};
use sea_orm::{
    QueryResult,
    sea_query::{
        CaseStatement, Expr, ExprTrait as _, OnConflict, Order, Query, SelectStatement, TableRef, UnionType,
        Value, ValueTuple,
    },
};
use std::collections::{BTreeMap, HashSet};

const COLUMNS: [&str; 9] = [
    "broadcast_id",
    "contact_email",
    "list_id",
    "variation",
    "in_test",
    "message_id",
    "state",
    "skip_reason",
    "planned_at",
];
/// In the place of a state: how many were planned.
const PLANNED: &str = "+planned";
/// In the place of a state: mails being handed over.
const BEGUN: &str = "+begun";
/// In the place of a state: mails in the queue.
const IN_QUEUE: &str = "+in_queue";

pub(super) async fn insert_if_absent(
    session: &mut Session,
    recipients: &[Recipient],
) -> Result<Vec<MessageId>, StoreError> {
    let mut added = HashSet::new();
    for recipients in recipients.chunks(rows_per_statement(COLUMNS.len())) {
        let mut statement = Query::insert();
        statement
            .into_table("broadcast_recipients")
            .columns(COLUMNS)
            .on_conflict(OnConflict::columns(["broadcast_id", "contact_email"]).do_nothing().to_owned())
            .returning_col("message_id");
        for recipient in recipients {
            statement.values_panic(values(recipient).map(Expr::val));
        }
        for row in session.all(&statement).await? {
            added.insert(row.field::<String>("message_id")?);
        }
    }
    let messages = recipients.iter().map(|recipient| &recipient.message);
    Ok(messages.filter(|message| added.contains(message.as_str())).cloned().collect())
}

pub(super) async fn set_states(
    session: &mut Session,
    states: &[(BroadcastId, MessageId, RecipientState)],
) -> Result<(), StoreError> {
    let last: BTreeMap<(&BroadcastId, &MessageId), RecipientState> =
        states.iter().map(|(broadcast, message, state)| ((broadcast, message), *state)).collect();
    let mut alike: BTreeMap<(&BroadcastId, RecipientState), Vec<&str>> = BTreeMap::new();
    for ((broadcast, message), state) in last {
        alike.entry((broadcast, state)).or_default().push(message.as_str());
    }
    for ((broadcast, state), messages) in alike {
        let statement = Query::update()
            .table("broadcast_recipients")
            .value("state", state.name())
            .value("skip_reason", text_or_null(state.skip_reason().map(SkipReason::name)))
            .and_where(Expr::col("message_id").in_subquery(given(session.backend(), messages)))
            .and_where(checked("broadcast_id").eq(broadcast.as_str()))
            .take();
        session.exec(&statement).await?;
    }
    Ok(())
}

pub(super) async fn cancel(session: &mut Session, broadcast: &BroadcastId) -> Result<(), StoreError> {
    let in_queue = Query::select()
        .column("message_id")
        .from("deliveries")
        .and_where(Expr::col("source_id").eq(broadcast.as_str()))
        .take();
    let statement = Query::update()
        .table("broadcast_recipients")
        .value("state", RecipientState::Cancelled.name())
        .and_where(Expr::col("broadcast_id").eq(broadcast.as_str()))
        .and_where(Expr::col("state").eq(RecipientState::Queued.name()))
        .and_where(Expr::col("message_id").not_in_subquery(in_queue))
        .take();
    session.exec(&statement).await.map(drop)
}

pub(super) async fn after(
    session: &mut Session,
    broadcast: &BroadcastId,
    state: Option<&'static str>,
    after: Option<&EmailAddress>,
    size: usize,
) -> Result<Page<AccountLine>, StoreError> {
    let line = |column| Expr::col(("broadcast_recipients", column));
    let query = Query::select()
        .columns(COLUMNS.map(|column| ("broadcast_recipients", column)))
        .column(("message_history", "status_info"))
        .from("broadcast_recipients")
        .left_join(
            "message_history",
            Expr::col(("message_history", "id")).equals(("broadcast_recipients", "message_id")),
        )
        .and_where(line("broadcast_id").eq(broadcast.as_str()))
        .and_where_option(state.map(|state| line("state").eq(state)))
        .and_where_option(after.map(|after| line("contact_email").gt(after.as_str())))
        .order_by(("broadcast_recipients", "contact_email"), Order::Asc)
        .limit(page_and_one(size))
        .take();
    let lines = read_all(&session.all(&query).await?, |row| {
        Ok(AccountLine { recipient: recipient(row)?, status_info: row.field("status_info")? })
    })?;
    Ok(Page::of(lines, size))
}

pub(super) async fn failed_after(
    session: &mut Session,
    broadcast: &BroadcastId,
    unknown: bool,
    after: Option<&EmailAddress>,
    size: usize,
) -> Result<Vec<Recipient>, StoreError> {
    let query = Query::select()
        .columns(COLUMNS)
        .from("broadcast_recipients")
        .and_where(Expr::col("broadcast_id").eq(broadcast.as_str()))
        .and_where(Expr::col("state").is_in(over(unknown)))
        .and_where_option(after.map(|after| Expr::col("contact_email").gt(after.as_str())))
        .order_by("contact_email", Order::Asc)
        .limit(rows(size as u64))
        .take();
    read_all(&session.all(&query).await?, recipient)
}

pub(super) async fn requeue(
    session: &mut Session,
    lines: &[Recipient],
) -> Result<Vec<MessageId>, StoreError> {
    let mut taken: HashSet<String> = HashSet::new();
    for alike in lines.chunk_by(|a, b| a.broadcast == b.broadcast) {
        for lines in alike.chunks(rows_per_statement(2)) {
            let values =
                lines.iter().map(|line| ValueTuple::from((line.email.as_str(), line.message.as_str())));
            let statement = Query::update()
                .table("broadcast_recipients")
                .from(TableRef::ValuesList(values.collect(), "anew".into()))
                .value("message_id", Expr::col(("anew", "column2")))
                .value("state", RecipientState::Queued.name())
                .and_where(
                    Expr::col(("broadcast_recipients", "broadcast_id")).eq(lines[0].broadcast.as_str()),
                )
                .and_where(Expr::col(("broadcast_recipients", "contact_email")).equals(("anew", "column1")))
                .and_where(checked(("broadcast_recipients", "state")).is_in(over(true)))
                .returning(Query::returning().column(("broadcast_recipients", "message_id")))
                .take();
            let rows = session.all(&statement).await?;
            taken.extend(read_all(&rows, |row| row.field("message_id"))?);
        }
    }
    let messages = lines.iter().map(|line| &line.message);
    Ok(messages.filter(|message| taken.contains(message.as_str())).cloned().collect())
}

pub(super) async fn ledger(session: &mut Session, broadcast: &BroadcastId) -> Result<Ledger, StoreError> {
    read(session, &counts(broadcast)).await.map(|audit| audit.ledger)
}

pub(super) async fn audit(session: &mut Session, broadcast: &BroadcastId) -> Result<Audit, StoreError> {
    let in_queue = mails(broadcast, IN_QUEUE);
    read(session, counts(broadcast).union(UnionType::All, in_queue)).await
}

/// One statement, so that all numbers are of one moment.
fn counts(broadcast: &BroadcastId) -> SelectStatement {
    let planned = Query::select()
        .expr_as(Expr::col("enqueued_count"), "count")
        .expr(constant(PLANNED))
        .expr(Expr::cust("NULL"))
        .from("broadcasts")
        .and_where(Expr::col("id").eq(broadcast.as_str()))
        .take();
    let mut begun = mails(broadcast, BEGUN);
    begun
        .and_where(Expr::col("state").eq(constant("begun")))
        .and_where(Expr::col("lease_until").is_not_null());
    count_of_rows(&mut Query::select())
        .columns(["state", "skip_reason"])
        .from("broadcast_recipients")
        .and_where(Expr::col("broadcast_id").eq(broadcast.as_str()))
        .group_by_columns(["state", "skip_reason"])
        .union(UnionType::All, planned)
        .union(UnionType::All, begun)
        .take()
}

/// How many mails of a broadcast are in the queue.
fn mails(broadcast: &BroadcastId, name: &'static str) -> SelectStatement {
    count_of_rows(&mut Query::select())
        .expr(constant(name))
        .expr(Expr::cust("NULL"))
        .from("deliveries")
        .and_where(Expr::col("source_type").eq("broadcast"))
        .and_where(Expr::col("source_id").eq(broadcast.as_str()))
        .take()
}

async fn read(session: &mut Session, query: &SelectStatement) -> Result<Audit, StoreError> {
    let mut audit = Audit::default();
    let mut begun = 0;
    for row in session.all(query).await? {
        let number = count(&row)?;
        match row.field::<String>("state")?.as_str() {
            PLANNED => audit.ledger.planned = number,
            BEGUN => begun = number,
            IN_QUEUE => audit.in_queue = number,
            _ => audit.ledger.add(state(&row)?, number),
        }
    }
    audit.ledger.begin(begun);
    Ok(audit)
}

pub(super) async fn variation_results(
    session: &mut Session,
    broadcast: &BroadcastId,
) -> Result<Vec<VariationResult>, StoreError> {
    let line = |column| Expr::col(("broadcast_recipients", column));
    let noted = |column| Expr::col(("message_history", column)).count();
    let sent = CaseStatement::new().case(line("state").eq(RecipientState::Sent.name()), Expr::cust("1"));
    let query = count_of_rows(&mut Query::select())
        .column(("broadcast_recipients", "variation"))
        .expr_as(Expr::Case(Box::new(sent)).count(), "sent")
        .expr_as(noted("delivered_at"), "delivered")
        .expr_as(noted("opened_at"), "opened")
        .expr_as(noted("clicked_at"), "clicked")
        .from("broadcast_recipients")
        .left_join(
            "message_history",
            Expr::col(("message_history", "id")).equals(("broadcast_recipients", "message_id")),
        )
        .and_where(line("broadcast_id").eq(broadcast.as_str()))
        .and_where(line("in_test").eq(true))
        .group_by_col(("broadcast_recipients", "variation"))
        .order_by(("broadcast_recipients", "variation"), Order::Asc)
        .take();
    read_all(&session.all(&query).await?, |row| {
        let number = |column| row.field::<i64>(column).map(i64::unsigned_abs);
        Ok(VariationResult {
            variation: u8::try_from(row.field::<i16>("variation")?).unwrap_or_default(),
            recipients: count(row)?,
            sent: number("sent")?,
            delivered: number("delivered")?,
            opened: number("opened")?,
            clicked: number("clicked")?,
        })
    })
}

fn over(unknown: bool) -> impl Iterator<Item = &'static str> {
    let failed = [RecipientState::Failed.name()].into_iter();
    failed.chain(unknown.then_some(RecipientState::Unknown.name()))
}

fn values(recipient: &Recipient) -> [Value; 9] {
    [
        recipient.broadcast.as_str().into(),
        recipient.email.as_str().into(),
        recipient.list.as_str().into(),
        i16::from(recipient.variation).into(),
        recipient.in_test.into(),
        recipient.message.as_str().into(),
        recipient.state.name().into(),
        text_or_null(recipient.state.skip_reason().map(SkipReason::name)),
        recipient.planned_at.into(),
    ]
}

fn recipient(row: &QueryResult) -> Result<Recipient, StoreError> {
    Ok(Recipient {
        broadcast: row.parsed("broadcast_id", BroadcastId::parse)?,
        email: row.parsed("contact_email", EmailAddress::parse)?,
        list: row.parsed("list_id", ListId::parse)?,
        variation: u8::try_from(row.field::<i16>("variation")?).unwrap_or_default(),
        in_test: row.field("in_test")?,
        message: row.parsed("message_id", MessageId::parse)?,
        state: state(row)?,
        planned_at: row.field("planned_at")?,
    })
}

fn state(row: &QueryResult) -> Result<RecipientState, StoreError> {
    let reason: Option<String> = row.field("skip_reason")?;
    row.parsed("state", |name| RecipientState::from_names(name, reason.as_deref()).ok_or(()))
}
