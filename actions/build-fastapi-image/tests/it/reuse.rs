//! What an earlier image spares the next build, for one platform and for two.

use oci_image::{Image, Platform};
use oci_registry::{Access, Published, Registry, reference};
use serde_json::Value;
use test_kit::{Finished, RegistryServer, Step};

use crate::base::base;
use crate::project::Project;

/// A registry that holds the base image.
pub(crate) struct Shop {
    pub(crate) server: RegistryServer,
    pub(crate) registry: Registry,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let server = RegistryServer::start();
        let access = Access::default().plain_http([server.address.to_string()]);
        let registry = Registry::connect(access).expect("a client");
        let shop = Self { server, registry };
        let images = base().images();
        let index = oci_image::Index::of(&images);
        let name = reference(&shop.base()).expect("a reference");
        shop.registry
            .push_all(&images, Some(&index), &base().blobs(), &name)
            .await
            .expect("the base image");
        let kind = &index.value().media_type;
        shop.registry
            .tag_document(index.bytes(), kind, &name)
            .await
            .expect("its tag");
        shop
    }

    pub(crate) fn base(&self) -> String {
        format!("{}/library/python:slim", self.server.address)
    }

    /// Builds on a machine that has nothing.
    pub(crate) fn build(&self, project: &Project, inputs: &[(&str, &str)]) -> Finished {
        let step = inputs
            .iter()
            .fold(self.step(project), |step, (name, value)| {
                step.input(name, *value)
            });
        step.run()
    }

    /// Prepares a step that builds on the base image and pushes.
    fn step(&self, project: &Project) -> Step {
        let host = self.server.address.to_string();
        project
            .bare_step()
            .input("base-image", self.base())
            .input("image", format!("{host}/acme/shop"))
            .input("plain-http", host)
    }

    pub(crate) fn built(&self, project: &Project, inputs: &[(&str, &str)]) -> Value {
        let finished = self.build(project, inputs);
        assert_eq!(finished.code, 0, "{}", finished.log);
        finished.report.expect("a report")
    }

    pub(crate) async fn published(&self, image: &Value) -> Published {
        let name = image.as_str().expect("a reference");
        let name = reference(name).expect("a reference");
        let found = self.registry.published(&name).await.expect("an answer");
        found.expect("an image")
    }
}

/// Says which layers were made rather than reused.
fn made(report: &Value) -> Vec<&str> {
    let layers = report["layers"].as_array().expect("layers");
    layers
        .iter()
        .filter(|layer| layer["reused"] == false && layer["holds"] != "base image")
        .map(|layer| layer["holds"].as_str().expect("a name"))
        .collect()
}

#[tokio::test]
async fn what_did_not_change_is_not_downloaded_made_or_sent() {
    let shop = Shop::open().await;
    let first = Project::new("shop");
    let whole = shop.built(&first, &[]);
    assert!(whole["sent"].as_u64().expect("a number") > 0);

    // Another checkout, and nothing of the first machine: neither wheels nor the base image.
    let second = Project::new("elsewhere");
    second.index.close();
    let again = shop.built(&second, &[]);
    assert_eq!(again["digest"], whole["digest"]);
    assert_eq!(made(&again), Vec::<&str>::new());
    assert_eq!(again["changes"][0]["layers"], 0);
    let documents = again["sent"].as_u64().expect("a number");

    second.write("shop/prices.py", "PRICES = {'tea': 4, 'cake': 5}\n");
    let line = shop.built(&second, &[]);
    assert_eq!(made(&line), ["application"]);
    assert_eq!(
        line["changes"][0]["causes"],
        serde_json::json!(["application"])
    );
    let sent = line["sent"].as_u64().expect("a number") - documents;
    assert!(sent < 10_000, "{sent} bytes for one line");
}

#[tokio::test]
async fn a_new_version_makes_one_layer() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    shop.built(&project, &[]);
    project.wheel("uvicorn", "0.41.0", "py3-none-any");
    project.depends(&["fastapi>=1", "uvicorn>=0.41"]);
    project.lock();
    let finished = shop.build(&project, &[]);
    let report = finished.report.expect("a report");
    let made = made(&report);
    assert_eq!(
        made.len(),
        2,
        "{made:?}: that of the package, and `pyproject.toml`"
    );
    let causes = report["changes"][0]["causes"].to_string();
    assert!(causes.contains("uvicorn 0.40.0 → 0.41.0"), "{causes}");
    assert!(
        finished.log.contains("uvicorn 0.40.0 → 0.41.0"),
        "{}",
        finished.log
    );
}

