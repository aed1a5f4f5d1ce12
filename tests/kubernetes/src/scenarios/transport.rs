//! How KEDA and penstock speak: mutual TLS by an authentication of the namespace and by one of the cluster, and
//! whether a target is streamed.

use penstock_testkit::{Authority, Service, Setup};
use serde_json::json;

use crate::{
    api::eventually,
    keda::Version,
    stage::{AT_ONCE, DECISION, Stage, scaled_object, set},
};

pub async fn mutual_tls_by_an_authentication_of_the_namespace_and_of_the_cluster(
    stage: &Stage<'_>,
) {
    let authority = Authority::new();
    let penstock = with_tls(stage, &authority).await;
    authentications(stage, &authority).await;
    let names = ["namespace", "cluster"];
    let apply = async |name: &str, reference: &str| {
        stage.deployment(name, 0).await;
        let trigger = format!(
            "{{type: external-push, authenticationRef: {{{reference}}}, metadata: \
             {{scalerAddress: '{}', enableTLS: 'true', queue: {name}, target: '5'}}}}",
            penstock.grpc()
        );
        let fields =
            format!("pollingInterval: 5, cooldownPeriod: 15, maxReplicaCount: 4, {AT_ONCE}");
        stage.apply(&scaled_object(name, &fields, &[trigger])).await;
    };
    let references = ["name: penstock", "name: penstock, kind: ClusterTriggerAuthentication"];
    for (name, reference) in names.into_iter().zip(references) {
        apply(name, reference).await;
        stage.is_ready(name).await;
    }
    // One that shows no certificate is not let in, though it has work and knows the authority.
    set(&stage.redis, "anonymous", 8);
    apply("anonymous", "name: anonymous").await;
    for name in names {
        set(&stage.redis, name, 8);
        stage.scales_to(name, 2, DECISION).await;
        set(&stage.redis, name, 0);
    }
    for name in names {
        stage.scales_to(name, 0, DECISION).await;
    }
    let refused = eventually(DECISION, "what has no certificate is refused", async || {
        let ready = stage.state("anonymous").await;
        if ready.starts_with("False") { Ok(ready) } else { Err(ready) }
    });
    println!(
        "| {} | mutual TLS | 0 → 2 → 0 by both authentications; without a certificate: {} |",
        stage.keda(),
        refused.await
    );
    assert_eq!(stage.replicas("anonymous").await, 0, "nobody told KEDA of its jobs");
}

/// Two authentications with a certificate, `penstock` of the namespace and of the cluster, and `anonymous` without.
async fn authentications(stage: &Stage<'_>, authority: &Authority) {
    let client = authority.sign(&["keda"]);
    let secret = |namespace: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "penstock-tls", "namespace": namespace},
            "stringData": {"ca.crt": authority.pem(), "tls.crt": client.cert, "tls.key": client.key},
        })
    };
    let authentication = |kind: &str, name: &str, parameters: &[(&str, &str)]| {
        let parameter = |(parameter, key): &(&str, &str)| json!({"parameter": parameter, "name": "penstock-tls", "key": key});
        let parameters: Vec<_> = parameters.iter().map(parameter).collect();
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": {"secretTargetRef": parameters},
        })
    };
    let all = [("caCert", "ca.crt"), ("tlsClientCert", "tls.crt"), ("tlsClientKey", "tls.key")];
    let objects = [
        secret(&stage.namespace),
        // KEDA looks for the Secret of a ClusterTriggerAuthentication in its own namespace.
        secret("keda"),
        authentication("TriggerAuthentication", "penstock", &all),
        authentication("ClusterTriggerAuthentication", "penstock", &all),
        authentication("TriggerAuthentication", "anonymous", &all[..1]),
    ];
    for object in objects {
        stage.cluster.kubernetes.apply_one(&stage.namespace, object).await.unwrap();
    }
}

/// A service that lets nobody in who shows no certificate of this authority.
async fn with_tls(stage: &Stage<'_>, authority: &Authority) -> Service {
    let plane = &stage.cluster.plane;
    let pair = authority.sign(&["127.0.0.1"]);
    let [cert, key] = plane.write_pair(&format!("{}-penstock", stage.namespace), &pair);
    let ca = plane.write(&format!("{}-penstock-ca.crt", stage.namespace), authority.pem());
    let config = format!(
        "[server.tls]\ncert = \"{cert}\"\nkey = \"{key}\"\nclient_ca = \"{ca}\"\n\
         [redis.default]\nurl = \"{}\"\n",
        stage.redis.url()
    );
    Setup::default().config(config).start().await
}

pub async fn a_target_comes_by_the_metadata_and_no_stream_of_it_is_kept(stage: &Stage<'_>) {
    let penstock = Service::of(&stage.redis).await;
    let object = |target: &str| {
        let metadata = format!("queue: q, target: '{target}'");
        let trigger = crate::stage::pushed(penstock.grpc(), &metadata);
        scaled_object("worker", &format!("pollingInterval: 5, {AT_ONCE}"), &[trigger])
    };
    stage.deployment("worker", 0).await;
    set(&stage.redis, "q", 12);
    for (target, replicas) in [("6", 2), ("3", 4)] {
        stage.apply(&object(target)).await;
        stage.is_ready("worker").await;
        stage.scales_to("worker", replicas, DECISION).await;
        let hpa = stage.hpa("worker").await.unwrap();
        let told = &hpa["spec"]["metrics"][0]["external"]["target"]["averageValue"];
        assert_eq!(told, target);
    }
    let asked = penstock.metric("penstock_rpcs_total{method=\"StreamMetricSpec\"").await;
    println!("| {} | StreamMetricSpec | asked {asked} times, two targets |", stage.keda());
    let open = penstock.metric("penstock_streams_open{method=\"StreamMetricSpec\"").await;
    assert_eq!(open, 0.0, "no stream of a target is kept");
    match stage.cluster.keda.version() {
        Version::V2_20 => assert_eq!(asked, 0.0, "KEDA 2.20 does not know it"),
        // Once for each time that the object was changed, and not again and again.
        Version::V2_21 => assert!((1.0..=6.0).contains(&asked), "asked {asked} times"),
    }
}
