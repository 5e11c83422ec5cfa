//! The applications on both sides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::business::{HOT, Names, SIDES};
use super::journal::{Effect, Journal};
use super::random::Random;
use crate::support::{Lab, UserTransaction};

/// One task that writes one side.
pub struct Writer {
    pub lab: Arc<dyn Lab>,
    pub side: usize,
    /// Its own part of all names.
    pub name: String,
    pub random: Random,
    pub journal: Arc<Mutex<Journal>>,
    pub stop: Arc<AtomicBool>,
    count: usize,
    /// Parents only it writes, that exist.
    own: Vec<String>,
}

/// One transaction under way.
struct Tx<'a> {
    tx: Box<dyn UserTransaction>,
    lab: &'a dyn Lab,
    names: &'static Names,
    effects: Vec<Effect>,
}

type Tried = Result<(), String>;

impl Writer {
    pub fn new(
        lab: &Arc<dyn Lab>,
        side: usize,
        n: usize,
        seed: u64,
        journal: &Arc<Mutex<Journal>>,
        stop: &Arc<AtomicBool>,
    ) -> Writer {
        let name = format!("{}{n}", ["s", "t"][side]);
        let random = Random::new(seed.wrapping_add((side * 10 + n) as u64 * 7919));
        let (lab, journal, stop) = (lab.clone(), journal.clone(), stop.clone());
        Writer { lab, side, name, random, journal, stop, count: 0, own: Vec::new() }
    }

    /// Writes until it is told to stop.
    pub async fn write(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let lab = self.lab.clone();
            let mut tx = Tx { tx: lab.open().await, lab: &*lab, names: &SIDES[self.side], effects: Vec::new() };
            let mut own = self.own.clone();
            let mut tried = Ok(());
            for _ in 0..=self.random.below(2) {
                tried = self.statement(&mut tx, &mut own).await;
                if tried.is_err() {
                    break;
                }
            }
            let rollback = self.random.below(10) == 0;
            if tried.is_err() || rollback {
                tx.tx.rollback().await;
                let mut journal = self.journal.lock().unwrap();
                *if rollback { &mut journal.rollbacks } else { &mut journal.failures } += 1;
            } else {
                tx.tx.commit().await;
                self.own = own;
                self.journal.lock().unwrap().commit(self.side, tx.effects);
            }
            // The pace of an application, not a wait for anything.
            tokio::time::sleep(Duration::from_millis(10 + self.random.below(20))).await;
        }
    }

    fn value(&mut self) -> String {
        self.count += 1;
        format!("{}:{}", self.name, self.count)
    }

    async fn statement(&mut self, tx: &mut Tx<'_>, own: &mut Vec<String>) -> Tried {
        match self.random.below(20) {
            0..4 => self.family(tx, own).await,
            4..8 => self.hot_parent(tx).await,
            8..12 => self.hot_child(tx).await,
            12..14 => self.own_parent(tx, own).await,
            14..16 => self.end_family(tx, own).await,
            16 => self.move_child(tx).await,
            17 => self.renumber(tx).await,
            _ => self.end_hot_child(tx).await,
        }
    }

    /// A new parent with two children.
    async fn family(&mut self, tx: &mut Tx<'_>, own: &mut Vec<String>) -> Tried {
        let value = self.value();
        let parent = format!("family-{value}");
        let values = [self.value(), self.value()];
        tx.insert_parent(&parent, &values).await?;
        for n in 0..2 {
            let values = [self.value(), self.value()];
            tx.insert_child(&format!("{parent}/{n}"), &values, &parent).await?;
        }
        own.push(parent);
        Ok(())
    }

    /// Both sides write the first field of a hot parent; only the target's writers write the second.
    async fn hot_parent(&mut self, tx: &mut Tx<'_>) -> Tried {
        let record = format!("hot-{}", self.random.below(HOT as u64));
        let field = if self.side == 1 && self.random.below(2) == 0 { 2 } else { 1 };
        let value = self.value();
        tx.set_parent(&record, field, &value).await.map(drop)
    }

    /// A child of a hot parent: written if it is there, else made; both sides use the same names.
    async fn hot_child(&mut self, tx: &mut Tx<'_>) -> Tried {
        let (record, field) = (self.hot_name(), 1 + self.random.below(2) as usize);
        let value = self.value();
        if tx.set_child(&record, field, &value).await? {
            return Ok(());
        }
        let values = [value, self.value()];
        tx.insert_child(&record, &values, &format!("hot-{}", self.random.below(HOT as u64))).await
    }

    fn hot_name(&mut self) -> String {
        format!("hot/{}", self.random.below(10))
    }

    async fn own_parent(&mut self, tx: &mut Tx<'_>, own: &[String]) -> Tried {
        let Some(record) = self.random.pick(own).cloned() else { return Ok(()) };
        let (field, value) = (1 + self.random.below(2) as usize, self.value());
        tx.set_parent(&record, field, &value).await.map(drop)
    }

    async fn end_family(&mut self, tx: &mut Tx<'_>, own: &mut Vec<String>) -> Tried {
        if own.len() < 3 {
            return Ok(());
        }
        let record = own.swap_remove(self.random.below(own.len() as u64) as usize);
        for n in 0..2 {
            tx.delete_child(&format!("{record}/{n}")).await?;
        }
        tx.delete_parent(&record).await
    }

    async fn end_hot_child(&mut self, tx: &mut Tx<'_>) -> Tried {
        let record = self.hot_name();
        tx.delete_child(&record).await
    }

    async fn move_child(&mut self, tx: &mut Tx<'_>) -> Tried {
        let (names, record) = (tx.names, self.hot_name());
        let hot = format!("hot-{}", self.random.below(HOT as u64));
        let [_, code, .., parent] = names.child;
        let [id, email, ..] = names.parent;
        tx.run(&format!(
            "update {} set {parent} = (select {id} from {} where {email} = '{hot}') where {code} = '{record}'",
            names.children, names.parents
        ))
        .await
    }

    /// A child gets another key.
    async fn renumber(&mut self, tx: &mut Tx<'_>) -> Tried {
        let (names, record) = (tx.names, self.hot_name());
        let [id, code, ..] = names.child;
        let jump = 10_000 + self.random.below(1_000_000);
        tx.run(&format!("update {} set {id} = {id} + {jump} where {code} = '{record}'", names.children)).await
    }
}

