//! Configured tunnels, by the few lines that decide where packets go. Keys, passwords and certificates stand in the same
//! files: no other line is kept, not even in an error.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::facts::Observed;
use crate::host::{Host, gap::optional, path_text, read_small};

use super::Item;
use super::words::{Prefix, is_everything};

/// Prefixes that one tunnel shows.
const MOST: usize = 200;

pub(super) fn observe(host: &dyn Host, items: &mut Observed<Item>) {
    for (folder, kind, server) in [
        ("/etc/wireguard", "wireguard:", None),
        ("/etc/openvpn", "openvpn:", None),
        ("/etc/openvpn/client", "openvpn:client/", Some(false)),
        ("/etc/openvpn/server", "openvpn:server/", Some(true)),
    ] {
        for (name, text) in files(host, folder, kind, items) {
            let item = if kind == "wireguard:" { wireguard(&text) } else { openvpn(&text, server) };
            items.seen.insert(format!("{kind}{name}"), item);
        }
    }
    let mut texts: Vec<String> = Vec::new();
    for file in ["/etc/ipsec.conf", "/etc/swanctl/swanctl.conf"] {
        match optional(read_small(host, Path::new(file))) {
            Ok(None) => {}
            Ok(Some(bytes)) => texts.push(String::from_utf8_lossy(&bytes).into_owned()),
            Err(gap) => items.hide("ipsec:", gap),
        }
    }
    for folder in ["/etc/ipsec.d", "/etc/swanctl/conf.d"] {
        texts.extend(files(host, folder, "ipsec:", items).into_iter().map(|(_, text)| text));
    }
    for (name, item) in texts.iter().flat_map(|text| ipsec(text)) {
        items.seen.insert(format!("ipsec:{name}"), item);
    }
}

/// The `.conf` files of a folder, by name; what cannot be read hides its subject.
fn files(host: &dyn Host, folder: &str, kind: &str, items: &mut Observed<Item>) -> Vec<(String, String)> {
    let entries = match optional(host.list(Path::new(folder))) {
        Ok(entries) => entries.unwrap_or_default(),
        Err(gap) => {
            items.hide(kind, gap);
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries.iter().filter(|entry| entry.name.as_bytes().ends_with(b".conf")) {
        let name = path_text(Path::new(&entry.name));
        let name = name.strip_suffix(".conf").unwrap_or(&name).to_owned();
        match read_small(host, &Path::new(folder).join(&entry.name)) {
            Ok(bytes) => files.push((name, String::from_utf8_lossy(&bytes).into_owned())),
            Err(gap) => items.hide(format!("{kind}{name}"), gap),
        }
    }
    files
}

/// The items of `takes`, and the families they are everything of.
fn item(takes: &BTreeSet<String>, server: bool, options: Vec<String>) -> Item {
    let prefixes: Vec<Prefix> = takes.iter().filter_map(|text| Prefix::parse(text)).collect();
    let full = [("ip", true), ("ip6", false)].into_iter().filter(|(_, ipv4)| is_everything(&prefixes, *ipv4));
    Item {
        full: full.map(|(name, _)| name.to_owned()).collect(),
        takes: takes.iter().take(MOST).cloned().collect(),
        server,
        options,
    }
}

/// wg-quick(8): `AllowedIPs` of each `[Peer]`, may stand several times; `Table` of `[Interface]`.
fn wireguard(text: &str) -> Item {
    let (mut takes, mut options, mut peers) = (BTreeSet::new(), Vec::new(), 0);
    let mut listens = false;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.eq_ignore_ascii_case("[peer]") {
            peers += 1;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        match key.trim().to_ascii_lowercase().as_str() {
            "allowedips" => {
                takes.extend(value.split(',').filter_map(|text| Some(Prefix::parse(text.trim())?.to_string())))
            }
            "table" => options.push(format!("Table = {}", value.trim().chars().take(20).collect::<String>())),
            "listenport" => listens = true,
            _ => {}
        }
    }
    options.sort();
    // Many peers and a port of one's own: others come here, and what they may send is no way of ours.
    item(&takes, listens && peers > 1, options)
}

/// openvpn(8): `redirect-gateway`, `route`, `route-ipv6`, `route-nopull`, `client`, `server`.
fn openvpn(text: &str, server: Option<bool>) -> Item {
    let (mut takes, mut options) = (BTreeSet::new(), Vec::new());
    let mut is_server = server.unwrap_or(false);
    let mut inside = false;
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default().trim();
        // Keys stand between <key> and </key>.
        if let Some(rest) = line.strip_prefix('<') {
            inside = !rest.starts_with('/');
            continue;
        }
        if inside {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["redirect-gateway" | "redirect-private", flags @ ..] => {
                if line.starts_with("redirect-gateway") {
                    if !flags.contains(&"!ipv4") {
                        takes.insert("0.0.0.0/0".to_owned());
                    }
                    if flags.contains(&"ipv6") {
                        takes.insert("::/0".to_owned());
                    }
                }
                options.push(words.join(" "));
            }
            ["route", network, mask, ..] => {
                let length = mask.parse().map(|mask: std::net::Ipv4Addr| u32::from(mask).leading_ones());
                takes.extend(
                    length.ok().and_then(|length| Some(Prefix::parse(&format!("{network}/{length}"))?.to_string())),
                );
            }
            ["route", network] => takes.extend(Prefix::parse(network).map(|prefix| prefix.to_string())),
            ["route-ipv6", network, ..] => takes.extend(Prefix::parse(network).map(|prefix| prefix.to_string())),
            ["route-nopull" | "route-noexec", ..] => options.extend(words.first().map(|word| (*word).to_owned())),
            ["server" | "server-bridge" | "server-ipv6", ..] => is_server = server.unwrap_or(true),
            _ => {}
        }
    }
    options.sort();
    item(&takes, is_server, options)
}

/// ipsec.conf(5) `conn NAME` with `rightsubnet=`, and swanctl.conf(5) `children { NAME { remote_ts = … } }`.
fn ipsec(text: &str) -> Vec<(String, Item)> {
    let mut found: Vec<(String, BTreeSet<String>)> = Vec::new();
    let mut sections: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix("conn ").map(str::trim).filter(|name| !name.starts_with('%')) {
            found.push((name.to_owned(), BTreeSet::new()));
        } else if let Some(name) = line.strip_suffix('{') {
            sections.push(name.trim().to_owned());
            if let [.., children, name] = sections.as_slice()
                && children == "children"
            {
                found.push((name.clone(), BTreeSet::new()));
            }
        } else if line == "}" {
            sections.pop();
        } else if let Some((key, value)) = line.split_once('=')
            && matches!(key.trim(), "rightsubnet" | "rightsubnets" | "remote_ts")
            && let Some((_, takes)) = found.last_mut()
        {
            let list = value.trim().trim_matches(['{', '}', '"']).split([',', ' ']);
            takes.extend(list.filter_map(|text| Some(Prefix::parse(text.trim())?.to_string())));
        }
    }
    found.into_iter().map(|(name, takes)| (name, item(&takes, false, Vec::new()))).collect()
}
