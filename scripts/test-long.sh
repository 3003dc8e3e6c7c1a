#!/usr/bin/env bash
# The long tests of the connection broker, and what it measures: scripts/test-long.sh
#
# Prints how many states, transitions and schedules were tried; fails when there are fewer than there
# were. Takes tens of minutes on two cores. The figures in docs/connection-broker.md come from here.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    printf '\n== %s (%ss)\n' "$1" "$SECONDS"
}

step "every order of events of a small broker, and random histories (C1, C2)"
cargo test --release --package broker --features long --lib -- --nocapture exhaustive random

step "a hundred thousand workspaces over real sockets, and faults (F1 to F5)"
cargo test --release --package broker --features long --test faults -- --nocapture

step "orders in which threads can meet (C6)"
cargo test --release --package broker --features long,shuttle --lib -- --nocapture schedules

step "before a real PostgreSQL, whose role has the budget as its limit (R1 to R12)"
cargo test --release --package store --features exhaustive --lib -- --nocapture --test-threads 1 broker::tests::server

step "up to a million workspaces on a virtual clock (C7, B7)"
cargo run --release --package benches -- simulate

step "lending an idle connection, and the statistics (B1, B8)"
cargo run --release --package benches -- core
step "before PostgreSQL, beside what others do (B2 to B6)"
cargo run --release --package benches -- server
step "done"
