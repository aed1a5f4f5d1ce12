//! What administrators write, and what they are told.

mod credentials;
mod secrecy;
mod sentinel;

use std::{path::PathBuf, time::Duration};

use super::*;
use crate::{limits, secret::Secret};

const FILE: &str = "penstock.toml";

fn settings(redis: &[&str], environment: &[(&str, &str)]) -> Settings {
    let environment =
        environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let redis = redis.iter().map(|text| (*text).to_owned()).collect();
    Settings { redis, environment, ..Settings::default() }
}

/// A file that is there as long as the test runs.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn load(toml: &str, redis: &[&str], environment: &[(&str, &str)]) -> Result<Config, String> {
    let (_directory, path) = file(toml);
    let settings = Settings { file: Some(path.clone()), ..settings(redis, environment) };
    let config = Config::load(&settings);
    config.map_err(|told| told.to_string().replace(&path.display().to_string(), FILE))
}

fn told(toml: &str) -> String {
    load(toml, &[], &[]).unwrap_err()
}

fn password(connection: &Connection) -> Option<Secret> {
    connection.password.read().unwrap()
}

#[test]
fn one_flag_is_enough() {
    let config = Config::load(&settings(&["redis://redis:6380/2"], &[])).unwrap();
    let connection = &config.connections["default"];
    assert_eq!((connection.endpoint.to_string().as_str(), connection.database), ("redis:6380", 2));
    assert_eq!(
        (connection.hold_stale, connection.access.databases()),
        (limits::HOLD_STALE, &[2][..])
    );
    assert_eq!(config.server, Server::default());
    assert_eq!(config.server.listen, "0.0.0.0:9090".parse().unwrap());
    assert_eq!(config.server.admin_listen, "0.0.0.0:9091".parse().unwrap());
}

#[test]
fn every_key_of_the_file_is_read() {
    let toml = r#"
        [server]
        listen = "127.0.0.1:1"
        admin_listen = "[::1]:2"
        push_inactive = true
        show_triggers = true
        [redis.cache-2]
        url = "valkey://10.0.0.1/1"
        username = "app"
        password_env = "ANY_NAME"
        hold_stale = "2m"
        namespaces = ["team-*"]
        keys = ["bull:*"]
        databases = [0, 1, 4]
        scan = false
    "#;
    let config = load(toml, &[], &[("ANY_NAME", "hunter2")]).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:1".parse().unwrap());
    assert_eq!(config.server.admin_listen, "[::1]:2".parse().unwrap());
    assert!(config.server.push_inactive && config.server.show_triggers);
    let connection = &config.connections["cache-2"];
    assert_eq!(connection.name, "cache-2");
    assert_eq!(connection.endpoint.to_string(), "10.0.0.1:6379");
    assert_eq!(connection.username.as_deref(), Some("app"));
    assert_eq!(password(connection), Some(Secret::new("hunter2")));
    assert_eq!(connection.hold_stale, Duration::from_mins(2));
    assert_eq!(connection.access.databases(), [1, 0, 4]);
    assert!(connection.access.admits("team-a").is_ok() && connection.access.admits("x").is_err());
}

#[test]
fn a_flag_comes_before_a_variable_and_a_variable_before_the_file() {
    let toml = "[redis.default]\nurl = 'redis://u:file@file'\nkeys = ['a']\n\
                [server]\nlisten = '127.0.0.1:1'";
    let host = |redis: &[&str], environment: &[(&str, &str)]| {
        let config = load(toml, redis, environment).unwrap();
        let connection = &config.connections["default"];
        let password = password(connection).unwrap().expose().to_owned();
        (connection.endpoint.to_string(), connection.username.clone().unwrap(), password)
    };
    let parts = |host: &str, user: &str, password: &str| {
        (format!("{host}:6379"), user.to_owned(), password.to_owned())
    };
    let url = ("PENSTOCK_REDIS_DEFAULT_URL", "redis://:variable@variable");
    let other = ("PENSTOCK_REDIS_DEFAULT_PASSWORD", "other");
    assert_eq!(host(&[], &[]), parts("file", "u", "file"));
    assert_eq!(host(&[], &[url]), parts("variable", "u", "variable"));
    assert_eq!(host(&["redis://flag"], &[url]), parts("flag", "u", "variable"));
    assert_eq!(host(&["redis://v:flag@flag"], &[url]), parts("flag", "v", "flag"));
    assert_eq!(host(&[], &[other]), parts("file", "u", "other"));
    let (_directory, path) = file(toml);
    let listen = "127.0.0.1:9".parse().unwrap();
    let settings =
        Settings { file: Some(path), listen: Some(listen), ..settings(&["redis://h"], &[]) };
    assert_eq!(Config::load(&settings).unwrap().server.listen, listen);
}

