//! Fuzz targets for everything that is read from outside, and a state-machine test of the session protocol.
//!
//! A target is a function of bytes that panics if a rule is broken; its corpus is in `__fuzz__/`. It is run in two ways:
//!
//! * `bolero` replays the corpus and then tries random bytes. The same test is a target of libFuzzer, AFL and honggfuzz
//!   without a change.
//! * `mutated` changes inputs of the corpus with words of the format (`mutate.rs`). Random bytes rarely get past the first
//!   character of a format, and coverage-guided engines need tools that the pinned stable toolchain does not have, so this
//!   way finds more in the few seconds of the test command. proptest shrinks the failing input.
//!
//! Each way has two seconds for each target in the test command. A long run needs nothing else installed:
//!
//! ```text
//! FREEZER_FUZZ_SECONDS=600 cargo test -p freezer-api --test fuzz
//! ```
//!
//! With coverage (`cargo install cargo-bolero`, and a nightly toolchain for the sanitizer):
//!
//! ```text
//! cargo bolero test -p freezer-api --profile dev url::bolero
//! ```
//!
//! An input that failed should be added to the corpus, under a name that describes it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod mutate;
mod requests;
mod sessions;
mod stored;
mod texts;

use std::time::Duration;

/// Returns the duration of each way of running a target.
fn duration() -> Duration {
    let seconds = std::env::var("FREEZER_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// Defines a module with both tests of a target. `with` runs a body with the context that the target needs.
macro_rules! target {
    ($name:ident, $words:expr, $target:path) => {
        target!($name, $words, $target, |body: &mut dyn FnMut(&())| body(&()), |_context: &(), input| {
            $target(input)
        });
    };
    ($name:ident, $words:expr, $target:path, $with:expr, $call:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "not every target needs all of it")]
            use super::*;

            #[test]
            fn bolero() {
                $with(&mut |context| {
                    let call = std::panic::AssertUnwindSafe(|input: &[u8]| $call(context, input));
                    bolero::check!()
                        .with_test_time(crate::duration())
                        .with_max_len(2_000)
                        .for_each(move |input: &[u8]| (*&call)(input));
                });
            }

            #[test]
            fn mutated() {
                let words: &[&str] = $words;
                $with(&mut |context| {
                    crate::mutate::run(stringify!($name), words, |input| $call(context, input))
                });
            }
        }
    };
}
pub(crate) use target;
