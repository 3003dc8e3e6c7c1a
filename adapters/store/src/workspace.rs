//! The stores of a workspace database.
