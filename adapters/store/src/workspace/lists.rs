//! Lists and memberships.

use super::expressions::{constant, count, count_of_rows, given, read_all, rows_per_statement};
use crate::session::{Fields as _, Session, from_json, to_json};
use application::ports::{ListStore, StoreError};
use async_trait::async_trait;
use domain::{
    Timestamp,
    email_address::EmailAddress,
    ids::ListId,
    lists::{List, ListStats, Membership, MembershipStatus, TemplateRef},
};
use sea_orm::{
    QueryResult,
    sea_query::{
        Condition, Expr, ExprTrait as _, JoinType, OnConflict, Order, Query, SelectStatement,
        UpdateStatement, Value,
    },
};
use std::collections::BTreeSet;

#[async_trait]
impl ListStore for Session {
    async fn list(&mut self, id: &ListId) -> Result<Option<List>, StoreError> {
        let query = selection().and_where(Expr::col("id").eq(id.as_str())).take();
        self.one(&query).await?.map(|row| list(&row)).transpose()
    }

    async fn lists(&mut self) -> Result<Vec<List>, StoreError> {
        let query = selection().order_by("created_at", Order::Desc).order_by("id", Order::Asc).take();
        read_all(&self.all(&query).await?, list)
    }

    async fn insert_list(&mut self, list: &List) -> Result<(), StoreError> {
        let statement = Query::insert()
            .into_table("lists")
            .columns([
                "id",
                "name",
                "is_double_optin",
                "is_public",
                "description",
                "double_optin_template",
                "created_at",
                "updated_at",
            ])
            .values_panic([
                list.id.as_str().into(),
                list.name.as_str().into(),
                list.is_double_optin.into(),
                list.is_public.into(),
                list.description.as_str().into(),
                double_optin_template(list)?.into(),
                list.created_at.into(),
                list.updated_at.into(),
            ])
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn update_list(&mut self, list: &List) -> Result<bool, StoreError> {
        let statement = change(&list.id)
            .value("name", list.name.as_str())
            .value("is_double_optin", list.is_double_optin)
            .value("is_public", list.is_public)
            .value("description", list.description.as_str())
            .value("double_optin_template", double_optin_template(list)?)
            .value("updated_at", list.updated_at)
            .take();
        Ok(self.exec(&statement).await? > 0)
    }

    async fn delete_list(&mut self, id: &ListId, now: Timestamp) -> Result<bool, StoreError> {
        let statement = change(id).value("deleted_at", now).take();
        if self.exec(&statement).await? == 0 {
            return Ok(false);
        }
        let memberships = Query::update()
            .table("contact_lists")
            .value("deleted_at", now)
            .and_where(Expr::col("list_id").eq(id.as_str()))
            .and_where(Expr::col("deleted_at").is_null())
            .take();
        self.exec(&memberships).await?;
        Ok(true)
    }

    async fn list_stats(&mut self, id: &ListId) -> Result<ListStats, StoreError> {
        let query = count_of_rows(&mut Query::select())
            .column("status")
            .from("contact_lists")
            .and_where(Expr::col("list_id").eq(id.as_str()))
            .and_where(Expr::col("deleted_at").is_null())
            .group_by_col("status")
            .take();
        let mut stats = ListStats::default();
        for row in self.all(&query).await? {
            let number = count(&row)?;
            match status(&row)? {
                MembershipStatus::Active => stats.active = number,
                MembershipStatus::Pending => stats.pending = number,
                MembershipStatus::Unsubscribed => stats.unsubscribed = number,
                MembershipStatus::Bounced => stats.bounced = number,
                MembershipStatus::Complained => stats.complained = number,
            }
        }
        Ok(stats)
    }

    async fn membership(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
    ) -> Result<Option<Membership>, StoreError> {
        let query = memberships()
            .and_where(Expr::col(("contact_lists", "email")).eq(email.as_str()))
            .and_where(Expr::col(("contact_lists", "list_id")).eq(list.as_str()))
            .take();
        self.one(&query).await?.map(|row| membership(&row)).transpose()
    }

    async fn memberships(&mut self, emails: &[EmailAddress]) -> Result<Vec<Membership>, StoreError> {
        if emails.is_empty() {
            return Ok(Vec::new());
        }
        let emails = given(self.backend(), emails.iter().map(EmailAddress::as_str));
        let query = memberships()
            .and_where(Expr::col(("contact_lists", "email")).in_subquery(emails))
            .and_where(Expr::col(("contact_lists", "deleted_at")).is_null())
            .and_where(Expr::col(("lists", "deleted_at")).is_null())
            .order_by(("contact_lists", "email"), Order::Asc)
            .order_by(("contact_lists", "list_id"), Order::Asc)
            .take();
        read_all(&self.all(&query).await?, membership)
    }

    async fn add_members(
        &mut self,
        emails: &[EmailAddress],
        lists: &[ListId],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Without repetitions and always in the same order, so that two imports never wait for each
        // other.
        let emails: BTreeSet<&EmailAddress> = emails.iter().collect();
        let lists: BTreeSet<&ListId> = lists.iter().collect();
        let pairs: Vec<(&EmailAddress, &ListId)> =
            emails.iter().flat_map(|email| lists.iter().map(|list| (*email, *list))).collect();
        let revived =
            Condition::any().add(Expr::col(("contact_lists", "status")).eq(constant("pending"))).add(
                Expr::col(("contact_lists", "status"))
                    .eq(constant("active"))
                    .and(Expr::col(("contact_lists", "deleted_at")).is_not_null()),
            );
        let conflict = OnConflict::columns(["email", "list_id"])
            .update_columns(["status", "updated_at", "deleted_at"])
            .action_cond_where(revived)
            .to_owned();
        for pairs in pairs.chunks(rows_per_statement(6)) {
            let mut statement = Query::insert();
            statement
                .into_table("contact_lists")
                .columns(["email", "list_id", "status", "created_at", "updated_at", "deleted_at"])
                .on_conflict(conflict.clone());
            for (email, list) in pairs {
                statement.values_panic([
                    email.as_str().into(),
                    list.as_str().into(),
                    MembershipStatus::after_adding(None).name().into(),
                    now.into(),
                    now.into(),
                    Value::ChronoDateTimeUtc(None).into(),
                ]);
            }
            self.exec(&statement).await?;
        }
        Ok(())
    }

    async fn set_membership_status(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        status: MembershipStatus,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let statement = Query::update()
            .table("contact_lists")
            .value("status", status.name())
            .value("updated_at", now)
            .value("deleted_at", Value::ChronoDateTimeUtc(None))
            .and_where(Expr::col("email").eq(email.as_str()))
            .and_where(Expr::col("list_id").eq(list.as_str()))
            .take();
        Ok(self.exec(&statement).await? > 0)
    }

    async fn subscribe_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        status: MembershipStatus,
        from: &[MembershipStatus],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let standing = || Expr::col(("contact_lists", "status"));
        let removed = standing()
            .is_in(["active", "pending"])
            .and(Expr::col(("contact_lists", "deleted_at")).is_not_null());
        let allowed = from.iter().map(|status| status.name()).collect::<Vec<_>>();
        let free = Condition::any().add(standing().is_in(allowed)).add(removed);
        let conflict = OnConflict::columns(["email", "list_id"])
            .update_columns(["status", "updated_at", "deleted_at"])
            .action_cond_where(free)
            .to_owned();
        let statement = Query::insert()
            .into_table("contact_lists")
            .columns(["email", "list_id", "status", "created_at", "updated_at", "deleted_at"])
            .values_panic([
                email.as_str().into(),
                list.as_str().into(),
                status.name().into(),
                now.into(),
                now.into(),
                Value::ChronoDateTimeUtc(None).into(),
            ])
            .on_conflict(conflict)
            .take();
        Ok(self.exec(&statement).await? > 0)
    }

