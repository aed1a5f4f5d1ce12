//! A program of the control plane: its log in a file, its end with the value that holds it.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        LazyLock,
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use penstock_testkit::programs;

/// How many lines of a log are shown where a test fails.
const SHOWN_LINES: usize = 25;

/// A running program with all that it started.
pub struct Process {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
    log: PathBuf,
}

impl Process {
    /// Starts it with its log in this folder. It ends with this process, however that ends.
    pub fn start(name: &str, folder: &Path, command: &Command) -> Self {
        Self::logging(name, folder.join(format!("{name}.log")), command)
    }

    /// Ends it, if it has not, and starts it anew; its log goes on.
    pub fn again(&mut self, command: &Command) -> Self {
        self.kill();
        Self::logging(&self.name, self.log.clone(), command)
    }

    fn logging(name: &str, log: PathBuf, command: &Command) -> Self {
        let out = File::options().create(true).append(true).open(&log).unwrap();
        let program = command.get_program().display().to_string();
        let mut tied = tied(command);
        tied.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).process_group(0);
        let (reply, child) = sync_channel(1);
        SPAWNER.send((tied, reply)).unwrap();
        let child = child.recv().unwrap().unwrap_or_else(|error| {
            panic!("{program}: {error}; `make test-kubernetes` installs what is missing")
        });
        Self { name: name.to_owned(), child, status: None, log }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().unwrap();
            if self.status.is_some() {
                // What it left running; later its number may be another's.
                kill_process_group(self.pid(), Signal::KILL).ok();
            }
        }
        self.status
    }

    /// Sends a signal to the program, as a kubelet sends TERM to the first process of a container.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_some() {
            return;
        }
        // What has ended in this moment needs no signal.
        rustix::process::kill_process(self.pid(), signal).ok();
    }

    /// Ends it and what is in its group, at once. A work horse of RQ is in one of its own.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            kill_process_group(self.pid(), Signal::KILL).ok();
            self.status = Some(self.child.wait().unwrap());
        }
    }

    /// The last lines that it wrote.
    pub fn last_lines(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        format!("-- {}\n{}", self.name, shown.join("\n"))
    }

    /// What a program of Go says of a panic, and where it was; all of its last lines where it says none.
    pub fn death(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let panic =
            ["\npanic: ", "\nfatal error: "].iter().filter_map(|said| text.rfind(said)).max();
        let Some(panic) = panic else { return self.last_lines() };
        text[panic..].trim_start().lines().take(SHOWN_LINES).collect::<Vec<_>>().join("\n")
    }

    /// Kilobytes of memory that it has, or nothing when it has ended.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The kernel ends a process that is tied to its parent when the *thread* ends that started it, and threads of tests end
/// early. This one does not.
static SPAWNER: LazyLock<SyncSender<Order>> = LazyLock::new(|| {
    let (orders, received) = sync_channel::<Order>(1);
    std::thread::spawn(move || {
        while let Ok((mut command, reply)) = received.recv() {
            reply.send(command.spawn()).unwrap();
        }
    });
    orders
});

/// What is to be started, and where it goes.
type Order = (Command, SyncSender<std::io::Result<Child>>);

/// The same command as a process that is killed when its parent is gone, also by Ctrl-C or KILL.
fn tied(command: &Command) -> Command {
    let mut tied = programs::bare("setpriv");
    tied.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        tied.env(name, value.unwrap());
    }
    tied.current_dir(command.get_current_dir().unwrap());
    tied
}

/// Looks every quarter of a second until there is something, for at most this long.
pub fn wait_for<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = tokio::time::Instant::now();
    while start.elapsed() < within {
        if let found @ Some(_) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    None
}

/// A program of a framework, in the folder and with the surroundings that the tests of the frameworks give it.
pub fn framework(words: &[&str]) -> Command {
    let tools = root().join(".tools");
    let (program, folder) = match words[0] {
        "node" => (PathBuf::from("node"), "node"),
        python => (tools.join("frameworks-venv/bin").join(python), "python"),
    };
    let mut command = programs::bare(program);
    command
        .args(&words[1..])
        .current_dir(root().join("tests/frameworks").join(folder))
        .env("NODE_PATH", tools.join("frameworks-node/node_modules"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", ".");
    command
}

/// A program that `make test-kubernetes` puts into `.tools`.
pub fn tool(name: &str) -> Command {
    programs::bare(root().join(".tools").join(name))
}

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
