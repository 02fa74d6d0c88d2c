//! Rules over recorded hosts; the certificate was made by OpenSSL, valid from 2026-11-22 to 2036-11-19.

use super::*;
use crate::baseline::Baseline;
use crate::evaluate::{evaluate, observe};
use crate::finding::Status;
use crate::host::{GapKind, Recorded};
use crate::lifecycle::Lifecycles;

const SITE: &str = "-----BEGIN CERTIFICATE-----
MIIB8TCCAZegAwIBAgIUHBvThdFpmB3C7D6pBU2zk0uxNlYwCgYIKoZIzj0EAwIw
OjELMAkGA1UEBhMCREUxEDAOBgNVBAoMB0V4YW1wbGUxGTAXBgNVBAMMEHNpdGUu
ZXhhbXBsZS5vcmcwHhcNMjYxMTIyMTQ0OTIyWhcNMzYxMTE5MTQ0OTIyWjA6MQsw
CQYDVQQGEwJERTEQMA4GA1UECgwHRXhhbXBsZTEZMBcGA1UEAwwQc2l0ZS5leGFt
cGxlLm9yZzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMyoHPls/iP5Uz2psAwZ
AOlPAx3OvZT+k9nLmO6XoBSwkiJoorM4/CtXYtGhJ2oodUnd4dc4N4OqdPY11kuj
18yjezB5MB0GA1UdDgQWBBSlM0D3VCB/P1deF60/X44L1uT7PDAfBgNVHSMEGDAW
gBSlM0D3VCB/P1deF60/X44L1uT7PDAsBgNVHREEJTAjghBzaXRlLmV4YW1wbGUu
b3Jngg93d3cuZXhhbXBsZS5vcmcwCQYDVR0TBAIwADAKBggqhkjOPQQDAgNIADBF
AiAMK48SKFUsQPaUAdhoCeYqWEw3su9JV+FJ9sR6GzNs6wIhAPSvbrJ/az785hDo
xU7o1dlQtsNu8r7apKYOeAllOhN0
-----END CERTIFICATE-----
";
const SUM: &str = "1b12f2a7854e2a68c605ba9534a9497958d074ecfc2e797dd4bf65feb3143161";
/// In 2027, when it is valid.
const NOW: i64 = 1_800_000_000;

