//! A window that slides over a long text: what was decoded and is not yet used, behind it what may still be referred to,
//! before it room for more. Decoding writes where the text is then read, so that nothing is copied but what is left over.

use super::lz4::HISTORY;

/// How much is decoded before what was used is let go.
const SLACK: usize = 1024 * 1024;

/// The window.
pub struct Window {
    bytes: Vec<u8>,
    done: usize,
    filled: usize,
}

impl Window {
    /// One that takes up to `room` bytes at once.
    pub fn new(room: usize) -> Self {
        // Cleared by the kernel page by page, as far as it is used.
        Self { bytes: vec![0; HISTORY + room + SLACK], done: 0, filled: 0 }
    }

    /// What was not used yet.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.done..self.filled).unwrap_or_default()
    }

    /// The first `length` bytes of it are used.
    pub fn used(&mut self, length: usize) {
        self.done = (self.done + length).min(self.filled);
    }

    /// What stands before, as far back as may be referred to, and room for `length` bytes more.
    pub fn room(&mut self, length: usize) -> (&[u8], &mut [u8]) {
        if self.filled + length > self.bytes.len() {
            let from = self.done.min(self.filled.saturating_sub(HISTORY));
            self.bytes.copy_within(from..self.filled, 0);
            (self.done, self.filled) = (self.done - from, self.filled - from);
            if self.filled + length > self.bytes.len() {
                self.bytes.resize(self.filled + length, 0);
            }
        }
        let (before, room) = self.bytes.split_at_mut(self.filled);
        let from = before.len().saturating_sub(HISTORY);
        (before.get(from..).unwrap_or_default(), room.get_mut(..length).unwrap_or_default())
    }

    /// The first `length` bytes of the room were filled.
    pub fn filled(&mut self, length: usize) {
        self.filled = (self.filled + length).min(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_used_and_what_may_be_referred_to_stays() {
        let mut window = Window::new(1000);
        let byte = |at: usize| u8::try_from(at % 251).unwrap();
        let (mut written, mut read) = (0, 0);
        for turn in 0..5000 {
            let length = 1 + turn * 7 % 1000;
            let (history, room) = window.room(length);
            assert_eq!(room.len(), length);
            assert_eq!(history.len(), written.min(HISTORY));
            assert!(history.iter().rev().enumerate().all(|(back, held)| *held == byte(written - 1 - back)));
            for (at, place) in room.iter_mut().enumerate() {
                *place = byte(written + at);
            }
            // Not all of the room need be taken.
            window.filled(length - length / 3);
            written += length - length / 3;
            let rest = window.rest();
            assert_eq!(rest.len(), written - read);
            assert!(rest.iter().enumerate().step_by(97).all(|(at, held)| *held == byte(read + at)));
            let use_up = rest.len() / 2;
            window.used(use_up);
            read += use_up;
        }
    }
}
