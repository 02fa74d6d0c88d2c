//! What the lexer reads byte by byte: quoted strings, and commands with their arguments.
//!
//! Inside them blanks, commas and backslashes mean something else than outside (sudoers(5), "Other special characters and
//! reserved words").

use super::lexer::{Lexer, Mode};
use super::scan::{add, is_blank, joined, newline, run, unescape_path};
use super::token::{Fault, Token};

impl Lexer<'_> {
    /// A string, its opening quote taken.
    pub(super) fn quoted(&mut self) -> Result<Token, Fault> {
        let mut string = Vec::new();
        loop {
            let rest = self.rest();
            let join = joined(rest);
            if join > 0 {
                self.at += join;
                let blanks = run(self.rest(), is_blank);
                self.at += blanks;
                self.line += 1;
                self.joined = true;
                continue;
            }
            match rest {
                [b'"', ..] => {
                    self.at += 1;
                    break;
                }
                [b'\\', b'"', ..] => {
                    string.push(b'"');
                    self.at += 2;
                }
                [] | [b'\n' | b'\r', ..] => {
                    let fault = self.fault("a line ends inside a string");
                    self.mode = Mode::Start;
                    if rest.first() == Some(&b'\r') && newline(rest) == 0 {
                        self.at += 1;
                    }
                    return Err(fault);
                }
                [byte, ..] => {
                    string.push(*byte);
                    self.at += 1;
                }
            }
        }
        let listed = self.resume == Mode::Start || self.resume == Mode::Scope;
        self.mode = self.resume;
        match string.as_slice() {
            [] => Err(self.fault("an empty string")),
            b"%" | b"%:" | b"+" if listed => Err(self.fault("an empty group or netgroup")),
            [b'%', ..] if listed => Ok(Token::Group(string)),
            [b'+', ..] if listed => Ok(Token::Netgroup(string)),
            _ => Ok(Token::Word(string)),
        }
    }

    /// A command, its path of `length` bytes still to be taken, and its arguments.
    pub(super) fn command(&mut self, length: usize) -> Result<Token, Fault> {
        let name = self.take(length);
        let path = unescape_path(name);
        self.mode = Mode::Start;
        // A folder cannot have arguments, nor can sudo's own `list`.
        if name.ends_with(b"/") || name == b"list" {
            return Ok(Token::Command(path, None));
        }
        let mut arguments: Option<Vec<u8>> = None;
        let mut spaced = false;
        loop {
            let rest = self.rest();
            let join = joined(rest);
            if join > 0 {
                self.at += join;
                self.line += 1;
                self.joined = true;
                spaced = true;
                continue;
            }
            let length = run(rest, |byte| !b"#\\:, \t\r\n".contains(&byte));
            match rest {
                [b'\r', ..] => {
                    self.at += 1;
                    return Err(self.fault("a carriage return after a command, which not every sudo reads"));
                }
                [] | [b'#' | b':' | b',' | b'\n', ..] => break,
                [b'=', ..] if length == 1 => break,
                [b' ' | b'\t', ..] => {
                    self.at += 1;
                    spaced = true;
                }
                [b'\\', sign @ (b'*' | b'?' | b'[' | b']' | b'!' | b'^'), ..] => {
                    add(&mut arguments, &[b'\\', *sign], spaced);
                    self.at += 2;
                    spaced = false;
                }
                [b'\\', sign @ (b':' | b'\\' | b',' | b'=' | b' ' | b'\t' | b'#'), ..] => {
                    add(&mut arguments, &[*sign], spaced);
                    self.at += 2;
                    spaced = false;
                }
                [b'\\', ..] => {
                    self.at += 1;
                    return Err(self.fault("a backslash before a sign that needs none"));
                }
                [b'^', ..] if arguments.is_none() => {
                    let pattern = self.argument_regex()?;
                    return Ok(Token::Command(path, Some(pattern)));
                }
                [..] => {
                    add(&mut arguments, rest.get(..length).unwrap_or_default(), spaced);
                    self.at += length;
                    spaced = false;
                }
            }
        }
        Ok(Token::Command(path, arguments))
    }

    /// Arguments given as one regular expression, `^…$`.
    fn argument_regex(&mut self) -> Result<Vec<u8>, Fault> {
        let mut pattern = Vec::new();
        loop {
            let rest = self.rest();
            let join = joined(rest);
            if join > 0 {
                self.at += join;
                self.at += run(self.rest(), is_blank);
                self.line += 1;
                self.joined = true;
                continue;
            }
            match rest {
                [] | [b'#' | b'\r' | b'\n', ..] => return Err(self.fault("an unterminated regular expression")),
                [b'\\', quoted, ..] if *quoted != b'\r' && *quoted != b'\n' => {
                    pattern.extend_from_slice(&[b'\\', *quoted]);
                    self.at += 2;
                }
                [byte, ..] => {
                    pattern.push(*byte);
                    self.at += 1;
                    if *byte == b'$' {
                        self.joined = false;
                        return Ok(pattern);
                    }
                }
            }
        }
    }
}
