//! Named statements, and the transactions they run in.

use async_trait::async_trait;
use mysql_async::consts::ColumnType;
use mysql_async::{Column, Row, Value as Wire};

use super::connection::Connection;
use crate::error::{Error, Kind, Result};
use crate::sql::{Cell, Cells, Fence, Session, Transaction};

crate::statements!("mysql");

/// Rows of a set sent in one statement.
const ROWS_MAX: usize = 5_000;

impl Connection {
    async fn named(&mut self, name: &'static str, set: &[Cells]) -> Result<(Vec<Cells>, u64)> {
        if set.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let text = statement(name).ok_or_else(|| Error::new(Kind::Internal, format!("no statement {name}")))?;
        let parts: Vec<Part> = text.split(";\n").map(Part::parse).collect();
        let alone = parts.len() > 1 && !self.open;
        if alone {
            self.start("").await?;
        }
        let mut rows = Vec::new();
        let mut count = 0;
        for part in &parts {
            // Its name says nothing to a person: the server names the table.
            let done = self.part(part, set, &mut rows).await;
            count += done.inspect_err(|error| tracing::debug!(statement = name, "{error}"))?;
        }
        if alone {
            self.commit().await?;
        }
        Ok((rows, count))
    }

    async fn part(&mut self, part: &Part, set: &[Cells], rows: &mut Vec<Cells>) -> Result<u64> {
        let mut count = 0;
        for (params, size) in part.calls(set, self.json_max()) {
            if part.reads {
                for row in self.rows(&part.sql, params).await? {
                    rows.push(cells(row)?);
                }
                continue;
            }
            let done = self.write(&part.sql, params).await?;
            if done.warnings > 0 && self.warnings().await?.iter().any(|code| *code != 1062) {
                return Err(Error::new(Kind::Rejected, "the server would have changed a value of Twinrow's own"));
            }
            // The server counts an updated row of an upsert twice, and an unchanged one once.
            count += if part.upsert { size as u64 } else { done.affected };
        }
        Ok(count)
    }
}

/// A set of parameters travels as one JSON document that JSON_TABLE makes a table of again. That is one
/// statement text whatever the size of the set, so it is prepared once; both products know it; and it
/// has no limit of 65,535 parameters. Bytes are spelled in hexadecimal. A statement with `?1`, `?2` in it
/// runs once for each row: those are pages, whose LIMIT can't come from a table.
struct Part {
    sql: String,
    /// The parameter each `?` stands for; `None`: one JSON document.
    order: Option<Vec<usize>>,
    reads: bool,
    upsert: bool,
}

impl Part {
    fn parse(text: &str) -> Part {
        let code: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
        let code = code.join("\n");
        let reads = code.starts_with("select");
        let upsert = code.contains("on duplicate key update");
        if code.contains("json_table(?,") {
            return Part { sql: code, order: None, reads, upsert };
        }
        let mut sql = String::with_capacity(code.len());
        let mut order = Vec::new();
        let mut rest = code.as_str();
        while let Some(at) = rest.find('?') {
            let digits = rest[at + 1..].chars().take_while(char::is_ascii_digit).count();
            sql.push_str(&rest[..=at]);
            order.push(rest[at + 1..at + 1 + digits].parse::<usize>().unwrap_or(1) - 1);
            rest = &rest[at + 1 + digits..];
        }
        sql.push_str(rest);
        Part { sql, order: Some(order), reads, upsert }
    }

    /// The parameters of each call, and how many rows of the set it is for.
    fn calls(&self, set: &[Cells], json_max: usize) -> Vec<(Vec<Wire>, usize)> {
        if let Some(order) = &self.order {
            let one = |row: &Cells| order.iter().map(|at| row.get(*at).map_or(Wire::NULL, bind)).collect();
            return set.iter().map(|row| (one(row), 1)).collect();
        }
        let rows = set.iter().map(|row| {
            let mut text = String::with_capacity(row.len() * 16);
            row.iter().for_each(|cell| push_cell(&mut text, cell));
            text
        });
        documents(rows, json_max).into_iter().map(|(json, size)| (vec![Wire::Bytes(json)], size)).collect()
    }
}

/// Joins rows, each the inside of a JSON array with a trailing comma, to documents of bounded size.
pub(super) fn documents(rows: impl Iterator<Item = String>, json_max: usize) -> Vec<(Vec<u8>, usize)> {
    let mut all: Vec<(Vec<u8>, usize)> = Vec::new();
    for row in rows {
        let row = row.trim_end_matches(',');
        match all.last_mut() {
            Some((json, size)) if json.len() + row.len() + 4 <= json_max && *size < ROWS_MAX => {
                json.extend_from_slice(b",[");
                json.extend_from_slice(row.as_bytes());
                json.push(b']');
                *size += 1;
            }
            _ => all.push((format!("[[{row}]").into_bytes(), 1)),
        }
    }
    all.iter_mut().for_each(|(json, _)| json.push(b']'));
    all
}

