//! A program that is started again when it ends by itself, as a kubelet starts the container of a Deployment again. KEDA's
//! operator needs that: it panics now and then, see docs/operations.md.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, sleep},
    time::Duration,
};

use crate::process::Process;

/// Between two looks at whether it runs.
const LOOK: Duration = Duration::from_millis(250);
/// How often it may end. What ends more often has more wrong with it than the tests are to hide.
const ENDS: usize = 5;

/// A program that is kept running until this is dropped.
pub struct Kept {
    running: Arc<Mutex<Running>>,
    is_over: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
}

impl Kept {
    /// Starts it with its log in this folder.
    pub fn start(name: &str, folder: &Path, command: Command) -> Self {
        let process = Process::start(name, folder, &command);
        let running = Arc::new(Mutex::new(Running { command, process, ends: 0 }));
        let is_over = Arc::new(AtomicBool::new(false));
        let (kept, over) = (Arc::clone(&running), Arc::clone(&is_over));
        let keeper = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                kept.lock().unwrap().look();
                sleep(LOOK);
            }
        });
        Self { running, is_over, keeper: Some(keeper) }
    }

    /// Ends it at once and starts it again.
    pub fn restart(&self) {
        self.running.lock().unwrap().restart();
    }

    /// Kilobytes of memory that it has, or nothing when it does not run.
    pub fn memory(&self) -> Option<u64> {
        self.running.lock().unwrap().process.memory()
    }

    /// The last lines that it wrote.
    pub fn last_lines(&self) -> String {
        self.running.lock().unwrap().process.last_lines()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            drop(keeper.join());
        }
    }
}

struct Running {
    command: Command,
    process: Process,
    /// How often it ended by itself.
    ends: usize,
}

impl Running {
    fn look(&mut self) {
        if self.ends >= ENDS {
            return;
        }
        if let Some(status) = self.process.ended() {
            self.ends += 1;
            println!("{} ended by itself: {status}\n{}", self.process.name(), self.process.death());
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.process = self.process.again(&self.command);
    }
}
