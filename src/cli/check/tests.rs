//! What people write into manifests, and what they are told.

mod properties;
mod scaling;
mod targets;

use super::*;

/// The report on one manifest, with or without a configuration.
fn report(yaml: &str, toml: Option<&str>) -> Report {
    let config = toml.map(|toml| Config::parse(toml, "penstock.toml").unwrap());
    let mut report = Report::default();
    check_text(yaml, FileFormat::Manifest, config.as_ref(), &mut report.file("m.yaml"));
    report
}

fn lines(yaml: &str) -> String {
    report(yaml, None).to_string()
}

/// An object of this kind with one trigger of this type, each line of the metadata indented.
fn object((kind, r#type): (&str, &str), metadata: &[&str]) -> String {
    let metadata: String = metadata.iter().map(|line| format!("\n      {line}")).collect();
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: {kind}\nmetadata:\n  name: emails\n  namespace: shop\n\
         spec:\n  triggers:\n  - type: {type}\n    metadata:\n      scalerAddress: p.p.svc:9090\
         {metadata}\n"
    )
}

fn push(metadata: &[&str]) -> String {
    object(("ScaledObject", "external-push"), metadata)
}

const GOOD: &[&str] = &["queue: emails", "inFlight: emails:processing", "target: \"5\""];

#[test]
fn a_good_manifest_has_no_finding() {
    assert_eq!(lines(&push(GOOD)), "0 problems, 0 notes; checked 1 trigger in 1 file\n");
    let with_config = report(&push(GOOD), Some("[redis.default]\nurl = 'redis://h'"));
    assert_eq!(with_config.findings().len(), 0, "{with_config}");
}

