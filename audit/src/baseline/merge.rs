//! The rules of all layers laid on each other: by id, whole or some keys, and where each line came from.
//!
//! A later document's rule with the id of an earlier one changes it: keys given replace, those not given stay. Within an
//! expectation of the same probe the same holds key by key; `key: null` takes a key away, and `key+: […]` adds to its
//! list. A change from a document that holds only for some hosts makes a second *form* of the rule, for those hosts; the first
//! stays for the others.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::{Mapping, Value};

use super::applies::{AppliesTo, Condition};
use super::layers::{Layer, Layers};
use super::parameters::Values;
use crate::yaml::{Complaint, did_you_mean};

/// How many conditions may bear on one rule: each doubles its forms.
const MAX_CONDITIONS: usize = 4;

/// One form of a rule, merged, not yet typed.
pub(super) struct Form {
    pub(super) id: String,
    pub(super) mapping: Mapping,
    pub(super) when: Vec<Condition>,
    pub(super) origins: Origins,
}

/// Where each part of a merged rule was written: path within the rule → layer, and path within its document.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(pub(super) BTreeMap<String, (usize, String)>);

impl Origins {
    /// Layer and path of the node at `path` of the merged rule, or of the nearest that is known.
    pub(super) fn find(&self, path: &str) -> Option<(usize, String)> {
        let mut known = path;
        loop {
            if let Some((layer, own)) = self.0.get(known) {
                return Some((*layer, format!("{own}{}", path.get(known.len()..).unwrap_or_default())));
            }
            known = match known.rfind(['.', '[']) {
                Some(end) => known.get(..end)?,
                None if known.is_empty() => return None,
                None => "",
            };
        }
    }

    /// Forgets what stood at `path` and below.
    fn forget(&mut self, path: &str) {
        self.0.retain(|own, _| {
            own.strip_prefix(path).is_none_or(|rest| !(rest.is_empty() || rest.starts_with(['.', '['])))
        });
    }

    fn note(&mut self, path: &str, layer: usize, own: &str) {
        self.0.insert(path.to_owned(), (layer, own.to_owned()));
    }
}

/// What one document does to one rule.
struct Patch {
    layer: usize,
    path: String,
    /// `None` removes it.
    mapping: Option<Mapping>,
}

/// Merges. `values` notes which parameters were used; `probes` are the keys that hold expectations.
pub(super) fn merge(layers: &Layers, values: &mut Values, probes: &[&str]) -> Result<Vec<Form>, Complaint> {
    let mut order: Vec<String> = Vec::new();
    let mut patches: BTreeMap<String, Vec<Patch>> = BTreeMap::new();
    let mut spliced: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (number, layer) in layers.0.iter().enumerate() {
        for (index, id) in layer.raw.remove.iter().enumerate() {
            let Some(known) = patches.get_mut(id) else {
                let known: Vec<&str> = patches.keys().map(String::as_str).collect();
                let message = format!("there is no rule `{id}` to remove");
                return Err(layer.document.complain_at(
                    &format!("remove[{index}]"),
                    &message,
                    did_you_mean(id, &known),
                ));
            };
            if layer.always() {
                known.clear();
            } else {
                known.push(Patch { layer: number, path: format!("remove[{index}]"), mapping: None });
            }
        }
        let mut own: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, mapping) in layer.raw.rules.iter().enumerate() {
            let path = format!("rules[{index}]");
            let id = id(layer, &path, mapping)?;
            if let Some(first) = own.insert(id, index) {
                let message = format!("the id `{id}` is already that of rule {}", first + 1);
                return Err(layer.document.complain(&format!("{path}.id"), &message));
            }
            let mapping = put(layer, values, &path, mapping, probes, spliced.entry(number).or_default())?;
            if patches.get(id).is_none_or(Vec::is_empty) && !order.iter().any(|known| known == id) {
                order.push(id.to_owned());
            }
            patches.entry(id.to_owned()).or_default().push(Patch { layer: number, path, mapping: Some(mapping) });
        }
    }
    let mut forms = Vec::new();
    for id in order {
        let patches = patches.remove(&id).unwrap_or_default();
        forms.extend(of_one(layers, &id, &patches, probes, &spliced)?);
    }
    Ok(forms)
}

