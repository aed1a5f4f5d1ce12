//! Every bound in one place: what a peer can make penstock hold, and how long anything may take.
//!
//! They are apart so that a reader can see all of them at once and a test can assert on them. This
//! file knows nothing of who applies a bound.

use std::time::Duration;

/// Entries that one trigger's metadata map may have.
pub const METADATA_ENTRIES: usize = 64;
/// Bytes that one metadata key may have.
pub const METADATA_KEY_BYTES: usize = 256;
/// Bytes that one metadata value may have: 64 names of 1 KiB, and their commas.
pub const METADATA_VALUE_BYTES: usize = 64 * 1025;
/// Bytes of one gRPC request message; above it the transport answers OUT_OF_RANGE.
pub const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that a call sets aside for a message before it knows its size.
pub const MESSAGE_BUFFER_BYTES: usize = 256;
/// Bytes that one Redis key, group or other name may have.
pub const NAME_BYTES: usize = 1024;
/// Redis keys that one trigger may name, over all of its states.
pub const KEYS_PER_TRIGGER: usize = 64;
/// Problems that one answer lists before it says "and N more".
pub const PROBLEMS_LISTED: usize = 20;
/// Characters of a value that a problem repeats.
pub const VALUE_CHARS_SHOWN: usize = 64;
/// Bytes of a status message and its details together.
pub const STATUS_BYTES: usize = 4 * 1024;
/// Bytes of a ScaledObject's name or namespace (Kubernetes allows 253 and 63).
pub const OBJECT_NAME_BYTES: usize = 253;

/// The largest value and target that is ever sent. KEDA and the HPA compute with milli-values in
/// int64 and wrap near 9.2e15, so this leaves room for the sum of many triggers.
pub const QUANTITY_MAX: f64 = 1e12;
/// The smallest target: KEDA keeps three decimals and the API server refuses a target of zero.
pub const TARGET_MIN: f64 = 0.001;

/// Triggers that one connection remembers at once.
pub const TRIGGERS: usize = 50_000;
/// Streams (`StreamIsActive` and `StreamMetricSpec`) that may be open at once.
pub const STREAMS: usize = 100_000;
/// Requests whose parsed trigger is kept for the next poll.
pub const SUBJECTS: usize = 50_000;
/// Bytes of names and metadata of a request that is kept so; a larger one is parsed each time.
pub const SUBJECT_BYTES: usize = 2 * 1024;
/// How long a trigger is remembered after its last call when no stream is open on it.
pub const TRIGGER_MEMORY: Duration = Duration::from_mins(10);

/// Reads that one pipeline carries.
pub const BATCH_READS: usize = 256;
/// The shortest time between two reads of the same question: a key that changes all the time is read
/// 83 times a second.
pub const REFRESH_FLOOR: Duration = Duration::from_millis(12);
/// How old a sample may grow whose changes are not announced before it is read again while somebody
/// watches or asks.
pub const SAMPLE_MAX_AGE: Duration = Duration::from_secs(1);
/// How old a sample may grow whose changes are announced, give or take a tenth. It is for what nothing
/// announces: SWAPDB, XGROUP on an idle group, and whatever we do not know of.
pub const SAFETY_MAX_AGE: Duration = Duration::from_mins(10);
/// By how much Redis's clock may run away from ours before what was to change at a time is read again.
pub const CLOCK_DRIFT: Duration = Duration::from_millis(50);
/// The longest activity window that a trigger may have.
pub const ACTIVITY_WINDOW_MAX: Duration = Duration::from_hours(24);
/// How long one round trip to Redis may take before the link counts as broken.
pub const COMMAND_DEADLINE: Duration = Duration::from_millis(500);
/// How long all round trips of one batch may take.
pub const READ_DEADLINE: Duration = Duration::from_secs(1);
/// How long connecting, authenticating and turning tracking on may take.
pub const CONNECT_DEADLINE: Duration = Duration::from_millis(900);
/// The longest silence on a link before a PING proves it. With the deadline of that PING, this is how
/// old what is taken for unchanged can be on a link that broke without a word: less than a second.
pub const PROOF_INTERVAL: Duration = Duration::from_millis(400);
/// The first and the longest pause between two attempts to connect.
pub const RECONNECT_PAUSES: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_secs(1));
/// Connections that one pool may hold: one for the worker, one for its replacement.
pub const POOL_CONNECTIONS: usize = 2;
/// Commands in flight on one connection.
pub const PIPELINE_BUFFER: usize = 64;
/// How long one round trip to a node of a cluster may take before the node is set aside: less than
/// [`COMMAND_DEADLINE`], so that one node does not end the link to all of them.
pub const NODE_DEADLINE: Duration = Duration::from_millis(400);
/// How long all rounds of one batch may take in a cluster; what is not answered by then fails alone,
/// before [`READ_DEADLINE`] would end the link.
pub const CLUSTER_READ_DEADLINE: Duration = Duration::from_millis(900);
/// How often the nodes of a cluster are asked who serves what.
pub const SURVEY_INTERVAL: Duration = Duration::from_secs(1);
/// How soon they are asked again when a node redirected a command or was lost.
pub const SURVEY_PAUSE: Duration = Duration::from_millis(100);
/// Lines of `CLUSTER NODES` that one survey may bring, some 100 bytes each: each node tells of all. A
/// cluster of more than some 140 nodes is asked in turns.
pub const SURVEY_LINES: usize = 20_000;
/// Masters of a cluster that are connected to; Redis's own advice is 1,000 nodes at most.
pub const CLUSTER_MASTERS: usize = 1_000;
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

