//! Whose turn it is to say what it serves, and how much may be asked of all nodes together. It is pure.
//!
//! Each node tells of all of them, so a survey of a large cluster is long.

use std::{collections::BTreeMap, time::Duration};

use crate::{config::Node, limits, time::Instant};

/// The nodes that a survey asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// Who is asked for its view of all nodes.
    pub(super) viewer: Node,
    /// Who are asked what they serve themselves.
    pub(super) nodes: Vec<Node>,
    /// Since when one of these has not been asked; `None` if none of them was before.
    pub(super) since: Option<Instant>,
}

/// When each node was asked last, and what that has cost.
#[derive(Debug)]
pub(super) struct Turns {
    asked: BTreeMap<Node, Instant>,
    viewed: BTreeMap<Node, Instant>,
    /// When all lines that were asked for are paid for, at the rate of [`limits::SURVEY_LINES`] a second.
    paid_at: Instant,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { asked: BTreeMap::new(), viewed: BTreeMap::new(), paid_at: now }
    }

    /// The next of these nodes in turn, who each tell of `known`: who was not asked yet comes first, then
    /// who was not asked for longest. `None` if there are none.
    pub(super) fn next(&mut self, up: &[Node], known: usize, now: Instant) -> Option<Survey> {
        for times in [&mut self.asked, &mut self.viewed] {
            // Who comes and goes is not asked before the others each time.
            if times.len() > 2 * limits::CLUSTER_MASTERS {
                times.retain(|node, _| up.binary_search(node).is_ok());
            }
        }
        let viewer = up.iter().min_by_key(|node| self.viewed.get(*node))?.clone();
        self.viewed.insert(viewer.clone(), now);
        let mut nodes = up.to_vec();
        // The sort keeps the order of those that were asked at once.
        nodes.sort_by_key(|node| self.asked.get(node).copied());
        nodes.truncate(self.affordable(now) / cost(known));
        let since = nodes.iter().filter_map(|node| self.asked.get(node).copied()).min();
        self.charge(nodes.len() * cost(known), now);
        self.asked.extend(nodes.iter().map(|node| (node.clone(), now)));
        Some(Survey { viewer, nodes, since })
    }

    /// Whether a node that is being opened may be asked at once. One that may not waits for its turn.
    pub(super) fn may_begin(&mut self, node: &Node, known: usize, now: Instant) -> bool {
        let may = self.affordable(now) >= cost(known);
        if may {
            self.charge(cost(known), now);
            self.asked.insert(node.clone(), now);
        }
        may
    }

    /// Notes that an answer had more lines than was known.
    pub(super) fn more(&mut self, lines: usize, now: Instant) {
        self.charge(lines.min(limits::SURVEY_LINES), now);
    }

    /// Lines that may be asked for now: those of a second, less what is not paid for yet.
    fn affordable(&self, now: Instant) -> usize {
        let owed = self.paid_at.saturating_duration_since(now);
        let left = Duration::from_secs(1).saturating_sub(owed);
        usize::try_from(left.as_nanos() / LINE.as_nanos()).unwrap_or(0)
    }

    fn charge(&mut self, lines: usize, now: Instant) {
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        self.paid_at = self.paid_at.max(now) + LINE * lines;
    }
}

/// What a line costs.
const LINE: Duration = Duration::from_nanos(1_000_000_000 / limits::SURVEY_LINES as u64);

