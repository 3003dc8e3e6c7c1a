//! Waiters: one queue per rank and kind in each space, and who of them is served next.

use std::time::Duration;

use super::{
    Core, Moment, WaiterId,
    record::{Kind, RANKS, Space, Tenant, Waiter},
    slab::SpaceId,
    tick::Timer,
};
use crate::{Access, Class, Limits};

/// After so long a waiter moves up one class.
const AGEING: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn kind(&self, space: SpaceId, class: Class, access: Access, own: bool) -> Kind {
        if space == self.system {
            return if own { Kind::Own } else { Kind::Plain };
        }
        let writes = access == Access::Write && self.limits.single_writer;
        match (class == Class::Background, writes) {
            (false, false) => Kind::Plain,
            (false, true) => Kind::Writer,
            (true, false) => Kind::Background,
            (true, true) => Kind::BackgroundWriter,
        }
    }

    /// Whether a waiter is still without an answer.
    pub(crate) fn is_waiting(&self, id: WaiterId) -> bool {
        self.waiters.get(id).is_some()
    }

    pub(super) fn enqueue(
        &mut self,
        space: SpaceId,
        tenant: Tenant,
        deadline: Moment,
        now: Moment,
    ) -> WaiterId {
        self.age(space, now);
        let rank = tenant.class as usize;
        let turn = self.turn();
        let id = self.waiters.insert(Waiter {
            space,
            tenant,
            rank,
            turn,
            ranked_at: now,
            link: super::list::Link::default(),
            arrived_at: now,
            deadline,
        });
        self.spaces[space].queues[tenant.kind as usize][rank].push_back(
            &mut self.waiters,
            id,
            Waiter::via_link,
        );
        if tenant.class == Class::Interactive && space != self.system {
            self.interactive_waiters += 1;
        }
        self.timers.insert((deadline, Timer::Deadline(id)));
        self.touch(space);
        id
    }

    pub(super) fn dequeue(&mut self, id: WaiterId) -> Option<Waiter> {
        let &Waiter { space, tenant, rank, deadline, .. } = self.waiters.get(id)?;
        self.spaces[space].queues[tenant.kind as usize][rank].remove(&mut self.waiters, id, Waiter::via_link);
        if tenant.class == Class::Interactive && space != self.system {
            self.interactive_waiters -= 1;
        }
        self.timers.remove(&(deadline, Timer::Deadline(id)));
        self.touch(space);
        self.waiters.remove(id)
    }

    pub(super) const fn turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    /// Moves every waiter that is due up to the tail of the next class. Called before a waiter is
    /// added or chosen, the result is the same as if it happened when due.
    fn age(&mut self, id: SpaceId, now: Moment) {
        for kind in Kind::ALL {
            for rank in (1..RANKS).rev() {
                while let Some(waiter) = self.spaces[id].queues[kind as usize][rank].head() {
                    let due = self.waiters[waiter].ranked_at + AGEING;
                    if due > now {
                        break;
                    }
                    let turn = self.turn();
                    let queues = &mut self.spaces[id].queues[kind as usize];
                    queues[rank].remove(&mut self.waiters, waiter, Waiter::via_link);
                    queues[rank - 1].push_back(&mut self.waiters, waiter, Waiter::via_link);
                    let record = &mut self.waiters[waiter];
                    record.rank = rank - 1;
                    record.turn = turn;
                    record.ranked_at = due;
                }
            }
        }
    }

    /// Leases of this kind that may be granted in this space, connections aside.
    pub(super) fn room(&self, space: &Space, kind: Kind) -> u32 {
        match kind {
            Kind::Plain if space.is_system() => self.system_room(space),
            Kind::Plain | Kind::Own => u32::MAX,
            Kind::Writer => self.writer_room(space),
            Kind::Background => self.background_room(),
            Kind::BackgroundWriter => self.background_room().min(self.writer_room(space)),
        }
    }

    fn writer_room(&self, space: &Space) -> u32 {
        if self.limits.single_writer { 1_u32.saturating_sub(space.writers) } else { u32::MAX }
    }

    /// The last connection of the reserve is for the broker itself.
    fn system_room(&self, space: &Space) -> u32 {
        let public = self.limits.effective_system_reserve().saturating_sub(1).max(1);
        public.saturating_sub(space.count(super::record::State::Leased))
    }

    /// Background leases hold a part of the slots at most while an interactive caller waits.
    fn background_room(&self) -> u32 {
        if self.interactive_waiters == 0 {
            return u32::MAX;
        }
        background_limit(&self.limits).saturating_sub(self.background_leases)
    }

    pub(super) fn background_allowed(&self) -> bool {
        self.background_room() > 0
    }

    /// Waiters that one more connection each would serve: foreground, background. The limit for
    /// background work everywhere is left aside.
    pub(super) fn servable(&self, space: &Space) -> (u32, u32) {
        let own = space.waiting(Kind::Own);
        let plain = space.waiting(Kind::Plain).min(self.room(space, Kind::Plain));
        let mut writer_room = self.writer_room(space);
        let writers = space.waiting(Kind::Writer).min(writer_room);
        writer_room -= writers;
        let background_writers = space.waiting(Kind::BackgroundWriter).min(writer_room);
        (own + plain + writers, space.waiting(Kind::Background) + background_writers)
    }

    /// Waiters that could be granted a connection now.
    pub(super) fn servable_now(&self, space: &Space) -> u32 {
        let (foreground, background) = self.servable(space);
        foreground + background.min(self.background_room())
    }

    /// Who is served next.
    pub(super) fn best_waiter(&mut self, id: SpaceId, now: Moment) -> Option<WaiterId> {
        if self.spaces[id].waiters() == 0 {
            return None;
        }
        self.age(id, now);
        let space = &self.spaces[id];
        Kind::ALL
            .into_iter()
            .filter(|&kind| self.room(space, kind) > 0)
            .filter_map(|kind| space.queues[kind as usize].iter().find_map(super::list::List::head))
            .min_by_key(|&waiter| (self.waiters[waiter].rank, self.waiters[waiter].turn))
    }

    /// Waiters that a new one of this class would be served after.
    pub(super) fn ahead_of(space: &Space, class: Class) -> u32 {
        space.queues.iter().flat_map(|ranks| &ranks[..=class as usize]).map(super::list::List::len).sum()
    }
}

pub(super) fn background_limit(limits: &Limits) -> u32 {
    (limits.workspace_slots() * limits.background_share / 100).max(1)
}
