//! Certificates against `openssl x509`: generated ones of every kind and encoding, and this machine's own trust store.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plumbline_tests::processes::{binary, run};
use serde_json::Value;
use tempfile::TempDir;

/// Makes one with `openssl req`, perhaps at another time.
fn make(folder: &Path, name: &str, at: Option<&str>, arguments: &[&str]) -> PathBuf {
    let path = folder.join(format!("{name}.pem"));
    let mut openssl = match at {
        Some(at) => {
            let mut faketime = Command::new("faketime");
            faketime.arg(at).arg("openssl");
            faketime
        }
        None => Command::new("openssl"),
    };
    openssl.args(["req", "-x509", "-nodes", "-utf8", "-keyout"]).arg(folder.join("key")).arg("-out").arg(&path);
    run(openssl.args(arguments)).ok();
    path
}

const EC: [&str; 3] = ["-newkey", "ec", "-pkeyopt"];

/// Certificates of every kind, in a folder.
fn generated(folder: &Path) {
    let subject = ["-subj", "/C=DE/O=Example AG/CN=www.example.org"];
    let keys: [&[&str]; 10] = [
        &["-newkey", "rsa:1024"],
        &["-newkey", "rsa:2048"],
        &["-newkey", "rsa:2047"],
        &["-newkey", "rsa:4096"],
        &[EC[0], EC[1], EC[2], "ec_paramgen_curve:P-256"],
        &[EC[0], EC[1], EC[2], "ec_paramgen_curve:P-384"],
        &[EC[0], EC[1], EC[2], "ec_paramgen_curve:P-521"],
        &[EC[0], EC[1], EC[2], "ec_paramgen_curve:secp256k1"],
        &["-newkey", "ed25519"],
        &["-newkey", "ed448"],
    ];
    for (number, key) in keys.iter().enumerate() {
        make(folder, &format!("key{number}"), None, &[*key, &subject].concat());
    }
    for hash in ["-sha1", "-sha224", "-sha256", "-sha384", "-sha512", "-md5"] {
        make(folder, &format!("rsa{hash}"), None, &[keys[1], &subject, &[hash]].concat());
        // OpenSSL itself has no PSS and no ECDSA over MD5.
        if hash != "-md5" {
            let pss = ["-sigopt", "rsa_padding_mode:pss"];
            make(folder, &format!("pss{hash}"), None, &[keys[1], &subject, &pss, &[hash]].concat());
            make(folder, &format!("ec{hash}"), None, &[keys[4], &subject, &[hash]].concat());
        }
    }
    for (name, at) in
        [("old", "1999-12-31 23:59:58"), ("future", "2049-06-01 00:00:00"), ("late", "2055-01-01 12:00:00")]
    {
        for days in ["1", "400", "9000"] {
            make(folder, &format!("{name}{days}"), Some(at), &[keys[4], &subject, &["-days", days]].concat());
        }
    }
    let names = [
        "/CN=Größe und Maß/O=日本/OU=a, b; c = \"d\"",
        "/DC=org/DC=example/UID=ava/CN=x",
        "/CN=two+OU=at once/emailAddress=ops@example.org",
        "/C=US/ST=Some State/L=A Town/street=1 Road/postalCode=12345/serialNumber=77/title=Dr/GN=A/SN=B/CN=long",
        "/",
    ];
    for (number, name) in names.iter().enumerate() {
        // Beside the usual forms TeletexString alone, BMPString (UTF-16) and UniversalString (UTF-32).
        for mask in ["utf8only", "nombstr", "pkix", "default", "MASK:0x800", "MASK:0x100"] {
            let name = &if mask == "nombstr" { name.replace("日本", "Ä") } else { (*name).to_owned() };
            let config = folder.join("config");
            let text = format!(
                "[req]\ndistinguished_name = dn\nstring_mask = {mask}\n[dn]\n[ext]\nbasicConstraints = CA:TRUE\n"
            );
            fs::write(&config, text).unwrap();
            let with = ["-config", config.to_str().unwrap(), "-subj", name, "-extensions", "ext"];
            make(folder, &format!("name{number}{mask}"), None, &[keys[4], &with].concat());
        }
    }
    let many = "subjectAltName=DNS:a.example.org,DNS:*.example.org,IP:192.0.2.1,IP:2001:db8::1,email:ops@example.org,URI:https://x/";
    make(folder, "alternatives", None, &[keys[4], &subject, &["-addext", many]].concat());
    encodings(folder);
    for temporary in ["key", "config"] {
        fs::remove_file(folder.join(temporary)).unwrap();
    }
}

