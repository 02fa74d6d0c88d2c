//! The vocabulary of `controls`: which standards a rule may answer, and how each writes its numbers.
//!
//! A mistyped standard would otherwise be a clause nobody finds when an auditor asks for it. Read: nothing. Left out: whether a
//! number exists in a standard's newest edition; editions differ, and the form is what typing errors break.

use super::super::yaml::did_you_mean;

/// How one standard is written.
struct Standard {
    prefix: &'static str,
    form: fn(&str) -> bool,
    example: &'static str,
}

/// HIPAA: 45 CFR 164. HITRUST: CSF categories and control references. NIST: SP 800-53 revision 5. CIS: the Controls (version 8) and
/// the numbers of its benchmarks. J and L: the two policies that `policy-j` and `policy-l` map.
const STANDARDS: [Standard; 6] = [
    Standard { prefix: "HIPAA ", form: hipaa, example: "HIPAA 164.312(e)(1)" },
    Standard { prefix: "HITRUST ", form: hitrust, example: "HITRUST 10.m" },
    Standard { prefix: "NIST 800-53 ", form: nist, example: "NIST 800-53 SC-7(5)" },
    Standard { prefix: "CIS ", form: cis, example: "CIS 4.1" },
    Standard { prefix: "J-", form: clause, example: "J-6" },
    Standard { prefix: "L-", form: clause, example: "L-9.2-17" },
];

/// The families of SP 800-53.
const FAMILIES: [&str; 20] = [
    "AC", "AT", "AU", "CA", "CM", "CP", "IA", "IR", "MA", "MP", "PE", "PL", "PM", "PS", "PT", "RA", "SA", "SC", "SI",
    "SR",
];

/// What is wrong with a control, and what was probably meant. `own` are prefixes that the baseline declared as its own policies.
pub(super) fn check(control: &str, own: &[&str]) -> Result<(), (String, Option<String>)> {
    if own.iter().any(|prefix| control.strip_prefix(prefix).is_some_and(|rest| rest.len() > 1 && begins(rest))) {
        return Ok(());
    }
    let Some(standard) = STANDARDS.iter().find(|standard| control.starts_with(standard.prefix)) else {
        let given = control.split([' ', '-']).next().unwrap_or(control);
        let mut known: Vec<&str> =
            STANDARDS.iter().map(|standard| standard.prefix.trim_end_matches([' ', '-'])).collect();
        known.extend(own);
        let message = format!("`{control}` is of no standard known here");
        return Err((message, did_you_mean(given, &known)));
    };
    let rest = control.get(standard.prefix.len()..).unwrap_or_default();
    if (standard.form)(rest) {
        return Ok(());
    }
    let message = format!("`{control}` is not how {} writes its numbers", standard.prefix.trim_end_matches([' ', '-']));
    Err((message, Some(format!("write `{}`", standard.example))))
}

fn begins(rest: &str) -> bool {
    rest.starts_with(['-', ' ', ':'])
}

/// A number, then groups in brackets: `312(e)(2)(ii)`.
fn numbered(text: &str) -> bool {
    let (number, groups) = text.split_at(text.find('(').unwrap_or(text.len()));
    let number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let mut rest = groups;
    while let Some(inner) = rest.strip_prefix('(') {
        let Some((group, after)) = inner.split_once(')') else { return false };
        if group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        rest = after;
    }
    number && rest.is_empty()
}

fn hipaa(rest: &str) -> bool {
    rest.strip_prefix("164.").is_some_and(numbered)
}

fn hitrust(rest: &str) -> bool {
    let (category, reference) = rest.split_once('.').unwrap_or((rest, "a"));
    category.len() == 2
        && category.parse::<u8>().is_ok_and(|number| number <= 19)
        && !reference.is_empty()
        && reference.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn nist(rest: &str) -> bool {
    rest.split_once('-').is_some_and(|(family, number)| FAMILIES.contains(&family) && numbered(number))
}

fn cis(rest: &str) -> bool {
    let parts: Vec<&str> = rest.split('.').collect();
    parts.len() <= 5 && parts.iter().all(|part| part.len() <= 3 && part.parse::<u16>().is_ok_and(|number| number > 0))
}

/// `6`, `SoD`, `PM-1`, `9.2-17`.
fn clause(rest: &str) -> bool {
    !rest.is_empty()
        && rest.len() <= 20
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_is_understood_as_its_example_shows() {
        for standard in &STANDARDS {
            assert_eq!(check(standard.example, &[]), Ok(()), "{}", standard.example);
        }
        for written in ["HIPAA 164.310(a)(2)(iii)", "HITRUST 01", "NIST 800-53 AC-6", "CIS 5.2.1", "J-SoD", "L-9.8-9"] {
            assert_eq!(check(written, &[]), Ok(()), "{written}");
        }
        assert_eq!(check("ACME-7", &["ACME"]), Ok(()));
    }

    #[test]
    fn an_unknown_standard_or_a_number_of_another_form_is_refused_with_what_was_meant() {
        let (_, hint) = check("HIPPA 164.312(b)", &[]).unwrap_err();
        assert_eq!(hint.as_deref(), Some("did you mean `HIPAA`?"));
        for wrong in
            ["HIPAA 312", "HITRUST 99.x", "NIST 800-53 XX-7", "NIST 800-53 AC", "CIS 4.x", "NIST 800-53 SC-7(5"]
        {
            assert!(check(wrong, &[]).unwrap_err().1.unwrap().starts_with("write `"), "{wrong}");
        }
        assert!(check("ACME-7", &[]).is_err());
    }
}
