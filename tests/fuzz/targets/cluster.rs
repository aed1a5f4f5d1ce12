//! What a cluster's nodes say of its slots: nobody serves a slot who does not say so, or of whom nobody
//! says so, and of two that say so the later one does.
//!
//! The input is a run of replies: to CLUSTER SLOTS by the node `asked:1`, then to CLUSTER NODES by
//! `asked:1`, `asked:2` and so on. The second reading looks every slot up by itself, in plain words.

use std::collections::BTreeSet;

use penstock::redis::offline::{ClusterTold, cluster_told};

use crate::{
    engine::{Target, Traits},
    hold,
    resp::{Resp, replies},
};

use super::node;

pub const TARGET: Target = Target { name: "cluster", words: WORDS, check };

const WORDS: &[&str] = &[
    "*1\r\n",
    "*2\r\n",
    "*3\r\n",
    "*4\r\n",
    "*0\r\n",
    "_\r\n",
    ":0\r\n",
    ":1\r\n",
    ":5460\r\n",
    ":5461\r\n",
    ":16383\r\n",
    ":16384\r\n",
    ":7000\r\n",
    "*3\r\n:0\r\n:5\r\n*3\r\n+h\r\n:7\r\n+x\r\n",
    "+h\r\n",
    "+?\r\n",
    "+\r\n",
    "+a b\r\n",
    "+::1\r\n",
    "+x\r\n",
    "+y\r\n",
    "+ip\r\n",
    "%1\r\n",
    "$50\r\nx 10.0.0.1:7@17 myself,master - 0 0 3 connected 0-5\r\n",
    "-MOVED 1 h:1\r\n",
    "-ERR This instance has cluster support disabled\r\n",
    "myself",
    "master",
    "slave",
    "myself,master",
    " - 0 0 1 connected ",
    " - 0 0 9 connected ",
    "0-5",
    " 5-9",
    " 16383",
    " [5->-y]",
    " [5-<-y]",
    "[",
    "]",
    "\n",
    "\r\n",
    "$",
    "18446744073709551615",
];
/// Nodes that are asked.
const NODES: u16 = 5;
const SLOTS: u64 = 16_384;

/// A range of slots as a node sees it.
struct Seen {
    slots: (u64, u64),
    id: String,
    node: Option<String>,
}

/// What a node says of itself.
struct Own {
    node: String,
    id: String,
    epoch: u64,
    is_master: bool,
    slots: Vec<(u64, u64)>,
    /// Slots, and who gets them.
    leaving: Vec<(u64, String)>,
}

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let told = cluster_told(input, NODES);
    let replies = replies(input);
    let view = replies.first().and_then(seen);
    let lines: Vec<Option<Own>> =
        (1..=NODES).zip(replies.iter().skip(1)).map(|(port, reply)| own(reply, port)).collect();
    let understood: Vec<bool> =
        [view.is_some()].into_iter().chain(lines.iter().map(Option::is_some)).collect();
    traits.note((&understood, told.serves.len().min(12), told.arriving.len().min(4)));
    traits.note((told.unasked.len().min(4), replies.first().map(std::mem::discriminant)));
    hold!(told.understood == understood, "{:?} and not {understood:?}", told.understood);
    let owns: Vec<Own> = lines.into_iter().flatten().collect();
    let view = view.unwrap_or_default();
    // One server that was asked twice goes by the first of its names.
    let is_first = |own: &&Own| {
        owns.iter().find(|other| other.id == own.id).is_some_and(|first| first.node == own.node)
    };
    let firsts: Vec<&Own> = owns.iter().filter(is_first).collect();
    for slot in corners(&told, &view, &owns) {
        let mut claims = firsts.iter().filter(|own| own.is_master && serves(&own.slots, slot));
        let mut best: Option<&Own> = None;
        claims.by_ref().for_each(|own| {
            if best.is_none_or(|best| best.epoch < own.epoch) {
                best = Some(own);
            }
        });
        let seen = view.iter().rev().find(|seen| serves(&[seen.slots], slot));
        let named = seen.and_then(|seen| {
            let asked = firsts.iter().find(|own| own.id == seen.id);
            asked.map(|own| own.node.clone()).or_else(|| seen.node.clone())
        });
        let expected = best.map(|own| own.node.clone()).or(named);
        let got = told
            .serves
            .iter()
            .find(|(first, last, _)| (u64::from(*first)..=u64::from(*last)).contains(&slot));
        let got = got.map(|(_, _, node)| node.clone());
        hold!(got == expected, "{slot} is served by {got:?}, and not by {expected:?}");
        // The last node that serves it tells where it goes.
        let leaves = |own: &&Own| Some(&own.node) == expected.as_ref();
        let mut receivers = owns.iter().filter(leaves).flat_map(|own| &own.leaving);
        let receiver = receivers.rfind(|(leaving, _)| *leaving == slot);
        let arriving = told
            .arriving
            .iter()
            .find(|(_, slots)| slots.iter().any(|arriving| u64::from(*arriving) == slot));
        let (got, expected) = (arriving.map(|(id, _)| id), receiver.map(|(_, id)| id));
        hold!(got == expected, "{slot} goes to {got:?}, and not to {expected:?}");
    }
    let others = view.iter().filter(|seen| firsts.iter().all(|own| own.id != seen.id));
    let others: BTreeSet<&String> = others.map(|seen| &seen.id).collect();
    hold!(told.unasked.len() <= others.len(), "{:?} were not asked", told.unasked);
    Ok(())
}

