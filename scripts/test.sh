#!/usr/bin/env bash
# Runs all tests: scripts/test.sh [arguments of cargo test]
#
# The tests need a PostgreSQL. They take the server of TEST_DATABASE_URL, else a container when Docker
# answers, else a throw-away cluster of local server binaries. When none of these can be had, this
# script installs the binaries.
set -euo pipefail
cd "$(dirname "$0")/.."

has_docker() {
    command -v docker >/dev/null && docker info >/dev/null 2>&1
}

has_binaries() {
    command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ||
        compgen -G '/usr/pgsql-*/bin/postgres' >/dev/null ||
        compgen -G '/opt/homebrew/opt/postgresql*/bin/postgres' >/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_binaries() {
    command -v apt-get >/dev/null || {
        echo "The tests need a PostgreSQL: set TEST_DATABASE_URL, start Docker, or install its server." >&2
        exit 1
    }
    echo "Installing the PostgreSQL server for the tests …"
    export DEBIAN_FRONTEND=noninteractive
    # No cluster of the system's own: the tests start theirs and remove it.
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.d/no-main.conf >/dev/null
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends postgresql >/dev/null
}

if [ -z "${TEST_DATABASE_URL:-}" ] && ! has_docker && ! has_binaries; then
    install_binaries
fi
# A build of its own: in it threads and clock are a scheduler's, which tries the orders they can meet in.
cargo test --quiet --package broker --features shuttle --lib schedules
exec cargo test --workspace "$@"
