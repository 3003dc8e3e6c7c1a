//! What could be had at best: hit rates of caches with one place per connection, for the same
//! sequence of requests.

use std::collections::{BTreeMap, HashMap};

/// An ideal cache that gives up what was used least recently.
pub(super) fn least_recently_used(asked: &[u32], places: usize) -> f64 {
    let (mut used, mut order, mut hits) = (HashMap::new(), BTreeMap::new(), 0_usize);
    for (turn, &workspace) in asked.iter().enumerate() {
        if let Some(before) = used.insert(workspace, turn) {
            order.remove(&before);
            hits += 1;
        } else if used.len() > places
            && let Some((_, oldest)) = order.pop_first()
        {
            used.remove(&oldest);
        }
        order.insert(turn, workspace);
    }
    rate(hits, asked.len())
}

/// Bélády's optimum: gives up what will not be needed for longest. Needs to know the future.
pub(super) fn belady(asked: &[u32], places: usize) -> f64 {
    let mut next_use = vec![usize::MAX; asked.len()];
    let mut seen = HashMap::new();
    for (turn, &workspace) in asked.iter().enumerate().rev() {
        next_use[turn] = seen.insert(workspace, turn).unwrap_or(usize::MAX);
    }
    // What is never needed again is told apart by when it was used.
    let key = |turn: usize| (next_use[turn], turn);
    let (mut kept, mut order, mut hits) = (HashMap::new(), BTreeMap::new(), 0_usize);
    for (turn, &workspace) in asked.iter().enumerate() {
        if let Some(before) = kept.insert(workspace, key(turn)) {
            order.remove(&before);
            hits += 1;
        } else if kept.len() > places
            && let Some((_, furthest)) = order.pop_last()
        {
            kept.remove(&furthest);
        }
        order.insert(key(turn), workspace);
    }
    rate(hits, asked.len())
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
fn rate(hits: usize, all: usize) -> f64 {
    hits as f64 / (all as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimum_keeps_what_comes_again_soonest() {
        let asked = [1, 2, 3, 1, 2, 3, 1, 2, 3];
        assert!(least_recently_used(&asked, 2) < 1e-9, "a cycle larger than the cache never hits");
        assert!((belady(&asked, 2) - 3.0 / 9.0).abs() < 1e-9);
    }

    #[test]
    fn everything_hits_but_the_first_time_when_all_fit() {
        let asked = [1, 2, 1, 2];
        assert!((least_recently_used(&asked, 2) - 0.5).abs() < 1e-9);
        assert!((belady(&asked, 2) - 0.5).abs() < 1e-9);
    }
}
