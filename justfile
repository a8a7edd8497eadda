# The commands to remember; `just` lists them.

_list:
    @just --list

# formatting and lints
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# everything: checks and tests on SQLite and MariaDB, compared with the Python libraries
test *arguments:
    scripts/test {{ arguments }}

# checks and tests on SQLite only
test-quick *arguments:
    scripts/test --quick {{ arguments }}

# takes what the tests show now as the snapshots that they are compared with, and writes the samples of etc/ anew; read
# the diff before committing it
update:
    cargo run --quiet --package freezer-api --bin freezer-manage -- config sample > etc/freezer/freezer-api.conf.sample
    cargo run --quiet --package freezer-api --bin freezer-manage -- policy sample > etc/freezer/policy.yaml.sample
    INSTA_UPDATE=always INSTA_FORCE_PASS=1 cargo test --workspace --locked --no-fail-fast

# the service for a first look: no authentication, SQLite, 127.0.0.1:9090
run:
    cargo run --package freezer-api --bin freezer-api -- --dev
