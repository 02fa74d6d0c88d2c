//! A large file, looked at piece by piece: a handful of windows are held, never the whole.
//!
//! Databases of packages are a hundred megabytes on a server of some size, because each package's header lists its files
//! and its change log. Of it all only a few names and versions are wanted.

use std::path::Path;

use crate::host::{Gap, Host};

/// How much is read at once.
const WINDOW: u64 = 64 * 1024;
/// How many windows are held.
const WINDOWS: usize = 8;
/// The largest thing that is put together from pieces: rpm's own limit for a header is larger, its packages' are not.
pub(super) const MAX_WHOLE: usize = 32 * 1024 * 1024;

/// A file, seen through windows.
pub(super) struct Parts<'h> {
    host: &'h dyn Host,
    path: &'h str,
    size: u64,
    /// Where each begins and what it holds, the least recently used first.
    windows: Vec<(u64, Vec<u8>)>,
}

impl<'h> Parts<'h> {
    /// The file at `path`.
    pub(super) fn open(host: &'h dyn Host, path: &'h str) -> Result<Self, Gap> {
        let size = host.stat(Path::new(path))?.size;
        Ok(Self { host, path, size, windows: Vec::new() })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Puts `length` bytes from `offset` behind what `into` holds. Less than that is a gap.
    pub(super) fn append(&mut self, offset: u64, length: usize, into: &mut Vec<u8>) -> Result<(), Gap> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.size);
        if end.is_none() || into.len().saturating_add(length) > MAX_WHOLE {
            return Err(self.malformed("points outside itself, or holds something impossibly large"));
        }
        let (mut at, mut left) = (offset, length);
        while left > 0 {
            let window = self.window(at - at % WINDOW)?;
            let from = usize::try_from(at % WINDOW).unwrap_or(usize::MAX);
            let piece = window.get(from..).unwrap_or_default();
            let piece = piece.get(..left.min(piece.len())).unwrap_or_default();
            if piece.is_empty() {
                return Err(self.malformed("is shorter than it was: it is being written"));
            }
            into.extend_from_slice(piece);
            at += piece.len() as u64;
            left -= piece.len();
        }
        Ok(())
    }

    /// `length` bytes from `offset`.
    pub(super) fn bytes(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Gap> {
        let mut bytes = Vec::with_capacity(length.min(MAX_WHOLE));
        self.append(offset, length, &mut bytes)?;
        Ok(bytes)
    }

    /// This file is not as it should be.
    pub(super) fn malformed(&self, detail: impl Into<String>) -> Gap {
        Gap::malformed(self.path, detail)
    }

    fn window(&mut self, start: u64) -> Result<&[u8], Gap> {
        match self.windows.iter().position(|(at, _)| *at == start) {
            // Most looks go to the window used last.
            Some(place) if place + 1 == self.windows.len() => {}
            Some(place) => {
                let window = self.windows.remove(place);
                self.windows.push(window);
            }
            None => {
                let bytes = self.host.read_part(Path::new(self.path), start, WINDOW as usize)?;
                if self.windows.len() >= WINDOWS {
                    self.windows.remove(0);
                }
                self.windows.push((start, bytes));
            }
        }
        Ok(self.windows.last().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default())
    }
}

/// The unsigned number of two bytes at `at`, the most significant first.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// The unsigned number of four bytes at `at`, the most significant first.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The same, the least significant first.
pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}
