//! Runs a program that prints a password: the seam for short-lived tokens of cloud providers.
//!
//! It is apart because it is the only place that runs a program, and each of its bounds is a matter
//! of safety: no shell, no input, output of a bounded length within a bounded time, and nothing of
//! what the program prints ever in an error. It does not know when it is to be run.

use std::{io, process::Stdio};

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
pub(super) struct CommandError {
    program: String,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
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

/// What the program prints, without the line end. A program that is given up is killed.
pub(super) async fn run(command: &PasswordCommand) -> Result<Secret, CommandError> {
    let secret = timeout(limits::PASSWORD_COMMAND_DEADLINE, output(command)).await;
    let secret = secret.map_err(Why::from).and_then(|output| output);
    secret.map_err(|why| CommandError { program: command.program.clone(), why })
}

async fn output(command: &PasswordCommand) -> Result<Secret, Why> {
    let mut child = Command::new(&command.program)
        .args(&command.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it says of its troubles may show the secret.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut bytes = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        let most = u64::try_from(limits::PASSWORD_BYTES).unwrap_or(u64::MAX);
        pipe.take(most.saturating_add(1)).read_to_end(&mut bytes).await?;
    }
    if bytes.len() > limits::PASSWORD_BYTES {
        return Err(Why::Long);
    }
    let status = child.wait().await?;
    if !status.success() {
        return Err(Why::Status(status));
    }
    let text = String::from_utf8(bytes).map_err(|_| Why::NotText)?;
    let line = without_line_end(&text);
    if line.is_empty() {
        return Err(Why::Empty);
    }
    if line.chars().any(char::is_control) {
        return Err(Why::Lines);
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

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_at_its_deadline() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("pid");
        let script =
            format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 600", file.display());
        let command = shell(&script);
        let ran = async { run(&command).await.unwrap_err().to_string() };
        let pid = async {
            loop {
                match std::fs::read_to_string(&file) {
                    Ok(pid) => break pid.trim().to_owned(),
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                }
            }
        };
        // It runs, so it hangs from now on: time may go as fast as it likes.
        let (error, pid) = tokio::join!(ran, async {
            let pid = pid.await;
            tokio::time::pause();
            pid
        });
        assert!(error.ends_with("did not end within 10s"), "{error}");
        tokio::time::resume();
        let stat = format!("/proc/{pid}/stat");
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        while lives() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
