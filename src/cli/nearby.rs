//! What is near keys that do not exist: those whose names are alike, and the same ones in another database.
//!
//! A queue of a wrong name, prefix or database answers like one that is empty. This is for people who look,
//! within bounds, and needs rights that the service does not: SCAN and INFO.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::timeout;

use crate::{
    config::Connection,
    layouts::{Answer, Flag, Glob, KeyPattern, KeyRole, Name, Plan, Read, Test},
    limits,
    redis::{Credentials, RedisSource, SourceLink},
    sampling::{Changes, Fault, Link, Position, Reply, Source},
    telemetry::SentinelMetrics,
    trigger::{Trigger, shown},
};

/// What was found near a trigger without any key.
#[derive(Debug, Default)]
pub(super) struct Nearby {
    database: u32,
    /// The keys that do not exist.
    asked: Vec<Name>,
    /// What a name has to have to be alike.
    words: Vec<String>,
    alike: Vec<Name>,
    /// Whether all keys were looked at, and by how many steps.
    whole: bool,
    steps: usize,
    /// Why the look failed.
    refused: Option<String>,
    /// The other databases in which one of the keys exists.
    elsewhere: Vec<u32>,
    /// Those that were not looked at, and why.
    unknown: Option<String>,
}

/// The Redis to ask, and the database.
pub(super) struct ProbeTarget<'c> {
    pub(super) connection: &'c Connection,
    pub(super) database: u32,
    pub(super) credentials: Credentials,
}

/// Looks around for a few seconds at most if none of the trigger's own keys exists; `None` if one does, or
/// it has none.
///
/// # Errors
/// [`Fault`] when the link is of no more use, or may not say which keys exist.
pub(super) async fn look(
    link: &mut SourceLink,
    trigger: &Trigger,
    place: &ProbeTarget<'_>,
) -> Result<Option<Nearby>, Fault> {
    let (asked, exist) = own_keys(&trigger.plan);
    if !asked.is_empty() && any_exists(link, &exist).await?
        || asked.is_empty() && trigger.search.is_none()
    {
        return Ok(None);
    }
    let words = words(&trigger.names);
    let mut nearby = Nearby { database: place.database, asked, words, ..Nearby::default() };
    let looked = timeout(limits::NEARBY_DEADLINE, nearby.scan(link, place)).await;
    match looked {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => nearby.refused = Some(fault.to_string()),
        Err(_) => nearby.whole = false,
    }
    let looked = timeout(limits::NEARBY_DEADLINE, nearby.other_databases(link, &exist, place));
    match looked.await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => nearby.unknown = Some(fault.to_string()),
        Err(_) => nearby.unknown = Some("it takes too long".to_owned()),
    }
    Ok(Some(nearby))
}

/// The keys whose jobs are counted, and the questions whether they exist. What is asked of each member of
/// a collection is often of one key for all queues, as is what says that a queue is paused.
fn own_keys(plan: &Plan) -> (Vec<Name>, Vec<Read>) {
    let is_own = |read: &&Read| matches!(read.role(), KeyRole::OfQueue | KeyRole::Number);
    let keys = plan.reads().iter().filter(is_own).map(|read| read.key().clone());
    let keys: BTreeSet<Name> = keys.collect();
    let exists = |key: &Name| Read::Flag(Flag { key: key.clone(), test: Test::Exists });
    (keys.iter().cloned().collect(), keys.iter().map(exists).collect())
}

async fn any_exists(link: &mut SourceLink, exist: &[Read]) -> Result<bool, Fault> {
    let replies: Result<Vec<Reply>, Fault> = link.read(exist, &[]).await?.into_iter().collect();
    Ok(replies?.iter().any(|reply| reply.answer == Answer::Flag(true)))
}

/// The last part of each name, which is what people keep when they change what stands before it.
fn words(names: &[Name]) -> Vec<String> {
    let mut words: Vec<String> = vec![];
    for name in names {
        let text = String::from_utf8_lossy(name.as_bytes()).into_owned();
        let mut parts = text.split([':', '.', '/', '{', '}', '|']);
        let word = parts.rfind(|part| part.chars().count() > 1).map(str::to_lowercase);
        words.extend(word.filter(|word| !words.contains(word)));
    }
    words.truncate(limits::NEARBY_WORDS);
    words
}

/// A pattern of what contains a word in any case.
fn glob(word: &str) -> Option<Glob> {
    let mut pattern = "*".to_owned();
    for c in word.chars() {
        if c.is_ascii_alphabetic() {
            pattern.extend(['[', c.to_ascii_lowercase(), c.to_ascii_uppercase(), ']']);
        } else {
            pattern.extend("*?[]\\".contains(c).then_some('\\').into_iter().chain([c]));
        }
    }
    pattern.push('*');
    Glob::parse(&pattern).ok()
}

/// A name with `#` for each number in it: of a thousand jobs one is enough.
fn shape(key: &Name) -> Vec<u8> {
    let mut shape: Vec<u8> =
        key.as_bytes().iter().map(|b| if b.is_ascii_digit() { b'#' } else { *b }).collect();
    shape.dedup_by(|one, other| *one == b'#' && *other == b'#');
    shape
}

