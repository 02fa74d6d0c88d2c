//! Makes bad input out of good input: bytes flipped, numbers made absurd, pieces cut, doubled, swapped with another seed's,
//! nested deep, repeated without end.
//!
//! Deterministic: the same dice over the same seeds give the same cases.

use plumbline_tests::dice::Dice;

/// The longest case but for the few that are grown on purpose.
const USUAL: usize = 128 * 1024;
/// The longest of those.
const GROWN: usize = 4 * 1024 * 1024;

const BYTES: [u8; 20] = *b"\0\x01\x7f\x80\xff\n\r\t \"'\\{}[]:,=#";

const WORDS: [&[u8]; 40] = [
    b"\0",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"\n\n",
    b"\\\n",
    b"\\",
    b"\"",
    b"'",
    b"-1",
    b"0",
    b"4294967295",
    b"4294967296",
    b"18446744073709551615",
    b"99999999999999999999999999999999999999",
    b"1e999",
    b"0x",
    b"../../../../etc/shadow",
    b"/",
    b"//",
    b"*",
    b"**/**",
    b"[",
    b"{a,{b,{c",
    b"%",
    b"%%s",
    b"$",
    b"${x}",
    b"!",
    b"ALL",
    b"::/0",
    b"0.0.0.0/33",
    b"include",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\xef\xbb\xbf",
    b"#",
];

const NUMBERS: [u64; 14] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX / 2, u64::MAX];

/// A case out of `pool`, which is not empty.
pub fn case(pool: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    // What was found last leads on most often.
    let near = pool.len().min(16);
    let at = if dice.roll(3) == 0 { pool.len() - 1 - dice.roll(near) } else { dice.roll(pool.len()) };
    let mut bytes = pool[at].clone();
    for _ in 0..=dice.roll(6) {
        once(&mut bytes, pool, dice);
        bytes.truncate(USUAL);
    }
    if dice.roll(400) == 0 {
        grow(&mut bytes, dice);
    }
    bytes
}

fn once(bytes: &mut Vec<u8>, pool: &[Vec<u8>], dice: &mut Dice) {
    let (from, to) = range(bytes, dice);
    match dice.roll(14) {
        0 => flip(bytes, dice),
        1 => set(bytes, dice),
        2 => put(bytes, from, WORDS[dice.roll(WORDS.len())]),
        3 => drop(bytes.drain(from..to)),
        4 => {
            let piece = bytes[from..to].to_vec();
            put(bytes, to, &piece);
        }
        5 => {
            let piece = bytes[from..to].to_vec();
            let at = dice.roll(bytes.len() + 1);
            put(bytes, at, &piece);
        }
        6 => bytes.truncate(dice.roll(bytes.len() + 1)),
        7 => {
            let other = &pool[dice.roll(pool.len())];
            let (begin, end) = range(other, dice);
            let piece = other[begin..end].to_vec();
            bytes.splice(from..to, piece);
        }
        8 => number(bytes, dice),
        9 => binary(bytes, dice),
        10 | 11 => word(bytes, pool, dice),
        12 => {
            // Nested, or a line without end.
            let piece = bytes[from..to.min(from + 12)].to_vec();
            let times = 1 << dice.roll(12);
            put(bytes, from, &piece.repeat(times));
        }
        _ => line(bytes, dice),
    }
}

fn range(bytes: &[u8], dice: &mut Dice) -> (usize, usize) {
    let from = dice.roll(bytes.len() + 1);
    let length = match dice.roll(3) {
        0 => dice.roll(4),
        1 => dice.roll(64),
        _ => dice.roll(bytes.len() + 1),
    };
    (from, (from + length).min(bytes.len()))
}

