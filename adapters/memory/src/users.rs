//! Accounts and sessions of the installation.

use crate::{MemorySession, state::SystemState};
use application::ports::{StoreError, UserStore};
use async_trait::async_trait;
use domain::{
    Timestamp,
    ids::{SessionId, UserId},
    users::{Session, User},
};
use std::{cmp::Reverse, collections::btree_map::Entry};

#[async_trait]
impl UserStore for MemorySession<SystemState> {
    async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.look(|state| state.users.get(&id).cloned())
    }

    async fn user_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        self.look(|state| state.users.values().find(|u| u.email == email).cloned())
    }

    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError> {
        self.change(|state| {
            if state.users.contains_key(&user.id) || state.address_is_taken(user) {
                return Err(StoreError::Duplicate);
            }
            state.users.insert(user.id, user.clone());
            Ok(())
        })
    }

    async fn update_user(&mut self, user: &User) -> Result<bool, StoreError> {
        self.change(|state| {
            let is_taken = state.address_is_taken(user);
            let Some(kept) = state.users.get_mut(&user.id) else { return Ok(false) };
            if is_taken {
                return Err(StoreError::Duplicate);
            }
            *kept = User { created_at: kept.created_at, ..user.clone() };
            Ok(true)
        })
    }

    async fn delete_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        self.change(|state| Ok(state.remove_user(id)))
    }

    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.look(|state| state.sessions.get(&id).cloned())
    }

    async fn sessions_awaiting_code(&mut self, user: UserId) -> Result<Vec<Session>, StoreError> {
        self.look(|state| {
            let all = state.sessions.values();
            let mut found: Vec<_> = all.filter(|s| s.user == user && s.code.is_some()).cloned().collect();
            found.sort_by_key(|s| Reverse(s.created_at));
            found
        })
    }

    async fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        self.change(|state| match state.sessions.entry(session.id) {
            Entry::Occupied(_) => Err(StoreError::Duplicate),
            Entry::Vacant(place) => {
                place.insert(session.clone());
                Ok(())
            }
        })
    }

    async fn open_session(&mut self, id: SessionId) -> Result<bool, StoreError> {
        self.change(|state| Ok(state.sessions.get_mut(&id).is_some_and(|s| s.code.take().is_some())))
    }

    async fn delete_sessions(&mut self, user: UserId) -> Result<(), StoreError> {
        self.change(|state| {
            state.sessions.retain(|_, s| s.user != user);
            Ok(())
        })
    }

    async fn purge_sessions(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.change(|state| {
            let before = state.sessions.len();
            state.sessions.retain(|_, session| {
                now < session.expires_at && session.code.as_ref().is_none_or(|code| now < code.expires_at)
            });
            Ok((before - state.sessions.len()) as u64)
        })
    }
}

impl SystemState {
    fn address_is_taken(&self, user: &User) -> bool {
        self.users.values().any(|u| u.id != user.id && u.email == user.email)
    }

    /// Removes an account with its sessions and memberships.
    pub(crate) fn remove_user(&mut self, id: UserId) -> bool {
        self.sessions.retain(|_, s| s.user != id);
        self.members.retain(|(_, user), _| *user != id);
        self.users.remove(&id).is_some()
    }
}