fn id<'a>(layer: &Layer, path: &str, mapping: &'a Mapping) -> Result<&'a str, Complaint> {
    let Some(id) = mapping.get("id").and_then(Value::as_str) else {
        let message = if mapping.contains_key("id") { "an id is text" } else { "missing field `id`" };
        return Err(layer
            .document
            .complain(&if mapping.contains_key("id") { format!("{path}.id") } else { path.into() }, message));
    };
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if id.is_empty() || id.len() > 80 || !id.chars().all(valid) {
        let message = "an id is lower-case letters, digits and hyphens, at most 80";
        return Err(layer.document.complain(&format!("{path}.id"), message));
    }
    Ok(id)
}

/// The rule with the parameters of its expectation put in.
fn put(
    layer: &Layer,
    values: &mut Values,
    path: &str,
    mapping: &Mapping,
    probes: &[&str],
    spliced: &mut BTreeSet<String>,
) -> Result<Mapping, Complaint> {
    let mut whole = Mapping::new();
    for (key, value) in mapping {
        let name = key.as_str().unwrap_or_default();
        if !probes.contains(&name) {
            whole.insert(key.clone(), value.clone());
            continue;
        }
        let value = values.put(value.clone(), &format!("{path}.{name}"), spliced).map_err(|bad| {
            let known: Vec<&str> = values.values.keys().map(String::as_str).collect();
            let hint = bad.unknown.filter(|_| !known.is_empty()).and_then(|name| did_you_mean(&name, &known));
            layer.document.complain_at(&bad.path, &bad.message, hint)
        })?;
        whole.insert(key.clone(), value);
    }
    Ok(whole)
}

/// The forms of one rule.
fn of_one(
    layers: &Layers,
    id: &str,
    patches: &[Patch],
    probes: &[&str],
    spliced: &BTreeMap<usize, BTreeSet<String>>,
) -> Result<Vec<Form>, Complaint> {
    let of = |patch: &Patch| layers.0.get(patch.layer);
    let ways = |patch: &Patch| of(patch).filter(|layer| !layer.always()).map(|layer| layer.ways.clone());
    let mut conditions: Vec<Vec<Vec<AppliesTo>>> = Vec::new();
    for found in patches.iter().filter_map(ways) {
        if !conditions.contains(&found) {
            conditions.push(found);
        }
    }
    if conditions.len() > MAX_CONDITIONS
        && let Some((layer, patch)) = patches.last().and_then(|patch| Some((of(patch)?, patch)))
    {
        let message = format!("rule `{id}` has other forms under more than {MAX_CONDITIONS} conditions");
        return Err(layer.document.complain(&patch.path, &message));
    }
    let mut forms: Vec<Form> = Vec::new();
    for mask in (0..1_usize << conditions.len()).rev() {
        let holds = |patch: &Patch| {
            ways(patch)
                .is_none_or(|own| conditions.iter().position(|one| *one == own).is_some_and(|n| mask & (1 << n) != 0))
        };
        let mut merged: Option<(Mapping, Origins)> = None;
        let mut first = None;
        for patch in patches.iter().filter(|patch| holds(patch)) {
            let Some(mapping) = &patch.mapping else {
                merged = None;
                continue;
            };
            let (mut whole, mut origins) = merged.take().unwrap_or_default();
            first = first.or(Some(patch));
            lay(&mut whole, &mut origins, mapping, patch, probes, layers)?;
            merged = Some((whole, origins));
        }
        let Some((mapping, mut origins)) = merged else { continue };
        if let Some(missing) = ["title", "severity", "why", "fix"].iter().find(|key| !mapping.contains_key(**key)) {
            // Where only the change holds and what it changes does not, there is no rule.
            let everywhere = mask + 1 == 1 << conditions.len();
            if let Some((layer, patch)) = first.filter(|_| everywhere).and_then(|patch| Some((of(patch)?, patch))) {
                return Err(incomplete(layers, layer, patch, missing));
            }
            continue;
        }
        for (layer, lists) in spliced {
            origins.0.retain(|_, (own, path)| {
                own != layer
                    || !lists.iter().any(|list| path.strip_prefix(list).is_some_and(|rest| rest.starts_with('[')))
            });
        }
        let when =
            conditions.iter().enumerate().map(|(n, any)| Condition { any: any.clone(), holds: mask & (1 << n) != 0 });
        forms.push(Form { id: id.to_owned(), mapping, when: when.collect(), origins });
    }
    Ok(forms)
}

