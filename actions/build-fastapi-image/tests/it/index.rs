//! A package index on the loopback interface: the simple repository API over a folder of wheels.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use oci_image::Digest;

/// A package index; it ends with the process.
pub(crate) struct Index {
    folder: PathBuf,
    address: SocketAddr,
}

impl Index {
    /// Serves the wheels in a folder.
    pub(crate) fn serve(folder: PathBuf) -> Self {
        fs_err::create_dir_all(&folder).expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = folder.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let folder = served.clone();
                std::thread::spawn(move || answer(client, &folder));
            }
        });
        Self { folder, address }
    }

    /// Gives the address, as uv takes it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/simple", self.address)
    }

    /// Adds a wheel, and remembers its digest: the index goes on to tell this one.
    pub(crate) fn add(&self, name: &str, bytes: &[u8]) {
        fs_err::write(self.folder.join(name), bytes).expect("a wheel");
        let digest = Digest::of(bytes);
        fs_err::write(self.folder.join(format!("{name}.sha256")), digest.hex())
            .expect("its digest");
    }

    /// Gives the digest of a wheel, as hexadecimal digits.
    pub(crate) fn digest(&self, name: &str) -> String {
        fs_err::read_to_string(self.folder.join(format!("{name}.sha256"))).expect("its digest")
    }

    /// Takes all wheels away: whoever asks for one from now on fails.
    pub(crate) fn close(&self) {
        fs_err::remove_dir_all(&self.folder).expect("the folder");
    }

    /// Takes the pages that list wheels away; the wheels stay where they are.
    pub(crate) fn forget_pages(&self) {
        for entry in fs_err::read_dir(&self.folder).expect("the folder") {
            let file = entry.expect("an entry").path();
            if file.extension().is_some_and(|end| end == "sha256") {
                fs_err::remove_file(file).expect("a digest");
            }
        }
    }

    /// Changes a wheel, behind the back of whoever knows its digest.
    pub(crate) fn tamper(&self, name: &str) {
        let file = self.folder.join(name);
        let mut bytes = fs_err::read(&file).expect("a wheel");
        // A comment at the end of the archive: it still unpacks.
        let end = bytes.len();
        bytes[end - 2] = 1;
        bytes.push(b'!');
        fs_err::write(&file, bytes).expect("a wheel");
    }
}

fn answer(mut client: TcpStream, folder: &Path) {
    let mut request = String::new();
    let mut reader = BufReader::new(client.try_clone().expect("the connection"));
    let _ = reader.read_line(&mut request);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let found = match path.split('/').collect::<Vec<_>>()[..] {
        ["", "simple", name, ""] => Some(("text/html", page(folder, name))),
        ["", "files", name] => fs_err::read(folder.join(name))
            .ok()
            .map(|bytes| ("application/octet-stream", bytes)),
        _ => None,
    };
    let (status, kind, body) = match found {
        Some((kind, body)) => ("200 OK", kind, body),
        None => ("404 Not Found", "text/plain", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let body = if request.starts_with("HEAD") {
        &[][..]
    } else {
        &body
    };
    let _ = client.write_all(head.as_bytes());
    let _ = client.write_all(body);
}

fn page(folder: &Path, name: &str) -> Vec<u8> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| {
        let file = entry.file_name().into_string().ok()?;
        let wheel = file.starts_with(&format!("{name}-"));
        // Only wheels have a digest beside them.
        let digest = fs_err::read_to_string(folder.join(format!("{file}.sha256"))).ok()?;
        wheel.then(|| format!("<a href=\"/files/{file}#sha256={digest}\">{file}</a>\n"))
    });
    let links: String = links.collect();
    format!("<!DOCTYPE html><html><body>\n{links}</body></html>").into_bytes()
}
