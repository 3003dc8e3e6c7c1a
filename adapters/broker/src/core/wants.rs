//! Z and G: workspaces entitled to one more slot, first come first served.
//!
//! A place is a number. A workspace that may not open for the moment leaves the list but keeps
//! its number, so that it comes back to its place and nobody has to pass over it.

use std::collections::BTreeMap;

use super::{
    Core, Effect, Moment,
    record::{Space, State, Want, WantKind},
    slab::SpaceId,
    tick::Timer,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    zero: [BTreeMap<u64, SpaceId>; 2],
    growth: [BTreeMap<u64, SpaceId>; 2],
    /// Workspaces that have left Z.
    departures: u64,
    /// Since when Z has not been empty.
    zero_since: Option<Moment>,
}

impl Wants {
    fn list(&mut self, kind: WantKind, background: bool) -> &mut BTreeMap<u64, SpaceId> {
        let lists = match kind {
            WantKind::Zero => &mut self.zero,
            WantKind::Growth => &mut self.growth,
        };
        &mut lists[usize::from(background)]
    }

    /// Length of Z.
    pub(super) fn zeros(&self) -> u64 {
        self.zero.iter().map(|list| list.len() as u64).sum()
    }

    /// Places in all lists.
    #[cfg(feature = "model")]
    pub(super) fn len(&self) -> usize {
        self.zero.iter().chain(&self.growth).map(BTreeMap::len).sum()
    }

    pub(super) const fn departures(&self) -> u64 {
        self.departures
    }

    pub(super) const fn zero_since(&self) -> Option<Moment> {
        self.zero_since
    }

    fn insert(&mut self, id: SpaceId, want: Want, background: bool, now: Moment) {
        self.list(want.kind, background).insert(want.place, id);
        if want.kind == WantKind::Zero {
            self.zero_since.get_or_insert(now);
        }
    }

    fn remove(&mut self, want: Want, background: bool) {
        self.list(want.kind, background).remove(&want.place);
        if want.kind == WantKind::Zero {
            self.departures += 1;
            if self.zeros() == 0 {
                self.zero_since = None;
            }
        }
    }

    /// The first want that is not `except`'s; those of background work only if allowed.
    fn first(&self, except: Option<SpaceId>, background: bool) -> Option<(SpaceId, WantKind)> {
        let first_of = |lists: &[BTreeMap<u64, SpaceId>; 2]| {
            lists[..=usize::from(background)]
                .iter()
                .filter_map(|list| list.iter().find(|(_, id)| Some(**id) != except))
                .min_by_key(|(place, _)| **place)
                .map(|(_, id)| *id)
        };
        let zero = first_of(&self.zero).map(|id| (id, WantKind::Zero));
        zero.or_else(|| first_of(&self.growth).map(|id| (id, WantKind::Growth)))
    }
}

#[cfg(test)]
impl Wants {
    /// All that are listed, in order.
    pub(super) fn order(&self) -> impl Iterator<Item = SpaceId> {
        self.zero.iter().chain(&self.growth).flat_map(BTreeMap::values).copied()
    }

    /// How many places in Z are smaller.
    pub(super) fn before(&self, place: u64) -> usize {
        self.zero.iter().map(|list| list.range(..place).count()).sum()
    }
}

/// More waiters than opens in flight.
#[derive(Clone, Copy, Debug)]
struct Need {
    background_only: bool,
}

impl Core {
    /// The next workspace to get a slot.
    pub(super) fn next_want(&self, except: Option<SpaceId>) -> Option<(SpaceId, WantKind)> {
        self.wants.first(except, self.background_allowed())
    }

    /// As [`Core::next_want`], now that there is something to give: a workspace in Z with debt
    /// pays a quantum of it by letting the others pass.
    pub(super) fn take_turn(&mut self, except: Option<SpaceId>, now: Moment) -> Option<SpaceId> {
        let quantum = self.limits.quantum;
        loop {
            let (id, kind) = self.next_want(except)?;
            let debt = self.spaces[id].debt.amount(now);
            if kind == WantKind::Growth || debt < quantum || !self.another_zero(id, except) {
                return Some(id);
            }
            self.spaces[id].debt.set(debt.saturating_sub(quantum), now);
            self.unlist(id);
            let place = self.turn();
            self.spaces[id].want = Some(Want { kind, place });
            self.list_again(id, now);
        }
    }

