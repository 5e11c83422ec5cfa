//! Creating rows, and learning their keys.

use std::collections::HashSet;
use std::sync::Arc;

use tokio_postgres::Row as Answer;
use tokio_postgres::types::ToSql;

use super::catalog::{Described, describe, literal, quote, quote_table};
use super::returned::Returning;
use super::rows::{self, select_key, unnest};
use super::session::in_order;
use super::value::{Param, carrier, cast, select};
use super::write::PgWrite;
use crate::endpoint::{Create, Outcome};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Column, Key, KeyBytes, TableName, Value};

/// Statements in flight where rows must go one by one.
const PIPELINE_MAX: usize = 200;
/// A generator this far behind a copied key is set in one step, else advanced by its own function.
const STEPS_MAX: i64 = 100_000;

impl PgWrite {
    /// The facts of the catalog that inserting needs, asked once per table and process.
    async fn described(&mut self, name: &TableName) -> Result<Arc<Described>> {
        if let Some(known) = self.shared.described(name) {
            return Ok(known);
        }
        let found = describe(&mut self.conn, Some(std::slice::from_ref(name))).await?;
        let found = found.into_iter().next().ok_or_else(|| Error::new(Kind::Schema, format!("table {name} does not exist")))?;
        Ok(self.shared.learn(found))
    }

    pub(super) async fn insert_all(
        &mut self,
        collection: &Collection,
        fields: &[usize],
        rows: &[Create],
    ) -> Result<Vec<Outcome>> {
        let given = match rows {
            [] => return Ok(Vec::new()),
            [first, ..] => first.key.is_some(),
        };
        let described = self.described(&collection.table.name).await?;
        let assigned = self.shared.is_assigning(&collection.table);
        let plan = InsertPlan::new(collection, fields, &described, assigned, given);
        if !plan.by_set() {
            return self.insert_each(&plan, rows).await;
        }
        let outcomes = self.insert_set(&plan, rows).await?;
        if plan.key.iter().any(|part| matches!(part, Part::Given | Part::Mapped(_))) {
            let keys: Vec<Key> = outcomes
                .iter()
                .filter_map(|outcome| if let Outcome::Done(key) = outcome { Some(key.clone()) } else { None })
                .collect();
            self.advance(&described, &keys).await?;
        }
        Ok(outcomes)
    }

