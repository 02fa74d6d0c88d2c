//! What sudoers text is made of: its tokens, and the fault where it cannot be taken apart.

/// Something sudo would not understand, and on which line it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// The namespaces of aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AliasKind {
    User,
    Runas,
    Host,
    Command,
}

/// What a `Defaults` line is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Everywhere,
    Users,
    Hosts,
    Runas,
    Commands,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Newline,
    Comma,
    Equals,
    Plus,
    Minus,
    Colon,
    Open,
    Close,
    Not,
    All,
    /// A name of upper-case letters, digits and underscores.
    Alias(String),
    Word(Vec<u8>),
    /// `%name`, with its percent sign.
    Group(Vec<u8>),
    /// `+name`, with its plus sign.
    Netgroup(Vec<u8>),
    Network(Vec<u8>),
    Command(Vec<u8>, Option<Vec<u8>>),
    /// The tag as written: `NOPASSWD`.
    Tag(&'static str),
    /// The option as written: `CWD`.
    Option(&'static str),
    DigestKind(&'static str),
    Digest(Vec<u8>),
    Aliases(AliasKind),
    Defaults(Scope),
    Setting(String),
    Include,
    IncludeDir,
}
