//! Where job frameworks keep their jobs in Redis, by state: waiting, scheduled, in flight.
//!
//! This is one of the two extension folders. A layout is data; nothing here reads Redis, waits,
//! logs or looks at a clock.
//!
//! # Adding a layout
//! 1. Write `builtin/NAME.toml`: a `doc`, its `[params.…]` each with `type`, `doc` and `example`,
//!    and the summands of each state as `[[scheduled]]`, `[[waiting]]` and `[[in_flight]]`.
//!    `[[orphaned]]`, `[[paused]]`, `[[gap]]`, `[[invisible]]` and `[[found_by]]` are in `docs/own-layouts.md`.
//! 2. Add it to [`BUILTIN`] in `registry.rs`, whose tests hold it to the rules of the format.
//! 3. Give it a page in `docs/frameworks`, a row in the index there, an example in `deploy/examples/frameworks`, and a
//!    story in `tests/frameworks`; write `docs/layouts.md` anew (`cargo run -- layouts --markdown`). The error in
//!    `docs/triggers.md` lists all layouts.
//! 4. If it asks a question that [`Read`] does not have, add the question there, its answer to
//!    [`Answer`], its words in `definition/question/`, its commands in `redis/`, and decide in `plan.rs` what each answer counts
//!    and in `exactness.rs` how exact it is.

mod allowed;
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
pub use count::{Count, Counts};
pub use definition::DefinitionError;
pub use exactness::{Bias, Doubt, Inexact};
pub use expression::Expression;
pub use footprint::{bytes_of_texts, footprint, share_of};
pub use glob::{Glob, GlobError};
pub use layout::Layout;
pub use measure::{Measure, Measures};
pub use name::Name;
pub use parameter::{Argument, Arguments, Parameter, ParameterKind, Pattern, words};
pub use plan::{MissingGroup, Overflow, Part, Plan, Term, Terms};
pub use reach::RequiredAccess;
pub use read::answer::{Answer, Group, LayoutMismatch, Waiting};
pub use read::heartbeats::{Channel, HeartbeatFormat, Heartbeats, Roll, Silence, WorkerFilter};
pub use read::kind::Kind;
pub use read::member_key::MemberKey;
pub use read::per_member::{Ask, CollectionType, Filter, Matching, PerMember, Wanted};
pub use read::{Members, Read, Scores, Test, Unit};
pub use registry::{BUILTIN, Registry};
pub use search::{FoundQueue, KeyPattern, Search, Sprawl};
pub use weight::Weight;
