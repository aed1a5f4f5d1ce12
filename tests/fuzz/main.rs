//! Inputs of any kind against a property of each kind, which is more than that nothing panics.
//!
//! One test is one target: a bounded run over the committed inputs in `corpus/` and what is made of
//! them. `make fuzz` runs the same for longer: `FUZZ_FLAGS="--inputs 5000000 --seed 7"`, and
//! `FUZZ_TARGETS="replies"` for some of the targets. What breaks a property is made as short as it
//! can be, stored, and named; put into `corpus/` it is checked for ever.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "all of this is test code: it fails where it stands, says how fast it went, and is \
              told by the environment how long to run"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the second readers know the few forms that say something; any other says nothing"
)]

mod engine;
mod mutate;
mod resp;
mod sound;
mod targets;

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use clap::Parser;

use engine::{Broken, Summary, Target};

/// Fails with the reason if a condition does not hold.
macro_rules! hold {
    ($condition:expr, $($why:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err(format!($($why)+));
        }
    };
}
use hold;

/// How long to run.
#[derive(Debug, Parser)]
struct Flags {
    /// Inputs for each target [default: as many as take a second or two].
    #[arg(long)]
    inputs: Option<u64>,
    /// The same seed makes the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn flags() -> Flags {
    let given = env::var("FUZZ_FLAGS").unwrap_or_default();
    let words = ["FUZZ_FLAGS"].into_iter().chain(given.split_whitespace());
    Flags::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"))
}

/// The committed inputs of a target, by their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Stores an input where a run can be repeated from, and tells where.
fn store(target: &str, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{:016x}", hasher.finish()));
    fs::write(&path, input).unwrap();
    path
}

/// Inputs of all targets that are done.
static IN_ALL: AtomicU64 = AtomicU64::new(0);

fn fuzz(target: &Target, bounded: u64) {
    let Flags { inputs, seed } = flags();
    match engine::run(target, corpus(target.name), (inputs.unwrap_or(bounded), seed)) {
        Ok(Summary { inputs, took, kept, traits, slowest }) => {
            let in_all = IN_ALL.fetch_add(inputs, Ordering::Relaxed) + inputs;
            println!(
                "{:<10} {inputs:>9} inputs, {:>8.0} a second, {kept} kept for {traits} traits, \
                 slowest {slowest:?}; {in_all} in all",
                target.name,
                f64::from(u32::try_from(inputs).unwrap_or(u32::MAX)) / took.as_secs_f64(),
            );
        }
        Err(Broken { input, why }) => {
            let path = store(target.name, &input);
            panic!(
                "{}: {why}\ninput: {}\nit is stored in {}; put it into tests/fuzz/corpus/{}/",
                target.name,
                input.escape_ascii(),
                path.display(),
                target.name,
            );
        }
    }
}

/// A test of each target, with the inputs that it is given by default.
macro_rules! fuzzed {
    ($($name:ident: $bounded:expr;)+) => {
        $(
            #[test]
            fn $name() {
                fuzz(&targets::$name::TARGET, $bounded);
            }
        )+

        #[test]
        fn every_folder_of_inputs_has_its_target() {
            let known = [$(stringify!($name)),+];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
            for entry in fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(known.contains(&name.as_str()), "{name}");
            }
        }
    };
}

fuzzed! {
    metadata: 3_000;
    names: 6_000;
    numbers: 30_000;
    access: 5_000;
    config: 4_000;
    layout: 2_000;
    agreement: 2_000;
    manifest: 2_000;
    replies: 20_000;
    pushes: 20_000;
    payload: 20_000;
    pages: 20_000;
    heartbeats: 2_000;
    sentinels: 10_000;
    cluster: 500;
}

#[test]
fn what_breaks_a_property_is_found_and_made_short() {
    const PLANTED: Target = Target {
        name: "planted",
        words: &["ab"],
        check: |input, traits| {
            traits.note(input.len().min(8));
            hold!(!input.windows(4).any(|four| four == b"abab"), "abab");
            Ok(())
        },
    };
    let found = engine::run(&PLANTED, vec![b"xyz".to_vec()], (200_000, 1)).unwrap_err();
    assert_eq!((found.input.as_slice(), found.why.as_str()), (&b"abab"[..], "abab"));
    let again = engine::run(&PLANTED, vec![b"xyz".to_vec()], (200_000, 1)).unwrap_err();
    assert_eq!(again.input, found.input, "a seed makes the same run every time");
}

#[test]
fn a_panic_breaks_a_property() {
    const PLANTED: Target = Target {
        name: "planted",
        words: &[],
        check: |input, _| {
            assert!(input.len() < 9, "long");
            Ok(())
        },
    };
    let found = engine::run(&PLANTED, vec![b"1234".to_vec()], (10_000, 1)).unwrap_err();
    assert!(found.why.contains("long"), "{}", found.why);
    assert_eq!(found.input.len(), 9);
}
