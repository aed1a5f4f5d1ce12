//! A framework that nobody has heard of, defined in the configuration alone.

use crate::{
    harness::{Kind, PATIENCE, Server, Setup, eventually_is, penstock},
    on_both_servers,
    wire::trigger,
};

on_both_servers!(a_layout_of_the_configuration_works_like_a_built_in_one);

/// The one in the documentation.
fn layout() -> String {
    let page = include_str!("../../../docs/own-layouts.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

async fn a_layout_of_the_configuration_works_like_a_built_in_one(kind: Kind) {
    let server = Server::start(kind);
    server.run(
        r#"RPUSH belt:north a b
           SADD robots r1 r2
           SET robot:r1 {"belt":"north"}
           SET robot:r2 {"belt":"south"}"#,
    );
    let service = Setup::default().redis(server.url()).config(layout()).start().await;
    let keda = service.keda().await;
    let belt = trigger([("layout", "conveyor"), ("queue", "north")]);
    assert_eq!(keda.value(&belt).await.unwrap(), 3.0);
    server.run("HSET belt:north:state halted 1");
    let waiting = [("layout", "conveyor"), ("queue", "north"), ("signal", "waiting")];
    let value = async || keda.value(&trigger(waiting)).await.map_err(|status| status.code());
    eventually_is(PATIENCE, Ok(0.0), value).await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("penstock.toml");
    std::fs::write(&file, layout()).unwrap();
    let file = file.to_str().unwrap();
    let listed = penstock().args(["layouts", "--config", file]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("Conveyor: belts, and the crates"), "{listed}");
    let url = server.url();
    let probe = ["probe", "layout=conveyor", "queue=north", "--config", file, "--redis", &url];
    let probed = penstock().args(probe).output().unwrap();
    let probed = String::from_utf8(probed.stdout).unwrap();
    for part in ["HEXISTS belt:north:state halted", "SMEMBERS robots", "GETRANGE robot:r1"] {
        assert!(probed.contains(part), "no {part} in:\n{probed}");
    }
}
