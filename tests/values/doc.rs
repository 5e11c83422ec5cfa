//! `docs/types.md` says what the cases prove, no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use twinrow::model::Kind;

use crate::cases::{Becomes, all};
use crate::side::Engine;
use crate::support::skip;

const DOC: &str = include_str!("../../docs/types.md");

/// The cells of the table below a heading.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let section = DOC.split_once(heading).unwrap().1;
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row[1..row.len() - 1].split('|').map(str::trim).collect()).collect()
}

#[test]
fn every_conversion_is_proven_and_every_proof_is_told() {
    let cases = all();
    let told: BTreeMap<&str, &str> = table("## Conversions").into_iter().map(|row| (row[0], *row.last().unwrap())).collect();
    let proven: BTreeSet<&str> = cases.iter().map(|case| case.row).collect();
    // Every case's empty row proves it; its refusal is a test of its own.
    let told_rows: BTreeSet<&str> = told.keys().copied().filter(|row| *row != "NULL → any kind").collect();
    assert_eq!(told_rows, proven);
    for (row, fit) in told {
        let fitted = cases.iter().filter(|case| case.row == row && case.fit).flat_map(|case| &case.values);
        let made_to_fit = fitted.filter(|(value, becomes)| matches!(becomes, Becomes::Is(is) if is != value)).count();
        let says_so = !(fit.is_empty() || fit.starts_with("held") || fit.starts_with("as exact"));
        assert_eq!(says_so, made_to_fit > 0, "{row}: {fit}");
        let exact = cases.iter().filter(|case| case.row == row && !case.fit).flat_map(|case| &case.values);
        let kept = exact.filter(|(_, becomes)| matches!(becomes, Becomes::Is(_))).count();
        assert!(kept > 0 || row.contains("jsonb") || row.contains("MySQL `datetime`") || row == "NULL → any kind", "{row}");
    }
}

#[tokio::test]
async fn every_type_is_read_as_the_kind_it_is_told_to_be() {
    for (at, engine) in [(1, Engine::Postgres), (2, Engine::Mysql), (2, Engine::Mariadb), (3, Engine::Sqlite)] {
        let lab = match engine.lab().await {
            Ok(lab) => lab,
            Err(reason) => {
                skip("kinds", &reason);
                continue;
            }
        };
        let mut told = Vec::new();
        for row in table("## Kinds") {
            let cell = row.get(at).copied().unwrap_or_default();
            let here = !(cell.contains("(MariaDB)") && engine == Engine::Mysql);
            let types = cell.split('`').skip(1).step_by(2).filter(|_| here);
            told.extend(types.map(|native| (row[0].to_owned(), native.to_owned())));
        }
        assert!(told.len() > 14, "{engine:?}: {told:?}");
        let columns: Vec<String> = told.iter().enumerate().map(|(at, (_, native))| format!("c{at} {native} null")).collect();
        lab.user(&format!("create table kinds (id {}, {})", lab.dialect().generated_key, columns.join(", "))).await;
        let table = lab.endpoint().await.describe(Some(&[lab.table("kinds")])).await.unwrap().remove(0);
        lab.close().await;
        for (column, (kind, native)) in table.columns[1..].iter().zip(&told) {
            assert_eq!(word(&column.kind), kind, "{engine:?} {native}: {:?}", column.kind);
        }
    }
}

fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "boolean",
        Kind::Int { .. } => "integer",
        Kind::Decimal { .. } => "decimal",
        Kind::Number => "number",
        Kind::Float { .. } => "float",
        Kind::Text { .. } => "text",
        Kind::Bytes { .. } => "bytes",
        Kind::Date => "date",
        Kind::Time { .. } => "time",
        Kind::DateTime { .. } => "datetime",
        Kind::Instant { .. } => "instant",
        Kind::Uuid => "uuid",
        Kind::Json | Kind::JsonDoubles => "json",
        Kind::Enum(_) => "enum",
        Kind::Any => "any value",
        Kind::Other(_) => "a type of its own",
    }
}
