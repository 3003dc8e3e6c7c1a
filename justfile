# What is done often. CI does the same: see .ci/run.

# list the recipes
default:
    @just --list

# format
fmt:
    cargo fmt --all

# everything that can be said about the code without running it
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# all tests, on SQLite and on a real PostgreSQL
test *arguments:
    scripts/test.sh {{arguments}}

# write the public contract anew
openapi:
    cargo run --quiet -- openapi > openapi/openapi.json

# write the page about settings anew
settings:
    cargo run --quiet -- settings > docs/settings.md

# the main job, from an empty folder to delivered mails
demo *arguments:
    cargo run --release -- demo {{arguments}}

# the long tests of the connection broker, and its measures; tens of minutes
test-long:
    scripts/test-long.sh

# measure the connection broker: just bench core
bench *arguments:
    cargo run --release --package benches -- {{arguments}}

# licences, fenced frameworks, unused dependencies, spelling
audit:
    cargo deny check bans licenses sources
    cargo machete
    typos

# what CI does
ci:
    bash .ci/run
