//! Contacts: one column for each field.

use super::expressions::{
    checked, constant, count_of_rows, counted, given, holds, page_and_one, read_all, rows_per_statement,
};
use crate::session::{Fields as _, Session, to_json};
use application::{
    page::Page,
    ports::{ContactStore, StoreError},
};
use async_trait::async_trait;
use domain::{
    Timestamp,
    broadcasts::{RecipientState, SkipReason},
    contacts::{
        Contact, ContactCursor, ContactField, ContactFilter, ContactPatch, FieldKind, FieldValue,
        UpsertAction,
    },
    email_address::EmailAddress,
    transactional::EmailOptions,
};
use sea_orm::{
    DbBackend, QueryResult,
    sea_query::{
        BinOper, Condition, Expr, ExprTrait as _, InsertStatement, JoinType, OnConflict, Order, Query,
        SelectStatement, Value,
    },
};
use std::collections::{BTreeMap, HashSet};

/// The part of an address that stands in place of a deleted contact's, behind the message.
const REDACTED: &str = "@deleted.invalid";

#[async_trait]
impl ContactStore for Session {
    async fn contact(&mut self, email: &EmailAddress) -> Result<Option<Contact>, StoreError> {
        let query = selection().and_where(Expr::col("email").eq(email.as_str())).take();
        self.one(&query).await?.map(|row| contact(&row)).transpose()
    }

    async fn contact_by_external_id(&mut self, external_id: &str) -> Result<Option<Contact>, StoreError> {
        if external_id.contains('\0') {
            return Ok(None);
        }
        let query = selection()
            .and_where(Expr::col("external_id").eq(external_id))
            .order_by("created_at", Order::Asc)
            .order_by("email", Order::Asc)
            .limit(1)
            .take();
        self.one(&query).await?.map(|row| contact(&row)).transpose()
    }

    async fn contacts(&mut self, emails: &[EmailAddress]) -> Result<Vec<Contact>, StoreError> {
        if emails.is_empty() {
            return Ok(Vec::new());
        }
        let emails = given(self.backend(), emails.iter().map(EmailAddress::as_str));
        let query = selection().and_where(Expr::col("email").in_subquery(emails)).take();
        read_all(&self.all(&query).await?, contact)
    }

    async fn upsert_contacts(
        &mut self,
        patches: &[ContactPatch],
        now: Timestamp,
    ) -> Result<Vec<UpsertAction>, StoreError> {
        // Rows are locked in the order of their addresses, so that two imports never wait for each
        // other. Patches of several shapes need several statements: a first one locks all rows.
        let mut sorted: Vec<&ContactPatch> = patches.iter().collect();
        sorted.sort_by(|a, b| a.email.cmp(&b.email));
        let mut shapes: BTreeMap<Vec<ContactField>, Vec<&ContactPatch>> = BTreeMap::new();
        for patch in &sorted {
            shapes.entry(patch.changes.keys().copied().collect()).or_default().push(patch);
        }
        let mut created = HashSet::new();
        if shapes.len() > 1 {
            created = write(self, &[], &sorted, now).await?;
            shapes.remove([].as_slice());
        }
        for (fields, patches) in &shapes {
            created.extend(write(self, fields, patches, now).await?);
        }
        let action = |patch: &ContactPatch| {
            if created.contains(patch.email.as_str()) { UpsertAction::Create } else { UpsertAction::Update }
        };
        Ok(patches.iter().map(action).collect())
    }

    async fn contacts_after(
        &mut self,
        filter: &ContactFilter,
        after: Option<&ContactCursor>,
        size: usize,
    ) -> Result<Page<Contact>, StoreError> {
        let Some(condition) = condition(self.backend(), filter) else {
            return Ok(Page::of(Vec::new(), size));
        };
        let mut query = selection();
        query
            .cond_where(condition)
            .order_by("created_at", Order::Desc)
            .order_by("email", Order::Asc)
            .limit(page_and_one(size));
        if let Some(cursor) = after {
            query.and_where(Expr::col("created_at").lte(cursor.created_at)).cond_where(
                Condition::any()
                    .add(Expr::col("created_at").lt(cursor.created_at))
                    .add(Expr::col("email").gt(cursor.email.as_str())),
            );
        }
        Ok(Page::of(read_all(&self.all(&query).await?, contact)?, size))
    }

    async fn count_contacts(&mut self) -> Result<u64, StoreError> {
        counted(self, count_of_rows(Query::select().from("contacts"))).await
    }

