//! Berkeley DB's hash format, as far as rpm's `Packages` needs it. RHEL 8 and before, and what was never converted since.
//!
//! Source: Berkeley DB's `db_page.h`, for the layout. The first page says how many buckets there are and where each power of
//! two of them begins; a bucket is a chain of pages; a page holds keys and values in turns, from its end backwards; a value that
//! does not fit stands on a chain of overflow pages. Numbers stand in the order of the machine that wrote them.

use super::parts::{MAX_WHOLE, Parts, be16, be32};
use crate::host::Gap;

const MAGIC: u32 = 0x0006_1561;
/// Bytes before the offsets on every page.
const HEAD: usize = 26;
const OVERFLOW: u8 = 7;
const HASH_UNSORTED: u8 = 2;
const HASH_META: u8 = 8;
const HASH: u8 = 13;
const ON_PAGE: u8 = 1;
const OFF_PAGE: u8 = 3;

/// An open database.
struct Hash<'f, 'h> {
    file: &'f mut Parts<'h>,
    big: bool,
    page: usize,
    /// How many pages may still be visited: each is part of one chain.
    budget: u64,
}

/// Calls `each` with every header of the database in `file`.
pub(super) fn blobs(file: &mut Parts<'_>, mut each: impl FnMut(&[u8])) -> Result<(), Gap> {
    let meta = file.bytes(0, 512)?;
    let big = match be32(&meta, 12) {
        Some(MAGIC) => true,
        Some(other) if other.swap_bytes() == MAGIC => false,
        Some(_) | None => return Err(file.malformed("is no hash database of Berkeley DB")),
    };
    let number = |at| be32(&meta, at).map_or(0, |number| if big { number } else { number.swap_bytes() });
    let (version, page, last_bucket) = (number(16), number(20) as usize, number(72));
    if !(8..=10).contains(&version) || !(512..=65_536).contains(&page) || !page.is_power_of_two() {
        return Err(file.malformed("is of a version or page size of Berkeley DB that is not known"));
    }
    let budget = file.size() / page as u64 + 1;
    if u64::from(last_bucket) >= budget {
        return Err(file.malformed("has an impossible number of buckets"));
    }
    let mut hash = Hash { file, big, page, budget };
    let mut value = Vec::new();
    for bucket in 0..=last_bucket {
        // Buckets were added in powers of two, each lot in one stretch of pages.
        let lot = (32 - bucket.leading_zeros()) as usize;
        let first = bucket.checked_add(number(96 + 4 * lot)).ok_or_else(|| hash.damaged())?;
        hash.bucket(first, &mut value, &mut each)?;
    }
    Ok(())
}

impl Hash<'_, '_> {
    fn bucket(&mut self, first: u32, value: &mut Vec<u8>, each: &mut impl FnMut(&[u8])) -> Result<(), Gap> {
        let mut next = first;
        while next != 0 {
            let page = self.page(next)?;
            if !matches!(page.get(25), Some(&(HASH | HASH_UNSORTED | HASH_META))) {
                return Err(self.damaged());
            }
            let entries = usize::from(self.number16(&page, 20)?);
            let (mut end, mut counter) = (self.page, false);
            for entry in 0..entries {
                let at = usize::from(self.number16(&page, HEAD + 2 * entry)?);
                let bytes = page.get(at..end).ok_or_else(|| self.damaged())?;
                end = at;
                // Keys and values take turns. The package numbered 0 is a counter of rpm's.
                if entry % 2 == 0 {
                    counter = bytes.first() == Some(&ON_PAGE) && bytes.iter().skip(1).all(|byte| *byte == 0);
                    continue;
                }
                if counter {
                    continue;
                }
                match bytes.split_first() {
                    Some((&ON_PAGE, bytes)) => each(bytes),
                    Some((&OFF_PAGE, _)) => {
                        let (chain, length) = (self.number32(bytes, 4)?, self.number32(bytes, 8)? as usize);
                        self.overflow(chain, length, value)?;
                        each(value);
                    }
                    Some(_) | None => return Err(self.damaged()),
                }
            }
            next = self.number32(&page, 16)?;
        }
        Ok(())
    }

    fn overflow(&mut self, mut next: u32, length: usize, value: &mut Vec<u8>) -> Result<(), Gap> {
        if length > MAX_WHOLE {
            return Err(self.damaged());
        }
        value.clear();
        while value.len() < length {
            let at = self.visit(next)?;
            let head = self.file.bytes(at, HEAD)?;
            let here = usize::from(self.number16(&head, 22)?);
            let fits = here > 0 && here <= self.page - HEAD && here <= length - value.len();
            if head.get(25) != Some(&OVERFLOW) || !fits {
                return Err(self.damaged());
            }
            self.file.append(at + HEAD as u64, here, value)?;
            next = self.number32(&head, 16)?;
        }
        Ok(())
    }

    fn page(&mut self, number: u32) -> Result<Vec<u8>, Gap> {
        let at = self.visit(number)?;
        let page = self.file.bytes(at, self.page)?;
        // A page knows its own number.
        if self.number32(&page, 8)? == number { Ok(page) } else { Err(self.damaged()) }
    }

    fn visit(&mut self, number: u32) -> Result<u64, Gap> {
        if number == 0 || self.budget == 0 {
            return Err(self.damaged());
        }
        self.budget -= 1;
        Ok(u64::from(number) * self.page as u64)
    }

    fn number16(&self, bytes: &[u8], at: usize) -> Result<u16, Gap> {
        let number = be16(bytes, at).ok_or_else(|| self.damaged())?;
        Ok(if self.big { number } else { number.swap_bytes() })
    }

    fn number32(&self, bytes: &[u8], at: usize) -> Result<u32, Gap> {
        let number = be32(bytes, at).ok_or_else(|| self.damaged())?;
        Ok(if self.big { number } else { number.swap_bytes() })
    }

    fn damaged(&self) -> Gap {
        self.file.malformed("is damaged: a page is not what it should be")
    }
}
