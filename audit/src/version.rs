//! Version ordering, exactly as each package manager orders, and what a rule may ask of a version.
//!
//! One file a package manager.

pub mod alpm;
pub mod apk;
pub mod constraint;
pub mod dpkg;
pub mod rpm;

pub use constraint::{Constraint, Operator, Order};
pub use dpkg::DpkgVersion;
pub use rpm::RpmVersion;
