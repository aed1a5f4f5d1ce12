//! Queues that do not exist, as a person finds out: `probe` and `check --redis` say which keys are not
//! there, and what near them is.

use std::{fs, process::Output};

use deadpool_redis::redis;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{Kind, Server, Service, penstock},
    on_both_servers,
    wire::trigger,
};

on_both_servers!(
    a_probe_says_which_keys_do_not_exist_and_what_is_near,
    a_probe_finds_the_database_in_which_the_keys_are,
    an_empty_set_of_due_jobs_is_a_key_that_exists,
    a_probe_that_may_not_look_says_so,
    only_keys_that_may_be_read_are_near,
    a_check_asks_redis_only_where_it_is_given_one,
    a_name_that_is_written_as_a_key_is_told_in_the_log_and_by_probe,
);

fn run(arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = penstock().args(arguments).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.success(), String::from_utf8(text).unwrap())
}

fn probe(server: &Server, pairs: &[&str]) -> String {
    let url = format!("redis://{}/0", server.address());
    let (ok, said) = run(&[&["probe"], pairs, &["--redis", &url]].concat());
    assert!(ok, "{said}");
    said
}

async fn a_probe_says_which_keys_do_not_exist_and_what_is_near(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH app:bull:Emails:wait a\nHSET app:bull:Emails:17 a 1\nHSET app:bull:Emails:18 a 1\nSET other 1");
    let said = probe(&server, &["layout=bull", "queue=emails"]);
    let none = "no key     none of these keys exists in database 0: `bull:emails:active`, \
                `bull:emails:delayed`, `bull:emails:wait`; an empty queue has none either";
    assert!(said.contains(none), "{said}");
    let near = "near       keys with `emails` in their names: `app:bull:Emails:17`, `app:bull:Emails:wait`";
    assert!(said.contains(near) && !said.contains("other"), "{said}");
    let json = run(&["probe", "queue=emails", "--output", "json", "--redis", &server.url()]).1;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["noKey"].as_str().unwrap().contains("`emails` does not exist"), "{json}");
    assert!(json["near"][0].as_str().unwrap().contains("app:bull:Emails:wait"), "{json}");
    let none = probe(&server, &["queue=nothing"]);
    assert!(none.contains("no key with `nothing` in its name in database 0"), "{none}");
    server.run("RPUSH emails a");
    let there = probe(&server, &["queue=emails"]);
    assert!(!there.contains("no key") && !there.contains("near "), "{there}");
}

async fn a_probe_finds_the_database_in_which_the_keys_are(kind: Kind) {
    let server = Server::start(kind);
    let mut link = server.connect();
    redis::cmd("SELECT").arg(3).exec(&mut link).unwrap();
    redis::cmd("RPUSH").arg("rq:queue:emails").arg("a").exec(&mut link).unwrap();
    let said = probe(&server, &["layout=rq", "queue=emails"]);
    assert!(said.contains("near       database 3 has them"), "{said}");
}

async fn an_empty_set_of_due_jobs_is_a_key_that_exists(kind: Kind) {
    let server = Server::start(kind);
    server.run("ZADD bull:q:delayed 99999999999999999 a");
    let said = probe(&server, &["layout=bull", "queue=q"]);
    assert!(said.contains("> LLEN bull:q:wait") && !said.contains("no key"), "{said}");
}

async fn a_probe_that_may_not_look_says_so(kind: Kind) {
    let server = Server::start(kind);
    server.run("ACL SETUSER narrow on >pass ~* +@all -scan -info");
    let url = format!("redis://narrow:pass@{}/0", server.address());
    let (ok, said) = run(&["probe", "queue=emails", "--redis", &url]);
    assert!(ok && said.contains("no key     `emails` does not exist in database 0"), "{said}");
    assert!(
        said.contains("near       keys with similar names could not be looked for: "),
        "{said}"
    );
    assert!(said.contains("near       whether another database has them is not known: "), "{said}");
}

async fn only_keys_that_may_be_read_are_near(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH mine:emails a\nRPUSH theirs:emails a");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("penstock.toml");
    let toml = format!(
        "[redis.default]\nurl = \"redis://{}/0\"\nkeys = [\"emails\", \"mine:*\"]\n",
        server.address()
    );
    fs::write(&file, toml).unwrap();
    let (ok, said) = run(&["probe", "queue=emails", "--config", &file.display().to_string()]);
    assert!(ok && said.contains("`mine:emails`") && !said.contains("theirs"), "{said}");
}

async fn a_check_asks_redis_only_where_it_is_given_one(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH there a\nXADD tasks 1-0 a 1\nRPUSH app:gone a");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("m.yaml");
    let object = |name: &str, metadata: &str| {
        format!(
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: {name}}}\nspec:\n  triggers:\n  \
             - type: external-push\n    metadata: {{scalerAddress: \"p:9090\", {metadata}}}\n---\n"
        )
    };
    let text = [
        object("good", "queue: there, inFlight: x"),
        object("gone", "queue: gone, inFlight: run"),
        object("wrong", "layout: taskiq, queue: tasks, leases: penstock"),
    ];
    fs::write(&file, text.concat()).unwrap();
    let file = file.display().to_string();
    let (ok, said) = run(&["check", &file]);
    assert!(ok && said.starts_with("0 problems, 0 notes;"), "{said}");
    assert!(said.contains("\nnot checked: whether the connections exist"), "{said}");
    let (ok, said) = run(&["check", &file, "--redis", &server.url()]);
    assert!(
        !ok && said.contains("\n1 problem, 2 notes;") && !said.contains("not checked"),
        "{said}"
    );
    let at = "ScaledObject gone spec.triggers[0].metadata: note:";
    let none = format!("{at} none of these keys exists in database 0: `gone`, `run`; an empty");
    assert!(said.contains(&none), "{said}");
    assert!(
        said.contains(&format!("{at} keys with `run`, `gone` in their names: `app:gone`")),
        "{said}"
    );
    let wrong = "ScaledObject wrong spec.triggers[0].metadata: asked now: key `tasks` holds the Redis type \
                 stream, expected a list";
    assert!(said.contains(wrong), "{said}");
    let nobody = Server::absent(kind);
    let (ok, said) = run(&["check", &file, "--redis", &nobody.url()]);
    assert!(
        !ok && said.contains("asked now: ") && said.contains("\n1 problem, 0 notes;"),
        "{said}"
    );
}

async fn a_name_that_is_written_as_a_key_is_told_in_the_log_and_by_probe(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH bull:jobs:wait a");
    let said = probe(&server, &["layout=bull", "queue=bull:jobs:wait"]);
    assert!(
        said.contains("note       queue: `bull:jobs:wait` is written as a key of the layout"),
        "{said}"
    );
    let service = Service::of(&server).await;
    let keda = service.keda().await;
    let asked = trigger([("listName", "bull:jobs:wait")]);
    assert_eq!(keda.value(&asked).await.unwrap(), 1.0);
    keda.value(&asked).await.unwrap();
    let line = &service.logged("a name looks like a key of a framework", 1).await[0];
    assert_eq!(line["key"], "listName");
    assert!(
        line["advice"].as_str().unwrap().contains("`layout: bull` with `queue: jobs`"),
        "{line}"
    );
}
