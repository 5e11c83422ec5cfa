//! What the integrations of a run are configured to do, and how that changes from one run to the next.

use twinrow::model::{
    Blanks, Both, BrakeLimits, Collection, Column, ConflictPolicy, Deletes, Direction, Field, FirstSync, Integration, KeySource,
    Keys, Kind as Type, Limit, Link, Lossy, MatchField, Normal, Side, Table, TableName,
};
use twinrow::sql::Cell;

use crate::database::{ENTITY, KEY, PARENT, X, Y};
use crate::endpoint::table_of;
use crate::keys::{NUMBERS, PARENT_REGION, REGION};
use crate::options::{Home, Options, Rounding, Shape, Third};
use crate::session::number;
use crate::world::{Chance, World};

/// The part of the configuration that people change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    pub direction: Direction,
    pub below: Option<Direction>,
    pub conflict: ConflictPolicy,
    pub deletes: Deletes,
    pub blanks: Blanks,
    /// Whether the second value is mapped.
    pub mapped: bool,
    /// Whether the links of the children are there.
    pub children: bool,
}

impl Setup {
    pub fn of(options: &Options) -> Setup {
        let Options { direction, below, conflict, deletes, blanks, .. } = options.clone();
        Setup { direction, below, conflict, deletes, blanks, mapped: true, children: true }
    }

    /// Somebody edits the file.
    pub fn edit(&mut self, chance: &mut Chance) {
        match chance.below(6) {
            0 => {
                (self.direction, self.below) = (*chance.pick(&[Direction::Both, Direction::ToTarget, Direction::ToSource]), None)
            }
            1 => self.conflict = *chance.pick(&[ConflictPolicy::Source, ConflictPolicy::Target, ConflictPolicy::Merge]),
            2 => self.deletes = *chance.pick(&[Deletes::Delete, Deletes::Keep, Deletes::Recreate]),
            3 => self.blanks = *chance.pick(&[Blanks::Keep, Blanks::Propagate]),
            4 => self.mapped = !self.mapped,
            _ => self.children = !self.children,
        }
    }
}

impl Options {
    /// How many databases hold the records.
    pub fn data(&self) -> usize {
        if self.third == Third::No { 2 } else { 3 }
    }

    /// How many values a row of a table has.
    pub fn width(&self, table: usize) -> usize {
        let refers = table == 1 || self.shape == Shape::Circle;
        match (self.is_composite(), self.copy) {
            (true, _) => 6,
            (false, true) => 5,
            (false, false) => 3 + usize::from(refers),
        }
    }

    /// Whether keys have two parts anywhere.
    pub fn is_composite(&self) -> bool {
        self.composite != [false; 2]
    }

    pub fn integrations(&self) -> usize {
        if matches!(self.third, Third::Star | Third::Chain) { 2 } else { 1 }
    }

    /// Whether deleted keys are given out again here.
    pub fn reuses(&self, at: usize) -> bool {
        self.reuse.get(at.min(1)).copied().unwrap_or(false)
    }

    /// The databases of an integration, source first, its state's last if that is another one.
    pub fn ends_of(&self, which: usize) -> Vec<usize> {
        let mut ends = match (self.third, which) {
            (Third::Same, _) => vec![0, 1, 2],
            (Third::Chain, 1) => vec![1, 2],
            (Third::Star, 1) => vec![0, 2],
            _ => vec![0, 1],
        };
        if self.home == Home::Third {
            ends.push(self.data());
        }
        ends
    }

    /// The database that holds the state of an integration.
    pub fn home_of(&self, which: usize) -> usize {
        let ends = self.ends_of(which);
        match self.home {
            Home::Source => ends[0],
            Home::Target => ends[1],
            Home::Third => self.data(),
        }
    }
}

/// A link as the world knows it.
#[derive(Clone, Debug)]
pub struct Wire {
    pub integration: usize,
    pub name: String,
    pub table: usize,
    /// The link of its parents, within its integration.
    refers: Option<usize>,
    /// Its two databases.
    pub ends: [usize; 2],
}