impl Nearby {
    /// Looks for keys that are alike, and may be read.
    async fn scan(&mut self, link: &mut SourceLink, place: &ProbeTarget<'_>) -> Result<(), Fault> {
        let allowed = place.connection.access.keys();
        let mut found: BTreeMap<(usize, Vec<u8>), Name> = BTreeMap::new();
        self.whole = true;
        for glob in self.words.iter().filter_map(|word| glob(word)).collect::<Vec<_>>() {
            let wild = KeyPattern { glob, kind: None };
            let mut from: Option<Position> = None;
            loop {
                if self.steps == limits::NEARBY_STEPS {
                    self.whole = false;
                    break;
                }
                self.steps += 1;
                let page = link.scan(&wild, from.as_ref()).await?;
                let page = page?;
                let alike = page.keys.into_iter().filter(|key| {
                    wild.glob.matches(key.as_bytes())
                        && allowed.includes(key.as_bytes())
                        && !self.asked.contains(key)
                });
                for key in alike {
                    let one =
                        found.entry((key.as_bytes().len(), shape(&key))).or_insert(key.clone());
                    // Of those of one shape always the same is shown, in whatever order they come.
                    if key < *one {
                        *one = key;
                    }
                    if found.len() > limits::NEARBY_KEYS {
                        found.pop_last();
                    }
                }
                self.alike = found.values().cloned().collect();
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Looks whether the same keys exist in another database.
    async fn other_databases(
        &mut self,
        link: &mut SourceLink,
        exist: &[Read],
        place: &ProbeTarget<'_>,
    ) -> Result<(), Fault> {
        let Some(databases) = link.databases().await else { return Ok(()) };
        let others = databases?.into_iter().map(|(number, _)| number);
        let others = others.filter(|number| *number != place.database);
        for number in others.take(limits::NEARBY_DATABASES) {
            let (credentials, sentinels) = (place.credentials.clone(), SentinelMetrics::detached());
            let source =
                RedisSource::with_credentials(place.connection, number, credentials, sentinels);
            let mut link = source.connect(Changes::new(drop)).await?;
            if !exist.is_empty() && any_exists(&mut link, exist).await? {
                self.elsewhere.push(number);
            }
        }
        Ok(())
    }

    /// That none of the keys exists.
    pub(super) fn missing(&self) -> String {
        let (keys, database) = (listed(&self.asked), self.database);
        match self.asked.len() {
            0 => format!("no queue that matches has a key in database {database}"),
            1 => format!(
                "{keys} does not exist in database {database}; an empty queue has no key either"
            ),
            _ => format!(
                "none of these keys exists in database {database}: {keys}; an empty queue has none either"
            ),
        }
    }

    /// What is near them, in lines.
    pub(super) fn near(&self) -> Vec<String> {
        let elsewhere = self.elsewhere.iter().map(|number| format!("database {number} has them"));
        let mut lines: Vec<String> = elsewhere.collect();
        let words: Vec<String> =
            self.words.iter().map(|word| format!("`{}`", shown(word))).collect();
        let words = words.join(", ");
        if !self.alike.is_empty() {
            lines.push(format!("keys with {words} in their names: {}", listed(&self.alike)));
        } else if let Some(why) = &self.refused {
            lines.push(format!("keys with similar names could not be looked for: {why}"));
        } else if !self.words.is_empty() {
            let among = if self.whole {
                format!("in database {}", self.database)
            } else {
                format!("among the first {} keys", self.steps * limits::SCAN_COUNT)
            };
            lines.push(format!("no key with {words} in its name {among}"));
        }
        if let Some(why) = &self.unknown {
            lines.push(format!("whether another database has them is not known: {why}"));
        }
        lines
    }
}

fn listed(keys: &[Name]) -> String {
    let mut listed: Vec<String> = keys
        .iter()
        .take(limits::NEARBY_KEYS)
        .map(|key| format!("`{}`", shown(&key.to_string())))
        .collect();
    if keys.len() > limits::NEARBY_KEYS {
        listed.push(format!("{} more", keys.len() - limits::NEARBY_KEYS));
    }
    listed.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_name_in_any_case_is_alike() {
        assert_eq!(words(&["app:Emails".into(), "emails".into(), "{q}".into()]), ["emails"]);
        assert_eq!(words(&["orders.eu".into(), "a:bc".into()]), ["eu", "bc"]);
        let glob = glob("em*2").unwrap();
        assert!(glob.matches(b"bull:EM*2:wait") && !glob.matches(b"bull:emx2:wait"));
    }

    #[test]
    fn of_many_jobs_one_is_enough() {
        assert_eq!(shape(&"bull:q:123".into()), shape(&"bull:q:7".into()));
        assert_ne!(shape(&"bull:q:wait".into()), shape(&"bull:q:7".into()));
    }

    #[test]
    fn what_could_not_be_looked_at_is_said_and_not_called_nothing() {
        let nearby = Nearby {
            words: vec!["q".to_owned()],
            refused: Some("NOPERM scan".to_owned()),
            unknown: Some("NOPERM info".to_owned()),
            ..Nearby::default()
        };
        let near = nearby.near().join("\n");
        assert!(
            near.contains("keys with similar names could not be looked for: NOPERM scan"),
            "{near}"
        );
        assert!(near.contains("is not known: NOPERM info"), "{near}");
    }
}
