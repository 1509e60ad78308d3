//! The built-in charts, rendered by the real `helm` and checked by the real API server.

use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use test_kit::{ApiServer, tool};

const IMAGE: [&str; 2] = [
    "image.repository=registry.example.com/orders",
    "image.digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

fn helm(arguments: &[&str], chart: &str, sets: &[&str]) -> Result<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("charts")
        .join(chart);
    let mut command = std::process::Command::new(tool("helm", "helm"));
    command
        .args(arguments)
        .arg(folder)
        .args(["--kube-version", "1.35.0"]);
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().expect("helm starts");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

pub(crate) fn app(sets: &[&str]) -> Vec<Value> {
    let sets = [IMAGE.as_slice(), sets].concat();
    let text = helm(&["template", "orders"], "fastapi-app", &sets).expect("the chart renders");
    cluster::parse_manifests(&text, "the chart").expect("YAML")
}

/// Writes a value as YAML, whichever form `serde_json` keeps numbers in.
pub(crate) fn yaml(value: &Value) -> String {
    let value: serde_yaml::Value = serde_yaml::from_str(&value.to_string()).expect("YAML");
    serde_yaml::to_string(&value).expect("YAML")
}

fn kinds(objects: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = objects
        .iter()
        .filter_map(|object| object["kind"].as_str())
        .collect();
    kinds.sort_unstable();
    kinds
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects
        .iter()
        .find(|object| object["kind"] == kind)
        .expect("an object of the kind")
}

fn environment(objects: &[Value]) -> String {
    let env = &of_kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"];
    yaml(env)
}

#[test]
fn both_charts_pass_helm_s_own_checks() {
    let app = [IMAGE.as_slice(), &["ingress.host=orders.example.com"]].concat();
    helm(&["lint", "--strict"], "fastapi-app", &app).expect("fastapi-app");
    let database = [
        "name=orders-db",
        "team=orders",
        "database=orders",
        "role=orders",
    ];
    helm(&["lint", "--strict"], "fastapi-database", &database).expect("fastapi-database");
}

#[test]
fn the_operator_s_database_is_wired_by_reference() {
    let objects = app(&[
        "ingress.host=orders.example.com",
        "database.cluster.name=orders-db",
        "database.cluster.database=orders",
        "database.cluster.role=order_writer",
    ]);
    assert_snapshot!(kinds(&objects).join(" "), @"Deployment HorizontalPodAutoscaler IngressRoute NetworkPolicy PodDisruptionBudget Service ServiceAccount");
    assert_snapshot!(environment(&objects), @r#"
    - name: PORT
      value: '8000'
    - name: LOG_LEVEL
      value: info
    - name: DATABASE_USER
      valueFrom:
        secretKeyRef:
          key: username
          name: order-writer.orders-db.credentials.postgresql.acid.zalan.do
    - name: DATABASE_PASSWORD
      valueFrom:
        secretKeyRef:
          key: password
          name: order-writer.orders-db.credentials.postgresql.acid.zalan.do
    - name: DATABASE_URL
      value: postgresql+asyncpg://$(DATABASE_USER):$(DATABASE_PASSWORD)@orders-db:5432/orders
    - name: DATABASE_URL_RO
      value: postgresql+asyncpg://$(DATABASE_USER):$(DATABASE_PASSWORD)@orders-db-repl:5432/orders
    - name: DATABASE_SSL
      value: require
    "#);
}

#[test]
fn urls_may_come_from_secrets_of_others() {
    let read_write = [
        "ingress.enabled=false",
        "database.secrets.readWrite.name=rds",
        "database.secrets.readWrite.key=url",
    ];
    let objects = app(&read_write);
    assert_snapshot!(environment(&objects), @r#"
    - name: PORT
      value: '8000'
    - name: LOG_LEVEL
      value: info
    - name: DATABASE_URL
      valueFrom:
        secretKeyRef:
          key: url
          name: rds
    - name: DATABASE_URL_RO
      valueFrom:
        secretKeyRef:
          key: url
          name: rds
    - name: DATABASE_SSL
      value: require
    "#);
}

#[test]
fn the_ingress_may_be_the_standard_one() {
    let objects = app(&[
        "ingress.host=orders.example.com",
        "ingress.kind=Ingress",
        "ingress.tlsSecretName=tls",
        "serviceMonitor.enabled=true",
        "autoscaling.enabled=false",
    ]);
    assert_snapshot!(kinds(&objects).join(" "), @"Deployment Ingress NetworkPolicy PodDisruptionBudget Service ServiceAccount ServiceMonitor");
    assert_snapshot!(yaml(&of_kind(&objects, "Ingress")["spec"]), @r#"
    ingressClassName: traefik
    rules:
    - host: orders.example.com
      http:
        paths:
        - backend:
            service:
              name: orders
              port:
                name: http
          path: /
          pathType: Prefix
    tls:
    - hosts:
      - orders.example.com
      secretName: tls
    "#);
    assert_eq!(of_kind(&objects, "Deployment")["spec"]["replicas"], 3);
}

#[test]
fn an_autoscaler_owns_the_number_of_pods() {
    let objects = app(&["ingress.enabled=false"]);
    assert_eq!(
        of_kind(&objects, "Deployment")["spec"].get("replicas"),
        None
    );
    assert_eq!(
        of_kind(&objects, "HorizontalPodAutoscaler")["spec"]["minReplicas"],
        3
    );
}

#[test]
fn pods_are_held_to_the_restricted_standard_and_lose_no_request() {
    let objects = app(&["ingress.enabled=false"]);
    let deployment = of_kind(&objects, "Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_snapshot!(yaml(&deployment["spec"]["strategy"]), @r#"
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
    type: RollingUpdate
    "#);
    assert_snapshot!(yaml(&pod["securityContext"]), @r#"
    fsGroup: 65532
    runAsGroup: 65532
    runAsNonRoot: true
    runAsUser: 65532
    seccompProfile:
      type: RuntimeDefault
    "#);
    assert_snapshot!(yaml(&pod["containers"][0]["securityContext"]), @r#"
    allowPrivilegeEscalation: false
    capabilities:
      drop:
      - ALL
    readOnlyRootFilesystem: true
    "#);
    assert_snapshot!(yaml(&pod["containers"][0]["lifecycle"]), @r#"
    preStop:
      sleep:
        seconds: 10
    "#);
}

#[test]
fn every_object_is_accepted_by_the_api_server() {
    let server = ApiServer::shared();
    let sets = [
        IMAGE.as_slice(),
        &[
            "ingress.host=orders.example.com",
            "ingress.kind=Ingress",
            "database.cluster.name=orders-db",
            "database.cluster.database=orders",
            "database.cluster.role=orders",
        ],
    ]
    .concat();
    let text = helm(&["template", "orders"], "fastapi-app", &sets).expect("the chart renders");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("manifest.yaml");
    fs_err::write(&file, text).expect("a file");
    // The API server's own rules, pod security included: a warning is a failure here.
    let _ = server.kubectl(&[
        "label",
        "--overwrite",
        "namespace",
        "default",
        "pod-security.kubernetes.io/enforce=restricted",
    ]);
    let _ = server.kubectl(&[
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--warnings-as-errors",
        "--filename",
        &file.display().to_string(),
    ]);
}

#[test]
fn what_cannot_work_is_refused_with_words() {
    let refuse = |chart: &str, sets: &[&str]| {
        let text = helm(&["template", "orders"], chart, sets).expect_err("the values are wrong");
        let text = text
            .trim()
            .rsplit_once("): ")
            .map_or(text.trim(), |(_, words)| words)
            .to_owned();
        text.rsplit_once("fail: ")
            .map_or(text.clone(), |(_, words)| words.to_owned())
    };
    let with_image = |sets: &[&'static str]| [IMAGE.as_slice(), sets].concat();
    let words = [
        refuse("fastapi-app", &[]),
        refuse(
            "fastapi-app",
            &["image.repository=registry.example.com/orders"],
        ),
        refuse("fastapi-app", &with_image(&[])),
        refuse(
            "fastapi-app",
            &with_image(&["ingress.enabled=false", "shutdown.graceSeconds=5"]),
        ),
        refuse(
            "fastapi-app",
            &with_image(&["ingress.enabled=false", "autoscaling.minReplicas=20"]),
        ),
        refuse(
            "fastapi-app",
            &with_image(&["ingress.enabled=false", "database.cluster.name=x"]),
        ),
        refuse("fastapi-database", &["team=orders"]),
        refuse(
            "fastapi-database",
            &["team=shop", "database=orders", "role=orders"],
        ),
    ];
    assert_snapshot!(words.join("\n"), @r#"
    ingress.host is empty: set the name that the application answers to, or ingress.enabled=false

    Use --debug flag to render out invalid YAML
    ingress.host is empty: set the name that the application answers to, or ingress.enabled=false

    Use --debug flag to render out invalid YAML
    ingress.host is empty: set the name that the application answers to, or ingress.enabled=false

    Use --debug flag to render out invalid YAML
    shutdown.graceSeconds must be longer than shutdown.preStopSeconds: the application has only the rest of it to finish its requests

    Use --debug flag to render out invalid YAML
    autoscaling.minReplicas is larger than autoscaling.maxReplicas

    Use --debug flag to render out invalid YAML
    database.cluster needs name, database and role

    Use --debug flag to render out invalid YAML
    database is empty: a database needs team, database and role

    Use --debug flag to render out invalid YAML
    the cluster's name `orders` must begin with its team's: `shop-...` (set `name`, or name the release so)

    Use --debug flag to render out invalid YAML
    "#);
}

#[test]
fn the_database_survives_its_release_unless_asked() {
    let sets = [
        "name=orders-db",
        "team=orders",
        "database=orders",
        "role=orders",
    ];
    let render = |more: &[&'static str]| {
        let sets = [sets.as_slice(), more].concat();
        helm(&["template", "orders-db"], "fastapi-database", &sets).expect("the chart renders")
    };
    assert_snapshot!(render(&[]), @r#"
    ---
    # Source: fastapi-database/templates/postgresql.yaml
    apiVersion: acid.zalan.do/v1
    kind: postgresql
    metadata:
      name: orders-db
      labels:
        team: orders
        app.kubernetes.io/name: orders-db
        app.kubernetes.io/instance: orders-db
        app.kubernetes.io/managed-by: Helm
        helm.sh/chart: fastapi-database-0.1.0
      annotations:
        helm.sh/resource-policy: keep
    spec:
      teamId: orders
      numberOfInstances: 3
      postgresql:
        version: "18"
        parameters:
          log_statement: none
          max_connections: "100"
          password_encryption: scram-sha-256
      patroni:
        synchronous_mode: true
        synchronous_mode_strict: false
        ttl: 20
        loop_wait: 5
        retry_timeout: 5
      users:
        orders: []
      databases:
        orders: orders
      volume:
        size: 10Gi
      resources:
        limits:
          memory: 1Gi
        requests:
          cpu: 250m
          memory: 512Mi
    "#);
    assert!(!render(&["deleteData=true"]).contains("resource-policy"));
}
