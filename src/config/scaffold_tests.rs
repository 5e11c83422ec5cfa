//! `init` on two schemas, with names no one should have.

use std::path::Path;

use super::tests::{column, int, refers, table, word};
use super::{Scaffold, parse, resolve, scaffold, without_password};
use crate::model::{Both, Charset, Column, ForeignKey, KeySource, Keys, Kind, Table};

fn varchar(name: &str, max: u64) -> Column {
    Column {
        native: format!("varchar({max})"),
        ..column(name, Kind::Text { max: Some(max), padded: false, charset: Charset::Unicode })
    }
}

fn decimal(name: &str, precision: u32, scale: u32) -> Column {
    column(name, Kind::Decimal { limit: Some((precision, scale)) })
}

fn stamp(name: &str) -> Column {
    column(name, Kind::Instant { digits: 6 })
}

fn unique(mut table: Table, column: &str) -> Table {
    table.uniques.push(vec![table.column(column).unwrap()]);
    table
}

fn with_keys(mut table: Table, keys: Vec<ForeignKey>) -> Table {
    table.foreign_keys = keys;
    table
}

fn natural(mut table: Table, key: &[usize]) -> Table {
    (table.key, table.key_source) = (key.to_vec(), KeySource::Given);
    table.columns[0].numbered = false;
    table
}

/// Its first column is numbered, and its second, which is given, is part of its key too: what a partitioned table is parted by.
fn parted(mut table: Table) -> Table {
    table.key = vec![0, 1];
    table.columns[1].nullable = false;
    table
}

fn compound(columns: [&str; 2], schema: &str, parent: &str, referenced: [&str; 2]) -> ForeignKey {
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    ForeignKey { columns: names(columns), referenced: names(referenced), ..refers("", schema, parent) }
}

fn shop() -> Vec<Table> {
    let t = |name: &str, columns: Vec<Column>| table("public", name, columns);
    let fk = |column: &str, parent: &str| refers(column, "public", parent);
    vec![
        unique(t("companies", vec![int("id"), word("name"), varchar("vat_number", 20), int("parent_id")]), "vat_number"),
        unique(
            with_keys(
                t(
                    "Customer",
                    vec![int("id"), word("full_name"), word("E-Mail"), int("company_id"), stamp("created_at"), word("on")],
                ),
                vec![fk("company_id", "companies")],
            ),
            "E-Mail",
        ),
        with_keys(
            t("orders", vec![int("id"), int("customer_id"), word("order no"), decimal("total", 12, 2)]),
            vec![fk("customer_id", "Customer")],
        ),
        with_keys(
            t("order_lines", vec![int("id"), int("order_id"), int("product_id"), int("quantity"), decimal("unit_price", 12, 4)]),
            vec![fk("order_id", "orders"), fk("product_id", "products")],
        ),
        unique(t("products", vec![int("id"), word("sku"), word("title"), decimal("price", 12, 2), word("${HOME}")]), "sku"),
        with_keys(
            natural(t("product_tags", vec![int("product_id"), int("tag_id")]), &[0, 1]),
            vec![fk("product_id", "products"), fk("tag_id", "tags")],
        ),
        unique(t("tags", vec![int("id"), word("label")]), "label"),
        natural(t("countries", vec![varchar("code", 2), word("name")]), &[0]),
        t("we\"ird\ntable: {x} #1", vec![int("id"), word("a: b"), word("#c"), word("'d'\\")]),
        t("select", vec![int("id"), word("from"), word("null"), word("123")]),
        natural(t("settings", vec![word("key"), word("value")]), &[0]),
        parted(t("visits", vec![int("id"), column("day", Kind::Date), word("note")])),
        with_keys(
            t("visit_photos", vec![int("id"), column("visit_day", Kind::Date), int("visit_id"), word("caption")]),
            vec![compound(["visit_id", "visit_day"], "public", "visits", ["id", "day"])],
        ),
        with_keys(
            natural(t("shelf", vec![int("hall_no"), int("shelf_no"), word("label")]), &[0, 1]),
            vec![ForeignKey { referenced: vec!["no".into()], ..fk("hall_no", "halls") }],
        ),
        t("halls", vec![int("no"), word("title")]),
        with_keys(
            t("stocks", vec![int("id"), int("hall"), int("shelf"), int("old_hall"), int("old_shelf"), word("what")]),
            vec![
                ForeignKey { referenced: vec!["no".into()], ..fk("hall", "halls") },
                compound(["hall", "shelf"], "public", "shelf", ["hall_no", "shelf_no"]),
                compound(["old_hall", "old_shelf"], "public", "shelf", ["hall_no", "shelf_no"]),
            ],
        ),
        parted(t("payments", vec![int("id"), int("region"), word("iban"), word("purpose")])),
        Table { refused: Some("it has no key".into()), ..t("audit", vec![int("id"), word("line")]) },
    ]
}