    fn another_zero(&self, id: SpaceId, except: Option<SpaceId>) -> bool {
        let lists = &self.wants.zero[..=usize::from(self.background_allowed())];
        lists.iter().flat_map(BTreeMap::values).take(3).any(|other| *other != id && Some(*other) != except)
    }

    fn unlist(&mut self, id: SpaceId) {
        let space = &mut self.spaces[id];
        if let (Some(want), true) = (space.want, space.listed) {
            space.listed = false;
            self.wants.remove(want, space.background_only);
        }
    }

    fn list_again(&mut self, id: SpaceId, now: Moment) {
        let space = &mut self.spaces[id];
        if let (Some(want), false) = (space.want, space.listed) {
            space.listed = true;
            if want.kind == WantKind::Zero {
                space.ahead = (self.wants.zeros(), self.wants.departures());
            }
            self.wants.insert(id, want, space.background_only, now);
        }
    }

    fn need(&self, space: &Space) -> Option<Need> {
        let (foreground, background) = self.servable(space);
        if foreground + background <= space.opens() {
            return None;
        }
        Some(Need { background_only: foreground <= space.opens() })
    }

    /// Background work may bring a workspace to one below the cap only.
    fn cap_for(&self, need: Need) -> u32 {
        let cap = self.limits.max_connections_per_workspace;
        if need.background_only { cap.saturating_sub(1).max(1) } else { cap }
    }

    /// Forbidden for the moment: by the cap, its breaker, or because it opens slowly.
    fn may_not_open(&self, space: &Space, now: Moment) -> bool {
        space.retired
            || space.ban.until > now
            || space.against_cap() >= self.limits.max_connections_per_workspace
            || space.opens() >= (self.limits.max_parallel_opens / 2).max(1)
    }

    /// Whether a slot that has just become free for this workspace is still of use to it.
    pub(super) fn still_needs(&self, id: SpaceId, now: Moment) -> bool {
        let space = &self.spaces[id];
        let useful = self.need(space).is_some_and(|need| {
            space.live() < self.cap_for(need) && (!need.background_only || self.background_allowed())
        });
        useful && !self.may_not_open(space, now)
    }

    /// Brings a space's want, its timers and its place among those held back up to date.
    pub(super) fn refresh(&mut self, id: SpaceId, now: Moment) {
        if id == self.system {
            return self.refresh_system(now);
        }
        let need = self.need(&self.spaces[id]);
        self.spaces[id].shortage.note(need.is_some(), now);
        let space = &self.spaces[id];
        let live = space.live();
        let mut growth_at = None;
        let kind = match need {
            Some(_) if live == 0 => Some(WantKind::Zero),
            Some(need) if live < self.cap_for(need) => {
                let due = self.growth_due(space);
                growth_at = due.filter(|due| *due > now);
                if growth_at.is_some() { None } else { Some(WantKind::Growth) }
            }
            _ => None,
        };
        let background_only = need.is_some_and(|need| need.background_only);
        let listed = kind.is_some() && !self.may_not_open(space, now);
        let ban_at =
            (need.is_some() || space.records() == 0).then_some(space.ban.until).filter(|at| *at > now);
        let stays = space.want.map(|want| want.kind) == kind && space.background_only == background_only;
        if !stays || listed != space.listed {
            self.unlist(id);
            let want = self.want_for(id, kind);
            let space = &mut self.spaces[id];
            space.background_only = background_only;
            space.want = want;
            if listed {
                self.list_again(id, now);
            }
        }
        if self.spaces[id].waiters() == 0 {
            self.spaces[id].former_place = None;
        }
        self.set_timer(id, Timer::Growth(id), growth_at);
        self.set_timer(id, Timer::Ban(id), ban_at);
        self.hold_back(id);
    }

