//! Accounts and sessions of the installation.

use super::StoreError;
use async_trait::async_trait;
use domain::{
    Timestamp,
    ids::{SessionId, UserId},
    users::{Session, User},
};

/// Keeps accounts and sessions.
#[async_trait]
pub trait UserStore {
    /// The account.
    async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The account with exactly this address.
    async fn user_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError>;

    /// Fails with [`StoreError::Duplicate`] when the address is taken.
    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError>;

    /// Replaces all but the moment of creation. Answers whether the account was there.
    async fn update_user(&mut self, user: &User) -> Result<bool, StoreError>;

    /// Removes an account with its sessions and memberships. Answers whether it was there.
    async fn delete_user(&mut self, id: UserId) -> Result<bool, StoreError>;

    /// The session.
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError>;

    /// Sessions of a user that wait for a code, newest first.
    async fn sessions_awaiting_code(&mut self, user: UserId) -> Result<Vec<Session>, StoreError>;

    /// Adds a session.
    async fn insert_session(&mut self, session: &Session) -> Result<(), StoreError>;

    /// Clears the code of a session that waits for one. Answers whether it still waited: of two
    /// attempts at once only one is answered with true.
    async fn open_session(&mut self, id: SessionId) -> Result<bool, StoreError>;

    /// Removes all sessions of a user.
    async fn delete_sessions(&mut self, user: UserId) -> Result<(), StoreError>;

    /// Removes sessions that ended, and those whose code ended unused.
    async fn purge_sessions(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}
