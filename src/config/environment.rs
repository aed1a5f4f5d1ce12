//! The environment variables of connections: `PENSTOCK_REDIS_<NAME>_URL` and its like.
//!
//! A variable that is none of these is left alone, also when it begins the same: Kubernetes gives
//! every pod variables such as `PENSTOCK_REDIS_SERVICE_HOST` for a Service `penstock-redis`.

use std::collections::BTreeMap;

use crate::secret::Secret;

use super::{
    connection::Draft,
    password::Password,
    problem::{ConfigProblems, Spot},
    spanned::Spanned,
};

const PREFIX: &str = "PENSTOCK_REDIS_";

/// What a variable sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Url,
    Username,
    Password,
    PasswordFile,
}

/// The longer suffix comes before the one that it ends in.
const SETTINGS: &[(&str, Setting)] = &[
    ("URL", Setting::Url),
    ("USERNAME", Setting::Username),
    ("PASSWORD_FILE", Setting::PasswordFile),
    ("PASSWORD", Setting::Password),
];

/// What the variables say of each connection. A variable that is set to nothing is not set.
pub(super) fn drafts(
    environment: &BTreeMap<String, String>,
    problems: &mut ConfigProblems,
) -> BTreeMap<String, Draft> {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for (variable, text) in environment.iter().filter(|(_, text)| !text.is_empty()) {
        let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
        let spot = Spot::new(variable);
        if let Some((suffix, _)) = SETTINGS.iter().find(|(suffix, _)| *suffix == rest) {
            let what =
                format!("names no connection; for the default one, {PREFIX}DEFAULT_{suffix}");
            problems.add(&spot, what);
            continue;
        }
        let Some((name, setting)) = split(rest) else { continue };
        let draft = drafts.entry(connection_name(name)).or_default();
        let value = text.clone();
        match setting {
            Setting::Url => draft.url = Some(Spanned { spot, value }),
            Setting::Username => draft.username = Some(Spanned { spot, value }),
            Setting::Password => {
                let value = Password::Fixed(Secret::new(value));
                draft.passwords.push(Spanned { spot, value });
            }
            Setting::PasswordFile => {
                draft.passwords.push(Spanned { spot, value: Password::File(value.into()) });
            }
        }
    }
    drafts
}

fn split(rest: &str) -> Option<(&str, Setting)> {
    SETTINGS.iter().find_map(|(suffix, setting)| {
        let name = rest.strip_suffix(suffix)?.strip_suffix('_')?;
        Some((name, *setting))
    })
}

/// `JOBS_EU` is the connection `jobs-eu`: names have no `_`, so no two can be meant.
fn connection_name(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}
