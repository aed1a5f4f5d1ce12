//! Every bound in one place: what a peer can make penstock hold, and how long anything may take.
//!
//! A reader can see all of them at once, and a test can assert on them. Those of connections to Redis are in
//! `links.rs`. Neither knows who applies a bound.

mod ages;
mod backoff;
mod links;

use std::{ops::RangeInclusive, time::Duration};

pub use ages::*;
pub use backoff::Backoff;
pub use links::*;

/// Entries that one trigger's metadata map may have.
pub const METADATA_ENTRIES: usize = 64;
/// Bytes that one metadata key may have.
pub const METADATA_KEY_BYTES: usize = 256;
/// Bytes that one metadata value may have: 64 names of 1 KiB, and their commas.
pub const METADATA_VALUE_BYTES: usize = 64 * 1025;
/// Bytes of one gRPC request message; above it the transport answers OUT_OF_RANGE.
pub const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of requests that have begun and are not whole, of all calls together; above it a call is
/// refused. One frame holds KEDA's requests, so that they do not count.
pub const INCOMPLETE_BYTES: usize = 8 * REQUEST_BYTES;
/// Within this all of a request has to come.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// Calls of other services than KEDA's (health, reflection) that may be open at once.
pub const SIDE_CALLS: usize = 256;
/// Bytes that a call sets aside for a message before it knows its size.
pub const MESSAGE_BUFFER_BYTES: usize = 256;
/// Bytes that one Redis key, group or other name may have.
pub const NAME_BYTES: usize = 1024;
/// Redis keys that one trigger may name, over all of its states.
pub const KEYS_PER_TRIGGER: usize = 64;
/// Patterns among them. Each is looked for by SCANs of its own.
pub const PATTERNS_PER_TRIGGER: usize = 8;
/// Searches that those patterns may make together: each makes one for every form that a key of its queues
/// has, counted before those are left out that another one covers. Eight patterns of Celery's queues with ten priority steps and leases make 96.
pub const SEARCHES_PER_TRIGGER: usize = 128;
/// Queues that the patterns of one trigger may stand for. All of them are read when they change, so
/// more of them make a batch long and a call slow.
pub const QUEUES_FOUND: usize = 1_000;
/// Reads that a trigger with patterns may have: ten for each of those queues.
pub const READS_FOUND: usize = 10_000;
/// Searches for keys that one connection and database may have; equal patterns are one search. It is
/// eight times the share of a namespace.
pub const SEARCHES: usize = 256;
/// Keys that one search remembers: a queue has several.
pub const KEYS_FOUND: usize = 4_000;
/// Bytes of those keys.
pub const KEYS_FOUND_BYTES: usize = 1024 * 1024;
/// Keys that one SCAN looks at. Redis 7.0 took 1.1 s of CPU for a million keys in all, so that one takes
/// it about half a millisecond.
pub const SCAN_COUNT: usize = 500;
/// Stars of a pattern that are sent to Redis, whose own matcher takes a time that grows with their number as
/// an exponent before 6.0.18, 6.2.11 and 7.0.9 (CVE-2022-36021). What more of them leave out is left out
/// here.
pub const SCAN_STARS: usize = 2;
/// The pause after each SCAN of a link, so that all its searches take a tenth of Redis's time at most
/// while they go on.
pub const SCAN_PAUSE: Duration = Duration::from_millis(5);
/// How long a SCAN may be put off by reads that are due.
pub const SCAN_PATIENCE: Duration = Duration::from_millis(250);
/// The pause between the end of a search and the next one for the same keys; longer where a search
/// takes longer.
pub const SEARCH_PAUSE: Duration = Duration::from_secs(5);
/// How long SCANs may fail before what was found no longer speaks for all there is.
pub const SEARCH_GRACE: Duration = Duration::from_secs(10);
/// How long a key is remembered that no search finds any more, since an empty queue is no key and
/// most queues are empty now and then.
pub const FOUND_MEMORY: Duration = Duration::from_mins(10);
/// Between the two looks of `penstock probe` at the counters of a rate.
pub const PROBE_RATE: Duration = Duration::from_secs(5);
/// How long `penstock probe` may look for queues.
pub const PROBE_SEARCH: Duration = Duration::from_mins(1);
/// How far `probe` and `check --redis` look for what is near keys that do not exist: steps of SCAN, keys
/// that are shown, words that are looked for, other databases, and how long each of these takes at most.
pub const NEARBY_STEPS: usize = 200;
/// See [`NEARBY_STEPS`].
pub const NEARBY_KEYS: usize = 10;
/// See [`NEARBY_STEPS`].
pub const NEARBY_WORDS: usize = 3;
/// See [`NEARBY_STEPS`].
pub const NEARBY_DATABASES: usize = 16;
/// See [`NEARBY_STEPS`].
pub const NEARBY_DEADLINE: Duration = Duration::from_secs(3);
/// Problems that one answer lists before it says "and N more".
pub const PROBLEMS_LISTED: usize = 20;
/// Characters of a value that a problem repeats.
pub const VALUE_CHARS_SHOWN: usize = 64;
/// Characters of a trigger that a line of the log has.
pub const TRIGGER_CHARS_SHOWN: usize = 256;
/// Between two lines of the log about activations of the same trigger; the later one says how many there
/// were between them. A queue that fills and empties all the time activates 41 times a second.
pub const ACTIVATION_LOG_PAUSE: Duration = Duration::from_secs(5);
/// Refusals that have a line in the log and are remembered, so that they get no second one.
pub const REFUSALS_TOLD: usize = 20_000;
/// Lines about refusals that may come at once, and the pause in which one more may come.
pub const REFUSAL_LINES: (u32, Duration) = (100, Duration::from_secs(1));
/// Characters of a refusal that a line of the log has.
pub const REFUSAL_CHARS_SHOWN: usize = 1_024;
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
/// Streams (`StreamIsActive`) that may be open at once.
pub const STREAMS: usize = 100_000;
/// Triggers that one namespace may have by default, over all connections: less than half of what
/// one connection remembers, so that no two namespaces fill it.
pub const NAMESPACE_TRIGGERS: usize = 20_000;
/// Keys that those triggers may name together by default, and that their patterns find.
pub const NAMESPACE_KEYS: usize = 100_000;
/// Bytes of memory that are free with each of those keys: a name of some 300 bytes and the question about
/// it. What is held beyond that counts for more keys, so that their number bounds the bytes: 50 MB.
pub const KEY_FOOTPRINT: usize = 512;
/// Bytes that are free with each trigger, beside its keys.
pub const TRIGGER_FOOTPRINT: usize = 4 * 1024;
/// Streams that one namespace may have open by default.
pub const NAMESPACE_STREAMS: usize = 40_000;
/// Searches for the keys of its patterns that one namespace may have by default: one or two for most
/// patterns, so that a trigger with [`PATTERNS_PER_TRIGGER`] of them has room.
pub const NAMESPACE_SEARCHES: usize = 32;
/// Sets of heartbeat channels that one namespace may have listened to by default; an application of
/// Celery has one.
pub const NAMESPACE_HEARTBEATS: usize = 8;
/// Triggers that one page of the admin side lists.
pub const TRIGGERS_LISTED: usize = 1_000;
/// How long a trigger is remembered after its last call when no stream is open on it.
pub const TRIGGER_MEMORY: Duration = Duration::from_mins(10);
/// How long no key of a trigger has to be there until people are told.
pub const NEVER_SEEN: Duration = Duration::from_mins(10);