impl Tx<'_> {
    async fn run(&mut self, sql: &str) -> Tried {
        self.tx.try_run(sql).await
    }

    /// The row's values, under a lock; what they were is gone if the transaction commits.
    async fn overwrite(&mut self, table: &str, key: &str, fields: &[&str], record: &str) -> Result<bool, String> {
        let lock = if self.lab.dialect().concurrent_writers { " for update" } else { "" };
        let rows = self.tx.try_rows(&format!("select {} from {table} where {key} = '{record}'{lock}", fields.join(", "))).await?;
        let found = !rows.is_empty();
        self.effects.extend(rows.into_iter().flatten().flatten().map(Effect::Gone));
        Ok(found)
    }

    async fn set_parent(&mut self, record: &str, field: usize, value: &str) -> Result<bool, String> {
        let parent = self.names.parent;
        self.set(self.names.parents, parent[1], parent[field + 1], record, field, value).await
    }

    async fn set_child(&mut self, record: &str, field: usize, value: &str) -> Result<bool, String> {
        let child = self.names.child;
        self.set(self.names.children, child[1], child[field + 1], record, field, value).await
    }

    async fn set(
        &mut self,
        table: &str,
        key: &str,
        column: &str,
        record: &str,
        field: usize,
        value: &str,
    ) -> Result<bool, String> {
        if !self.overwrite(table, key, &[column], record).await? {
            return Ok(false);
        }
        self.run(&format!("update {table} set {column} = '{value}' where {key} = '{record}'")).await?;
        self.effects.push(Effect::Set { record: record.to_owned(), field, value: value.to_owned() });
        Ok(true)
    }

    fn inserted(&mut self, record: &str, values: &[String]) {
        self.effects.push(Effect::Inserted(record.to_owned()));
        for (at, value) in values.iter().enumerate() {
            self.effects.push(Effect::Set { record: record.to_owned(), field: at + 1, value: value.clone() });
        }
    }

    async fn insert_parent(&mut self, record: &str, values: &[String]) -> Tried {
        let [_, email, name, phone] = self.names.parent;
        let table = self.names.parents;
        self.run(&format!(
            "insert into {table} ({email}, {name}, {phone}) values ('{record}', '{}', '{}')",
            values[0], values[1]
        ))
        .await?;
        self.inserted(record, values);
        Ok(())
    }

    async fn insert_child(&mut self, record: &str, values: &[String], of: &str) -> Tried {
        let [_, code, note, memo, parent] = self.names.child;
        let [id, email, ..] = self.names.parent;
        self.run(&format!(
            "insert into {} ({code}, {note}, {memo}, {parent}) select '{record}', '{}', '{}', {id} from {} where {email} = '{of}'",
            self.names.children, values[0], values[1], self.names.parents
        ))
        .await?;
        self.inserted(record, values);
        Ok(())
    }

    async fn delete_parent(&mut self, record: &str) -> Tried {
        let [_, email, name, phone] = self.names.parent;
        self.delete(self.names.parents, email, &[name, phone], record).await
    }

    async fn delete_child(&mut self, record: &str) -> Tried {
        let [_, code, note, memo, _] = self.names.child;
        self.delete(self.names.children, code, &[note, memo], record).await
    }

    async fn delete(&mut self, table: &str, key: &str, fields: &[&str], record: &str) -> Tried {
        if self.overwrite(table, key, fields, record).await? {
            self.run(&format!("delete from {table} where {key} = '{record}'")).await?;
            self.effects.push(Effect::Deleted(record.to_owned()));
        }
        Ok(())
    }
}

/// Both sides make the same new record, and the same change, on their own.
pub async fn agree(labs: [Arc<dyn Lab>; 2], journal: Arc<Mutex<Journal>>, stop: Arc<AtomicBool>, mut random: Random) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let record = format!("same-{}", random.below(4));
        for (side, lab) in labs.iter().enumerate() {
            let mut tx = Tx { tx: lab.open().await, lab: &**lab, names: &SIDES[side], effects: Vec::new() };
            let value = format!("same:{n}");
            let there = tx.set_child(&record, 1, &value).await;
            let tried = match there {
                Ok(true) => Ok(()),
                Ok(false) => {
                    let values = [value, format!("new:{n}")];
                    tx.insert_child(&record, &values, "hot-0").await
                }
                Err(cause) => Err(cause),
            };
            match tried {
                Ok(()) => {
                    tx.tx.commit().await;
                    journal.lock().unwrap().commit(side, tx.effects);
                }
                Err(_) => tx.tx.rollback().await,
            }
        }
        tokio::time::sleep(Duration::from_millis(30 + random.below(60))).await;
    }
}
