//! From a [`Config`] and the catalogs of both sides to the [`Integration`] the pipeline runs.
//!
//! What can't work is refused here, before the first row; what works for some rows only is a warning.

use super::load::wrong;
use super::shape::{FieldConfig, LinkConfig, Text};
use super::{Config, EndpointConfig, did_you_mean, order};
use crate::endpoint::OnePlace;
use crate::error::{Error, Kind, Result};
use crate::mapping::{Compatibility, compatible};
use crate::model::{
    Blanks, Both, Collection, Column, Direction, Field, Integration, KeySource, Keys, Link, Lossy, MatchField, Normal, Obstacle,
    Side, Table,
};

/// What to do about a table that can't be synced, once the message has said why.
const OTHER_TABLE: &str = "change the table, or name another one, then: twinrow check";

/// An integration, and what a person should know before it runs.
#[derive(Debug)]
pub struct Resolved {
    /// The integration; its links' and fields' numbers are given by the state.
    pub integration: Integration,
    /// What works for some rows only, a sentence each.
    pub warnings: Vec<String>,
    /// The links that can't be run as they are configured, by name, with the reason.
    pub broken: Vec<(String, Error)>,
}

/// Finds the tables and columns the configuration names. `catalogs` has the tables of each endpoint, in
/// the order of [`Config::endpoints`].
///
/// # Errors
/// [`Kind::Config`] for what the configuration asks for and can't be, [`Kind::Schema`] for a table that
/// can't be tracked; with file, line and column.
pub fn resolve(config: &Config, catalogs: &[Vec<Table>]) -> Result<Resolved> {
    let mut resolved = resolve_each(config, catalogs, None)?;
    if resolved.broken.is_empty() { Ok(resolved) } else { Err(resolved.broken.swap_remove(0).1) }
}

/// As [`resolve`], each link for itself: what is wrong with one makes that one [`Link::broken`], and the others stand. `one`:
/// the place that both sides lead to, if it is one.
///
/// # Errors
/// [`Kind::Config`] for what the configuration asks of its links together and can't be.
pub fn resolve_each(config: &Config, catalogs: &[Vec<Table>], one: Option<&OnePlace>) -> Result<Resolved> {
    let (mut warnings, mut broken) = (Vec::new(), Vec::new());
    let found: Vec<Both<Result<&Table>>> = config.links.iter().map(|(_, link)| find_tables(config, link, catalogs)).collect();
    let unknown: Vec<Both<Table>> = config.links.iter().map(|(_, link)| unknown_tables(config, link)).collect();
    let tables: Vec<Both<&Table>> = (found.iter().zip(&unknown))
        .map(|(found, unknown)| Both::from_fn(|side| found[side].as_ref().map_or(&unknown[side], |table| *table)))
        .collect();
    let mut links = Vec::with_capacity(tables.len());
    for (i, ((name, link), found)) in config.links.iter().zip(found).enumerate() {
        let linking = Linking { config, name, link, at: i, tables: &tables, warnings: &mut warnings };
        let without = linking.without_columns();
        let resolved = match found {
            Both { source: Err(error), .. } | Both { target: Err(error), .. } => Err(error),
            _ => linking.resolve(),
        };
        links.push(resolved.unwrap_or_else(|error| {
            let obstacle = Obstacle { cause: error.message().to_owned(), next: error.what_next().to_owned() };
            broken.push((name.value.clone(), error));
            Link { broken: Some(obstacle), ..without }
        }));
    }
    order::forest(config, &links, one)?;
    let integration = Integration {
        name: config.integration.clone(),
        endpoints: config.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect(),
        home: config.home,
        links: order::parents_first(config, links)?,
        first_sync: config.first_sync,
        keep_values: config.keep_values,
        log_max: config.log_max,
    };
    Ok(Resolved { integration, warnings, broken })
}

fn find_tables<'a>(config: &Config, link: &LinkConfig, catalogs: &'a [Vec<Table>]) -> Both<Result<&'a Table>> {
    Both::from_fn(|side| {
        let tables = catalogs.get(config.side[side]).map_or(&[][..], Vec::as_slice);
        find_table(config, tables, written(link, side), &config.endpoints[config.side[side]])
    })
}

fn written(link: &LinkConfig, side: Side) -> &Text {
    match side {
        Side::Source => &link.source,
        Side::Target => &link.target,
    }
}

