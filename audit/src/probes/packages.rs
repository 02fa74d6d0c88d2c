//! # packages
//!
//! What the package manager says is installed. Placeholder being completed.

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Probe};

/// The probe.
pub struct Packages;

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its state.
    pub state: String,
}

/// What a rule can ask.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Packages that must be installed.
    #[serde(default)]
    pub present: Vec<String>,
}

impl Probe for Packages {
    const NAME: &'static str = "packages";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] =
        &["/var/lib/dpkg/status", "/var/lib/dpkg/status.d", "/var/lib/dpkg/status.d/*"];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &[];
    type Item = Package;
    type State = ();
    type Expect = Expect;

    fn collect(_host: &dyn Host) -> Facts<Package, ()> {
        Facts::default()
    }

    fn judge(_expect: &Expect, _facts: &Facts<Package, ()>, _context: &Context<'_>) -> Vec<Judgement> {
        Vec::new()
    }

    fn say(item: &Package) -> String {
        item.version.clone()
    }
}
