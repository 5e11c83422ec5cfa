//! Foreign keys: the link each is rewritten through, and the columns that make it up.

use super::resolve::Linking;
use super::shape::Text;
use crate::error::Result;
use crate::model::{Both, Field, ForeignKey, Side};

impl Linking<'_> {
    /// The link a foreign key is rewritten through must be on the tables it refers to, by their keys.
    pub(super) fn via(&self, via: &Text, columns: &Both<usize>) -> Result<usize> {
        let parent = self.config.links.iter().position(|(name, _)| name.value == via.value);
        let parent = parent.ok_or_else(|| self.wrong(via, format!("there is no link `{}`", via.value)))?;
        for side in Side::BOTH {
            let table = self.tables[parent][side];
            // Those of several columns are looked at together; a table that is not there can't be looked at: its pairs are
            // known all the same.
            if table.key.len() > 1 || table.columns.is_empty() {
                continue;
            }
            let Some(key) = self.foreign_key(side, columns[side]) else { continue };
            let column = self.shown(side, columns[side]);
            if key.references != table.name {
                let message = format!("{column} refers to `{}`, but link `{}` is on `{}`", key.references, via.value, table.name);
                return Err(self.wrong(via, message));
            }
            if !table.key_columns().all(|part| key.referenced.contains(&part.name)) {
                return Err(self.wrong(
                    via,
                    format!("{column} refers to another column than the key of `{}`: map it without `via`", table.name),
                ));
            }
        }
        Ok(parent)
    }

    pub(super) fn foreign_key(&self, side: Side, column: usize) -> Option<&ForeignKey> {
        let table = self.table(side);
        table.foreign_keys.iter().find(|key| key.columns == [table.columns[column].name.as_str()])
    }

    /// A foreign key of several columns is one reference: `via` stands at each of them, and what the tables declare says
    /// which column holds which part of the parent's key.
    pub(super) fn parts(&self, fields: &mut [Field], columns: &Both<Vec<usize>>) -> Result<()> {
        for at in 0..fields.len() {
            let Some(parent) = fields[at].via else { continue };
            let lengths = Both::from_fn(|side| self.tables[parent][side].key.len());
            let there = Side::BOTH.iter().all(|side| !self.tables[parent][*side].columns.is_empty());
            if lengths == (Both { source: 1, target: 1 }) || !there {
                continue;
            }
            let Some(via) = self.via_of(at) else { continue };
            if lengths.source != lengths.target {
                let Both { source, target } = self.tables[parent];
                let message =
                    format!("the keys of `{}` and `{}` differ in length: `via` can't go through them", source.name, target.name);
                return Err(self.wrong(via, message));
            }
            let source = self.parts_on(Side::Source, at, fields, columns)?;
            let target = self.parts_on(Side::Target, at, fields, columns)?;
            if let Some(other) = source.iter().chain(&target).find(|part| !(source.contains(part) && target.contains(part))) {
                let message = format!(
                    "`{}` and `{}` are parts of one foreign key on one side, and not on the other",
                    fields[at].name, fields[*other].name
                );
                return Err(self.wrong(via, message));
            }
            let same =
                |part: &&usize| (fields[**part].direction, fields[**part].blanks) == (fields[at].direction, fields[at].blanks);
            if let Some(other) = source.iter().find(|part| !same(part)) {
                let message = format!(
                    "`{}` and `{}` are parts of one foreign key: give them the same `direction` and `blanks`",
                    fields[at].name, fields[*other].name
                );
                return Err(self.wrong(via, message));
            }
            fields[at].parts = Both { source, target };
        }
        Ok(())
    }

    /// The fields of the foreign key that field `at` is part of, in the order of the parent's key.
    fn parts_on(&self, side: Side, at: usize, fields: &[Field], columns: &Both<Vec<usize>>) -> Result<Vec<usize>> {
        let (Some(parent), Some(via)) = (fields[at].via, self.via_of(at)) else { return Ok(vec![at]) };
        let (table, parents) = (self.table(side), self.tables[parent][side]);
        let name = |column: usize| table.columns[column].name.as_str();
        let declared = |key: &&ForeignKey| {
            let whole = parents.key_columns().all(|part| key.referenced.contains(&part.name));
            key.references == parents.name
                && key.columns.len() == parents.key.len()
                && key.columns.iter().any(|column| column == name(columns[side][at]))
                && whole
        };
        let field = |column: &String| {
            (0..self.link.fields.0.len()).find(|i| fields[*i].via == Some(parent) && name(columns[side][*i]) == column)
        };
        let mut missing = None;
        for key in table.foreign_keys.iter().filter(declared) {
            let column = |part: &str| key.referenced.iter().position(|referenced| referenced == part).map(|i| &key.columns[i]);
            let parts: Vec<&String> = parents.key_columns().filter_map(|part| column(&part.name)).collect();
            match parts.iter().find(|column| field(column).is_none()) {
                None => return Ok(parts.into_iter().filter_map(field).collect()),
                Some(column) => missing = Some((*column).clone()),
            }
        }
        let message = match missing {
            Some(column) => {
                format!(
                    "a part of the foreign key to `{}` is missing: map `{}.{column}` with `via: {}` too",
                    parents.name, table.name, via.value
                )
            }
            None => {
                let column = self.shown(side, columns[side][at]);
                format!(
                    "{column} is in no declared foreign key to the key of `{}`, which has several columns: nothing tells which part it holds",
                    parents.name
                )
            }
        };
        Err(self.wrong(via, message))
    }

    /// The `via` of a field as it stands in the file.
    fn via_of(&self, at: usize) -> Option<&Text> {
        self.link.fields.0.get(at)?.1.via.as_ref()
    }
}