/// The same certificate in the forms it may be found in.
fn encodings(folder: &Path) {
    let plain = folder.join("key4.pem");
    let convert = |name: &str, arguments: &[&str]| {
        run(Command::new("openssl")
            .arg("x509")
            .arg("-in")
            .arg(&plain)
            .args(arguments)
            .arg("-out")
            .arg(folder.join(name)))
        .ok();
    };
    convert("der.der", &["-outform", "DER"]);
    convert("trusted.pem", &["-trustout", "-addtrust", "serverAuth", "-setalias", "an alias"]);
    convert("text.pem", &["-text"]);
    let pem = fs::read_to_string(&plain).unwrap();
    fs::write(folder.join("crlf.pem"), pem.replace('\n', "\r\n")).unwrap();
    fs::write(folder.join("unended.pem"), pem.trim_end()).unwrap();
    fs::write(folder.join("blanks.pem"), pem.replace('\n', "  \n")).unwrap();
}

/// What openssl says of the first certificate in a file, in the words of the probe.
fn by_openssl(path: &Path) -> BTreeMap<&'static str, String> {
    let mut openssl = Command::new("openssl");
    openssl.arg("x509").arg("-in").arg(path);
    openssl.args([
        "-noout",
        "-subject",
        "-issuer",
        "-fingerprint",
        "-sha256",
        "-dates",
        "-dateopt",
        "iso_8601",
        "-text",
    ]);
    let said = run(openssl.args(["-nameopt", "sname,utf8,sep_comma_plus_space"])).ok().stdout;
    let line = |start: &str| {
        said.lines().find_map(|line| line.trim_start().strip_prefix(start)).unwrap_or_default().to_owned()
    };
    let instant = |start: &str| {
        let text = line(start).replace(' ', "T");
        chrono::DateTime::parse_from_rfc3339(&text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .timestamp()
            .to_string()
    };
    let bits = line("Public-Key: (").replace(" bit)", "");
    let key = match line("Public Key Algorithm: ").as_str() {
        "rsaEncryption" => format!("RSA {bits}"),
        "id-ecPublicKey" => match line("ASN1 OID: ").as_str() {
            "prime256v1" => "EC P-256".to_owned(),
            "secp384r1" => "EC P-384".to_owned(),
            "secp521r1" => "EC P-521".to_owned(),
            other => format!("EC {other}"),
        },
        "ED25519" => "Ed25519".into(),
        "ED448" => "Ed448".into(),
        other => other.to_owned(),
    };
    let algorithm = line("Signature Algorithm: ").trim().to_owned();
    let hash = |name: &str| match name.to_ascii_lowercase().as_str() {
        "md5" => "MD5".to_owned(),
        other => other.replace("sha", "SHA-"),
    };
    let signature = match algorithm.as_str() {
        "rsassaPss" => {
            let of = line("Hash Algorithm: ");
            let of = of.split(' ').next().unwrap_or_default().to_owned();
            format!("{} with RSA-PSS", hash(&of))
        }
        "ED25519" => "Ed25519".into(),
        "ED448" => "Ed448".into(),
        other => match (other.strip_suffix("WithRSAEncryption"), other.strip_prefix("ecdsa-with-")) {
            (Some(of), _) => format!("{} with RSA", hash(of)),
            (_, Some(of)) => format!("{} with ECDSA", hash(of)),
            _ => other.to_owned(),
        },
    };
    let names =
        said.lines().skip_while(|line| !line.contains("X509v3 Subject Alternative Name")).nth(1).unwrap_or_default();
    let names = names.trim().split(", ").filter_map(|name| {
        let address = |text: &str| text.parse::<std::net::IpAddr>().unwrap().to_string();
        name.strip_prefix("DNS:").map(str::to_owned).or_else(|| name.strip_prefix("IP Address:").map(address))
    });
    let subject = line("subject=").trim().to_owned();
    let issuer = line("issuer=").trim().to_owned();
    BTreeMap::from([
        ("issuer", if issuer == subject { String::new() } else { issuer }),
        ("name", subject),
        ("sha256", line("sha256 Fingerprint=").replace(':', "").to_ascii_lowercase()),
        ("from", instant("notBefore=")),
        ("until", instant("notAfter=")),
        ("key", key),
        ("signature", signature),
        ("ca", said.contains("CA:TRUE").to_string()),
        ("names", names.collect::<Vec<_>>().join(" ")),
    ])
}