/// Reads that one pipeline carries.
pub const BATCH_READS: usize = 256;
/// Reads that are sent to one server in one transaction at most; more of one trigger are read one by one, so
/// that Redis is not kept from others.
pub const TRANSACTION_READS: usize = 64;
/// The shortest time between two reads of the same question: a key that changes all the time is read
/// 83 times a second.
pub const REFRESH_FLOOR: Duration = Duration::from_millis(12);
/// The first and the longest time for which a read is put off that ended the link when it was alone on
/// it, twice in a row or more. Each such end costs all others a reconnect.
pub const QUARANTINE_PAUSES: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) };
/// How long a read that may have ended a link is kept back for others that are due before they take
/// turns.
pub const QUARANTINE_PATIENCE: Duration = Duration::from_millis(250);
/// How old a sample may grow whose changes are not announced before it is read again while somebody
/// watches or asks.
pub const SAMPLE_MAX_AGE: Duration = Duration::from_secs(1);
/// How old a sample may grow whose changes are announced, give or take a tenth. It is for what nothing
/// announces: SWAPDB, XGROUP on an idle group, and whatever we do not know of.
pub const SAFETY_MAX_AGE: Duration = Duration::from_mins(10);
/// By how much Redis's clock may run away from ours before what was to change at a time is read again.
pub const CLOCK_DRIFT: Duration = Duration::from_millis(50);
/// The latest time that Redis may say it is, the year 10000: what is added to it stays a time.
pub const CLOCK_MAX: Duration = Duration::from_secs(253_402_300_800);
/// The shortest and the longest window of a rate. Within less, single jobs decide.
pub const RATE_WINDOW: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_hours(1);
/// The window of a rate whose trigger names none.
pub const RATE_WINDOW_DEFAULT: Duration = Duration::from_mins(1);
/// Into how many parts of its window what a counter did is noted: a job may seem to have come so much later.
pub const RATE_PARTS: u32 = 60;
/// About how many bytes it takes to note what counters did within a window: at most two rises for each of its parts.
pub const RATE_FOOTPRINT: usize = 2 * 60 * 24;