    async fn confirm_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let statement = moved(email, list, &[MembershipStatus::Pending], MembershipStatus::Active, now)
            .and_where(Expr::col("deleted_at").is_null())
            .take();
        Ok(self.exec(&statement).await? > 0)
    }

    async fn unsubscribe_member(
        &mut self,
        email: &EmailAddress,
        list: &ListId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        use MembershipStatus::{Active, Pending, Unsubscribed};
        Ok(self.exec(&moved(email, list, &[Active, Pending], Unsubscribed, now)).await? > 0)
    }
}

/// A membership's change from one of some statuses, in one statement, so that none overtakes another.
fn moved(
    email: &EmailAddress,
    list: &ListId,
    from: &[MembershipStatus],
    to: MembershipStatus,
    now: Timestamp,
) -> UpdateStatement {
    Query::update()
        .table("contact_lists")
        .value("status", to.name())
        .value("updated_at", now)
        .and_where(Expr::col("email").eq(email.as_str()))
        .and_where(Expr::col("list_id").eq(list.as_str()))
        .and_where(Expr::col("status").is_in(from.iter().map(|status| status.name())))
        .take()
}

/// Lists that are not deleted.
fn selection() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "name",
            "is_double_optin",
            "is_public",
            "description",
            "double_optin_template",
            "created_at",
            "updated_at",
        ])
        .from("lists")
        .and_where(Expr::col("deleted_at").is_null())
        .take()
}

/// A change of a list that is not deleted.
fn change(id: &ListId) -> UpdateStatement {
    Query::update()
        .table("lists")
        .and_where(Expr::col("id").eq(id.as_str()))
        .and_where(Expr::col("deleted_at").is_null())
        .take()
}

fn double_optin_template(list: &List) -> Result<Value, StoreError> {
    let json =
        list.double_optin_template.as_ref().map(|t| to_json(t, "double_optin_template")).transpose()?;
    Ok(json.into())
}

fn list(row: &QueryResult) -> Result<List, StoreError> {
    let template: Option<serde_json::Value> = row.field("double_optin_template")?;
    let template =
        template.map(|json| from_json::<TemplateRef>(json, "double_optin_template")).transpose()?;
    Ok(List {
        id: row.parsed("id", ListId::parse)?,
        name: row.field("name")?,
        is_double_optin: row.field("is_double_optin")?,
        is_public: row.field("is_public")?,
        description: row.field("description")?,
        double_optin_template: template,
        created_at: row.field("created_at")?,
        updated_at: row.field("updated_at")?,
    })
}

fn memberships() -> SelectStatement {
    Query::select()
        .columns(
            ["email", "list_id", "status", "created_at", "updated_at", "deleted_at"]
                .map(|column| ("contact_lists", column)),
        )
        .expr_as(Expr::col(("lists", "name")), "list_name")
        .from("contact_lists")
        .join(JoinType::InnerJoin, "lists", Expr::col(("lists", "id")).equals(("contact_lists", "list_id")))
        .take()
}

fn membership(row: &QueryResult) -> Result<Membership, StoreError> {
    Ok(Membership {
        email: row.parsed("email", EmailAddress::parse)?,
        list: row.parsed("list_id", ListId::parse)?,
        list_name: row.field("list_name")?,
        status: status(row)?,
        created_at: row.field("created_at")?,
        updated_at: row.field("updated_at")?,
        deleted_at: row.field("deleted_at")?,
    })
}

fn status(row: &QueryResult) -> Result<MembershipStatus, StoreError> {
    row.parsed("status", |name| MembershipStatus::from_name(name).ok_or(()))
}
