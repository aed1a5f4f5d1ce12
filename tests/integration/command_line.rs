//! The subcommands that end by themselves, as a user runs them: `check`, `probe`.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{Kind, Server, penstock},
    on_both_servers,
};

on_both_servers!(a_probe_shows_commands_and_arithmetic_and_the_value_that_keda_would_get,);

/// What a run said, and its exit code.
async fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> (i32, String, String) {
    let arguments: Vec<&str> = arguments.into_iter().collect();
    let mut command = tokio::process::Command::from(penstock());
    let output = command.args(&arguments).kill_on_drop(true).output().await.unwrap();
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_that_comes_with_penstock_passes_the_check() {
    let folders = ["deploy/examples", "deploy/examples/frameworks"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let paths: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| path.display().to_string())
        .collect();
    assert!(paths.len() >= 20, "{paths:?}");
    // The configuration that is deployed, and what a user would check against it.
    let config = deployed_config();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("penstock.toml");
    fs::write(&file, config).unwrap();
    let file = file.display().to_string();
    for path in &paths {
        let (code, said, complained) = run(["check", path]).await;
        assert_eq!(code, 0, "{path}:\n{said}{complained}");
        let (code, said, complained) = run(["check", path, "--config", &file]).await;
        assert_eq!(code, 0, "{path} against deploy/configmap.yaml:\n{said}{complained}");
    }
    let (code, said, complained) = run(["check", &file]).await;
    assert_eq!(code, 0, "deploy/configmap.yaml:\n{said}{complained}");
}

/// `penstock.toml` in deploy/configmap.yaml.
fn deployed_config() -> String {
    let manifest = fs::read_to_string(root().join("deploy/configmap.yaml")).unwrap();
    let manifest: Value = serde_saphyr::from_str(&manifest).unwrap();
    manifest["data"]["penstock.toml"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_a_wrong_trigger_fails_and_names_file_object_and_key() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("wrong.yaml");
    let manifest = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: emails\n\
                    spec:\n  scaleTargetRef:\n    name: emails\n  triggers:\n    - type: external-push\n\
                    \x20     metadata:\n        scalerAddress: penstock.penstock.svc:9090\n\
                    \x20       quue: q\n        password: hunter2\n";
    fs::write(&file, manifest).unwrap();
    let (code, said, complained) = run(["check", &file.display().to_string()]).await;
    assert_eq!(code, 1, "{said}{complained}");
    for word in ["wrong.yaml", "emails", "quue", "`queue`", "password"] {
        assert!(
            said.contains(word) || complained.contains(word),
            "no {word} in {said}{complained}"
        );
    }
    assert!(!said.contains("hunter2") && !complained.contains("hunter2"), "{said}{complained}");
    let (code, _, complained) = run(["check", "/nowhere/at/all.yaml"]).await;
    assert_ne!(code, 0, "{complained}");
}

async fn a_probe_shows_commands_and_arithmetic_and_the_value_that_keda_would_get(kind: Kind) {
    let server = Server::start(kind);
    server.run("RPUSH q a b\nZADD later 1 c\nHSET doing d 1");
    let trigger = ["queue=q", "scheduled=later", "inFlight=doing", "target=2"];
    let probe = ["probe"].into_iter().chain(trigger).chain(["--redis"]);
    let url = server.url();
    let probe: Vec<&str> = probe.chain([url.as_str()]).collect();
    let (code, said, complained) = run(probe.iter().copied()).await;
    assert_eq!(code, 0, "{complained}");
    for word in ["LLEN q", "ZCOUNT later", "HLEN doing", "= 4"] {
        assert!(said.contains(word), "no {word} in:\n{said}");
    }
    let (code, said, complained) = run(probe.into_iter().chain(["--output", "json"])).await;
    assert_eq!(code, 0, "{complained}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let counts = json!({ "waiting": 2.0, "due": 1.0, "inFlight": 1.0, "orphaned": 0.0 });
    assert_eq!((&report["counts"], &report["value"]), (&counts, &json!(4.0)), "{said}");
    assert_eq!(report["active"], json!(true));
    server.run("DEL q\nSET q abc");
    let (code, said, complained) = run(["probe", "queue=q", "--redis", &url]).await;
    assert_eq!(code, 1, "{said}");
    assert!(complained.contains("`q`"), "{complained}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_of_a_redis_that_is_away_fails_and_shows_no_password() {
    let url = "redis://:s3cr3t@127.0.0.1:1";
    let (code, said, complained) = run(["probe", "queue=q", "--redis", url]).await;
    assert_eq!(code, 1, "{said}{complained}");
    assert!(complained.contains("reached"), "{complained}");
    assert!(!complained.contains("s3cr3t") && !said.contains("s3cr3t"), "{said}{complained}");
    let (code, _, complained) = run(["probe", "quue=q", "--redis", url]).await;
    assert_eq!(code, 2, "{complained}");
    assert!(complained.contains("`queue`"), "{complained}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_a_usage_error_and_no_panic() {
    let redis = "redis://127.0.0.1:1";
    for (arguments, word) in [
        (vec!["probe", "queue=q", "--redis", redis, "--min", "5", "--max", "0"], "--max"),
        (vec!["probe", "queue", "--redis", redis], "KEY=VALUE"),
        (vec!["probe", "queue=q", "--redis", "http://h"], "--redis"),
        (vec!["serve", "--redis", redis, "--log-level", "verbose"], "verbose"),
        (vec!["serve"], "--redis"),
        (vec!["check", "--config", "/nowhere/penstock.toml", "x.yaml"], "/nowhere/penstock.toml"),
    ] {
        let (code, said, complained) = run(arguments.clone()).await;
        assert_eq!(code, 2, "{arguments:?}: {said}{complained}");
        assert!(complained.contains(word), "{arguments:?}: {complained}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_is_noted_without_a_configuration_and_fails_where_that_does_not_scan() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("glob.yaml");
    let manifest = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: emails}\n\
                    spec:\n  triggers:\n    - type: external-push\n      metadata: \
                    {scalerAddress: 'penstock:9090', queue: 'emails:*'}\n";
    fs::write(&file, manifest).unwrap();
    let file = file.display().to_string();
    let (code, said, complained) = run(["check", &file]).await;
    assert_eq!(code, 0, "{said}{complained}");
    assert!(said.contains("emails:*") && said.contains("`scan = true`"), "{said}");
    let config = folder.path().join("penstock.toml");
    fs::write(&config, "[redis.default]\nurl = \"redis://127.0.0.1:1\"\n").unwrap();
    let config = config.display().to_string();
    let (code, said, complained) = run(["check", &file, "--config", &config]).await;
    assert_eq!(code, 1, "{said}{complained}");
    assert!(said.contains("emails:*") && said.contains("scan"), "{said}");
}
