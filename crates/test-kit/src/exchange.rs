//! One HTTP request and its answer, as far as a proxy in front of a registry needs to know them.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A request that has come as far as its head, or whole.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
    /// The length of the body that was announced.
    pub(crate) length: usize,
    pub(crate) body: Vec<u8>,
    head: usize,
}

/// An answer. Its body is shorter than its header says when the request was for the head only.
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Looks at the head of a request without taking it; nothing when the client is gone.
    pub(crate) fn peek(client: &TcpStream) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut bytes = vec![0; 1 << 15];
        loop {
            let size = client.peek(&mut bytes)?;
            if let Some(end) = end_of_head(&bytes[..size]) {
                return Ok(Self::parse(&bytes[..end]));
            }
            if size == 0 || Instant::now() > deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ');
        let headers: Vec<String> = lines
            .filter(|line| !line.is_empty())
            .map(String::from)
            .collect();
        Some(Self {
            method: words.next()?.into(),
            path: words.next()?.into(),
            length: find(&headers, "Content-Length")
                .and_then(|length| length.parse().ok())
                .unwrap_or_default(),
            headers,
            body: Vec::new(),
            head: head.len(),
        })
    }

    /// Takes the head and some of the body.
    pub(crate) fn read(&mut self, client: &mut TcpStream, length: usize) -> io::Result<()> {
        client.read_exact(&mut vec![0; self.head])?;
        self.body = vec![0; length];
        client.read_exact(&mut self.body)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Writes the head of an answer whose body has a length.
    pub(crate) fn head(&self, length: usize) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {}\r\n", self.status);
        for header in &self.headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if self.header("Content-Length").is_none() {
            let _ = write!(text, "Content-Length: {length}\r\n");
        }
        text.push_str("Connection: close\r\n\r\n");
        text.into_bytes()
    }
}

/// Sends a request to a server and reads the whole answer.
pub(crate) fn send(server: SocketAddr, request: &Request) -> io::Result<Answer> {
    let mut upstream = TcpStream::connect(server)?;
    // The older version has no chunks, and the connection ends with the answer.
    let mut head = format!("{} {} HTTP/1.0\r\n", request.method, request.path);
    for header in &request.headers {
        let name = header.split(':').next().unwrap_or_default();
        if !["connection", "content-length"].contains(&name.to_lowercase().as_str()) {
            head.push_str(header);
            head.push_str("\r\n");
        }
    }
    let _ = write!(head, "Content-Length: {}\r\n\r\n", request.body.len());
    upstream.write_all(head.as_bytes())?;
    upstream.write_all(&request.body)?;
    let mut bytes = Vec::new();
    upstream.read_to_end(&mut bytes)?;
    let end = end_of_head(&bytes).ok_or_else(|| io::Error::other("no answer"))?;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split_once(' '));
    Ok(Answer {
        status: status.map(|(_, status)| status.into()).unwrap_or_default(),
        headers: lines
            .filter(|line| !line.is_empty() && !line.to_lowercase().starts_with("connection:"))
            .map(String::from)
            .collect(),
        body: bytes[end..].to_vec(),
    })
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut windows = bytes.windows(4);
    windows
        .position(|four| four == b"\r\n\r\n")
        .map(|start| start + 4)
}

fn find<'a>(headers: &'a [String], name: &str) -> Option<&'a str> {
    headers.iter().find_map(|header| {
        let (found, value) = header.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