fn incomplete(layers: &Layers, layer: &Layer, patch: &Patch, missing: &str) -> Complaint {
    let id = patch.mapping.as_ref().and_then(|mapping| mapping.get("id")).and_then(Value::as_str).unwrap_or_default();
    let known: Vec<&str> = layers
        .0
        .iter()
        .take(patch.layer)
        .flat_map(|layer| &layer.raw.rules)
        .filter_map(|rule| rule.get("id").and_then(Value::as_str))
        .collect();
    let hint = if known.is_empty() { None } else { did_you_mean(id, &known).filter(|hint| hint.starts_with("did")) };
    let message = format!("missing field `{missing}`");
    match hint {
        Some(hint) => {
            let message = format!("{message}, and no baseline it extends has a rule `{id}` to change");
            layer.document.complain_at(&format!("{}.id", patch.path), &message, Some(hint))
        }
        None => layer.document.complain(&patch.path, &message),
    }
}

/// Lays one document's rule on what is there.
fn lay(
    whole: &mut Mapping,
    origins: &mut Origins,
    mapping: &Mapping,
    patch: &Patch,
    probes: &[&str],
    layers: &Layers,
) -> Result<(), Complaint> {
    if whole.is_empty() {
        origins.note("", patch.layer, &patch.path);
    }
    for (key, value) in mapping {
        let Some(name) = key.as_str() else {
            let layer = layers.0.get(patch.layer);
            return match layer {
                Some(layer) => Err(layer.document.complain(&patch.path, "a rule's keys are text")),
                None => Ok(()),
            };
        };
        let own = format!("{}.{name}", patch.path);
        if let (Some("controls"), Value::Sequence(more)) = (name.strip_suffix('+'), value) {
            let list = whole.entry(Value::from("controls")).or_insert_with(|| Value::Sequence(Vec::new()));
            if let Value::Sequence(list) = list {
                for (index, item) in more.iter().enumerate() {
                    origins.note(&format!("controls[{}]", list.len()), patch.layer, &format!("{own}[{index}]"));
                    list.push(item.clone());
                }
            }
            continue;
        }
        let expectation = probes.contains(&name);
        if expectation {
            // A rule has one expectation. Two in one document are refused when it is typed; another's replaces.
            let other: Vec<Value> = whole
                .keys()
                .filter(|known| {
                    known
                        .as_str()
                        .is_some_and(|known| known != name && probes.contains(&known) && !mapping.contains_key(known))
                })
                .cloned()
                .collect();
            for other in other {
                origins.forget(other.as_str().unwrap_or_default());
                whole.remove(&other);
            }
        }
        match (whole.get_mut(name), value) {
            (Some(Value::Mapping(there)), Value::Mapping(changes)) if expectation => {
                inside(there, origins, changes, name, (patch.layer, &own));
            }
            _ => {
                origins.forget(name);
                origins.note(name, patch.layer, &own);
                let mut value = value.clone();
                if let (true, Value::Mapping(inner)) = (expectation, &mut value) {
                    let changes = std::mem::take(inner);
                    inside(inner, origins, &changes, name, (patch.layer, &own));
                }
                whole.insert(key.clone(), value);
            }
        }
    }
    Ok(())
}

/// Changes within an expectation.
fn inside(there: &mut Mapping, origins: &mut Origins, changes: &Mapping, probe: &str, (layer, own): (usize, &str)) {
    for (key, value) in changes {
        let name = key.as_str().unwrap_or_default();
        let written = format!("{own}.{name}");
        if let (Some(plain), Value::Sequence(more)) = (name.strip_suffix('+'), value) {
            let list = there.entry(Value::String(plain.to_owned())).or_insert_with(|| Value::Sequence(Vec::new()));
            if let Value::Sequence(list) = list {
                for (index, item) in more.iter().enumerate() {
                    let path = format!("{probe}.{plain}[{}]", list.len());
                    origins.note(&path, layer, &format!("{written}[{index}]"));
                    list.push(item.clone());
                }
                continue;
            }
        }
        let path = format!("{probe}.{name}");
        origins.forget(&path);
        if value.is_null() && there.contains_key(key) {
            there.remove(key);
            continue;
        }
        origins.note(&path, layer, &written);
        there.insert(key.clone(), value.clone());
    }
}
