//! `/triggers`: what a person is shown of each trigger, and what not.

use serde_json::Value;

use crate::{
    harness::{Kind, PATIENCE, Server, Service, Setup, eventually},
    on_both_servers,
    wire::trigger,
};

on_both_servers!(
    three_triggers_are_shown_with_their_counts_and_one_in_an_outage_has_none,
    an_object_that_nobody_asks_for_is_unknown_and_looking_asks_for_nothing,
);

const SECRET: &str = "hunter2";

async fn page(service: &Service, path: &str) -> Value {
    let (status, body) = service.get(path).await;
    assert_eq!(status, 200, "{body}");
    assert!(!body.contains(SECRET), "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn three_triggers_are_shown_with_their_counts_and_one_in_an_outage_has_none(kind: Kind) {
    let (server, away) = (Server::start(kind), Server::start(kind));
    server.run("RPUSH a 1 2 3");
    server.run("RPUSH b 1");
    let config = format!(
        "[server]\nshow_triggers = true\n[redis.default]\nurl = \"{}\"\n\
         [redis.away]\nurl = \"{}\"\nusername = \"app\"\npassword_env = \"AWAY\"\nhold_stale = \"1s\"\n",
        server.url(),
        away.url(),
    );
    away.run(&format!("ACL SETUSER app on >{SECRET} ~* +@all"));
    away.run("RPUSH c 1");
    let service = Setup::default().config(config).variable("AWAY", SECRET).start().await;
    let keda = service.keda().await;
    let [a, b] = ["a", "b"].map(|queue| trigger([("queue", queue), ("target", "2")]));
    let c = trigger([("queue", "c"), ("redis", "away")]);
    let _stream = keda.stream_is_active(&a).await.unwrap();
    for known in [&a, &b, &c] {
        assert!(keda.is_active(known).await.unwrap());
    }
    assert!((keda.value(&b).await.unwrap() - 1.0).abs() < f64::EPSILON);
    drop(away);
    eventually(PATIENCE, async || {
        let page = page(&service, "/triggers").await;
        let triggers = page["triggers"].as_array().unwrap();
        let of = |queue: &str| {
            let read = format!("backlog of size of `{queue}` on");
            let is_it = |one: &&Value| one["reads"].as_str().unwrap().starts_with(&read);
            triggers.iter().find(is_it).unwrap_or_else(|| panic!("{queue} in {page:#}"))
        };
        let (a, b, c) = (of("a"), of("b"), of("c"));
        assert_eq!((&page["remembered"], triggers.len()), (&Value::from(3), 3));
        assert_eq!((&a["freshness"], &a["value"]), (&"fresh".into(), &3.0.into()), "{a:#}");
        assert_eq!((&a["counts"]["waiting"], &a["active"]), (&3.0.into(), &true.into()));
        assert_eq!((&a["counts"]["inFlight"], &a["exact"]), (&Value::Null, &true.into()));
        assert_eq!((&a["metadata"]["target"], &a["openStreams"]), (&2.0.into(), &1.into()));
        assert_eq!((&a["reason"], &a["ageSeconds"]), (&Value::Null, &Value::Null));
        let asked = &b["lastAskedSecondsAgo"];
        assert!(asked["IsActive"].is_f64() && asked["GetMetrics"].is_f64(), "{b:#}");
        assert!(asked.get("StreamIsActive").is_none() && b["openStreams"] == 0, "{b:#}");
        if c["freshness"] != "unknown" {
            assert!(c["freshness"] == "fresh" || c["reason"].is_string(), "{c:#}");
            return Err(format!("{c:#}"));
        }
        for unknown in ["counts", "exact", "value", "active"] {
            assert_eq!(c[unknown], Value::Null, "{c:#}");
        }
        assert!(c["reason"].as_str().unwrap().contains("cannot be reached"), "{c:#}");
        Ok(())
    })
    .await;
    for (namespace, name, listed) in [("a", "a", 3), ("jobs", "worker", 0), ("z", "a", 0)] {
        let path = format!("/triggers?namespace={namespace}&name={name}");
        let page = page(&service, &path).await;
        assert_eq!(page["triggers"].as_array().unwrap().len(), listed, "{page:#}");
        assert_eq!(page["next"], Value::Null);
    }
    let (status, said) = service.get("/triggers?before=a/a").await;
    assert_eq!((status, said.contains("namespace=NAMESPACE&name=NAME")), (400, true), "{said}");
}

async fn an_object_that_nobody_asks_for_is_unknown_and_looking_asks_for_nothing(kind: Kind) {
    let server = Server::start(kind);
    let hidden = Setup::default()
        .config(format!("[redis.default]\nurl = \"{}\"\n", server.url()))
        .start()
        .await;
    assert_eq!(hidden.get("/triggers").await.0, 404, "it is off by default");
    let config =
        format!("[server]\nshow_triggers = true\n[redis.default]\nurl = \"{}\"\n", server.url());
    let service = Setup::default().config(config).start().await;
    let keda = service.keda().await;
    let trigger = trigger([("queue", "q")]);
    let path = format!("/triggers/{}/{}", trigger.namespace, trigger.name);
    assert_eq!(service.get(&path).await.0, 404);
    assert_eq!(page(&service, "/triggers").await["remembered"], 0);
    assert!(!keda.is_active(&trigger).await.unwrap());
    let seen = page(&service, &path).await;
    assert_eq!(seen["triggers"][0]["value"], 0.0, "{seen:#}");
    assert_eq!(service.get("/triggers/other/object").await.0, 404);
}
