//! Templates: a row for each version.

use super::expressions::read_all;
use crate::session::{Fields as _, Session, to_json};
use application::ports::{StoreError, TemplateStore};
use async_trait::async_trait;
use domain::{
    Timestamp,
    ids::{IntegrationId, TemplateId},
    templates::{Template, TemplateContent},
};
use sea_orm::{
    QueryResult,
    sea_query::{Expr, ExprTrait as _, Order, Query, SelectStatement, Value},
};
use uuid::Uuid;

const COLUMNS: [&str; 14] = [
    "id",
    "version",
    "name",
    "channel",
    "email",
    "web",
    "category",
    "template_macro_id",
    "integration_id",
    "test_data",
    "settings",
    "translations",
    "created_at",
    "updated_at",
];

#[async_trait]
impl TemplateStore for Session {
    async fn template(&mut self, id: &TemplateId) -> Result<Option<Template>, StoreError> {
        let query = selection()
            .and_where(Expr::col("id").eq(id.as_str()))
            .and_where(Expr::col("deleted_at").is_null())
            .order_by("version", Order::Desc)
            .limit(1)
            .take();
        self.one(&query).await?.map(|row| template(&row)).transpose()
    }

    async fn template_version(
        &mut self,
        id: &TemplateId,
        version: i64,
    ) -> Result<Option<Template>, StoreError> {
        let query = selection()
            .and_where(Expr::col("id").eq(id.as_str()))
            .and_where(Expr::col("version").eq(version))
            .take();
        self.one(&query).await?.map(|row| template(&row)).transpose()
    }

    async fn templates(
        &mut self,
        category: Option<&str>,
        channel: Option<&str>,
    ) -> Result<Vec<Template>, StoreError> {
        if [category, channel].into_iter().flatten().any(|text| text.contains('\0')) {
            return Ok(Vec::new());
        }
        let later = Query::select()
            .expr(Expr::cust("1"))
            .from_as("templates", "later")
            .and_where(Expr::col(("later", "id")).equals(("templates", "id")))
            .and_where(Expr::col(("later", "version")).gt(Expr::col(("templates", "version"))))
            .and_where(Expr::col(("later", "deleted_at")).is_null())
            .take();
        let query = selection()
            .and_where(Expr::col("deleted_at").is_null())
            .and_where(Expr::not_exists(later))
            .and_where_option(category.map(|category| Expr::col("category").eq(category)))
            .and_where_option(channel.map(|channel| Expr::col("channel").eq(channel)))
            .order_by("updated_at", Order::Desc)
            .order_by("id", Order::Asc)
            .take();
        read_all(&self.all(&query).await?, template)
    }

    async fn insert_template(&mut self, template: &Template) -> Result<(), StoreError> {
        let (email, web) = match &template.content {
            TemplateContent::Email(content) => (Some(to_json(content, "email")?), None),
            TemplateContent::Web(content) => (None, Some(to_json(content, "web")?)),
        };
        let statement = Query::insert()
            .into_table("templates")
            .columns(COLUMNS)
            .values_panic([
                template.id.as_str().into(),
                template.version.into(),
                template.name.as_str().into(),
                template.content.channel().into(),
                Value::from(email).into(),
                Value::from(web).into(),
                template.category.as_str().into(),
                template.macro_id.clone().into(),
                template.integration.map(IntegrationId::uuid).into(),
                to_json(&template.test_data, "test_data")?.into(),
                to_json(&template.settings, "settings")?.into(),
                to_json(&template.translations, "translations")?.into(),
                template.created_at.into(),
                template.updated_at.into(),
            ])
            .take();
        self.exec(&statement).await.map(drop)
    }

    async fn delete_template(&mut self, id: &TemplateId, now: Timestamp) -> Result<bool, StoreError> {
        let statement = Query::update()
            .table("templates")
            .value("deleted_at", now)
            .and_where(Expr::col("id").eq(id.as_str()))
            .and_where(Expr::col("deleted_at").is_null())
            .take();
        Ok(self.exec(&statement).await? > 0)
    }
}

fn selection() -> SelectStatement {
    Query::select().columns(COLUMNS).from("templates").take()
}

fn template(row: &QueryResult) -> Result<Template, StoreError> {
    let channel: String = row.field("channel")?;
    let content = if channel == "web" {
        TemplateContent::Web(row.json("web")?)
    } else {
        TemplateContent::Email(row.json("email")?)
    };
    Ok(Template {
        id: row.parsed("id", TemplateId::parse)?,
        name: row.field("name")?,
        version: row.field("version")?,
        content,
        category: row.field("category")?,
        macro_id: row.field("template_macro_id")?,
        integration: row.field::<Option<Uuid>>("integration_id")?.map(IntegrationId::from_uuid),
        test_data: row.json("test_data")?,
        settings: row.json("settings")?,
        translations: row.json("translations")?,
        created_at: row.field("created_at")?,
        updated_at: row.field("updated_at")?,
    })
}