    fn want_for(&mut self, id: SpaceId, kind: Option<WantKind>) -> Option<Want> {
        let space = &self.spaces[id];
        match (kind?, space.want) {
            (kind, Some(want)) if want.kind == kind => Some(want),
            (WantKind::Zero, _) if space.former_place.is_some() => {
                let place = space.former_place?;
                Some(Want { kind: WantKind::Zero, place })
            }
            (kind, _) => Some(Want { kind, place: self.turn() }),
        }
    }

    /// Growth is due when somebody has waited for as long as an open costs.
    fn growth_due(&self, space: &Space) -> Option<Moment> {
        Some(space.shortage.lasts_for(self.growth_delay())?.max(space.growth_from))
    }

    /// The system lane takes from its own reserve: no list, no victims.
    fn refresh_system(&mut self, now: Moment) {
        let id = self.system;
        let somebody_waits = self.need(&self.spaces[id]).is_some();
        self.spaces[id].shortage.note(somebody_waits, now);
        let space = &self.spaces[id];
        let due = if space.live() == 0 { Some(now) } else { self.growth_due(space) };
        let growth_at = due.filter(|due| *due > now && somebody_waits);
        self.set_timer(id, Timer::Growth(id), growth_at);
    }

    /// Opens for the system lane.
    pub(super) fn assign_system(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        loop {
            let space = &self.spaces[self.system];
            let due = space.live() == 0 || self.growth_due(space).is_some_and(|due| due <= now);
            let room = space.records() < self.limits.effective_system_reserve();
            let gate = space.opens() < (self.limits.max_parallel_opens / 2).max(1);
            if !due || !room || !gate || self.need(space).is_none() || !self.server_allows(now) {
                return;
            }
            self.start_open(self.system, super::record::Origin::Free, now, effects);
            let delay = self.growth_delay();
            self.spaces[self.system].growth_from = now + delay;
            self.look_again(now, effects);
        }
    }

    /// A workspace with an idle connection and a waiter that the limit for background work keeps
    /// apart is remembered until the limit lets go.
    fn hold_back(&mut self, id: SpaceId) {
        let space = &self.spaces[id];
        let (foreground, background) = self.servable(space);
        let apart = space.count(State::Idle) > 0 && foreground + background > space.checking;
        match (apart, space.held_back) {
            (true, None) => {
                let place = self.turn();
                self.spaces[id].held_back = Some(place);
                self.held_back.insert(place, id);
            }
            (false, Some(place)) => {
                self.spaces[id].held_back = None;
                self.held_back.remove(&place);
            }
            _ => {}
        }
    }

    pub(super) fn serve_held_back(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let mut from = 0;
        while self.background_allowed()
            && let Some((&place, &id)) = self.held_back.range(from..).next()
        {
            self.serve_idle(id, now, effects);
            self.hold_back(id);
            from = place + 1;
        }
    }
}

#[cfg(test)]
impl Core {
    /// Whether the lists agree with what the records say they should be.
    pub(super) fn wants_agree(&self, now: Moment) -> Result<(), String> {
        let mut listed = 0;
        for (id, space) in self.spaces.iter() {
            if id == self.system {
                continue;
            }
            let need = self.need(space);
            if need.is_some() && space.live() == 0 {
                let zero = space.want.is_some_and(|want| want.kind == WantKind::Zero);
                if !zero || space.listed == self.may_not_open(space, now) {
                    return Err(format!("{id:?} belongs into Z"));
                }
            }
            if need.is_none() && space.want.is_some() {
                return Err(format!("{id:?} wants nothing"));
            }
            if let (Some(want), true) = (space.want, space.listed) {
                listed += 1;
                let lists = match want.kind {
                    WantKind::Zero => &self.wants.zero,
                    WantKind::Growth => &self.wants.growth,
                };
                if lists[usize::from(space.background_only)].get(&want.place) != Some(&id) {
                    return Err(format!("{id:?} is not in its list"));
                }
            }
        }
        let all: usize = self.wants.zero.iter().chain(&self.wants.growth).map(BTreeMap::len).sum();
        if all != listed {
            return Err(format!("{all} places for {listed} wants"));
        }
        Ok(())
    }
}