/// What stands for tables that are not there: their names, without a column.
fn unknown_tables(config: &Config, link: &LinkConfig) -> Both<Table> {
    Both::from_fn(|side| Table {
        name: config.endpoints[config.side[side]].url.table_name(&written(link, side).value),
        columns: Vec::new(),
        key: Vec::new(),
        key_source: KeySource::Given,
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        blind_spots: Vec::new(),
        refused: None,
    })
}

/// By full name, or by its own name where only one schema has it.
fn find_table<'a>(config: &Config, tables: &'a [Table], name: &Text, endpoint: &EndpointConfig) -> Result<&'a Table> {
    let missing = |message: String| Error::new(Kind::Schema, message).context(super::load::place(&config.path, name.referenced));
    let full: Vec<&Table> = tables.iter().filter(|table| table.name.to_string() == name.value).collect();
    let found = if full.is_empty() { tables.iter().filter(|table| table.name.name == name.value).collect() } else { full };
    let table = match found.as_slice() {
        [table] => *table,
        [] => {
            let names: Vec<String> = tables.iter().map(|table| table.name.to_string()).collect();
            let short = tables.iter().map(|table| table.name.name.as_str());
            let suggestion = did_you_mean(&name.value, names.iter().map(String::as_str).chain(short));
            let absent = format!("endpoint `{}` has no table `{}`{suggestion}", endpoint.name, name.value);
            let absent = wrong(&config.path, name, absent);
            // Of a table without any right on it MySQL does not tell that it is there.
            let hides = ["mysql:", "mariadb:"].iter().any(|scheme| endpoint.url.expose().starts_with(scheme));
            return Err(if hides { absent.hint("if it is there: grant this login select on it") } else { absent });
        }
        several => {
            let names: Vec<String> = several.iter().map(|table| format!("`{}`", table.name)).collect();
            return Err(wrong(&config.path, name, format!("`{}` could be {}", name.value, names.join(" or "))));
        }
    };
    match &table.refused {
        Some(why) => Err(missing(format!("table `{}` can't be synced: {why}", table.name)).hint(OTHER_TABLE)),
        None => Ok(table),
    }
}

/// One link under way.
pub(super) struct Linking<'a> {
    pub(super) config: &'a Config,
    name: &'a Text,
    pub(super) link: &'a LinkConfig,
    /// Its index in the file.
    at: usize,
    /// The tables of all links.
    pub(super) tables: &'a [Both<&'a Table>],
    warnings: &'a mut Vec<String>,
}