/// All links there may be.
pub fn wires(options: &Options) -> Vec<Wire> {
    let ways: &[(usize, [usize; 2])] = match options.third {
        Third::No => &[(0, [0, 1])],
        Third::Star => &[(0, [0, 1]), (1, [0, 2])],
        Third::Chain => &[(0, [0, 1]), (1, [1, 2])],
        Third::Same => &[(0, [0, 1]), (0, [0, 2])],
    };
    let tables: &[Option<usize>] = match options.shape {
        Shape::Flat => &[None],
        Shape::Family => &[None, Some(0)],
        Shape::Circle => &[Some(0)],
    };
    let mut wires: Vec<Wire> = Vec::new();
    for (integration, ends) in ways.iter().copied() {
        let before = wires.iter().filter(|wire| wire.integration == integration).count();
        for (table, refers) in tables.iter().enumerate() {
            let name = format!("link{table}{}{}", ends[0], ends[1]);
            wires.push(Wire { integration, name, table, refers: refers.map(|at| before + at), ends });
        }
    }
    wires
}

/// The name of an integration.
pub fn named(which: usize) -> String {
    ["simulated", "another"][which].to_owned()
}

impl World {
    /// The link that the state in a database knows by a number.
    pub fn wire(&self, home: usize, link: &Cell) -> Option<Wire> {
        let known = self.databases[home].own.link.values().find(|row| row[2] == *link)?;
        wires(&self.options)
            .into_iter()
            .find(|wire| known[0] == Cell::Text(named(wire.integration)) && known[1] == Cell::Text(wire.name.clone()))
    }

    /// An integration as it is configured now, with the numbers that its state has given.
    pub fn integration(&self, which: usize) -> Integration {
        let mut integration = integration(&self.options, &self.setup, which);
        let home = self.options.home_of(which);
        for link in &mut integration.links {
            let known = self.databases[home].own.link.values();
            let mut known = known.filter(|row| row[0] == Cell::Text(named(which)) && row[1] == Cell::Text(link.name.clone()));
            link.number = known.next().map_or(0, |row| number(&row[2]));
        }
        integration
    }
}

fn column(name: &str, kind: Type, nullable: bool) -> Column {
    Column { name: name.into(), kind, native: String::new(), nullable, computed: false, has_default: false, numbered: false }
}

/// A table as the catalog of a database describes it.
pub fn described(at: usize, table: usize, options: &Options) -> Table {
    let int = || Type::Int { min: i128::from(i64::MIN), max: i128::from(i64::MAX) };
    let y = match options.rounding {
        Rounding::Mapped => Type::Decimal { limit: Some((18, if at == 0 { 1 } else { 0 })) },
        Rounding::No | Rounding::Silent => int(),
    };
    let part = || Type::Int { min: 0, max: i128::from(NUMBERS - 1) };
    let (composite, copied) = (options.composite[at.min(1)], options.copy);
    let id = Column { numbered: composite && !copied, ..column("id", if composite { part() } else { int() }, false) };
    let columns = vec![
        id,
        column("entity", int(), false),
        column("x", int(), true),
        column("y", y, true),
        column("parent", int(), true),
        column("region", part(), false),
        column("parent_region", part(), true),
    ];
    let name = TableName { schema: String::new(), name: format!("t{table}") };
    debug_assert_eq!(table_of(&name), table);
    Table {
        name,
        columns,
        key: if composite { vec![REGION, 0] } else { vec![0] },
        key_source: if options.reuses(at) { KeySource::GeneratedReused } else { KeySource::Generated },
        uniques: options.unique.then(|| vec![1]).into_iter().chain(options.swaps.then(|| vec![2])).collect(),
        foreign_keys: Vec::new(),
        blind_spots: Vec::new(),
        refused: None,
    }
}

fn collection(at: usize, table: usize, fields: &[usize], options: &Options) -> Collection {
    // The column of a field stands behind the key, and so do the fields of a row in memory; then come the regions.
    let column = |field: &usize| match *field {
        KEY => 0,
        REGION | PARENT_REGION => *field,
        field => field + 1,
    };
    let columns = fields.iter().map(column).collect();
    Collection { table: described(at, table, options), columns }
}