fn crm() -> Vec<Table> {
    let t = |name: &str, columns: Vec<Column>| table("", name, columns);
    let fk = |column: &str, parent: &str| refers(column, "", parent);
    vec![
        unique(
            t("Company", vec![int("id"), varchar("CompanyName", 80), varchar("VatNumber", 20), varchar("phone", 20)]),
            "VatNumber",
        ),
        unique(
            with_keys(
                t(
                    "tblCustomers",
                    vec![int("id"), word("FullName"), word("email"), int("company"), stamp("CreatedAt"), word("On")],
                ),
                vec![fk("company", "Company")],
            ),
            "email",
        ),
        with_keys(
            t("Order", vec![int("id"), int("cust"), word("OrderNo"), decimal("Total", 10, 2)]),
            vec![fk("cust", "tblCustomers")],
        ),
        with_keys(
            t("OrderLine", vec![int("id"), int("order"), int("item"), int("Quantity"), decimal("UnitPrice", 12, 4)]),
            vec![fk("order", "Order"), fk("item", "Product")],
        ),
        unique(
            t(
                "Product",
                vec![
                    int("id"),
                    word("SKU"),
                    word("Title"),
                    decimal("Price", 12, 2),
                    column("Photo", Kind::Bytes { max: None, padded: false }),
                ],
            ),
            "SKU",
        ),
        with_keys(
            natural(t("ProductTag", vec![int("ProductId"), int("TagId")]), &[0, 1]),
            vec![fk("ProductId", "Product"), fk("TagId", "Tag")],
        ),
        unique(t("Tag", vec![int("id"), word("Label")]), "Label"),
        natural(t("Country", vec![varchar("Code", 2), word("Name")]), &[0]),
        t("Weird Table X 1", vec![int("id"), word("A_B"), word("C"), word("D")]),
        t("SELECT", vec![int("id"), word("From"), word("NULL"), word("123")]),
        unique(t("Setting", vec![int("id"), word("Key"), word("value")]), "Key"),
        parted(t("Visit", vec![int("id"), column("VisitDay", Kind::Date), word("Note")])),
        with_keys(
            t("VisitPhoto", vec![int("id"), int("Visit"), column("VisitDay", Kind::Date), word("Caption")]),
            vec![compound(["Visit", "VisitDay"], "", "Visit", ["id", "VisitDay"])],
        ),
        t("Hall", vec![int("HallNo"), word("Title")]),
        with_keys(
            natural(t("Shelf", vec![int("ShelfNo"), int("Hall"), word("Label")]), &[0, 1]),
            vec![ForeignKey { referenced: vec!["HallNo".into()], ..fk("Hall", "Hall") }],
        ),
        with_keys(
            t("Stock", vec![int("id"), int("OldShelf"), int("OldHall"), int("Shelf"), int("Hall"), word("What")]),
            vec![
                compound(["OldShelf", "OldHall"], "", "Shelf", ["ShelfNo", "Hall"]),
                compound(["Shelf", "Hall"], "", "Shelf", ["ShelfNo", "Hall"]),
            ],
        ),
        t("Payment", vec![int("id"), word("Iban"), word("Purpose")]),
        t("Invoice", vec![int("id"), word("number")]),
    ]
}

