//! In how many rounds the reads of a batch are sent when their keys lie on several nodes.
//!
//! Pure. On one node a pipeline keeps its order. Between nodes nothing does, so that a read waits for
//! the replies to those before it in its trigger's flow that another node answers; otherwise a job
//! that moves meanwhile could be missing from both. Triggers do not wait for each other: a batch
//! takes as many rounds as its most scattered trigger.

use std::collections::BTreeSet;

use crate::config::Node;

/// One read of a trigger, in the order of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowPlace<N> {
    /// It is sent: its place in the batch.
    Sent(usize),
    /// It is not, since it is known not to have changed; its node would announce a change.
    Kept(N),
}

/// The nodes of a batch by numbers.
#[derive(Default)]
pub(super) struct Nodes(Vec<Option<Node>>);

impl Nodes {
    /// The number of a node, or of none.
    pub(super) fn number(&mut self, node: Option<Node>) -> usize {
        match self.0.iter().position(|known| *known == node) {
            Some(number) => number,
            None => {
                self.0.push(node);
                self.0.len() - 1
            }
        }
    }

    /// The node of a number.
    pub(super) fn named(&self, number: usize) -> Option<Node> {
        self.0.get(number).cloned().flatten()
    }
}

/// The round of each read of a batch, counted from 0. `nodes` says who answers each read; `flows` are the
/// triggers' reads. A trigger whose order contradicts that of the batch gets the batch's.
pub(super) fn stages<N: Copy + Ord>(nodes: &[N], flows: &[Vec<FlowPlace<N>>]) -> Vec<usize> {
    let mut flows_of: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
    for (flow, reads) in flows.iter().enumerate() {
        for read in reads {
            if let FlowPlace::Sent(place) = read
                && let Some(flows) = flows_of.get_mut(*place)
            {
                flows.push(flow);
            }
        }
    }
    // Of each flow: the last round so far, and who answers in it; none if several do.
    let mut reached: Vec<Option<(usize, Option<N>)>> = vec![None; flows.len()];
    let mut stages = Vec::with_capacity(nodes.len());
    for (node, of) in nodes.iter().zip(&flows_of) {
        let after = |flow: &usize| match reached[*flow] {
            None => 0,
            Some((stage, Some(last))) if last == *node => stage,
            Some((stage, _)) => stage + 1,
        };
        let stage = of.iter().map(after).max().unwrap_or(0);
        for flow in of {
            let last = match reached[*flow] {
                Some((known, last)) if known == stage && last != Some(*node) => None,
                _ => Some(*node),
            };
            reached[*flow] = Some((stage, last));
        }
        stages.push(stage);
    }
    stages
}