/// The same of the probe's item.
fn by_us(item: &Value) -> BTreeMap<&'static str, String> {
    let item = &item["certificate"];
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| item[name].as_i64().map(|number| number.to_string()).unwrap_or_default();
    let names = item["names"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    BTreeMap::from([
        ("issuer", text("issuer")),
        ("name", text("name")),
        ("sha256", text("sha256")),
        ("from", number("from")),
        ("until", number("until")),
        ("key", text("key")),
        ("signature", text("signature")),
        ("ca", item["ca"].as_bool().unwrap_or(false).to_string()),
        ("names", names.join(" ")),
    ])
}

fn items(root: Option<&Path>, rule: &str) -> Value {
    let folder = TempDir::with_prefix("plumbline-certificates-").unwrap();
    let baseline = folder.path().join("b.yaml");
    let head = "baseline: b\nversion: 1\ntitle: t\nrules:\n";
    fs::write(
        &baseline,
        format!("{head}  - {{id: r, title: t, severity: low, why: w, fix: f, certificates: {rule}}}\n"),
    )
    .unwrap();
    let mut facts = Command::new(binary("plumbline"));
    facts.args(["facts", "certificates", "--baseline"]).arg(&baseline);
    if let Some(root) = root {
        facts.arg("--root").arg(root);
    }
    run(&mut facts).ok().json()["certificates"]["items"].take()
}

#[test]
fn generated_certificates_are_read_as_openssl_reads_them() {
    let root = TempDir::with_prefix("plumbline-certificates-").unwrap();
    let folder = root.path().join("pki");
    fs::create_dir(&folder).unwrap();
    generated(&folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let items = items(Some(root.path()), "{paths: [\"/pki/*\"], valid_for: 0s}");
    for file in &files {
        let own = format!("/pki/{}:1", file.file_name().unwrap().to_str().unwrap());
        assert_eq!(by_us(&items[&own]), by_openssl(file), "{own}");
    }
    assert!(files.len() >= 60, "{}", files.len());
    println!("{} of {} agreed with openssl x509", files.len(), files.len());
}

#[test]
fn every_certificate_of_a_bundle_and_of_this_machines_trust_store_is_read() {
    let store = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap();
    let folder = TempDir::with_prefix("plumbline-store-").unwrap();
    let all = items(
        None,
        &format!("{{paths: [/etc/ssl/certs/ca-certificates.crt], valid_for: 0s, roots: [{}]}}", "0".repeat(64)),
    );
    let end = "-----END CERTIFICATE-----\n";
    let blocks: Vec<&str> = store.split_inclusive(end).filter(|block| block.contains("-----BEGIN")).collect();
    for (number, block) in blocks.iter().enumerate() {
        let file = folder.path().join("one.pem");
        fs::write(&file, block).unwrap();
        let said = by_openssl(&file);
        let of_bundle = &all[format!("/etc/ssl/certs/ca-certificates.crt:{}", number + 1)];
        assert_eq!(by_us(of_bundle), said, "{number}");
        assert_eq!(&all[format!("root:{}", said["sha256"])], of_bundle, "{number}");
    }
    assert!(blocks.len() >= 100, "{}", blocks.len());
    let roots = all.as_object().unwrap().keys().filter(|subject| subject.starts_with("root:")).count();
    assert_eq!(roots, blocks.len());
    println!("{roots} of {roots} roots agreed with openssl x509");
}
