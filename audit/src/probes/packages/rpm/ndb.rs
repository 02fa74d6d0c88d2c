//! rpm's own database format, "ndb": `Packages.db`. SUSE keeps it.
//!
//! Source: rpm's `lib/backend/ndb`, for the layout. A head of 32 bytes, then slots of 16 bytes on as many pages of 4096 as
//! the head says; each used slot says in which blocks of 16 bytes a header stands. All numbers have the least significant byte
//! first. A header is framed by its number and its length on both sides: what does not agree is damage.

use super::parts::{MAX_WHOLE, Parts, le32};
use crate::host::Gap;

const SLOT: usize = 16;
const BLOCK: u64 = 16;
const PAGE: u64 = 4096;
/// What frames a header: magic, number, generation and length before it, a sum, its length and magic after it.
const BEFORE: u64 = 16;
const AFTER: u64 = 12;
/// More pages of slots than a million packages need.
const MAX_PAGES: u32 = 4096;

/// Calls `each` with every header of the database in `file`.
pub(super) fn blobs(file: &mut Parts<'_>, mut each: impl FnMut(&[u8])) -> Result<(), Gap> {
    let head = file.bytes(0, 32)?;
    if !head.starts_with(b"RpmP") || le32(&head, 4) != Some(0) {
        return Err(file.malformed("is no ndb database of a version that is known"));
    }
    let pages = le32(&head, 12).filter(|pages| (1..=MAX_PAGES).contains(pages));
    let Some(pages) = pages else { return Err(file.malformed("has an impossible number of slots")) };
    let mut blob = Vec::new();
    for page in 0..pages {
        let start = u64::from(page) * PAGE;
        let slots = file.bytes(start, 4096)?;
        // The head takes the place of the first two slots.
        for slot in slots.chunks_exact(SLOT).skip(if page == 0 { 2 } else { 0 }) {
            if !slot.starts_with(b"Slot") {
                return Err(file.malformed("has a slot that is none"));
            }
            let number = |at| le32(slot, at).unwrap_or(0);
            let (package, block, blocks) = (number(4), number(8), number(12));
            if block == 0 {
                continue;
            }
            read(file, package, u64::from(block) * BLOCK, u64::from(blocks) * BLOCK, &mut blob)?;
            each(&blob);
        }
    }
    Ok(())
}

fn read(file: &mut Parts<'_>, package: u32, at: u64, room: u64, blob: &mut Vec<u8>) -> Result<(), Gap> {
    let damaged = |file: &Parts<'_>| file.malformed(format!("is damaged where package {package} stands"));
    let head = file.bytes(at, 16)?;
    let length = le32(&head, 12).map(u64::from).filter(|length| BEFORE + length + AFTER <= room);
    let length = length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= MAX_WHOLE);
    let Some(length) = length else { return Err(damaged(file)) };
    if !head.starts_with(b"BlbS") || le32(&head, 4) != Some(package) {
        return Err(damaged(file));
    }
    blob.clear();
    file.append(at + BEFORE, length, blob)?;
    let tail = file.bytes(at + room - AFTER, 12)?;
    if tail.get(8..) != Some(b"BlbE") || le32(&tail, 4).map(|own| own as usize) != Some(length) {
        return Err(damaged(file));
    }
    Ok(())
}
