//! What a test of a framework stands on: a Redis, the framework's programs with all that they start,
//! the book that jobs keep, and penstock's count of the same moment.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    num::NonZero,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread::{available_parallelism, sleep},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::Semaphore, time::Instant};

use penstock_testkit::{Kind, Server, programs};

/// How long a framework may take for a step, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(45);
/// Between two looks.
const STEP: Duration = Duration::from_millis(50);

/// Turns for what keeps the cores busy, one for two of them: six programs that move jobs, and pools beside them,
/// took each other's time until some moved 44 jobs a second. One of them alone moves 600.
pub static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, NonZero::get).div_ceil(2)));

/// How many jobs there are of each state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    waiting: f64,
    due: f64,
    in_flight: f64,
    orphaned: f64,
}

/// So many that wait, are due, and are in flight.
pub fn counts(waiting: u32, due: u32, in_flight: u32) -> Counts {
    let [waiting, due, in_flight] = [waiting, due, in_flight].map(f64::from);
    Counts { waiting, due, in_flight, orphaned: 0.0 }
}

impl Counts {
    /// The same, with so many whose worker is gone.
    pub fn and_orphaned(self, orphaned: u32) -> Self {
        Self { orphaned: f64::from(orphaned), ..self }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { waiting, due, in_flight, orphaned } = self;
        write!(to, "{waiting}/{due}/{in_flight}")?;
        if *orphaned > 0.0 { write!(to, " and {orphaned} orphaned") } else { Ok(()) }
    }
}

/// A Redis or Valkey of the test's own, and the programs of one framework that use it.
pub struct Stage {
    framework: String,
    pub redis: Server,
    settings: Vec<(&'static str, &'static str)>,
    logs: TempDir,
    workers: BTreeMap<u32, Child>,
    /// What they print, by process id.
    printed: BTreeMap<u32, PathBuf>,
    started: u32,
}

impl Stage {
    pub fn new(framework: &str) -> Self {
        Self::on(Kind::Redis, framework)
    }

    /// The same on a server of this kind.
    pub fn on(kind: Kind, framework: &str) -> Self {
        let (redis, logs) = (Server::start(kind), TempDir::new().unwrap());
        let framework = format!("{framework} on {kind:?}");
        let (workers, printed) = (BTreeMap::new(), BTreeMap::new());
        Self { framework, redis, settings: vec![], logs, workers, printed, started: 0 }
    }

