//! Who administers in polkit's sense: as items, and judged.

use std::collections::BTreeSet;

use super::polkit::{Polkit, in_sudo};
use super::{Item, State};
use crate::facts::Facts;
use crate::finding::{Judgement, Status};
use crate::host::{Gap, GapKind, Host, path_text};

/// Adds `polkit:admins`, and `polkit:file:PATH` for each file that is not understood.
pub(super) fn collect(host: &dyn Host, facts: &mut Facts<Item, State>) {
    let polkit = Polkit::read(host);
    let nothing = polkit.rules.is_empty() && polkit.unread.is_empty() && polkit.identities.is_none();
    match polkit.administrators() {
        Ok(found) => {
            let (file, identities) = match found {
                Some((file, identities)) => (Some(path_text(file)), identities.to_vec()),
                // Where nothing says who administers, root does: polkit(8).
                None if nothing => (None, Vec::new()),
                None => (None, vec!["unix-user:0".to_owned()]),
            };
            facts.items.seen.insert("polkit:admins".into(), Item::PolkitAdmins { identities, file });
        }
        Err(why) => facts.items.hide("polkit:admins", Gap::new(GapKind::Unsupported, "polkit", why)),
    }
    for (file, (why, sha256)) in polkit.unread {
        facts.items.seen.insert(format!("polkit:file:{}", path_text(&file)), Item::PolkitUnread { why, sha256 });
    }
    if let Some(gap) = super::rules::together(polkit.gaps) {
        facts.items.hide("polkit:", gap);
    }
}

/// One judgement for each identity, and an unknown for each file that may name others.
pub(super) fn judge(allowed: &BTreeSet<String>, facts: &Facts<Item, State>, judgements: &mut Vec<Judgement>) {
    const PART: &str = "polkit:admins";
    let names: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let expected = format!("administrators by polkit: {} and no others", names.join(", "));
    let mut unseen = false;
    for (hidden, gap) in &facts.items.gaps {
        if hidden.starts_with("polkit:") || "polkit:".starts_with(hidden.as_str()) {
            judgements.push(Judgement::unseen(gap, PART, expected.clone()));
            unseen = true;
        }
    }
    for (subject, item) in &facts.items.seen {
        if let Item::PolkitUnread { why, .. } = item {
            let observed = format!("its rules are not understood ({why}), so they may name others");
            judgements.push(Judgement::new(Status::Unknown, subject.clone(), expected.clone(), observed));
            unseen = true;
        }
    }
    let Some(Item::PolkitAdmins { identities, file }) = facts.items.seen.get(PART) else {
        if !unseen {
            let gap =
                Gap::new(GapKind::Undeclared, "polkit", "not looked at: the host's own baseline does not ask for it");
            judgements.push(Judgement::unseen(&gap, PART, expected));
        }
        return;
    };
    let by = file.as_ref().map_or(String::new(), |file| format!(", by {file}"));
    let wrong: Vec<String> =
        identities.iter().map(|identity| in_sudo(identity)).filter(|who| !allowed.contains(who)).collect();
    if !wrong.is_empty() {
        let observed = format!("{} administers{by}", wrong.join(", "));
        judgements.push(Judgement::new(Status::Deviation, PART, expected, observed));
    } else if identities.is_empty() && !unseen {
        judgements.push(Judgement::new(Status::NotApplicable, PART, expected, "polkit has no rules here"));
    } else if !unseen {
        judgements.push(Judgement::new(Status::Pass, PART, expected, format!("{}{by}", identities.join(", "))));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deviates, host, judge, wrong};
    use crate::finding::Status;
    use crate::host::GapKind;

    const DEBIAN: &str = "polkit.addAdminRule(function(action, subject) { return [\"unix-group:sudo\"]; });";
    const RULES: &str = "/usr/share/polkit-1/rules.d";

    #[test]
    fn the_first_rule_that_answers_says_who_administers() {
        let host = host().file(&format!("{RULES}/50-default.rules"), DEBIAN);
        assert_eq!(wrong(&host, "polkit: ['%sudo']"), []);
        assert_eq!(wrong(&host, "polkit: [root]"), deviates(&["polkit:admins"]));
        let earlier = DEBIAN.replace("sudo", "ops\", \"unix-user:otto");
        let host = host.file("/etc/polkit-1/rules.d/40-ops.rules", &earlier);
        let told = judge(&host, "polkit: ['%sudo', '%ops']");
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].0, told[0].2.as_str()),
            (Status::Deviation, "otto administers, by /etc/polkit-1/rules.d/40-ops.rules")
        );
    }

    #[test]
    fn of_one_name_the_file_in_etc_is_asked_first() {
        let host = host().file(&format!("{RULES}/50-default.rules"), DEBIAN);
        let host = host.file("/etc/polkit-1/rules.d/50-default.rules", DEBIAN.replace("sudo", "ops"));
        assert_eq!(wrong(&host, "polkit: ['%ops']"), []);
    }

    #[test]
    fn what_is_not_understood_is_unknown_and_never_a_pass() {
        let host = host().file(&format!("{RULES}/50-default.rules"), DEBIAN);
        let odd = host.clone().file(&format!("{RULES}/10-odd.rules"), "polkit.addAdminRule(f);");
        let subject = format!("polkit:file:{RULES}/10-odd.rules");
        assert_eq!(wrong(&odd, "polkit: ['%sudo']"), [(Status::Unknown, subject)]);
        let told = judge(&odd, "polkit: ['%sudo']");
        assert!(told.iter().all(|(status, ..)| *status == Status::Unknown), "{told:?}");
        let denied = host.clone().gap("/etc/polkit-1/rules.d", GapKind::Denied);
        assert_eq!(wrong(&denied, "polkit: ['%sudo']"), [(Status::Unknown, "polkit:admins".into())]);
        let depends = DEBIAN.replace("return [", "if (action.id == \"a\") return [\"unix-group:x\"]; return [");
        let depends = host.file("/etc/polkit-1/rules.d/1.rules", &depends);
        assert_eq!(wrong(&depends, "polkit: ['%sudo']"), [(Status::Unknown, "polkit:admins".into())]);
    }

    #[test]
    fn older_releases_have_identities_and_no_polkit_does_not_apply() {
        let old = host().file(
            "/etc/polkit-1/localauthority.conf.d/51-ubuntu-admin.conf",
            "[Configuration]\nAdminIdentities=unix-group:sudo;unix-group:admin\n",
        );
        assert_eq!(wrong(&old, "polkit: ['%sudo', '%admin']"), []);
        assert_eq!(wrong(&old, "polkit: ['%sudo']"), deviates(&["polkit:admins"]));
        assert_eq!(wrong(&host(), "polkit: []"), [(Status::NotApplicable, "polkit:admins".into())]);
    }
}
