//! A read on its way to its answer, which may take more commands than one.

use std::fmt;

use deadpool_redis::redis::{Cmd, Value};

use crate::{
    layouts::{Answer, Name},
    sampling::Fault,
};

use super::{
    super::{
        error::{ErrorReply, fault, few, refusal},
        wire::Response,
    },
    decode, encode,
    known_tails::KnownTails,
    member_questions::AnswerPlace,
};

/// One read on its way to its answer.
#[derive(Debug)]
pub(in crate::redis) enum Progress {
    Done(Result<Answer, Fault>),
    Open(Box<dyn FollowUp>),
    /// Its members are asked together with those of other reads.
    Shared(AnswerPlace),
}

impl Progress {
    /// It is answered.
    pub(in crate::redis) fn done(answer: Answer) -> Self {
        Self::Done(Ok(answer))
    }

    /// Something more is to be asked.
    pub(in crate::redis) fn open(question: impl FollowUp + 'static) -> Self {
        Self::Open(Box::new(question))
    }

    /// What is to be asked next.
    pub(in crate::redis) fn commands(&self) -> Vec<Cmd> {
        match self {
            Self::Open(question) => question.commands(),
            Self::Done(_) | Self::Shared(_) => vec![],
        }
    }

    /// Whether the answer is of the moment of the first reply.
    pub(in crate::redis) fn is_of_first_reply(&self) -> bool {
        match self {
            Self::Done(_) => true,
            Self::Open(question) => question.is_of_first_reply(),
            Self::Shared(_) => false,
        }
    }
}

/// What is still to be asked for one read.
pub(in crate::redis) trait FollowUp: fmt::Debug + Send {
    fn commands(&self) -> Vec<Cmd>;

    /// What the replies to its commands make of it.
    fn proceed(
        self: Box<Self>,
        replies: &[Response],
        tails: &KnownTails,
    ) -> Result<Progress, Fault>;

    /// Whether the answer is of the moment of the first reply, whatever is counted afterwards.
    fn is_of_first_reply(&self) -> bool {
        false
    }
}

/// The reply to the command at this place.
pub(in crate::redis) fn reply(replies: &[Response], place: usize) -> Result<&Value, Fault> {
    replies.get(place).ok_or_else(few)?.as_ref().map_err(fault)
}

/// The first reply to a read of keys of these types; the other way on if it is of none of them.
pub(in crate::redis) fn of_type<'r>(
    key: &Name,
    types: &'static [&'static str],
    reply: &'r Response,
) -> Result<Result<&'r Value, Progress>, Fault> {
    match reply {
        Ok(value) => Ok(Ok(value)),
        Err(error) => match refusal(error) {
            ErrorReply::WrongType => Ok(Err(Progress::open(TypeName { key: key.clone(), types }))),
            ErrorReply::NoSuchKey => Err(fault(error)),
            ErrorReply::Fault(fault) => Err(fault),
        },
    }
}

/// The key is none of the types that the read is for: what is it?
#[derive(Debug)]
pub(in crate::redis) struct TypeName {
    pub(in crate::redis) key: Name,
    pub(in crate::redis) types: &'static [&'static str],
}

impl FollowUp for TypeName {
    fn commands(&self) -> Vec<Cmd> {
        vec![encode::type_of(&self.key)]
    }

    fn proceed(self: Box<Self>, replies: &[Response], _: &KnownTails) -> Result<Progress, Fault> {
        match decode::type_name(reply(replies, 0)?)?.as_str() {
            "none" => Ok(Progress::done(Answer::Missing)),
            // It was another a moment ago, and nothing is wrong with this one.
            name if self.types.contains(&name) => {
                Err(Fault::Unexpected("the type of the key keeps changing".to_owned()))
            }
            name => Ok(Progress::done(Answer::WrongType(name.to_owned()))),
        }
    }
}
