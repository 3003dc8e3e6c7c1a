//! Whose turn it is: each workspace and kind of work stands in the line at most once.

use application::ports::{WorkItem, WorkKind};
use domain::ids::WorkspaceId;
use std::collections::{HashMap, VecDeque};
use tokio::time::Instant;

type Key = (WorkspaceId, WorkKind);

/// The line of those who wait for a turn, and those who have one.
#[derive(Default)]
pub(crate) struct Turns {
    line: VecDeque<Key>,
    known: HashMap<Key, Entry>,
}

#[derive(Default)]
struct Entry {
    /// The newest entry of the index.
    seen: Option<WorkItem>,
    running: bool,
    /// Stands in the line.
    waiting: bool,
    /// Woken while running: whatever the turn finds, another one follows.
    woken: bool,
    /// Left alone until then.
    paused_until: Option<Instant>,
    /// Turns that failed in a row.
    failures: u32,
}

/// A turn to take.
pub(crate) struct Turn {
    pub(crate) workspace: WorkspaceId,
    pub(crate) kind: WorkKind,
    /// The entry of the index as read before this turn began.
    pub(crate) seen: Option<WorkItem>,
    /// Turns before this one that failed in a row.
    pub(crate) failures: u32,
}

impl Turns {
    /// Puts a workspace at the end of the line, unless it stands there.
    pub(crate) fn add(&mut self, workspace: WorkspaceId, kind: WorkKind) {
        let key = (workspace, kind);
        let entry = self.known.entry(key.clone()).or_default();
        if entry.running {
            entry.woken = true;
        } else if !entry.waiting {
            entry.waiting = true;
            self.line.push_back(key);
        }
    }

    /// The same for an entry of the index. A turn that runs began before this entry was read, so
    /// the entry is concluded by a later turn only.
    pub(crate) fn add_seen(&mut self, item: WorkItem) {
        let key = (item.workspace.clone(), item.kind);
        let entry = self.known.entry(key.clone()).or_default();
        entry.seen = Some(item);
        if !entry.running && !entry.waiting {
            entry.waiting = true;
            self.line.push_back(key);
        }
    }

