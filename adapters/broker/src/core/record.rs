//! The records: one per connection, per waiter, per workspace.

use std::time::Duration;

use super::{
    gauge::{Ewma, Histogram},
    list::{Link, List},
    moment::Moment,
    slab::{ConnId, SpaceId, WaiterId},
};
use crate::{Class, Target, WorkspaceKey};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Opening,
    Idle,
    Leased,
    Cleaning,
    Closing,
    Zombie,
}

impl State {
    pub(crate) const COUNT: usize = 6;
}

/// How closely a lease is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Watch {
    Fresh,
    /// Over the warning time.
    Overdue,
    /// Interrupted; closed when it is given back.
    Revoked,
}

/// The global lists. Every connection record is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roll {
    Opening,
    /// Idle connections of workspaces, least recently used first.
    Idle,
    /// Idle connections of the system database: no victims.
    IdleSystem,
    /// Leases in the order of their grants; likewise the next two.
    Leased,
    Overdue,
    Revoked,
    Cleaning,
    Closing,
    Zombie,
}

impl Roll {
    pub(crate) const ALL: [Self; 9] = [
        Self::Opening,
        Self::Idle,
        Self::IdleSystem,
        Self::Leased,
        Self::Overdue,
        Self::Revoked,
        Self::Cleaning,
        Self::Closing,
        Self::Zombie,
    ];
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CloseReason {
    Idle,
    Lifetime,
    Stolen,
    Share,
    Quantum,
    Broken,
    Dirty,
    Generation,
    Retired,
    Shutdown,
}

/// Where the slot of an open came from; only for the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    Free,
    Stolen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) class: Class,
    pub(crate) kind: Kind,
    pub(crate) label: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) space: SpaceId,
    pub(crate) state: State,
    pub(crate) watch: Watch,
    /// Place in the global list of its state.
    pub(crate) link: Link<ConnId>,
    /// Place in the idle stack of its workspace.
    pub(crate) stack: Link<ConnId>,
    /// When it was opened for its workspace (begun to be, while it is Opening).
    pub(crate) opened_at: Moment,
    /// How many connections of workspaces had been opened before it.
    pub(crate) opened_before: u64,
    /// When its state began.
    pub(crate) since: Moment,
    pub(crate) expires_at: Moment,
    pub(crate) generation: u32,
    pub(crate) origin: Origin,
    /// While leased.
    pub(crate) tenant: Option<Tenant>,
    /// While Cleaning: a health check for a waiter.
    pub(crate) checking: bool,
    /// While Closing: the workspace its slot will go to.
    pub(crate) reserved_for: Option<SpaceId>,
}

impl Conn {
    pub(crate) fn via_link(conn: &mut Self) -> &mut Link<ConnId> {
        &mut conn.link
    }

    pub(crate) fn via_stack(conn: &mut Self) -> &mut Link<ConnId> {
        &mut conn.stack
    }
}

/// What limits a waiter besides connections; each has its own queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Plain,
    /// Needs the workspace's only right to write.
    Writer,
    Background,
    BackgroundWriter,
    /// The broker itself, on the system lane.
    Own,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Plain, Self::Writer, Self::Background, Self::BackgroundWriter, Self::Own];

    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::Writer | Self::BackgroundWriter)
    }
}

/// Classes a waiter can be in; it rises by one per second.
pub(crate) const RANKS: usize = 3;

#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) space: SpaceId,
    pub(crate) tenant: Tenant,
    /// 0 is served first.
    pub(crate) rank: usize,
    /// Order of arrival in its rank.
    pub(crate) turn: u64,
    pub(crate) ranked_at: Moment,
    pub(crate) link: Link<WaiterId>,
    pub(crate) arrived_at: Moment,
    pub(crate) deadline: Moment,
}

impl Waiter {
    pub(crate) fn via_link(waiter: &mut Self) -> &mut Link<WaiterId> {
        &mut waiter.link
    }
}

/// A workspace's place among those entitled to one more slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) kind: WantKind,
    /// Smaller is earlier.
    pub(crate) place: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WantKind {
    /// Z: it has no connection.
    Zero,
    /// G: it has some, but its waiters wait for too long.
    Growth,
}

/// What keeps a workspace from opening connections for a while.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ban {
    pub(crate) until: Moment,
    pub(crate) failures: u32,
    pub(crate) missing: bool,
}

/// Time overrun and not yet paid for; halves every minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Debt {
    amount: Duration,
    at: Moment,
}

impl Debt {
    const HALF_LIFE: f64 = 60.0;
    /// Forgotten when smaller.
    const LEAST: Duration = Duration::from_millis(1);

    pub(crate) fn amount(self, now: Moment) -> Duration {
        if self.amount.is_zero() {
            return Duration::ZERO;
        }
        let left = self.amount.mul_f64((-now.since(self.at).as_secs_f64() / Self::HALF_LIFE).exp2());
        if left < Self::LEAST { Duration::ZERO } else { left }
    }

    pub(crate) fn set(&mut self, amount: Duration, now: Moment) {
        *self = Self { amount, at: now };
    }

