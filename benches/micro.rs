//! What a record costs before any database is asked: `cargo bench --bench micro [NAME]`.
//!
//! Each line is the fastest of many short runs: what others do on the machine only ever makes one slower.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bigdecimal::BigDecimal;
use twinrow::mapping;
use twinrow::model::{
    Base, Blanks, Both, BrakeLimits, Charset, Collection, Column, ConflictPolicy, Deletes, Direction, Entry, Field, Key,
    KeySource, Keys, Kind, Link, Lossy, Op, Pair, PairStatus, Pos, Row, Side, Table, TableName, Value,
};
use twinrow::reconcile::{self, Cause, PairIndex, Question, Seen, Translate};

/// Does something to each of the records, and tells how long that took.
type Run = fn() -> Duration;

const RECORDS: usize = 1000;
const RUNS: usize = 200;

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let all: [(&str, Run); 7] = [
        ("decide: nothing changed", || decide(0)),
        ("decide: three of five fields changed", || decide(1)),
        ("convert: a row of five fields", convert),
        ("fingerprint: a row of five fields", fingerprint),
        ("key: encode and decode", key),
        ("coalesce: an entry", coalesce),
        ("fold: a delete onto its pair", fold),
    ];
    for (name, run) in all.into_iter().filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| name.contains(wanted))) {
        let best = (0..RUNS).map(|_| run()).min().unwrap();
        println!("{name:38} {:8.0} ns", best.as_secs_f64() * 1e9 / RECORDS as f64);
    }
}

/// The time of one run over all records; what is set up before does not count.
fn timed<T>(run: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(run());
    start.elapsed()
}

fn column(name: &str, kind: Kind, native: &str) -> Column {
    Column {
        name: name.into(),
        kind,
        native: native.into(),
        nullable: true,
        computed: false,
        has_default: false,
        numbered: false,
    }
}

fn collection(name: &str) -> Collection {
    let text = || Kind::Text { max: None, padded: false, charset: Charset::UnicodeNoNul };
    let columns = vec![
        column("id", Kind::Int { min: i64::MIN.into(), max: i64::MAX.into() }, "bigint"),
        column("name", text(), "text"),
        column("email", text(), "text"),
        column("balance", Kind::Decimal { limit: Some((12, 2)) }, "numeric(12,2)"),
        column("updated_at", Kind::Instant { digits: 6 }, "timestamp with time zone"),
        column("note", text(), "text"),
    ];
    let table = Table {
        name: TableName { schema: "public".into(), name: name.into() },
        columns,
        key: vec![0],
        key_source: KeySource::Generated,
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        blind_spots: Vec::new(),
        refused: None,
    };
    Collection { table, columns: vec![1, 2, 3, 4, 5] }
}

fn link() -> Link {
    let field = |number: u16| Field {
        name: format!("f{number}"),
        number,
        via: None,
        parts: Both::default(),
        direction: Direction::Both,
        blanks: Blanks::Propagate,
        lossy: Lossy::Hold,
        remade: Both::default(),
    };
    Link {
        name: "accounts".into(),
        number: 1,
        endpoint: Both { source: 0, target: 1 },
        collection: Both { source: collection("accounts"), target: collection("accts") },
        fields: (0..5).map(field).collect(),
        matching: Vec::new(),
        direction: Direction::Both,
        conflict: ConflictPolicy::Source,
        newest: None,
        deletes: Deletes::Delete,
        keys: Keys::Own,
        brake: BrakeLimits::default(),
        broken: None,
    }
}

/// A row of about 200 bytes; another `version` differs in three fields.
fn row(n: usize, version: usize) -> Row {
    vec![
        Value::Text(format!("Customer number {n}")),
        Value::Text(format!("customer{n}@example.com")),
        Value::Decimal(BigDecimal::from_str(&format!("{}.25", n + version)).unwrap()),
        Value::Instant(1_767_225_600_000_000 + (n * 10 + version) as i64),
        Value::Text(format!("{:x<110}", format!("note {n} {version}"))),
    ]
}

fn pair(n: usize) -> Pair {
    let base = |value: &Value| Some(Base::agreed(value.fingerprint(), value.fingerprint()));
    let key = |first: usize| Some(Key::int((first + n) as i64).encode());
    Pair {
        id: n as i64,
        link: 1,
        key: Both { source: key(1), target: key(5_000_001) },
        former: Both::default(),
        pos: Both::default(),
        status: PairStatus::Linked,
        ver: 1,
        cycle: 0,
        bases: row(n, 0).iter().map(base).collect(),
    }
}

struct Convert<'a>(&'a Link);

impl Translate for Convert<'_> {
    fn translate(&self, field: usize, row: &Row, to: Side) -> Result<Value, Cause> {
        let columns = &self.0.collection;
        mapping::convert(&row[field], columns[to.other()].column(field), columns[to].column(field), Lossy::Hold)
            .map_err(|unfit| Cause::Held(unfit.cause))
    }
}

fn decide(version: usize) -> Duration {
    let link = link();
    let records: Vec<(Pair, Row, Row)> = (0..RECORDS).map(|n| (pair(n), row(n, version), row(n, 0))).collect();
    let translate = Convert(&link);
    timed(|| {
        for (pair, source, target) in &records {
            let (source, target) = (Seen::Row(source), Seen::Row(target));
            black_box(reconcile::decide(&Question {
                link: &link,
                pair: Some(pair),
                source,
                target,
                only_set_off: false,
                translate: &translate,
            }));
        }
    })
}

fn convert() -> Duration {
    let link = link();
    let rows: Vec<Row> = (0..RECORDS).map(|n| row(n, 0)).collect();
    let translate = Convert(&link);
    timed(|| {
        for row in &rows {
            for field in 0..row.len() {
                black_box(translate.translate(field, row, Side::Target).unwrap());
            }
        }
    })
}

fn fingerprint() -> Duration {
    let rows: Vec<Row> = (0..RECORDS).map(|n| row(n, 0)).collect();
    timed(|| {
        for value in rows.iter().flatten() {
            black_box(value.fingerprint());
        }
    })
}

fn key() -> Duration {
    timed(|| {
        for n in 0..RECORDS {
            black_box(Key::int(n as i64).encode().decode());
        }
    })
}

fn entries(op: &Op) -> Vec<Entry> {
    let entry = |n: usize| Entry {
        collection: 0,
        op: op.clone(),
        key: Key::int(1 + n as i64),
        pos: Pos(n as i64 + 1),
        transaction: Some(1),
        own: false,
    };
    (0..RECORDS).map(entry).collect()
}

fn coalesce() -> Duration {
    let entries = entries(&Op::Update);
    timed(|| reconcile::coalesce(&entries))
}

fn fold() -> Duration {
    let entries = entries(&Op::Delete);
    let index = PairIndex::new((0..RECORDS).map(pair).collect(), Side::Source);
    timed(|| reconcile::fold(&entries, Side::Source, index, &reconcile::AsLogged))
}
