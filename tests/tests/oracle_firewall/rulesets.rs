//! Rulesets as nft reads them, each with something the probe must get right.

/// Rulesets by what is special about them.
pub const RULESETS: [(&str, &str); 13] = [
    ("empty", ""),
    (
        "ordinary",
        "table inet filter {
            chain input {
                type filter hook input priority filter; policy drop;
                ct state established,related accept
                ct state invalid drop
                iif lo accept
                meta l4proto { icmp, ipv6-icmp } accept
                ip saddr 10.0.0.0/8 tcp dport 22 counter accept
            }
            chain forward { type filter hook forward priority filter; policy drop; }
            chain output { type filter hook output priority filter; policy accept; }
        }",
    ),
    (
        "sets",
        "table inet f {
            set v4 { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 172.16.0.1-172.16.0.9, 192.0.2.1 }; }
            set pair { type ipv4_addr . inet_service; flags interval; elements = { 10.1.0.0/16 . 80, 10.2.0.1 . 443-445 }; }
            chain input {
                type filter hook input priority 0; policy drop;
                ip saddr @v4 tcp dport { 22, 80, 8000-8010 } accept
                ip saddr . tcp dport @pair accept
            }
        }",
    ),
    (
        "maps",
        "table inet f {
            map ports { type inet_service : verdict; elements = { 22 : accept, 80 : jump web, 443 : goto web }; }
            chain web {
                ip saddr 10.0.0.0/8 accept
                return
            }
            chain input {
                type filter hook input priority 0; policy drop;
                tcp dport vmap @ports
            }
        }",
    ),
    (
        "vmaps",
        "table inet f {
            chain input {
                type filter hook input priority 0; policy accept;
                ct state vmap { established : accept, related : accept, invalid : drop }
                tcp dport vmap { 25 : accept, 26 : drop }
                iifname vmap { \"lo\" : accept, \"eth9\" : drop }
                drop
            }
        }",
    ),
    (
        "jumps",
        "table ip f {
            chain c { tcp dport 3 drop
                udp dport 53 accept
            }
            chain b { jump c
                tcp dport 1-2 accept
            }
            chain input {
                type filter hook input priority -5; policy drop;
                ip saddr != 192.0.2.0/24 goto b
                tcp dport 4 accept
            }
        }",
    ),
    (
        "ip6",
        "table ip6 six {
            chain input {
                type filter hook input priority 0; policy drop;
                icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
                ip6 saddr fe80::/10 udp dport 546 accept
                ip6 saddr { 2001:db8::/32, fd00::1 } tcp dport 22 accept
            }
        }",
    ),
    (
        "netdev",
        "table netdev n {
            chain ingress {
                type filter hook ingress device \"lo\" priority 0; policy accept;
                ip saddr 192.0.2.1 drop
            }
        }
        table bridge b {
            chain input { type filter hook input priority 0; policy accept; }
        }
        table arp a {
            chain input { type filter hook input priority 0; policy accept; }
        }",
    ),
    (
        "nat",
        "table inet n {
            chain pre {
                type nat hook prerouting priority dstnat; policy accept;
                tcp dport 8080 redirect to :80
            }
            chain post {
                type nat hook postrouting priority srcnat; policy accept;
                oifname \"eth0\" masquerade
            }
        }",
    ),
    (
        "two base chains",
        "table inet one {
            chain input { type filter hook input priority 0; policy drop;
                tcp dport { 22, 80 } accept
            }
        }
        table inet two {
            chain input { type filter hook input priority 10; policy accept;
                tcp dport 80 reject with tcp reset
            }
        }",
    ),
    (
        "dynamic",
        "table inet f {
            set seen { type ipv4_addr; size 128; flags dynamic,timeout; timeout 1h; }
            chain input {
                type filter hook input priority 0; policy drop;
                ip saddr @seen drop
                tcp dport 23 add @seen { ip saddr }
            }
        }",
    ),
    (
        "equal rules, odd conditions",
        "table inet f {
            chain input {
                type filter hook input priority 0; policy drop;
                tcp dport 22 accept
                tcp dport 22 accept
                meta mark 1 accept
                fib daddr type local tcp dport 99 accept
                tcp dport > 60000 accept
            }
        }",
    ),
    (
        "dormant",
        "table ip sleeping {
            flags dormant
            chain input { type filter hook input priority 0; policy drop; }
        }",
    ),
];
