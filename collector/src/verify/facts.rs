//! Facts: whether each body still hashes to its name, and each manifest needs what it is said to need.

use audit::digest::Digest;
use audit::report::Manifest;

use super::Found;
use crate::error::Refusal;
use crate::inflate::inflate;
use crate::store::{Conn, evidence, facts};

/// Looks at every body.
pub(super) async fn check(db: &mut Conn, found: &mut Found) -> Result<(), Refusal> {
    let mut after = String::new();
    loop {
        let page = evidence::facts(db, &after).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after.clone_from(last);
        for (name, size) in page {
            found.checked.facts += 1;
            found.at("facts", found.checked.facts);
            one(db, &name, size, found).await?;
        }
    }
}

async fn one(db: &mut Conn, name: &str, size: u64, found: &mut Found) -> Result<(), Refusal> {
    let what = format!("facts {name}");
    let Ok(digest) = name.parse::<Digest>() else {
        found.wrong(what, "are named by no digest");
        return Ok(());
    };
    let Some(body) = facts::body(db, digest).await? else { return Ok(()) };
    let inflated = match inflate(&body) {
        Ok(inflated) => inflated,
        Err(refusal) => {
            found.wrong(what, format!("cannot be read: {refusal}"));
            return Ok(());
        }
    };
    if Digest::of(&inflated) != digest {
        found.wrong(what, "are others than were sent: they do not hash to their name");
        return Ok(());
    }
    if inflated.len() as u64 != size {
        found.wrong(what.clone(), format!("are {} bytes, not the {size} that are said", inflated.len()));
    }
    let needs = evidence::needs(db, digest).await?;
    if needs.is_empty() {
        return Ok(());
    }
    // Both are in the order of digests.
    let due = serde_json::from_slice::<Manifest>(&inflated).map(|manifest| manifest.needs()).unwrap_or_default();
    if due != needs {
        found.wrong(format!("manifest {name}"), "needs other facts than is said of it");
    }
    Ok(())
}
