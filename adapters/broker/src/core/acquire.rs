//! A request arrives, or is given up.

use super::{
    Answer, Core, Effect, Lane, Moment, Request, WaiterId,
    record::{Kind, Space, Tenant},
    slab::SpaceId,
};
use crate::{BrokerError, Class, LimitReason};

impl Core {
    pub(super) fn acquire(&mut self, request: Request<'_>, now: Moment, effects: &mut Vec<Effect>) -> Answer {
        let known = match request.lane {
            Lane::System => Some(self.system),
            Lane::Workspace(key) => self.by_key.get(key).copied(),
        };
        if let Some(id) = known
            && let Some(answer) = self.hit(id, &request, now)
        {
            return answer;
        }
        if let Some(error) = self.reason_to_refuse(known, &request, now) {
            self.note_refusal(&error, request.class, now, effects);
            return Answer::Refused(error);
        }
        let id = match request.lane {
            Lane::System => self.system,
            Lane::Workspace(key) => self.space_for(key),
        };
        let kind = self.kind(id, request.class, request.access, request.own);
        let tenant = Tenant { class: request.class, kind, label: request.label };
        Answer::Queued(self.enqueue(id, tenant, now + request.wait, now))
    }

    pub(super) fn try_acquire(&mut self, request: Request<'_>, now: Moment) -> Answer {
        let known = match request.lane {
            Lane::System => Some(self.system),
            Lane::Workspace(key) => self.by_key.get(key).copied(),
        };
        known.and_then(|id| self.hit(id, &request, now)).unwrap_or(Answer::None)
    }

    /// Grants the most recently used idle connection if that is allowed and it need not be
    /// checked. An idle connection means that nobody waits whom it could serve, so this overtakes
    /// nobody.
    fn hit(&mut self, id: SpaceId, request: &Request<'_>, now: Moment) -> Option<Answer> {
        let space = &self.spaces[id];
        let conn = space.idle.head()?;
        if self.shutting_down || space.retired || self.needs_check(conn, now) {
            return None;
        }
        let kind = self.kind(id, request.class, request.access, request.own);
        if self.room(space, kind) == 0 {
            return None;
        }
        self.occupy(conn, Tenant { class: request.class, kind, label: request.label }, now);
        self.meters.granted_at_once(request.class);
        Some(Answer::Granted(conn))
    }

    fn reason_to_refuse(
        &mut self,
        known: Option<SpaceId>,
        request: &Request<'_>,
        now: Moment,
    ) -> Option<BrokerError> {
        if self.shutting_down && !request.own {
            return Some(BrokerError::ShuttingDown);
        }
        let space = known.map(|id| &self.spaces[id]);
        if let (Some(space), Lane::Workspace(key)) = (space, request.lane) {
            if space.retired {
                return Some(BrokerError::Retired { workspace: key.clone() });
            }
            if space.ban.missing && space.ban.until > now {
                return Some(BrokerError::DatabaseMissing { workspace: key.clone() });
            }
        }
        let deadline = now + request.wait;
        if space.is_none_or(|space| space.live() == 0) {
            let ban = space.map_or(now, |space| space.ban.until);
            let until = ban.max(self.server.closed_until(now));
            if until > deadline {
                let retry_after = self.retry_after(until.since(now));
                return Some(BrokerError::Unavailable { retry_after });
            }
        }
        if request.own {
            return None;
        }
        let reason = self.limit_reason(space, request, now)?;
        let wait = self.predicted_wait(space, request.class, now);
        Some(self.limit_error(reason, request.lane.key(), wait))
    }

    fn limit_reason(&self, space: Option<&Space>, request: &Request<'_>, now: Moment) -> Option<LimitReason> {
        let waiters = u32::try_from(self.waiters.len()).unwrap_or(u32::MAX);
        if space.map_or(0, Space::waiters) >= self.limits.max_waiters_per_workspace {
            Some(LimitReason::WorkspaceQueueFull)
        } else if waiters >= self.limits.max_waiters {
            Some(LimitReason::QueueFull)
        } else if self.predicted_wait(space, request.class, now) > request.wait {
            Some(LimitReason::PredictedTooLong)
        } else {
            None
        }
    }

    pub(super) fn cancel(&mut self, waiter: WaiterId) {
        if let Some(record) = self.dequeue(waiter) {
            self.meters.leases.of(record.tenant.class).cancelled += 1;
        }
    }

    /// The waiter's time is over.
    pub(super) fn time_out(&mut self, waiter: WaiterId, now: Moment, effects: &mut Vec<Effect>) {
        let Some(record) = self.dequeue(waiter) else { return };
        let space = &self.spaces[record.space];
        let until = space.ban.until.max(self.server.closed_until(now));
        let error = if space.live() == 0 && until > now {
            BrokerError::Unavailable { retry_after: self.retry_after(until.since(now)) }
        } else {
            let (key, wait) = (space.key(), self.predicted_wait(Some(space), record.tenant.class, now));
            self.limit_error(LimitReason::WaitTimedOut, key, wait)
        };
        self.refuse(waiter, error, record.tenant.class, now, effects);
    }

    /// Tells a waiter that has already left its queue.
    pub(super) fn refuse(
        &mut self,
        waiter: WaiterId,
        error: BrokerError,
        class: Class,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        self.note_refusal(&error, class, now, effects);
        effects.push(Effect::Refuse { waiter, error });
    }

    /// Refuses all waiters of a space for which `error` gives a reason.
    pub(super) fn refuse_waiters(
        &mut self,
        id: SpaceId,
        now: Moment,
        effects: &mut Vec<Effect>,
        mut error: impl FnMut(&mut Self, Moment) -> Option<BrokerError>,
    ) {
        let mut waiters = Vec::new();
        for queue in self.spaces[id].queues.as_flattened() {
            waiters.extend(queue.ids(&self.waiters, |waiter| &waiter.link));
        }
        for waiter in waiters {
            let tenant = self.waiters[waiter].tenant;
            if tenant.kind == Kind::Own {
                continue;
            }
            let deadline = self.waiters[waiter].deadline;
            if let Some(error) = error(self, deadline) {
                self.dequeue(waiter);
                self.refuse(waiter, error, tenant.class, now, effects);
            }
        }
    }
}

impl Lane<'_> {
    fn key(self) -> Option<crate::WorkspaceKey> {
        match self {
            Self::System => None,
            Self::Workspace(key) => Some(key.clone()),
        }
    }
}
