//! The application's image in other hands: programs that know nothing of this project read it, and
//! it runs on its own, locked down, until it is told to end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use action_kit::Command;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::alone::Alone;
use crate::context::Context;
use crate::step::{Outcome, Step};
use crate::steps::registry;

/// The processors that the image is for, as OCI names them, with their numbers in a program's
/// header (ELF, `e_machine`).
const PROCESSORS: [(&str, u16); 2] = [("amd64", 62), ("arm64", 183)];
/// How long the application may take to end, which is more than `graceful-shutdown-seconds`.
const END: Duration = Duration::from_secs(30);
/// An exit status that says that a program ended on being told to: 0, or by the signal itself.
const TOLD: [i32; 2] = [0, 143];

pub fn step() -> Step {
    Step {
        name: "readers",
        about: "have other programs read the image, and run it alone",
        cold: Duration::from_secs(30),
        warm: Duration::from_secs(25),
        run,
    }
}

fn run(cx: &Context) -> Result<Outcome> {
    let image = cx.fact("application", "image")?;
    let image = image.as_str().context("the application's image")?;
    // The readers run on the machine, which has another name for the registry.
    let remote = image.replacen(&registry::name(), &registry::address(cx), 1);
    validate(cx, &remote)?;
    let platforms = inspect(cx, &remote)?;
    let programs = programs(cx, &remote)?;
    let end = end(cx, image)?;
    let real = format!(
        "crane and skopeo accept every byte, {} programs and libraries are each for their processor, \
         SIGTERM answers what is in flight",
        programs.iter().map(|(_, count)| count).sum::<usize>()
    );
    Ok(Outcome::new(real)
        .fact("platforms", platforms)
        .fact("programs", programs)
        .fact("end", end))
}

fn crane(cx: &Context, words: &[&str]) -> Result<Command> {
    Ok(Command::new(cx.tool("crane")?)
        .args(["--insecure"])
        .args(words))
}

/// Has crane check every manifest, layer and digest of the image and of its platforms.
fn validate(cx: &Context, remote: &str) -> Result<()> {
    let said = cx.output(&crane(cx, &["validate", "--remote", remote])?)?;
    if said != format!("PASS: {remote}") {
        bail!("crane does not accept `{remote}`: {said}");
    }
    Ok(())
}

/// Has skopeo say what the image is, and copy all of it to a layout, which checks each digest.
fn inspect(cx: &Context, remote: &str) -> Result<Vec<Value>> {
    let name = format!("docker://{remote}");
    let mut platforms = Vec::new();
    for (architecture, _) in PROCESSORS {
        let skopeo = Command::new("skopeo").args([
            "--override-os",
            "linux",
            "--override-arch",
            architecture,
            "inspect",
            "--tls-verify=false",
            &name,
        ]);
        let about: Value = serde_json::from_str(&cx.output(&skopeo)?)?;
        if about["Architecture"] != architecture {
            bail!("skopeo sees {} for {architecture}", about["Architecture"]);
        }
        platforms.push(json!({
            "architecture": architecture,
            "layers": about["Layers"].as_array().map(Vec::len),
            "labels": about["Labels"],
        }));
    }
    let folder = cx.folder.join("copied-by-skopeo");
    let copy = Command::new("skopeo")
        .args([
            "--insecure-policy",
            "copy",
            "--all",
            "--src-tls-verify=false",
        ])
        .args(["--quiet", &name])
        .arg(format!("oci:{}", folder.display()));
    let copied = cx.run(&copy);
    if folder.exists() {
        fs_err::remove_dir_all(&folder)?;
    }
    copied?;
    Ok(platforms)
}

/// Counts the programs and libraries in each platform's tree, as crane flattens it; one that is
/// for another processor is an error.
fn programs(cx: &Context, remote: &str) -> Result<Vec<(&'static str, usize)>> {
    let file = cx.folder.join("tree.tar");
    let mut counts = Vec::new();
    for (architecture, machine) in PROCESSORS {
        let platform = format!("linux/{architecture}");
        let export = crane(cx, &["export", "--platform", &platform, remote])?.arg(&file);
        cx.run(&export)?;
        let machines = machines(std::io::BufReader::new(fs_err::File::open(&file)?))?;
        fs_err::remove_file(&file)?;
        let other = machines.iter().find(|(_, found)| *found != machine);
        if let Some((path, found)) = other {
            bail!("the tree for {platform} holds `{path}` for the processor {found}");
        }
        if machines.is_empty() {
            bail!("the tree for {platform} holds no program");
        }
        counts.push((architecture, machines.len()));
    }
    Ok(counts)
}

