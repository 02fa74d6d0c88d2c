//! What a host should be, what it is, and what that means.
//!
//! This crate is pure: it opens no file, runs no program, reads no clock and no network. The host is an
//! argument ([`host::Host`]), time is an argument, keys are arguments. Agent and collector share it, so both
//! judge with the same function and nothing both must agree on lives anywhere else.
//!
//! Invariants:
//! - Absence is a value: what could not be seen is a [`host::Gap`], never an empty list and never a pass.
//! - Same input, same bytes: ordered maps everywhere, findings sorted, digests over the bytes that are kept.
//! - What needs trust asks for [`seal::Verified`], which only verification makes.
//! - A baseline cannot name a program, a path to read, or anything else to do.

pub mod api;
pub mod apt;
pub mod assert;
pub mod baseline;
pub mod change;
pub mod digest;
pub mod disguise;
pub mod drift;
pub mod duration;
pub mod evaluate;
pub mod facts;
pub mod finding;
pub mod glob;
pub mod host;
pub mod instance;
pub mod lifecycle;
pub mod netlink;
pub mod probe;
pub mod probes;
pub mod reconcile;
pub mod report;
pub mod seal;
pub mod shape;
pub mod shipped;
pub mod silence;
pub mod version;
pub mod yaml;
