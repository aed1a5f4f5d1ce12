//! TLS, commands that print passwords, and limits of namespaces, as they are written.

use super::*;

#[test]
fn settings_of_tls_commands_and_limits_are_read() {
    let toml = r#"
        [redis.default]
        url = "rediss://redis"
        username = "u"
        password_command = ["token", "--for", "u"]
        password_refresh = "30s"
        tls = { ca = "/ca", cert = "/cert", key = "/key", server_name = "10.0.0.1" }
        [redis.plain]
        url = "redis://redis"
        [redis.bare]
        url = "valkeys://redis"
        password_command = ["token"]
        [redis.elsewhere.tls]
        [limits]
        triggers_per_namespace = 1
        keys_per_namespace = 2
        streams_per_namespace = 3
        searches_per_namespace = 4
        heartbeats_per_namespace = 5
    "#;
    let config = Config::parse(toml, FILE).unwrap();
    let connection = |name: &str| &config.connections[name];
    let tls = connection("default").tls.as_ref().unwrap();
    assert_eq!(tls.ca.as_deref(), Some("/ca".as_ref()));
    assert_eq!(tls.pair, Some(("/cert".into(), "/key".into())));
    assert_eq!(tls.server_name.as_deref(), Some("10.0.0.1"));
    assert_eq!(connection("plain").tls, None);
    assert_eq!(connection("bare").tls, Some(RedisTls::default()));
    assert!(connection("elsewhere").tls.is_some(), "the URL is not known here");
    let command = |name: &str| {
        let Password::Command(command) = &connection(name).password else { panic!("{name}") };
        command.clone()
    };
    assert_eq!(command("default").program, "token");
    assert_eq!(command("default").arguments, ["--for", "u"]);
    assert_eq!(command("default").refresh, Duration::from_secs(30));
    assert_eq!(command("bare").refresh, limits::PASSWORD_REFRESH);
    assert!(!format!("{config:?}").contains("--for"), "arguments may be secret");
    let quota = Quota { triggers: 1, keys: 2, streams: 3, searches: 4, heartbeats: 5 };
    assert_eq!(config.quota, quota);
}

#[test]
fn what_is_wrong_with_them_is_told_by_name() {
    let told = told(
        r#"
        [redis.one]
        url = "rediss://:hunter2@h"
        tls = { cert = "hunter2", server_name = "hunter2:6379", insecure = true }
        password_command = ["/nowhere/at/all", "hunter2"]
        [redis.two]
        url = "redis://h"
        tls = { ca = "/nowhere" }
        password_command = []
        password_refresh = "0.5s"
        [redis.three]
        url = "rediss://h"
        tls = { ca = "/nowhere/ca", cert = "/nowhere/cert", key = "/nowhere/key" }
        password_refresh = "1h"
        [redis.four]
        url = "rediss://h"
        tls = { key = "hunter2", server_name = "" }
        password_command = ["/nowhere/at/all"]
        [limits]
        triggers_per_namespace = 0
        keys_per_namespace = -1
        streams_per_namespace = 1000000
        searches_per_namespace = 257
        heartbeats_per_namespace = 0
    "#,
    );
    for part in [
        "redis.one.tls.cert: has no `key` beside it; name the file of its private key",
        "redis.one.tls.server_name: must be the DNS name or IP address in the server's certificate",
        "redis.one.tls.insecure: a certificate is always held against its authority and name",
        "redis.one.password_command: is a second password beside another one",
        "redis.two.tls: is for a URL that starts with rediss:// or valkeys://",
        "redis.two.password_command: names no program",
        "redis.two.password_refresh: must be from 1s to 24h",
        "redis.three.tls.ca: /nowhere/ca cannot be read: No such file",
        "redis.three.tls.cert: /nowhere/cert cannot be read: No such file",
        "redis.three.password_refresh: is for password_command, which is not given",
        "redis.four.tls.key: has no `cert` beside it; name the file of its certificate",
        "redis.four.tls.server_name: must be the DNS name",
        "redis.four.password_command: names the program /nowhere/at/all, which is no file",
        "limits.triggers_per_namespace: is 0; must be a number from 1 to 50000",
        "limits.keys_per_namespace: is -1; must be a number from 1 to 3200000",
        "limits.streams_per_namespace: is 1000000; must be a number from 1 to 100000",
        "limits.searches_per_namespace: is 257; must be a number from 1 to 256",
        "limits.heartbeats_per_namespace: is 0; must be a number from 1 to 64",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}
