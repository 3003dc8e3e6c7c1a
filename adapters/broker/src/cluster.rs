//! How several instances share one budget: the rules alone, without clock, network or table.
//!
//! All instances change one [`Ledger`], one at a time, in a transaction. The shares in it never add
//! up to more than the budget, whatever has become of their instances: a share is given to another
//! only when its instance has itself reported fewer connections, or has not been heard of in time
//! *and* the server is known to have none of its sessions.

use std::time::Duration;

/// Connections that are in no share: an instance needs one to ask for its share, and one that lost
/// its session needs another before the server has noticed the loss.
pub const JOINING: u32 = 2;

/// What all instances agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterRules {
    /// Connections of all instances together.
    pub budget: u32,
    /// An instance that has not been heard of for so long is taken for dead.
    pub ttl: Duration,
}

/// One instance as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, new at every start.
    pub instance: String,
    /// Connections it may have; nobody else may use them.
    pub share: u32,
    /// Connections it is to have. It shrinks when there are fewer than in its share, and reports it.
    pub target: u32,
    /// Connections it could use.
    pub wanted: u32,
    /// Connections it cannot work without.
    pub floor: u32,
    /// The budget it was told.
    pub budget: u32,
    /// Grows with every change.
    pub generation: u64,
    /// When it is taken for dead, in milliseconds of the server's clock.
    pub expires_at: u64,
    /// When it last decided over the targets of all, in milliseconds of the server's clock.
    pub decided_at: u64,
}

/// What an instance says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    /// Its name.
    pub instance: &'a str,
    /// It has no more connections than that, and will not have more until it is told so.
    pub reached: u32,
    /// Connections it could use.
    pub wanted: u32,
    /// Connections it cannot work without.
    pub floor: u32,
}

/// What an instance is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It may have so many connections, once the change is kept.
    Share {
        /// At most so many.
        share: u32,
        /// It is to come down to so many, and report it. Not below `share` when nothing is asked.
        target: u32,
    },
    /// Its share has been given to others: it may have none, and must join anew.
    Lost,
}

/// Why an instance cannot join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotJoin {
    /// Every instance needs some connections to work at all.
    #[error(
        "DB_MAX_CONNECTIONS is {budget}, too few for one more process: those running cannot work without \
         {taken}, this one not without {floor}, and {JOINING} are kept for joining"
    )]
    NoRoom {
        /// The budget.
        budget: u32,
        /// What the others need.
        taken: u32,
        /// What this one needs.
        floor: u32,
    },
    /// Instances must agree on the budget.
    #[error("DB_MAX_CONNECTIONS is {mine} here, but {theirs} in a process that is running")]
    OtherBudget {
        /// This one's.
        mine: u32,
        /// Another one's.
        theirs: u32,
    },
}

/// All shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// In any order.
    pub members: Vec<Member>,
}

impl ClusterRules {
    /// Targets are decided over at most so often.
    pub const PAUSE: Duration = Duration::from_secs(5);

    /// Connections that are given away in shares.
    #[must_use]
    pub const fn shared(&self) -> u32 {
        self.budget.saturating_sub(JOINING)
    }

    /// How often an instance lets itself be heard.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.ttl / 3
    }

    /// So long before it is taken for dead an instance lends no more.
    #[must_use]
    pub fn margin(&self) -> Duration {
        Duration::from_secs(5).min(self.ttl / 3)
    }

    /// A fifth moves at once at most.
    fn most_moved(&self) -> u32 {
        (self.budget / 5).max(1)
    }

    fn ttl_millis(&self) -> u64 {
        millis(self.ttl)
    }
}

impl Ledger {
    /// Adds an instance, which has no share yet.
    ///
    /// # Errors
    ///
    /// [`CannotJoin`] when all could not work together.
    pub fn join(
        &mut self,
        rules: &ClusterRules,
        instance: &str,
        floor: u32,
        now: u64,
    ) -> Result<(), CannotJoin> {
        let living = self.members.iter().filter(|m| m.expires_at > now && m.instance != instance);
        let (mut taken, mut others) = (0, None);
        for member in living {
            taken += member.floor;
            others = others.or(Some(member.budget).filter(|budget| *budget != rules.budget));
        }
        if let Some(theirs) = others {
            return Err(CannotJoin::OtherBudget { mine: rules.budget, theirs });
        }
        if taken + floor > rules.shared() {
            return Err(CannotJoin::NoRoom { budget: rules.budget, taken, floor });
        }
        if self.member(instance).is_none() {
            self.members.push(Member {
                instance: instance.to_owned(),
                share: 0,
                target: 0,
                wanted: floor,
                floor,
                budget: rules.budget,
                generation: 0,
                expires_at: now + rules.ttl_millis(),
                decided_at: 0,
            });
        }
        Ok(())
    }