    /// Keys for new rows, drawn from the columns' own defaults.
    async fn draw(&mut self, plan: &InsertPlan<'_>, count: usize) -> Result<Vec<Vec<Value>>> {
        let drawn: Vec<&str> =
            plan.key.iter().filter_map(|part| if let Part::Drawn(sql) = part { Some(sql.as_str()) } else { None }).collect();
        if drawn.is_empty() {
            return Ok(Vec::new());
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let names: Vec<String> = drawn.iter().enumerate().map(|(i, sql)| format!("{sql} as k{}", i + 1)).collect();
        let columns: Vec<&Column> = plan
            .key
            .iter()
            .zip(plan.collection.table.key_columns())
            .filter(|(part, _)| matches!(part, Part::Drawn(_)))
            .map(|(_, column)| column)
            .collect();
        let selects: Vec<String> =
            columns.iter().enumerate().map(|(i, column)| select(column, &format!("d.k{}", i + 1))).collect();
        // The subquery has volatile functions, so it is not flattened: each is called once a row.
        let sql = format!(
            "select {} from (select {} from generate_series(1, $1::int8) offset 0) d",
            selects.join(", "),
            names.join(", ")
        );
        let answers = self.conn.query(&sql, &[&count]).await?;
        let read = |answer| rows::read_values(answer, 0, columns.iter().copied()).map_err(|why| Error::new(Kind::Internal, why));
        let by_row: Vec<Vec<Value>> = answers.iter().map(read).collect::<Result<_>>()?;
        Ok((0..columns.len()).map(|i| by_row.iter().map(|row| row[i].clone()).collect()).collect())
    }

    /// All rows in one statement; their keys are known beforehand.
    async fn insert_set(&mut self, plan: &InsertPlan<'_>, rows: &[Create]) -> Result<Vec<Outcome>> {
        let drawn = self.draw(plan, rows.len()).await?;
        let keys = plan.keys(rows, drawn)?;
        let columns = plan.columns(rows, &keys)?;
        let returning = self.returning(plan.collection, 0);
        let sql = plan.set_sql(&returning);
        let answers = self.write_returning(plan.collection, &sql, &rows::params(&columns), &returning).await?;
        drop(columns);
        let table = &plan.collection.table;
        let stored = answers.iter().map(|answer| rows::read_key(answer, 0, table)).collect::<std::result::Result<Vec<_>, _>>();
        let stored: HashSet<KeyBytes> = stored.map_err(|why| Error::new(Kind::Rejected, why))?.iter().map(Key::encode).collect();
        if keys.iter().all(|key| stored.contains(&key.encode())) && answers.len() == rows.len() {
            return Ok(keys.into_iter().map(Outcome::Done).collect());
        }
        if answers.len() < rows.len() {
            return Err(Error::new(
                Kind::Rejected,
                format!("a trigger or rule of {} kept a row from being inserted", table.name),
            ));
        }
        if plan.key.iter().any(|part| matches!(part, Part::Drawn(_))) {
            // A trigger numbers rows in its own way. From now on it is asked, row by row.
            self.shared.assigns_keys(&table.name);
            return Err(Error::new(Kind::Retry, format!("a trigger of {} gives rows another key than was sent", table.name)));
        }
        Err(Error::new(Kind::Rejected, format!("{} stores a row under another key than was given", table.name)))
    }

    /// Row by row, each telling its key.
    async fn insert_each(&mut self, plan: &InsertPlan<'_>, rows: &[Create]) -> Result<Vec<Outcome>> {
        // Its rows are read back: where the server alone knows the key, triggers are at work.
        self.returned.lose();
        let statement = self.conn.prepare(&plan.row_sql()).await?;
        let given = plan.row_columns();
        let values: Vec<Vec<&Value>> = rows.iter().map(|row| plan.row_values(row)).collect::<Result<_>>()?;
        let params: Vec<Vec<Param<'_>>> = values.iter().map(|row| row.iter().map(|value| Param(value)).collect()).collect();
        debug_assert!(values.iter().all(|row| row.len() == given.len()));
        let mut outcomes = Vec::with_capacity(rows.len());
        for chunk in params.chunks(PIPELINE_MAX) {
            let params: Vec<Vec<&(dyn ToSql + Sync)>> =
                chunk.iter().map(|row| row.iter().map(|value| value as &(dyn ToSql + Sync)).collect()).collect();
            let answers = {
                let requests = params.iter().map(|params| self.conn.request(&statement, params)).collect::<Result<_>>()?;
                in_order(requests).await
            };
            for answer in answers {
                let answer: Vec<Answer> = self.conn.check(answer)?;
                let table = &plan.collection.table;
                let Some(row) = answer.first() else {
                    return Err(Error::new(
                        Kind::Rejected,
                        format!("a trigger or rule of {} kept a row from being inserted", table.name),
                    ));
                };
                outcomes.push(Outcome::Done(rows::read_key(row, 0, table).map_err(|why| Error::new(Kind::Rejected, why))?));
            }
        }
        Ok(outcomes)
    }

    /// A key was copied into a column that a sequence feeds: the sequence must be beyond it, or the
    /// application's next insert fails (C5). It only ever moves forward, also while others draw from it.
    async fn advance(&mut self, described: &Described, keys: &[Key]) -> Result<()> {
        for (part, draw) in described.draws.iter().enumerate() {
            let (Some(sequence), Some(_)) = (&draw.sequence, &draw.expression) else { continue };
            let greatest = keys
                .iter()
                .filter_map(|key| if let Some(Value::Int(n)) = key.0.get(part) { i64::try_from(*n).ok() } else { None })
                .max();
            let Some(greatest) = greatest else { continue };
            let sql = format!(
                "select case when s.behind > {STEPS_MAX} then pg_catalog.setval({0}, $1::int8) \
                 when s.behind > 0 then (select max(pg_catalog.nextval({0})) from generate_series(1, s.behind)) end \
                 from (select $1::int8 - case when q.is_called then q.last_value else q.last_value - 1 end as behind from {sequence} q) s",
                literal(sequence)
            );
            self.conn.query(&sql, &[&greatest]).await?;
        }
        Ok(())
    }
}

/// Where one part of a new row's key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// The caller brings it, in [`Create::key`].
    Given,
    /// It is a mapped field, at this place of the field list.
    Mapped(usize),
    /// Its column's default, evaluated beforehand.
    Drawn(String),
    /// The server or a trigger alone knows.
    Returned,
}

/// How rows go into a table.
struct InsertPlan<'a> {
    collection: &'a Collection,
    fields: &'a [usize],
    key: Vec<Part>,
    identity_always: bool,
}

