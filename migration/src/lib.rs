//! Tables of the system database and of a workspace database, made in steps.
//!
//! A step is a list of statements. Both migrators run over any connection, each within one
//! transaction that nobody else can be in.

mod migrator;
mod step;
mod system;
mod workspace;

pub use migrator::{MigrationError, Migrator};
pub use step::Step;

/// Makes the tables of the system database.
pub const SYSTEM: Migrator = Migrator { table: "system_migrations", lock: 7_205_101, steps: system::STEPS };

/// Makes the tables of a workspace database.
pub const WORKSPACE: Migrator =
    Migrator { table: "workspace_migrations", lock: 7_205_102, steps: workspace::STEPS };
