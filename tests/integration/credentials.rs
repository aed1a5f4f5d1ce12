//! Credentials that change while penstock runs: files that are rewritten, tokens that a command
//! prints, passwords that Redis takes back.
//!
//! Every test ends with a look for the secrets in everything that can be seen.

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use tonic::Code;

use crate::{
    harness::{
        Kind, PATIENCE, RECOVERY, Scripted, Server, Service, Setup, eventually, eventually_is,
    },
    on_both_servers,
    streams::Pushes,
    wire::{Keda, queue},
};

on_both_servers!(
    a_rotated_password_is_taken_by_the_link_that_is_open,
    a_new_password_that_is_refused_leaves_the_link_as_it_is_and_is_tried_again,
    a_token_of_a_command_is_renewed_before_the_last_one_ends,
    a_token_that_was_taken_back_is_replaced_at_once,
);

const TAKEN: &str = "authenticated again with the new password";
const RIGHTS: &str = "on ~* resetchannels +@all";

/// A user `app` whose password is in a file.
struct Stage {
    server: Server,
    folder: TempDir,
}

impl Stage {
    fn new(kind: Kind) -> Self {
        let server = Server::start(kind);
        server.run(&format!("ACL SETUSER app {RIGHTS} >s3cret-1\nRPUSH q a"));
        let stage = Self { server, folder: TempDir::new().unwrap() };
        stage.write("s3cret-1");
        stage
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Puts a password there as Kubernetes does: whole or not at all.
    fn write(&self, password: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, password).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    async fn service(&self, settings: &str) -> Service {
        let url = self.server.url();
        let config = format!("[redis.default]\nurl = \"{url}\"\nusername = \"app\"\n{settings}\n");
        Setup::default().config(config).flag("--log-level", "debug").start().await
    }

    async fn with_file(&self) -> Service {
        self.service(&format!("password_file = \"{}\"", self.file().display())).await
    }

    async fn with_command(&self, refresh: &str) -> Service {
        let file = self.file();
        let file = file.display();
        let command = format!("[\"/bin/sh\", \"-c\", \"echo s3cret-2 >&2; cat '{file}'\"]");
        let refresh = format!("password_refresh = \"{refresh}\"");
        self.service(&format!("password_command = {command}\n{refresh}")).await
    }
}

async fn value(keda: &Keda) -> Result<f64, Code> {
    keda.value(&queue("q")).await.map_err(|status| status.code())
}

async fn events(service: &Service, event: &str) -> f64 {
    let labels = format!("{{connection=\"default\",event=\"{event}\"}}");
    service.metric(&format!("penstock_redis_credentials_total{labels}")).await
}

async fn no_secret_is_seen(service: &Service) {
    let (_, metrics) = service.get("/metrics").await;
    for shown in [metrics, service.log().join("\n")] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

async fn a_rotated_password_is_taken_by_the_link_that_is_open(kind: Kind) {
    let stage = Stage::new(kind);
    let service = stage.with_file().await;
    let keda = service.keda().await;
    assert_eq!(value(&keda).await, Ok(1.0));
    let mut pushes = Pushes::of(&keda, &queue("idle")).await;
    assert!(!pushes.next(RECOVERY).await);
    stage.server.run("ACL SETUSER app >s3cret-2");
    stage.write("s3cret-2\n");
    service.logged(TAKEN, 1).await;
    // Changes are announced in their order, so that who knows of the second knows of the first.
    stage.server.run("ACL SETUSER app <s3cret-1\nRPUSH q b\nRPUSH idle a");
    assert!(pushes.next(RECOVERY).await, "changes are announced as before");
    assert_eq!(value(&keda).await, Ok(2.0));
    assert_eq!(service.log_with("connected to Redis").len(), 1, "the link stayed up");
    assert_eq!(events(&service, "reauthenticated").await, 1.0);
    assert_eq!(events(&service, "refused").await, 0.0);
    no_secret_is_seen(&service).await;
}

async fn a_new_password_that_is_refused_leaves_the_link_as_it_is_and_is_tried_again(kind: Kind) {
    let stage = Stage::new(kind);
    let service = stage.with_file().await;
    let keda = service.keda().await;
    assert_eq!(value(&keda).await, Ok(1.0));
    stage.write("s3cret-2");
    let told = "Redis refuses the new password; the link stays as it is, and it is tried again";
    service.logged(told, 1).await;
    stage.server.run("RPUSH q b");
    eventually_is(PATIENCE, Ok(2.0), async || value(&keda).await).await;
    assert_eq!(service.metric("penstock_redis_links_lost_total").await, 0.0);
    stage.server.run("ACL SETUSER app >s3cret-2");
    service.logged(TAKEN, 1).await;
    assert!(events(&service, "refused").await >= 1.0);
    assert_eq!(service.log_with(told).len(), 1, "it is told once");
    assert_eq!(service.log_with("connected to Redis").len(), 1);
    no_secret_is_seen(&service).await;
    // A file that is empty for a moment is no password.
    stage.write("");
    let told = "the password cannot be renewed";
    service.logged(told, 1).await;
    stage.server.run("CLIENT KILL USER app\nRPUSH q c");
    eventually_is(RECOVERY, Ok(3.0), async || value(&keda).await).await;
}

async fn a_token_of_a_command_is_renewed_before_the_last_one_ends(kind: Kind) {
    let stage = Stage::new(kind);
    let service = stage.with_command("1s").await;
    let keda = service.keda().await;
    eventually_is(PATIENCE, Ok(1.0), async || value(&keda).await).await;
    for (old, new) in [("s3cret-1", "s3cret-2"), ("s3cret-2", "s3cret-3")] {
        let taken = service.log_with(TAKEN).len();
        stage.server.run(&format!("ACL SETUSER app >{new}"));
        stage.write(new);
        service.logged(TAKEN, taken + 1).await;
        stage.server.run(&format!("ACL SETUSER app <{old}\nRPUSH q a"));
    }
    eventually_is(PATIENCE, Ok(3.0), async || value(&keda).await).await;
    assert_eq!(service.log_with("connected to Redis").len(), 1, "the link stayed up");
    no_secret_is_seen(&service).await;
}

/// The next token would be asked for in an hour: only the refusal can bring it.
async fn a_token_that_was_taken_back_is_replaced_at_once(kind: Kind) {
    let stage = Stage::new(kind);
    let service = stage.with_command("1h").await;
    let keda = service.keda().await;
    eventually_is(PATIENCE, Ok(1.0), async || value(&keda).await).await;
    stage.write("s3cret-2");
    // Redis ends the links of a user who is gone.
    stage.server.run("ACL DELUSER app\nRPUSH q b");
    stage.server.run(&format!("ACL SETUSER app {RIGHTS} >s3cret-2"));
    let known = async || value(&keda).await;
    let fresh = eventually(PATIENCE, async || match known().await {
        // What was known is held meanwhile.
        Ok(1.0) => Err("the value from before"),
        other => Ok(other),
    });
    assert_eq!(fresh.await, Ok(2.0), "no call failed");
    assert!(events(&service, "renewed").await >= 2.0);
    no_secret_is_seen(&service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_gives_no_password_is_an_outage_that_says_why() {
    let stage = Stage::new(Kind::Redis);
    let failing = "password_command = [\"/bin/sh\", \"-c\", \"echo s3cret-1; exit 7\"]";
    let service = stage.service(failing).await;
    let keda = service.keda().await;
    let why = "the credentials cannot be read: password command /bin/sh ended with exit status: 7";
    eventually(PATIENCE, async || {
        let status = keda.value(&queue("q")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        if status.message().contains(why) { Ok(()) } else { Err(status) }
    })
    .await;
    service.logged("the password cannot be renewed", 1).await;
    no_secret_is_seen(&service).await;
}

/// Redis no longer knows who we are, on a link that was fine: as where a token expires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_not_authenticated_any_more_is_made_anew() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let redis = Scripted::answering(move |command| match command {
        "LLEN" => match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => b":4\r\n",
            1 => b"-NOAUTH Authentication required.\r\n",
            _ => b":5\r\n",
        },
        "TYPE" => b"+list\r\n",
        _ => b"+PONG\r\n",
    })
    .await;
    let service = Setup::default().redis(redis.url()).start().await;
    let keda = service.keda().await;
    assert_eq!(value(&keda).await, Ok(4.0));
    // This peer announces no change of the first key; another trigger has to ask.
    let other = async || keda.value(&queue("other")).await.map_err(|status| status.code());
    assert!([Ok(5.0), Err(Code::Unavailable)].contains(&other().await));
    assert!([Ok(4.0), Ok(5.0)].contains(&value(&keda).await), "what is known is held");
    eventually_is(PATIENCE, Ok(5.0), other).await;
    service.logged("connected to Redis", 2).await;
    assert_eq!(events(&service, "refused").await, 1.0);
}