impl Linking<'_> {
    /// The link as far as it is known without a look at its columns.
    fn without_columns(&self) -> Link {
        let tables = self.tables[self.at];
        Link {
            name: self.name.value.clone(),
            number: 0,
            endpoint: self.config.side,
            collection: Both::from_fn(|side| Collection { table: tables[side].clone(), columns: Vec::new() }),
            fields: Vec::new(),
            matching: Vec::new(),
            direction: self.link.direction,
            conflict: self.link.conflict,
            newest: None,
            deletes: self.link.deletes(),
            keys: self.link.keys,
            brake: self.link.brake(),
            broken: None,
        }
    }

    fn resolve(mut self) -> Result<Link> {
        let mut columns: Both<Vec<usize>> = Both::default();
        let mut fields = Vec::with_capacity(self.link.fields.0.len());
        for (source, shape) in &self.link.fields.0 {
            let pair = Both { source: self.column(Side::Source, source)?, target: self.column(Side::Target, &shape.to)? };
            fields.push(self.field(source, shape, pair)?);
            Side::BOTH.into_iter().for_each(|side| columns[side].push(pair[side]));
        }
        self.parts(&mut fields, &columns)?;
        self.copied_key(&mut fields, &mut columns);
        self.one_writer_each(&fields, &columns)?;
        self.keys(&fields, &columns)?;
        self.left_out(&fields, &columns);
        let matching = self.matching(&columns);
        let tables = self.tables[self.at];
        Ok(Link {
            collection: Both::from_fn(|side| Collection { table: tables[side].clone(), columns: columns[side].clone() }),
            newest: self.newest(&columns)?,
            fields,
            matching,
            ..self.without_columns()
        })
    }

    /// `keys: copy` is a mapping of the key columns like any other: then a create brings the key along, and
    /// a changed key follows.
    fn copied_key(&self, fields: &mut Vec<Field>, columns: &mut Both<Vec<usize>>) {
        let keys = Both::from_fn(|side| self.table(side).key.clone());
        if self.link.keys != Keys::Copy || keys.source.len() != keys.target.len() {
            return;
        }
        for (source, target) in keys.source.iter().zip(&keys.target) {
            if columns.source.contains(source) || columns.target.contains(target) {
                continue;
            }
            let name = |side: Side, at: usize| self.table(side).columns[at].name.as_str();
            fields.push(Field {
                name: Field::called(name(Side::Source, *source), name(Side::Target, *target)),
                number: 0,
                via: None,
                parts: Both::default(),
                direction: self.link.direction,
                blanks: Blanks::default(),
                lossy: Lossy::default(),
                remade: Both::default(),
            });
            columns.source.push(*source);
            columns.target.push(*target);
        }
    }

    pub(super) fn table(&self, side: Side) -> &Table {
        self.tables[self.at][side]
    }

    fn column(&self, side: Side, name: &Text) -> Result<usize> {
        let table = self.table(side);
        table.column(&name.value).ok_or_else(|| {
            let suggestion = did_you_mean(&name.value, table.columns.iter().map(|column| column.name.as_str()));
            self.wrong(name, format!("table `{}` has no column `{}`{suggestion}", table.name, name.value))
        })
    }

    fn field(&mut self, source: &Text, shape: &FieldConfig, columns: Both<usize>) -> Result<Field> {
        let name = Field::called(&source.value, &shape.to.value);
        let direction = narrower(self.link.direction, shape.direction)
            .ok_or_else(|| self.wrong(&shape.to, format!("field `{name}` travels against the direction of its link")))?;
        let via = shape.via.as_ref().map(|via| self.via(via, &columns)).transpose()?;
        let field = Field {
            name,
            number: 0,
            via,
            parts: Both::default(),
            direction,
            blanks: shape.blanks.unwrap_or(self.link.blanks()),
            lossy: shape.lossy,
            remade: Both::default(),
        };
        for side in Side::BOTH.into_iter().filter(|side| direction.writes(*side)) {
            self.writable(&field, shape, side, columns)?;
            match via {
                None => {
                    self.convertible(&field, shape, side, columns)?;
                    self.unmapped_parent(&field, shape, side, columns[side])?;
                }
                Some(via) if self.tables[via][side].key.len() == 1 && self.foreign_key(side, columns[side]).is_none() => {
                    let column = self.shown(side, columns[side]);
                    self.warn(format!("{column} has no foreign key: it is taken for a key of `{}`", via_name(shape)));
                }
                Some(_) => {}
            }
        }
        Ok(field)
    }

    /// A key of a linked table means something else on the other side, unless both share it.
    fn unmapped_parent(&mut self, field: &Field, shape: &FieldConfig, side: Side, column: usize) -> Result<()> {
        let Some(key) = self.foreign_key(side, column) else { return Ok(()) };
        let parent = self.config.links.iter().zip(self.tables).find(|(_, tables)| tables[side].name == key.references);
        match parent {
            Some(((_, link), _)) if link.keys == Keys::Copy => Ok(()),
            Some(((name, _), tables)) if tables[side].key_columns().all(|part| key.referenced.contains(&part.name)) => {
                let message = format!(
                    "`{}` holds keys of `{}`, which differ on both sides: add `via: {}`",
                    field.name, key.references, name.value
                );
                Err(self.wrong(&shape.to, message))
            }
            Some(_) => Ok(()),
            None => {
                let message = format!(
                    "{} refers to `{}`, which no link covers: it is copied as it is",
                    self.shown(side, column),
                    key.references
                );
                self.warn(message);
                Ok(())
            }
        }
    }

    fn writable(&self, field: &Field, shape: &FieldConfig, side: Side, columns: Both<usize>) -> Result<()> {
        let table = self.table(side);
        let column = &table.columns[columns[side]];
        let only = match side {
            Side::Source => "to_target",
            Side::Target => "to_source",
        };
        let why = if column.computed {
            "is computed by the engine"
        } else if self.link.keys == Keys::Own && table.gives_out(columns[side]) {
            "is a key the engine assigns"
        } else {
            return Ok(());
        };
        let message = format!(
            "`{}` can't be written: {} {why}; leave it out, or say `direction: {only}`",
            field.name,
            self.shown(side, columns[side])
        );
        Err(self.wrong(&shape.to, message))
    }

    /// D19: what can't be converted is refused now, what sometimes can't is said now.
    fn convertible(&mut self, field: &Field, shape: &FieldConfig, side: Side, columns: Both<usize>) -> Result<()> {
        let (from, to) = (self.column_at(side.other(), columns), self.column_at(side, columns));
        match compatible(from, to) {
            Compatibility::Never(why) => {
                let message =
                    format!("`{}` can't be synced to the {side}: {} and {} don't fit, {why}", field.name, from.native, to.native);
                Err(self.wrong(&shape.to, message))
            }
            Compatibility::Lossy(why) if field.lossy == Lossy::Hold => {
                let (from, to) = (self.shown(side.other(), columns[side.other()]), self.shown(side, columns[side]));
                self.warn(format!("from {from} to {to}: {why}"));
                Ok(())
            }
            Compatibility::Exact | Compatibility::Lossy(_) => Ok(()),
        }
    }

    fn column_at(&self, side: Side, columns: Both<usize>) -> &Column {
        &self.table(side).columns[columns[side]]
    }

    /// Two fields that write one column would undo each other for ever.
    fn one_writer_each(&self, fields: &[Field], columns: &Both<Vec<usize>>) -> Result<()> {
        for side in Side::BOTH {
            let mut written = Vec::new();
            for (i, field) in fields.iter().enumerate().filter(|(_, field)| field.direction.writes(side)) {
                if written.contains(&columns[side][i]) {
                    let shown = self.shown(side, columns[side][i]);
                    let message = format!("two fields write {shown}; give `{}` a `direction`", field.name);
                    return Err(self.wrong(&self.link.fields.0[i].1.to, message));
                }
                written.push(columns[side][i]);
            }
        }
        Ok(())
    }

    /// Someone must bring the key of a new row (S4-5).
    fn keys(&mut self, fields: &[Field], columns: &Both<Vec<usize>>) -> Result<()> {
        if self.link.keys == Keys::Copy {
            return self.copied_keys();
        }
        for side in Side::BOTH.into_iter().filter(|side| self.link.direction.writes(*side)) {
            let table = self.table(side);
            let left =
                unassigned(table, |part| (0..fields.len()).any(|i| columns[side][i] == part && fields[i].direction.writes(side)));
            let parts: Vec<_> = left.iter().map(|part| format!("`{}`", table.columns[*part].name)).collect();
            let message = match (left.len(), parts.join(" and ")) {
                (0, _) => continue,
                (n, parts) if n == table.key.len() => format!(
                    "nobody assigns the key of new rows in `{}`: map {parts}, or say `keys: copy`, or let the engine number them",
                    table.name
                ),
                (_, parts) => format!(
                    "nobody assigns {parts}, a part of the key of new rows in `{}`: map it, or give it a default, or say `keys: copy`",
                    table.name
                ),
            };
            return Err(self.wrong(self.name, message));
        }
        Ok(())
    }

    fn copied_keys(&mut self) -> Result<()> {
        let tables = self.tables[self.at];
        if tables.source.key.len() != tables.target.key.len() {
            let message =
                format!("`keys: copy`, but the keys of `{}` and `{}` differ in length", tables.source.name, tables.target.name);
            return Err(self.wrong(self.name, message));
        }
        for side in Side::BOTH.into_iter().filter(|side| self.link.direction.writes(*side)) {
            for (from, to) in tables[side.other()].key_columns().zip(tables[side].key_columns()) {
                match compatible(from, to) {
                    Compatibility::Exact => {}
                    Compatibility::Lossy(why) => self.warn(format!("key `{}`: {why}", to.name)),
                    Compatibility::Never(why) => {
                        return Err(
                            self.wrong(self.name, format!("`keys: copy`, but the key can't be copied to `{}`: {why}", to.name))
                        );
                    }
                }
            }
            if matches!(tables[side].key_source, KeySource::Generated | KeySource::GeneratedReused) {
                // C5
                self.warn(format!(
                    "`keys: copy` brings its own keys to `{}`, whose engine may assign the same number to another row",
                    tables[side].name
                ));
            }
        }
        Ok(())
    }

    /// A column a create leaves out must have a default (D23); a trigger may fill it, so it is a warning.
    fn left_out(&mut self, fields: &[Field], columns: &Both<Vec<usize>>) {
        for side in Side::BOTH.into_iter().filter(|side| self.link.direction.writes(*side)) {
            let table = self.tables[self.at][side];
            for (i, column) in table.columns.iter().enumerate() {
                let written = (0..fields.len()).any(|f| columns[side][f] == i && fields[f].direction.writes(side));
                if !(column.nullable || column.has_default || column.computed || table.key.contains(&i) || written) {
                    self.warn(format!(
                        "{} is NOT NULL without default and not mapped: new rows are held unless a trigger fills it",
                        self.shown(side, i)
                    ));
                }
            }
        }
    }

    /// Records that share a key are matched by it, unless something else is said. That finds twins; it does not show
    /// that a record under a key that was used before is the same one, and neither does a number an engine gives out.
    fn matching(&mut self, columns: &Both<Vec<usize>>) -> Vec<MatchField> {
        if self.link.matching.is_empty() && self.link.keys == Keys::Copy {
            let fields = self.table(Side::Source).key.iter();
            let fields = fields.filter_map(|part| columns.source.iter().position(|column| column == part));
            return fields.map(|field| MatchField { field, normal: Normal::default(), proves: false }).collect();
        }
        if self.link.matching.is_empty() {
            // F20
            self.warn("no `match`: a record that is on both sides already will be there twice".to_owned());
        }
        let index = |name: &str| self.link.fields.0.iter().position(|(source, _)| source.value == name);
        let numbered = |field: usize| {
            let key = |side: &Side| (self.table(*side), columns[*side][field]);
            Side::BOTH.iter().map(key).any(|(table, column)| table.gives_out(column))
        };
        let given = self.link.matching.iter().filter_map(|by| Some((index(&by.field.value)?, by.normal)));
        let given: Vec<MatchField> =
            given.map(|(field, normal)| MatchField { field, normal, proves: !numbered(field) }).collect();
        // Of one column everybody expects it; of a part of a rule (the parent, in a tree) few do.
        for rule in given.iter().filter(|_| given.len() > 1) {
            let nullable = |side: Side| self.table(side).columns[columns[side][rule.field]].nullable;
            if nullable(Side::Source) && nullable(Side::Target) {
                let column = self.shown(Side::Source, columns.source[rule.field]);
                self.warn(format!("`match` names {column}, which takes NULL: a record without a value there finds no twin"));
            }
        }
        given
    }

    fn newest(&self, columns: &Both<Vec<usize>>) -> Result<Option<usize>> {
        let Some(newest) = &self.link.newest else { return Ok(None) };
        let (source, target) = (self.column(Side::Source, &newest.source)?, self.column(Side::Target, &newest.target)?);
        let field = (0..columns.source.len()).find(|i| columns.source[*i] == source && columns.target[*i] == target);
        field.map(Some).ok_or_else(|| {
            let message = format!(
                "`newest` compares `{}` with `{}`, which `fields` does not map to each other",
                newest.source.value, newest.target.value
            );
            self.wrong(&newest.source, message)
        })
    }

    pub(super) fn shown(&self, side: Side, column: usize) -> String {
        let table = self.table(side);
        format!("`{}.{}`", table.name, table.columns[column].name)
    }

    fn warn(&mut self, warning: String) {
        self.warnings.push(format!("link {}: {warning}", self.name.value));
    }

    pub(super) fn wrong(&self, text: &Text, message: impl Into<String>) -> Error {
        wrong(&self.config.path, text, format!("link {}: {}", self.name.value, message.into()))
    }
}

/// The parts of a new row's key that nobody would give: neither a field, nor the engine, a default or a trigger. Where people
/// give keys, a default is no key on its own: it would be the same each time.
pub(super) fn unassigned(table: &Table, mapped: impl Fn(usize) -> bool) -> Vec<usize> {
    let left: Vec<usize> = table.key.iter().copied().filter(|part| !mapped(*part)).collect();
    if left.len() == table.key.len() && table.key_source == KeySource::Given {
        return left;
    }
    let given = |part: &usize| {
        let column = &table.columns[*part];
        !(column.numbered || column.has_default || table.key_source == KeySource::Trigger)
    };
    left.into_iter().filter(given).collect()
}

fn via_name(shape: &FieldConfig) -> &str {
    shape.via.as_ref().map_or("", |via| &via.value)
}

/// The field's own direction within its link's; `None` if they are opposite.
fn narrower(link: Direction, field: Option<Direction>) -> Option<Direction> {
    match (link, field.unwrap_or(link)) {
        (Direction::Both, field) => Some(field),
        (link, Direction::Both) => Some(link),
        (link, field) => (link == field).then_some(field),
    }
}
