//! Gates before providers.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "integration_gates")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) integration_id: Uuid,
    pub(crate) full_at: DateTimeUtc,
    pub(crate) per_minute: i64,
    /// Without it there is no circuit.
    pub(crate) circuit_version: Option<DateTimeUtc>,
    pub(crate) failures: i64,
    pub(crate) trips: i64,
    /// Without it the circuit is closed.
    pub(crate) open_until: Option<DateTimeUtc>,
    /// Whether an open circuit is being tried.
    pub(crate) on_trial: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
