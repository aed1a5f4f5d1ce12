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
//!    [`Answer`], its words in `question/`, its commands in `redis/`, and decide in `plan.rs` what each answer counts
//!    and in `exactness.rs` how exact it is.

mod allowed;
mod answer;
mod count;
mod definition;
mod exactness;
mod expression;
mod flaw;
mod footprint;
mod form;
mod gap;
mod glob;
mod heartbeats;
mod kind;
mod layout;
mod measure;
mod member_key;
mod name;
mod parameter;
mod per_member;
mod plan;
mod question;
mod reach;
mod read;
mod recognition;
mod registry;
mod renamed;
mod search;
mod shape;
mod template;
mod weight;

pub use allowed::Allowed;
pub use answer::{Answer, Group, LayoutMismatch, Waiting};
pub use count::{Count, Counts};
pub use definition::DefinitionError;
pub use exactness::{Bias, Doubt, Inexact};
pub use expression::Expression;
pub use footprint::{bytes_of_texts, footprint, share_of};
pub use glob::{Glob, GlobError};
pub use heartbeats::{Channel, HeartbeatFormat, Heartbeats, Roll, Silence, WorkerFilter};
pub use kind::Kind;
pub use layout::Layout;
pub use measure::{Measure, Measures};
pub use member_key::MemberKey;
pub use name::Name;
pub use parameter::{Argument, Arguments, Parameter, ParameterKind, Pattern, words};
pub use per_member::{Ask, CollectionType, Filter, Matching, PerMember, Wanted};
pub use plan::{MissingGroup, Overflow, Part, Plan, Term, Terms};
pub use reach::RequiredAccess;
pub use read::{Members, Read, Scores, Test, Unit};
pub use registry::{BUILTIN, Registry};
pub use search::{FoundQueue, KeyPattern, Search, Sprawl};
pub use weight::Weight;
