//! Enough of SQLite's file format to read one table of an untrusted file: rpm's `Packages(hnum, blob)`.
//!
//! Source: "Database File Format" of SQLite's documentation: the b-tree pages of rowid tables, overflow pages, and the
//! write-ahead log, whose committed pages take the place of those in the file. Indexes, freed pages and everything else
//! are left alone. Loops are cut by counting: no more pages are visited than the file has.

use std::collections::BTreeMap;

use super::parts::{MAX_WHOLE, Parts, be16, be32};
use crate::host::Gap;

/// A b-tree of four-gigabyte files is never deeper.
const MAX_DEPTH: u32 = 20;
/// Pages of a write-ahead log that are remembered; rpm folds it in after each transaction.
const MAX_FRAMES: usize = 500_000;

const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// An open database.
pub(super) struct Sqlite<'h> {
    file: Parts<'h>,
    /// The log, and where in it the latest committed content of a page stands.
    log: Option<(Parts<'h>, BTreeMap<u32, u64>)>,
    page: usize,
    usable: usize,
    /// How many pages may still be visited.
    budget: u64,
}

impl<'h> Sqlite<'h> {
    /// The database in `file`, with its write-ahead log where there is one.
    pub(super) fn open(mut file: Parts<'h>, log: Option<Parts<'h>>) -> Result<Self, Gap> {
        let head = file.bytes(0, 100)?;
        if !head.starts_with(b"SQLite format 3\0") {
            return Err(file.malformed("is no SQLite database"));
        }
        let page = match be16(&head, 16) {
            Some(1) => 65_536,
            Some(size) if size >= 512 && size.is_power_of_two() => usize::from(size),
            Some(_) | None => return Err(file.malformed("has an impossible page size")),
        };
        let usable = page - usize::from(head.get(20).copied().unwrap_or(0));
        if usable < 480 {
            return Err(file.malformed("has an impossible page size"));
        }
        let log = match log {
            Some(mut log) if log.size() >= 32 => {
                let frames = frames(&mut log, page)?;
                Some((log, frames))
            }
            Some(_) | None => None,
        };
        let logged = log.as_ref().map_or(0, |(_, frames)| frames.len() as u64);
        let budget = file.size() / page as u64 + logged + 1;
        Ok(Self { file, log, page, usable, budget })
    }

    /// Calls `each` with the last column of every row of `table`, which must be a blob.
    pub(super) fn blobs(&mut self, table: &str, mut each: impl FnMut(&[u8])) -> Result<(), Gap> {
        let mut root = None;
        // Page 1 begins with the list of all tables: type, name, tbl_name, rootpage, sql.
        self.walk(1, 0, &mut |row| {
            let columns = columns(row)?;
            let column = |at: usize| columns.get(at).copied().unwrap_or_default();
            if column(0).1 == b"table" && column(1).1 == table.as_bytes() {
                root = Some(column(3).1.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)));
            }
            Some(())
        })?;
        let Some(root) = root else {
            return Err(self.file.malformed(format!("has no table {table}")));
        };
        self.walk(root, 0, &mut |row| {
            let columns = columns(row)?;
            let (kind, value) = columns.last()?;
            // Even types from 12 on are blobs.
            (*kind >= 12 && kind % 2 == 0).then(|| each(value))
        })
    }

    fn walk(&mut self, number: u32, depth: u32, each: &mut dyn FnMut(&[u8]) -> Option<()>) -> Result<(), Gap> {
        if depth > MAX_DEPTH {
            return Err(self.damaged());
        }
        let page = self.page(number)?;
        // The first page holds the file's head before its own.
        let head = if number == 1 { 100 } else { 0 };
        let kind = page.get(head).copied();
        let cells = usize::from(be16(&page, head + 3).unwrap_or(0));
        match kind {
            Some(INTERIOR) => {
                for cell in 0..cells {
                    let child = be16(&page, head + 12 + 2 * cell).and_then(|at| be32(&page, usize::from(at)));
                    let child = child.ok_or_else(|| self.damaged())?;
                    self.walk(child, depth + 1, each)?;
                }
                let last = be32(&page, head + 8).ok_or_else(|| self.damaged())?;
                self.walk(last, depth + 1, each)
            }
            Some(LEAF) => {
                let mut row = Vec::new();
                for cell in 0..cells {
                    let at = be16(&page, head + 8 + 2 * cell).ok_or_else(|| self.damaged())?;
                    self.row(page.get(usize::from(at)..).unwrap_or_default(), &mut row)?;
                    each(&row).ok_or_else(|| self.damaged())?;
                }
                Ok(())
            }
            Some(_) | None => Err(self.damaged()),
        }
    }

    /// The whole payload of the cell that begins with `cell`: length, rowid, what fits, and where the rest stands.
    fn row(&mut self, cell: &[u8], row: &mut Vec<u8>) -> Result<(), Gap> {
        row.clear();
        let parsed = varint(cell).and_then(|(length, cell)| Some((length, varint(cell)?.1)));
        let Some((length, rest)) = parsed else { return Err(self.damaged()) };
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_WHOLE);
        let Some(length) = length else { return Err(self.file.malformed("has an impossibly long row")) };
        let most = self.usable - 35;
        let local = if length <= most {
            length
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let fitting = least + (length - least) % (self.usable - 4);
            if fitting <= most { fitting } else { least }
        };
        row.extend_from_slice(rest.get(..local).ok_or_else(|| self.damaged())?);
        let mut next = if local < length { be32(rest, local).ok_or_else(|| self.damaged())? } else { 0 };
        while row.len() < length {
            let left = length - row.len();
            next = self.overflow(next, left.min(self.usable - 4), row)?;
        }
        Ok(())
    }

    /// Puts what overflow page `number` holds behind `row`; the page after it.
    fn overflow(&mut self, number: u32, length: usize, row: &mut Vec<u8>) -> Result<u32, Gap> {
        let (file, at) = self.place(number)?;
        let next = file.bytes(at, 4)?;
        file.append(at + 4, length, row)?;
        be32(&next, 0).ok_or_else(|| self.damaged())
    }

    fn page(&mut self, number: u32) -> Result<Vec<u8>, Gap> {
        let page = self.page;
        let (file, at) = self.place(number)?;
        file.bytes(at, page)
    }

    /// In which file and where page `number` stands; each visit is paid for.
    fn place(&mut self, number: u32) -> Result<(&mut Parts<'h>, u64), Gap> {
        if number == 0 || self.budget == 0 {
            return Err(self.damaged());
        }
        self.budget -= 1;
        if let Some((log, frames)) = &mut self.log
            && let Some(at) = frames.get(&number)
        {
            return Ok((log, *at));
        }
        Ok((&mut self.file, u64::from(number - 1) * self.page as u64))
    }

    fn damaged(&self) -> Gap {
        self.file.malformed("is damaged: a page is not what it should be")
    }
}