    /// When it will be forgotten.
    pub(crate) fn gone_at(self, now: Moment) -> Option<Moment> {
        let left = self.amount(now);
        if left.is_zero() {
            return None;
        }
        let halvings = (left.as_secs_f64() / Self::LEAST.as_secs_f64()).log2();
        Some(now + Duration::from_secs_f64(halvings * Self::HALF_LIFE + 1.0))
    }
}

/// How long, in all, somebody has waited since a connection was last idle or opened. The wait of one
/// waiter would not tell: with short queries and many clients each waits little, but always.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shortage {
    /// Up to the last moment at which nobody waited.
    before: Duration,
    since: Option<Moment>,
}

impl Shortage {
    pub(crate) fn note(&mut self, somebody_waits: bool, now: Moment) {
        match (somebody_waits, self.since) {
            (true, None) => self.since = Some(now),
            (false, Some(since)) => {
                *self = Self { before: self.before + now.since(since), since: None };
            }
            _ => {}
        }
    }

    /// When it will have lasted for this long, if it goes on.
    pub(crate) fn lasts_for(self, time: Duration) -> Option<Moment> {
        Some(self.since? + time.saturating_sub(self.before))
    }

    #[cfg(test)]
    pub(crate) fn so_far(self, now: Moment) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

/// Counters of one workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) waits: Option<Box<Histogram>>,
    pub(crate) opens: u64,
    pub(crate) closed_idle: u64,
    pub(crate) closed_lifetime: u64,
    pub(crate) closed_stolen: u64,
    pub(crate) closed_broken: u64,
}

/// All that is known of a workspace, or of the system lane. Exists only while there is something.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct Space {
    pub(crate) target: Target,
    /// Idle connections, most recently used first.
    pub(crate) idle: List<ConnId>,
    pub(crate) counts: [u32; State::COUNT],
    /// Of those Cleaning, the ones being checked for a waiter.
    pub(crate) checking: u32,
    /// Slots of others that are closing for this one.
    pub(crate) reserved: u32,
    /// Leases that may write.
    pub(crate) writers: u32,
    pub(crate) queues: [[List<WaiterId>; RANKS]; Kind::ALL.len()],
    pub(crate) want: Option<Want>,
    /// Whether the want is in its list; it is not while something forbids it for the moment.
    pub(crate) listed: bool,
    /// Of the want: only background waiters.
    pub(crate) background_only: bool,
    /// Place to return to if the open now under way fails.
    pub(crate) former_place: Option<u64>,
    /// Workspaces ahead when it joined Z, and departures from Z until then.
    pub(crate) ahead: (u64, u64),
    /// Key in the list of workspaces that could serve a background waiter if that were allowed.
    pub(crate) held_back: Option<u64>,
    /// How long it has been short of connections.
    pub(crate) shortage: Shortage,
    /// No growth before.
    pub(crate) growth_from: Moment,
    pub(crate) growth_timer: Option<Moment>,
    pub(crate) ban_timer: Option<Moment>,
    pub(crate) forget_timer: Option<Moment>,
    pub(crate) ban: Ban,
    pub(crate) retired: bool,
    pub(crate) debt: Debt,
    pub(crate) hold: Ewma,
    pub(crate) tally: Tally,
    /// Whether it is in the list of records to look at again.
    pub(crate) touched: bool,
}

impl Space {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            idle: List::default(),
            counts: [0; State::COUNT],
            checking: 0,
            reserved: 0,
            writers: 0,
            queues: <[[List<WaiterId>; RANKS]; Kind::ALL.len()]>::default(),
            want: None,
            listed: false,
            background_only: false,
            former_place: None,
            ahead: (0, 0),
            held_back: None,
            shortage: Shortage::default(),
            growth_from: Moment::START,
            growth_timer: None,
            ban_timer: None,
            forget_timer: None,
            ban: Ban::default(),
            retired: false,
            debt: Debt::default(),
            hold: Ewma::default(),
            tally: Tally::default(),
            touched: false,
        }
    }

    pub(crate) const fn is_system(&self) -> bool {
        matches!(self.target, Target::System)
    }

    pub(crate) fn key(&self) -> Option<WorkspaceKey> {
        match &self.target {
            Target::System => None,
            Target::Workspace(key) => Some(key.clone()),
        }
    }

    pub(crate) const fn count(&self, state: State) -> u32 {
        self.counts[state as usize]
    }

    /// Records of this workspace, whatever their state.
    pub(crate) fn records(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// c(W): Opening, Idle, Leased, Cleaning, and the slots reserved for it.
    pub(crate) const fn live(&self) -> u32 {
        self.opens() + self.count(State::Idle) + self.count(State::Leased) + self.count(State::Cleaning)
    }

    /// Opens in flight.
    pub(crate) const fn opens(&self) -> u32 {
        self.count(State::Opening) + self.reserved
    }

    /// What counts against the cap.
    pub(crate) const fn against_cap(&self) -> u32 {
        self.live() + self.count(State::Closing) + self.count(State::Zombie)
    }

    pub(crate) fn waiting(&self, kind: Kind) -> u32 {
        self.queues[kind as usize].iter().map(List::len).sum()
    }

    pub(crate) fn waiters(&self) -> u32 {
        self.queues.as_flattened().iter().map(List::len).sum()
    }
}
