//! What the operator asks for: other limits, retiring workspaces, shutting down.

use super::{
    Core, Effect, Moment,
    record::{CloseReason, Roll, State, Watch},
    slab::ConnId,
};
use crate::{BrokerError, Limits, WorkspaceKey};

impl Core {
    /// Nothing is revoked: over a lowered limit idle connections are closed at once, leased ones
    /// when they are given back, and nothing is opened.
    pub(super) fn reconfigure(&mut self, limits: &Limits, now: Moment, effects: &mut Vec<Effect>) {
        let slots = self.limits.workspace_slots();
        let single_writer = self.limits.single_writer;
        self.limits = Limits { single_writer, ..limits.clone() };
        self.resize(slots);
        #[cfg(test)]
        {
            self.shrinking = true;
        }
        for roll in [Roll::Idle, Roll::IdleSystem] {
            for id in self.on_roll(roll) {
                let space = &self.spaces[self.conns[id].space];
                let limit = if space.is_system() {
                    self.limits.effective_system_reserve()
                } else {
                    self.limits.max_connections_per_workspace
                };
                if space.live() > limit {
                    self.close(id, CloseReason::Share, None, now, effects);
                }
            }
        }
        let spaces: Vec<_> = self.spaces.iter().map(|(id, _)| id).collect();
        for id in spaces {
            self.touch(id);
        }
    }

    fn on_roll(&self, roll: Roll) -> Vec<ConnId> {
        self.rolls[roll as usize].ids(&self.conns, |conn| &conn.link).collect()
    }

    pub(super) fn renew(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.generation += 1;
        for roll in [Roll::Idle, Roll::IdleSystem] {
            for id in self.on_roll(roll) {
                self.close(id, CloseReason::Generation, None, now, effects);
            }
        }
    }

    pub(super) fn retire(&mut self, key: &WorkspaceKey, now: Moment, effects: &mut Vec<Effect>) {
        let id = self.space_for(key);
        self.touch(id);
        self.spaces[id].retired = true;
        self.refuse_waiters(id, now, effects, |_, _| Some(BrokerError::Retired { workspace: key.clone() }));
        while let Some(conn) = self.spaces[id].idle.head() {
            self.close(conn, CloseReason::Retired, None, now, effects);
        }
        if self.spaces[id].records() == 0 {
            effects.push(Effect::Gone(key.clone()));
        }
    }

    pub(super) fn readmit(&mut self, key: &WorkspaceKey) {
        if let Some(&id) = self.by_key.get(key) {
            self.spaces[id].retired = false;
            self.spaces[id].ban = super::record::Ban::default();
            self.touch(id);
        }
    }

    pub(super) fn revoke_all(&mut self, key: Option<&WorkspaceKey>, effects: &mut Vec<Effect>) {
        let only = match key {
            None => None,
            Some(key) => match self.by_key.get(key) {
                None => return,
                known => known.copied(),
            },
        };
        let leased = [Roll::Leased, Roll::Overdue, Roll::Revoked].map(|roll| self.on_roll(roll));
        for id in leased.into_iter().flatten() {
            let conn = &self.conns[id];
            if only.is_none_or(|only| conn.space == only) {
                if conn.watch != Watch::Revoked {
                    self.watch(id, Watch::Revoked);
                }
                effects.push(Effect::Interrupt { conn: id });
            }
        }
    }

    pub(super) fn shut_down(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.shutting_down = true;
        self.drained = false;
        let spaces: Vec<_> = self.spaces.iter().map(|(id, _)| id).collect();
        for id in spaces {
            self.touch(id);
            self.refuse_waiters(id, now, effects, |_, _| Some(BrokerError::ShuttingDown));
        }
        for roll in [Roll::Idle, Roll::IdleSystem] {
            for id in self.on_roll(roll) {
                self.close(id, CloseReason::Shutdown, None, now, effects);
            }
        }
    }

    /// Connections counted, and those of them leased.
    pub(crate) fn remaining(&self) -> (usize, usize) {
        let leased = self.conns.iter().filter(|(_, conn)| conn.state == State::Leased).count();
        (self.conns.len(), leased)
    }

    /// The wait a class is given by default.
    pub(crate) const fn default_wait(&self, class: crate::Class) -> std::time::Duration {
        match class {
            crate::Class::Background => self.limits.acquire_timeout_background,
            _ => self.limits.acquire_timeout,
        }
    }
}
