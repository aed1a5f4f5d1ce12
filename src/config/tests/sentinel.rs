//! A connection whose master sentinels name.

use super::*;

fn sentinels(config: &Config) -> &Sentinels {
    match &config.connections["default"].endpoint {
        Endpoint::Sentinel(sentinels) => sentinels,
        other @ (Endpoint::Standalone(_) | Endpoint::Cluster(_)) => {
            panic!("{other} is no sentinel")
        }
    }
}

#[test]
fn a_connection_may_name_sentinels_in_place_of_a_url() {
    let (_directory, path) = file("hunter2");
    let toml = format!(
        r#"
        [redis.default]
        sentinel = {{ master = "my-master", nodes = ["s1", "s2:1", "[::1]:2"], username = "watcher", password_file = "{}" }}
        database = 3
        databases = [4]
        username = "reader"
        password_env = "OF_THE_MASTER"
    "#,
        path.display()
    );
    let config = load(&toml, &[], &[("OF_THE_MASTER", "other")]).unwrap();
    let connection = &config.connections["default"];
    assert_eq!(connection.database, 3);
    assert_eq!(connection.access.databases(), [3, 4]);
    assert_eq!(connection.username.as_deref(), Some("reader"));
    assert_eq!(password(connection), Some(Secret::new("other")));
    let Sentinels { master, nodes, username, password, tls } = sentinels(&config);
    assert_eq!((master.as_str(), username.as_deref()), ("my-master", Some("watcher")));
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    assert_eq!(nodes, ["s1:26379", "s2:1", "[::1]:2"]);
    assert_eq!(password.read().unwrap(), Some(Secret::new("hunter2")));
    let shown = format!("{connection:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("other"), "{shown}");
    assert_eq!(
        connection.endpoint.to_string(),
        "the master `my-master` of the sentinels s1:26379, s2:1, [::1]:2"
    );
    assert_eq!((tls, &connection.tls), (&None, &None));
    // The master's password and TLS are none for the sentinels, nor the other way round.
    let toml = "[redis.default]\nsentinel = { master = 'm', nodes = ['s1'] }\npassword_env = 'P'\ntls = {}";
    let config = load(toml, &[], &[("P", "pw")]).unwrap();
    assert_eq!(sentinels(&config).password.read().unwrap(), None);
    assert_eq!(sentinels(&config).tls, None);
    assert_eq!(config.connections["default"].tls, Some(RedisTls::default()));
    let toml = "[redis.default]\nsentinel = { master = 'm', nodes = ['s1'], tls = { server_name = 's' }, \
                password_command = ['token'], password_refresh = '5m' }";
    let config = load(toml, &[], &[]).unwrap();
    let own = sentinels(&config);
    assert_eq!(own.tls.as_ref().unwrap().server_name.as_deref(), Some("s"));
    let Password::Command(command) = &own.password else { panic!("{:?}", own.password) };
    assert_eq!((command.program.as_str(), command.refresh), ("token", Duration::from_mins(5)));
    assert_eq!(config.connections["default"].tls, None);
    assert!(matches!(config.connections["default"].password, Password::None));
    assert_eq!(config.connections["default"].database, 0);
}

#[test]
fn a_flag_or_variable_with_a_url_comes_before_sentinels_in_the_file() {
    let toml = "[redis.default]\nsentinel = { master = 'm', nodes = ['s1'] }\ndatabase = 3";
    let variable = [("PENSTOCK_REDIS_DEFAULT_URL", "redis://h/1")];
    for (redis, environment) in [(&["redis://h/1"][..], &[][..]), (&[], &variable)] {
        let connection = &load(toml, redis, environment).unwrap().connections["default"];
        assert_eq!((connection.endpoint.to_string().as_str(), connection.database), ("h:6379", 1));
    }
}

#[test]
fn what_is_wrong_with_sentinels_is_told_by_key() {
    let told = told(
        r#"
        [redis.both]
        url = "redis://h"
        sentinel = { master = "m", nodes = ["s1"] }
        [redis.empty]
        sentinel = {}
        [redis.text]
        sentinel = "hunter2"
        [redis.keys]
        sentinel = { master = "m", nodes = ["s1"], password = "hunter2", tls = true, quorum = 2 }
        [redis.nodes]
        sentinel = { master = "hunter2 hunter2", nodes = ["redis://:hunter2@h", "s1:x", "s1", "s1:26379", ""] }
        [redis.none]
        sentinel = { master = "m", nodes = [], username = "u" }
        [redis.user]
        sentinel = { master = "m", nodes = ["s1"], username = "u" }
        [redis.two]
        sentinel = { master = "m", nodes = ["s1"], password_file = "/nowhere/hunter", password_env = "X", password_command = ["true"] }
        [redis.tls]
        sentinel = { master = "m", nodes = ["s1"], tls = { ca = "/nowhere/ca" } }
        [redis.insecure]
        sentinel = { master = "m", nodes = ["s1"], tls = { insecure = true } }
        [redis.database]
        sentinel = { master = "m", nodes = ["s1"] }
        database = 65536
        [redis.url]
        url = "redis://h/0"
        database = 1
    "#,
    );
    let missing = "is missing; write sentinel = { master = ";
    for part in [
        "redis.both.sentinel: is given beside `url`; keep one of the two",
        &format!("redis.empty.sentinel.master: {missing}"),
        &format!("redis.empty.sentinel.nodes: {missing}"),
        "redis.text.sentinel: must be a section of keys",
        "redis.keys.sentinel.password: a password is never written here",
        "redis.keys.sentinel.tls: must be a section of keys",
        "redis.keys.sentinel.quorum: is unknown; known here: master, nodes, username, \
         password_file, password_env, password_command, password_refresh, tls",
        "redis.nodes.sentinel.master: must be a name of 1 to 1024 bytes without spaces",
        "redis.nodes.sentinel.nodes[0]: must be HOST:PORT and no more",
        "redis.nodes.sentinel.nodes[1]: must be HOST:PORT and no more",
        "redis.nodes.sentinel.nodes[3]: is listed twice",
        "redis.nodes.sentinel.nodes[4]: is empty; write HOST:PORT",
        "redis.none.sentinel.nodes: lists 0 sentinels; 1 to 16 are possible",
        "redis.user.sentinel.username: names a user of the sentinels without any password",
        "redis.two.sentinel.password_env: is a second password beside another one; keep one",
        "redis.two.sentinel.password_command: is a second password beside another one; keep one",
        "redis.tls.sentinel.tls.ca: /nowhere/ca cannot be read",
        "redis.insecure.sentinel.tls.insecure: a certificate is always held against",
        "redis.two.sentinel.password_env: names an environment variable that is not set",
        "redis.two.sentinel.password_file: password file /nowhere/hunter cannot be read",
        "redis.database.database: must be a database from 0 to 65535",
        "redis.url.database: is for a connection with `sentinel`; with `url` write it as",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(told.lines().count(), 22, "{told}");
}
