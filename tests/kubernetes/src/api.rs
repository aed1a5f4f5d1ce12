//! The API of Kubernetes as the tests use it: objects of any kind as JSON, manifests as YAML.

use std::{path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{Stream, StreamExt, stream};
use http::Request;
use kube::{
    Api, Client, Config,
    api::{
        ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, WatchEvent,
        WatchParams,
    },
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Who writes, for server-side apply.
const MANAGER: &str = "penstock-tests";
/// Between two looks at one object.
const LOOK: Duration = Duration::from_millis(500);
/// How long a request is tried again on a machine that does much else.
const REQUEST: Duration = Duration::from_secs(60);

/// A client of one control plane.
#[derive(Clone)]
pub struct Kubernetes(Client);

impl Kubernetes {
    /// Connects as the kubeconfig says. The control plane need not be there yet.
    pub async fn connect(kubeconfig: &Path) -> Self {
        let file = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        // Its time-outs stay as they are: a shorter one ends the connection of a watch that has nothing to tell.
        let config = Config::from_custom_kubeconfig(file, &options).await.unwrap();
        Self(Client::try_from(config).unwrap())
    }

    /// The body of GET, as text.
    pub async fn get_text(&self, path: &str) -> Result<String, kube::Error> {
        self.0.request_text(Request::get(path).body(vec![]).unwrap()).await
    }

    /// Creates or changes what these manifests say, in this namespace where they name none.
    pub async fn apply(&self, namespace: &str, manifests: &str) {
        for manifest in documents(manifests) {
            self.apply_one(namespace, manifest).await.unwrap();
        }
    }

    /// The same for one object, as JSON; gives what the API server refuses it for.
    pub async fn apply_one(
        &self,
        namespace: &str,
        mut manifest: Value,
    ) -> Result<Value, kube::Error> {
        let kind = Kind::of(&manifest);
        let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned();
        if kind.namespaced {
            manifest["metadata"]["namespace"] = namespace.clone().into();
        }
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let parameters = PatchParams::apply(MANAGER).force();
        let api = self.api(kind, &namespace);
        let applied = api.patch(&name, &parameters, &Patch::Apply(&manifest)).await?;
        Ok(serde_json::to_value(applied).unwrap())
    }

    /// An object, if there is one.
    pub async fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let api = self.api(Kind::named(kind), namespace);
        let found = patiently(async || api.get_opt(name).await).await;
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    /// The value of a key of a Secret, if there is one.
    pub async fn secret(&self, namespace: &str, name: &str, key: &str) -> Option<String> {
        let secret = self.get("Secret", namespace, name).await?;
        let decoded = BASE64_STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
        Some(String::from_utf8(decoded).unwrap())
    }

    /// All objects of a kind that have these labels, in one namespace or in all (`""`).
    pub async fn list(&self, kind: &str, namespace: &str, labels: &str) -> Vec<Value> {
        let parameters = ListParams::default().labels(labels);
        let api = self.api(Kind::named(kind), namespace);
        let found = patiently(async || api.list(&parameters).await).await;
        found.items.into_iter().map(|object| serde_json::to_value(object).unwrap()).collect()
    }

    /// Objects of a kind, in one namespace or in all (`""`): those that are there, then each change, without end: the API
    /// server ends a watch after minutes, and one that it is too busy for, and the next goes on where that was.
    pub fn watch(&self, kind: &str, namespace: &str) -> impl Stream<Item = Change> + use<> {
        let start = (self.api(Kind::named(kind), namespace), "0".to_owned(), None);
        stream::unfold(start, async |(api, mut version, mut events)| {
            loop {
                let mut told = match events.take() {
                    Some(events) => events,
                    None => match api.watch(&WatchParams::default(), &version).await {
                        Ok(events) => events.boxed(),
                        Err(error) => {
                            pause_after(&error).await;
                            continue;
                        }
                    },
                };
                let change = match told.next().await {
                    Some(Ok(event)) => Change::of(event, &mut version),
                    Some(Err(kube::Error::Api(refusal))) => panic!("{refusal:?}"),
                    Some(Err(_)) | None => continue,
                };
                if let Some(change) = change {
                    return Some((change, (api, version, Some(told))));
                }
                events = Some(told);
            }
        })
    }

    /// Merges this into an object.
    pub async fn merge(&self, kind: &str, namespace: &str, name: &str, change: Value) {
        let api = self.api(Kind::named(kind), namespace);
        api.patch(name, &PatchParams::default(), &Patch::Merge(&change)).await.unwrap();
    }

    /// Merges this into an object's status. What is gone by now has none.
    pub async fn merge_status(&self, kind: &str, namespace: &str, name: &str, status: Value) {
        let api = self.api(Kind::named(kind), namespace);
        let change = Patch::Merge(serde_json::json!({ "status": status }));
        let parameters = PatchParams::default();
        patiently(async || done(api.patch_status(name, &parameters, &change).await)).await;
    }

    /// Binds a Pod to a node. What is gone by now is bound to none.
    pub async fn bind(&self, namespace: &str, pod: &str, node: &str) {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/binding");
        let body = serde_json::json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": { "name": pod, "namespace": namespace },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node },
        });
        patiently(async || {
            let request = Request::post(&path).header("content-type", "application/json");
            let request = request.body(serde_json::to_vec(&body).unwrap()).unwrap();
            done(self.0.request::<Value>(request).await)
        })
        .await;
    }

    /// Deletes an object, if there is one; `grace` is that of a Pod, in seconds.
    pub async fn delete(&self, kind: &str, namespace: &str, name: &str, grace: Option<u32>) {
        let parameters = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
        let api = self.api(Kind::named(kind), namespace);
        patiently(async || done(api.delete(name, &parameters).await)).await;
    }

    fn api(&self, kind: &Kind, namespace: &str) -> Api<DynamicObject> {
        let (group, version) = kind.version.rsplit_once('/').unwrap_or(("", kind.version));
        let gvk = GroupVersionKind::gvk(group, version, kind.name);
        let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural);
        match namespace {
            namespace if kind.namespaced && !namespace.is_empty() => {
                Api::namespaced_with(self.0.clone(), namespace, &resource)
            }
            _ => Api::all_with(self.0.clone(), &resource),
        }
    }
}

