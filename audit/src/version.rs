//! Version ordering, exactly as each package manager orders, and what a rule may ask of a version.
//!
//! One file a package manager; dpkg is here, others join it with their probes.

pub mod constraint;
pub mod dpkg;

pub use constraint::{Constraint, Operator};
pub use dpkg::DpkgVersion;
