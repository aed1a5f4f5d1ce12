//! Pages of keys: a search finds the keys that a reply names, all of them and no others, and goes on
//! from the cursor that it names. The whole input is one reply to SCAN.

use penstock::redis::offline;

use crate::{
    engine::{Target, Traits},
    hold,
    resp::{Resp, replies},
};

pub const TARGET: Target = Target { name: "pages", words: WORDS, check };

const WORDS: &[&str] = &[
    "*2\r\n",
    "*1\r\n",
    "*3\r\n",
    "*0\r\n",
    "~2\r\n",
    "$1\r\n0\r\n",
    "$2\r\n17\r\n",
    "+0\r\n",
    "+17\r\n",
    ":0\r\n",
    "$20\r\n18446744073709551615\r\n",
    "$0\r\n\r\n",
    "$2\r\n-1\r\n",
    "$5\r\nq:one\r\n",
    "+q\r\n",
    "+OK\r\n",
    "_\r\n",
    "=5\r\ntxt:0\r\n",
    "-NOPERM no\r\n",
    "-ERR syntax error\r\n",
    ">2\r\n+invalidate\r\n*1\r\n+q\r\n",
    "%1\r\n",
    "\r\n",
];

/// Keys, and the cursor unless it is the end.
type Page<'r> = (Vec<&'r [u8]>, Option<&'r [u8]>);

fn check(input: &[u8], traits: &mut Traits) -> Result<(), String> {
    let got = offline::keys(input);
    let said = replies(input);
    let expected = said.first().and_then(page);
    traits.note(said.first().map(std::mem::discriminant));
    traits.note(expected.as_ref().map(|(keys, next)| (keys.len().min(9), next.is_some())));
    match &got {
        Ok(page) => {
            let keys = page.keys.iter().map(|key| key.as_bytes()).collect();
            let next = page.next.as_ref().map(|position| position.as_bytes());
            let is_so = expected.as_ref() == Some(&(keys, next));
            hold!(is_so, "{page:?} comes of {said:?}");
        }
        Err(fault) => {
            let why = fault.to_string();
            traits.note_message(&why);
            hold!(expected.is_none(), "{said:?} is {why}");
            hold!(why.len() <= 2_048, "a fault of {} bytes", why.len());
            hold!(!why.chars().any(char::is_control), "a control character: {why:?}");
        }
    }
    Ok(())
}

fn page(reply: &Resp) -> Option<Page<'_>> {
    let [cursor, keys] = reply.list()? else { return None };
    let cursor = cursor.text()?;
    let is_number = std::str::from_utf8(cursor)
        .is_ok_and(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()));
    let keys: Option<Vec<&[u8]>> = keys.list()?.iter().map(Resp::text).collect();
    is_number.then_some((keys?, Some(cursor).filter(|cursor| *cursor != b"0")))
}