/// What a watch tells.
pub enum Change {
    /// An object that is there, as it is now.
    Is(Value),
    /// One that is no longer there, as it was at the end.
    Was(Value),
}

impl Change {
    /// What an event says of an object, if it does. It moves on where a watch would begin again.
    fn of(event: WatchEvent<DynamicObject>, version: &mut String) -> Option<Self> {
        let (object, is_there) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, true),
            WatchEvent::Deleted(object) => (object, false),
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                return None;
            }
            WatchEvent::Error(error) => panic!("{error:?}"),
        };
        version.clone_from(object.metadata.resource_version.as_ref().unwrap());
        let json = serde_json::to_value(object).unwrap();
        Some(if is_there { Self::Is(json) } else { Self::Was(json) })
    }
}

/// Asks again for a while when the API server is too busy or a connection breaks; a busy machine does both.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, kube::Error>) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(found) => return found,
            Err(error) if start.elapsed() < REQUEST => pause_after(&error).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What is refused for good fails at once.
async fn pause_after(error: &kube::Error) {
    if let kube::Error::Api(refusal) = error {
        assert!(matches!(refusal.code, 429 | 500..), "{refusal:?}");
    }
    println!("the API server is asked again: {error}");
    sleep(Duration::from_millis(250)).await;
}

/// Another one may have deleted it in the meantime, or its namespace, or bound it: then there is nothing left to do.
fn done<T>(outcome: Result<T, kube::Error>) -> Result<(), kube::Error> {
    let is_done = |refusal: &kube::core::Status| {
        let ending = refusal.details.iter().flat_map(|details| &details.causes);
        let is_ending = ending.into_iter().any(|cause| cause.reason == "NamespaceTerminating");
        matches!(refusal.code, 404 | 409) || is_ending
    };
    match outcome {
        Err(kube::Error::Api(refusal)) if is_done(&refusal) => Ok(()),
        other => other.map(drop),
    }
}

/// The documents of a file of manifests.
pub fn documents(manifests: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifests).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// Looks until `look` finds something, and gives it. Fails with what was seen last.
pub async fn eventually<T>(
    within: Duration,
    what: &str,
    look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    eventually_every(LOOK, within, what, look).await
}

/// The same with this pause between two looks: one at hundreds of objects costs the API server as much as all else.
pub async fn eventually_every<T>(
    pause: Duration,
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > within => {
                panic!("{what}: not within {within:?}; seen last: {seen}")
            }
            Err(_) => sleep(pause).await,
        }
    }
}

/// A kind of object that the tests use.
struct Kind {
    name: &'static str,
    plural: &'static str,
    version: &'static str,
    namespaced: bool,
}

impl Kind {
    fn named(name: &str) -> &'static Self {
        KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no kind {name}"))
    }

    fn of(manifest: &Value) -> &'static Self {
        Self::named(manifest["kind"].as_str().unwrap())
    }
}

const KINDS: &[Kind] = &[
    cluster("Namespace", "namespaces", "v1"),
    cluster("Node", "nodes", "v1"),
    cluster("APIService", "apiservices", "apiregistration.k8s.io/v1"),
    cluster("ClusterTriggerAuthentication", "clustertriggerauthentications", "keda.sh/v1alpha1"),
    inside("Pod", "pods", "v1"),
    inside("Secret", "secrets", "v1"),
    inside("Service", "services", "v1"),
    inside("Event", "events", "v1"),
    inside("Deployment", "deployments", "apps/v1"),
    inside("Job", "jobs", "batch/v1"),
    inside("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling/v2"),
    inside("ScaledObject", "scaledobjects", "keda.sh/v1alpha1"),
    inside("ScaledJob", "scaledjobs", "keda.sh/v1alpha1"),
    inside("TriggerAuthentication", "triggerauthentications", "keda.sh/v1alpha1"),
];

const fn cluster(name: &'static str, plural: &'static str, version: &'static str) -> Kind {
    Kind { name, plural, version, namespaced: false }
}

const fn inside(name: &'static str, plural: &'static str, version: &'static str) -> Kind {
    Kind { name, plural, version, namespaced: true }
}