fn ends() -> Both<Scaffold> {
    let (url, variable) = without_password("shop", "postgres://app:hunter2@db/shop");
    assert_eq!(variable.as_deref(), Some("SHOP_PASSWORD"));
    Both {
        source: Scaffold { name: "shop".into(), url, tables: shop() },
        target: Scaffold { name: "crm".into(), url: "sqlite:crm.db".into(), tables: crm() },
    }
}

#[test]
fn init_proposes_what_two_schemas_have_in_common() {
    insta::assert_snapshot!(scaffold("shop-crm", &ends()));
}

#[test]
fn what_init_writes_can_be_read_and_resolved() {
    let text = scaffold("shop-crm", &ends()).replace("${SHOP_PASSWORD}", "x");
    let config = parse(&text, Path::new("twinrow.yaml")).unwrap();
    let resolved = resolve(&config, &[shop(), crm()]).unwrap();
    let links = &resolved.integration.links;
    let link = |name: &str| links.iter().find(|link| link.name == name).unwrap();
    assert_eq!(links.len(), 16);
    assert_eq!(link("countries").keys, Keys::Copy);
    let tags = link("product_tags");
    assert!(tags.fields.iter().all(|field| field.via.is_some()) && tags.fields.len() == 2);
    assert_eq!(links[link("customer").fields[2].via.unwrap()].name, "companies");
    // Which column holds which part of the parent's key.
    let stocks = link("stocks");
    let named = |at: &usize| stocks.fields[*at].name.as_str();
    let parts = |name: &str| &stocks.fields.iter().find(|field| field.name == name).unwrap().parts;
    let Both { source, target } = parts("old_hall -> OldHall");
    assert_eq!(source.iter().map(named).collect::<Vec<_>>(), ["old_hall -> OldHall", "old_shelf -> OldShelf"]);
    assert_eq!(target.iter().map(named).collect::<Vec<_>>(), ["old_shelf -> OldShelf", "old_hall -> OldHall"]);
    assert_eq!(links[stocks.fields[0].via.unwrap()].name, "shelf", "the longest of its column's foreign keys");
}

#[test]
fn the_same_schemas_give_the_same_file() {
    assert_eq!(scaffold("shop-crm", &ends()), scaffold("shop-crm", &ends()));
}

#[test]
fn a_ring_of_foreign_keys_is_proposed_where_a_column_takes_null() {
    let tables = |schema: &str, leaderless: bool| {
        let fk = |column: &str, parent: &str| refers(column, schema, parent);
        let needed = |name: &str| Column { nullable: false, ..int(name) };
        let lead = Column { nullable: leaderless, ..int("lead_id") };
        let team = table(schema, "team", vec![int("id"), word("title"), lead]);
        let person = table(schema, "person", vec![int("id"), word("title"), needed("team_id"), needed("boss_id")]);
        vec![
            with_keys(team, vec![fk("lead_id", "person")]),
            with_keys(person, vec![fk("team_id", "team"), fk("boss_id", "person")]),
        ]
    };
    for leaderless in [true, false] {
        let tables = |schema: &str| tables(schema, leaderless);
        let ends = Both {
            source: Scaffold { name: "a".into(), url: "sqlite:a.db".into(), tables: tables("public") },
            target: Scaffold { name: "b".into(), url: "sqlite:b.db".into(), tables: tables("") },
        };
        let text = scaffold("ring", &ends);
        let needed = if leaderless { "" } else { "# a ring of links: " };
        assert!(text.contains("      lead_id: {to: lead_id, via: person}\n"), "{text}");
        assert!(text.contains(&format!("      {needed}team_id: {{to: team_id, via: team}}\n")), "{text}");
        assert!(text.contains("      boss_id: {to: boss_id, via: person}\n"), "a table may refer to itself:\n{text}");
        let config = parse(&text, Path::new("twinrow.yaml")).unwrap();
        assert!(resolve(&config, &[tables("public"), tables("")]).is_ok());
    }
}

