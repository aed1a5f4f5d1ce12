//! Where job frameworks keep their jobs in Redis, by state: waiting, scheduled, in flight.
//!
//! `builtin/` (one TOML file a layout) and `read/` (one file a read) are extension folders. A layout is data; nothing
//! here reads Redis, waits, logs or looks at a clock.
//!
//! # Adding a layout
//! 1. Write `builtin/NAME.toml`: a `doc`, its `[params.…]` each with `type`, `doc` and `example`,
//!    and the summands of each state as `[[scheduled]]`, `[[waiting]]` and `[[in_flight]]`.
//!    `[[oldest]]`, `[[busy]]`, `[[gauge]]`, `[[arrived]]`, `[[orphaned]]`, `[absent]`, `[[paused]]`, `[[gap]]`,
//!    `[[invisible]]` and `[[found_by]]` are in `docs/own-layouts.md`.
//! 2. Add it to [`BUILTIN`] in `registry.rs`, whose tests hold it to the rules of the format.
//! 3. Give it a page in `docs/frameworks`, a row in the index there, an example in `deploy/examples/frameworks`, and a
//!    story in `tests/frameworks`; write `docs/layouts.md` anew (`cargo run -- layouts --markdown`). The error in
//!    `docs/triggers.md` lists all layouts.
//! 4. If it asks a question that [`Read`] does not have: how to add one is said in `read/mod.rs`.

mod allowed;
mod bytes;
mod count;
mod definition;
mod exactness;
mod expression;
mod footprint;
mod glob;
mod layout;
mod measure;
mod name;
mod parameter;
mod plan;
mod reach;
mod read;
mod recognition;
mod registry;
mod search;
mod weight;

pub use allowed::Allowed;
pub use bytes::bytes_of_texts;
pub use count::{Count, Counts};
pub use definition::DefinitionError;
pub use exactness::Inexact;
pub use expression::Expression;
pub use footprint::{footprint, share_of};
pub use glob::{Glob, GlobError};
pub use layout::Layout;
pub use measure::{Measure, Measures};
pub use name::Name;
pub use parameter::{Argument, Arguments, Parameter, ParameterKind, Pattern, words};
pub use plan::{Plan, Term, Terms};
pub use reach::RequiredAccess;
pub use read::contract::KeyRole;
pub use read::doubt::{Bias, Doubt};
pub use read::flag::{Flag, Test};
pub use read::group::{Group, GroupAnswer, GroupPart, MissingGroup, Waiting};
pub use read::heartbeats::{
    Channel, HeartbeatFormat, Heartbeats, HeartbeatsAnswer, HeartbeatsPart, Roll, Silence,
    WorkerFilter,
};
pub use read::idle::{Idle, IdleAnswer};
pub use read::kind::Kind;
pub use read::member_key::MemberKey;
pub use read::mismatch::LayoutMismatch;
pub use read::number::{MissingNumber, Number, NumberAnswer};
pub use read::oldest::{
    End, GroupJobs, JobPlace, JobsOf, ListedJobs, Oldest, OldestAnswer, Place, ReadyAt, ScoredJobs,
    Stamps, TimeOf,
};
pub use read::per_member::{
    Ask, CollectionType, Filter, Matching, Overflow, PerMember, PerMemberAnswer, Wanted,
};
pub use read::scores::{Scores, Unit};
pub use read::size::{Members, Size, SizeAnswer};
pub use read::{Answer, Part, Read};
pub use registry::{BUILTIN, Registry};
pub use search::{FoundQueue, KeyPattern, Search, Sprawl};
pub use weight::Weight;
