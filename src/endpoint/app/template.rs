//! Addresses and bodies with places to fill in: substitution, and nothing else.

use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// What can be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Url,
    Bucket,
    User,
    Password,
    Object,
    Path,
    Id,
    /// Several, as JSON texts with commas between them.
    Ids,
    After,
    Last,
    Limit,
    Cursor,
    Version,
    Where,
    Field,
    Json,
}

impl Place {
    fn named(name: &str) -> Option<Place> {
        Some(match name {
            "config.url" => Place::Url,
            "config.bucket" => Place::Bucket,
            "secret.user" => Place::User,
            "secret.password" => Place::Password,
            "object" => Place::Object,
            "path" => Place::Path,
            "id" => Place::Id,
            "ids" => Place::Ids,
            "after" => Place::After,
            "last" => Place::Last,
            "limit" => Place::Limit,
            "cursor" => Place::Cursor,
            "version" => Place::Version,
            "where" => Place::Where,
            "field" => Place::Field,
            "json" => Place::Json,
            _ => return None,
        })
    }

    /// What is an address, or part of one, already.
    fn is_whole(self) -> bool {
        matches!(self, Place::Url | Place::Path | Place::Where | Place::Ids)
    }
}

#[derive(Debug)]
enum Part {
    Text(String),
    Place(Place),
}

/// A text with places; unknown ones are refused when the manifest is read.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(Vec<Part>);

impl TryFrom<String> for Template {
    type Error = String;
    fn try_from(text: String) -> Result<Template, String> {
        let (mut parts, mut rest) = (Vec::new(), text.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').ok_or("`{` without its `}`")?;
            let place = Place::named(name).ok_or_else(|| format!("`{{{name}}}` is not known"))?;
            parts.extend([Part::Text(before.to_owned()), Part::Place(place)]);
            rest = tail;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template(parts))
    }
}

impl Template {
    /// Filled in for an address: every value is percent-encoded (E19).
    pub fn address(&self, values: &[(Place, &str)]) -> String {
        self.fill(values, |place, value| if place.is_whole() { value.to_owned() } else { encoded(value) })
    }

    /// Filled in as it is.
    pub fn text(&self, values: &[(Place, &str)]) -> String {
        self.fill(values, |_, value| value.to_owned())
    }

    fn fill(&self, values: &[(Place, &str)], put: impl Fn(Place, &str) -> String) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Place(place) => {
                    let value = values.iter().find(|(named, _)| named == place);
                    out.push_str(&value.map_or_else(String::new, |(_, value)| put(*place, value)));
                }
            }
        }
        out
    }
}

/// What is put for [`Place::Ids`].
pub(super) fn several<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let ids: Vec<String> = ids.map(|id| encoded(&Json::String(id.clone()).to_string())).collect();
    ids.join(",")
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// One request of a batch.
pub(super) struct Op {
    pub method: String,
    pub path: String,
    pub headers: Map<String, Json>,
    pub body: Option<Json>,
}

/// A JSON document with places: a text that is one place becomes what is put there, `for_each` a list.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Body(Json);

impl Body {
    /// The body of a request about one record.
    pub fn of_record(&self, record: &Json) -> Json {
        render(&self.0, &|name| (name == "record").then(|| record.clone()), &[])
    }

    /// The body of a batch.
    pub fn of_batch(&self, ops: &[Op]) -> Json {
        render(&self.0, &|_| None, ops)
    }
}

fn render(template: &Json, put: &dyn Fn(&str) -> Option<Json>, ops: &[Op]) -> Json {
    match template {
        Json::String(text) => {
            let place = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            place.map_or_else(|| template.clone(), |place| put(place).unwrap_or(Json::Null))
        }
        Json::Array(items) => Json::Array(items.iter().map(|item| render(item, put, ops)).collect()),
        Json::Object(fields) => match fields.get("for_each") {
            Some(each) => Json::Array(ops.iter().map(|op| each_op(each, op)).collect()),
            None => Json::Object(fields.iter().map(|(name, field)| (name.clone(), render(field, put, ops))).collect()),
        },
        Json::Null | Json::Bool(_) | Json::Number(_) => template.clone(),
    }
}

/// One element of a batch; what an operation does not have is left out.
fn each_op(template: &Json, op: &Op) -> Json {
    let put = |name: &str| match name {
        "op.method" => Some(Json::String(op.method.clone())),
        "op.path" => Some(Json::String(op.path.clone())),
        "op.headers" => Some(Json::Object(op.headers.clone())),
        "op.body" => op.body.clone(),
        _ => None,
    };
    let mut element = render(template, &put, &[]);
    if let Json::Object(fields) = &mut element {
        fields.retain(|_, value| !value.is_null());
    }
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn e19_values_in_addresses_are_encoded() {
        let url = template("{path}/{id}?x={json}");
        let filled = url.address(&[(Place::Path, "/a/b"), (Place::Id, "a/b ø%"), (Place::Json, "\"+\"")]);
        assert_eq!(filled, "/a/b/a%2Fb%20%C3%B8%25?x=%22%2B%22");
    }

    #[test]
    fn e19_several_ids_are_encoded_one_by_one() {
        let ids = ["a".to_owned(), "b,\"c".to_owned()];
        let filled = template("{path}?in_id={ids}").address(&[(Place::Path, "/a"), (Place::Ids, &several(ids.iter()))]);
        assert_eq!(filled, "/a?in_id=%22a%22,%22b%2C%5C%22c%22");
    }

    #[test]
    fn unknown_places_are_refused() {
        assert_eq!(Template::try_from("{idd}".to_owned()).unwrap_err(), "`{idd}` is not known");
        assert!(Template::try_from("{id".to_owned()).is_err());
    }
}