#[test]
fn each_problem_of_a_trigger_names_file_document_object_and_key() {
    let yaml = push(&["listName: emails", "listLenght: hunter2", "passwordFromEnv: hunter2"]);
    let told = lines(&format!("kind: Pod\n---\n{yaml}"));
    let at = "m.yaml:doc 2 ScaledObject shop/emails spec.triggers[0].metadata";
    for part in [
        format!("{at}.listLenght: is unknown; did you mean `listLength`?\n"),
        format!("{at}.passwordFromEnv: belongs to the connection"),
        "2 problems, 0 notes; checked 1 trigger in 1 file".to_owned(),
    ] {
        assert!(told.contains(&part), "{part} is not in: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_value_without_quotes_is_a_problem_and_nothing_else_is_made_of_it() {
    let told =
        lines(&push(&["queue: 5", "inFlight: x", "target: 7", "activation: [1]", "database: yes"]));
    for key in ["queue", "target", "database"] {
        let part = format!("metadata.{key}: must be a string, as KEDA takes no other");
        assert!(told.contains(&part), "{part} is not in: {told}");
    }
    assert!(told.contains("metadata.activation: must be a string; a list"), "{told}");
    // `yes` is true to YAML 1.1, which is no database either.
    assert!(told.contains("5 problems, 0 notes"), "{told}");
}

#[test]
fn the_scaler_address_is_required_and_has_a_port() {
    let told = lines(&push(GOOD).replace("scalerAddress: p.p.svc:9090", "redis: default"));
    assert!(told.contains("metadata.scalerAddress: is required"), "{told}");
    let told = lines(&push(GOOD).replace("p.p.svc:9090", "http://p:9090"));
    assert!(told.contains("metadata.scalerAddress: must be host:port without a scheme"), "{told}");
}

#[test]
fn what_is_no_map_is_told() {
    let yaml = push(GOOD);
    let (head, _) = yaml.split_once("    metadata:\n      scaler").unwrap();
    assert!(lines(head).contains("spec.triggers[0].metadata: must be a map of strings"));
    let (head, _) = yaml.split_once("spec:").unwrap();
    assert!(lines(head).contains("spec.triggers: must be a list of triggers"));
    let told = lines(&yaml.replace("type: external-push", "typo: external-push"));
    assert!(told.contains("spec.triggers[0].type: must be a string"), "{told}");
}

#[test]
fn a_value_from_the_environment_is_taken_to_be_valid() {
    for metadata in [
        &["queueFromEnv: Q", "inFlightFromEnv: F", "targetFromEnv: T", "orphansFromEnv: O"][..],
        &["layout: stream", "queueFromEnv: Q", "groupFromEnv: G", "signalFromEnv: S"],
        &["layoutFromEnv: L", "queueFromEnv: Q", "groupFromEnv: G", "missingGroupFromEnv: M"],
        &["redisFromEnv: R", "queue: a", "inFlight: b", "databaseFromEnv: D", "staleForFromEnv: S"],
    ] {
        let told = lines(&push(metadata));
        assert!(told.starts_with("0 problems, 0 notes"), "{metadata:?}: {told}");
    }
    let told = lines(&push(&["listNameFromEnv: L", "listLengthFromEnv: LENGTH"]));
    assert!(told.contains("0 problems, 1 note;"), "{told}");
    let told = lines(&push(&["queueFromEnv: Q", "inFlight: b", "tagretFromEnv: T"]));
    assert!(told.contains("metadata.tagretFromEnv: is unknown; did you mean `target`?"), "{told}");
}

#[test]
fn a_migrated_trigger_is_told_what_it_does_not_count() {
    let told = lines(&push(&["listName: emails"]));
    assert!(told.contains("metadata.listName: note: counts what KEDA's trigger counted"), "{told}");
    for count in ["pendingEntriesCount: \"5\"", "lagCount: \"5\""] {
        let told = lines(&push(&["stream: s", "consumerGroup: g", count]));
        assert!(
            told.contains("metadata.stream: note:") && told.contains("layout: stream"),
            "{told}"
        );
    }
    let told = lines(&push(&["queue: emails"]));
    assert!(told.contains("metadata.inFlight: note: is not given"), "{told}");
}

#[test]
fn what_survives_a_migration_and_means_something_else_here_is_told_without_a_configuration() {
    let told = lines(&push(&["listName: emails", "enableTLS: \"true\"", "databaseIndex: \"3\""]));
    let tls =
        "metadata.enableTLS: note: lets KEDA dial penstock over TLS, and says nothing of Redis";
    let database = "metadata.databaseIndex: note: database 3 is denied unless it is that of the \
                    connection's URL or in its `databases`";
    assert!(told.contains(tls) && told.contains(database), "{told}");
    let harmless = &["listName: emails", "enableTLS: \"false\"", "databaseIndex: \"0\""];
    assert!(lines(&push(harmless)).contains("0 problems, 1 note;"), "{}", lines(&push(harmless)));
    let config = "[redis.default]\nurl = 'redis://h'\ndatabases = [3]";
    let told = report(&push(&["queue: q", "inFlight: r", "database: \"3\""]), Some(config));
    assert_eq!(told.findings().len(), 0, "{told}");
}

#[test]
fn kedas_own_triggers_are_told_how_to_migrate() {
    let yaml = object(("ScaledObject", "redis"), &["address: hunter2:6379", "passwordFromEnv: P"]);
    let told = lines(&format!("{yaml}    authenticationRef: {{name: x}}\n"));
    let part = "spec.triggers[0].type: note: is KEDA's own; for penstock write external-push";
    assert!(told.contains(part), "{told}");
    assert!(told.contains("remove address, passwordFromEnv, authenticationRef\n"), "{told}");
    assert!(!told.contains("hunter2") && told.contains("0 problems, 1 note;"), "{told}");
}

#[test]
fn the_type_fits_the_kind() {
    let told = lines(&object(("ScaledObject", "external"), GOOD));
    assert!(told.contains("spec.triggers[0].type: note: external-push starts"), "{told}");
    let told = lines(&object(("ScaledJob", "external-push"), GOOD));
    assert!(told.contains("spec.triggers[0].type: note: KEDA takes no push"), "{told}");
}

#[test]
fn the_strategy_of_a_scaled_job_fits_what_is_counted() {
    let note = |strategy: &str, metadata: &[&str]| {
        let job = object(("ScaledJob", "external"), metadata);
        let told = lines(&format!("{job}  scalingStrategy:\n    strategy: {strategy}\n"));
        told.contains("metadata.signal: note: the strategy `")
    };
    let waiting = [GOOD, &["signal: waiting"]].concat();
    let in_flight = [GOOD, &["signal: in-flight"]].concat();
    let from_env = [GOOD, &["signalFromEnv: S"]].concat();
    assert!(!note("default", GOOD) && note("default", &waiting) && note("default", &in_flight));
    assert!(note("default", &["listName: emails"]) && !note("accurate", &["listName: emails"]));
    for strategy in ["accurate", "eager"] {
        assert!(note(strategy, GOOD) && !note(strategy, &waiting) && note(strategy, &in_flight));
    }
    assert!(!note("custom", GOOD) && !note("custom", &waiting));
    assert!(!note("accurate", &from_env) && !note("default", &from_env));
    assert!(lines(&object(("ScaledJob", "external"), &waiting)).contains("strategy `default`"));
}

#[test]
fn what_keda_does_in_silence_is_told() {
    let job = object(("ScaledJob", "external"), GOOD);
    let told = lines(&format!("{job}    metricType: Value\n"));
    assert!(told.contains("spec.triggers[0].metricType: with Value KEDA creates no Job"), "{told}");
    let told = lines(&format!(
        "{}    metricType: Utilization\n    authenticationRef: {{name: x}}\n  fallback:\n    \
         failureThreshold: 3\n    replicas: 0\n",
        push(&[GOOD, &["caCert: hunter2", "unsafeSsl: \"true\""]].concat()),
    ));
    for part in [
        "spec.triggers[0].metricType: KEDA takes Utilization",
        "spec.triggers[0].authenticationRef: note: KEDA passes no secret on",
        "spec.fallback.replicas: note: with 0 KEDA scales to zero",
        "metadata.caCert: note: does nothing here",
        "metadata.unsafeSsl: note: KEDA then believes whoever answers",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn what_keda_dials_is_held_against_the_tls_of_the_server() {
    let (none, tls) = ("", "[server.tls]\ncert = '/c'\nkey = '/k'\n");
    let mutual = "[server.tls]\ncert = '/c'\nkey = '/k'\nclient_ca = '/a'\n";
    let plain = push(GOOD);
    let asks = push(&[GOOD, &["enableTLS: \"true\""]].concat());
    let brings = format!("{plain}    authenticationRef: {{name: penstock-tls}}\n");
    let dark = "enableTLS: must be \"true\"";
    for (yaml, server, problem, note) in [
        (&plain, none, "", ""),
        (&asks, none, "", "enableTLS: note: the configuration has no [server.tls]"),
        (&plain, tls, dark, ""),
        (&asks, tls, "", ""),
        (&brings, tls, "", ""),
        (&plain, mutual, dark, ""),
        (&asks, mutual, "spec.triggers[0].authenticationRef: is required", ""),
        (&brings, mutual, "", ""),
    ] {
        let report = report(yaml, Some(&format!("{server}[redis.default]\nurl = 'redis://h'\n")));
        let told = report.to_string();
        assert_eq!(report.problems() == 0, problem.is_empty(), "{told}");
        assert!(told.contains(problem) && told.contains(note), "{told}");
        assert_eq!(told.contains("enableTLS: note"), !note.is_empty(), "{told}");
    }
}

const RULES: &str = "[redis.default]\nurl = 'redis://h/1'\nnamespaces = ['shop']\n\
                     keys = ['emails*']\ndatabases = [2]\n[redis.other]\nurl = 'redis://o'";

fn ruled(yaml: &str) -> String {
    report(yaml, Some(RULES)).to_string()
}

#[test]
fn a_configuration_decides_who_may_read_what() {
    assert!(ruled(&push(GOOD)).starts_with("0 problems, 0 notes"));
    let with = |line: &str| ruled(&push(&[GOOD, &[line]].concat()));
    assert!(with("database: \"2\"").starts_with("0 problems, 0 notes"));
    for (told, part) in [
        (
            with("redis: cache"),
            "metadata.redis: `cache` is no configured connection; known: default, other",
        ),
        (
            with("databaseIndex: \"3\""),
            "metadata.databaseIndex: the connection `default` denies it: its rule `databases` does not include database 3; allowed: 1, 2",
        ),
        (
            with("scheduled: later"),
            "spec.triggers[0].metadata: the connection `default` denies it: its rule `keys` does not include the key `later`; allowed: `emails*`",
        ),
        (
            ruled(&push(&["queue: emails*", "inFlight: emails"])),
            "spec.triggers[0].metadata: the connection `default` denies it: its rule `scan` is off",
        ),
        (
            ruled(&push(GOOD).replace("namespace: shop", "namespace: x")),
            "shop/emails metadata.namespace: the connection".trim_start_matches("shop/emails "),
        ),
    ] {
        assert!(
            told.contains(part) && told.contains("1 problem, 0 notes"),
            "{part} is not in: {told}"
        );
    }
}

#[test]
fn a_pattern_is_checked_against_the_connection_and_noted_without_one() {
    let yaml = |queue: &str| push(&[&format!("queue: \"{queue}\""), "inFlight: emails"]);
    let told = lines(&yaml("emails-*,reports"));
    assert!(told.contains("0 problems, 1 note"), "{told}");
    let part = "metadata: note: `emails-*` is a pattern, which needs `scan = true` in the section";
    assert!(told.contains(part), "{told}");
    let rules = "[redis.default]\nurl = 'redis://h'\nscan = true\nkeys = ['emails', 'emails-a*']";
    let ruled = |queue: &str| report(&yaml(queue), Some(rules)).to_string();
    let clean = ruled("emails-a*");
    assert!(clean.starts_with("0 problems, 0 notes"), "{clean}");
    let partly = ruled("emails-*");
    let part = "note: of the keys that match `emails-*` those are left out that the rule `keys` of the \
                connection `default` does not include; allowed: `emails`, `emails-a*`";
    assert!(partly.contains(part) && partly.contains("0 problems, 1 note"), "{partly}");
    let none = ruled("reports-*");
    assert!(none.contains("does not include the key `reports-*`"), "{none}");
}

#[test]
fn a_rule_that_needs_what_only_the_cluster_knows_is_not_checked_and_that_is_told() {
    let with = |lines: &[&str]| ruled(&push(lines));
    for (told, part) in [
        (
            with(&["queueFromEnv: Q", "inFlight: emails:x"]),
            "metadata.queueFromEnv: note: is only known in the cluster, so the rule `keys` is not checked",
        ),
        (
            with(&[GOOD, &["redisFromEnv: R"]].concat()),
            "metadata.redisFromEnv: note: is only known",
        ),
        (with(&[GOOD, &["databaseFromEnv: D"]].concat()), "so the rule `databases` is not checked"),
        (
            ruled(&push(GOOD).replace("  namespace: shop\n", "")),
            "ScaledObject emails metadata.namespace: note: is not said, so the rule `namespaces` is not checked (connections: default)",
        ),
    ] {
        assert!(
            told.contains(part) && told.contains("0 problems, 1 note;"),
            "{part} is not in: {told}"
        );
    }
    let told = with(&["waiting: secrets", "inFlightFromEnv: F"]);
    assert!(told.contains("does not include the key `secrets`"), "{told}");
    let no_url = report(
        &push(&[GOOD, &["database: \"7\""]].concat()),
        Some("[redis.default]\nkeys = ['emails*']"),
    );
    assert_eq!(no_url.problems(), 0, "{no_url}");
}

#[test]
fn a_file_without_triggers_of_ours_is_noted() {
    let told = lines("kind: Pod\n---\nkind: Secret\n");
    assert_eq!(
        told.lines().next().unwrap(),
        "m.yaml: note: has no ScaledObject or ScaledJob of keda.sh/v1alpha1"
    );
    let told = lines(&object(("ScaledObject", "cpu"), &[]));
    assert!(told.starts_with("m.yaml: note: has no trigger of type external"), "{told}");
    assert!(lines("").contains("0 problems, 1 note;"));
}

#[test]
fn a_broken_document_is_a_problem_and_shows_nothing_of_itself() {
    let told = lines("kind: Secret\nstringData:\n  password: \"hunter2\n  x: 'hunter2\n");
    assert!(
        told.starts_with("m.yaml:doc 1: line ") && told.contains("1 problem, 0 notes"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn files_are_read_by_their_extension() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let long = vec![b'#'; usize::try_from(crate::limits::FILE_BYTES).unwrap() + 1];
    let toml = b"[redis.default]\nurl = 'redis://:hunter2@h/x'\nhold = '1s'";
    let files = [
        write("a.YML", push(GOOD).as_bytes()),
        write("b.toml", toml),
        write("c.toml", b"[server]"),
        write("d.txt", b""),
        write("e.yaml", b"\xff"),
        write("f.yaml", &long),
        directory.path().join("g.yaml"),
    ];
    let report = check(&files, None).to_string();
    let told = report.replace(&format!("{}/", directory.path().display()), "");
    for part in [
        "b.toml: redis.default.url: must end in /N",
        "b.toml: redis.default.hold: is unknown; known here: url,",
        "c.toml: redis: note: has no connection",
        "d.txt: is neither .yaml, .yml, .json nor .toml\n",
        "e.yaml: is no UTF-8 text\n",
        "f.yaml: is longer than 4194304 bytes\n",
        "g.yaml: cannot be read: No such file or directory",
        "6 problems, 1 note; checked 1 trigger in 7 files\n",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    assert!(!told.contains("a.YML") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_key_that_changes_nothing_is_told() {
    let leases = |acks: &'static str| {
        lines(&push(&["layout: celery", "queue: emails", "leases: penstock", acks]))
    };
    let told = leases("acks: late");
    assert!(told.contains("metadata.leases: note: changes nothing beside"), "{told}");
    assert!(!leases("acks: early").contains("changes nothing"));
}

#[test]
fn the_examples_that_come_with_penstock_have_no_problem() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (inner, found): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
        folders.extend(inner);
        files.extend(found);
    }
    let report = check(&files, None);
    let told = report.to_string();
    assert!(report.problems() == 0, "{told}");
    let checked = format!("checked {} triggers in {} files\n", files.len() + 1, files.len());
    assert!(told.contains(&checked), "{told}");
    assert!(told.ends_with("and knows layouts of your own\n"), "{told}");
}
