#!/usr/bin/env bash
# Kills the server a hundred times in a large broadcast: scripts/test-crashes.sh
#
# A broadcast to 50,000 recipients whose server is killed 100 times at moments drawn from CRASH_SEED, on
# SQLite and on PostgreSQL. CRASH_RECIPIENTS and CRASH_KILLS change the numbers.
set -euo pipefail
cd "$(dirname "$0")/.."

export CRASH_RECIPIENTS="${CRASH_RECIPIENTS:-50000}" CRASH_KILLS="${CRASH_KILLS:-100}"
export CRASH_SEED="${CRASH_SEED:-$RANDOM}"
echo "Crashes: $CRASH_RECIPIENTS recipients, $CRASH_KILLS kills, seed $CRASH_SEED."
cargo test --package bootstrap --test crash -- --nocapture