fn put(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

fn flip(bytes: &mut [u8], dice: &mut Dice) {
    if !bytes.is_empty() {
        bytes[dice.roll(bytes.len())] ^= 1 << dice.roll(8);
    }
}

fn set(bytes: &mut [u8], dice: &mut Dice) {
    if !bytes.is_empty() {
        bytes[dice.roll(bytes.len())] = BYTES[dice.roll(BYTES.len())];
    }
}

/// A decimal number becomes an absurd one.
fn number(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let start = dice.roll(bytes.len() + 1);
    let Some(from) = (start..bytes.len()).find(|at| bytes[*at].is_ascii_digit()) else { return };
    let length = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let absurd = NUMBERS[dice.roll(NUMBERS.len())].to_string();
    bytes.splice(from..from + length, absurd.into_bytes());
}

/// A number in binary becomes an absurd one, in either order of bytes.
fn binary(bytes: &mut [u8], dice: &mut Dice) {
    let width = 1 << dice.roll(4);
    if bytes.len() < width {
        return;
    }
    let at = dice.roll(bytes.len() - width + 1);
    let number = NUMBERS[dice.roll(NUMBERS.len())];
    if dice.roll(2) == 0 {
        bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
    } else {
        bytes[at..at + width].copy_from_slice(&number.to_be_bytes()[8 - width..]);
    }
}

/// A word becomes another that some seed holds.
fn word(bytes: &mut Vec<u8>, pool: &[Vec<u8>], dice: &mut Dice) {
    let other = &pool[dice.roll(pool.len())];
    let (Some((from, to)), Some((begin, end))) = (word_at(bytes, dice), word_at(other, dice)) else { return };
    let piece = other[begin..end].to_vec();
    bytes.splice(from..to, piece);
}

fn word_at(bytes: &[u8], dice: &mut Dice) -> Option<(usize, usize)> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./".contains(byte);
    let start = dice.roll(bytes.len() + 1);
    let from = (start..bytes.len()).find(|at| is_word(&bytes[*at]))?;
    let length = bytes[from..].iter().take_while(|byte| is_word(byte)).count();
    Some((from, from + length))
}

/// A whole line goes, comes twice, or moves.
fn line(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let start = dice.roll(bytes.len() + 1);
    let from = bytes[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let to = bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| from + at + 1);
    let piece = bytes[from..to].to_vec();
    if dice.roll(2) == 0 {
        bytes.drain(from..to);
    }
    let at = dice.roll(bytes.len() + 1);
    let at = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    put(bytes, at, &piece);
}

/// A piece is repeated until it is megabytes.
fn grow(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let (from, to) = range(bytes, dice);
    let piece = if from == to { b"a".to_vec() } else { bytes[from..to].to_vec() };
    let size = GROWN >> dice.roll(4);
    let many = piece.repeat(size / piece.len() + 1);
    put(bytes, from, &many);
    bytes.truncate(GROWN);
}

/// What every parser is asked once, before anything is left to chance.
pub fn gallery(seeds: &[Vec<u8>], size: usize) -> Vec<Vec<u8>> {
    let repeated = |piece: &[u8]| {
        let mut bytes = piece.repeat(size / piece.len().max(1) + 1);
        bytes.truncate(size);
        bytes
    };
    let mut cases: Vec<Vec<u8>> =
        [&b"\0"[..], b"a", b"\n", b"\xff", b"a\n", b"a=b\n", b"[", b"{\"a\":", b"\\\n", b"\"", b"a b c\n"]
            .into_iter()
            .map(repeated)
            .collect();
    cases.push(Vec::new());
    for seed in seeds.iter().filter(|seed| !seed.is_empty()) {
        // The seed after itself, and its longest line without end.
        cases.push(repeated(seed));
        let longest = seed.split_inclusive(|byte| *byte == b'\n').max_by_key(|line| line.len()).unwrap_or(seed);
        cases.push(repeated(longest));
        let joined: Vec<u8> = longest.iter().copied().filter(|byte| *byte != b'\n').collect();
        if !joined.is_empty() {
            cases.push([repeated(&joined), b"\n".to_vec(), seed.clone()].concat());
        }
        let mut nul = seed.clone();
        nul.insert(nul.len() / 2, 0);
        cases.push(nul);
    }
    cases
}
