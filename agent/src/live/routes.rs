//! Where packets leave: links, routing rules and routes of this network namespace, as rtnetlink(7) dumps them.

use audit::host::Gap;

use super::netlink::{Dumper, Protocol};

/// RTM_GETLINK, RTM_GETRULE, RTM_GETROUTE.
const REQUESTS: [u16; 3] = [18, 34, 26];

/// See [`audit::host::Question::Routes`].
pub(super) fn ask() -> Result<Vec<u8>, Gap> {
    let dumper = Dumper::open(Protocol::Route, "routes")?;
    let mut told = Vec::new();
    for request in REQUESTS {
        // Zeroes name no family and no interface: all of them. The longest header of the three is ifinfomsg.
        dumper.dump(request, &[0; 16], &mut told)?;
    }
    Ok(told)
}
