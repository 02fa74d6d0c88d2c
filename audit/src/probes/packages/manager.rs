//! Whose package it is: the package managers whose databases are read.

use serde::{Deserialize, Serialize};

use crate::version::Order;

/// A package manager.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// Debian and its relatives.
    #[default]
    Dpkg,
    /// Red Hat, SUSE and their relatives.
    Rpm,
    /// Alpine.
    Apk,
    /// Arch.
    Pacman,
    /// snapd, beside another.
    Snap,
    /// Flatpak, beside another.
    Flatpak,
}

impl Manager {
    /// How it orders versions. Snaps and flatpaks have revisions, no order of versions: dpkg's is as good as any.
    pub fn order(self) -> Order {
        match self {
            Self::Dpkg | Self::Snap | Self::Flatpak => Order::Dpkg,
            Self::Rpm => Order::Rpm,
            Self::Apk => Order::Apk,
            Self::Pacman => Order::Alpm,
        }
    }

    pub(super) fn is_dpkg(&self) -> bool {
        *self == Self::Dpkg
    }
}