/// Lists the programs and libraries (ELF) of an archive, each with the number of its processor.
fn machines(archive: impl Read) -> Result<Vec<(String, u16)>> {
    let mut found = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let entry = entry?;
        let path = entry.path()?.display().to_string();
        let mut head = Vec::new();
        entry.take(20).read_to_end(&mut head)?;
        if let Some(machine) = machine(&head) {
            found.push((path, machine));
        }
    }
    Ok(found)
}

/// Reads the processor from the first 20 bytes of a file, when it is a program: byte 5 tells the
/// order of bytes, 18 and 19 hold the number (System V ABI, "ELF Header").
fn machine(head: &[u8]) -> Option<u16> {
    let [0x7f, b'E', b'L', b'F', _, order, .., low, high] = *head else {
        return None;
    };
    let bytes = [low, high];
    (head.len() == 20).then(|| match order {
        2 => u16::from_be_bytes(bytes),
        _ => u16::from_le_bytes(bytes),
    })
}

/// Runs the image alone and ends it while a request is in flight: the request is answered, no other
/// one is taken, and the process ends by itself.
fn end(cx: &Context, image: &str) -> Result<Value> {
    let variables = [
        "DATABASE_URL=postgresql://orders@database.example.test/orders",
        "SHUTDOWN_DRAIN_SECONDS=0",
    ];
    let alone = Alone::start(cx, "readers", image, &variables, "/healthz")?;
    let user = alone.inspect()?["Config"]["User"].clone();
    if user
        .as_str()
        .is_none_or(|user| user.starts_with(['0', 'r']))
    {
        bail!("`{image}` runs as `{user}`");
    }
    let body = r#"{"lines": []}"#;
    let mut request = TcpStream::connect(&alone.address)?;
    request.set_read_timeout(Some(END))?;
    write!(
        request,
        "POST /orders HTTP/1.1\r\nHost: orders\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        body.len(),
        &body[..5]
    )?;
    // The server has read the head before it is told to end: it answers others meanwhile.
    alone.get("/healthz")?;
    let told = Instant::now();
    alone.signal("TERM")?;
    cx.eventually(
        "it takes no new request",
        END,
        || match TcpStream::connect(&alone.address) {
            Ok(_) => bail!("it still does"),
            Err(_) => Ok(()),
        },
    )?;
    request.write_all(&body.as_bytes()[5..])?;
    let mut answer = String::new();
    request.read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default().to_owned();
    if !status.contains(" 422 ") || !answer.contains("customer") {
        bail!("the request in flight was answered `{answer}`");
    }
    let code = alone.wait()?;
    let seconds = told.elapsed().as_secs_f64();
    if !TOLD.contains(&code) || told.elapsed() > END {
        bail!(
            "it ended with {code} after {seconds:.1} s:\n{}",
            alone.log()
        );
    }
    cx.progress(format!(
        "told to end, it answered `{status}` and ended with {code} after {seconds:.1} s"
    ));
    Ok(json!({ "user": user, "in-flight": status, "exit-status": code, "seconds": seconds }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_header() {
        let elf = |order: u8, machine: [u8; 2]| {
            let mut head = [0x7f, b'E', b'L', b'F', 2, order].to_vec();
            head.resize(18, 0);
            head.extend(machine);
            head
        };
        assert_eq!(machine(&elf(1, [183, 0])), Some(183));
        assert_eq!(machine(&elf(2, [0, 22])), Some(22));
        assert_eq!(machine(&elf(1, [62, 0])[..18]), None);
        assert_eq!(machine(b"#!/bin/sh\nexec python\n"), None);
        assert_eq!(machine(b""), None);
    }

    #[test]
    fn an_archive_is_searched_for_programs() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut program = [0x7f, b'E', b'L', b'F', 2, 1].to_vec();
        program.resize(18, 0);
        program.extend([62, 0, 1, 2, 3]);
        for (path, bytes) in [("bin/tool", &program[..]), ("bin/script", b"#!/bin/sh\n")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, path, bytes).unwrap();
        }
        let bytes = archive.into_inner().unwrap();
        assert_eq!(machines(&bytes[..]).unwrap(), [("bin/tool".into(), 62)]);
    }
}
