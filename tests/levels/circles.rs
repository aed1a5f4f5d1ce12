//! Circles: files that import each other in a loop, so that none of them can be read without the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Source, check};

/// One file, and what it takes from the other files of its crate.
pub struct Room {
    pub path: String,
    pub module: Vec<String>,
    /// Paths that it names, from the root of its crate on.
    pub uses: Vec<Vec<String>>,
    /// What its imports bind: a name, and the path that it stands for.
    pub bound: BTreeMap<String, Vec<String>>,
}

/// How many re-exports of re-exports are followed.
const REEXPORTS: usize = 8;

/// One shortest loop of each circle, its first file once more at the end.
pub fn circles(rooms: &[Room]) -> Vec<Vec<String>> {
    let by_module: BTreeMap<&[String], usize> =
        (0..).zip(rooms).map(|(number, room)| (room.module.as_slice(), number)).collect();
    let uses: Vec<BTreeSet<usize>> = (0..)
        .zip(rooms)
        .map(|(own, room)| {
            let homes = room.uses.iter().filter_map(|path| home(rooms, &by_module, path, 0));
            homes.filter(|home| *home != own).collect()
        })
        .collect();
    let mut seen = BTreeSet::new();
    let mut loops = Vec::new();
    for start in 0..rooms.len() {
        let Some(found) = shortest_loop(&uses, start) else { continue };
        if found.iter().any(|file| seen.contains(file)) {
            continue;
        }
        seen.extend(found.iter().copied());
        loops.push(found.into_iter().map(|file| rooms[file].path.clone()).collect());
    }
    loops
}

/// The file that defines what a path names; a re-export stands for what it hands on.
fn home(
    rooms: &[Room],
    by_module: &BTreeMap<&[String], usize>,
    path: &[String],
    followed: usize,
) -> Option<usize> {
    let (file, rest) = (0..=path.len())
        .rev()
        .find_map(|length| Some((*by_module.get(&path[..length])?, &path[length..])))?;
    let target = rest.first().and_then(|name| rooms[file].bound.get(name));
    match target.filter(|_| followed < REEXPORTS) {
        Some(target) => {
            home(rooms, by_module, &[target, &rest[1..]].concat(), followed + 1).or(Some(file))
        }
        None => Some(file),
    }
}

/// The shortest way from a file back to it.
fn shortest_loop(uses: &[BTreeSet<usize>], start: usize) -> Option<Vec<usize>> {
    let mut from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(file) = waiting.pop_front() {
        for next in &uses[file] {
            if *next == start {
                let mut way = vec![start, file];
                while way.last() != Some(&start) {
                    way.push(from[&way[way.len() - 1]]);
                }
                way.reverse();
                return Some(way);
            }
            if !from.contains_key(next) {
                from.insert(*next, file);
                waiting.push_back(*next);
            }
        }
    }
    None
}

#[test]
fn a_circle_is_seen_through_a_re_export_and_not_where_there_is_none() {
    let source = |(path, text): (&str, &str)| (path.to_owned(), format!("//! A sample.\n{text}\n"));
    let face = ("tls/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use b::B;");
    for (sources, wrong) in [
        (vec![("tls/a.rs", "use super::b::B;"), ("tls/b.rs", "use super::a::A;")], 1),
        (vec![face, ("tls/a.rs", "use super::B;"), ("tls/b.rs", "use crate::tls::A;")], 1),
        (vec![face, ("tls/a.rs", "use super::B;"), ("tls/b.rs", "pub struct B;")], 0),
        (vec![("tls/a.rs", "fn f() { super::b::g() }"), ("tls/b.rs", "use super::a::A;")], 1),
        (vec![("tls/a.rs", "use super::b::B;"), ("tls/b.rs", "#[cfg(test)] use super::a::A;")], 0),
        (vec![("tls/mod.rs", "mod a; use a::A; pub struct S;"), ("tls/a.rs", "use super::S;")], 1),
        (
            vec![
                ("tls/mod.rs", "mod a; pub use a::A; pub struct S;"),
                ("tls/a.rs", "use super::S;"),
            ],
            0,
        ),
        (
            vec![
                ("tls/mod.rs", "mod a; pub use a::A; struct S(A);"),
                ("tls/a.rs", "use super::S;"),
            ],
            1,
        ),
        (vec![("tls/mod.rs", "mod a; use a::A;"), ("tls/a.rs", "pub(in crate::tls) struct A;")], 0),
        (
            vec![
                ("tls/a.rs", "use super::b::B;"),
                ("tls/b.rs", "use super::c::C;"),
                ("tls/c.rs", "use super::a::A;"),
            ],
            1,
        ),
    ] {
        let sources: Vec<Source> = sources.into_iter().map(source).collect();
        assert_eq!(check(&sources).len(), wrong, "{sources:?}");
    }
}
