//! The master that given bytes name, without a connection. The service never uses it; fuzzing does.

use crate::config::Node;

use super::{
    super::{error, offline::ReplyReader},
    line::word,
    votes::{Votes, Word},
};

/// What some sentinels make of each other's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelsTold {
    /// What each of them names, with its epoch.
    pub named: Vec<Option<(String, Option<u64>)>>,
    /// The master that no further word could change.
    pub settled: Option<String>,
    /// The master, or why there is none.
    pub master: Result<String, String>,
}

/// What is known of the master `m` when so many sentinels say these bytes: each replies to
/// GET-MASTER-ADDR-BY-NAME and to MASTER, one sentinel after the other.
#[must_use]
pub fn sentinels_told(said: &[u8], configured: usize) -> SentinelsTold {
    let mut replies = ReplyReader::of(said);
    let (mut votes, mut named) = (Votes::of(configured), Vec::new());
    for _ in 0..configured {
        let both = replies.next().and_then(|address| Ok((address, replies.next()?)));
        let said = both.and_then(|(address, state)| match address {
            Ok(address) => word(&address, state.as_ref().ok()),
            Err(error) => Err(error::fault(&error)),
        });
        let said = said.unwrap_or_else(Word::Silent);
        named.push(match &said {
            Word::Names(node, epoch) => Some((node.to_string(), *epoch)),
            Word::NoSuchMaster | Word::Silent(_) => None,
        });
        votes.add(said);
    }
    let master = votes.master().map(Node::to_string);
    SentinelsTold {
        named,
        settled: votes.settled().map(Node::to_string),
        master: master.ok_or_else(|| votes.fault("m").to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_is_named_by_half_of_them_or_not_at_all() {
        let one = b"*2\r\n+h\r\n+7\r\n*2\r\n+config-epoch\r\n+3\r\n";
        let told = sentinels_told(&[&one[..], &one[..], b"_\r\n-IDONTKNOW x\r\n"].concat(), 3);
        let named = Some(("h:7".to_owned(), Some(3)));
        assert_eq!(told.named, [named.clone(), named.clone(), None]);
        assert_eq!((told.settled.as_deref(), told.master.as_deref()), (Some("h:7"), Ok("h:7")));
        let told = sentinels_told(one, 3);
        assert_eq!((told.named, told.settled), (vec![named, None, None], None));
        assert!(told.master.unwrap_err().contains("2 of 3 sentinels must name the same master"));
    }
}
