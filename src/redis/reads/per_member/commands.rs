//! The commands that ask for members and for what they have.

use deadpool_redis::redis::{self, Cmd};

use crate::layouts::{Ask, CollectionType, MemberKey, Name, PerMember};

/// Bytes of a string that are looked at.
const TEXT_BYTES: usize = 64 * 1024;

/// How many keys are asked for in one round.
pub(super) const KEYS: usize = 250;

/// Whether a read is asked so.
pub(in crate::redis) fn is_by_key(each: &PerMember) -> bool {
    let is_ordered = match each.kind {
        CollectionType::List | CollectionType::SortedSet => true,
        CollectionType::Set | CollectionType::Hash => false,
    };
    is_ordered && matches!(each.ask, Ask::Exists(_))
}

/// What a read is asked first, with the rest of its trigger.
pub(in crate::redis) fn first(each: &PerMember) -> Cmd {
    if is_by_key(each) { members(each) } else { size(each) }
}

/// SCARD, LLEN, ZCARD or HLEN of the collection.
pub(super) fn size(each: &PerMember) -> Cmd {
    command(
        match each.kind {
            CollectionType::Set => "SCARD",
            CollectionType::List => "LLEN",
            CollectionType::SortedSet => "ZCARD",
            CollectionType::Hash => "HLEN",
        },
        &each.collection,
    )
}

/// SMEMBERS, HKEYS, LRANGE or ZRANGE of the collection: of the latter two no more than are looked at.
pub(super) fn members(each: &PerMember) -> Cmd {
    let last = each.most() - 1;
    match each.kind {
        CollectionType::Set => command("SMEMBERS", &each.collection),
        CollectionType::Hash => command("HKEYS", &each.collection),
        CollectionType::List => ranged("LRANGE", &each.collection, last),
        CollectionType::SortedSet => ranged("ZRANGE", &each.collection, last),
    }
}

pub(super) fn of_member(ask: &Ask, filtered: bool, member: &[u8]) -> Option<Cmd> {
    let of = |name, around: &MemberKey| command(name, &around.key(member));
    Some(match ask {
        Ask::Exists(around) => of("EXISTS", around),
        Ask::Length(around) => of("LLEN", around),
        Ask::Values(around) if filtered => of("HVALS", around),
        Ask::Values(around) => of("HLEN", around),
        Ask::Text(around) if filtered => {
            let mut command = of("GETRANGE", around);
            command.arg(0).arg(TEXT_BYTES);
            command
        }
        Ask::Text(around) => of("EXISTS", around),
        Ask::Field => return None,
    })
}

fn command(name: &str, key: &Name) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key.as_bytes());
    command
}

fn ranged(name: &str, key: &Name, last: usize) -> Cmd {
    let mut command = command(name, key);
    command.arg(0).arg(last);
    command
}

pub(super) fn fields_of(hash: &Name, fields: &[Vec<u8>]) -> Cmd {
    let mut command = command("HMGET", hash);
    for field in fields {
        command.arg(field.as_slice());
    }
    command
}