/// A number of one to nine bytes, seven bits in each of the first eight; and what follows.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some((value << 8 | u64::from(*byte), bytes.get(9..)?));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

/// The columns of a record: serial type and bytes.
fn columns(record: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let (head, _) = varint(record)?;
    let head = usize::try_from(head).ok()?;
    let mut types = record.get(..head)?;
    types = varint(types)?.1;
    let mut body = record.get(head..)?;
    let mut columns = Vec::with_capacity(5);
    while !types.is_empty() {
        let (kind, rest) = varint(types)?;
        types = rest;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => (kind - 12) / 2,
        };
        let (value, rest) = body.split_at_checked(usize::try_from(length).ok()?)?;
        columns.push((kind, value));
        body = rest;
    }
    Some(columns)
}

/// The committed frames of a write-ahead log: by page, where its latest content stands. What follows the last commit, or
/// belongs to an earlier round of the log, does not count: its salts or its running sum differ.
fn frames(log: &mut Parts<'_>, page: usize) -> Result<BTreeMap<u32, u64>, Gap> {
    let head = log.bytes(0, 32)?;
    let number = |at| be32(&head, at).unwrap_or(0);
    let magic = number(0);
    if magic & !1 != 0x377f_0682 || number(8) as usize != page {
        return Ok(BTreeMap::new());
    }
    let big = magic & 1 == 1;
    let mut sum = running_sum(big, (0, 0), head.get(..24).unwrap_or_default());
    if sum != (number(24), number(28)) {
        return Ok(BTreeMap::new());
    }
    let (mut committed, mut pending) = (BTreeMap::new(), Vec::new());
    let mut at = 32_u64;
    let mut frame = Vec::new();
    while at + 24 + page as u64 <= log.size() {
        frame.clear();
        log.append(at, 24 + page, &mut frame)?;
        let number = |at| be32(&frame, at).unwrap_or(0);
        if head.get(16..24) != frame.get(8..16) {
            break;
        }
        sum = running_sum(big, sum, frame.get(..8).unwrap_or_default());
        sum = running_sum(big, sum, frame.get(24..).unwrap_or_default());
        if sum != (number(16), number(20)) {
            break;
        }
        pending.push((number(0), at + 24));
        if number(4) != 0 {
            committed.extend(pending.drain(..));
        }
        if committed.len() + pending.len() > MAX_FRAMES {
            return Err(log.malformed("is a write-ahead log of impossible length"));
        }
        at += 24 + page as u64;
    }
    Ok(committed)
}

/// The log's running sum over pairs of words; "The WAL File Format", checksum algorithm.
fn running_sum(big: bool, (mut first, mut second): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let word = |at| {
            let word = be32(pair, at).unwrap_or(0);
            if big { word } else { word.swap_bytes() }
        };
        first = first.wrapping_add(word(0)).wrapping_add(second);
        second = second.wrapping_add(word(4)).wrapping_add(first);
    }
    (first, second)
}
