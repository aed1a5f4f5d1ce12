//! Each kind of read, one file each: its commands, what their replies are, and the rights that it takes.
//!
//! How to add one is said in `layouts/read/mod.rs`.

mod flag;
mod group;
mod heartbeats;
mod idle;
mod number;
mod oldest;
mod per_member;
mod size;

use crate::layouts::Read;

use super::asked::{Asked, Cost};

/// How a read is asked.
pub(in crate::redis) fn of(read: &Read) -> &dyn Asked {
    match read {
        Read::Size(read) => read,
        Read::Number(read) => read,
        Read::Oldest(read) => read,
        Read::Group(read) => read,
        Read::Idle(read) => read,
        Read::Flag(read) => read,
        Read::PerMember(read) => read,
        Read::Heartbeats(read) => read,
    }
}

/// What one refresh of a read costs Redis; `None` if no command asks for it.
#[must_use]
pub fn cost(read: &Read) -> Option<Cost> {
    of(read).cost()
}
