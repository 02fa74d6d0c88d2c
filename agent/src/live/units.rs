//! The units systemd knows, asked over D-Bus by `org.freedesktop.systemd1.Manager.ListUnits`: one call, no unit is loaded or
//! started by it. Its sibling `ListUnitFiles` costs the init process a second of CPU, and files tell the same.
//!
//! The bus is reached by its well-known Unix socket, never by an address from the environment, which could name an IP one.

use std::time::Duration;

use audit::host::{Gap, GapKind};
use zbus::OwnedObjectPath;

const BUS: &str = "/run/dbus/system_bus_socket";
const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PATIENCE: Duration = Duration::from_secs(5);
/// What is told of in every state; of the rest only failures.
const KINDS: [&str; 4] = [".service", ".socket", ".timer", ".path"];

/// (ssssssouso): name, description, load, active and sub state, what it follows, path, job id, job type, job path.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// See [`audit::host::Question::Units`].
pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    if !std::path::Path::new(BUS).exists() {
        return Err(gap(GapKind::Unsupported, "there is no system bus"));
    }
    // A thread of its own: the caller may already be inside a runtime, where another cannot be blocked on.
    let asking = std::thread::Builder::new().name("units".into()).spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| gap(GapKind::Failed, &error.to_string()))?;
        let told = runtime.block_on(async { tokio::time::timeout(PATIENCE, rows()).await });
        // A bus that holds a task up must not hold us up.
        runtime.shutdown_background();
        told.map_err(|_| gap(GapKind::TimedOut, "the system bus did not answer within five seconds"))?
    });
    let joined = asking.map_err(|error| gap(GapKind::Failed, &error.to_string()))?.join();
    let rows = joined.map_err(|_| gap(GapKind::Failed, "asking the system bus broke off"))??;
    let mut told: Vec<(&str, &str, &str)> =
        rows.iter().map(|row| (row.0.as_str(), row.3.as_str(), row.4.as_str())).filter(is_told).collect();
    told.sort_unstable();
    serde_json::to_vec(&told).map_err(|error| gap(GapKind::Failed, &error.to_string()))
}

fn is_told((name, active, _): &(&str, &str, &str)) -> bool {
    // A dead unit that something names is nothing that is.
    *active == "failed" || (*active != "inactive" && KINDS.iter().any(|kind| name.ends_with(kind)))
}

async fn rows() -> Result<Vec<Row>, Gap> {
    let address = format!("unix:path={BUS}");
    let bus = zbus::connection::Builder::address(address.as_str()).build().await.map_err(refused)?;
    let answer = bus.call_method(Some(NAME), PATH, Some(MANAGER), "ListUnits", &()).await;
    answer.map_err(refused)?.body().deserialize().map_err(refused)
}

fn refused(error: zbus::Error) -> Gap {
    if let zbus::Error::MethodError(name, ..) = &error {
        let kind = match name.as_str() {
            "org.freedesktop.DBus.Error.AccessDenied" => GapKind::Denied,
            "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
                return gap(GapKind::Unsupported, "systemd is not on the system bus");
            }
            _ => GapKind::Failed,
        };
        return gap(kind, name.as_str());
    }
    gap(GapKind::Failed, &error.to_string())
}

fn gap(kind: GapKind, detail: &str) -> Gap {
    Gap::new(kind, "Units", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dead_or_no_service_is_told_only_when_it_failed() {
        assert!(is_told(&("ssh.service", "active", "running")));
        assert!(is_told(&("x.service", "activating", "auto-restart")));
        assert!(is_told(&("mnt.mount", "failed", "failed")));
        assert!(!is_told(&("mnt.mount", "active", "mounted")));
        assert!(!is_told(&("ssh.service", "inactive", "dead")));
    }
}