    async fn delete_contact(&mut self, email: &EmailAddress) -> Result<bool, StoreError> {
        // The contact goes first: whoever stores it anew at the same time waits for this to end.
        let email = email.as_str();
        let contact = Query::delete().from_table("contacts").and_where(Expr::col("email").eq(email)).take();
        if self.exec(&contact).await? == 0 {
            return Ok(false);
        }
        let memberships =
            Query::delete().from_table("contact_lists").and_where(Expr::col("email").eq(email)).take();
        self.exec(&memberships).await?;
        let deliveries = Query::delete()
            .from_table("deliveries")
            .and_where(Expr::col("recipient").eq(email))
            .and_where(Expr::col("state").is_in(["waiting", "aside"]))
            .take();
        self.exec(&deliveries).await?;
        let own = Query::select()
            .column("id")
            .from("message_history")
            .and_where(Expr::col("contact_email").eq(email))
            .take();
        let engagements = Query::delete()
            .from_table("message_engagements")
            .and_where(Expr::col("message_id").in_subquery(own))
            .take();
        self.exec(&engagements).await?;
        let messages = Query::update()
            .table("message_history")
            .value("contact_email", redacted("id"))
            .value("message_data", Value::String(None))
            .value("status_info", Value::String(None))
            .value("channel_options", to_json(&EmailOptions::default(), "channel_options")?)
            .and_where(Expr::col("contact_email").eq(email))
            .take();
        self.exec(&messages).await?;
        let reports = Query::update()
            .table("inbound_webhook_events")
            .value("recipient_email", redacted("id"))
            .value("raw_payload", "")
            .value("bounce_diagnostic", Value::String(None))
            .and_where(Expr::col("recipient_email").eq(email))
            .take();
        self.exec(&reports).await?;
        let in_queue = Query::select()
            .column("message_id")
            .from("deliveries")
            .and_where(Expr::col("recipient").eq(email))
            .take();
        let waiting = Query::update()
            .table("broadcast_recipients")
            .value("state", RecipientState::Skipped(SkipReason::Deleted).name())
            .value("skip_reason", SkipReason::Deleted.name())
            .and_where(Expr::col("contact_email").eq(email))
            .and_where(checked("state").eq(RecipientState::Queued.name()))
            .and_where(Expr::col("message_id").not_in_subquery(in_queue))
            .take();
        self.exec(&waiting).await?;
        let recipients = Query::update()
            .table("broadcast_recipients")
            .value("contact_email", redacted("message_id"))
            .and_where(Expr::col("contact_email").eq(email))
            .take();
        self.exec(&recipients).await?;
        Ok(true)
    }
}

/// [`Contact::redacted_address`] of the message in a column.
fn redacted(message: &'static str) -> Expr {
    Expr::col(message).binary(BinOper::Custom("||"), constant(REDACTED))
}

fn selection() -> SelectStatement {
    let fields = ContactField::ALL.iter().map(|field| field.name());
    let columns = fields.chain(["email", "created_at", "updated_at"]);
    Query::select().columns(columns).from("contacts").take()
}

fn contact(row: &QueryResult) -> Result<Contact, StoreError> {
    let mut fields = BTreeMap::new();
    for field in ContactField::ALL {
        if let Some(value) = value(row, *field)? {
            fields.insert(*field, value);
        }
    }
    Ok(Contact {
        email: row.parsed("email", EmailAddress::parse)?,
        fields,
        created_at: row.field("created_at")?,
        updated_at: row.field("updated_at")?,
    })
}

fn value(row: &QueryResult, field: ContactField) -> Result<Option<FieldValue>, StoreError> {
    let column = field.name();
    Ok(match field.kind() {
        FieldKind::Text(_) => row.field::<Option<String>>(column)?.map(FieldValue::Text),
        FieldKind::Number => row.field::<Option<f64>>(column)?.map(FieldValue::Number),
        FieldKind::Time => row.field::<Option<Timestamp>>(column)?.map(FieldValue::Time),
        FieldKind::Json => row.field::<Option<serde_json::Value>>(column)?.map(FieldValue::Json),
    })
}

