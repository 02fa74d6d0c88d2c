//! LZ4 frames, as apt writes lists where `Acquire::GzipIndexes` is on (Debian's container images have it so).
//!
//! Frames are read here, in parts and bounded; their blocks by lz4_flex. Source: "LZ4 Frame Format Description". Checksums
//! are passed over: what a broken file says is checked where it is parsed. Output is bounded by the block, history by 64 KiB.

use std::hint::black_box;
use std::path::Path;

use lz4_flex::block::{DecompressError, decompress_into_with_dict};

use super::window::Window;
use crate::host::{Gap, GapKind, Host};

/// How far back a block may refer.
pub const HISTORY: usize = 64 * 1024;
const MAGIC: &[u8] = &[0x04, 0x22, 0x4d, 0x18];
/// How much of the file is read at once.
const READ: usize = 512 * 1024;

type Decompress = fn(&[u8], &mut [u8], &[u8]) -> Result<usize, DecompressError>;

/// A frame, decoded block by block.
pub struct Lz4<'h> {
    host: &'h dyn Host,
    path: &'h Path,
    offset: u64,
    input: Vec<u8>,
    at: usize,
    block: usize,
    checksums: bool,
}

impl<'h> Lz4<'h> {
    /// The frame in the file at `path`.
    pub fn open(host: &'h dyn Host, path: &'h Path) -> Result<Self, Gap> {
        let mut frame = Self { host, path, offset: 0, input: Vec::new(), at: 0, block: 0, checksums: false };
        let head = frame.take(7)?.to_vec();
        let (flags, size) = (head.get(4).copied().unwrap_or(0), head.get(5).copied().unwrap_or(0) >> 4 & 7);
        if !head.starts_with(MAGIC) || flags >> 6 != 1 || size < 4 || flags & 1 == 1 {
            return Err(frame.malformed());
        }
        frame.block = 1 << (8 + 2 * size);
        frame.checksums = flags & 0x10 != 0;
        if flags & 0x08 != 0 {
            frame.take(8)?;
        }
        Ok(frame)
    }

    /// The longest a block may be, decoded.
    pub fn longest(&self) -> usize {
        self.block
    }

    /// Puts the next block behind what `out` holds, whose end is the history; false at the end.
    pub fn next(&mut self, out: &mut Window) -> Result<bool, Gap> {
        let size = self.number()?;
        if size == 0 {
            return Ok(false);
        }
        let (stored, length) = (size >> 31 == 1, (size & 0x7fff_ffff) as usize);
        if length > self.block {
            return Err(self.malformed());
        }
        let from = self.fill(length)?;
        let bytes = self.input.get(from..self.at).unwrap_or_default();
        let (history, room) = out.room(self.block);
        let decoded = if stored { store(bytes, room) } else { decode(bytes, history, room) };
        let Some(decoded) = decoded else { return Err(self.malformed()) };
        out.filled(decoded);
        if self.checksums {
            self.take(4)?;
        }
        Ok(true)
    }

    fn number(&mut self) -> Result<u32, Gap> {
        let bytes = self.take(4)?.try_into();
        bytes.map(u32::from_le_bytes).map_err(|_| self.malformed())
    }

    fn take(&mut self, length: usize) -> Result<&[u8], Gap> {
        let from = self.fill(length)?;
        self.input.get(from..self.at).ok_or_else(|| Gap::new(GapKind::Failed, "lz4", "impossible"))
    }

    /// Where in the input the next `length` bytes begin; they end where it stands then.
    fn fill(&mut self, length: usize) -> Result<usize, Gap> {
        if self.input.len() - self.at < length {
            self.input.drain(..self.at);
            self.at = 0;
            while self.input.len() < length {
                let part = self.host.read_part(self.path, self.offset, READ.max(length))?;
                if part.is_empty() {
                    return Err(self.malformed());
                }
                self.offset += part.len() as u64;
                if self.input.is_empty() { self.input = part } else { self.input.extend(part) }
            }
        }
        let from = self.at;
        self.at += length;
        Ok(from)
    }

    fn malformed(&self) -> Gap {
        Gap::malformed(self.path.to_string_lossy(), "is no whole LZ4 frame, or one of a kind that is not known")
    }
}

/// A block that is kept as it is: its length.
fn store(input: &[u8], room: &mut [u8]) -> Option<usize> {
    room.get_mut(..input.len())?.copy_from_slice(input);
    Some(input.len())
}

/// One block, decoded into `room`, and its length there; it may refer to `history`.
fn decode(input: &[u8], history: &[u8], room: &mut [u8]) -> Option<usize> {
    // Kept a call: inlined here, where code is built for size, it takes three times the instructions.
    let decompress: Decompress = black_box(decompress_into_with_dict);
    decompress(input, room, history).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Recorded;

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Gap> {
        let host = Recorded::new().file("/x.lz4", bytes);
        let mut frame = Lz4::open(&host, Path::new("/x.lz4"))?;
        let mut out = Window::new(frame.longest());
        while frame.next(&mut out)? {}
        Ok(out.rest().to_vec())
    }

    /// `abc` eight times over: three literals, one copy that overlaps itself, and five last literals.
    const FRAME: [u8; 27] = [
        0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0, 12, 0, 0, 0, 0x3c, b'a', b'b', b'c', 3, 0, 0x50, b'b', b'c', b'a',
        b'b', b'c', 0, 0, 0, 0,
    ];

    #[test]
    fn literals_and_overlapping_copies_come_out() {
        assert_eq!(decoded(&FRAME).unwrap(), b"abc".repeat(8));
    }

    #[test]
    fn every_truncation_is_a_gap() {
        for end in 0..FRAME.len() {
            assert!(decoded(&FRAME[..end]).is_err(), "{end}");
        }
    }
}
