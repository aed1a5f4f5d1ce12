//! How the password of a connection is come by.
//!
//! It is apart because a password outlives the configuration: a file may be rotated while the
//! server runs. It does not know who asks for it.

use std::{collections::BTreeMap, path::PathBuf};

use crate::secret::Secret;

use super::{
    Scope,
    file::{FileError, read_file},
    problem::{ConfigProblems, Spot},
    raw::{Given, RawPasswords},
};

/// How a password is come by.
#[derive(Debug, Clone)]
pub enum Password {
    /// There is none.
    None,
    /// It was given as it is, by URL or environment.
    Fixed(Secret),
    /// It is in this file, which is read again at each use, so that it can be rotated.
    File(PathBuf),
}

/// Why there is no password. It names the file and never what is in it.
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
}

impl Password {
    /// The password as it is now. The line end that most editors leave at the end of a file is no
    /// part of it.
    ///
    /// # Errors
    /// [`PasswordError`] when the file cannot be read, is longer than [`FILE_BYTES`](crate::limits::FILE_BYTES), is no
    /// text or is empty.
    pub fn read(&self) -> Result<Option<Secret>, PasswordError> {
        let path = match self {
            Self::None => return Ok(None),
            Self::Fixed(secret) => return Ok(Some(secret.clone())),
            Self::File(path) => path,
        };
        let text =
            read_file(path).map_err(|error| PasswordError::File { path: path.clone(), error })?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(PasswordError::Empty { path: path.clone() });
        }
        Ok(Some(Secret::new(line)))
    }
}

impl RawPasswords {
    /// Everything that the file names; a variable is looked up here.
    pub(super) fn look_up(
        self,
        scope: Scope<'_>,
        problems: &mut ConfigProblems,
    ) -> Vec<Given<Password>> {
        let file = self.file.map(|Given { spot, value }| {
            if value.is_empty() {
                problems.add(&spot, "is empty; remove it or name a file");
            }
            Given { spot, value: Password::File(value.into()) }
        });
        let variable = self.variable.and_then(|Given { spot, value }| {
            let password = scope.password_env(&value, &spot, problems)?;
            Some(Given { spot, value: password })
        });
        file.into_iter().chain(variable).collect()
    }

    /// The one password that the file names, if it can be read.
    pub(super) fn settle(
        self,
        scope: Scope<'_>,
        problems: &mut ConfigProblems,
    ) -> Option<Given<Password>> {
        let password = one_password(self.look_up(scope, problems), problems)?;
        scope.try_password(&password, problems);
        Some(password)
    }
}

/// Of several passwords in one place all but one are too many.
pub(super) fn one_password(
    passwords: impl IntoIterator<Item = Given<Password>>,
    problems: &mut ConfigProblems,
) -> Option<Given<Password>> {
    let mut passwords = passwords.into_iter();
    let first = passwords.next()?;
    Some(passwords.fold(first, |_, password| {
        problems.add(&password.spot, "is a second password beside another one; keep one");
        password
    }))
}

impl Scope<'_> {
    /// The password in a variable that the file names. Without an environment nobody can say.
    fn password_env(
        self,
        variable: &str,
        spot: &Spot,
        problems: &mut ConfigProblems,
    ) -> Option<Password> {
        let environment: &BTreeMap<String, String> = match self {
            Self::FileAlone => return None,
            Self::Everything(environment) => environment,
        };
        let secret = environment.get(variable).filter(|secret| !secret.is_empty());
        if secret.is_none() {
            // The name is not repeated: somebody may have put the password there.
            problems.add(spot, "names an environment variable that is not set");
        }
        secret.map(|secret| Password::Fixed(Secret::new(secret)))
    }

    /// A wrong path is told now and not by an outage. The file may be on another machine when
    /// the configuration is read alone.
    pub(super) fn try_password(self, password: &Given<Password>, problems: &mut ConfigProblems) {
        let Given { spot, value } = password;
        let error = match self {
            Self::FileAlone => None,
            Self::Everything(_) => value.read().err(),
        };
        if let Some(error) = error.filter(|_| !problems.concern(spot)) {
            problems.add(spot, error.to_string());
        }
    }
}
