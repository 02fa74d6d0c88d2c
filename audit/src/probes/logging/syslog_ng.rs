//! Where syslog-ng sends to, the least of it: `network()`, `syslog()`, `tcp()` and `udp()` inside a `destination`. Source: syslog-ng's
//! administration guide, "Destinations".

use std::path::Path;

use super::{Item, files, read, target};
use crate::facts::Observed;
use crate::host::Host;

pub(super) fn collect(host: &dyn Host, items: &mut Observed<Item>) {
    let more = files(host, "/etc/syslog-ng/conf.d", ".conf", "target:", items);
    for file in std::iter::once("/etc/syslog-ng/syslog-ng.conf".to_owned()).chain(more.into_values()) {
        let Some(text) = read(host, Path::new(&file), "target:", items) else { continue };
        let text: String =
            text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
        for destination in text.split("destination ").skip(1) {
            let block = destination.split("};").next().unwrap_or(destination);
            for driver in ["network", "syslog", "tcp6", "udp6", "tcp", "udp"] {
                if let Some(place) = place(block, driver) {
                    target(items, "syslog-ng", &place, is_encrypted(block));
                    break;
                }
            }
        }
    }
}

fn is_encrypted(block: &str) -> bool {
    let plain: String = block.chars().filter(|character| !character.is_whitespace() && *character != '"').collect();
    plain.contains("transport(tls)") || plain.contains("tls(")
}

fn place(block: &str, driver: &str) -> Option<String> {
    let (_, arguments) = block.split_once(&format!("{driver}("))?;
    let host = arguments.trim_start().strip_prefix('"')?.split('"').next()?;
    let option = |name: &str| {
        let value = arguments.split_once(&format!("{name}("))?.1.split(')').next()?;
        Some(value.trim().trim_matches('"').to_lowercase())
    };
    let transport = option("transport").unwrap_or_else(|| match driver {
        "udp" | "udp6" => "udp".to_owned(),
        _ => "tcp".to_owned(),
    });
    let protocol = if transport == "udp" { "udp" } else { "tcp" };
    let default = match (driver, transport.as_str()) {
        ("syslog", "tls") => "6514",
        ("syslog", "tcp") => "601",
        _ => "514",
    };
    let port = option("port").unwrap_or_else(|| default.to_owned());
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_lowercase() };
    Some(format!("{host}:{port}/{protocol}"))
}
