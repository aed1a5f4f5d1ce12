//! Where the password of a connection comes from.
//!
//! A password outlives the configuration: a file may be rotated while the server runs, and a command prints
//! tokens that expire.

use std::{path::PathBuf, time::Duration};

use crate::{limits, secret::Secret, time};

use super::{
    file::{FileError, read_file},
    problem::{ConfigProblems, Spot},
    spanned::Spanned,
};

/// How a password is come by.
#[derive(Debug, Clone)]
pub enum Password {
    /// There is none.
    None,
    /// It was given as it is, by URL or environment.
    Fixed(Secret),
    /// It is in this file, which is read again and again, so that it can be rotated.
    File(PathBuf),
    /// A program prints it, and prints a new one before the last has expired.
    Command(PasswordCommand),
}

/// A program that prints a password, as cloud providers' tools print tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordCommand {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: String,
    /// Its arguments as they are; no shell reads them.
    pub arguments: Vec<String>,
    /// How long after a password was printed the next one is asked for.
    pub refresh: Duration,
}

/// The arguments are left out: somebody may have put a secret there.
impl std::fmt::Debug for PasswordCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { program, arguments: _, refresh } = self;
        let mut shown = f.debug_struct("PasswordCommand");
        shown.field("program", program).field("refresh", refresh).finish_non_exhaustive()
    }
}

/// Why there is no password. It names the file or the program and never what came of it.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file cannot be read as text.
    #[error("password file {} {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: FileError,
    },
    /// The file has nothing in it.
    #[error("password file {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The program has not printed one yet.
    #[error("password command {program} has given no password yet")]
    NotYet {
        /// The program.
        program: String,
    },
}

impl Password {
    /// The password as it is now. The line end that most editors leave at the end of a file is no
    /// part of it.
    ///
    /// # Errors
    /// [`PasswordError`] when the file cannot be read, is longer than [`FILE_BYTES`](crate::limits::FILE_BYTES), is no
    /// text or is empty; and for a command, which somebody else has to run.
    pub fn read(&self) -> Result<Option<Secret>, PasswordError> {
        let path = match self {
            Self::None => return Ok(None),
            Self::Fixed(secret) => return Ok(Some(secret.clone())),
            Self::File(path) => path,
            Self::Command(command) => {
                return Err(PasswordError::NotYet { program: command.program.clone() });
            }
        };
        let text =
            read_file(path).map_err(|error| PasswordError::File { path: path.clone(), error })?;
        let secret = without_line_end(&text);
        if secret.is_empty() {
            return Err(PasswordError::Empty { path: path.clone() });
        }
        Ok(Some(Secret::new(secret)))
    }

    /// Whether it may be another one later.
    #[must_use]
    pub fn may_change(&self) -> bool {
        match self {
            Self::None | Self::Fixed(_) => false,
            Self::File(_) | Self::Command(_) => true,
        }
    }
}

/// A text without the line end that editors and programs leave at its end.
#[must_use]
pub fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The settings `password_command` and `password_refresh` as the file writes them.
#[derive(Default)]
pub(super) struct RawCommand {
    pub(super) words: Option<Spanned<Vec<String>>>,
    pub(super) refresh: Option<Spanned<String>>,
}

impl RawCommand {
    /// The command, if one is given.
    pub(super) fn settle(self, problems: &mut ConfigProblems) -> Option<Spanned<Password>> {
        let refresh = self.refresh.as_ref().map(|given| refresh(given, problems));
        let Some(Spanned { spot, value: words }) = self.words else {
            if let Some(Spanned { spot, .. }) = self.refresh {
                problems.add(&spot, "is for password_command, which is not given");
            }
            return None;
        };
        let refresh = refresh.unwrap_or(limits::PASSWORD_REFRESH);
        let mut words = words.into_iter();
        let program = words.next().unwrap_or_default();
        let arguments: Vec<String> = words.collect();
        if program.trim().is_empty() {
            problems.add(&spot, "names no program; write [\"/path/to/program\", \"argument\"]");
        } else if [&program].into_iter().chain(&arguments).any(|word| word.contains('\0')) {
            problems.add(&spot, "has a NUL, which no program can be given");
        }
        let command = PasswordCommand { program, arguments, refresh };
        Some(Spanned { spot, value: Password::Command(command) })
    }
}

fn refresh(Spanned { spot, value }: &Spanned<String>, problems: &mut ConfigProblems) -> Duration {
    let (shortest, longest) = limits::PASSWORD_REFRESHES;
    match time::parse_duration(value) {
        Ok(duration) if (shortest..=longest).contains(&duration) => duration,
        Ok(_) => {
            let (least, most) = (shortest.as_secs(), longest.as_secs() / 3600);
            problems.add(spot, format!("must be from {least}s to {most}h"));
            limits::PASSWORD_REFRESH
        }
        Err(error) => {
            problems.add(spot, error.to_string());
            limits::PASSWORD_REFRESH
        }
    }
}

/// A path that leads nowhere is told at start and not by an outage.
pub(super) fn try_program(command: &PasswordCommand, spot: &Spot, problems: &mut ConfigProblems) {
    let path = PathBuf::from(&command.program);
    if path.components().count() > 1 && !path.is_file() {
        problems.add(spot, format!("names the program {}, which is no file", path.display()));
    }
}
