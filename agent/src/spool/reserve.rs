//! Space set aside, so that a full disk does not keep a transition from being spooled.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::durable;
use crate::state::State;

/// Some hundred transitions of a few packages each.
const SIZE: u64 = 512 * 1024;

/// Sets the space aside, if it is not and can be.
pub(super) fn make(state: &State) {
    let path = path(state);
    if path.exists() {
        return;
    }
    let made = File::create(&path)
        .and_then(|file| Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, SIZE)?));
    if let Err(error) = made {
        tracing::warn!(%error, "no space can be set aside: on a full disk changes may go unreported");
        // Empty it would be taken for the space itself.
        let _left_over = durable::remove(&path);
    }
}

/// Does `work`, and where the disk is full gives back the space set aside and does it again.
pub(super) fn spend<T>(state: &State, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match work() {
        Err(error) if is_full(&error) && durable::remove(&path(state))? => {
            tracing::warn!(%error, "the disk is full: the space set aside for changes is used");
            work()
        }
        done => done,
    }
}

fn path(state: &State) -> PathBuf {
    state.spool().join("reserve")
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_full_disk_the_space_is_given_back_once_and_the_work_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        state.create().unwrap();
        make(&state);
        assert_eq!(std::fs::metadata(path(&state)).unwrap().len(), SIZE);
        let work = || if path(&state).exists() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(7) };
        assert_eq!(spend(&state, work).unwrap(), 7);
        let full = || io::Result::<()>::Err(io::ErrorKind::StorageFull.into());
        assert!(spend(&state, full).is_err(), "there is no more to give");
        let other = || io::Result::<()>::Err(io::ErrorKind::PermissionDenied.into());
        make(&state);
        assert!(spend(&state, other).is_err() && path(&state).exists(), "another failure costs no space");
    }
}
