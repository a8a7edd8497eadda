//! Mutates the inputs of a corpus: it deletes, repeats and exchanges parts, and inserts words of the format.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Maximum size of an input.
const LONGEST: usize = 20_000;
/// Number of inputs between two checks of the clock.
const BATCH: u32 = 4;

/// Words that often break parsers, in any format.
const WORDS: [&str; 24] = [
    "\0",
    "\n",
    "\r\n",
    "\t",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\u{2028}",
    "é",
    "\u{1F4BE}",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "%",
    "-1",
    "99999999999999999999",
    "1e400",
    "NaN",
];

/// A single mutation.
#[derive(Debug, Clone)]
enum Step {
    Delete(Index, usize),
    Word(Index, Index),
    Repeat(Index, usize, usize),
    Splice(Index, Index, Index),
    Flip(Index, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 1_usize..40).prop_map(|(at, length)| Step::Delete(at, length)),
        (at(), any::<Index>()).prop_map(|(at, word)| Step::Word(at, word)),
        (at(), 1_usize..60, 1_usize..40).prop_map(|(at, length, times)| Step::Repeat(at, length, times)),
        (at(), any::<Index>(), any::<Index>()).prop_map(|(at, other, from)| Step::Splice(at, other, from)),
        (at(), any::<u8>()).prop_map(|(at, bits)| Step::Flip(at, bits)),
    ]
}

/// Returns the files in the corpus of a target, by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/__fuzz__");
    let folder = std::fs::read_dir(&place)
        .expect("the corpora")
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().contains(&format!("{target}__bolero")))
        .unwrap_or_else(|| panic!("no corpus of {target} in {}", place.display()));
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("corpus")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn apply(mut input: Vec<u8>, steps: &[Step], corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    for step in steps {
        let end = input.len() + 1;
        match step {
            Step::Delete(at, length) => {
                let at = at.index(end);
                input.drain(at..(at + length).min(input.len()));
            }
            Step::Word(at, word) => {
                let at = at.index(end);
                let word = word.index(words.len() + WORDS.len());
                let word = words.get(word).unwrap_or_else(|| &WORDS[word - words.len()]);
                input.splice(at..at, word.bytes());
            }
            Step::Repeat(at, length, times) => {
                let at = at.index(end);
                let part = input[at..(at + length).min(input.len())].repeat(*times);
                input.splice(at..at, part);
            }
            Step::Splice(at, other, from) => {
                let other = &corpus[other.index(corpus.len())];
                input.truncate(at.index(end));
                input.extend(&other[from.index(other.len() + 1)..]);
            }
            Step::Flip(at, bits) if !input.is_empty() => {
                let at = at.index(input.len());
                input[at] ^= bits;
            }
            Step::Flip(..) => {}
        }
        input.truncate(LONGEST);
    }
    input
}

/// Runs a target on mutated inputs for [`crate::duration`]. A failing input is shrunk and printed.
pub fn run(target: &str, words: &[&str], mut check: impl FnMut(&[u8])) {
    let corpus = corpus(target);
    for input in &corpus {
        check(input);
    }
    let strategy = (any::<Index>(), proptest::collection::vec(step(), 1..8));
    let config = Config {
        cases: BATCH,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    // FREEZER_FUZZ_SEED repeats a run.
    let seed = std::env::var("FREEZER_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand_seed);
    let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}.input"));
    let check = std::cell::RefCell::new(&mut check);
    let start = Instant::now();
    let mut batches: u64 = 0;
    while start.elapsed() < crate::duration() {
        // This is the maximum number of cases for one runner.
        let mut seed_of_batch = [0; 32];
        seed_of_batch[..8].copy_from_slice(&seed.to_le_bytes());
        seed_of_batch[8..16].copy_from_slice(&batches.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_of_batch);
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        let outcome = runner.run(&strategy, |(first, steps)| {
            let input = apply(corpus[first.index(corpus.len())].clone(), &steps, &corpus, words);
            // If an input crashes the process, for example with a stack overflow, this file contains the input.
            std::fs::write(&last, &input).unwrap();
            let checked =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (check.borrow_mut())(&input)));
            checked.map_err(|panic| {
                let said = panic.downcast_ref::<String>().map_or_else(
                    || panic.downcast_ref::<&str>().copied().unwrap_or("a panic").to_owned(),
                    Clone::clone,
                );
                TestCaseError::fail(format!("{said}\ninput: {:?}", String::from_utf8_lossy(&input)))
            })
        });
        if let Err(failure) = outcome {
            panic!("{target} (FREEZER_FUZZ_SEED={seed}): {failure}");
        }
        batches += 1;
    }
    #[expect(clippy::print_stdout, reason = "for the reader of the test's output")]
    {
        println!("{target}: {} inputs, FREEZER_FUZZ_SEED={seed}", batches * u64::from(BATCH));
    }
}

/// Returns a different seed for every run.
fn rand_seed() -> u64 {
    RandomState::new().hash_one(0)
}
