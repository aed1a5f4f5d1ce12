//! What Redis says unasked: an announced change is never missed, whatever its form. The whole input
//! is the bytes of one push.

use penstock::{layouts::Name, redis::offline, sampling::Change};

use crate::{
    engine::{Target, Traits},
    hold,
    resp::{Resp, first},
};

pub const TARGET: Target = Target { name: "pushes", words: WORDS, check };

const WORDS: &[&str] = &[
    ">2\r\n",
    ">1\r\n",
    ">0\r\n",
    ">-1\r\n",
    ">3\r\n",
    "$10\r\ninvalidate\r\n",
    "+invalidate\r\n",
    "_\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "*0\r\n",
    "*1\r\n",
    "*2\r\n",
    "~1\r\n",
    "$1\r\na\r\n",
    "+q\r\n",
    ":1\r\n",
    "+message\r\n",
    "=5\r\ntxt:q\r\n",
    "|1\r\n",
    "%1\r\n",
    "\r\n",
    "$0\r\n\r\n",
    "#t\r\n",
];

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let got = offline::announced(input);
    let said = first(input);
    traits.note(said.as_ref().map(std::mem::discriminant));
    traits.note(
        got.as_ref()
            .map(|changes| (changes.len().min(6), changes.first().map(std::mem::discriminant))),
    );
    let Some(Resp::Push(parts)) = said else {
        hold!(got.is_none(), "{got:?} was announced by what is no push");
        return Ok(());
    };
    let Some((kind, data)) = parts.split_first() else {
        hold!(got.as_ref().is_none_or(Vec::is_empty), "{got:?} was announced by nothing");
        return Ok(());
    };
    if kind.text() != Some(b"invalidate") {
        hold!(got.as_ref().is_none_or(Vec::is_empty), "{got:?} is no change of a key");
        return Ok(());
    }
    let named = match data {
        [Resp::List(keys)] => keys.iter().map(|key| key.text().map(Name::new)).collect(),
        _ => None,
    };
    let named: Option<Vec<Name>> = named;
    let Some(changes) = got else { return Err("an announced change was no push".to_owned()) };
    // More than was announced is safe, less is not.
    if changes == [Change::Everything] {
        return Ok(());
    }
    let expected: Option<Vec<Change>> =
        named.map(|keys| keys.into_iter().map(Change::Key).collect());
    hold!(Some(&changes) == expected.as_ref(), "{changes:?}, not {expected:?}");
    Ok(())
}