    /// Gives the next turn to the first in the line that is not paused.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Turn> {
        for _ in 0..self.line.len() {
            let key = self.line.pop_front()?;
            let entry = self.known.entry(key.clone()).or_default();
            if entry.paused_until.is_some_and(|until| now < until) {
                self.line.push_back(key);
                continue;
            }
            let (seen, failures) = (entry.seen.take(), entry.failures);
            *entry = Entry { running: true, failures, ..Entry::default() };
            return Some(Turn { workspace: key.0, kind: key.1, seen, failures });
        }
        None
    }

    /// Takes a turn back that went well. With `more`, or when woken meanwhile, another one follows.
    pub(crate) fn end(&mut self, workspace: &WorkspaceId, kind: WorkKind, more: bool) {
        let key = (workspace.clone(), kind);
        let Some(entry) = self.known.get_mut(&key) else { return };
        entry.running = false;
        entry.failures = 0;
        if more || entry.woken || entry.seen.is_some() {
            entry.woken = false;
            entry.waiting = true;
            self.line.push_back(key);
        } else {
            self.known.remove(&key);
        }
    }

    /// Takes a turn back that failed: another one follows, not before `until`.
    pub(crate) fn fail(&mut self, workspace: &WorkspaceId, kind: WorkKind, until: Instant) {
        let key = (workspace.clone(), kind);
        let Some(entry) = self.known.get_mut(&key) else { return };
        let failures = entry.failures.saturating_add(1);
        let seen = entry.seen.take();
        *entry = Entry { seen, waiting: true, paused_until: Some(until), failures, ..Entry::default() };
        self.line.push_back(key);
    }

    /// After a turn was lost: those that ran are found again through the index.
    pub(crate) fn forget_running(&mut self) {
        self.known.retain(|_, entry| !entry.running);
    }

    /// The next moment at which something changes by itself: the given one, or the end of a pause.
    /// Who stands in the line without a pause waits for the end of another turn, not for a moment.
    pub(crate) fn next_moment(&self, now: Instant, poll: Instant) -> Instant {
        let pauses = self.line.iter().filter_map(|key| self.known.get(key)?.paused_until);
        pauses.filter(|end| *end > now).fold(poll, Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn id(text: &str) -> WorkspaceId {
        WorkspaceId::parse(text).unwrap()
    }

    fn order(turns: &mut Turns, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| turns.begin(now)).map(|t| t.workspace.to_string()).collect()
    }

    #[test]
    fn workspaces_take_turns() {
        let mut turns = Turns::default();
        let now = Instant::now();
        for name in ["a", "b", "a", "c"] {
            turns.add(id(name), WorkKind::Deliveries);
        }
        let first = turns.begin(now).unwrap();
        turns.end(&first.workspace, first.kind, true);
        assert_eq!(order(&mut turns, now), ["b", "c", "a"]);
    }

    #[test]
    fn a_call_during_a_turn_is_not_lost() {
        let mut turns = Turns::default();
        let now = Instant::now();
        turns.add(id("a"), WorkKind::Deliveries);
        let turn = turns.begin(now).unwrap();
        turns.add(id("a"), WorkKind::Deliveries);
        assert!(turns.begin(now).is_none(), "never two turns at once");
        turns.end(&turn.workspace, turn.kind, false);
        assert_eq!(order(&mut turns, now), ["a"]);
    }

    #[test]
    fn an_entry_read_during_a_turn_is_left_to_the_next_turn() {
        let mut turns = Turns::default();
        let now = Instant::now();
        let item = WorkItem {
            workspace: id("a"),
            kind: WorkKind::Planning,
            due_at: domain::Timestamp::UNIX_EPOCH,
            promised_at: domain::Timestamp::UNIX_EPOCH,
        };
        turns.add(id("a"), WorkKind::Planning);
        let turn = turns.begin(now).unwrap();
        assert_eq!(turn.seen, None);
        turns.add_seen(item.clone());
        turns.end(&turn.workspace, turn.kind, false);
        assert_eq!(turns.begin(now).unwrap().seen, Some(item));
    }

    #[test]
    fn a_paused_workspace_delays_nobody() {
        let mut turns = Turns::default();
        let now = Instant::now();
        turns.add(id("a"), WorkKind::Deliveries);
        let turn = turns.begin(now).unwrap();
        let pause = now + Duration::from_secs(5);
        turns.fail(&turn.workspace, turn.kind, pause);
        turns.add(id("b"), WorkKind::Deliveries);
        assert_eq!(order(&mut turns, now), ["b"]);
        assert_eq!(turns.next_moment(now, now + Duration::from_mins(1)), pause);
        assert_eq!(order(&mut turns, pause), ["a"]);
    }

    #[test]
    fn failures_in_a_row_are_counted_until_a_turn_goes_well() {
        let mut turns = Turns::default();
        let now = Instant::now();
        turns.add(id("a"), WorkKind::Deliveries);
        let mut counted = Vec::new();
        for _ in 0..2 {
            let turn = turns.begin(now).unwrap();
            counted.push(turn.failures);
            turns.fail(&turn.workspace, turn.kind, now);
        }
        let turn = turns.begin(now).unwrap();
        counted.push(turn.failures);
        turns.end(&turn.workspace, turn.kind, true);
        counted.push(turns.begin(now).unwrap().failures);
        assert_eq!(counted, [0, 1, 2, 0]);
    }

    #[test]
    fn what_is_done_is_forgotten() {
        let mut turns = Turns::default();
        turns.add(id("a"), WorkKind::Deliveries);
        let turn = turns.begin(Instant::now()).unwrap();
        turns.end(&turn.workspace, turn.kind, false);
        assert!(turns.known.is_empty());
    }
}
