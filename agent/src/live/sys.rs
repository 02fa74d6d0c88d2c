//! System calls no safe crate offers. The only file with `unsafe` in it.
#![expect(unsafe_code, reason = "adjtimex(2) and malloc_trim(3) have no safe wrapper in rustix or std")]

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

/// Gives memory that was freed back to the kernel, malloc_trim(3): a cycle needs several times what is kept until the next, and
/// what it freed in between is otherwise held. Other C libraries than glibc have no such call, and need none.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer and may be called at any time from any thread; it releases only what nobody holds.
    unsafe {
        libc::malloc_trim(0);
    }
}
