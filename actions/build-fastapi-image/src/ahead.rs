//! Reading ahead: one thread decompresses while another writes files.

use std::io::{self, Cursor, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// How many bytes are handed over at once.
const CHUNK: u64 = 256 << 10;
/// How many chunks wait at most.
const WAITING: usize = 16;

/// A reader whose bytes another thread has read before.
pub(crate) struct Ahead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: Cursor<Vec<u8>>,
}

impl Ahead {
    /// Starts to read. It ends with the bytes, with an error, or when nobody wants more.
    pub(crate) fn of(mut from: impl Read + Send + 'static) -> Self {
        let (send, chunks) = sync_channel(WAITING);
        thread::spawn(move || {
            loop {
                let mut chunk = Vec::with_capacity(usize::try_from(CHUNK).unwrap_or_default());
                let read = from.by_ref().take(CHUNK).read_to_end(&mut chunk);
                let more = matches!(read, Ok(1..));
                if send.send(read.map(|_| chunk)).is_err() || !more {
                    break;
                }
            }
        });
        Self {
            chunks,
            current: Cursor::default(),
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.current.read(into)?;
        if read > 0 || into.is_empty() {
            return Ok(read);
        }
        match self.chunks.recv() {
            Ok(chunk) => self.current = Cursor::new(chunk?),
            Err(_) => return Ok(0),
        }
        self.current.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_arrive_in_order() {
        let bytes: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
        for length in [0, 1, bytes.len()] {
            let mut found = Vec::new();
            let mut ahead = Ahead::of(Cursor::new(bytes[..length].to_vec()));
            ahead.read_to_end(&mut found).expect("the bytes");
            assert!(found == bytes[..length], "{length} bytes");
        }
    }

    #[test]
    fn an_error_is_no_end() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut found = Vec::new();
        let error = Ahead::of(io::repeat(7).take(10).chain(Broken))
            .read_to_end(&mut found)
            .expect_err("what comes after ten bytes");
        assert_eq!(error.to_string(), "broken");
    }
}