#[tokio::test]
async fn platforms_share_what_is_pure() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    let python = base().tag();
    for machine in ["x86_64", "aarch64"] {
        let tag = format!("{python}-{python}-manylinux_2_28_{machine}");
        project.wheel("native", "2.0", &tag);
    }
    project.depends(&["fastapi>=1", "uvicorn", "native"]);
    project.lock();
    let report = shop.built(
        &project,
        &[("platforms", "linux/amd64\nlinux/arm64"), ("tags", "1.0")],
    );
    let found = shop.published(&report["image"]).await;
    assert_eq!(found.digest.as_str(), report["digest"]);
    let [amd, arm] = &found.images[..] else {
        panic!("{:?}", found.images)
    };
    assert_eq!(amd.platform(), Platform::linux_amd64());
    assert_eq!(arm.platform().architecture, "arm64");
    let named = |image: &Image| {
        let history = image.config().value().history.clone();
        let names = history.into_iter().filter_map(|entry| entry.created_by);
        let layers = image.layers().map(|layer| layer.digest);
        names.zip(layers).collect::<Vec<_>>()
    };
    for ((name, amd), (other, arm)) in named(amd).into_iter().zip(named(arm)) {
        assert_eq!(name, other);
        assert_eq!(amd == arm, !name.starts_with("platform"), "{name}");
    }
    // Again, and with one platform only: what is there is found by its inputs.
    let again = shop.built(&project, &[("platforms", "linux/arm64")]);
    assert_eq!(again["digest"], arm.digest().as_str());
    assert_eq!(made(&again), Vec::<&str>::new());
}

#[tokio::test]
async fn a_tag_that_must_not_move_stays_where_it_is() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    let tags = [("tags", "1.0"), ("immutable-tags", "true")];
    let first = shop.built(&project, &tags);
    assert_eq!(shop.built(&project, &tags)["digest"], first["digest"]);
    project.write("shop/prices.py", "PRICES = {}\n");
    let refused = shop.build(&project, &tags);
    assert_eq!(refused.code, 3, "{}", refused.log);
    assert!(
        refused.log.contains("tag `1.0` means `sha256:"),
        "{}",
        refused.log
    );
    let tagged = format!("{}/acme/shop:1.0", shop.server.address);
    let found = shop.published(&Value::String(tagged)).await;
    assert_eq!(found.digest.as_str(), first["digest"]);
}

#[tokio::test]
async fn an_image_over_its_budget_is_not_pushed() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    let refused = shop.build(&project, &[("size-budget", "10kB"), ("tags", "1.0")]);
    assert_eq!(refused.code, 1, "{}", refused.log);
    assert!(
        refused
            .log
            .contains("`size-budget` is 10.0 kB; the largest layers are base image"),
        "{}",
        refused.log
    );
    assert_eq!(shop.server.chosen_tags("acme/shop"), Vec::<String>::new());
}

#[tokio::test]
async fn a_plan_says_what_is_there_already() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    shop.built(&project, &[]);
    project.write("shop/prices.py", "PRICES = {}\n");
    let planned = shop.build(&project, &[("mode", "plan")]);
    assert_eq!(planned.outputs["outcome"], "planned", "{}", planned.log);
    let report = planned.report.expect("a report");
    assert_eq!(report["changes"][0]["layers"], 1);
    assert_eq!(shop.server.chosen_tags("acme/shop"), ["cache"]);
}

#[tokio::test]
async fn a_laptop_keeps_the_base_image() {
    let shop = Shop::open().await;
    let project = Project::new("shop");
    let cache = project.workspace().join("kept");
    let kept = cache.join("fastapi-eks-actions/base-images");
    let base = base().images()[0].size();
    let builds = std::cell::Cell::new(0);
    let received = |on_a_laptop: bool| {
        builds.set(builds.get() + 1);
        let version = format!("0.{}.0", 40 + builds.get());
        project.wheel("uvicorn", &version, "py3-none-any");
        project.depends(&["fastapi>=1", &format!("uvicorn=={version}")]);
        project.lock();
        let step = shop
            .step(&project)
            .env("XDG_CACHE_HOME", cache.display().to_string());
        let step = step.input("format", "json");
        let step = if on_a_laptop {
            step.on_a_laptop()
        } else {
            step
        };
        let finished = step.run();
        assert_eq!(finished.code, 0, "{}", finished.log);
        let report = finished
            .report
            .or(serde_json::from_str(&finished.stdout).ok());
        let report = report.expect("a report");
        assert!(!made(&report).is_empty());
        report["received"].as_u64().expect("a number")
    };
    assert!(received(false) > base, "a runner downloads it");
    assert!(!kept.exists(), "a runner keeps nothing");
    assert!(received(true) > base, "so does a laptop at first");
    assert!(received(true) < base / 2, "it is there now");

    // What is kept and damaged is not used.
    let files: Vec<_> = fs_err::read_dir(&kept).expect("what is kept").collect();
    let [Ok(file)] = &files[..] else {
        panic!("{files:?}")
    };
    fs_err::write(file.path(), "damaged").expect("a file");
    assert!(received(true) > base, "it was damaged");
    assert!(received(true) < base / 2, "it is there again");
}
