//! Which hosts a condition means.

use super::*;

fn applies(text: &str) -> AppliesTo {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_system_is_a_name_and_perhaps_versions() {
    for good in ["debian", "debian >= 12", "debian>=12", "rhel >= 8 < 10", "ubuntu >= 22.04, < 26.04"] {
        assert!(System::try_from(good.to_owned()).is_ok(), "{good}");
    }
    for bad in ["", ">= 12", "debian 12", "debian >= ", "debian >= x y"] {
        assert!(System::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}

#[test]
fn a_host_whose_system_was_not_seen_is_unknown() {
    let answer = applies("{os: debian}").decide(&Traits::default(), &FactSet::default());
    assert!(matches!(answer, Applies::Unknown(_)), "{answer:?}");
}

#[test]
fn a_no_counts_more_than_what_is_not_known() {
    let traits = Traits { environment: Some("staging".into()), ..Traits::default() };
    let both = applies("{environment: production, role: web}");
    assert!(matches!(both.decide(&traits, &FactSet::default()), Applies::No(_)));
    let any = Condition { any: vec![vec![both], vec![applies("{environment: staging}")]], holds: true };
    assert_eq!(any.decide(&traits, &FactSet::default()), Applies::Yes);
    let none = Condition { holds: false, ..any };
    assert!(matches!(none.decide(&traits, &FactSet::default()), Applies::No(_)));
}
