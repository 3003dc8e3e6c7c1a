//! Who a broadcast goes to.

use crate::{
    failure::Failure,
    session::{Fields as _, Session},
    workspace::expressions::{constant, read_all, rows},
};
use application::ports::StoreError;
use domain::{
    broadcasts::{Audience, AudienceMember},
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
        .and_where(Expr::exists(unreachable()).not())
        .and_where_option(after.map(|after| Expr::col(("contact_lists", "email")).gt(after.as_str())))
        .order_by(("contact_lists", "email"), Order::Asc)
        .limit(rows(size as u64));
    if !audience.excluded_lists.is_empty() {
        query.and_where(Expr::exists(on_any(&audience.excluded_lists)).not());
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

/// Memberships of the contact that tell of a bounce or a complaint.
fn unreachable() -> SelectStatement {
    others()
        .and_where(Expr::col(("other", "status")).is_in([constant("bounced"), constant("complained")]))
        .take()
}

/// Live memberships of the contact on any of these lists, in whatever standing.
fn on_any(lists: &[ListId]) -> SelectStatement {
    others().and_where(Expr::col(("other", "list_id")).is_in(lists.iter().map(ListId::as_str))).take()
}

fn others() -> SelectStatement {
    Query::select()
        .expr(Expr::cust("1"))
        .from_as("contact_lists", "other")
        .and_where(Expr::col(("other", "email")).equals(("contact_lists", "email")))
        .and_where(Expr::col(("other", "deleted_at")).is_null())
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
