//! Proxies that end a connection at a command which they do not know, in place of an error reply.
//!
//! twemproxy 0.5.0 does so for HELLO, CLIENT, SELECT, TIME, INFO, SCAN, MULTI and all commands of streams,
//! and answers PING, AUTH, TYPE, EXISTS and those that read lists, sets, hashes and sorted sets (measured).
//! Such commands are never sent to it; a read that needs one gets an error, and all others go on.

use std::fmt;

use deadpool_redis::redis::{Cmd, cmd};

use crate::sampling::Fault;

use super::super::{
    error::carried,
    wire::{Response, first_word},
};

/// What is tried, each on a connection of its own, and what is not sent where it ends that.
const TRIED: [(&[&str], &[&str]); 4] = [
    (&["TIME"], &["TIME"]),
    (&["XLEN", "penstock"], &["XLEN", "XINFO", "XPENDING", "XRANGE"]),
    (&["SCAN", "0", "COUNT", "1"], &["SCAN"]),
    (&["MULTI"], &["MULTI", "EXEC"]),
];

/// The commands at which a connection is ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lacks(Vec<&'static str>);

impl Lacks {
    /// Whether nothing is held back.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// The commands to try, each with what the proxy lacks if it ends the connection.
    pub(super) fn tried() -> impl Iterator<Item = (Cmd, &'static [&'static str])> {
        TRIED.iter().map(|(words, lacking)| {
            let mut command = cmd(words[0]);
            command.arg(&words[1..]);
            (command, *lacking)
        })
    }

    pub(super) fn add(&mut self, words: &[&'static str]) {
        self.0.extend_from_slice(words);
    }

    /// What a command gets in place of a reply where it must not be sent.
    fn refusal(&self, command: &Cmd) -> Option<Response> {
        let word = first_word(command)?;
        let word = self.0.iter().find(|lacking| word.eq_ignore_ascii_case(lacking.as_bytes()))?;
        let what = format!("the proxy ends the connection at {word}, so what needs it is unknown");
        Some(Err(carried(Fault::Unexpected(what))))
    }

    /// The commands that may be sent, and for each of all what it gets without being sent.
    pub(super) fn sort<'c>(&self, commands: &'c [Cmd]) -> (Vec<&'c Cmd>, Vec<Option<Response>>) {
        let refused: Vec<Option<Response>> =
            commands.iter().map(|command| self.refusal(command)).collect();
        let sent = commands.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
        (sent.map(|(command, _)| command).collect(), refused)
    }
}

/// Puts the replies to what was sent into their places.
pub(super) fn woven(refused: Vec<Option<Response>>, replies: Vec<Response>) -> Vec<Response> {
    let mut replies = replies.into_iter();
    refused.into_iter().filter_map(|refused| refused.or_else(|| replies.next())).collect()
}

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::Value;

    use super::*;
    use crate::redis::error::fault;

    #[test]
    fn what_a_proxy_lacks_is_not_sent_and_each_reply_keeps_its_place() {
        let mut lacks = Lacks::default();
        lacks.add(&["TIME"]);
        let commands = [cmd("LLEN").arg("a").clone(), cmd("time"), cmd("LLEN").arg("b").clone()];
        let (sent, refused) = lacks.sort(&commands);
        assert_eq!(sent.len(), 2);
        let replies = woven(refused, vec![Ok(Value::Int(1)), Ok(Value::Int(2))]);
        assert_eq!(replies[0].as_ref().unwrap(), &Value::Int(1));
        assert_eq!(replies[2].as_ref().unwrap(), &Value::Int(2));
        let told = fault(replies[1].as_ref().unwrap_err());
        assert!(matches!(&told, Fault::Unexpected(why) if why.contains("at TIME")), "{told}");
    }

    #[test]
    fn nothing_is_held_back_from_a_server_that_lacks_nothing() {
        let commands = [cmd("TIME"), cmd("XLEN")];
        let (sent, refused) = Lacks::default().sort(&commands);
        assert_eq!((sent.len(), refused.iter().flatten().count()), (2, 0));
    }
}