#[test]
fn no_password_is_written() {
    for (url, written) in [
        ("postgres://app:p:w@d@db/shop", "postgres://app:${A_PASSWORD}@db/shop"),
        ("postgres://app@db/shop", "postgres://app@db/shop"),
        ("sqlite:a.db", "sqlite:a.db"),
        ("mysql://root:@db", "mysql://root:${A_PASSWORD}@db"),
    ] {
        assert_eq!(without_password("a", url).0, written);
    }
    assert!(!scaffold("x", &ends()).contains("hunter2"));
}

#[test]
fn s4_5_tables_whose_keys_nobody_assigns_are_not_linked() {
    let ends = Both {
        source: Scaffold {
            name: "a".into(),
            url: "sqlite:a.db".into(),
            tables: vec![natural(table("", "unit", vec![word("code"), word("name")]), &[0])],
        },
        target: Scaffold {
            name: "b".into(),
            url: "sqlite:b.db".into(),
            tables: vec![table("", "units", vec![int("id"), word("name")])],
        },
    };
    let text = scaffold("x", &ends);
    assert!(text.contains("links: {} #"), "{text}");
    assert!(
        text.ends_with("# Tables of b in no link:\n#   units: like `unit`, but nobody assigns the keys of new rows\n"),
        "{text}"
    );
}

#[test]
fn hundreds_of_lookup_tables_alike_are_not_paired_by_chance() {
    let many = |schema: &str, prefix: &str| -> Vec<Table> {
        let columns = || vec![int("id"), word("name"), word("code"), word("kind")];
        (0..300).map(|i| table(schema, &format!("{prefix}{i}"), columns())).collect()
    };
    let ends = Both {
        source: Scaffold { name: "a".into(), url: "sqlite:a.db".into(), tables: many("public", "left") },
        target: Scaffold { name: "b".into(), url: "sqlite:b.db".into(), tables: many("", "right") },
    };
    assert!(scaffold("many", &ends).contains("links: {} #"));
}

#[test]
fn a_table_of_another_name_is_found_by_its_columns() {
    let columns = || vec![int("id"), word("email"), word("phone"), word("street"), word("city")];
    let ends = Both {
        source: Scaffold { name: "a".into(), url: "sqlite:a.db".into(), tables: vec![table("", "customer", columns())] },
        target: Scaffold { name: "b".into(), url: "sqlite:b.db".into(), tables: vec![table("", "contact", columns())] },
    };
    assert!(scaffold("x", &ends).contains("    source: customer\n    target: contact\n"));
}

/// What a clock fills in has digits of a second that the other column has no place for: as it stands, every row would be held.
#[test]
fn init_cuts_seconds_where_every_row_would_be_held() {
    let whole = Column { native: "timestamp".into(), ..column("created_at", Kind::Instant { digits: 0 }) };
    let orders = |created: Column| vec![table("public", "orders", vec![int("id"), word("code"), created])];
    let end = |name: &str, tables| Scaffold { name: name.into(), url: format!("sqlite:{name}.db"), tables };
    let ends = |created: Column| Both { source: end("shop", orders(stamp("created_at"))), target: end("crm", orders(created)) };
    let cut = scaffold("shop-crm", &ends(whole));
    assert!(cut.contains("created_at: {to: created_at, lossy: fit} # to the target, without `lossy: fit`: digits"), "{cut}");
    assert!(parse(&cut, Path::new("twinrow.yaml")).is_ok());
    let exact = scaffold("shop-crm", &ends(stamp("created_at")));
    assert!(exact.contains("created_at: created_at\n"), "{exact}");
}