/// The nodes that have to be heard once more after the last round: those that would announce a change
/// of a kept read, and were not asked anything since another node answered a read before it. Without
/// that, the announcement that a job came could still be on its way when the reply is in that says it
/// went.
pub(super) fn unheard<N: Copy + Ord>(
    nodes: &[N],
    stages: &[usize],
    flows: &[Vec<FlowPlace<N>>],
) -> BTreeSet<N> {
    let last_asked = |node: N| {
        let stages = nodes.iter().zip(stages).filter(|(asked, _)| **asked == node);
        stages.map(|(_, stage)| *stage).max()
    };
    let mut unheard = BTreeSet::new();
    for flow in flows {
        let mut before: Vec<(usize, N)> = Vec::new();
        for read in flow {
            match read {
                FlowPlace::Sent(place) => {
                    before.extend(stages.get(*place).copied().zip(nodes.get(*place).copied()))
                }
                FlowPlace::Kept(node) => {
                    let others = before.iter().filter(|(_, other)| other != node);
                    let Some(after) = others.map(|(stage, _)| *stage).max() else { continue };
                    if last_asked(*node).is_none_or(|asked| asked <= after) {
                        unheard.insert(*node);
                    }
                }
            }
        }
    }
    unheard
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(places: &[usize]) -> Vec<FlowPlace<u8>> {
        places.iter().map(|place| FlowPlace::Sent(*place)).collect()
    }

    #[test]
    fn triggers_that_stay_on_one_node_are_read_in_one_round() {
        let nodes = [1, 1, 1, 2, 2, 3];
        assert_eq!(stages(&nodes, &[sent(&[0, 1, 2]), sent(&[3, 4]), sent(&[5])]), [0; 6]);
    }

    #[test]
    fn a_read_waits_for_those_before_it_on_other_nodes_and_for_nothing_else() {
        let nodes = [1, 2, 1, 3, 3];
        let flows = [sent(&[0, 1, 2]), sent(&[3, 4])];
        assert_eq!(stages(&nodes, &flows), [0, 1, 2, 0, 0]);
    }

    #[test]
    fn many_scattered_triggers_take_as_many_rounds_as_one() {
        let nodes: Vec<u8> = (0..100).flat_map(|_| [1, 2]).collect();
        let flows: Vec<_> = (0..100).map(|n| sent(&[2 * n, 2 * n + 1])).collect();
        assert_eq!(stages(&nodes, &flows).into_iter().max(), Some(1));
    }

    #[test]
    fn a_kept_read_is_vouched_for_by_its_node_after_what_comes_before_it() {
        let ask = |nodes: &[u8], flow: Vec<FlowPlace<u8>>| {
            let flows = [flow];
            unheard(nodes, &stages(nodes, &flows), &flows).into_iter().collect::<Vec<_>>()
        };
        use FlowPlace::{Kept, Sent};
        assert_eq!(ask(&[1], vec![Sent(0), Kept(2)]), [2], "node 2 was not asked at all");
        assert!(ask(&[1], vec![Sent(0), Kept(1)]).is_empty(), "one link keeps its order");
        assert!(
            ask(&[1], vec![Kept(2), Sent(0)]).is_empty(),
            "an older read before it counts twice"
        );
        assert!(ask(&[1, 2], vec![Sent(0), Sent(1), Kept(2)]).is_empty(), "asked in a later round");
        assert_eq!(ask(&[1, 2], vec![Sent(0), Kept(2)]), [2], "asked in the same round");
    }

    /// A batch of reads on a few nodes, and flows over it: ascending places, some of them kept.
    fn batches() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<FlowPlace<u8>>>)> {
        proptest::collection::vec(0..4u8, 1..12).prop_flat_map(|nodes| {
            let len = nodes.len();
            let flow = proptest::collection::btree_set(0..len, 1..6).prop_flat_map(|places| {
                let kept = proptest::collection::vec(
                    proptest::option::weighted(0.3, 0..4u8),
                    places.len(),
                );
                (Just(places), kept)
            });
            let flow = flow.prop_map(|(places, kept)| {
                let one = |(place, kept): (usize, Option<u8>)| match kept {
                    Some(node) => FlowPlace::Kept(node),
                    None => FlowPlace::Sent(place),
                };
                places.into_iter().zip(kept).map(one).collect::<Vec<_>>()
            });
            (Just(nodes), proptest::collection::vec(flow, 0..5))
        })
    }

    proptest! {
        /// A job moves along a flow while a batch is read: in each round the nodes are asked in any
        /// order, and the job may move at any moment. It is never missing from all answers.
        #[test]
        fn no_job_that_moves_along_a_flow_is_missed(
            (nodes, flows) in batches(), order in any::<u64>(), moments in proptest::collection::vec(0..200usize, 6)
        ) {
            let stages = stages(&nodes, &flows);
            let unheard = unheard(&nodes, &stages, &flows);
            // When each read is answered: rounds one after another, nodes of a round in any order,
            // the reads of one node in the order of the batch.
            let mut order = fastrand::Rng::with_seed(order);
            let mut clock = 0;
            let mut answered = vec![0; nodes.len()];
            let mut heard = [None::<usize>; 4];
            for round in 0..=stages.iter().copied().max().unwrap_or(0) {
                let mut asked: Vec<u8> = (0..4).collect();
                order.shuffle(&mut asked);
                for node in asked {
                    for place in (0..nodes.len()).filter(|p| nodes[*p] == node && stages[*p] == round) {
                        clock += 10;
                        answered[place] = clock;
                        heard[usize::from(node)] = Some(clock);
                    }
                }
            }
            clock += 10;
            unheard.iter().for_each(|node| heard[usize::from(*node)] = Some(clock));
            for flow in &flows {
                // The job is in the n-th key from its n-th moment to the next, in both at the moment.
                let mut moves = moments[..flow.len() - 1].to_vec();
                moves.sort_unstable();
                let from = |n: usize| if n == 0 { 0 } else { moves[n - 1] };
                let until = |n: usize| moves.get(n).copied().unwrap_or(usize::MAX);
                let counted = (0..flow.len()).any(|n| match flow[n] {
                    FlowPlace::Sent(place) => (from(n)..=until(n)).contains(&answered[place]),
                    // A kept answer is from before the batch. It has the job if that began there;
                    // or the job came later, and its coming was announced in time to be noticed.
                    FlowPlace::Kept(node) => {
                        from(n) == 0 || heard[usize::from(node)].is_some_and(|at| from(n) <= at)
                    }
                });
                prop_assert!(counted, "{nodes:?} {flow:?} at {moves:?}: {stages:?} {answered:?} {unheard:?}");
            }
        }
    }
}
