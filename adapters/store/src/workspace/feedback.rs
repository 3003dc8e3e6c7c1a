//! What providers report about mails, and the addresses that get no newsletters any longer.

use super::expressions::{
    count_of_rows, counted, given, page_and_one, read_all, rows_per_statement, text_or_null,
};
use crate::{
    failure::Failure,
    session::{Fields as _, Session},
};
use application::{
    page::Page,
    ports::{FeedbackStore, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    feedback::{
        Bounce, BounceClass, Feedback, FeedbackCursor, FeedbackFilter, FeedbackKind, MessageMark,
        SuppressionReason,
    },
    ids::{FeedbackId, IntegrationId, MessageId},
    lists::MembershipStatus,
};
use sea_orm::{
    QueryResult,
    sea_query::{
        Condition, Expr, ExprTrait as _, Func, OnConflict, Order, Query, SelectStatement, TableRef,
        UpdateStatement, Value, ValueTuple,
    },
};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

const TABLE: &str = "inbound_webhook_events";

const COLUMNS: [&str; 14] = [
    "id",
    "type",
    "source",
    "integration_id",
    "recipient_email",
    "message_id",
    "bounce_class",
    "bounce_type",
    "bounce_category",
    "bounce_diagnostic",
    "complaint_feedback_type",
    "timestamp",
    "raw_payload",
    "created_at",
];

/// Moments of a message with their columns in a list of marks.
const MOMENTS: [(&str, &str); 4] = [
    ("delivered_at", "column3"),
    ("bounced_at", "column4"),
    ("complained_at", "column5"),
    ("unsubscribed_at", "column6"),
];

#[async_trait]
impl FeedbackStore for Session {
    async fn insert_feedback_if_absent(
        &mut self,
        feedback: &[Feedback],
    ) -> Result<Vec<FeedbackId>, StoreError> {
        let mut added = Vec::new();
        for feedback in feedback.chunks(rows_per_statement(COLUMNS.len())) {
            let mut statement = Query::insert();
            statement
                .into_table(TABLE)
                .columns(COLUMNS)
                .on_conflict(OnConflict::column("id").do_nothing().to_owned())
                .returning(Query::returning().column("id"));
            for report in feedback {
                statement.values_panic(values(report).map(Expr::val));
            }
            added.extend(read_all(&self.all(&statement).await?, |row| row.parsed("id", FeedbackId::parse))?);
        }
        Ok(added)
    }

    async fn mark_messages(&mut self, marks: &[MessageMark]) -> Result<(), StoreError> {
        for marks in marks.chunks(rows_per_statement(8)) {
            self.exec(&marked(marks)).await?;
        }
        Ok(())
    }

    async fn feedback_of(&mut self, messages: &[MessageId]) -> Result<Vec<Feedback>, StoreError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let ids = given(self.backend(), messages.iter().map(MessageId::as_str));
        let query = selection()
            .and_where(Expr::col("message_id").in_subquery(ids))
            .order_by("timestamp", Order::Asc)
            .order_by("id", Order::Asc)
            .take();
        read_all(&self.all(&query).await?, feedback)
    }

    async fn soft_bounces(&mut self, recipient: &EmailAddress) -> Result<u64, StoreError> {
        let delivered = Query::select()
            .expr_as(Func::max(Expr::col("timestamp")), "last")
            .from(TABLE)
            .and_where(Expr::col("recipient_email").eq(recipient.as_str()))
            .and_where(Expr::col("type").eq(FeedbackKind::Delivered.name()))
            .take();
        let last: Option<Timestamp> = match self.one(&delivered).await? {
            Some(row) => row.field("last")?,
            None => None,
        };
        let bounces = count_of_rows(&mut Query::select())
            .from(TABLE)
            .and_where(Expr::col("recipient_email").eq(recipient.as_str()))
            .and_where(Expr::col("type").eq("bounce"))
            .and_where(Expr::col("bounce_class").eq(BounceClass::Soft.name()))
            .and_where_option(last.map(|last| Expr::col("timestamp").gt(last)))
            .take();
        counted(self, &bounces).await
    }

    async fn feedback_after(
        &mut self,
        filter: &FeedbackFilter,
        after: Option<&FeedbackCursor>,
        size: usize,
    ) -> Result<Page<Feedback>, StoreError> {
        if filter.message.as_ref().is_some_and(|id| id.contains('\0')) {
            return Ok(Page::of(Vec::new(), size));
        }
        let equal = |column: &'static str, value: Option<&str>| value.map(|v| Expr::col(column).eq(v));
        let mut query = selection();
        query
            .and_where_option(equal("type", filter.kind))
            .and_where_option(equal("recipient_email", filter.recipient.as_ref().map(EmailAddress::as_str)))
            .and_where_option(equal("message_id", filter.message.as_deref()))
            .and_where_option(filter.after.map(|at| Expr::col("timestamp").gte(at)))
            .and_where_option(filter.before.map(|at| Expr::col("timestamp").lte(at)))
            .order_by("timestamp", Order::Desc)
            .order_by("id", Order::Desc)
            .limit(page_and_one(size));
        if let Some(cursor) = after {
            query.and_where(Expr::col("timestamp").lte(cursor.at)).cond_where(
                Condition::any()
                    .add(Expr::col("timestamp").lt(cursor.at))
                    .add(Expr::col("id").lt(cursor.id.to_string())),
            );
        }
        Ok(Page::of(read_all(&self.all(&query).await?, feedback)?, size))
    }

    async fn set_standing(
        &mut self,
        email: &EmailAddress,
        status: MembershipStatus,
        kept: &[MembershipStatus],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = Query::update()
            .table("contact_lists")
            .value("status", status.name())
            .value("updated_at", now)
            .and_where(Expr::col("email").eq(email.as_str()))
            .and_where(Expr::col("deleted_at").is_null())
            .and_where(Expr::col("status").is_not_in(kept.iter().map(|status| status.name())))
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn suppress(
        &mut self,
        email: &EmailAddress,
        reason: SuppressionReason,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut conflict = OnConflict::column("email_hash");
        match reason {
            SuppressionReason::Complained => conflict.update_column("reason"),
            SuppressionReason::Bounced => conflict.do_nothing(),
        };
        let statement = Query::insert()
            .into_table("suppressions")
            .columns(["email_hash", "reason", "created_at"])
            .values_panic([hash(email).into(), reason.name().into(), now.into()])
            .on_conflict(conflict)
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn suppressions(
        &mut self,
        emails: &[EmailAddress],
    ) -> Result<Vec<(EmailAddress, SuppressionReason)>, StoreError> {
        if emails.is_empty() {
            return Ok(Vec::new());
        }
        let hashes: HashMap<String, &EmailAddress> =
            emails.iter().map(|email| (hash(email), email)).collect();
        let wanted = given(self.backend(), hashes.keys().map(String::as_str));
        let query = Query::select()
            .columns(["email_hash", "reason"])
            .from("suppressions")
            .and_where(Expr::col("email_hash").in_subquery(wanted))
            .take();
        let mut found = Vec::new();
        for row in self.all(&query).await? {
            let known: String = row.field("email_hash")?;
            let reason = row.parsed("reason", |name| SuppressionReason::from_name(name).ok_or(()))?;
            found.extend(hashes.get(&known).map(|email| ((*email).clone(), reason)));
        }
        Ok(found)
    }

    async fn lift_suppression(&mut self, email: &EmailAddress) -> Result<bool, StoreError> {
        let statement = Query::delete()
            .from_table("suppressions")
            .and_where(Expr::col("email_hash").eq(hash(email)))
            .take();
        Ok(self.exec(&statement).await? > 0)
    }
}

/// What is kept of a suppressed address.
fn hash(email: &EmailAddress) -> String {
    hex::encode(Sha256::digest(email.as_str().as_bytes()))
}

/// Sets first moments of messages that have none.
fn marked(marks: &[MessageMark]) -> UpdateStatement {
    // Both engines call the columns of such a list column1, column2 …
    let list = marks.iter().map(|mark| {
        ValueTuple::Many(vec![
            mark.message.as_str().into(),
            mark.recipient.as_str().into(),
            mark.delivered_at.into(),
            mark.bounced_at.into(),
            mark.complained_at.into(),
            mark.unsubscribed_at.into(),
            text_or_null(mark.status_info.as_deref()),
            mark.at().into(),
        ])
    });
    let old = |column: &'static str| Expr::col(("message_history", column));
    let mark = |column: &'static str| Expr::col(("mark", column));
    let is_new = |moments: &[(&'static str, &'static str)]| {
        moments.iter().fold(Condition::any(), |any, (moment, given)| {
            any.add(old(moment).is_null().and(mark(given).is_not_null()))
        })
    };
    let told = Condition::all().add(is_new(&MOMENTS[1..3])).add(mark("column7").is_not_null());
    let mut statement = Query::update();
    statement
        .table("message_history")
        .from(TableRef::ValuesList(list.collect(), "mark".into()))
        .value("status_info", Expr::case(told, mark("column7")).finally(old("status_info")))
        .value(
            "updated_at",
            Expr::case(mark("column8").gt(old("updated_at")), mark("column8")).finally(old("updated_at")),
        )
        .and_where(old("id").eq(mark("column1")))
        .and_where(old("contact_email").eq(mark("column2")))
        .cond_where(is_new(&MOMENTS));
    for (moment, given) in MOMENTS {
        statement.value(moment, Func::coalesce([old(moment), mark(given)]));
    }
    statement
}

fn selection() -> SelectStatement {
    Query::select().columns(COLUMNS).from(TABLE).take()
}

/// The values of [`COLUMNS`].
fn values(report: &Feedback) -> [Value; 14] {
    let bounce = report.kind.bounce();
    let complaint = match &report.kind {
        FeedbackKind::Complained { feedback_type } => Some(feedback_type.as_str()),
        _ => None,
    };
    [
        report.id.to_string().into(),
        report.kind.name().into(),
        report.source.as_str().into(),
        report.integration.map(|id| id.to_string()).into(),
        report.recipient.as_str().into(),
        report.message.clone().into(),
        text_or_null(bounce.map(|bounce| bounce.class.name())),
        text_or_null(bounce.map(|bounce| bounce.kind.as_str())),
        text_or_null(bounce.map(|bounce| bounce.category.as_str())),
        text_or_null(bounce.map(|bounce| bounce.diagnostic.as_str())),
        text_or_null(complaint),
        report.at.into(),
        report.payload.as_str().into(),
        report.created_at.into(),
    ]
}

fn feedback(row: &QueryResult) -> Result<Feedback, StoreError> {
    let text = |column: &'static str| row.field::<Option<String>>(column).map(Option::unwrap_or_default);
    let name: String = row.field("type")?;
    let kind = match name.as_str() {
        "delivered" => FeedbackKind::Delivered,
        "bounce" => FeedbackKind::Bounced(Bounce {
            class: row.parsed("bounce_class", |name| BounceClass::from_name(name).ok_or(()))?,
            kind: text("bounce_type")?,
            category: text("bounce_category")?,
            diagnostic: text("bounce_diagnostic")?,
        }),
        "complaint" => FeedbackKind::Complained { feedback_type: text("complaint_feedback_type")? },
        "unsubscribe" => FeedbackKind::Unsubscribed,
        _ => return Err(Failure::Unreadable("type".into()).into()),
    };
    let integration: Option<String> = row.field("integration_id")?;
    let integration = integration.map(|id| IntegrationId::parse(&id)).transpose();
    Ok(Feedback {
        id: row.parsed("id", FeedbackId::parse)?,
        kind,
        source: row.field("source")?,
        integration: integration.map_err(|_| Failure::Unreadable("integration_id".into()))?,
        recipient: row.parsed("recipient_email", EmailAddress::parse)?,
        message: row.field("message_id")?,
        at: row.field("timestamp")?,
        payload: row.field("raw_payload")?,
        created_at: row.field("created_at")?,
    })
}
