//! A proxy on this machine that counts the bytes of every connection through it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

/// The longest request for a tunnel.
const LONGEST_REQUEST: usize = 8192;

/// Where a proxy leads.
#[derive(Clone, Copy)]
pub enum Target {
    /// To one server.
    Server(SocketAddr),
    /// Where each client asks to go, by `CONNECT`.
    Asked,
}

/// A counting proxy; it ends with the process.
pub struct Meter {
    /// Where it listens.
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    /// Where servers are, by name: each is looked up once, so that the DNS does not count.
    known: Mutex<BTreeMap<String, SocketAddr>>,
}

impl Meter {
    /// Starts a proxy on a free port.
    pub fn start(target: Target) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on a free port")?;
        let meter = Self {
            address: listener.local_addr()?,
            counts: Arc::default(),
        };
        let counts = Arc::clone(&meter.counts);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counts = Arc::clone(&counts);
                // A connection that breaks is the client's to report.
                thread::spawn(move || _ = serve(client, target, &counts));
            }
        });
        Ok(meter)
    }

    /// Gives the bytes that clients have sent and received since this was last asked.
    pub fn take(&self) -> (u64, u64) {
        (
            self.counts.sent.swap(0, Ordering::Relaxed),
            self.counts.received.swap(0, Ordering::Relaxed),
        )
    }
}

fn serve(mut client: TcpStream, target: Target, counts: &Counts) -> std::io::Result<()> {
    let server = match target {
        Target::Server(address) => TcpStream::connect(address)?,
        Target::Asked => {
            let Some(server) = asked(&mut client, counts)? else {
                return client.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
            };
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            server
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = (client.try_clone()?, client);
    let (from_server, to_server) = (server.try_clone()?, server);
    thread::scope(|scope| {
        scope.spawn(|| pump(from_client, to_server, &counts.sent));
        pump(from_server, to_client, &counts.received);
    });
    Ok(())
}

/// Reads a request for a tunnel and connects where it leads; nothing when it is something else.
fn asked(client: &mut TcpStream, counts: &Counts) -> std::io::Result<Option<TcpStream>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && request.len() < LONGEST_REQUEST {
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&request);
    let mut words = text.split(' ');
    match (words.next(), words.next()) {
        (Some("CONNECT"), Some(server)) => TcpStream::connect(counts.find(server)?).map(Some),
        _ => Ok(None),
    }
}

impl Counts {
    fn find(&self, server: &str) -> std::io::Result<SocketAddr> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = known.get(server) {
            return Ok(*address);
        }
        let mut found = server.to_socket_addrs()?;
        let address = found.next().ok_or(std::io::ErrorKind::NotFound)?;
        known.insert(server.into(), address);
        Ok(address)
    }
}

/// Copies to the end of a stream, and passes the end on.
fn pump(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        count.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers a connection's five bytes by seven, and ends.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.read_exact(&mut [0; 5]).unwrap();
                stream.write_all(b"goodbye").unwrap();
            }
        });
        address
    }

    fn talk(stream: &mut TcpStream) {
        stream.write_all(b"hello").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "goodbye");
    }

    #[test]
    fn bytes_to_one_server_are_counted_once() {
        let meter = Meter::start(Target::Server(server())).unwrap();
        talk(&mut TcpStream::connect(meter.address).unwrap());
        assert_eq!(meter.take(), (5, 7));
        assert_eq!(meter.take(), (0, 0));
    }

    #[test]
    fn a_tunnel_leads_where_it_is_asked_to() {
        let meter = Meter::start(Target::Asked).unwrap();
        let mut stream = TcpStream::connect(meter.address).unwrap();
        write!(stream, "CONNECT {} HTTP/1.1\r\n\r\n", server()).unwrap();
        let mut answer = [0; 19];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK\r\n\r\n");
        talk(&mut stream);
        assert_eq!(meter.take(), (5, 7));
        let mut stream = TcpStream::connect(meter.address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("400"), "{text}");
    }
}
