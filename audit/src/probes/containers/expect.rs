//! What a rule can ask of containers.

use serde::Deserialize;

use crate::change::Pattern;
use crate::duration::Length;

/// What a rule can ask; at least one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The only containers that may be privileged.
    pub privileged: Option<Vec<Pattern>>,
    /// The only `SUBJECT:PATH` that may be mounted.
    pub host_mounts: Option<Vec<Pattern>>,
    /// The only containers that may share the host's namespaces.
    pub host_namespaces: Option<Vec<Pattern>>,
    /// The only images.
    pub images: Option<Vec<Pattern>>,
    /// The oldest an image may be.
    pub image_age: Option<Length>,
    /// `true`: no containers at all.
    pub none: Option<bool>,
}

pub(super) fn check(expect: &Expect) -> Result<(), (String, String)> {
    let Expect { privileged, host_mounts, host_namespaces, images, image_age, none } = expect;
    let lists = [privileged, host_mounts, host_namespaces, images];
    if lists.iter().all(|list| list.is_none()) && image_age.is_none() && none.is_none() {
        let keys = "`privileged`, `host_mounts`, `host_namespaces`, `images`, `image_age`, `none`";
        return Err((String::new(), format!("ask at least one of {keys}")));
    }
    if *none == Some(false) {
        return Err(("none".into(), "only `true` asks for anything".into()));
    }
    Ok(())
}
