//! Rows of the system database, as SeaORM sees them.

pub(crate) mod gate;
pub(crate) mod integration;
pub(crate) mod invitation;
pub(crate) mod member;
pub(crate) mod session;
pub(crate) mod user;
pub(crate) mod work;
pub(crate) mod workspace;
