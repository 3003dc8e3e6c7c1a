//! Tables of the system database and of a workspace database.
