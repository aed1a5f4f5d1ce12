//! Which reads are asked together, in what order, and what becomes of their replies.

use deadpool_redis::redis::make_extension_error;

use super::*;
use crate::layouts::{
    Argument, Arguments, Flag, Group, Idle, Members, Name, Registry, Size, Test, Weight,
};

fn size(key: &str) -> Read {
    Read::Size(Size { key: key.into(), members: Members::All })
}

fn group(key: &str, group: &str) -> Read {
    Read::Group(Group { key: key.into(), group: group.into() })
}

fn flag(key: &str) -> Read {
    Read::Flag(Flag { key: key.into(), test: Test::Exists })
}

fn together(reads: &[Read], flows: &[Vec<usize>]) -> Vec<Option<usize>> {
    sets(reads, flows, |_, _| true)
}

/// The commands as words, one a line.
fn lines(questions: &Questions) -> Vec<String> {
    let word = |command: &Cmd| {
        String::from_utf8(
            command
                .args_iter()
                .filter_map(|arg| match arg {
                    redis::Arg::Simple(bytes) => Some(bytes.to_vec()),
                    redis::Arg::Cursor | _ => None,
                })
                .collect::<Vec<_>>()
                .join(&b' '),
        )
        .unwrap()
    };
    questions.commands().iter().map(word).collect()
}

fn ask(reads: &[Read], flows: &[Vec<usize>]) -> (Questions, Vec<usize>) {
    let name = |read: &Read| {
        let key = read.key();
        let mut command = redis::cmd(if matches!(read, Read::Group(_)) { "XINFO" } else { "LLEN" });
        command.arg(Name::as_bytes(key));
        command
    };
    compose(reads, &together(reads, flows), |at| name(&reads[at]))
}

fn queued() -> Response {
    Ok(Value::SimpleString("QUEUED".to_owned()))
}

fn refused(code: &str) -> Response {
    Err(make_extension_error(code.to_owned(), None))
}

#[test]
fn the_reads_of_a_trigger_are_asked_together_and_those_of_others_by_themselves() {
    let reads = [size("other"), size("wait"), size("active"), size("alone")];
    let (questions, places) = ask(&reads, &[vec![1, 2]]);
    let sent = ["LLEN other", "MULTI", "LLEN wait", "LLEN active", "EXEC", "LLEN alone"];
    assert_eq!(lines(&questions), sent);
    assert_eq!(places, [0, 2, 3, 5]);
}

#[test]
fn triggers_that_share_a_read_are_asked_together_but_for_flags() {
    let reads = [flag("paused"), size("a"), size("b"), size("c"), size("d"), size("e")];
    let sets = together(&reads, &[vec![0, 1, 2], vec![0, 3, 4], vec![2, 5]]);
    assert_eq!(sets, [None, Some(1), Some(1), Some(3), Some(3), Some(1)]);
}

#[test]
fn what_takes_more_than_a_question_or_lies_elsewhere_is_in_no_set() {
    let idle =
        Read::Idle(Idle { key: "s".into(), group: "g".into(), after: std::time::Duration::ZERO });
    assert_eq!(together(&[size("a"), idle], &[vec![0, 1]]), [None, None]);
    let reads = [size("a"), size("b"), size("c")];
    assert_eq!(sets(&reads, &[vec![0, 1, 2]], |_, place| place != 2), [None; 3]);
    assert_eq!(together(&reads, &[vec![1]]), [None; 3], "one read is one moment by itself");
}

#[test]
fn the_size_of_a_collection_is_asked_with_the_one_trigger_that_looks_at_it() {
    let keys = Registry::builtin().get("resque").unwrap();
    let mut arguments = Arguments::default();
    arguments.set("queue", Argument::Names(vec![("q".into(), Weight::ONE)]));
    arguments.set("namespace", Argument::Names(vec![("r:".into(), Weight::ONE)]));
    let plan = keys.plan(&arguments);
    let workers = plan.reads().iter().find(|read| matches!(read, Read::PerMember(_))).unwrap();
    let reads = [size("a"), workers.clone(), size("b")];
    assert_eq!(together(&reads, &[vec![0, 1]]), [Some(0), Some(0), None]);
    assert_eq!(together(&reads, &[vec![0, 1], vec![2, 1]]), [None; 3], "they are of all workers");
    assert_eq!(together(&reads[1..2], &[vec![0]]), [None]);
}

