//! A small real HTTP server: one answer for each path, and what was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is asked: method, path with query, `Host`, `Authorization`, body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) host: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

type Answer = dyn Fn(&Asked, usize) -> (u16, Vec<u8>);

/// A server that runs as long as the test's process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Starts a server that answers with a status and a JSON body; it gets the request and how
    /// many came before it.
    pub(crate) fn start(
        answer: impl Fn(&Asked, usize) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        Self::of_bytes(move |asked, before| {
            let (status, body) = answer(asked, before);
            (status, body.into_bytes())
        })
    }

    /// Starts a server whose bodies are, where they are no UTF-8, HTML in an old encoding.
    pub(crate) fn of_bytes(
        answer: impl Fn(&Asked, usize) -> (u16, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the port");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream, &seen, &*answer));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the requests").clone()
    }
}

fn serve(stream: &TcpStream, seen: &Mutex<Vec<Asked>>, answer: &Answer) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        let before = {
            let mut seen = seen.lock().expect("the requests");
            seen.push(asked.clone());
            seen.len() - 1
        };
        let (status, body) = answer(&asked, before);
        let content = match std::str::from_utf8(&body) {
            Ok(_) => "application/json",
            Err(_) => "text/html; charset=windows-1252",
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {content}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        if stream
            .write_all(&[head.into_bytes(), body].concat())
            .is_err()
        {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut asked = Asked::default();
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    asked.line = line.trim_end().replace(" HTTP/1.1", "");
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_lowercase().as_str() {
            "host" => asked.host = value.into(),
            "authorization" => asked.authorization = value.into(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}
