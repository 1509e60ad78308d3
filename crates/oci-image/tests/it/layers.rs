//! Layers: order, owners, digests, and what is refused.

use std::io::{self, Read};

use oci_image::{Digest, Entries, LayerWriter, Level};

use crate::{listed, written};

fn entries(paths: &[&str]) -> Entries {
    let mut entries = Entries::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap_or_default();
        entries.file(path, 0o644, name).expect("a file");
    }
    entries
}

#[test]
fn the_order_of_adding_does_not_show() {
    let one = written(entries(&["/app/main.py", "/app/a/b.py", "/etc/x"]));
    let other = written(entries(&["etc/x", "./app/a/b.py", "app//main.py"]));
    assert_eq!(one, other);
}

#[test]
fn parents_come_first_and_nothing_tells_when_or_who() {
    let mut entries = Entries::new();
    entries
        .link("/bin", "usr/bin")
        .and_then(|entries| {
            entries
                .owner(65532, 65532)
                .file("/app/pkg/mod.py", 0o640, "x = 1\n")
        })
        .and_then(|entries| entries.owner(0, 0).folder("/tmp", 0o1777))
        .expect("entries");
    assert_eq!(
        listed(&written(entries).1),
        [
            "Directory 755 65532:65532 @0 app/",
            "Directory 755 65532:65532 @0 app/pkg/",
            "Regular 640 65532:65532 @0 app/pkg/mod.py",
            "Symlink 777 0:0 @0 bin -> usr/bin",
            "Directory 1777 0:0 @0 tmp/",
        ]
    );
}

#[test]
fn long_paths_and_long_links_survive() {
    let long = format!("app/{}/end.py", "deep/".repeat(60));
    let mut entries = entries(&[&long]);
    entries.link("/latest", &long).expect("a link");
    let listed = listed(&written(entries).1);
    assert!(listed.iter().any(|line| line.ends_with("deep/end.py")));
    assert!(
        listed
            .iter()
            .any(|line| line.ends_with(&format!("latest -> {long}")))
    );
}

/// Gives one byte a call, as a slow pipe might.
struct Slow<R>(R);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = buffer.len().min(1);
        self.0.read(&mut buffer[..end])
    }
}

#[test]
fn how_bytes_arrive_does_not_show() {
    let content: Vec<u8> = (0..200_000_u32)
        .flat_map(|number| {
            (number.wrapping_mul(2_654_435_761) >> 24)
                .to_string()
                .into_bytes()
        })
        .collect();
    let size = content.len() as u64;
    let mut at_once = Entries::new();
    at_once
        .file("data", 0o644, content.clone())
        .expect("a file");
    let mut in_drops = Entries::new();
    in_drops
        .file_from("data", 0o644, size, move || {
            Ok(Box::new(Slow(io::Cursor::new(content))))
        })
        .expect("a file");
    assert_eq!(written(at_once).0, written(in_drops).0);
}

#[test]
fn a_layer_knows_both_digests() {
    let (layer, bytes) = written(entries(&["a", "b"]));
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..])
        .read_to_end(&mut unpacked)
        .expect("gzip");
    assert_eq!(layer.digest, Digest::of(&bytes));
    assert_eq!(layer.size, bytes.len() as u64);
    assert_eq!(layer.diff_id, Digest::of(&unpacked));
}

#[test]
fn an_archive_is_normalised() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |kind: tar::EntryType, path: &str, link: Option<&str>, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o104_755);
        header.set_uid(101);
        header.set_gid(5);
        header.set_mtime(1_700_000_000);
        match link {
            Some(link) => archive.append_link(&mut header, path, link),
            None => archive.append_data(&mut header, path, content),
        }
        .expect("an entry");
    };
    add(tar::EntryType::Directory, "./", None, b"");
    add(tar::EntryType::Directory, "./usr/", None, b"");
    add(tar::EntryType::Regular, "./usr/su", None, b"su");
    add(tar::EntryType::Link, "./usr/su2", Some("./usr/su"), b"");
    add(tar::EntryType::Symlink, "./lib", Some("usr/lib"), b"");
    add(tar::EntryType::Char, "./dev/null", None, b"");
    add(tar::EntryType::Regular, "./usr/doc", None, b"left out");
    let archive = archive.into_inner().expect("an archive");

    let mut writer = LayerWriter::new(Vec::new(), Level::Fast);
    writer
        .append_archive(&archive[..], |path| path != "usr/doc")
        .expect("the archive");
    writer.append(entries(&["/usr/extra"])).expect("entries");
    let (_, bytes) = writer.finish().expect("a layer");
    assert_eq!(
        listed(&bytes),
        [
            "Directory 4755 101:5 @0 usr/",
            "Regular 4755 101:5 @0 usr/su",
            "Link 4755 101:5 @0 usr/su2 -> usr/su",
            "Symlink 4755 101:5 @0 lib -> usr/lib",
            "Regular 644 0:0 @0 usr/extra",
        ]
    );
}

#[test]
fn paths_that_cannot_be_are_refused() {
    let refusals = [
        (
            "../etc/passwd",
            "`../etc/passwd` is no path inside an image",
        ),
        ("/", "`/` is no path inside an image"),
        ("app/../../x", "`app/../../x` is no path inside an image"),
        (
            "app/main.py/x",
            "`app/main.py` is a file, so `app/main.py/x` cannot be below it",
        ),
        ("app", "`app` is a folder already"),
    ];
    for (path, expected) in refusals {
        let error = entries(&["app/main.py"])
            .file(path, 0o644, "")
            .map(|_| ())
            .expect_err(path);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_file_that_changed_its_length_is_refused() {
    let mut entries = Entries::new();
    entries
        .file_from("log", 0o644, 10, || Ok(Box::new(io::Cursor::new(b"four"))))
        .expect("a file");
    let mut writer = LayerWriter::new(Vec::new(), Level::Small);
    let error = writer.append(entries).map(|_| ()).expect_err("too short");
    assert_eq!(error.to_string(), "`log` has 4 bytes, 10 were announced");
}