impl<'a> InsertPlan<'a> {
    fn new(
        collection: &'a Collection,
        fields: &'a [usize],
        described: &Described,
        assigned: bool,
        given: bool,
    ) -> InsertPlan<'a> {
        let part = |(i, column): (usize, &usize)| {
            if given {
                return Part::Given;
            }
            match (fields.iter().position(|field| collection.columns[*field] == *column), &described.draws.get(i)) {
                (Some(at), _) => Part::Mapped(at),
                (None, Some(draw)) if !assigned => draw.expression.clone().map_or(Part::Returned, Part::Drawn),
                _ => Part::Returned,
            }
        };
        let key = collection.table.key.iter().enumerate().map(part).collect();
        InsertPlan { collection, fields, key, identity_always: described.identity_always }
    }

    fn by_set(&self) -> bool {
        !self.key.contains(&Part::Returned)
    }

    /// The mapped columns that are sent; a key that is given comes from there only.
    fn sent(&self) -> impl Iterator<Item = (usize, &'a Column)> + '_ {
        let given = self.key.contains(&Part::Given);
        let is_key = move |field: usize| self.collection.table.key.contains(&self.collection.columns[field]);
        let fields = self.fields.iter().enumerate().filter(move |(_, field)| !(given && is_key(**field)));
        fields.map(|(at, field)| (at, self.collection.column(*field)))
    }

    /// The key columns that are sent besides.
    fn sent_key(&self) -> impl Iterator<Item = (usize, &'a Column)> + '_ {
        let parts = self.key.iter().zip(self.collection.table.key_columns()).enumerate();
        parts.filter(|(_, (part, _))| matches!(part, Part::Given | Part::Drawn(_))).map(|(i, (_, column))| (i, column))
    }

    fn keys(&self, rows: &[Create], drawn: Vec<Vec<Value>>) -> Result<Vec<Key>> {
        rows.iter()
            .enumerate()
            .map(|(n, row)| {
                let mut drawn = drawn.iter();
                let part = |(i, part): (usize, &Part)| {
                    let value = match part {
                        Part::Given => row.key.as_ref().and_then(|key| key.0.get(i)),
                        Part::Mapped(at) => row.values.get(*at),
                        Part::Drawn(_) => drawn.next().and_then(|column| column.get(n)),
                        Part::Returned => None,
                    };
                    value.cloned().ok_or_else(|| Error::new(Kind::Internal, "a row to create has no key"))
                };
                self.key.iter().enumerate().map(part).collect::<Result<_>>().map(Key)
            })
            .collect()
    }

    fn columns<'r>(&self, rows: &'r [Create], keys: &'r [Key]) -> Result<rows::Columns<'r>> {
        let missing = || Error::new(Kind::Internal, "a row to create lacks a field");
        let mut columns = rows::Columns::new();
        for (at, _) in self.sent() {
            columns.push(rows.iter().map(|row| row.values.get(at).map(Param).ok_or_else(missing)).collect::<Result<_>>()?);
        }
        for (i, _) in self.sent_key() {
            columns.push(keys.iter().map(|key| Param(&key.0[i])).collect());
        }
        Ok(columns)
    }

    fn all_columns(&self) -> Vec<&'a Column> {
        self.sent().map(|(_, column)| column).chain(self.sent_key().map(|(_, column)| column)).collect()
    }

    fn head(&self, columns: &[&Column]) -> String {
        let names: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
        let overriding = if self.identity_always { " overriding system value" } else { "" };
        format!("insert into {} as t ({}){overriding}", quote_table(&self.collection.table.name), names.join(", "))
    }

    fn set_sql(&self, returning: &Returning) -> String {
        let columns = self.all_columns();
        let named = || columns.iter().enumerate().map(|(i, column)| (*column, format!("c{}", i + 1)));
        let values: Vec<String> = named().map(|(column, name)| cast(column, &format!("v.{name}"))).collect();
        format!(
            "{} select {} from {} order by v.ord returning {}",
            self.head(&columns),
            values.join(", "),
            unnest(named()),
            returning.sql(self.collection)
        )
    }

    /// Columns of a row on its own: parts the server knows stay out.
    fn row_columns(&self) -> Vec<&'a Column> {
        self.sent().map(|(_, column)| column).collect()
    }

    fn row_values<'r>(&self, row: &'r Create) -> Result<Vec<&'r Value>> {
        let value = |(at, _)| row.values.get(at).ok_or_else(|| Error::new(Kind::Internal, "a row to create lacks a field"));
        self.sent().map(value).collect()
    }

    fn row_sql(&self) -> String {
        let columns = self.row_columns();
        let key = select_key(&self.collection.table);
        if columns.is_empty() {
            return format!("insert into {} as t default values returning {key}", quote_table(&self.collection.table.name));
        }
        let value = |(i, column): (usize, &&Column)| cast(column, &format!("${}::{}", i + 1, carrier(&column.kind)));
        let values: Vec<String> = columns.iter().enumerate().map(value).collect();
        format!("{} values ({}) returning {key}", self.head(&columns), values.join(", "))
    }
}
