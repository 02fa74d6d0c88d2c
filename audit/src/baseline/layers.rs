//! The documents a baseline is made of: what it extends, what those extend, and itself, in the order they are laid on each other.
//!
//! Read: the text given, and through the [`Library`] what it extends. Refused: circles, more than eight deep, more than 32 in all.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::applies::{AppliesTo, OneOrMany};
use super::library::{Library, Target};
use super::parameters::{Parameter, is_name};
use super::{Clause, Control};
use crate::digest::Digest;
use crate::yaml::{Complaint, Document, did_you_mean};

/// How deep one baseline may extend another.
pub(super) const MAX_DEPTH: usize = 8;
/// How many documents one baseline may be made of.
pub(super) const MAX_LAYERS: usize = 32;

/// A document as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) baseline: String,
    pub(super) version: u32,
    pub(super) title: String,
    #[serde(default)]
    pub(super) extends: Option<OneOrMany<Extends>>,
    #[serde(default)]
    pub(super) applies_to: Option<AppliesTo>,
    #[serde(default)]
    pub(super) policies: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    pub(super) set: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) control: Control,
    #[serde(default)]
    pub(super) remove: Vec<String>,
    #[serde(default)]
    pub(super) rules: Vec<Mapping>,
    #[serde(default)]
    pub(super) cannot_show: Vec<Clause>,
    #[serde(default)]
    pub(super) to_come: Vec<Clause>,
}

/// One entry of `extends`: a name, or a name and the hosts it is for.
#[derive(Clone, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Extends {
    pub(super) name: String,
    pub(super) applies_to: Option<AppliesTo>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditional {
    name: String,
    applies_to: AppliesTo,
}

impl TryFrom<Value> for Extends {
    type Error = String;

    fn try_from(written: Value) -> Result<Self, String> {
        if let Value::String(name) = written {
            return Ok(Self { name, applies_to: None });
        }
        let Conditional { name, applies_to } = Conditional::deserialize(written).map_err(|error| error.to_string())?;
        Ok(Self { name, applies_to: Some(applies_to) })
    }
}

/// One document, in its place.
pub(super) struct Layer {
    pub(super) document: Document<'static>,
    pub(super) raw: Raw,
    /// The ways to it, each with the conditions under which it is taken. An empty way: it always is.
    pub(super) ways: Vec<Vec<AppliesTo>>,
    /// The SHA-256 of its text.
    digest: Digest,
    target: Target,
}

impl Layer {
    /// Whether it holds on every host.
    pub(super) fn always(&self) -> bool {
        self.ways.iter().any(Vec::is_empty)
    }
}

/// What is read from, and whether lines of what ships are needed.
struct Source<'a> {
    library: &'a dyn Library,
    places: bool,
}

/// All of them: what is extended before what extends it, the first document last.
pub(super) struct Layers(pub(super) Vec<Layer>);

impl Layers {
    /// Reads the document and everything it extends.
    pub(super) fn read(file: &str, bytes: &[u8], library: &dyn Library) -> Result<Self, Complaint> {
        Self::lay(file, bytes, library, false)
    }

    /// The same, knowing the lines of shipped documents too, which only a person asks for.
    pub(super) fn read_with_places(file: &str, bytes: &[u8], library: &dyn Library) -> Result<Self, Complaint> {
        Self::lay(file, bytes, library, true)
    }

    fn lay(file: &str, bytes: &[u8], library: &dyn Library, places: bool) -> Result<Self, Complaint> {
        let mut layers = Self(Vec::new());
        let library = Source { library, places };
        // Where it stands itself is the folder that files are named from.
        let own = Target::File(file.rsplit('/').next().unwrap_or(file).to_owned());
        let document = Document::own(file, bytes)?;
        layers.add(&mut Vec::new(), own, document, Vec::new(), &library)?;
        Ok(layers)
    }

    fn add(
        &mut self,
        open: &mut Vec<Target>,
        target: Target,
        document: Document<'static>,
        way: Vec<AppliesTo>,
        source: &Source<'_>,
    ) -> Result<(), Complaint> {
        let raw: Raw = document.parse()?;
        let way: Vec<AppliesTo> =
            way.into_iter().chain(raw.applies_to.clone()).filter(|applies| !applies.is_everywhere()).collect();
        open.push(target.clone());
        for (number, extends) in raw.extends.iter().flat_map(|extends| &extends.0).enumerate() {
            let path = match document.line(&format!("extends[{number}]")) {
                Some(_) => format!("extends[{number}]"),
                None => "extends".to_owned(),
            };
            let at = |message: &str, hint| document.complain_at(&path, message, hint);
            let next = Target::of(&extends.name, &target).map_err(|(message, hint)| at(&message, hint))?;
            if open.contains(&next) {
                let circle: Vec<&str> = open.iter().chain([&next]).map(Target::name).collect();
                return Err(at(&format!("baselines extend each other in a circle: {}", circle.join(" → ")), None));
            }
            if open.len() >= MAX_DEPTH {
                return Err(at(&format!("more than {MAX_DEPTH} baselines extend one another"), None));
            }
            let way: Vec<AppliesTo> = way.iter().cloned().chain(extends.applies_to.clone()).collect();
            if let Some(known) = self.0.iter().position(|layer| layer.target == next) {
                self.also(known, &way);
                continue;
            }
            if self.0.len() >= MAX_LAYERS {
                return Err(at(&format!("more than {MAX_LAYERS} baselines in one"), None));
            }
            let bytes = next.read(source.library).map_err(|why| at(&format!("`{}`: {why}", next.name()), None))?;
            let extended = match &next {
                Target::Shipped(name, text) if !source.places => Document::shipped(name, text),
                Target::Shipped(path, _) => Document::own(path, &bytes)?,
                Target::File(path) => Document::own(path, &bytes)?,
            };
            self.add(open, next, extended, way, source)?;
        }
        open.pop();
        let digest = Digest::of(document.text().as_bytes());
        self.0.push(Layer { document, raw, ways: vec![way], digest, target });
        Ok(())
    }

