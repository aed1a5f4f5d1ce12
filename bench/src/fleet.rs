//! Many queues of every kind, and how a job comes into each.
//!
//! No queue is ever emptied: what is idle here is a queue that does not change.

use penstock::time::wall_now;
use tokio::time::{Duration, Instant, sleep_until};

use crate::{
    client::trigger,
    cluster,
    proto::ScaledObjectRef,
    resp::{Command, Connection, words},
};

/// Where a queue's jobs are.
#[derive(Debug, Clone, Copy)]
enum Kind {
    List,
    Set,
    SortedSet,
    /// A sorted set of jobs that are due in a day.
    Scheduled,
    /// A consumer group in which everything is acknowledged.
    Group,
    /// A list whose jobs say since when they wait.
    Aged,
}

/// In turn, so that any run of triggers has a quarter of lists, sets, sorted sets and groups.
const KINDS: [Kind; 8] = [
    Kind::List,
    Kind::Set,
    Kind::SortedSet,
    Kind::Group,
    Kind::List,
    Kind::Set,
    Kind::Scheduled,
    Kind::Group,
];

/// A queue and its trigger.
#[derive(Debug, Clone)]
pub struct Queue {
    kind: Kind,
    key: String,
    /// Which node has it.
    node: usize,
    /// What asks for it.
    pub trigger: ScaledObjectRef,
}

impl Queue {
    fn new(index: usize) -> Self {
        Self::of_kind(KINDS[index % KINDS.len()], index)
    }

    fn of_kind(kind: Kind, index: usize) -> Self {
        let key = format!("bench:fleet:{index}");
        let metadata = match kind {
            Kind::List | Kind::Set | Kind::SortedSet => {
                [("layout", "keys"), ("queue", &*key)].to_vec()
            }
            Kind::Scheduled => [("layout", "keys"), ("scheduled", &*key)].to_vec(),
            Kind::Aged => {
                [("queue", &*key), ("signal", "latency"), ("readyAt", "/at"), ("target", "30")]
                    .to_vec()
            }
            Kind::Group => [("layout", "stream"), ("queue", &*key), ("group", "workers")].to_vec(),
        };
        let trigger = trigger(&key, &metadata);
        Self { kind, key, node: 0, trigger }
    }

    /// What makes it.
    fn created(&self) -> Vec<Command> {
        let key = self.key.as_str();
        match self.kind {
            Kind::Group => {
                let group = words(["XGROUP", "CREATE", key, "workers", "0", "MKSTREAM"]);
                [group].into_iter().chain(self.changed(0)).collect()
            }
            Kind::List | Kind::Set | Kind::SortedSet | Kind::Scheduled | Kind::Aged => {
                self.changed(0)
            }
        }
    }

    /// What brings its next job; of a group also what takes and acknowledges it.
    fn changed(&self, number: u64) -> Vec<Command> {
        let (key, job) = (self.key.as_str(), format!("job-{number}"));
        let job = job.as_str();
        match self.kind {
            Kind::List => vec![words(["LPUSH", key, job])],
            Kind::Aged => vec![words(["LPUSH", key, &aged(wall_now())])],
            Kind::Set => vec![words(["SADD", key, job])],
            Kind::SortedSet => vec![words(["ZADD", key, &number.to_string(), job])],
            Kind::Scheduled => {
                let due = wall_now() + Duration::from_hours(24);
                vec![words(["ZADD", key, &due.as_secs().to_string(), job])]
            }
            Kind::Group => {
                let id = format!("{}-1", number + 1);
                let taken = words(["XREADGROUP", "GROUP", "workers", "w", "STREAMS", key, ">"]);
                vec![
                    words(["XADD", key, &id, "job", job]),
                    taken,
                    words(["XACK", key, "workers", &id]),
                ]
            }
        }
    }
}

/// A job that waits since a time.
pub fn aged(since: Duration) -> String {
    format!("{{\"at\":{:.3},\"args\":[1,2,3]}}", since.as_secs_f64())
}

/// Makes so many queues.
pub async fn create(nodes: &mut [Connection], size: usize) -> anyhow::Result<Vec<Queue>> {
    created((0..size).map(Queue::new).collect(), nodes).await
}

/// Makes so many queues of which ages are asked.
pub async fn create_aged(nodes: &mut [Connection], size: usize) -> anyhow::Result<Vec<Queue>> {
    created((0..size).map(|index| Queue::of_kind(Kind::Aged, index)).collect(), nodes).await
}

async fn created(mut fleet: Vec<Queue>, nodes: &mut [Connection]) -> anyhow::Result<Vec<Queue>> {
    for part in fleet.chunks_mut(100) {
        if let [asked, _, ..] = nodes {
            let slot = |queue: &Queue| words(["CLUSTER", "KEYSLOT", &queue.key]);
            let slots = asked.pipeline(&part.iter().map(slot).collect::<Vec<_>>()).await?;
            for (queue, slot) in part.iter_mut().zip(&slots) {
                queue.node = cluster::node_of(slot)?;
            }
        }
        let created = part
            .iter()
            .flat_map(|queue| queue.created().into_iter().map(|command| (queue.node, command)));
        run(nodes, created.collect()).await?;
    }
    Ok(fleet)
}

/// Runs each of these commands on its node.
async fn run(nodes: &mut [Connection], commands: Vec<(usize, Command)>) -> anyhow::Result<()> {
    let mut by_node: Vec<Vec<Command>> = nodes.iter().map(|_| vec![]).collect();
    for (node, command) in commands {
        by_node[node].push(command);
    }
    for (node, commands) in nodes.iter_mut().zip(by_node) {
        node.pipeline(&commands).await?;
    }
    Ok(())
}

/// The triggers of a fleet.
pub fn triggers(fleet: &[Queue]) -> Vec<ScaledObjectRef> {
    fleet.iter().map(|queue| queue.trigger.clone()).collect()
}

/// Changes one queue after the other, so many a second, until a moment; tells how many. `numbers`
/// goes on over several runs, so that no job is the same twice.
pub async fn change(
    (nodes, fleet): (&mut [Connection], &[Queue]),
    numbers: &mut u64,
    (per_second, until): (u32, Instant),
) -> anyhow::Result<u64> {
    /// No factor of any size of a fleet: each queue comes in its turn, far from the one before.
    const STRIDE: usize = 7919;
    let (start, tick) = (Instant::now(), Duration::from_millis(10));
    let (mut made, mut now) = (0, start);
    while now < until {
        let due = (now - start).as_micros() * u128::from(per_second) / 1_000_000;
        let mut commands = Vec::new();
        while u128::from(made) < due {
            *numbers += 1;
            let place = usize::try_from(made)?.wrapping_mul(STRIDE) % fleet.len();
            let queue = &fleet[place];
            commands
                .extend(queue.changed(*numbers).into_iter().map(|command| (queue.node, command)));
            made += 1;
        }
        run(nodes, commands).await?;
        sleep_until(now + tick).await;
        now = Instant::now();
    }
    Ok(made)
}