/// The fields of a row that a link maps, by their places in a row of the database.
pub fn mapped(wire: &Wire, options: &Options, second: bool) -> Vec<usize> {
    let mut fields = vec![ENTITY, X];
    fields.extend(second.then_some(Y));
    if wire.refers.is_some() || options.copy {
        fields.push(PARENT);
    }
    fields.extend(options.copy.then_some(KEY));
    fields.extend(options.is_composite().then_some(REGION));
    fields.extend((wire.refers.is_some() && options.is_composite()).then_some(PARENT_REGION));
    fields
}

fn link(wire: &Wire, options: &Options, setup: &Setup) -> Link {
    let fields = mapped(wire, options, setup.mapped);
    let place = |field: usize| fields.iter().position(|mapped| *mapped == field);
    let direction = setup.below.filter(|_| wire.table == 1).unwrap_or(setup.direction);
    let way = |field: usize| match (direction, field) {
        (Direction::Both, X) => options.fields[0],
        (Direction::Both, Y) => options.fields[1],
        (direction, _) => direction,
    };
    let parts: Vec<usize> = place(PARENT_REGION).into_iter().flat_map(|region| [Some(region), place(PARENT)]).flatten().collect();
    let parts = Both::from_fn(|_| parts.clone());
    let field = |at: &usize| Field {
        name: ["entity", "x", "y", "parent", "id", "region", "parent_region"][*at].into(),
        number: *at as u16,
        parts: if [PARENT, PARENT_REGION].contains(at) { parts.clone() } else { Both::default() },
        via: wire.refers.filter(|_| [PARENT, PARENT_REGION].contains(at)),
        direction: way(*at),
        blanks: setup.blanks,
        lossy: if *at == Y { Lossy::Fit } else { Lossy::Hold },
        remade: Both::default(),
    };
    let ends = options.ends_of(wire.integration);
    let end = |side: Side| wire.ends[usize::from(side == Side::Target)];
    // Where keys are copied, records are matched by them.
    let parent = place(PARENT).filter(|_| options.by_parent);
    let matching: Vec<usize> = match (options.copy, options.matching) {
        (true, _) => place(REGION).into_iter().chain(place(KEY)).collect(),
        (false, true) => place(ENTITY).into_iter().collect(),
        (false, false) => Vec::new(),
    };
    Link {
        name: wire.name.clone(),
        number: 0,
        endpoint: Both::from_fn(|side| ends.iter().position(|at| *at == end(side)).unwrap_or(0)),
        collection: Both::from_fn(|side| collection(end(side), wire.table, &fields, options)),
        fields: fields.iter().map(field).collect(),
        matching: matching
            .into_iter()
            .chain(parent)
            .map(|field| MatchField { field, normal: Normal::default(), proves: !options.copy })
            .collect(),
        direction,
        conflict: setup.conflict,
        newest: place(X).filter(|_| setup.conflict == ConflictPolicy::Newest),
        deletes: setup.deletes,
        keys: if options.copy { Keys::Copy } else { Keys::Own },
        brake: BrakeLimits {
            deletes: options.brake.then_some(Limit { count: 1, percent: 10 }),
            changes: options.brake.then_some(Limit { count: 2, percent: 20 }),
        },
        broken: None,
    }
}

fn integration(options: &Options, setup: &Setup, which: usize) -> Integration {
    let ends = options.ends_of(which);
    let wires = wires(options);
    let wires = wires.iter().filter(|wire| wire.integration == which && (setup.children || wire.table == 0));
    Integration {
        name: named(which),
        endpoints: ends.iter().map(|at| ["shop", "crm", "erp", "state"][*at].to_owned()).collect(),
        home: ends.iter().position(|at| *at == options.home_of(which)).unwrap_or(0),
        links: wires.map(|wire| link(wire, options, setup)).collect(),
        first_sync: FirstSync::Auto,
        keep_values: true,
        log_max: options.log_max.unwrap_or(1_000_000),
    }
}