fn judged_at(host: &Recorded, rule: &str, now: i64) -> Vec<(String, Status, String)> {
    let head = "baseline: b\nversion: 1\ntitle: t\nrules:\n";
    let text = format!("{head}  - {{id: r, title: t, severity: low, why: w, fix: f, certificates: {rule}}}\n");
    let baseline = Baseline::parse("b.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let facts = observe(host, &["certificates"], &baseline.expectations());
    let lifecycles = Lifecycles::shipped().unwrap();
    let now = chrono::DateTime::from_timestamp(now, 0).unwrap();
    let findings = evaluate(&baseline, &Context { now, facts: &facts, lifecycles: &lifecycles });
    findings.into_iter().map(|finding| (finding.subject, finding.status, finding.observed)).collect()
}

/// The one finding.
#[track_caller]
fn one(host: &Recorded, rule: &str, now: i64) -> (Status, String) {
    let findings = judged_at(host, rule, now);
    let [(_, status, observed)] = findings.as_slice() else { panic!("{rule}: {findings:?}") };
    (*status, observed.clone())
}

fn host() -> Recorded {
    Recorded::new()
        .file("/etc/ssl/site.pem", SITE)
        .file("/etc/passwd", "root:x:0:0:::\n")
        .file("/etc/group", "root:x:0:\n")
}

#[test]
fn a_certificate_is_told_whole() {
    let rule: serde_yaml::Value = serde_yaml::from_str("{paths: [/etc/ssl/site.pem], valid_for: 0s}").unwrap();
    let expect: Expect = serde_yaml::from_value(rule).unwrap();
    let facts = Certificates::collect_for(&host(), &[&expect]);
    let Some(Item::Certificate(seen)) = facts.items.seen.get("/etc/ssl/site.pem:1") else { panic!("{facts:?}") };
    let name = "C=DE, O=Example, CN=site.example.org";
    assert_eq!((seen.name.as_str(), seen.issuer.as_ref(), seen.sha256.as_str()), (name, None, SUM));
    assert_eq!((seen.key.as_str(), seen.signature.as_str(), seen.ca), ("EC P-256", "SHA-256 with ECDSA", false));
    assert_eq!(seen.names, ["site.example.org", "www.example.org"]);
    assert_eq!((judge::day(seen.from), judge::day(seen.until)), ("2026-11-22".into(), "2036-11-19".into()));
}

#[test]
fn validity_is_judged_at_the_instant_given() {
    let rule = "{paths: [/etc/ssl/site.pem], valid_for: 30d}";
    let name = "C=DE, O=Example, CN=site.example.org";
    assert_eq!(one(&host(), rule, NOW).0, Status::Pass);
    let (late, early, over) = (2_109_000_000, 1_700_000_000, 2_200_000_000);
    assert_eq!(one(&host(), rule, late), (Status::Deviation, format!("{name}: expires on 2036-11-19")));
    assert_eq!(one(&host(), rule, early), (Status::Deviation, format!("{name}: valid only from 2026-11-22")));
    assert_eq!(one(&host(), rule, over), (Status::Deviation, format!("{name}: expired on 2036-11-19")));
}

#[test]
fn keys_signatures_issuers_and_names_are_judged() {
    for (ask, status) in [
        ("rsa_bits: 4096", Status::Pass),
        ("ec_bits: 256", Status::Pass),
        ("ec_bits: 384", Status::Deviation),
        ("signature: strong", Status::Pass),
        ("self_signed: forbidden", Status::Deviation),
        ("names: [WWW.example.org]", Status::Pass),
        ("names: [mail.example.org]", Status::Deviation),
    ] {
        assert_eq!(one(&host(), &format!("{{paths: [/etc/ssl/site.pem], {ask}}}"), NOW).0, status, "{ask}");
    }
}

#[test]
fn what_holds_no_certificate_is_unknown_and_what_is_not_there_does_not_apply() {
    let cut = &SITE[..300];
    let odd = SITE.replace("MIIB8TCC", "MIIB8TC!");
    let wrong = SITE.replace("MIIB8TCC", "MIIB8TCD");
    for (content, status) in
        [("", Status::Unknown), (cut, Status::Unknown), (&odd, Status::Unknown), (&wrong, Status::Unknown)]
    {
        let host = Recorded::new().file("/etc/x.pem", content);
        assert_eq!(one(&host, "{paths: [/etc/x.pem], valid_for: 1d}", NOW).0, status, "{content}");
    }
    assert_eq!(one(&host(), "{paths: [/etc/none.pem], valid_for: 1d}", NOW).0, Status::NotApplicable);
    let denied = host().gap("/etc/ssl/denied.pem", GapKind::Denied);
    let findings = judged_at(&denied, "{paths: [\"/etc/ssl/*.pem\"], valid_for: 1d}", NOW);
    assert_eq!(findings.iter().map(|finding| finding.1).collect::<Vec<_>>(), [Status::Unknown]);
}

#[test]
fn a_bundle_is_told_certificate_by_certificate_among_other_text() {
    let crlf =
        SITE.replace('\n', " \r\n").replace("BEGIN CERT", "BEGIN TRUSTED CERT").replace("END CERT", "END TRUSTED CERT");
    let bundle = format!("# ours\n{SITE}\nand\n{crlf}-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n");
    let host = Recorded::new().file("/etc/x.pem", bundle);
    assert_eq!(one(&host, "{paths: [/etc/x.pem], valid_for: 1d}", NOW), (Status::Pass, "2 certificates".into()));
}

#[test]
fn roots_are_a_closed_world_and_a_host_without_a_store_is_unknown() {
    let store = Recorded::new().file("/etc/ssl/certs/ca-certificates.crt", SITE);
    assert_eq!(one(&store, &format!("{{roots: [{SUM}]}}"), NOW).0, Status::Pass);
    assert_eq!(one(&store, &format!("{{roots: [{}]}}", "0".repeat(64)), NOW).0, Status::Deviation);
    assert_eq!(one(&Recorded::new(), &format!("{{roots: [{SUM}]}}"), NOW).0, Status::Unknown);
    let added = store.file("/usr/local/share/ca-certificates/own/x.crt", SITE);
    assert_eq!(one(&added, "{added_roots: []}", NOW).0, Status::Deviation);
    assert_eq!(one(&added, &format!("{{added_roots: [{SUM}]}}"), NOW).0, Status::Pass);
    assert_eq!(one(&Recorded::new(), "{added_roots: []}", NOW).0, Status::Pass);
}

#[test]
fn a_private_key_that_everybody_reads_deviates() {
    let host = host().file("/etc/ssl/private/a.key", "x").with_stat("/etc/ssl/private/a.key", |stat| stat.mode = 0o640);
    let rule = "{keys: [\"/etc/ssl/private/*\"]}";
    assert_eq!(one(&host, rule, NOW).0, Status::Pass);
    let open = host.file("/etc/ssl/private/b.key", "x");
    assert_eq!(one(&open, rule, NOW), (Status::Deviation, "0644 root:root".into()));
    assert_eq!(one(&open, "{keys: [/etc/none]}", NOW).0, Status::NotApplicable);
}

#[test]
fn damaged_certificates_never_panic() {
    let der = pem::certificates(SITE.as_bytes()).unwrap().remove(0).unwrap();
    for at in 0..der.len() {
        let mut damaged = der.clone();
        for value in [0, 0xff, 0x80, der[at] ^ 1] {
            damaged[at] = value;
            let _either = decode::certificate(&damaged);
        }
        assert!(decode::certificate(&der[..at]).is_err(), "cut at {at}");
    }
}
