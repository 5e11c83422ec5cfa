//! The file as it is written. Every shape refuses keys it does not know.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_saphyr::Spanned;

use crate::endpoint::Tls;
use crate::model::{Blanks, BrakeLimits, ConflictPolicy, Deletes, Direction, FirstSync, Keys, Limit, Lossy, Normal};

/// A text and where it stands.
pub type Text = Spanned<String>;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub integration: Text,
    pub endpoints: Named<EndpointShape>,
    pub source: Text,
    pub target: Text,
    pub state: Option<Text>,
    #[serde(default)]
    pub first_sync: FirstSync,
    #[serde(default = "yes")]
    pub keep_values: bool,
    #[serde(default = "log_max")]
    pub log_max: u64,
    pub links: Named<LinkConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointShape {
    pub url: Text,
    #[serde(default)]
    pub tls: Tls,
    pub manifest: Option<Text>,
}

/// One link as configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkConfig {
    /// The source's table.
    pub source: Text,
    /// The target's table.
    pub target: Text,
    /// Which way changes travel.
    #[serde(default)]
    pub direction: Direction,
    /// Who chooses keys.
    #[serde(default)]
    pub keys: Keys,
    /// The match rule.
    #[serde(default, rename = "match")]
    pub matching: Vec<MatchConfig>,
    /// The fields, by source column.
    pub fields: Named<FieldConfig>,
    /// What happens when both sides changed.
    #[serde(default)]
    pub conflict: ConflictPolicy,
    /// The columns that say when, for `conflict: newest`.
    pub newest: Option<Newest>,
    /// Deletes and blanks in one word.
    #[serde(default)]
    pub safety: Safety,
    /// What happens to survivors, where it differs from `safety`.
    pub deletes: Option<Deletes>,
    /// What happens to blanks, where it differs from `safety`.
    pub blanks: Option<Blanks>,
    /// When to stop and ask.
    #[serde(default)]
    brake: BrakeShape,
}

impl LinkConfig {
    /// What happens to survivors.
    pub fn deletes(&self) -> Deletes {
        self.deletes.unwrap_or(match self.safety {
            Safety::Protect => Deletes::Keep,
            Safety::Mirror => Deletes::Delete,
        })
    }

    /// What happens to blanks, unless a field says otherwise.
    pub fn blanks(&self) -> Blanks {
        self.blanks.unwrap_or(match self.safety {
            Safety::Protect => Blanks::Keep,
            Safety::Mirror => Blanks::Propagate,
        })
    }

    /// When to stop and ask.
    pub fn brake(&self) -> BrakeLimits {
        let BrakeShape { deletes, changes } = &self.brake;
        BrakeLimits { deletes: deletes.0, changes: changes.0 }
    }
}

/// `safety`: what deletes and blanks do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// Neither travels.
    #[default]
    Protect,
    /// Both do.
    Mirror,
}

/// The columns compared by `conflict: newest`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newest {
    /// The source's.
    pub source: Text,
    /// The target's.
    pub target: Text,
}

/// `column` or `{to: column, …}`.
#[derive(Clone, Debug)]
pub struct FieldConfig {
    /// The target's column.
    pub to: Text,
    /// For a foreign key: the link through whose pairs it is rewritten.
    pub via: Option<Text>,
    /// Which way it travels, where not as its link.
    pub direction: Option<Direction>,
    /// Whether blanks travel, where not as its link.
    pub blanks: Option<Blanks>,
    /// What may happen to a value that does not fit.
    pub lossy: Lossy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldShape {
    to: Text,
    via: Option<Text>,
    direction: Option<Direction>,
    blanks: Option<Blanks>,
    #[serde(default)]
    lossy: Lossy,
}

impl<'de> Deserialize<'de> for FieldConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<WordOr<FieldShape>>::deserialize(deserializer)?;
        Ok(match read.value {
            WordOr::Word(word) => {
                let to = Spanned::new(word, read.referenced, read.defined);
                FieldConfig { to, via: None, direction: None, blanks: None, lossy: Lossy::Hold }
            }
            WordOr::Shape(FieldShape { to, via, direction, blanks, lossy }) => FieldConfig { to, via, direction, blanks, lossy },
        })
    }
}

/// `column` or `{field: column, …}`, a source column of a mapped field.
#[derive(Clone, Debug)]
pub struct MatchConfig {
    /// The source's column.
    pub field: Text,
    /// How it is compared.
    pub normal: Normal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchShape {
    field: Text,
    #[serde(default)]
    case: Case,
    #[serde(default)]
    blanks: MatchBlanks,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Case {
    #[default]
    Exact,
    Ignore,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MatchBlanks {
    #[default]
    Exact,
    Trim,
}

impl<'de> Deserialize<'de> for MatchConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<WordOr<MatchShape>>::deserialize(deserializer)?;
        Ok(match read.value {
            WordOr::Word(word) => {
                MatchConfig { field: Spanned::new(word, read.referenced, read.defined), normal: Normal::default() }
            }
            WordOr::Shape(shape) => {
                let normal = Normal { fold_case: shape.case == Case::Ignore, trim: shape.blanks == MatchBlanks::Trim };
                MatchConfig { field: shape.field, normal }
            }
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BrakeShape {
    deletes: DeletesLimit,
    changes: LimitShape,
}

#[derive(Clone, Copy, Debug, Default)]
struct LimitShape(Option<Limit>);

/// As [`LimitShape`], with the default on.
#[derive(Clone, Copy, Debug)]
struct DeletesLimit(Option<Limit>);

impl Default for DeletesLimit {
    fn default() -> Self {
        DeletesLimit(BrakeLimits::default().deletes)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    count: u64,
    percent: u64,
}

impl<'de> Deserialize<'de> for LimitShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOr::<Limits>::deserialize(deserializer)? {
            WordOr::Shape(Limits { count, percent }) => match u8::try_from(percent) {
                Ok(percent @ ..=100) => Ok(LimitShape(Some(Limit { count, percent }))),
                _ => Err(de::Error::custom("a share is at most 100 percent")),
            },
            WordOr::Word(word) if word == "off" => Ok(LimitShape(None)),
            WordOr::Word(_) => Err(de::Error::custom("a brake is `off` or `{count: 50, percent: 10}`")),
        }
    }
}

impl<'de> Deserialize<'de> for DeletesLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        LimitShape::deserialize(deserializer).map(|limit| DeletesLimit(limit.0))
    }
}

/// A mapping whose keys are names; its order counts.
#[derive(Clone, Debug)]
pub struct Named<T>(pub Vec<(Text, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut named = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    named.push(entry);
                }
                Ok(Named(named))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

/// A single word, short for a mapping. Not `untagged`: that would forget where things stand and which
/// keys there are.
enum WordOr<T> {
    Word(String),
    Shape(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WordOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = WordOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a mapping")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<WordOr<T>, E> {
                Ok(WordOr::Word(word.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WordOr<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(WordOr::Shape)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

fn yes() -> bool {
    true
}

fn log_max() -> u64 {
    1_000_000
}
