//! Who a broadcast goes to.

use crate::{
    failure::Failure,
    session::{Fields as _, Session},
    workspace::expressions::{constant, count, count_of_rows, read_all, rows},
};
use application::ports::StoreError;
use domain::{
    broadcasts::{Audience, AudienceCounts, AudienceMember},
    email_address::EmailAddress,
    ids::ListId,
    lists::MembershipStatus,
    timezones::Timezone,
};
use sea_orm::{
    QueryResult,
    sea_query::{CaseStatement, Expr, ExprTrait as _, JoinType, Order, Query, SelectStatement},
};

pub(super) async fn after(
    session: &mut Session,
    audience: &Audience,
    after: Option<&EmailAddress>,
    size: usize,
) -> Result<Vec<AudienceMember>, StoreError> {
    let lists = audience.lists();
    let mut query = members(&lists);
    query
        .and_where(Expr::exists(with_status("contact_lists", &["bounced", "complained"])).not())
        .and_where_option(after.map(|after| Expr::col(("contact_lists", "email")).gt(after.as_str())))
        .order_by(("contact_lists", "email"), Order::Asc)
        .limit(rows(size as u64));
    if !audience.excluded_lists.is_empty() {
        query.and_where(Expr::exists(on_any("contact_lists", &audience.excluded_lists)).not());
    }
    read_all(&session.all(&query).await?, |row| member(row, &lists))
}

/// Live active members of some lists, each once, with the place of the first of their lists. A single
/// list is read along its index, without grouping.
fn members(lists: &[&ListId]) -> SelectStatement {
    let member = |column| Expr::col(("contact_lists", column));
    let mut query = Query::select();
    query
        .column(("contact_lists", "email"))
        .column(("contacts", "timezone"))
        .from("contact_lists")
        .join(JoinType::InnerJoin, "lists", Expr::col(("lists", "id")).equals(("contact_lists", "list_id")))
        .join(
            JoinType::InnerJoin,
            "contacts",
            Expr::col(("contacts", "email")).equals(("contact_lists", "email")),
        )
        .and_where(member("status").eq(MembershipStatus::Active.name()))
        .and_where(member("deleted_at").is_null())
        .and_where(Expr::col(("lists", "deleted_at")).is_null());
    if let [list] = lists {
        query.expr_as(Expr::cust("0"), "place").and_where(member("list_id").eq(list.as_str()));
    } else {
        let mut place = CaseStatement::new();
        for (n, list) in (0_i32..).zip(lists) {
            place = place.case(member("list_id").eq(list.as_str()), Expr::cust(n.to_string()));
        }
        query
            .expr_as(Expr::Case(Box::new(place)).min(), "place")
            .and_where(member("list_id").is_in(lists.iter().map(|list| list.as_str())))
            .group_by_columns([("contact_lists", "email"), ("contacts", "timezone")]);
    }
    query
}

/// Live memberships of the contact of a row that have one of these statuses.
fn with_status(row: &'static str, statuses: &[&'static str]) -> SelectStatement {
    let statuses = statuses.iter().map(|status| constant(status));
    others(row).and_where(Expr::col(("other", "status")).is_in(statuses)).take()
}

/// Live memberships of the contact of a row on any of these lists, in whatever standing.
fn on_any(row: &'static str, lists: &[ListId]) -> SelectStatement {
    others(row).and_where(Expr::col(("other", "list_id")).is_in(lists.iter().map(ListId::as_str))).take()
}

fn others(row: &'static str) -> SelectStatement {
    Query::select()
        .expr(Expr::cust("1"))
        .from_as("contact_lists", "other")
        .and_where(Expr::col(("other", "email")).equals((row, "email")))
        .and_where(Expr::col(("other", "deleted_at")).is_null())
        .take()
}

pub(super) async fn counts(session: &mut Session, audience: &Audience) -> Result<AudienceCounts, StoreError> {
    let person = |column| Expr::col(("person", column));
    let mut kind = CaseStatement::new()
        .case(Expr::exists(with_status("person", &["complained"])), constant("complained"))
        .case(Expr::exists(with_status("person", &["bounced"])), constant("bounced"))
        .case(person("active").eq(0).and(person("unsubscribed").gt(0)), constant("unsubscribed"))
        .case(person("active").eq(0), constant("pending"));
    if !audience.excluded_lists.is_empty() {
        let excluded = on_any("person", &audience.excluded_lists);
        kind = kind.case(Expr::exists(excluded), constant("excluded"));
    }
    let kinds = Query::select()
        .expr_as(Expr::Case(Box::new(kind.finally(constant("recipients")))), "kind")
        .expr_as(person("active"), "active")
        .from_subquery(people(&audience.lists()), "person")
        .take();
    let query = count_of_rows(&mut Query::select())
        .column("kind")
        .expr_as(Expr::col("active").sum().cast_as("bigint"), "memberships")
        .from_subquery(kinds, "kinds")
        .group_by_col("kind")
        .take();
    let mut counts = AudienceCounts::default();
    for row in session.all(&query).await? {
        let number = count(&row)?;
        match row.field::<String>("kind")?.as_str() {
            "complained" => counts.complained = number,
            "bounced" => counts.bounced = number,
            "unsubscribed" => counts.unsubscribed = number,
            "pending" => counts.pending = number,
            "excluded" => counts.excluded = number,
            _ => {
                counts.recipients = number;
                counts.duplicates = row.field::<i64>("memberships")?.unsigned_abs().saturating_sub(number);
            }
        }
    }
    Ok(counts)
}

/// Contacts with a live membership of some live lists, and how many of these are active and left.
fn people(lists: &[&ListId]) -> SelectStatement {
    let member = |column| Expr::col(("contact_lists", column));
    let number = |status| {
        let alike = CaseStatement::new().case(member("status").eq(constant(status)), Expr::cust("1"));
        Expr::Case(Box::new(alike)).count()
    };
    Query::select()
        .column(("contact_lists", "email"))
        .expr_as(number("active"), "active")
        .expr_as(number("unsubscribed"), "unsubscribed")
        .from("contact_lists")
        .join(JoinType::InnerJoin, "lists", Expr::col(("lists", "id")).equals(("contact_lists", "list_id")))
        .join(
            JoinType::InnerJoin,
            "contacts",
            Expr::col(("contacts", "email")).equals(("contact_lists", "email")),
        )
        .and_where(member("list_id").is_in(lists.iter().map(|list| list.as_str())))
        .and_where(member("deleted_at").is_null())
        .and_where(Expr::col(("lists", "deleted_at")).is_null())
        .group_by_col(("contact_lists", "email"))
        .take()
}

fn member(row: &QueryResult, lists: &[&ListId]) -> Result<AudienceMember, StoreError> {
    let timezone: Option<String> = row.field("timezone")?;
    let place = usize::try_from(row.field::<i32>("place")?).unwrap_or_default();
    let list = lists.get(place).ok_or_else(|| Failure::Unreadable("place".into()))?;
    Ok(AudienceMember {
        email: row.parsed("email", EmailAddress::parse)?,
        list: (*list).clone(),
        timezone: timezone.and_then(|name| Timezone::parse(&name).ok()),
    })
}