fn push_cell(out: &mut String, cell: &Cell) {
    match cell {
        Cell::Null => out.push_str("null"),
        Cell::Int(value) => out.push_str(&value.to_string()),
        Cell::Text(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
        Cell::Bytes(bytes) => {
            out.push('"');
            out.push_str(&crate::model::hex(bytes));
            out.push('"');
        }
    }
    out.push(',');
}

fn bind(cell: &Cell) -> Wire {
    match cell {
        Cell::Null => Wire::NULL,
        Cell::Int(value) => Wire::Int(*value),
        Cell::Text(text) => Wire::Bytes(text.clone().into_bytes()),
        Cell::Bytes(bytes) => Wire::Bytes(crate::model::hex(bytes).into_bytes()),
    }
}

/// Character set 63 is `binary`.
fn is_binary(column: &Column) -> bool {
    column.character_set() == 63 && column.column_type() != ColumnType::MYSQL_TYPE_NEWDECIMAL
}

fn cells(row: Row) -> Result<Cells> {
    let columns = row.columns();
    row.unwrap()
        .into_iter()
        .zip(columns.iter())
        .map(|(value, column)| match value {
            Wire::NULL => Ok(Cell::Null),
            Wire::Int(value) => Ok(Cell::Int(value)),
            Wire::UInt(value) => i64::try_from(value).map(Cell::Int).map_err(|_| unexpected()),
            Wire::Bytes(bytes) if is_binary(column) => Ok(Cell::Bytes(bytes)),
            Wire::Bytes(bytes) => String::from_utf8(bytes).map(Cell::Text).map_err(|_| unexpected()),
            Wire::Float(_) | Wire::Double(_) | Wire::Date(..) | Wire::Time(..) => Err(unexpected()),
        })
        .collect()
}

fn unexpected() -> Error {
    Error::new(Kind::Internal, "a table of Twinrow's own holds an unexpected type").hint("twinrow check")
}

#[async_trait]
impl Session for Connection {
    async fn query(&mut self, name: &'static str, set: &[Cells]) -> Result<Vec<Cells>> {
        Ok(self.named(name, set).await?.0)
    }

    async fn execute(&mut self, name: &'static str, set: &[Cells]) -> Result<u64> {
        Ok(self.named(name, set).await?.1)
    }

    fn longest(&self) -> usize {
        self.text_max()
    }
}

/// A write transaction that holds its fence row.
pub(super) struct Fenced {
    connection: Connection,
    /// A statement failed. Error 1213 has rolled back everything, and what came next would stand on its
    /// own: after any error only a rollback is sent (rule 14).
    failed: bool,
}

impl Fenced {
    /// Begins it: the fence is taken and checked before anything else is sent.
    pub(super) async fn begin(mut connection: Connection, fence: &Fence) -> Result<Fenced> {
        connection.start("").await?;
        let set = [vec![Cell::Text(fence.integration.clone()), Cell::Int(fence.epoch)]];
        if connection.execute("fence_check", &set).await? != 1 {
            return Err(Error::new(Kind::Fenced, format!("another process has taken over {}", fence.integration)));
        }
        connection.set_origin(&fence.integration).await?;
        Ok(Fenced { connection, failed: false })
    }

    /// The connection, if nothing has failed on it.
    pub(super) fn connection(&mut self) -> Result<&mut Connection> {
        if self.failed {
            return Err(Error::new(Kind::Internal, "a statement after a failed one"));
        }
        Ok(&mut self.connection)
    }

    /// Notes a failure.
    pub(super) fn note<T>(&mut self, answer: Result<T>) -> Result<T> {
        self.failed |= answer.is_err();
        answer
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        self.connection()?.commit().await
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        self.connection.rollback().await
    }
}

#[async_trait]
impl Session for Fenced {
    async fn query(&mut self, name: &'static str, set: &[Cells]) -> Result<Vec<Cells>> {
        let answer = self.connection()?.query(name, set).await;
        self.note(answer)
    }

    async fn execute(&mut self, name: &'static str, set: &[Cells]) -> Result<u64> {
        let answer = self.connection()?.execute(name, set).await;
        self.note(answer)
    }

    fn longest(&self) -> usize {
        self.connection.text_max()
    }
}

#[async_trait]
impl Transaction for Fenced {
    async fn commit(mut self: Box<Self>) -> Result<()> {
        Fenced::commit(&mut self).await
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        Fenced::rollback(&mut self).await
    }
}
