//! What sentinels say: no master of fewer than half of them, and none of two that have half each unless
//! the epochs tell which is the later one.
//!
//! The first line is how many there are; then each replies to two questions, one after the other.

use std::collections::BTreeMap;

use penstock::redis::offline::sentinels_told;

use crate::{
    engine::{Target, Traits},
    hold,
    resp::{Resp, replies},
};

pub const TARGET: Target = Target { name: "sentinels", words: WORDS, check };

const WORDS: &[&str] = &[
    "1\n",
    "2\n",
    "3\n",
    "4\n",
    "5\n",
    "_\r\n",
    "*2\r\n+a\r\n+1\r\n",
    "*2\r\n+b\r\n+1\r\n",
    "*2\r\n$1\r\na\r\n$1\r\n1\r\n",
    "*2\r\n+::1\r\n+6379\r\n",
    "*2\r\n+config-epoch\r\n+5\r\n",
    "%1\r\n+config-epoch\r\n+7\r\n",
    "%1\r\n",
    "*2\r\n",
    "*0\r\n",
    "+config-epoch\r\n",
    "+65536\r\n",
    "+0\r\n",
    "-IDONTKNOW no\r\n",
    "-ERR No such master with that name\r\n",
    "-NOPERM no\r\n",
    "-WRONGPASS no\r\n",
    "-LOADING x\r\n",
    "+a b\r\n",
    "+\r\n",
    "18446744073709551615",
    "\r\n",
];

/// A server, and since which epoch.
type Vote = (String, Option<u64>);

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let configured = String::from_utf8_lossy(&input[..end]).parse().unwrap_or(3);
    let configured: usize = usize::clamp(configured, 1, 7);
    let said = input.get(end + 1..).unwrap_or_default();
    let told = sentinels_told(said, configured);
    let replies = replies(said);
    let votes: Vec<Option<Vote>> = (0..configured)
        .map(|sentinel| vote(replies.get(2 * sentinel)?, replies.get(2 * sentinel + 1)?))
        .collect();
    hold!(told.named == votes, "{:?}, and not {votes:?}", told.named);
    let mut servers: BTreeMap<&str, (usize, Option<u64>)> = BTreeMap::new();
    for (server, epoch) in votes.iter().flatten() {
        let (votes, highest) = servers.entry(server).or_default();
        (*votes, *highest) = (*votes + 1, (*highest).max(*epoch));
    }
    let halves: Vec<_> = servers.iter().filter(|(_, (votes, _))| 2 * votes >= configured).collect();
    let expected = match halves.as_slice() {
        [(server, _)] => Some(**server),
        [(one, (_, Some(a))), (_, (_, Some(b)))] if a > b => Some(**one),
        [(_, (_, Some(a))), (other, (_, Some(b)))] if b > a => Some(**other),
        // One that has half and an epoch, beside one without any, is not known to be the later one.
        _ => None,
    };
    traits.note((configured, servers.len(), halves.len(), expected.is_some()));
    traits.note((told.settled.is_some(), replies.len().min(8)));
    hold!(told.master.as_deref().ok() == expected, "{:?}, and not {expected:?}", told.master);
    let most = servers.iter().find(|(_, (votes, _))| 2 * votes > configured);
    let most = most.map(|(server, _)| *server);
    hold!(told.settled.as_deref() == most, "{:?} is settled, and not {most:?}", told.settled);
    if let Err(why) = &told.master {
        traits.note_message(why);
        hold!(why.len() <= 4_096, "a fault of {} bytes", why.len());
        hold!(!why.chars().any(char::is_control), "a control character: {why:?}");
    }
    Ok(())
}

/// A plain string of either of the two forms in which sentinels reply.
fn text(reply: &Resp) -> Option<&str> {
    std::str::from_utf8(reply.text()?).ok()
}

fn vote(address: &Resp, state: &Resp) -> Option<Vote> {
    let Resp::List(parts) = address else { return None };
    let [host, port] = parts.as_slice() else { return None };
    let server = super::node(text(host)?, text(port)?.parse().ok()?)?;
    Some((server, state.field("config-epoch").and_then(text).and_then(|text| text.parse().ok())))
}