    /// An instance lets itself be heard. `gone` tells whether the server is known to have no session
    /// of an instance.
    pub fn hear(
        &mut self,
        rules: &ClusterRules,
        report: &Report<'_>,
        now: u64,
        gone: impl Fn(&str) -> bool,
    ) -> Told {
        self.members.retain(|m| m.instance == report.instance || m.expires_at > now || !gone(&m.instance));
        let Some(place) = self.members.iter().position(|m| m.instance == report.instance) else {
            return Told::Lost;
        };
        let me = &mut self.members[place];
        me.expires_at = now + rules.ttl_millis();
        me.share = me.share.min(report.reached.max(me.target));
        (me.wanted, me.floor) = (report.wanted, report.floor);
        me.generation += 1;
        self.decide(rules, place, now);
        let free = rules.shared().saturating_sub(self.members.iter().map(|m| m.share).sum());
        let me = &mut self.members[place];
        me.share += me.target.saturating_sub(me.share).min(free);
        Told::Share { share: me.share, target: me.target.min(me.share) }
    }

    /// An instance that has closed everything goes.
    pub fn leave(&mut self, instance: &str) {
        self.members.retain(|m| m.instance != instance);
    }

    /// Those that have not been heard of in time.
    pub fn silent(&self, now: u64) -> impl Iterator<Item = &str> {
        self.members.iter().filter(move |m| m.expires_at <= now).map(|m| m.instance.as_str())
    }

    fn member(&self, instance: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.instance == instance)
    }

    /// Gives every living instance its floor, and the rest in proportion to what they want.
    fn decide(&mut self, rules: &ClusterRules, place: usize, now: u64) {
        let last = self.members.iter().map(|m| m.decided_at).max().unwrap_or_default();
        if now < last + millis(ClusterRules::PAUSE) {
            return;
        }
        let silent: u32 = self.members.iter().filter(|m| m.expires_at <= now).map(|m| m.share).sum();
        let available = rules.shared().saturating_sub(silent);
        let living: Vec<usize> =
            (0..self.members.len()).filter(|i| self.members[*i].expires_at > now).collect();
        let Some(ideal) = self.ideal(&living, available) else { return };
        let lowered = |i: &usize, ideal: u32| self.members[*i].target.saturating_sub(ideal);
        let down: u32 = living.iter().zip(&ideal).map(|(i, ideal)| lowered(i, *ideal)).sum();
        let hungry = living.iter().any(|i| self.members[*i].target < self.members[*i].floor);
        let assigned: u32 = living.iter().map(|i| self.members[*i].target).sum();
        if down + available.saturating_sub(assigned) <= rules.budget / 20 && !hungry {
            return;
        }
        self.members[place].decided_at = now;
        let most = rules.most_moved();
        let mut moved = 0;
        for (i, ideal) in living.iter().zip(&ideal) {
            let target = &mut self.members[*i].target;
            if *target > *ideal {
                let wish = *target - *ideal;
                let step = if down > most { wish * most / down } else { wish };
                // Rounding must not stop what is to move.
                let step = step.max(1).min(most.saturating_sub(moved));
                *target -= step;
                moved += step;
            }
        }
        let mut left = available.saturating_sub(living.iter().map(|i| self.members[*i].target).sum());
        // Whoever has less than it needs comes first.
        let mut order: Vec<(usize, u32)> = living.iter().copied().zip(ideal).collect();
        order.sort_by_key(|(i, _)| (self.members[*i].target >= self.members[*i].floor, *i));
        for (i, ideal) in order {
            let target = &mut self.members[i].target;
            let step = ideal.saturating_sub(*target).min(left);
            *target += step;
            left -= step;
        }
    }

    /// `None` when not even the floors fit.
    fn ideal(&self, living: &[usize], available: u32) -> Option<Vec<u32>> {
        let floors: u32 = living.iter().map(|i| self.members[*i].floor).sum();
        let rest = u64::from(available.checked_sub(floors)?);
        let weight = |i: &usize| u64::from(self.members[*i].wanted.max(1));
        let all: u64 = living.iter().map(weight).sum();
        let part = |i: &usize| u32::try_from(rest * weight(i) / all.max(1)).unwrap_or(u32::MAX);
        let mut ideal: Vec<u32> = living.iter().map(|i| self.members[*i].floor + part(i)).collect();
        // What rounding has left over goes to the first.
        let given: u32 = ideal.iter().sum();
        if let Some(first) = ideal.first_mut() {
            *first += available.saturating_sub(given);
        }
        Some(ideal)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
