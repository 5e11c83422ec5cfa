//! Searching an app by field values: its own filter where that is exact, else one pass over its records.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::client::{Client, key_of};
use super::list::list;
use super::record::{self, Mapped};
use super::template::Place;
use crate::endpoint::{CANDIDATES_MAX, Fetched};
use crate::error::Result;
use crate::model::{Collection, Key, Normal, Value, normalised};

/// Up to so many searches are made by the app; for more, one pass over all records is cheaper.
const SEARCHES_MAX: usize = 50;

/// So many records are looked at together.
const PASS: usize = 2_000;

/// A search for several values at once.
pub(super) struct Search<'a> {
    client: &'a Client,
    collection: &'a Collection,
    mapped: &'a [Mapped],
    rule: &'a [(usize, Normal)],
    values: &'a [Vec<Value>],
    /// Normalised values, and for which of the searched ones they stand.
    wanted: HashMap<Vec<u8>, Vec<usize>>,
    found: Vec<Vec<Key>>,
}

impl<'a> Search<'a> {
    pub fn new(
        client: &'a Client,
        collection: &'a Collection,
        mapped: &'a [Mapped],
        rule: &'a [(usize, Normal)],
        values: &'a [Vec<Value>],
    ) -> Search<'a> {
        let mut wanted: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (at, values) in values.iter().enumerate() {
            if let Some(normal) = normalised(rule, values) {
                wanted.entry(normal).or_default().push(at);
            }
        }
        Search { client, collection, mapped, rule, values, wanted, found: vec![Vec::new(); values.len()] }
    }

    /// The keys found for each of the values.
    pub async fn run(mut self) -> Result<Vec<Vec<Key>>> {
        let asked: Vec<usize> = self.wanted.values().map(|all| all[0]).collect();
        if asked.is_empty() {
            return Ok(self.found);
        }
        let filters: Option<Vec<String>> = asked.iter().map(|at| self.filter(&self.values[*at])).collect();
        match filters.filter(|filters| filters.len() <= SEARCHES_MAX) {
            Some(filters) => self.ask(&filters).await?,
            None => self.pass().await?,
        }
        Ok(self.found)
    }

    /// The app's own conditions for these values, if it can tell them exactly.
    fn filter(&self, values: &[Value]) -> Option<String> {
        let condition = self.client.object().find.as_ref()?.condition.as_ref()?;
        let one = |((at, normal), value): (&(usize, Normal), &Value)| {
            let Mapped::Field(name, field) = &self.mapped[*at] else { return None };
            let exact = *normal == Normal::default() && matches!(value, Value::Text(_) | Value::Int(_) | Value::Bool(_));
            let json = record::field(value, *field, self.client.manifest.numbers).ok().filter(|_| exact)?;
            Some(condition.address(&[(Place::Field, name), (Place::Json, &json.to_string())]))
        };
        let all: Option<Vec<String>> = self.rule.iter().zip(values).map(one).collect();
        Some(all?.join("&"))
    }

    async fn ask(&mut self, filters: &[String]) -> Result<()> {
        let client = self.client;
        let Some(request) = &client.object().find else { return Ok(()) };
        let (object, limit) = (&self.collection.table.name.name, (CANDIDATES_MAX + 1).to_string());
        for filter in filters {
            let call = client.call(request, object, &[(Place::Where, filter), (Place::Limit, &limit)])?;
            let (records, ..) = client.page(request, &call).await?;
            for record in &records {
                self.offer(record);
            }
        }
        Ok(())
    }

    async fn pass(&mut self) -> Result<()> {
        let mut after = String::new();
        loop {
            let records = list(self.client, &self.collection.table.name.name, &after, PASS).await?;
            let end = records.len() < PASS;
            for (id, record) in records {
                self.offer(&record);
                after = id;
            }
            if end {
                return Ok(());
            }
        }
    }

    /// Whatever the app found: it counts if it is equal by the rule.
    fn offer(&mut self, record: &Json) {
        let Some(id) = self.client.id(record) else { return };
        let Fetched::Row(row, _) = self.client.parsed(id, record, self.mapped) else { return };
        let values: Vec<Value> = self.rule.iter().map(|(at, _)| row[*at].clone()).collect();
        let Some(normal) = normalised(self.rule, &values) else { return };
        for at in self.wanted.get(&normal).into_iter().flatten() {
            let (found, key) = (&mut self.found[*at], key_of(id));
            if found.len() <= CANDIDATES_MAX && !found.contains(&key) {
                found.push(key);
            }
        }
    }
}