/// Jobs that one worker may run at a time.
pub const WORKER_SLOTS: RangeInclusive<u32> = 1..=100_000;
/// How many times as large, or as small, a computed target has to be than the one that was told.
pub const TARGET_STEP: f64 = 1.2;
/// How long a target stands that was told.
pub const TARGET_PAUSE: Duration = Duration::from_mins(1);
/// Between two changes of targets that are streamed, of all triggers.
pub const TARGET_INTERVAL: Duration = Duration::from_secs(1);
/// How often a stream of targets looks at what was measured.
pub const TARGET_LOOK: Duration = Duration::from_secs(5);
/// After how many jobs what is known of how long one runs is halved, so that the last ones say most.
pub const TASK_TIME_JOBS: f64 = 100.0;
/// How long a job may run on average, and how long one may be said to wait.
pub const JOB_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(168);

/// The longest activity window that a trigger may have.
pub const ACTIVITY_WINDOW_MAX: Duration = Duration::from_hours(24);

/// Members of a collection that are looked at one by one.
pub const MEMBERS_EXAMINED: usize = 1_000;
/// Fields of a hash that are looked at one by one where their own values are what is asked for: each is
/// fetched once and remembered, so that a look costs their names. HKEYS of so many takes Redis some 3 ms.
pub const FIELDS_EXAMINED: usize = 20_000;
/// For how long a hash is unknown while it takes more than one look. After that what was not looked at yet
/// counts, which may be too many: as long as a value is held.
pub const MEMBER_PATIENCE: Duration = Duration::from_secs(30);
/// Fields whose values are fetched with one command, so that none takes Redis long.
pub const MEMBER_FIELDS: usize = 16;
/// Bytes of members' values that are fetched of one collection before the rest is left.
pub const MEMBER_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes that one round of a batch is to bring of them, over all collections: what a slow network
/// carries well within [`COMMAND_DEADLINE`].
pub const MEMBER_ROUND_BYTES: u64 = 512 * 1024;
/// Bytes that one member of each may come to beyond that; where they are more, the collections take turns.
pub const MEMBER_ROUND_MOST_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that a member is taken to have before any of its collection was fetched: four of one
/// collection are asked at first, and one of each where there are many.
pub const MEMBER_UNSEEN_BYTES: u64 = MEMBER_ROUND_BYTES / 4;
/// Bytes of a text that is remembered of a field, and of the field's own name.
pub const FIELD_TEXT_BYTES: usize = 1024;
/// Words that one parameter may list.
pub const WORDS: usize = 64;
/// Bytes that one connection remembers of fields between reads, those of all hashes together, and those of
/// one of them: [`FIELDS_EXAMINED`] of Celery's come to 4 MB.
pub const REMEMBERED_FIELD_BYTES: (usize, usize) = (40 * 1024 * 1024, 10 * 1024 * 1024);
/// What a field that is remembered counts for in addition to its name and text: its place in a table, and
/// two allocations.
pub const FIELD_OVERHEAD_BYTES: usize = 160;
/// How long a trigger has to be exact before the log says that it is again.
pub const EXACT_AGAIN: Duration = Duration::from_mins(1);
/// Bytes of a string key that are looked at; a number needs fewer.
pub const NUMBER_BYTES: usize = 64;
/// Entries after a group's last delivered id that are counted one by one.
pub const COUNTED_ENTRIES: u64 = 1_000;
/// Entries that one XRANGE of that count asks for at most; the first asks for one, since entries
/// come with their bodies.
pub const COUNTED_PAGE: u64 = 250;
/// Bytes of bodies that such a count may bring along, all pages together.
pub const COUNTED_BYTES: u64 = 512 * 1024;
/// Groups of which one link remembers what was counted, where that was all that may be: with their ids a
/// megabyte, and their names.
pub const COUNTED_TAILS: usize = 64;
/// How long what was counted is remembered before it is counted anew.
pub const COUNTED_FOR: Duration = Duration::from_secs(10);
/// Pending entries of a consumer group that are looked at one by one for idle ones. With more of them
/// none counts as idle.
pub const IDLE_AMONG: u64 = 2_000;
/// Pending entries that one XPENDING lists, so that none takes Redis long: some 40 kB of reply.
pub const IDLE_PAGE: u64 = 500;
/// How far a client's clock may be off from Redis's when a score is compared with now.
pub const CLOCK_GRACE: Duration = Duration::from_secs(1);

