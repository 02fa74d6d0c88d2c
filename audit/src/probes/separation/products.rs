//! Which products face the outside and which keep the data, and by which packages and units they are known.

use super::Role;

/// A product of a role.
pub(super) struct Product {
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// Names of packages of Debian, Red Hat, Alpine and Arch that hold its server; a `*` at the end stands for anything.
    pub(super) packages: &'static [&'static str],
    /// Units without `.service`; a `*` at the end stands for anything.
    pub(super) units: &'static [&'static str],
}

const fn front(name: &'static str, packages: &'static [&'static str], units: &'static [&'static str]) -> Product {
    Product { name, role: Role::FrontEnd, packages, units }
}

const fn back(name: &'static str, packages: &'static [&'static str], units: &'static [&'static str]) -> Product {
    Product { name, role: Role::BackEnd, packages, units }
}

/// All that is known.
pub(super) const PRODUCTS: [Product; 30] = [
    front("nginx", &["nginx", "nginx-core", "nginx-full", "nginx-light", "nginx-extras"], &["nginx"]),
    front("apache", &["apache2", "httpd", "httpd-core"], &["apache2", "apache2@*", "httpd"]),
    front("caddy", &["caddy"], &["caddy"]),
    front("lighttpd", &["lighttpd"], &["lighttpd"]),
    front("haproxy", &["haproxy"], &["haproxy"]),
    front("varnish", &["varnish"], &["varnish"]),
    front("envoy", &["envoy", "getenvoy-envoy"], &["envoy"]),
    front("traefik", &["traefik"], &["traefik"]),
    front("squid", &["squid", "squid-openssl"], &["squid"]),
    front("php-fpm", &["php-fpm", "php5-fpm", "php7.*-fpm", "php8.*-fpm"], &["php-fpm", "php7.*-fpm", "php8.*-fpm"]),
    front("tomcat", &["tomcat", "tomcat9", "tomcat10", "tomcat11"], &["tomcat", "tomcat9", "tomcat10", "tomcat11"]),
    front("jetty", &["jetty9"], &["jetty9", "jetty"]),
    back(
        "postgresql",
        &["postgresql-?", "postgresql-??", "postgresql-server", "postgresql??-server"],
        &["postgresql", "postgresql@*", "postgresql-??"],
    ),
    back("mysql", &["mysql-server", "mysql-server-*", "mysql-community-server"], &["mysql", "mysqld"]),
    back("mariadb", &["mariadb-server", "mariadb-server-10.*"], &["mariadb", "mariadb@*"]),
    back("mongodb", &["mongodb", "mongodb-server", "mongodb-org-server"], &["mongod", "mongodb"]),
    back("redis", &["redis-server", "redis"], &["redis", "redis-server", "redis-server@*"]),
    back("valkey", &["valkey-server", "valkey"], &["valkey", "valkey-server"]),
    back("memcached", &["memcached"], &["memcached"]),
    back("elasticsearch", &["elasticsearch"], &["elasticsearch"]),
    back("opensearch", &["opensearch"], &["opensearch"]),
    back("cassandra", &["cassandra"], &["cassandra"]),
    back("couchdb", &["couchdb"], &["couchdb"]),
    back("influxdb", &["influxdb", "influxdb2"], &["influxdb"]),
    back("clickhouse", &["clickhouse-server"], &["clickhouse-server"]),
    back("rabbitmq", &["rabbitmq-server"], &["rabbitmq-server"]),
    back("kafka", &["kafka"], &["kafka"]),
    back("openldap", &["slapd", "openldap-servers"], &["slapd"]),
    back("nfs-server", &["nfs-kernel-server"], &["nfs-server", "nfs-kernel-server"]),
    back("samba", &["samba"], &["smbd", "smb", "samba-ad-dc"]),
];

/// Whether `pattern` means `name`: `?` one digit, `*` anything up to what follows it.
pub(super) fn means(pattern: &str, name: &str) -> bool {
    // Nearly every name begins otherwise.
    if let Some(first) = pattern.bytes().next().filter(|first| !matches!(first, b'?' | b'*'))
        && name.bytes().next() != Some(first)
    {
        return false;
    }
    let mut rest = name;
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(after) = prefix(first, rest) else { return false };
    rest = after;
    for part in parts {
        let Some(after) = (0..=rest.len()).find_map(|at| match part {
            "" => Some(""),
            _ => prefix(part, rest.get(at..)?),
        }) else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}

/// What follows `part` in `name`.
fn prefix<'a>(part: &str, name: &'a str) -> Option<&'a str> {
    let head = name.get(..part.len())?;
    let same = |(wanted, found): (u8, u8)| if wanted == b'?' { found.is_ascii_digit() } else { wanted == found };
    part.bytes().zip(head.bytes()).all(same).then(|| name.get(part.len()..)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_from_its_client() {
        for (pattern, name) in
            [("postgresql-??", "postgresql-15"), ("php8.*-fpm", "php8.2-fpm"), ("apache2@*", "apache2@a"), ("a", "a")]
        {
            assert!(means(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("postgresql-??", "postgresql-client-15"),
            ("postgresql-??", "postgresql-common"),
            ("php8.*-fpm", "php8.2-cli"),
            ("nginx", "nginx-common"),
            ("nginx-core", "nginx"),
        ] {
            assert!(!means(pattern, name), "{pattern} {name}");
        }
    }
}
