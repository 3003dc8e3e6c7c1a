//! One step of a schema.

use sea_orm::DbBackend;

/// A step that brings a schema from one version to the next. Once released it never changes.
pub struct Step {
    /// Recorded in the database; unique within its migrator.
    pub name: &'static str,
    /// The statements for an engine, in order.
    pub statements: fn(DbBackend) -> Vec<String>,
}
