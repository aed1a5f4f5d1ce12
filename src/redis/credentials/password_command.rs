//! Runs a program that prints a password: the seam for short-lived tokens of cloud providers.
//!
//! No other file runs a program. Each bound is a matter of safety: no shell, no input, output of a bounded
//! length within a bounded time, and nothing that the program prints ever in an error. A program that is
//! given up ends with everything that it started.

use std::{io, process::Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::Command,
    time::{error::Elapsed, timeout},
};

use crate::{
    config::{PasswordCommand, without_line_end},
    limits,
    secret::Secret,
};

/// Why a program gave no password. It names the program, and nothing of what it printed.
#[derive(Debug, thiserror::Error)]
#[error("password command {program} {why}")]
pub(in crate::redis) struct CommandError {
    program: String,
    why: CommandFailure,
}

#[derive(Debug, thiserror::Error)]
enum CommandFailure {
    #[error("cannot be run: {0}")]
    Run(#[from] io::Error),
    #[error("did not end within {:?}", limits::PASSWORD_COMMAND_DEADLINE)]
    Late(#[from] Elapsed),
    #[error("ended with {0}")]
    Status(std::process::ExitStatus),
    #[error("printed more than {} bytes", limits::PASSWORD_BYTES)]
    Long,
    #[error("printed nothing")]
    Empty,
    #[error("printed what is no UTF-8 text")]
    NotText,
    #[error("printed more than one line, or a control character")]
    Lines,
}

/// A process group of which nothing is left when this is dropped: the program, which leads it, and what
/// it started in turn, unless that went into a group of its own.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// The program has ended by itself. What it leaves behind then is its own matter, and its number
    /// may soon be another's.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // An error says that all of it is gone already.
            kill_process_group(leader, Signal::KILL).unwrap_or_default();
        }
    }
}

/// What the program prints, without the line end. A program that is given up is killed, with what it
/// started.
pub(in crate::redis) async fn run(command: &PasswordCommand) -> Result<Secret, CommandError> {
    let secret = timeout(limits::PASSWORD_COMMAND_DEADLINE, output(command)).await;
    let secret = secret.map_err(CommandFailure::from).and_then(|output| output);
    secret.map_err(|why| CommandError { program: command.program.clone(), why })
}

async fn output(command: &PasswordCommand) -> Result<Secret, CommandFailure> {
    let mut child = Command::new(&command.program)
        .args(&command.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it says of its troubles may show the secret.
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    // Dropped before the program itself is, whose number is nobody else's until then.
    let number = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = ProcessGroup(number.and_then(Pid::from_raw));
    let mut bytes = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        let most = u64::try_from(limits::PASSWORD_BYTES).unwrap_or(u64::MAX);
        pipe.take(most.saturating_add(1)).read_to_end(&mut bytes).await?;
    }
    if bytes.len() > limits::PASSWORD_BYTES {
        return Err(CommandFailure::Long);
    }
    let status = child.wait().await?;
    group.ended();
    if !status.success() {
        return Err(CommandFailure::Status(status));
    }
    let text = String::from_utf8(bytes).map_err(|_| CommandFailure::NotText)?;
    let line = without_line_end(&text);
    if line.is_empty() {
        return Err(CommandFailure::Empty);
    }
    if line.chars().any(char::is_control) {
        return Err(CommandFailure::Lines);
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> PasswordCommand {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        let refresh = limits::PASSWORD_REFRESH;
        PasswordCommand { program: "/bin/sh".to_owned(), arguments, refresh }
    }

    #[tokio::test]
    async fn what_it_prints_is_the_password_without_the_line_end() {
        for script in ["printf 'a b'", "echo 'a b'", "printf 'a b\\r\\n'"] {
            assert_eq!(run(&shell(script)).await.unwrap(), Secret::new("a b"), "{script}");
        }
    }

    #[tokio::test]
    async fn a_program_that_gives_none_is_told_and_what_it_printed_is_not() {
        for (script, told) in [
            ("echo t0ken; echo t0ken >&2; exit 3", "ended with exit status: 3"),
            ("echo t0ken; kill -9 $$", "ended with signal: 9"),
            ("echo t0ken >&2", "printed nothing"),
            ("printf 't0ken\\nt0ken'", "printed more than one line"),
            ("printf 't0ken\\377'", "printed what is no UTF-8 text"),
            ("while echo t0ken; do :; done", "printed more than 16384 bytes"),
        ] {
            let error = run(&shell(script)).await.unwrap_err();
            assert!(error.to_string().contains(told), "{script}: {error}");
            assert!(!format!("{error} {error:?}").contains("t0ken"), "{error:?}");
        }
        let nowhere = PasswordCommand { program: "/nowhere/at/all".to_owned(), ..shell("") };
        let error = run(&nowhere).await.unwrap_err().to_string();
        assert!(error.starts_with("password command /nowhere/at/all cannot be run: No such file"));
    }

    /// Runs a script that writes the numbers of some processes into a file, one a line, and hangs.
    /// Tells how it ended and which they are, without waiting for its deadline.
    async fn hanging(script: impl Fn(&str) -> String) -> (String, Vec<String>) {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("pids");
        let command = shell(&script(&file.display().to_string()));
        let ran = async { run(&command).await.unwrap_err().to_string() };
        let pids = async {
            let pids = loop {
                match std::fs::read_to_string(&file) {
                    Ok(pids) => break pids,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                }
            };
            // They run, so it hangs from now on: time may go as fast as it likes.
            tokio::time::pause();
            pids.lines().map(str::to_owned).collect()
        };
        let ended = tokio::join!(ran, pids);
        tokio::time::resume();
        ended
    }

    async fn ends(pid: &str) {
        let stat = format!("/proc/{pid}/stat");
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        while lives() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_at_its_deadline() {
        let (error, pids) = hanging(|file| {
            format!("echo $$ > '{file}.new'; mv '{file}.new' '{file}'; exec sleep 600")
        })
        .await;
        assert!(error.ends_with("did not end within 10s"), "{error}");
        assert_eq!(pids.len(), 1);
        ends(&pids[0]).await;
    }

    #[tokio::test]
    async fn what_a_program_started_ends_with_it_when_it_is_given_up() {
        // One child holds the pipe, one does not, and one is a grandchild whose parent is gone.
        let script = |last: &str| {
            let last = last.to_owned();
            move |file: &str| {
                format!(
                    "sleep 600 & echo $! >> '{file}.new'
                     sleep 600 > /dev/null & echo $! >> '{file}.new'
                     (sleep 600 & echo $! >> '{file}.new')
                     mv '{file}.new' '{file}'; {last}"
                )
            }
        };
        for last in ["wait", "exit 0", "while :; do echo t0ken; done"] {
            let (error, pids) = hanging(script(last)).await;
            // Time goes fast, so that it may be up before the last one has printed too much.
            let given_up = ["did not end within 10s", "printed more than 16384 bytes"];
            assert!(given_up.iter().any(|why| error.ends_with(why)), "{last}: {error}");
            assert_eq!(pids.len(), 3, "{last}: {pids:?}");
            for pid in &pids {
                ends(pid).await;
            }
        }
    }
}
