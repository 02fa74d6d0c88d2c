//! The one place that writes to a person: standard output, and complaints on standard error.
//!
//! Colour is taken out where the stream is not a terminal. A reader that went away (`| head`) is not an error.

use std::io::{ErrorKind, Write as _};

use super::safe_text;

/// Writes `text`, which holds nothing of the host's that was not made safe.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes data for programs, byte for byte.
pub(super) fn print_data(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a piece of a line that comes and goes, on standard error: nothing of the host's.
pub(super) fn note(text: &str) {
    let mut error = std::io::stderr().lock();
    // Who cannot be shown how far it is still gets the answer.
    let _unsaid = error.write_all(text.as_bytes()).and_then(|()| error.flush());
}

/// Writes an error, made safe: it may quote a hostile file's name.
pub(super) fn complain(text: &str) {
    // Where even standard error is closed there is nobody left to tell; the exit status still says it.
    let _unsaid = writeln!(anstream::stderr().lock(), "plumbline: {}", safe_text::lines(text));
}