#[test]
fn a_variable_can_define_a_connection() {
    let environment = [
        ("PENSTOCK_REDIS_JOBS_EU_URL", "redis://jobs"),
        ("PENSTOCK_REDIS_JOBS_EU_USERNAME", "u"),
        ("PENSTOCK_REDIS_JOBS_EU_PASSWORD", "pw"),
        ("PENSTOCK_REDIS_SERVICE_HOST", "10.0.0.1"),
        ("PENSTOCK_REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("PENSTOCK_REDIS", "redis://is-for-the-command-line"),
        ("PENSTOCK_REDIS_OLD_PASSWORD", ""),
    ];
    let config = Config::load(&settings(&[], &environment)).unwrap();
    assert_eq!(config.connections.keys().collect::<Vec<_>>(), ["jobs-eu"]);
    assert_eq!(password(&config.connections["jobs-eu"]), Some(Secret::new("pw")));
}

#[test]
fn a_variable_that_belongs_to_nothing_is_told() {
    let environment = [
        ("PENSTOCK_REDIS_CACHE_PASSWORD", "hunter2"),
        ("PENSTOCK_REDIS_CACHE_USERNAME", "u"),
        ("PENSTOCK_REDIS_PASSWORD", "hunter2"),
        ("PENSTOCK_REDIS__URL", "redis://h"),
    ];
    let told = Config::load(&settings(&["redis://h"], &environment)).unwrap_err().to_string();
    for part in [
        "PENSTOCK_REDIS_CACHE_PASSWORD: belongs to the connection `cache`, which is not configured",
        "PENSTOCK_REDIS_CACHE_USERNAME: belongs to the connection `cache`",
        "PENSTOCK_REDIS_PASSWORD: names no connection; for the default one, \
         PENSTOCK_REDIS_DEFAULT_PASSWORD",
        "PENSTOCK_REDIS__URL: is no name of a connection",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn flags_name_connections() {
    let redis = ["redis://a", "jobs=redis://:p=w@b"];
    let config = Config::load(&settings(&redis, &[])).unwrap();
    assert_eq!(config.connections["default"].endpoint.to_string(), "a:6379");
    assert_eq!(password(&config.connections["jobs"]), Some(Secret::new("p=w")));
    let redis = ["redis://a", "default=redis://b", "Bad_=redis://c", "x=redis://:pw@h/db", ""];
    let told = Config::load(&settings(&redis, &[])).unwrap_err().to_string();
    for part in [
        "--redis: redis.default.url: is given twice",
        "--redis: redis.Bad_.url: is no name of a connection",
        "--redis: redis.x.url: must end in /N",
        "--redis: redis.default.url: is empty",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn no_connection_at_all_is_told_with_the_way_to_give_one() {
    let told = Config::load(&Settings::default()).unwrap_err().to_string();
    assert!(
        told.starts_with("--redis: no connection is configured; give one as --redis"),
        "{told}"
    );
}

#[test]
fn all_problems_come_at_once_with_their_place() {
    let told = told(
        r#"
        lisen = 1
        [server]
        listen = "9090"
        admin_listen = 9091
        push_inactiv = true
        tls = { cert = "hunter2" }
        [redis]
        Bad = { url = "redis://h" }
        flat = "redis://:hunter2@h"
        none = { keys = ["*"] }
        [redis.cache]
        url = "redis://:hunter2@h"
        password = "hunter2"
        hold_stale = "25h"
        namespaces = "*"
        keys = ["[", 1]
        sentinel = { master = "hunter2" }
        [redis.user]
        url = "redis://hunter2@h"
        [redis.two]
        url = "redis://u:hunter2@h"
        username = "v"
        password_file = "/x"
        password_env = "hunter2"
        hold_stale = "soon"
        [layouts.acme]
        doc = "hunter2"
        [layouts.other]
        doc = "d"
        params.password = { type = "name", doc = "d", example = "e" }
        waiting = [{ read = "size", key = "{password}" }]
    "#,
    );
    for part in [
        "penstock.toml: lisen: is unknown; known here: server, redis, layouts",
        "penstock.toml: server.listen: must be an IP address and a port",
        "penstock.toml: server.admin_listen: must be a string in quotes",
        "penstock.toml: server.push_inactiv: is unknown; known here: listen, admin_listen",
        "penstock.toml: server.tls.cert: needs the certificate's key: `key`, --tls-key",
        "penstock.toml: redis.Bad: is no name of a connection",
        "penstock.toml: redis.flat: must be a section of keys",
        "penstock.toml: redis.none: has no URL; give `url` or `sentinel` in its section of the file, \
         PENSTOCK_REDIS_NONE_URL or --redis none=URL",
        "penstock.toml: redis.cache.password: a password is never written here",
        "penstock.toml: redis.cache.hold_stale: must be at most 24h",
        "penstock.toml: redis.cache.namespaces: must be a list of strings in brackets",
        "penstock.toml: redis.cache.keys: must be a list of strings in brackets",
        "penstock.toml: redis.cache.sentinel: is given beside `url`; keep one of the two",
        "penstock.toml: redis.cache.sentinel.nodes: is missing",
        "penstock.toml: redis.user.url: names a user for the connection `user` without any",
        "penstock.toml: redis.two.username: is a second user beside the URL's",
        "penstock.toml: redis.two.password_file: is a second password",
        "penstock.toml: redis.two.password_env: names an environment variable that is not set",
        "penstock.toml: redis.two.hold_stale: must be a duration",
        "penstock.toml: layouts.acme: layout `acme`: it has none of [[waiting]]",
        "penstock.toml: layouts.other.params: `password` means something else in every trigger",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(told.lines().count(), 21, "{told}");
}

#[test]
fn reading_replicas_is_refused_and_told_what_to_write_instead() {
    for replicas in ["{ max_lag = '1s' }", "{ nodes = ['redis://u:hunter2@r'] }", "'hunter2'"] {
        assert_eq!(
            told(&format!("[redis.default]\nurl = 'redis://h'\nreplicas = {replicas}")),
            "penstock.toml: redis.default.replicas: reading replicas was taken out; remove it, and \
             name the server to read in `url`, or the master's sentinels in `sentinel`"
        );
    }
}

#[test]
fn a_wrong_type_of_the_url_is_told_once() {
    assert_eq!(
        told("[redis.a]\nurl = 5"),
        "penstock.toml: redis.a.url: must be a string in quotes"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let settings = Settings { file: Some("/nowhere/p.toml".into()), ..Settings::default() };
    let told = Config::load(&settings).unwrap_err().to_string();
    assert!(told.starts_with("/nowhere/p.toml: cannot be read: No such file"), "{told}");
}

#[test]
fn two_servers_on_one_port_are_told() {
    let told = told("[server]\nadmin_listen = '0.0.0.0:9090'\n[redis.default]\nurl = 'redis://h'");
    assert!(told.contains("server.admin_listen: is the same address as `listen`"), "{told}");
}

#[test]
fn too_many_connections_are_told() {
    let redis: Vec<String> = (0..=limits::CONNECTIONS).map(|n| format!("c{n}=redis://h")).collect();
    let settings = Settings { redis, ..Settings::default() };
    let told = Config::load(&settings).unwrap_err().to_string();
    assert!(told.contains("65 connections are configured, at most 64 may be"), "{told}");
}

#[test]
fn a_file_alone_asks_for_nothing_that_flags_or_environment_may_give() {
    let toml = "[redis.default]\nusername = 'u'\npassword_env = 'X'\n\
                [redis.files]\nurl = 'redis://h/3'\npassword_file = '/not/here/but/there'";
    let config = Config::parse(toml, FILE).unwrap();
    assert!(!config.connections["default"].endpoint.is_given());
    assert_eq!(config.connections["files"].database, 3);
    assert!(Config::parse("", FILE).unwrap().connections.is_empty());
    assert!(Config::parse("[redis.default]\nurl = 'h'", FILE).is_err());
}

#[test]
fn a_password_file_is_read_at_each_use() {
    let (_directory, path) = file("one\n");
    let toml = format!("[redis.default]\nurl = 'redis://h'\npassword_file = '{}'", path.display());
    let config = load(&toml, &[], &[]).unwrap();
    let connection = &config.connections["default"];
    assert_eq!(password(connection), Some(Secret::new("one")));
    for (text, wanted) in [("two", "two"), ("three\r\n", "three"), (" four \n\n", " four \n")] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(password(connection), Some(Secret::new(wanted)));
    }
    let error = |text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        connection.password.read().unwrap_err().to_string()
    };
    assert_eq!(error(b"\n"), format!("password file {} is empty", path.display()));
    assert_eq!(error(b"hunter2\xff"), format!("password file {} is no UTF-8 text", path.display()));
    std::fs::remove_file(&path).unwrap();
    assert!(connection.password.read().unwrap_err().to_string().contains("cannot be read"));
    let told = load(&toml, &[], &[]).unwrap_err();
    assert!(told.contains(": redis.default.password_file: password file"), "{told}");
}

#[test]
fn a_cluster_is_named_by_some_of_its_nodes() {
    let toml = "[redis.default]\ncluster = ['n1', '10.0.0.2:7000', '[fd00::1]:7001']\nusername = 'u'\n\
                password_file = '/dev/null'";
    let connection = &Config::parse(toml, FILE).unwrap().connections["default"];
    let told = connection.endpoint.to_string();
    assert_eq!(told, "the cluster at n1:6379,10.0.0.2:7000,[fd00::1]:7001");
    assert_eq!((connection.database, connection.access.databases()), (0, &[0][..]));
}

#[test]
fn what_is_no_cluster_is_told_without_what_was_written() {
    for (toml, wanted) in [
        ("cluster = []", "must name 1 to 64 nodes"),
        ("cluster = 'n1:6379'", "a list of strings"),
        ("cluster = ['n1', 'redis://:hunter2@n2']", "HOST:PORT"),
        ("cluster = ['n1:0']", "port 0"),
        ("cluster = ['n1']\nurl = 'redis://n1'", "beside `url`"),
        ("cluster = ['n1']\ndatabases = [0, 1]", "must be [0]"),
    ] {
        let told =
            Config::parse(&format!("[redis.default]\n{toml}"), FILE).unwrap_err().to_string();
        assert!(told.contains(wanted) && !told.contains("hunter2"), "{toml}: {told}");
    }
}