fn serves(ranges: &[(u64, u64)], slot: u64) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&slot))
}

/// The slots at which anything can change.
fn corners(told: &ClusterTold, view: &[Seen], owns: &[Own]) -> BTreeSet<u64> {
    let told = told.serves.iter().map(|(first, last, _)| (u64::from(*first), u64::from(*last)));
    let ranges = view.iter().map(|seen| seen.slots).chain(told);
    let ranges = ranges.chain(owns.iter().flat_map(|own| own.slots.iter().copied()));
    let near = |slot: u64| [slot.saturating_sub(1), slot, slot + 1];
    let corners = ranges.flat_map(|(first, last)| [near(first), near(last)].concat());
    let leaving = owns.iter().flat_map(|own| own.leaving.iter().map(|(slot, _)| *slot));
    corners.chain(leaving).chain([0, SLOTS - 1]).filter(|slot| *slot < SLOTS).collect()
}

/// A text, or a number as text.
fn word(reply: &Resp) -> Option<String> {
    match reply {
        Resp::Int(number) => Some(number.to_string()),
        other => other.text().map(|text| String::from_utf8_lossy(text).into_owned()),
    }
}

/// The reply to CLUSTER SLOTS; nothing if it is none.
fn seen(reply: &Resp) -> Option<Vec<Seen>> {
    let seen: Option<Vec<Seen>> = reply.list()?.iter().map(range).collect();
    let slots = |seen: &Seen| seen.slots.1 - seen.slots.0 + 1;
    seen.filter(|all| all.iter().map(slots).sum::<u64>() <= SLOTS)
}

fn range(row: &Resp) -> Option<Seen> {
    let row = row.list()?;
    let (first, last) = (row.first()?.length()?, row.get(1)?.length()?);
    let master = row.get(2)?.list()?;
    let (endpoint, port) = (master.first()?, master.get(1)?.length());
    if first > last || last >= SLOTS {
        return None;
    }
    let host = if *endpoint == Resp::Nil { String::new() } else { word(endpoint)? };
    let host = match host.as_str() {
        "" => Some("asked".to_owned()),
        "?" => master.get(3).and_then(beside),
        _ => Some(host),
    };
    let node = host.zip(port).and_then(|(host, port)| node(&host, port));
    let id = master.get(2).and_then(word).or_else(|| node.clone())?;
    Some(Seen { slots: (first, last), id, node })
}

/// The address among the details of a node.
fn beside(details: &Resp) -> Option<String> {
    let words: Vec<String> = match details {
        Resp::Map(pairs) => pairs.iter().flat_map(|(k, v)| [k, v]).filter_map(word).collect(),
        other => other.list()?.iter().filter_map(word).collect(),
    };
    let ip = words.chunks_exact(2).find(|pair| pair[0] == "ip")?;
    Some(ip[1].clone()).filter(|ip| !ip.is_empty())
}

/// The line of the asked node in the reply to CLUSTER NODES; nothing if there is none.
fn own(reply: &Resp, port: u16) -> Option<Own> {
    let text = word(reply)?;
    let flags = |line: &str| -> Vec<String> {
        line.split(' ').nth(2).unwrap_or_default().split(',').map(str::to_owned).collect()
    };
    let line = text.lines().find(|line| flags(line).contains(&"myself".to_owned()))?;
    let words: Vec<&str> = line.split(' ').collect();
    let slot = |text: &str| text.parse().ok().filter(|slot: &u64| *slot < SLOTS);
    let mut own = Own {
        node: format!("asked:{port}"),
        id: words[0].to_owned(),
        epoch: words.get(6)?.parse().ok()?,
        is_master: flags(line).contains(&"master".to_owned()),
        slots: vec![],
        leaving: vec![],
    };
    words.get(7)?;
    for word in &words[8..] {
        if word.len() >= 2 && word.starts_with('[') && word.ends_with(']') {
            if let Some((number, id)) = word[1..word.len() - 1].split_once("->-") {
                own.leaving.push((slot(number)?, id.to_owned()));
            }
        } else if let Some((first, last)) = word.split_once('-') {
            own.slots.push((slot(first)?, slot(last)?));
        } else {
            own.slots.push((slot(word)?, slot(word)?));
        }
    }
    let length = |(first, last): &(u64, u64)| (last + 1).saturating_sub(*first);
    (own.slots.iter().map(length).sum::<u64>() <= SLOTS).then_some(own)
}