/// What is stored of a change; the null of the column's type when it clears.
fn stored(field: ContactField, change: Option<&FieldValue>) -> Value {
    match change {
        Some(FieldValue::Text(text)) => text.as_str().into(),
        Some(FieldValue::Number(number)) => (*number).into(),
        Some(FieldValue::Time(at)) => (*at).into(),
        Some(FieldValue::Json(json)) => json.clone().into(),
        None => match field.kind() {
            FieldKind::Text(_) => Value::String(None),
            FieldKind::Number => Value::Double(None),
            FieldKind::Time => Value::ChronoDateTimeUtc(None),
            FieldKind::Json => Value::Json(None),
        },
    }
}

/// Inserts contacts, or sets the given fields of those that are known. Answers which were new.
async fn write(
    session: &mut Session,
    fields: &[ContactField],
    patches: &[&ContactPatch],
    now: Timestamp,
) -> Result<HashSet<String>, StoreError> {
    let mut created = HashSet::new();
    for patches in patches.chunks(rows_per_statement(3 + fields.len())) {
        let mut statement = upsert(fields, patches, now);
        match session.backend() {
            DbBackend::Postgres => {
                // A row that a statement has inserted, not updated, carries no locking transaction.
                statement.returning(
                    Query::returning().exprs([Expr::col("email"), Expr::cust("xmax = 0 AS is_new")]),
                );
                for row in session.all(&statement).await? {
                    if row.field("is_new")? {
                        created.insert(row.field("email")?);
                    }
                }
            }
            engine => {
                // Nobody else writes until this unit of work ends.
                let emails = given(engine, patches.iter().map(|patch| patch.email.as_str()));
                let query = Query::select()
                    .column("email")
                    .from("contacts")
                    .and_where(Expr::col("email").in_subquery(emails))
                    .take();
                let known = read_all(&session.all(&query).await?, |row| row.field::<String>("email"))?;
                let known: HashSet<String> = known.into_iter().collect();
                let new =
                    patches.iter().map(|patch| patch.email.as_str()).filter(|email| !known.contains(*email));
                created.extend(new.map(str::to_owned));
                session.exec(&statement).await?;
            }
        }
    }
    Ok(created)
}

fn upsert(fields: &[ContactField], patches: &[&ContactPatch], now: Timestamp) -> InsertStatement {
    let names = || fields.iter().map(|field| field.name());
    let mut statement = Query::insert();
    statement
        .into_table("contacts")
        .columns(["email", "created_at", "updated_at"].into_iter().chain(names()))
        .on_conflict(
            OnConflict::column("email").update_columns(["updated_at"].into_iter().chain(names())).to_owned(),
        );
    for patch in patches {
        let known: [Value; 3] =
            [patch.email.as_str().into(), patch.created_at.unwrap_or(now).into(), now.into()];
        let values =
            fields.iter().map(|field| stored(*field, patch.changes.get(field).and_then(Option::as_ref)));
        statement.values_panic(known.into_iter().chain(values).map(Expr::val));
    }
    statement
}

/// The condition of a filter; `None` when nothing can meet it.
fn condition(backend: DbBackend, filter: &ContactFilter) -> Option<Condition> {
    // No segment is ever computed yet, so nobody is in one.
    if !filter.segments.is_empty() {
        return None;
    }
    let mut condition = Condition::all();
    if let Some(part) = &filter.email {
        condition = condition.add(holds(backend, "email", part));
    }
    for (field, part) in &filter.fields {
        if !matches!(field.kind(), FieldKind::Text(_)) {
            return None;
        }
        condition = condition.add(holds(backend, field.name(), part));
    }
    if filter.list.is_some() || filter.list_status.is_some() {
        condition = condition.add(Expr::exists(membership(filter)));
    }
    Some(condition)
}

/// Live memberships of the contact on live lists, as far as the filter asks for them.
fn membership(filter: &ContactFilter) -> SelectStatement {
    let mut query = Query::select();
    query
        .expr(Expr::cust("1"))
        .from("contact_lists")
        .join(JoinType::InnerJoin, "lists", Expr::col(("lists", "id")).equals(("contact_lists", "list_id")))
        .and_where(Expr::col(("contact_lists", "email")).equals(("contacts", "email")))
        .and_where(Expr::col(("contact_lists", "deleted_at")).is_null())
        .and_where(Expr::col(("lists", "deleted_at")).is_null());
    if let Some(list) = &filter.list {
        query.and_where(Expr::col(("contact_lists", "list_id")).eq(list.as_str()));
    }
    if let Some(status) = filter.list_status {
        query.and_where(Expr::col(("contact_lists", "status")).eq(status.name()));
    }
    query
}