    /// Another way leads to a layer already there, and to all below it.
    fn also(&mut self, known: usize, way: &[AppliesTo]) {
        let Some(layer) = self.0.get_mut(known) else { return };
        let own = layer.raw.applies_to.clone().filter(|applies| !applies.is_everywhere());
        let way: Vec<AppliesTo> = way.iter().cloned().chain(own).collect();
        if layer.ways.contains(&way) || layer.always() {
            return;
        }
        layer.ways.push(way.clone());
        let target = layer.target.clone();
        let below: Vec<Extends> = layer.raw.extends.iter().flat_map(|extends| extends.0.clone()).collect();
        for extends in below {
            let Ok(next) = Target::of(&extends.name, &target) else { continue };
            let way: Vec<AppliesTo> = way.iter().cloned().chain(extends.applies_to).collect();
            if let Some(position) = self.0.iter().position(|layer| layer.target == next) {
                self.also(position, &way);
            }
        }
    }

    /// The document that was asked for.
    pub(super) fn top(&self) -> Option<&Layer> {
        self.0.last()
    }

    /// The SHA-256 of the text; where it extends others, of the digests and names of all, in their order.
    pub(super) fn digest(&self) -> Digest {
        match self.0.as_slice() {
            [only] => only.digest,
            all => {
                // The top one's name is where it stands, and each side has its own place for it.
                let (top, extended) = all.split_last().map_or((None, all), |(top, rest)| (Some(top), rest));
                let mut text = String::new();
                for layer in extended {
                    text.push_str(&format!("{} {}\n", layer.digest, layer.target.name()));
                }
                text.extend(top.map(|top| top.digest.to_string()));
                Digest::of(text.as_bytes())
            }
        }
    }

    /// What every parameter is: as set by the outermost document that sets it, else its default.
    pub(super) fn parameters(&self) -> Result<BTreeMap<String, Value>, Complaint> {
        let mut declared: BTreeMap<&str, (&Layer, &Parameter)> = BTreeMap::new();
        let mut values: BTreeMap<String, Value> = BTreeMap::new();
        for layer in &self.0 {
            for (name, parameter) in &layer.raw.parameters {
                let path = format!("parameters.{name}");
                let complain = |message: &str| layer.document.complain_of_key(&path, message, None);
                if !is_name(name) {
                    return Err(complain("a parameter's name is lower-case letters, digits and `_`, a letter first"));
                }
                if let Some((other, _)) = declared.insert(name, (layer, parameter)) {
                    let message =
                        format!("`{name}` is already a parameter of {}: set it with `set`", other.document.file());
                    return Err(complain(&message));
                }
                if let Some(default) = &parameter.default {
                    let path = format!("{path}.default");
                    parameter.check(default).map_err(|message| layer.document.complain(&path, &message))?;
                    values.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in &layer.raw.set {
                let path = format!("set.{name}");
                let Some((_, parameter)) = declared.get(name.as_str()) else {
                    let known: Vec<&str> = declared.keys().copied().collect();
                    let message = format!("there is no parameter `{name}` to set");
                    return Err(layer.document.complain_of_key(&path, &message, did_you_mean(name, &known)));
                };
                if !layer.always() {
                    let message = "a parameter is set for all hosts alike: override the rule where only some differ";
                    return Err(layer.document.complain_of_key(&path, message, None));
                }
                parameter.check(value).map_err(|message| layer.document.complain(&path, &message))?;
                values.insert(name.clone(), value.clone());
            }
        }
        for (name, (layer, _)) in declared {
            if !values.contains_key(name) {
                let message = format!("the parameter `{name}` has no default, and nobody sets it");
                let hint = Some("give it a `default`, or extend this baseline and `set` it".into());
                return Err(layer.document.complain_of_key(&format!("parameters.{name}"), &message, hint));
            }
        }
        Ok(values)
    }

    /// Refuses a parameter nothing uses: it would look as if setting it did something.
    pub(super) fn all_used(&self, used: &BTreeSet<String>) -> Result<(), Complaint> {
        for layer in &self.0 {
            if let Some(name) = layer.raw.parameters.keys().find(|name| !used.contains(*name)) {
                let message = format!("the parameter `{name}` is used nowhere");
                let hint = Some(format!("write `${{{name}}}` where its value belongs, or remove it"));
                return Err(layer.document.complain_of_key(&format!("parameters.{name}"), &message, hint));
            }
        }
        Ok(())
    }
}
