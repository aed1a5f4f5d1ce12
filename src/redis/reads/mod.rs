//! How reads become commands, and replies answers.
//!
//! A batch goes out in one pipeline (`answering.rs`), in further rounds where one command is not enough
//! (`follow_up.rs`). What was learned of keys on the way outlives a link.

pub(super) mod answering;
pub(super) mod counted;
pub(super) mod decode;
pub(super) mod encode;
pub(super) mod fields;
pub(super) mod follow_up;
pub(super) mod known_tails;
pub(super) mod known_types;
pub(super) mod member_questions;
pub(super) mod per_member;
pub(super) mod stream_id;
pub(super) mod tail;
pub(super) mod transaction;
pub(super) mod values;
