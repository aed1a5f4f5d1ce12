//! Replicas that are read in place of the master.

use super::*;

#[test]
fn replicas_are_read_only_when_they_are_asked_for_and_within_a_bound() {
    let of = |more: &str| {
        let toml = format!("[redis.default]\nurl = 'redis://h'\n{more}");
        load(&toml, &[], &[]).unwrap().connections["default"].replicas.clone()
    };
    assert_eq!(of(""), None);
    let named = |nodes| Replicas { max_lag: Duration::from_secs(1), nodes };
    assert_eq!(of("replicas = { max_lag = '1s' }"), Some(named(None)));
    let nodes = ["reader:6379", "[::1]:1"].map(|text| Node::parse(text, 1).unwrap());
    assert_eq!(
        of("[redis.default.replicas]\nmax_lag = '1000ms'\nnodes = ['reader', '[::1]:1']"),
        Some(named(Some(nodes.to_vec())))
    );
    for lag in ["100ms", "1m"] {
        assert!(of(&format!("replicas = {{ max_lag = '{lag}' }}")).is_some());
    }
    let toml = "[redis.default]\nsentinel = { master = 'm', nodes = ['s1'] }\n\
                replicas = { max_lag = '1s' }";
    assert!(load(toml, &[], &[]).unwrap().connections["default"].replicas.is_some());
    // A URL from elsewhere is a master all the same.
    let config = load(toml, &["redis://other"], &[]).unwrap();
    assert!(config.connections["default"].replicas.is_some());
}

#[test]
fn what_is_wrong_with_replicas_is_told_and_never_repeated() {
    for (wrong, wanted) in [
        ("replicas = true", "redis.default.replicas: must be a section of keys"),
        ("replicas = {}", "redis.default.replicas.max_lag: is missing; write replicas = { max_lag"),
        ("replicas = { max_lag = '99ms' }", "replicas.max_lag: must be from 100ms to 1m"),
        ("replicas = { max_lag = '61s' }", "replicas.max_lag: must be from 100ms to 1m"),
        ("replicas = { max_lag = 'soon' }", "replicas.max_lag: must be a duration"),
        ("replicas = { max_lag = 1 }", "replicas.max_lag: must be a string"),
        ("replicas = { max_lag = '1s', lag = '1s' }", "known here: max_lag, nodes"),
        ("replicas = { max_lag = '1s', nodes = [] }", "replicas.nodes: lists 0 replicas; 1 to 16"),
        (
            "replicas = { max_lag = '1s', nodes = ['r', 'redis://u:hunter2@r'] }",
            "replicas.nodes[1]: must be HOST:PORT and no more",
        ),
    ] {
        let told = told(&format!("[redis.default]\nurl = 'redis://h'\n{wrong}"));
        assert!(told.contains(wanted) && !told.contains("hunter2"), "{wrong}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let told = told("[redis.default]\ncluster = ['n1']\nreplicas = { max_lag = '1s' }");
    let wanted = "replicas: is for `url` and `sentinel`; of a cluster only masters are read";
    assert!(told.contains(wanted), "{told}");
}
