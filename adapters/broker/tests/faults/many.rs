//! F4: far more workspaces than connections, over real sockets.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{SECOND, key, limits, query, start_with, stats, until};
use broker::Limits;

const WORKSPACES: u64 = if cfg!(feature = "long") { 100_000 } else { 500 };
const LEASES: u64 = if cfg!(feature = "long") { 1_000_000 } else { 4_000 };
const SEED: u64 = 0x5EED_CAFE;

/// Popular ones far more often than others: the square of a square is small.
fn choose(number: u64) -> usize {
    let mut mixed = SEED.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let part = f64::from(u32::try_from(mixed >> 32).unwrap()) / f64::from(u32::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small"
    )]
    let workspace = (part.powi(8) * WORKSPACES as f64) as usize;
    workspace
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_workspaces_than_connections_are_served_within_the_budget() {
    println!("F4: {WORKSPACES} workspaces, {LEASES} leases, seed {SEED}");
    let limits = Limits {
        max_connections: 60,
        system_reserve: Some(5),
        max_parallel_opens: 16,
        connect_timeout: 5 * SECOND,
        close_timeout: 5 * SECOND,
        ..limits()
    };
    let (broker, server) = start_with(limits).await;
    let next = Arc::new(AtomicU64::new(0));
    let clients = (0..64).map(|_| {
        let (broker, next) = (broker.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= LEASES {
                    return;
                }
                if number % 100_000 == 99_999 {
                    println!("  {} leases", number + 1);
                }
                drop(query(&broker, &key(choose(number))).await.unwrap());
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    until("everything idle", || {
        let stats = stats(&broker);
        stats.total_open == stats.total_idle && stats.total_open as usize == server.sessions()
    })
    .await;
    let found = stats(&broker);
    println!(
        "F4: hit rate {:.2}, {} opens, peak {} sessions",
        found.hit_rate,
        server.opened(),
        server.peak()
    );
    assert_eq!((server.over_limit(), found.leases.refused, found.server_refusals), (0, 0, 0));
    assert!(server.peak() <= 60, "{} sessions", server.peak());
    assert!(broker.shutdown(5 * SECOND).await.is_clean());
    assert_eq!(server.sessions(), 0);
}