/// Members of a collection that are looked at one by one.
pub const EACH_MEMBERS: usize = 1_000;
/// Fields whose values are fetched with one command, so that none takes Redis long.
pub const EACH_FIELDS: usize = 16;
/// Bytes of members' values that one read fetches before it leaves the rest.
pub const EACH_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes that one round of them is to bring.
pub const EACH_ROUND_BYTES: u64 = 512 * 1024;
/// Bytes of a text that is remembered of a field.
pub const FIELD_TEXT_BYTES: usize = 1024;
/// Words that one parameter may list.
pub const WORDS: usize = 64;
/// Values of fields that one connection remembers between reads.
pub const REMEMBERED_FIELDS: usize = 20_000;
/// Bytes of a string key that are looked at; a number needs fewer.
pub const NUMBER_BYTES: usize = 64;
/// Entries after a group's last delivered id that are counted one by one when the lag is nil.
pub const COUNTED_ENTRIES: u64 = 1_000;
/// Entries that one XRANGE of that count asks for at most; the first asks for one, since entries
/// come with their bodies.
pub const COUNTED_PAGE: u64 = 250;
/// Bytes of bodies that such a count may bring along, all pages together.
pub const COUNTED_BYTES: u64 = 512 * 1024;
/// How far a client's clock may be off from Redis's when a score is compared with now.
pub const CLOCK_GRACE: Duration = Duration::from_secs(1);

/// Within this `GetMetrics` and `IsActive` answer, whatever Redis does.
pub const CALL_DEADLINE: Duration = Duration::from_secs(1);
/// How long the last known value is held by default while Redis cannot be read.
pub const HOLD_STALE: Duration = Duration::from_secs(30);
/// The longest stale budget that a connection may have.
pub const HOLD_STALE_MAX: Duration = Duration::from_hours(24);

/// Pauses before the two repeats of an activation, each counted from the message before it.
pub const REPEAT_PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(20)];
/// `true` messages per second that all streams together may send before repeats wait. KEDA's
/// operator patches at 20 per second.
pub const PUSH_RATE: u32 = 10;
/// Messages by which the budget may run ahead.
pub const PUSH_BURST: u32 = 20;
/// The age at which a stream ends with OK, before its jitter of a tenth.
pub const STREAM_MAX_AGE: Duration = Duration::from_mins(30);
/// The age at which a connection gets a GOAWAY, so that KEDA resolves its replicas anew.
pub const CONNECTION_MAX_AGE: Duration = Duration::from_mins(30);
/// HTTP/2 keepalive: how often a silent peer is pinged, and how long it may take to answer.
pub const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Bytes that all streams of a connection together may send ahead of us. The codec (h2 0.4.20) ends
/// a connection with ENHANCE_YOUR_CALM when small DATA frames that nobody took yet have cost half
/// of this, at 256 bytes a frame: with hyper's own 1 MiB that is a burst of some 2,700 calls whose
/// DATA frame is not their last, which is how tonic and many proxies send (grpc-go marks it).
pub const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;

/// Streams of a connection that their peer may cancel before we have seen them. Beyond it the codec
/// ends the connection, and with it every push stream; its own 20 are soon reached when the process
/// got no CPU for a moment and KEDA gave up on the calls of a fleet.
pub const CANCELLED_UNSEEN: usize = 10_000;
/// From SIGTERM to exit, at most.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// After the last call of ours has ended: how long its bytes may take to leave.
pub const DRAIN_FLUSH: Duration = Duration::from_millis(300);

/// Bytes of a configuration file, a manifest or a secret file.
pub const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The highest number of a database; Redis allows more databases than anybody has.
pub const DATABASE_NUMBER: u32 = 65_535;
/// Databases that one connection may open.
pub const DATABASES: usize = 16;
/// Connections that one server may have.
pub const CONNECTIONS: usize = 64;
/// Layouts that one configuration may define.
pub const LAYOUTS: usize = 64;
