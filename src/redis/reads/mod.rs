//! How reads become commands, and replies answers.
//!
//! Each kind of read is a file in `kinds/`. A batch of them goes out in one pipeline (`answering.rs`), and in
//! further rounds where one command is not enough (`follow_up.rs`). What was learned of keys on the way outlives
//! a link.

pub(super) mod answering;
pub(super) mod asked;
pub(super) mod counted;
pub(super) mod decode;
pub(super) mod encode;
pub(super) mod fields;
pub(super) mod follow_up;
pub(super) mod group_row;
pub(super) mod kinds;
pub(super) mod known_tails;
pub(super) mod known_types;
pub(super) mod member_questions;
pub(super) mod per_member;
pub(super) mod progress;
pub(super) mod stamps;
pub(super) mod stream_id;
pub(super) mod tail;
pub(super) mod text;
pub(super) mod transaction;
pub(super) mod values;