    /// The same, whose programs have this variable in their environment.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.settings.push((name, value));
        self
    }

    /// The framework and the server that it runs on.
    pub fn name(&self) -> &str {
        &self.framework
    }

    /// Runs a program to its end and gives what it printed.
    pub fn run(&mut self, line: &str) -> String {
        let (mut process, log) = self.spawn(line);
        let said = log.with_extension("out");
        let status = patiently(line, || process.try_wait().unwrap().ok_or("it still runs"));
        let told = |path: &Path| fs::read_to_string(path).unwrap();
        assert!(status.success(), "{line}: {status}\n{}{}", told(&said), told(&log));
        told(&said)
    }

    /// Keeps a text in a file of the test's own, and gives its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.logs.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs a program that prints JSON as its last line.
    pub fn json(&mut self, line: &str) -> Value {
        let said = self.run(line);
        serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap()
    }

    /// Starts a program that goes on, and gives its process id.
    pub fn work(&mut self, line: &str) -> u32 {
        let (process, log) = self.spawn(line);
        let pid = process.id();
        self.workers.insert(pid, process);
        self.printed.insert(pid, log.with_extension("out"));
        pid
    }

    /// The JSON that is the last line of what a program has printed which goes on, or has ended since.
    pub fn printed(&self, pid: u32) -> Value {
        let said = fs::read_to_string(&self.printed[&pid]).unwrap();
        serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap()
    }

    /// Starts the service for this Redis, and gives where it serves gRPC.
    pub fn serve(&mut self) -> String {
        self.serve_with("--redis REDIS")
    }

    /// Starts the service with these flags, and gives where it serves gRPC.
    pub fn serve_with(&mut self, flags: &str) -> String {
        let free = "--listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --log-format json";
        let (process, log) = self.spawn(&format!("penstock serve {free} {flags}"));
        self.workers.insert(process.id(), process);
        patiently("the service", || {
            let lines = fs::read_to_string(&log).unwrap();
            let parsed = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let serving = parsed.into_iter().find(|line| line["message"] == "serving gRPC");
            serving.map(|line| line["address"].as_str().unwrap().to_owned()).ok_or(lines)
        })
    }

    /// Ends a worker and all that it started, at once, as the end of its container would.
    pub fn kill(&mut self, pid: u32) {
        let mut process = self.workers.remove(&pid).unwrap();
        // What is stopped starts nothing more, so this comes to an end.
        let mut family = vec![];
        loop {
            let found = family_of(pid);
            if found == family {
                break;
            }
            signal("STOP", &found);
            family = found;
        }
        signal("KILL", &family);
        process.wait().unwrap();
    }

    /// Asks a worker to end in its own way, as the end of a pod begins.
    pub fn terminate(&self, pid: u32) {
        assert!(self.workers.contains_key(&pid));
        signal("TERM", &[pid]);
    }

    /// Waits until a worker has ended.
    pub fn gone(&mut self, pid: u32) {
        let process = self.workers.get_mut(&pid).unwrap();
        patiently("the worker's end", || process.try_wait().unwrap().ok_or("it still runs"));
        self.workers.remove(&pid);
    }

    /// Forgets a worker if it has ended, and tells whether it has.
    pub fn has_ended(&mut self, pid: u32) -> bool {
        let has_ended = self.workers.get_mut(&pid).unwrap().try_wait().unwrap().is_some();
        if has_ended {
            self.workers.remove(&pid);
        }
        has_ended
    }

    /// Tells all jobs to end, those that begin later too.
    pub fn release(&self) {
        self.redis.run("SET test:release 1");
    }

    /// Waits until this many jobs have begun; one that was begun twice counts twice.
    pub fn began(&self, jobs: u64) {
        self.booked("test:began", jobs);
    }

    /// Waits until this many jobs have ended.
    pub fn ended(&self, jobs: u64) {
        self.booked("test:ended", jobs);
    }

    fn booked(&self, key: &str, jobs: u64) {
        patiently(key, || match self.redis.ask::<u64>(&format!("LLEN {key}")) {
            found if found == jobs => Ok(()),
            found => Err(format!("{found} and not {jobs}")),
        });
    }

    /// Expects that penstock counts so many at this moment, and goes on to.
    pub fn is(&self, moment: &str, trigger: &str, expected: Counts) {
        let seen = self.settles(trigger, |seen| seen == expected);
        assert_eq!(self.probe(trigger), expected, "{moment}: it was {expected} only for a while");
        println!("| {} | {moment} | {trigger} | {expected} | {seen} |", self.framework);
    }

    /// Waits until penstock's counts are as asked.
    pub fn settles(&self, trigger: &str, wanted: impl Fn(Counts) -> bool) -> Counts {
        patiently(trigger, || {
            Some(self.probe(trigger))
                .filter(|seen| wanted(*seen))
                .ok_or_else(|| self.probe(trigger).to_string())
        })
    }

    /// What penstock counts now.
    pub fn probe(&self, trigger: &str) -> Counts {
        let report = self.report(trigger);
        let count = |state: &str| report["counts"][state].as_f64().unwrap();
        Counts {
            waiting: count("waiting"),
            due: count("due"),
            in_flight: count("inFlight"),
            orphaned: count("orphaned"),
        }
    }

    /// Everything that penstock has to say about a trigger.
    pub fn report(&self, trigger: &str) -> Value {
        let mut command = programs::penstock();
        command.arg("probe").args(trigger.split(' '));
        let output = command.args(["--output", "json", "--redis", &self.redis.url()]).output();
        let output = output.unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{trigger}: {complaint}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts `PROGRAM ARGUMENT…`; one that is not named here is of the Python frameworks, `NAME:PROGRAM`
    /// of one that has an environment of its own.
    fn spawn(&mut self, line: &str) -> (Child, PathBuf) {
        let (url, port) = (self.redis.url(), self.redis.port().to_string());
        let filled = |word: &str| word.replace("REDIS", &url).replace("PORT", &port);
        let words: Vec<String> = line.split(' ').map(filled).collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tools = root.join(".tools");
        let (program, folder) = match words[0].as_str() {
            "node" => (PathBuf::from("node"), "node"),
            ruby @ ("ruby" | "sidekiq") => (PathBuf::from(ruby), "ruby"),
            "penstock" => (PathBuf::from(env!("CARGO_BIN_EXE_penstock")), "."),
            go @ ("asynq" | "keda") => (tools.join(format!("frameworks-{go}")), "go"),
            python => match python.split_once(':') {
                Some((own, program)) => {
                    (tools.join(format!("frameworks-{own}/bin")).join(program), "python")
                }
                None => (tools.join("frameworks-venv/bin").join(python), "python"),
            },
        };
        self.started += 1;
        let log = self.logs.path().join(format!("{}.log", self.started));
        let mut command: Command = programs::bare(&program);
        command
            .args(&words[1..])
            .current_dir(root.join("tests/frameworks").join(folder))
            .env("NODE_PATH", tools.join("frameworks-node/node_modules"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONPATH", ".")
            .env("TEST_REDIS", self.redis.url())
            .env("TEST_PORT", self.redis.port().to_string())
            .envs(self.settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(log.with_extension("out")).unwrap())
            .stderr(File::create(&log).unwrap());
        let process = command.spawn();
        let hint = "`make test-frameworks` installs what is missing";
        (process.unwrap_or_else(|error| panic!("{}: {error}; {hint}", program.display())), log)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for pid in self.workers.keys().copied().collect::<Vec<_>>() {
            self.kill(pid);
        }
        if std::thread::panicking() {
            for number in 1..=self.started {
                for end in ["out", "log"] {
                    let path = self.logs.path().join(format!("{number}.{end}"));
                    let text = fs::read_to_string(path).unwrap_or_default();
                    let lines: Vec<&str> = text.lines().rev().take(30).collect();
                    eprintln!("-- {} {number}.{end}", self.framework);
                    lines.iter().rev().for_each(|line| eprintln!("{line}"));
                }
            }
        }
    }
}

/// Looks until `look` finds something. Fails with what was seen last.
pub fn patiently<T, E: std::fmt::Debug>(what: &str, look: impl FnMut() -> Result<T, E>) -> T {
    let (start, mut look) = (Instant::now(), look);
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(start.elapsed() < PATIENCE, "{what}: seen last: {seen:?}"),
        }
        sleep(STEP);
    }
}

/// A process and all that descend from it, also in a session of their own.
fn family_of(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = numbers.filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        next += 1;
    }
    family.sort_unstable();
    family
}

/// The fourth word of the line; the second is a name in brackets that may hold anything.
fn parent_of(pid: u32) -> Option<u32> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Signals processes of the test's own, of which some may have ended.
fn signal(name: &str, processes: &[u32]) {
    let pids: Vec<String> = processes.iter().map(u32::to_string).collect();
    let kill = format!("kill -{name} {} 2>/dev/null; true", pids.join(" "));
    assert!(Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
}