/// What it costs to ask one node: no more than there is in a second, or none could be asked.
fn cost(known: usize) -> usize {
    known.clamp(1, limits::SURVEY_LINES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn nodes(count: u16) -> Vec<Node> {
        (1..=count).map(|port| Node { host: "10.0.0.1".to_owned(), port }).collect()
    }

    /// Surveys so often, and tells who was asked in each.
    fn surveys(turns: &mut Turns, up: &[Node], known: usize, at: &[Instant]) -> Vec<Survey> {
        at.iter().map(|now| turns.next(up, known, *now).unwrap()).collect()
    }

    fn every(pause: Duration, times: u32, start: Instant) -> Vec<Instant> {
        (0..times).map(|n| start + pause * n).collect()
    }

    #[test]
    fn a_cluster_of_a_usual_size_is_asked_as_a_whole_each_time() {
        let (up, start) = (nodes(100), Instant::now());
        let mut turns = Turns::new(start);
        let at = every(limits::SURVEY_INTERVAL, 200, start);
        let asked = surveys(&mut turns, &up, 200, &at);
        assert!(asked.iter().all(|asked| asked.nodes.len() == 100));
        assert_eq!(asked[0].since, None);
        assert_eq!(asked[7].since, Some(at[6]));
        for hundred in asked.chunks(100) {
            let viewers: BTreeSet<&Node> = hundred.iter().map(|asked| &asked.viewer).collect();
            assert_eq!(viewers.len(), 100, "each is asked for its view in turn");
        }
    }

    #[test]
    fn each_of_a_large_cluster_is_asked_within_a_bounded_time() {
        for (masters, known, within) in [(300, 300, 5), (300, 900, 14), (1_000, 1_000, 50)] {
            let (up, start) = (nodes(masters), Instant::now());
            let mut turns = Turns::new(start);
            let at = every(limits::SURVEY_INTERVAL, 3 * within, start);
            let asked = surveys(&mut turns, &up, known, &at);
            for round in asked.chunks(usize::try_from(within).unwrap()) {
                let all: BTreeSet<&Node> = round.iter().flat_map(|asked| &asked.nodes).collect();
                assert_eq!(all.len(), up.len(), "{masters} masters, in {within} s");
            }
        }
    }

    #[test]
    fn nodes_that_come_and_go_keep_nobody_from_its_turn() {
        let (all, start) = (nodes(600), Instant::now());
        let mut turns = Turns::new(start);
        let mut asked = BTreeSet::new();
        for (second, now) in every(limits::SURVEY_INTERVAL, 60, start).into_iter().enumerate() {
            // Every other one is away now and then, each time another.
            let away =
                |place: usize| place.is_multiple_of(2) && (place / 2 + second).is_multiple_of(3);
            let up = all.iter().enumerate().filter(|(place, _)| !away(*place));
            let up: Vec<Node> = up.map(|(_, node)| node.clone()).collect();
            asked.extend(turns.next(&up, 600, now).unwrap().nodes);
        }
        assert_eq!(asked.len(), 600);
    }

    #[test]
    fn no_more_lines_are_asked_for_than_a_second_may_bring() {
        let (up, start) = (nodes(300), Instant::now());
        let mut turns = Turns::new(start);
        let mut lines = Vec::new();
        // All are opened at once, some again and again, and each redirect is a reason for a survey.
        for (tick, now) in every(limits::SURVEY_PAUSE, 300, start).into_iter().enumerate() {
            let opened = if tick == 0 { &up[..] } else { &up[..5] };
            let begun = opened.iter().filter(|node| turns.may_begin(node, 300, now)).count();
            lines.push((begun + turns.next(&up, 300, now).unwrap().nodes.len()) * 300);
        }
        let most = |ticks: usize| lines.windows(ticks).map(|of| of.iter().sum::<usize>()).max();
        for seconds in [1, 5, 20] {
            let allowed = (seconds + 1) * limits::SURVEY_LINES;
            assert!(most(10 * seconds).unwrap() <= allowed, "in {seconds} s");
        }
        assert!(most(200).unwrap() >= 19 * limits::SURVEY_LINES, "and it is used");
    }

    #[test]
    fn who_may_not_be_asked_at_once_waits_for_its_turn_and_who_was_is_not_asked_again() {
        let (up, start) = (nodes(300), Instant::now());
        let mut turns = Turns::new(start);
        let begun: Vec<&Node> =
            up.iter().rev().filter(|node| turns.may_begin(node, 1_000, start)).collect();
        assert_eq!(begun.len(), 20);
        assert!(turns.next(&up, 1_000, start).unwrap().nodes.is_empty(), "nothing is left");
        let next = turns.next(&up, 1_000, start + limits::SURVEY_INTERVAL).unwrap();
        assert_eq!(next.nodes, up[..20]);
        assert!(!turns.may_begin(&up[0], 1_000, start + limits::SURVEY_INTERVAL));
        let again = turns.next(&up, 1_000, start + 2 * limits::SURVEY_INTERVAL).unwrap();
        assert_eq!(again.nodes, up[20..40]);
    }

    #[test]
    fn a_node_that_tells_of_more_than_is_asked_for_in_a_second_is_still_asked() {
        let (up, start) = (nodes(3), Instant::now());
        let mut turns = Turns::new(start);
        let at = every(limits::SURVEY_INTERVAL, 6, start);
        let asked = surveys(&mut turns, &up, usize::MAX, &at);
        assert!(asked.iter().all(|asked| asked.nodes.len() == 1));
        turns.more(usize::MAX, start + limits::SURVEY_INTERVAL * 10);
        let later = start + limits::SURVEY_INTERVAL * 11;
        assert_eq!(turns.next(&up, 3, later).unwrap().nodes.len(), 3);
        assert_eq!(turns.next(&[], 3, later), None);
    }
}