/// Heartbeat formats, each with its channels, that one link listens to. Each is a key prefix of Celery's or
/// the like. It is eight times the share of a namespace.
pub const HEARTBEAT_FORMATS: usize = 64;
/// Workers that are remembered of one format. With one more the count is unknown.
pub const HEARTBEAT_WORKERS: usize = 1_000;
/// Bytes of a message that is looked at; a heartbeat has about 600.
pub const HEARTBEAT_BYTES: usize = 64 * 1024;
/// Bytes of a worker's name and of the names of its queues together: with the two limits above that is
/// 128 MB at the very most, for which somebody would have to publish on purpose.
pub const HEARTBEAT_NAME_BYTES: usize = 2 * 1024;
/// How long a worker is believed at least after it spoke, or three of its intervals if that is more:
/// two heartbeats may be lost, or late on a busy machine.
pub const HEARTBEAT_SILENCE: Duration = Duration::from_secs(10);
/// The longest time for which a worker that fell silent is taken to run a job.
pub const SILENCE_MAX: Duration = Duration::from_hours(24);
/// The longest interval that a worker may announce; with a longer one a dead worker would count for
/// a quarter of an hour and more.
pub const HEARTBEAT_INTERVAL_MAX: Duration = Duration::from_mins(5);
/// How long workers are listened to at least before silence says that there are none: two intervals
/// of Celery's two seconds, and a second.
pub const LISTENING: Duration = Duration::from_secs(5);
/// How long a worker is believed that was heard on an earlier connection: Celery's workers try to
/// come back to a broker that was away every 30 s at the latest, and their tasks go on meanwhile.
pub const REJOINING: Duration = Duration::from_secs(40);

/// The longest gap of a layout that a call waits out to confirm a fall; while a longer one lasts, the
/// counts from before the fall stand. A worker that the kernel holds back for want of its share of a
/// processor may be away for most of a period of 100 ms in the middle of a move.
pub const GAP_WAITED_FOR: Duration = Duration::from_millis(200);
/// How long a fall is looked at, beyond the gap, where the keys change all the time.
pub const CONFIRMATION: Duration = Duration::from_millis(250);
/// How long a fall of much that is read waits for its next reading, for each read of it, where Redis announces
/// no changes.
pub const READ_AGAIN_PAUSE: Duration = Duration::from_micros(20);
/// How many readings that takes at least, so that a slow Redis is no reason to believe one of few. Where
/// they take longer than a call, it is told the value from before the fall.
pub const BUSY_READINGS: usize = 10;
/// How many readings in a row must say the same where Redis announces no changes.
pub const CONFIRMING_READINGS: usize = 4;

/// Within this `GetMetrics` and `IsActive` answer, whatever Redis does.
pub const CALL_DEADLINE: Duration = Duration::from_secs(1);
/// How long the last known value is held by default while Redis cannot be read.
pub const HOLD_STALE: Duration = Duration::from_secs(30);
/// The longest stale budget that a connection may have.
pub const HOLD_STALE_MAX: Duration = Duration::from_hours(24);

/// Pauses before the two repeats of an activation, each counted from the message before it.
pub const REPEAT_PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(20)];
/// The shortest time between two `true` of a stream, of which the second tells KEDA nothing new: it patches
/// the object for each, and a queue whose jobs are taken at once has dozens of edges a second.
pub const ACTIVATION_PAUSE: Duration = Duration::from_secs(1);
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

