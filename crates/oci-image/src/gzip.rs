//! Compression in the form of gzip (RFC 1952): members one after the other, each of a block of one
//! size. What comes out depends on the bytes and the level alone, neither on the machine nor on how
//! many bytes were given at once.

use std::io::{self, Write};

use libdeflater::{CompressionLvl, Compressor};

/// How many bytes a member holds; the last one may hold fewer. Members of the double size make a
/// layer a thousandth smaller.
const BLOCK: usize = 1 << 20;

/// Compresses what is written to it.
pub(crate) struct Gzip<W> {
    out: W,
    compressor: Compressor,
    block: Vec<u8>,
    member: Vec<u8>,
}

impl<W: Write> Gzip<W> {
    /// Starts with a level from 1 (fast) to 12 (small); one that does not exist is the default, 6.
    pub(crate) fn new(out: W, level: i32) -> Self {
        let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap_or_default());
        let most = compressor.gzip_compress_bound(BLOCK);
        Self {
            out,
            compressor,
            block: Vec::with_capacity(BLOCK),
            member: vec![0; most],
        }
    }

    /// Writes the last member, and gives what all were written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.end_member()?;
        Ok(self.out)
    }

    fn end_member(&mut self) -> io::Result<()> {
        let size = self
            .compressor
            .gzip_compress(&self.block, &mut self.member)
            .map_err(io::Error::other)?;
        self.block.clear();
        self.out.write_all(&self.member[..size])
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK {
            self.end_member()?;
        }
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn compressed(bytes: &[u8], at_once: usize) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new(), 6);
        for part in bytes.chunks(at_once) {
            gzip.write_all(part).expect("memory");
        }
        gzip.finish().expect("memory")
    }

    #[test]
    fn what_goes_in_comes_out_however_it_was_given() {
        let numbers = (0_u32..700_000).flat_map(|number| (number / 3).to_le_bytes());
        let bytes: Vec<u8> = numbers.collect();
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, bytes.len()] {
            let bytes = &bytes[..length];
            let whole = compressed(bytes, BLOCK * 4);
            assert_eq!(compressed(bytes, 4099), whole);
            let mut back = Vec::new();
            MultiGzDecoder::new(&whole[..])
                .read_to_end(&mut back)
                .expect("members of gzip");
            assert!(back == bytes, "{length} bytes");
        }
    }

    #[test]
    fn neither_a_time_nor_a_system_is_told() {
        let members = compressed(b"x", 1);
        assert_eq!(members[..4], [0x1f, 0x8b, 8, 0], "gzip, deflate, no names");
        assert_eq!(members[4..8], [0; 4], "the time");
        assert_eq!(members[9], 255, "the system");
    }
}
