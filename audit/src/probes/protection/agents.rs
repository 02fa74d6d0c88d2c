//! The agents that are known, as data: a line each.

/// A program that guards a host, by what shows that it is there.
pub(super) struct Agent {
    /// As in baselines.
    pub(super) name: &'static str,
    /// Names of its packages; one that ends in `*` stands for all that begin so.
    pub(super) packages: &'static [&'static str],
    /// Units of which one must start and run; none for tools that are run by a timer or cron.
    pub(super) units: &'static [&'static str],
}

/// In the order of the probe's page.
pub(super) const AGENTS: &[Agent] = &[
    // Debian and Ubuntu; Red Hat's clamd@scan.
    agent(
        "clamav",
        &["clamav-daemon", "clamd", "clamav*"],
        &["clamav-daemon.service", "clamd.service", "clamd@scan.service", "clamav-clamonacc.service"],
    ),
    agent("crowdstrike", &["falcon-sensor"], &["falcon-sensor.service"]),
    agent("sentinelone", &["sentinelagent", "SentinelAgent"], &["sentinelone.service"]),
    agent("defender", &["mdatp"], &["mdatp.service"]),
    agent("wazuh", &["wazuh-agent", "wazuh-manager"], &["wazuh-agent.service", "wazuh-manager.service"]),
    agent("osquery", &["osquery"], &["osqueryd.service"]),
    agent("sophos", &["sophos-spl", "sophos-av"], &["sophos-spl.service", "sav-protect.service"]),
    agent("trendmicro", &["ds-agent", "ds_agent", "tmxbc"], &["ds_agent.service", "tmxbc.service"]),
    agent("eset", &["eea", "efs", "eraagent"], &["eea.service", "efs.service"]),
    agent("carbonblack", &["cb-psc-sensor", "cbsensor", "cbagentd"], &["cbagentd.service", "cbdaemon.service"]),
    agent("elastic", &["elastic-agent", "elastic-endpoint"], &["ElasticEndpoint.service", "elastic-agent.service"]),
    agent("cortex", &["cortex-agent", "traps"], &["traps_pmd.service"]),
    agent("auditd", &["auditd", "audit"], &["auditd.service"]),
    agent("aide", &["aide", "aide-common"], &[]),
    agent("tripwire", &["tripwire"], &[]),
    agent("samhain", &["samhain"], &["samhain.service"]),
    agent("fail2ban", &["fail2ban", "fail2ban-server"], &["fail2ban.service"]),
    agent("rkhunter", &["rkhunter"], &[]),
    agent("apparmor", &["apparmor"], &["apparmor.service"]),
];

const fn agent(name: &'static str, packages: &'static [&'static str], units: &'static [&'static str]) -> Agent {
    Agent { name, packages, units }
}

/// The agent called `name`.
pub(super) fn find(name: &str) -> Option<&'static Agent> {
    AGENTS.iter().find(|agent| agent.name == name)
}
