//! Turns what a database answers into the store's errors.

use application::ports::StoreError;
use sea_orm::{DbErr, RuntimeErr};
use std::{borrow::Cow, time::Duration};

/// When to try again after the database was lost.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is logged of a failure: its kind and the engine's code. The engine's own words may quote
/// the values of a statement, so they are not kept.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// The engine refused a statement.
    #[error("the engine refused a statement with code {0}")]
    Refused(String),
    /// The driver could not carry out a statement.
    #[error("the driver failed: {0}")]
    Driver(&'static str),
    /// A stored value cannot be read.
    #[error("the column {0} holds a value that cannot be read")]
    Unreadable(Cow<'static, str>),
    /// A value cannot be written.
    #[error("the column {0} cannot hold a value")]
    Unwritable(&'static str),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::Internal(Box::new(failure))
    }
}

/// What a failed statement means to a use case.
pub(crate) fn store_error(error: DbErr) -> StoreError {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(e))
        | DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e)) => driver_error(&e),
        DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => StoreError::Unavailable { retry_after: RETRY_AFTER },
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => {
            Failure::Driver("a value has another type").into()
        }
        DbErr::RecordNotFound(_) => Failure::Driver("a row is missing").into(),
        _ => Failure::Driver("an unexpected answer").into(),
    }
}

fn driver_error(error: &sqlx::Error) -> StoreError {
    if is_loss(error) {
        return StoreError::Unavailable { retry_after: RETRY_AFTER };
    }
    match error {
        sqlx::Error::Database(e) if e.is_unique_violation() => StoreError::Duplicate,
        sqlx::Error::Database(e) => Failure::Refused(e.code().unwrap_or_default().into_owned()).into(),
        sqlx::Error::RowNotFound => Failure::Driver("a row is missing").into(),
        sqlx::Error::ColumnNotFound(_) => Failure::Driver("a column is missing").into(),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            Failure::Driver("a value cannot be decoded").into()
        }
        sqlx::Error::Encode(_) => Failure::Driver("a value cannot be encoded").into(),
        sqlx::Error::Protocol(_) => Failure::Driver("a breach of the protocol").into(),
        _ => Failure::Driver("another failure").into(),
    }
}

/// Whether the connection can do no more, or the engine is not able to answer now.
pub(crate) fn is_loss(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|c| is_loss_code(&c)),
        _ => false,
    }
}

/// PostgreSQL: class 08 (connection), 57P01 to 57P05 (shut down), 25P03 (idle in a transaction).
/// SQLite: 5 (busy), 10 (I/O), 13 (disk full), 14 (cannot open), each with its extended codes.
fn is_loss_code(code: &str) -> bool {
    if code.len() == 5 && code.bytes().any(|b| b.is_ascii_uppercase()) || code.starts_with("08") {
        return code.starts_with("08") || code.starts_with("57P") || code == "25P03";
    }
    code.len() < 5 && code.parse::<u16>().is_ok_and(|n| matches!(n & 0xff, 5 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_connection_is_told_from_a_refusal() {
        for code in ["08006", "57P01", "25P03", "5", "261", "10", "778", "13", "14"] {
            assert!(is_loss_code(code), "{code}");
        }
        for code in ["23505", "42601", "22P02", "40001", "1", "19", "2067", ""] {
            assert!(!is_loss_code(code), "{code}");
        }
    }
}
