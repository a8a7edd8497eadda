# The usual commands. `just` lists them.

_list:
    @just --list

# formatting and lints
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# all checks and tests, on SQLite and MariaDB, with comparisons to the Python libraries
test *arguments:
    scripts/test {{ arguments }}

# checks and tests on SQLite only
test-quick *arguments:
    scripts/test --quick {{ arguments }}

# update the snapshots of the tests and the samples in etc/; read the diff before you commit it
update:
    cargo run --quiet --package freezer-api --bin freezer-manage -- config sample > etc/freezer/freezer-api.conf.sample
    cargo run --quiet --package freezer-api --bin freezer-manage -- policy sample > etc/freezer/policy.yaml.sample
    INSTA_UPDATE=always INSTA_FORCE_PASS=1 cargo test --workspace --locked --no-fail-fast

# run the service without authentication, on SQLite and 127.0.0.1:9090
run:
    cargo run --package freezer-api --bin freezer-api -- --dev

# measure both services; docs/benchmarks.md describes the table
bench *arguments:
    scripts/bench {{ arguments }}