/// Connections to the gRPC port at once. KEDA opens one for each address of the Service, and one more
/// for each set of TLS keys in TriggerAuthentications.
pub const PEERS: usize = 4_096;
/// Those of them that one IP address may have, so that one peer cannot shut out all others.
pub const PEERS_OF_ONE: usize = 1_024;
/// Within this a new connection has to send the preface of HTTP/2 and its settings' head, 33 bytes.
/// Until then the codec has no timer of its own; after it, keepalive finds who does not go on.
pub const FIRST_WORDS: (usize, Duration) = (33, Duration::from_secs(10));
/// The age at which a connection is ended whatever is open on it: after its GOAWAY every stream of
/// ours has ended by then, and what is left is a peer's that does not heed it.
pub const CONNECTION_END: Duration = Duration::from_mins(65);
/// Calls of KEDA's that one IP address may have open, beside its streams: those that are worked on, and those
/// whose answers it does not take. Each costs some 2 kB.
pub const CALLS_OF_ONE: usize = 10_000;
/// Bytes that a peer may send while it takes none of ours. Each of them may ask for an answer, which waits.
pub const UNHEEDING_BYTES: usize = 64 * 1024;
/// Tasks that wait for a thread of the runtime before nothing more is read of any peer, and the pause before
/// that is looked at again. A call that was read is a task of some 2 kB.
pub const TASKS_QUEUED: (usize, Duration) = (100, Duration::from_millis(2));
/// Such pauses in a row before a peer is read all the same, so that a process which is always behind still
/// answers.
pub const READ_PAUSES: u32 = 50;
/// TLS handshakes under way at once; a further one ends the oldest.
pub const HANDSHAKES: usize = 256;
/// How long a TLS handshake may take.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Between two log lines about handshakes that failed, or about a socket that accepts nothing; a metric
/// counts each handshake.
pub const PEER_LOG_PAUSE: Duration = Duration::from_mins(1);
/// How long nothing is accepted after the system refused to, for want of descriptors or memory.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Streams that a connection may have open at once, whatever they are. At this limit KEDA waits
/// without an error, so it is twice what all calls of a fleet could be, which a status refuses.
pub const CONNECTION_STREAMS: u32 = 200_000;
/// Bytes of all header fields of one request; KEDA sends some 300.
pub const HEADER_BYTES: u32 = 16 * 1024;
/// Streams that we had to reset for a fault of their peer, on one connection; then it is ended.
pub const FAULTY_STREAMS: usize = 1_024;

/// Connections to the admin port at once; a further one ends the oldest, so that a probe always gets
/// through.
pub const ADMIN_PEERS: usize = 64;
/// Within this a new admin connection has to send the start of a request.
pub const ADMIN_FIRST_WORDS: (usize, Duration) = (16, Duration::from_secs(10));
/// The age at which an admin connection is ended; Prometheus opens the next by itself.
pub const ADMIN_CONNECTION_END: Duration = Duration::from_mins(5);

/// Streams of a connection that their peer may cancel before we have seen them. Beyond it the codec
/// ends the connection, and with it every push stream; its own 20 are soon reached when the process
/// got no CPU for a moment and KEDA gave up on the calls of a fleet.
pub const CANCELLED_UNSEEN: usize = 10_000;
/// From SIGTERM to exit, at most.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// After the last call of ours has ended: how long its bytes may take to leave.
pub const DRAIN_FLUSH: Duration = Duration::from_millis(300);

/// Bytes of a file of certificates or a key; a bundle of all public authorities has a quarter of it.
pub const PEM_BYTES: u64 = 1024 * 1024;
/// Certificates that one such file may have.
pub const CERTIFICATES: usize = 1_000;
/// Names of clients that the server's TLS may list.
pub const CLIENT_NAMES: usize = 1_000;
/// How often the files of certificates and keys are looked at for a change. Kubernetes itself takes up
/// to a minute to bring a changed Secret to a node.
pub const TLS_LOOK: Duration = Duration::from_secs(2);
/// How long before the end of a certificate that we show the log says so: time for people to look after
/// what should have renewed it, which cert-manager does when a third of the time is left.
pub const CERTIFICATE_ENDS_SOON: Duration = Duration::from_hours(7 * 24);

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