#[test]
fn more_than_redis_is_kept_busy_with_is_in_no_set() {
    let most = limits::TRANSACTION_READS;
    let reads: Vec<Read> = (0..=most).map(|n| size(&n.to_string())).collect();
    assert!(together(&reads, &[(0..=most).collect()]).iter().all(Option::is_none));
    assert!(together(&reads, &[(0..most).collect()])[..most].iter().all(Option::is_some));
}

#[test]
fn reads_that_begin_alike_share_a_question_within_their_set() {
    let reads = [group("s", "g"), group("s", "h"), group("s", "i"), size("a")];
    let (questions, places) = ask(&reads, &[vec![1, 3]]);
    assert_eq!(lines(&questions), ["XINFO s", "MULTI", "XINFO s", "LLEN a", "EXEC", "XINFO s"]);
    assert_eq!(places, [0, 2, 5, 3]);
    let (questions, places) = ask(&reads[..3], &[]);
    assert_eq!((lines(&questions).len(), places), (1, vec![0, 0, 0]));
}

#[test]
fn what_exec_gives_is_of_one_moment_each_error_its_own_questions() {
    let (questions, places) = ask(&[size("a"), size("b")], &[vec![0, 1]]);
    let wrong_type = redis::parse_redis_value(b"*2\r\n:7\r\n-WRONGTYPE no\r\n").unwrap();
    let mut replies = questions.take(vec![Ok(Value::Okay), queued(), queued(), Ok(wrong_type)]);
    assert!(replies.open.is_empty() && !replies.refused);
    replies.fill(vec![]);
    assert_eq!(replies.at(places[0]).as_ref().unwrap(), &Value::Int(7));
    assert_eq!(replies.at(places[1]).as_ref().unwrap_err().code(), Some("WRONGTYPE"));
    assert_eq!(replies.moment(places[0]), replies.moment(places[1]));
}

#[test]
fn a_transaction_that_did_not_come_about_leaves_its_questions_open() {
    let (questions, places) = ask(&[size("a"), size("b")], &[vec![0, 1]]);
    // One key may not be read, so that nothing is.
    let replies = vec![Ok(Value::Okay), queued(), refused("NOPERM"), refused("EXECABORT")];
    let mut replies = questions.take(replies);
    assert_eq!(replies.open, [places[0]]);
    assert!(!replies.refused, "the next batch may fare better");
    replies.fill(vec![Ok(Value::Int(3))]);
    assert_eq!(replies.at(places[0]).as_ref().unwrap(), &Value::Int(3));
    assert_eq!(replies.at(places[1]).as_ref().unwrap_err().code(), Some("NOPERM"));
    assert_ne!(replies.moment(places[0]), replies.moment(places[1]));
    // Of a reply of another length nobody knows what is what.
    let few = Ok(Value::Array(vec![Value::Int(1)]));
    assert_eq!(questions.take(vec![Ok(Value::Okay), queued(), queued(), few]).open, places);
    assert_eq!(
        questions.take(vec![Ok(Value::Okay), queued(), queued(), Ok(Value::Nil)]).open,
        places
    );
}

#[test]
fn who_may_have_no_transactions_has_the_answers_one_by_one() {
    let (questions, places) = ask(&[size("a"), size("b")], &[vec![0, 1]]);
    let replies = questions.take(vec![
        refused("NOPERM"),
        Ok(Value::Int(1)),
        Ok(Value::Int(2)),
        refused("ERR"),
    ]);
    assert!(replies.refused && replies.open.is_empty());
    assert_eq!(replies.at(places[1]).as_ref().unwrap(), &Value::Int(2));
    assert_ne!(replies.moment(places[0]), replies.moment(places[1]));
}

#[test]
fn a_server_that_is_not_ready_is_asked_for_transactions_again() {
    let (questions, _) = ask(&[size("a"), size("b")], &[vec![0, 1]]);
    let away = || refused("LOADING");
    assert!(!questions.take(vec![away(), away(), away(), away()]).refused);
}
