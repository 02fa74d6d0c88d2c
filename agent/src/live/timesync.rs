//! systemd-timesyncd, asked over D-Bus for the properties of `org.freedesktop.timesync1.Manager`.
//!
//! The bus is reached by its well-known Unix socket, never by an address from the environment, which could name an IP
//! one. Whoever owns the service's name is asked by its own: the bus would start a service asked by the well-known name,
//! and observing must not change who holds the clock.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audit::host::{Gap, GapKind};
use serde_json::{Value, json};
use zbus::OwnedVariant;

const BUS: &str = "/run/dbus/system_bus_socket";
const NAME: &str = "org.freedesktop.timesync1";
const PATH: &str = "/org/freedesktop/timesync1";
const MANAGER: &str = "org.freedesktop.timesync1.Manager";
const PATIENCE: Duration = Duration::from_secs(1);

type Properties = BTreeMap<String, OwnedVariant>;
/// `NTPMessage`, (uuuuittayttttbtt): leap, version, mode, stratum; precision; root delay and dispersion; reference;
/// originate, receive, transmit, destination; ignored; packets; jitter. Times are microseconds since 1970.
type Message = (u32, u32, u32, u32, i32, u64, u64, Vec<u8>, u64, u64, u64, u64, bool, u64, u64);

/// See [`audit::host::Question::Timesync`].
pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    if !std::path::Path::new(BUS).exists() {
        return Err(gap(GapKind::Unsupported, "there is no system bus"));
    }
    // A thread of its own: the caller may already be inside a runtime, where another cannot be blocked on.
    let asking = std::thread::Builder::new().name("timesync".into()).spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| gap(GapKind::Failed, &error.to_string()))?;
        let told = runtime.block_on(async { tokio::time::timeout(PATIENCE, properties()).await });
        // A bus that holds a task up must not hold us up.
        runtime.shutdown_background();
        told.map_err(|_| gap(GapKind::TimedOut, "the system bus did not answer within a second"))?
    });
    let joined = asking.map_err(|error| gap(GapKind::Failed, &error.to_string()))?.join();
    let properties = joined.map_err(|_| gap(GapKind::Failed, "asking the system bus broke off"))??;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let told = told(&properties, u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
    let told = told.ok_or_else(|| Gap::malformed("Timesync", "a property is missing or has another type"))?;
    Ok(told.to_string().into_bytes())
}

async fn properties() -> Result<Properties, Gap> {
    let address = format!("unix:path={BUS}");
    let bus = zbus::connection::Builder::address(address.as_str()).build().await.map_err(refused)?;
    let broker = "org.freedesktop.DBus";
    let owner = bus.call_method(Some(broker), "/org/freedesktop/DBus", Some(broker), "GetNameOwner", &NAME).await;
    let owner: String = owner.map_err(refused)?.body().deserialize().map_err(refused)?;
    let interface = Some("org.freedesktop.DBus.Properties");
    let answer = bus.call_method(Some(owner.as_str()), PATH, interface, "GetAll", &MANAGER).await;
    answer.map_err(refused)?.body().deserialize().map_err(refused)
}

fn told(properties: &Properties, now_usec: u64) -> Option<Value> {
    let text = |name: &str| String::try_from(properties.get(name)?.try_clone().ok()?).ok();
    let poll: u64 = properties.get("PollIntervalMaxUSec")?.try_into().ok()?;
    let address: (i32, Vec<u8>) = properties.get("ServerAddress")?.try_clone().ok()?.try_into().ok()?;
    let message: Message = properties.get("NTPMessage")?.try_clone().ok()?.try_into().ok()?;
    Some(json!({
        "server_name": text("ServerName")?,
        "server_address": readable(&address.1),
        "poll_interval_max_usec": poll,
        "now_usec": now_usec,
        "message": {
            "leap": message.0, "stratum": message.3, "originate_usec": message.8, "receive_usec": message.9,
            "transmit_usec": message.10, "destination_usec": message.11, "ignored": message.12,
        },
    }))
}

/// An address by its length: the family number beside it is the kernel's and says no more.
fn readable(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).to_string());
    four.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).to_string()))
}

fn refused(error: zbus::Error) -> Gap {
    if let zbus::Error::MethodError(name, ..) = &error {
        let kind = match name.as_str() {
            "org.freedesktop.DBus.Error.AccessDenied" => GapKind::Denied,
            "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
                return gap(GapKind::Unsupported, "timesyncd is not on the system bus");
            }
            _ => GapKind::Failed,
        };
        return gap(kind, name.as_str());
    }
    gap(GapKind::Failed, &error.to_string())
}

fn gap(kind: GapKind, detail: &str) -> Gap {
    Gap::new(kind, "Timesync", detail)
}
