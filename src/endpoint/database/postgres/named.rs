//! Named statements on Twinrow's own tables.

use std::pin::pin;

use async_trait::async_trait;
use deadpool_postgres::Object;
use tokio_postgres::Statement;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{FromSql, IsNull, Kind as TypeKind, ToSql, Type, private::BytesMut};

use super::session::Conn;
use crate::error::{Error, Kind, Result};
use crate::sql::{Cell, Cells, Session};

crate::statements!("postgres");

fn text_of(name: &'static str) -> Result<&'static str> {
    statement(name).ok_or_else(|| Error::new(Kind::Internal, format!("there is no statement {name}")))
}

/// The parameters of a named statement: an array takes its column of the set, a scalar the first
/// row's value.
fn arguments<'a>(statement: &Statement, set: &'a [Cells]) -> Vec<Argument<'a>> {
    let is_array = |ty: &Type| matches!(ty.kind(), TypeKind::Array(_));
    let types = statement.params().iter().enumerate();
    types
        .map(|(i, ty)| {
            if is_array(ty) {
                Argument::Column(set.iter().map(|row| CellRef(row.get(i).unwrap_or(&Cell::Null))).collect())
            } else {
                Argument::One(CellRef(set[0].get(i).unwrap_or(&Cell::Null)))
            }
        })
        .collect()
}

/// Whether a statement is a `copy … from stdin (format binary)`: the set is stored as it is, which costs the server less than
/// any insert, and it works while the rest is on its way.
fn copies(name: &str) -> bool {
    name == "pair_insert"
}

async fn copy(object: &Object, statement: &Statement, set: &[Cells]) -> std::result::Result<u64, tokio_postgres::Error> {
    let columns = 0..set.first().map_or(0, Vec::len);
    let types: Vec<Type> = columns.map(|at| column_type(set.iter().filter_map(|row| row.get(at)))).collect();
    let mut writer = pin!(BinaryCopyInWriter::new(object.copy_in(statement).await?, &types));
    for row in set {
        let cells: Vec<CellRef<'_>> = row.iter().map(CellRef).collect();
        writer.as_mut().write_raw(cells).await?;
    }
    writer.finish().await
}

/// The type of a column of a set; one that is NULL throughout may have any.
fn column_type<'a>(mut cells: impl Iterator<Item = &'a Cell>) -> Type {
    match cells.find(|cell| **cell != Cell::Null) {
        Some(Cell::Int(_)) => Type::INT8,
        Some(Cell::Text(_)) => Type::TEXT,
        Some(Cell::Bytes(_) | Cell::Null) | None => Type::BYTEA,
    }
}

#[async_trait]
impl Session for Conn {
    async fn query(&mut self, name: &'static str, set: &[Cells]) -> Result<Vec<Cells>> {
        if set.is_empty() {
            return Ok(Vec::new());
        }
        if copies(name) {
            return self.execute(name, set).await.map(|_| Vec::new());
        }
        let statement = self.prepare(text_of(name)?).await?;
        let arguments = arguments(&statement, set);
        let params: Vec<&(dyn ToSql + Sync)> = arguments.iter().map(|argument| argument as _).collect();
        let rows = self.object()?.query(&statement, &params).await;
        let rows = self.check(rows)?;
        rows.iter()
            .map(|row| (0..row.len()).map(|i| row.try_get(i).map(|OwnedCell(cell)| cell)).collect())
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| {
                Error::new(Kind::Internal, format!("statement {name} returned a type that is not ours")).source(error)
            })
    }

    async fn execute(&mut self, name: &'static str, set: &[Cells]) -> Result<u64> {
        if set.is_empty() {
            return Ok(0);
        }
        let statement = self.prepare(text_of(name)?).await?;
        let count = match copies(name) {
            true => copy(self.object()?, &statement, set).await,
            false => {
                let arguments = arguments(&statement, set);
                let params: Vec<&(dyn ToSql + Sync)> = arguments.iter().map(|argument| argument as _).collect();
                self.object()?.execute(&statement, &params).await
            }
        };
        self.check(count)
    }
}

#[derive(Debug)]
struct CellRef<'a>(&'a Cell);

#[derive(Debug)]
enum Argument<'a> {
    One(CellRef<'a>),
    Column(Vec<CellRef<'a>>),
}

type Converted<T> = std::result::Result<T, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for CellRef<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Converted<IsNull> {
        match self.0 {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Int(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            Cell::Text(text) if *ty == Type::TEXT => text.to_sql(ty, out),
            Cell::Bytes(bytes) if *ty == Type::BYTEA => bytes.to_sql(ty, out),
            Cell::Int(_) | Cell::Text(_) | Cell::Bytes(_) => Err(format!("a cell is no {}", ty.name()).into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl ToSql for Argument<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Converted<IsNull> {
        match self {
            Argument::One(cell) => cell.to_sql(ty, out),
            Argument::Column(cells) => cells.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

struct OwnedCell(Cell);

impl<'a> FromSql<'a> for OwnedCell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Converted<OwnedCell> {
        Ok(OwnedCell(match *ty {
            Type::INT8 => Cell::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Cell::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Cell::Int(i16::from_sql(ty, raw)?.into()),
            Type::TEXT => Cell::Text(String::from_sql(ty, raw)?),
            Type::BYTEA => Cell::Bytes(raw.to_vec()),
            _ => return Err(format!("{} is not a type of Twinrow's tables", ty.name()).into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Converted<OwnedCell> {
        Ok(OwnedCell(Cell::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
