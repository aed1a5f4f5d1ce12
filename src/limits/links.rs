//! The bounds of connections to Redis: how long anything may take there, how much may come, and how
//! often we ask.

use std::time::Duration;

use super::Backoff;

/// How long one round trip to Redis may take before the link counts as broken.
pub const COMMAND_DEADLINE: Duration = Duration::from_millis(500);
/// How long all round trips of one batch may take.
pub const READ_DEADLINE: Duration = Duration::from_secs(1);
/// How long the questions may take that come up while a batch is read, from its beginning. What is
/// not answered by then fails alone, before [`READ_DEADLINE`] would end the link for all.
pub const FOLLOW_UP_DEADLINE: Duration = Duration::from_millis(900);
/// How long connecting, authenticating and turning tracking on may take.
pub const CONNECT_DEADLINE: Duration = Duration::from_millis(900);
/// The longest silence on a link before a PING proves it. With the deadline of that PING, this is how
/// old what is taken for unchanged can be on a link that broke without a word: less than a second.
pub const PROOF_INTERVAL: Duration = Duration::from_millis(400);
/// The first and the longest pause between two attempts to connect.
pub const RECONNECT_PAUSES: Backoff =
    Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(1) };
/// How often a password file and the certificates of a connection are looked at for a change.
/// Kubernetes takes up to a minute or two to bring a changed secret into a volume.
pub const CREDENTIAL_POLL: Duration = Duration::from_secs(2);
/// How long a command may take to print a password: cloud providers' tools are slow to start.
pub const PASSWORD_COMMAND_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes that a password or token may have; those of cloud providers have some 2 KiB.
pub const PASSWORD_BYTES: usize = 16 * 1024;
/// How long after a command printed a password the next one is asked for by default: tokens of AWS
/// last 15 minutes.
pub const PASSWORD_REFRESH: Duration = Duration::from_mins(10);
/// The shortest and the longest of that.
pub const PASSWORD_REFRESHES: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_hours(24));
/// The first and the longest pause between two attempts to come by a password, or to have a new one
/// taken on a link that works with the old one.
pub const PASSWORD_PAUSES: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
/// Connections that one pool may hold: one for the worker, one for its replacement.
pub const POOL_CONNECTIONS: usize = 2;
/// Bytes that Redis, a node of a cluster or a sentinel may send before we say something again, and
/// what their lines become; then the connection is ended. We say something every second at least.
/// The largest that we ask for on purpose are values of 16 MiB in rounds of half a MiB, and the groups of
/// streams, of which each counts for 2.5 kB: 50,000 in one round are not too many. Redis itself ends a
/// subscriber that 32 MiB wait for.
pub const REPLY_BYTES: usize = 128 * 1024 * 1024;
/// The same for a sentinel, whose longest reply has some two KiB.
pub const SENTINEL_REPLY_BYTES: usize = 1024 * 1024;
/// What one line of a reply counts for in addition to its bytes: a value of the client library
/// (redis 1.8) has 56 bytes, and a vector of them room for as many again.
pub const REPLY_LINE_BYTES: usize = 112;
/// For how long the authorities of the system are taken for what they were when they were read.
pub const SYSTEM_ROOTS_AGE: Duration = Duration::from_mins(1);
/// Addresses of one name that are tried at once.
pub const ADDRESSES: usize = 16;
/// Commands in flight on one connection.
pub const PIPELINE_BUFFER: usize = 64;
/// How long one round trip to a node of a cluster may take before the node is set aside: less than
/// [`COMMAND_DEADLINE`], so that one node does not end the link to all of them.
pub const NODE_DEADLINE: Duration = Duration::from_millis(400);
/// How long a proof, or a step of a search, may take in a cluster: more than [`NODE_DEADLINE`], so that
/// a node that hangs had its time and is set aside, and less than [`COMMAND_DEADLINE`].
pub const CLUSTER_STEP_DEADLINE: Duration = Duration::from_millis(450);
/// How long all rounds of one batch may take in a cluster; what is not answered by then fails alone,
/// before [`READ_DEADLINE`] would end the link.
pub const CLUSTER_READ_DEADLINE: Duration = Duration::from_millis(900);
/// How often the nodes of a cluster are asked who serves what.
pub const SURVEY_INTERVAL: Duration = Duration::from_secs(1);
/// How soon they are asked again when a node redirected a command or was lost.
pub const SURVEY_PAUSE: Duration = Duration::from_millis(100);
/// Lines of `CLUSTER NODES` that are asked for in a second, some 100 bytes each: each node tells of all. A
/// cluster of more than some 140 nodes is asked in turns.
pub const SURVEY_LINES: usize = 20_000;
/// Bytes of one `CLUSTER NODES` that are looked through: lines of thousands of nodes, and of every slot.
pub const SURVEY_BYTES: usize = 4 * 1024 * 1024;
/// Masters of a cluster that are connected to; Redis's own advice is 1,000 nodes at most.
pub const CLUSTER_MASTERS: usize = 1_000;
/// Bytes of the id by which a node of a cluster is known; they have 40, and a node without one is
/// known by its host and port.
pub const NODE_ID_BYTES: usize = 300;
/// How long a node of a cluster that serves no slot stays connected.
pub const NODE_MEMORY: Duration = Duration::from_mins(1);
/// Nodes to which one command is sent on before it fails.
pub const REDIRECTS: usize = 3;
/// How often a batch is read anew because keys move to other nodes under it.
pub const CLUSTER_ATTEMPTS: usize = 3;
/// Nodes that a connection may name to find its cluster by.
pub const CLUSTER_SEEDS: usize = 64;
/// Key types that one connection remembers between reads.
pub const REMEMBERED_TYPES: usize = 100_000;
/// Sentinels that one connection may list.
pub const SENTINELS: usize = 16;
/// How long a sentinel may take to be connected to and to name the master. What it leaves of
/// [`CONNECT_DEADLINE`] is for that master.
pub const SENTINEL_DEADLINE: Duration = Duration::from_millis(400);
/// How often the sentinels are asked for the master while one is linked, and the master for its role.
/// A failover that they announce is noticed at once; this is for an announcement that got lost.
pub const SENTINEL_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two such questions, however much is announced.
pub const SENTINEL_FLOOR: Duration = Duration::from_millis(25);
