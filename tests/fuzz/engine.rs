//! The loop that makes inputs of other inputs, keeps those that show something new, and stops at the
//! first that breaks an invariant.
//!
//! What is new is told by the target (its traits: which branch of an answer, which problem), not by the
//! compiler's counters: those take a nightly compiler or unsafe code, and this takes neither. One seed makes
//! the same run every time.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, Once, PoisonError,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use penstock::time::Instant;

use crate::mutate::mutated;

/// Inputs that are kept because they showed something new.
const KEPT: usize = 4_096;
/// Traits that are remembered.
const TRAITS: usize = 1 << 16;
/// Tries to make an input shorter that breaks an invariant.
const SHRINKING: usize = 3_000;
/// The longest that one input may take on a busy machine; all of them take microseconds.
const HANG: Duration = Duration::from_secs(20);

/// What a target found out about an input.
#[derive(Debug, Default)]
pub struct Traits(BTreeSet<u64>);

impl Traits {
    /// Notes what the input led to.
    pub fn note(&mut self, of: impl Hash) {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        self.0.insert(hasher.finish());
    }

    /// Notes a message without what it repeats of the input.
    pub fn note_message(&mut self, message: &str) {
        let fixed = message.split('`').step_by(2).take(2);
        let fixed = fixed.map(|part| part.trim_matches(|c: char| !c.is_alphabetic()));
        self.note(fixed.collect::<Vec<_>>());
    }
}

/// A property of one kind of input.
pub struct Target {
    pub name: &'static str,
    /// Words that such inputs are made of.
    pub words: &'static [&'static str],
    /// The property; an error says how it is broken.
    pub check: fn(&[u8], &mut Traits) -> Result<(), String>,
}

/// An input that breaks the property, as short as could be found.
#[derive(Debug)]
pub struct Broken {
    pub input: Vec<u8>,
    pub why: String,
}

/// What a run did.
#[derive(Debug)]
pub struct Summary {
    pub inputs: u64,
    pub took: Duration,
    pub kept: usize,
    pub traits: usize,
    pub slowest: Duration,
}

thread_local! {
    static CHECKING: Cell<bool> = const { Cell::new(false) };
}

/// Checks one input. A panic breaks the property too.
pub fn check(target: &Target, input: &[u8]) -> Result<Traits, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CHECKING.get() {
                loud(info);
            }
        }));
    });
    let mut traits = Traits::default();
    CHECKING.set(true);
    let checked = panic::catch_unwind(AssertUnwindSafe(|| (target.check)(input, &mut traits)));
    CHECKING.set(false);
    match checked {
        Ok(held) => held.map(|()| traits),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("it panicked: {}", text.unwrap_or("(no text)")))
        }
    }
}

/// Checks the seeds and then so many inputs made of them.
pub fn run(
    target: &Target,
    seeds: Vec<Vec<u8>>,
    (inputs, seed): (u64, u64),
) -> Result<Summary, Broken> {
    let (start, mut rng) = (Instant::now(), Rng::with_seed(seed));
    let watch = Watch::start(target.name);
    let (mut kept, mut known, mut slowest) = (Vec::new(), HashSet::new(), Duration::ZERO);
    let of_seeds = seeds.len() as u64;
    let mut given = seeds.into_iter();
    for _ in 0..inputs.max(of_seeds) {
        let input = match given.next() {
            Some(seed) => seed,
            None => mutated(&kept, target.words, &mut rng),
        };
        watch.note(&input);
        let began = Instant::now();
        let checked = check(target, &input);
        slowest = slowest.max(began.elapsed());
        let traits = checked.map_err(|why| shrunk(target, input.clone(), why))?;
        let before = known.len();
        if before < TRAITS {
            known.extend(traits.0);
        }
        let is_new = known.len() > before || kept.is_empty();
        if is_new && kept.len() < KEPT {
            kept.push(input);
        } else if is_new {
            let place = rng.usize(0..kept.len());
            kept[place] = input;
        }
    }
    let (took, kept, traits) = (start.elapsed(), kept.len(), known.len());
    Ok(Summary { inputs: inputs.max(of_seeds), took, kept, traits, slowest })
}

/// Takes pieces out as long as what is left breaks the property.
fn shrunk(target: &Target, mut input: Vec<u8>, mut why: String) -> Broken {
    let (mut tries, mut piece) = (0, input.len());
    while piece > 0 && tries < SHRINKING {
        let (mut at, before) = (0, input.len());
        while at < input.len() && tries < SHRINKING {
            let rest = [&input[..at], &input[(at + piece).min(input.len())..]].concat();
            tries += 1;
            match check(target, &rest) {
                Err(still) => (input, why) = (rest, still),
                Ok(_) => at += piece,
            }
        }
        if input.len() == before {
            piece /= 2;
        }
    }
    Broken { input, why }
}

/// Somebody who sees that an input takes for ever: the process is ended, since a thread cannot be.
struct Watch {
    now: Arc<Mutex<(u64, Vec<u8>)>>,
    /// The watch ends when this does.
    _stop: SyncSender<()>,
}

impl Watch {
    fn start(name: &'static str) -> Self {
        let now = Arc::<Mutex<(u64, Vec<u8>)>>::default();
        let (stop, stopped) = sync_channel(0);
        let watched = Arc::clone(&now);
        thread::spawn(move || {
            let mut last = u64::MAX;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(HANG) {
                let (number, input) =
                    watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if number == last {
                    eprintln!("{name}: no end after {HANG:?}: {}", input.escape_ascii());
                    std::process::abort();
                }
                last = number;
            }
        });
        Self { now, _stop: stop }
    }

    fn note(&self, input: &[u8]) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 += 1;
        now.1.clear();
        now.1.extend_from_slice(input);
    }
}
