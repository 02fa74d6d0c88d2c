//! System calls no safe crate offers. The only file with `unsafe` in it.
#![expect(unsafe_code, reason = "adjtimex(2) has no safe wrapper in rustix or std")]

use std::io;

/// `adjtimex(2)` with no modes set: the TIME_* state it returned, and the kernel's fields.
pub(super) fn adjtimex() -> io::Result<(i32, libc::timex)> {
    // SAFETY: `timex` is plain integers, for which zero bits are a valid value; modes = 0 asks for reading alone.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusively borrowed `timex` of the size the kernel expects.
    match unsafe { libc::adjtimex(&raw mut timex) } {
        -1 => Err(io::Error::last_os_error()),
        returned => Ok((returned, timex)),
    }
}
