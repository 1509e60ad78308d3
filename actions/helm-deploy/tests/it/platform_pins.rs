//! Charts from outside, held to a version and a digest.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;

use insta::assert_snapshot;
use plan::Digest;
use tempfile::TempDir;
use test_kit::{ApiServer, Step, tool};

use crate::cluster::{kubectl, without_server};
use crate::platform::{config_map, names, platform, with_chart};

/// Serves a folder until the tests end.
fn serve(folder: &Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let folder = folder.to_owned();
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = connection.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split_whitespace().nth(1).unwrap_or_default();
            let (status, body) = match fs_err::read(folder.join(path.trim_start_matches('/'))) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = connection.write_all(head.as_bytes());
            let _ = connection.write_all(&body);
        }
    });
    address
}

fn helm(folder: &Path, arguments: &[&str]) {
    let mut helm = Command::new(tool("helm", "helm"));
    let helm = helm.args(arguments).current_dir(folder);
    let output = helm.output().expect("helm starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes a repository of one chart in two versions; gives its address and the digests of both
/// archives.
fn repository(folder: &Path) -> (SocketAddr, [Digest; 2]) {
    let source = with_chart(Step::new("helm"), "outside", &config_map("'1'"));
    let chart = source.folder().join("deploy/outside").display().to_string();
    let digests = ["0.1.0", "0.2.0"].map(|version| {
        helm(folder, &["package", &chart, "--version", version]);
        let archive = folder.join(format!("outside-{version}.tgz"));
        Digest::of(fs_err::read(archive).expect("an archive"))
    });
    helm(folder, &["repo", "index", "."]);
    (serve(folder), digests)
}

#[test]
fn a_chart_from_outside_is_the_pinned_one_or_nothing_is_done() {
    let _server = ApiServer::shared();
    let folder = TempDir::new().expect("a folder");
    let (address, [digest, _]) = repository(folder.path());
    let space = "platform-pins";
    let run = |mode: &str, digest: &Digest| {
        let file = format!(
            "releases:\n- {{name: inside, namespace: {space}, chart: small}}\n- name: outside\n  namespace: {space}\n  chart: outside\n  repository: http://{address}\n  version: 0.1.0\n  digest: {digest}\n"
        );
        with_chart(platform(mode, &file), "small", &config_map("'1'")).run()
    };
    let other = Digest::of("another chart");
    let refused = |mode| {
        let refused = run(mode, &other);
        assert_eq!(refused.code, 3, "{}", refused.log);
        assert_eq!(refused.outputs["failure-reason"], "refused");
        without_server(&refused).replace(digest.as_str(), "sha256:FOUND")
    };
    let said = refused("apply");
    assert_snapshot!(said, @r#"
    exit status: 3
    ::error file=deploy/platform.yaml,line=8::`outside`: deploy/platform.yaml: the archive of chart `outside` 0.1.0 has the digest sha256:FOUND, pinned is sha256:2a66f59ef9377eddd836d4053358a2c4d78dd6764c35617ffd7aab2f923a5d76

    hint: somebody put another chart in its place: find out who and why before the digest is changed
    "#);
    assert_eq!(refused("plan"), said);
    assert!(!kubectl(&["get", "namespaces", "-o", "name"]).contains(space));
    let applied = run("apply", &digest);
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert_eq!(names(space, "configmaps"), "inside outside");
    assert_eq!(run("apply", &digest).outputs["outcome"], "unchanged");
}

#[test]
fn pins_are_written_and_the_rest_of_the_file_stays() {
    let folder = TempDir::new().expect("a folder");
    let (address, [first, second]) = repository(folder.path());
    let workspace = TempDir::new().expect("a workspace");
    let file = workspace.path().join("deploy/platform.yaml");
    let before = format!(
        "# Below — the application.\nreleases:\n- {{name: inside, namespace: x, chart: small}}\n- name: outside\n  namespace: x\n  chart: outside\n  repository: http://{address}\n  version: \"0.1.0\" # as tested\n  digest: unknown\n- {{name: again, namespace: x, chart: outside, repository: 'http://{address}', version: 0.1.0, digest: {first}}} # the same\n"
    );
    let run = |inputs: &[(&str, &str)]| {
        let step = platform("pin", "").workspace(workspace.path());
        let step = inputs
            .iter()
            .fold(step, |step, (name, value)| step.input(name, *value));
        let ran = step.run();
        let text = fs_err::read_to_string(&file).expect("the file");
        let text = text.replace(&address.to_string(), "ADDRESS");
        let text = text.replace(first.as_str(), "sha256:FIRST");
        (ran, text.replace(second.as_str(), "sha256:SECOND"))
    };
    fs_err::create_dir_all(workspace.path().join("deploy")).expect("a folder");
    fs_err::write(&file, &before).expect("the file");

    let refused = with_chart(platform("plan", &before), "small", "").run();
    assert_snapshot!(refused.log.trim(), @r#"
    ::error file=deploy/platform.yaml,line=9::deploy/platform.yaml: `unknown` is no digest: `sha256:` and 64 lower-case hexadecimal digits

    hint: what is reviewed must stay what is installed: write the version and `digest: unknown`, and `mode: pin` finds the digest
    "#);
    let (pinned, text) = run(&[]);
    assert_eq!(pinned.outputs["outcome"], "done", "{}", pinned.log);
    assert_snapshot!(text, @r#"
    # Below — the application.
    releases:
    - {name: inside, namespace: x, chart: small}
    - name: outside
      namespace: x
      chart: outside
      repository: http://ADDRESS
      version: "0.1.0" # as tested
      digest: sha256:FIRST
    - {name: again, namespace: x, chart: outside, repository: 'http://ADDRESS', version: 0.1.0, digest: sha256:FIRST} # the same
    "#);
    let (again, same) = run(&[]);
    assert_eq!(again.outputs["outcome"], "unchanged", "{}", again.log);
    assert_eq!(same, text);

    let (bumped, text) = run(&[("release", "outside"), ("chart-version", "0.2.0")]);
    assert_eq!(bumped.outputs["outcome"], "done", "{}", bumped.log);
    assert_snapshot!(text, @r#"
    # Below — the application.
    releases:
    - {name: inside, namespace: x, chart: small}
    - name: outside
      namespace: x
      chart: outside
      repository: http://ADDRESS
      version: "0.2.0" # as tested
      digest: sha256:SECOND
    - {name: again, namespace: x, chart: outside, repository: 'http://ADDRESS', version: 0.1.0, digest: sha256:FIRST} # the same
    "#);

    let (refused, same) = run(&[("chart-version", "0.1.0")]);
    assert_snapshot!(refused.log.trim(), @r#"
    ::error::`chart-version` is given, and no `release` whose chart it is a version of

    hint: name one `release` of the file, or leave `chart-version` out
    "#);
    let (absent, _) = run(&[("release", "inside")]);
    assert_snapshot!(absent.log.trim(), @r#"
    ::error file=deploy/platform.yaml::deploy/platform.yaml: no release `inside` has a chart from outside

    hint: name one whose `chart` is an `oci://` reference, or that has a `repository`
    "#);
    let (unknown, _) = run(&[("release", "again"), ("chart-version", "9.9.9")]);
    assert_eq!(unknown.code, 2, "{}", unknown.log);
    assert_eq!(same, text);
}
