//! # separation
//!
//! Whether one host serves both the outside and the data: front end and back end on one host.
//!
//! ## What it reads
//!
//! | source | feeds | without it |
//! | --- | --- | --- |
//! | the facts of `packages` and `services` | nothing of its own | `unknown`, unless either shows both roles |
//!
//! It reads no file itself, so it has neither items nor state.
//!
//! ## What counts
//!
//! A product is on the host where a package of its server is installed, or a unit of its starts with the host or is active. Clients
//! and libraries do not count.
//!
//! | role | products |
//! | --- | --- |
//! | front end | nginx, apache, caddy, lighttpd, haproxy, varnish, envoy, traefik, squid, php-fpm, tomcat, jetty |
//! | back end | postgresql, mysql, mariadb, mongodb, redis, valkey, memcached, elasticsearch, opensearch, cassandra, couchdb, influxdb, clickhouse, rabbitmq, kafka, openldap, nfs-server, samba |
//!
//! ## Expectations
//!
//! ```yaml
//! separation:
//!   apart: true
//!   not_counted: [memcached]
//! ```
//!
//! - `apart`: a host is front end or back end, or neither, but not both.
//! - `roles`: the host is at most of these: `front-end`, `back-end`; `[]` for neither.
//! - `not_counted`: products that may stand beside anything, with the reason in the rule's `why`.
//!
//! ## What it cannot see
//!
//! Programs installed without a package and started without a unit of a known name; what runs in containers (see `containers`);
//! databases inside a program (SQLite).

mod expect;
mod judge;
mod products;

use crate::facts::Facts;
use crate::finding::Judgement;
use crate::host::{Host, Question};
use crate::probe::{Context, Probe};

pub use expect::{Expect, Role};

/// The probe.
pub struct Separation;

impl Probe for Separation {
    const NAME: &'static str = "separation";
    const SCHEMA: u32 = 1;
    const READS: &'static [&'static str] = &[];
    const ASKS: &'static [Question] = &[];
    const NEEDS: &'static [&'static str] = &["packages", "services"];
    type Item = ();
    type State = ();
    type Expect = Expect;

    fn collect(_host: &dyn Host) -> Facts<(), ()> {
        Facts::default()
    }

    fn judge(expect: &Expect, _facts: &Facts<(), ()>, context: &Context<'_>) -> Vec<Judgement> {
        judge::judge(expect, context.facts)
    }

    fn say((): &()) -> String {
        String::new()
    }

    fn check_expectation(expect: &Expect) -> Result<(), (String, String)> {
        expect::check(expect)
    }
}

#[cfg(test)]
mod tests;
