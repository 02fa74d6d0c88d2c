//! dpkg's words for how far a package is installed and what was asked of it; dpkg(1), "Package states".

use serde::{Deserialize, Serialize};

/// How far a package is installed, in dpkg's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Removed; its configuration is still there.
    ConfigFiles,
    /// Unpacking began and did not end.
    HalfInstalled,
    /// Unpacked, not configured.
    Unpacked,
    /// Configuring began and did not end.
    HalfConfigured,
    /// Waits for another package's trigger.
    TriggersAwaited,
    /// Its own trigger has yet to run.
    TriggersPending,
    /// Installed.
    Installed,
}

impl State {
    pub(super) const ALL: [Self; 7] = [
        Self::ConfigFiles,
        Self::HalfInstalled,
        Self::Unpacked,
        Self::HalfConfigured,
        Self::TriggersAwaited,
        Self::TriggersPending,
        Self::Installed,
    ];

    /// As dpkg writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigFiles => "config-files",
            Self::HalfInstalled => "half-installed",
            Self::Unpacked => "unpacked",
            Self::HalfConfigured => "half-configured",
            Self::TriggersAwaited => "triggers-awaited",
            Self::TriggersPending => "triggers-pending",
            Self::Installed => "installed",
        }
    }
}

/// What was asked of a package, in dpkg's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// To be installed.
    #[default]
    Install,
    /// To stay at its version.
    Hold,
    /// To be removed.
    Deinstall,
    /// To be removed with its configuration.
    Purge,
    /// Nobody said.
    Unknown,
}

impl Selection {
    pub(super) const ALL: [Self; 5] = [Self::Install, Self::Hold, Self::Deinstall, Self::Purge, Self::Unknown];

    /// As dpkg writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Hold => "hold",
            Self::Deinstall => "deinstall",
            Self::Purge => "purge",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn is_install(&self) -> bool {
        *self == Self::Install
    }
}
