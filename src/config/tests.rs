//! The file, its errors, and what becomes of it with two catalogs. No server.

use std::path::Path;

use super::expand::Outside;
use super::load::parse_with;
use super::*;
use crate::endpoint::TlsMode;
use crate::error::Result;
use crate::model::{
    Blanks, Charset, Column, ConflictPolicy, Deletes, Direction, ForeignKey, Integration, KeySource, Keys, Kind, Limit, Link,
    Lossy, MatchField, Normal, Side, Table, TableName,
};

struct Fixed;

impl Outside for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "SHOP_PASSWORD" => Some("p@ss/w:rd%41".into()),
            "CRM_PASSWORD" => Some("s3cr3t".into()),
            "CRM_URL" => Some("mysql://crm:secret@db2/crm".into()),
            "SCHEMA" => Some("public".into()),
            _ => None,
        }
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        match path.to_str() {
            Some("/run/secrets/crm") => Ok("from file\n".into()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

const HEAD: &str = r#"integration: shop-crm
endpoints:
  shop: {url: "postgres://app:${SHOP_PASSWORD}@db/shop", tls: {mode: verify-full, ca: ca.pem}}
  crm: {url: "sqlite:crm.db"}
source: shop
target: crm
"#;

const LINKS: &str = r#"links:
  customers:
    source: public.customer
    target: contacts
    match: [email]
    fields:
      name: full_name
      email: {to: email_address, blanks: propagate, lossy: fit, direction: to_target}
      company_id: {to: account_ref, via: companies}
  companies:
    source: company
    target: accounts
    safety: mirror
    blanks: keep
    match: [{field: name, case: ignore, blanks: trim}]
    fields: {name: title, updated_at: changed_on}
    conflict: newest
    newest: {source: updated_at, target: changed_on}
    brake: {deletes: {count: 5, percent: 50}, changes: off}
"#;

fn read(text: &str) -> Result<Config> {
    parse_with(text, Path::new("twinrow.yaml"), &Fixed)
}

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(read(text).unwrap_err().to_string(), format!("twinrow.yaml:{message}"));
}

fn edited(from: &str, to: &str) -> String {
    let whole = format!("{HEAD}{LINKS}");
    assert!(whole.contains(from), "{from}");
    whole.replacen(from, to, 1)
}

#[test]
fn a_whole_file_is_read() {
    let config = read(&format!("{HEAD}{LINKS}")).unwrap();
    assert_eq!(config.integration, "shop-crm");
    assert_eq!(config.endpoints[0].url.expose(), "postgres://app:p%40ss%2Fw%3Ard%2541@db/shop");
    assert_eq!(config.endpoints[0].tls.mode, TlsMode::VerifyFull);
    assert_eq!((config.side.source, config.side.target, config.home), (0, 1, 1));
    assert!(config.keep_values);
    let names: Vec<_> = config.links.iter().map(|(name, _)| name.value.as_str()).collect();
    assert_eq!(names, ["customers", "companies"], "in the order of the file");
    let (_, customers) = &config.links[0];
    assert_eq!((customers.deletes(), customers.blanks()), (Deletes::Keep, Blanks::Keep), "protect is the default");
    assert_eq!(customers.brake().deletes, Some(Limit { count: 50, percent: 10 }));
    let email = &customers.fields.0[1].1;
    assert_eq!((email.blanks, email.lossy, email.direction), (Some(Blanks::Propagate), Lossy::Fit, Some(Direction::ToTarget)));
    let (_, companies) = &config.links[1];
    assert_eq!((companies.deletes(), companies.blanks()), (Deletes::Delete, Blanks::Keep), "each can be set apart");
    assert_eq!((companies.conflict, companies.brake().changes), (ConflictPolicy::Newest, None));
    assert_eq!(companies.brake().deletes, Some(Limit { count: 5, percent: 50 }));
    assert_eq!(companies.matching[0].normal, Normal { fold_case: true, trim: true });
}

#[test]
fn wrong_keys_and_words_are_refused_with_their_place_and_the_nearest_right_one() {
    refused(&edited("fields: {name", "feilds: {name"), "22:5: unknown key `feilds`, did you mean `fields`?");
    refused(&edited("blanks: propagate", "blank: propagate"), "14:34: unknown key `blank`, did you mean `blanks`?");
    refused(&edited("{url: \"sqlite", "{uri: \"sqlite"), "4:9: unknown key `uri`, did you mean `url`?");
    refused(&edited("safety: mirror", "safety: miror"), "19:13: `miror` is not one of protect, mirror, did you mean `mirror`?");
    refused(&edited("target: crm\n", "target: cmr\n"), "6:9: there is no endpoint `cmr`, did you mean `crm`?");
    refused(&edited("via: companies", "via: company"), "15:42: there is no link `company`, did you mean `companies`?");
    refused(&edited("[email]", "[emial]"), "11:13: `match` names `emial`, which `fields` does not map, did you mean `email`?");
    refused(&edited("changes: off", "changes: never"), "25:56: a brake is `off` or `{count: 50, percent: 10}`");
    refused(&edited("percent: 50", "percent: many"), "25:42: expected a whole number");
    refused(&edited("percent: 50", "percent: 500"), "25:22: a share is at most 100 percent");
    refused(
        &edited("conflict: newest", "conflict: source"),
        "24:22: `conflict: newest` and `newest: {source: …, target: …}` need each other",
    );
    refused(&edited("target: crm\n", "target: shop\n"), "6:9: source and target are the same endpoint");
    refused(
        &edited("shop-crm", "Shop CRM"),
        "1:14: `Shop CRM` is no name: a lower-case letter, then lower-case letters, digits, `_` and `-`",
    );
    refused(
        &edited("sqlite:crm.db", "mssql://x:pw@db"),
        "4:14: the URL of endpoint `crm` is none of postgres: mysql: mariadb: sqlite: kinto+https:, did you mean `mysql`?",
    );
}

#[test]
fn keep_values_is_no_yaml_1_1_boolean() {
    refused(&format!("{HEAD}keep_values: no\n{LINKS}"), "7:14: expected true or false");
    assert!(!read(&format!("{HEAD}keep_values: false\n{LINKS}")).unwrap().keep_values);
}

#[test]
fn secrets_come_from_outside_and_never_show() {
    let whole = edited("sqlite:crm.db", "${CRM_URL}");
    assert_eq!(read(&whole).unwrap().endpoints[1].url.expose(), "mysql://crm:secret@db2/crm", "a whole URL is taken as it is");
    let file = edited("sqlite:crm.db", "mysql://crm:${file:/run/secrets/crm}@db2/crm");
    assert_eq!(read(&file).unwrap().endpoints[1].url.expose(), "mysql://crm:from%20file@db2/crm");
    let literal = edited("sqlite:crm.db", "sqlite:$${x}.db");
    assert_eq!(read(&literal).unwrap().endpoints[1].url.expose(), "sqlite:${x}.db");
    refused(&edited("${SHOP_PASSWORD}", "${SHOP_PASSWROD}"), "3:15: environment variable `SHOP_PASSWROD` is not set");
    refused(&edited("sqlite:crm.db", "${file:nope}"), "4:14: file `nope` can't be read: entity not found");
    let config = read(&whole).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("secret") && !shown.contains("p%40ss"), "{shown}");
}

#[test]
fn i10_no_error_quotes_its_neighbourhood() {
    let secret = "endpoints:\n  shop: {url: [\"postgres://app:hunter2@db\"]}\nsource: hunter2\n\ttarget: x\n";
    let error = read(secret).unwrap_err();
    assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{error}");
}

pub(super) fn column(name: &str, kind: Kind) -> Column {
    Column {
        name: name.into(),
        kind,
        native: "native".into(),
        nullable: true,
        computed: false,
        has_default: false,
        numbered: false,
    }
}

pub(super) fn int(name: &str) -> Column {
    column(name, Kind::Int { min: i64::MIN.into(), max: i64::MAX.into() })
}

pub(super) fn word(name: &str) -> Column {
    column(name, Kind::Text { max: None, padded: false, charset: Charset::Unicode })
}

pub(super) fn table(schema: &str, name: &str, mut columns: Vec<Column>) -> Table {
    columns[0].numbered = true;
    Table {
        name: TableName { schema: schema.into(), name: name.into() },
        columns,
        key: vec![0],
        key_source: KeySource::Generated,
        uniques: vec![],
        foreign_keys: vec![],
        blind_spots: vec![],
        refused: None,
    }
}

pub(super) fn refers(column: &str, schema: &str, parent: &str) -> ForeignKey {
    let references = TableName { schema: schema.into(), name: parent.into() };
    ForeignKey { columns: vec![column.into()], references, referenced: vec!["id".into()], cascades: false }
}

fn catalogs() -> [Vec<Table>; 2] {
    let stamp = |name: &str| column(name, Kind::DateTime { digits: 6 });
    let mut customer = table("public", "customer", vec![int("id"), word("name"), word("email"), int("company_id")]);
    customer.foreign_keys = vec![refers("company_id", "public", "company")];
    let mut contacts = table("", "contacts", vec![int("id"), word("full_name"), word("email_address"), int("account_ref")]);
    contacts.foreign_keys = vec![refers("account_ref", "", "accounts")];
    [
        vec![customer, table("public", "company", vec![int("id"), word("name"), stamp("updated_at")])],
        vec![contacts, table("", "accounts", vec![int("id"), word("title"), stamp("changed_on")])],
    ]
}

fn resolved(text: &str, catalogs: &[Vec<Table>]) -> Result<Resolved> {
    resolve(&read(text)?, catalogs)
}

#[track_caller]
fn unresolved(text: &str, catalogs: &[Vec<Table>], message: &str) {
    assert_eq!(resolved(text, catalogs).unwrap_err().to_string(), format!("twinrow.yaml:{message}"));
}

#[test]
fn links_are_resolved_parents_first() {
    let Resolved { integration, warnings, .. } = resolved(&format!("{HEAD}{LINKS}"), &catalogs()).unwrap();
    let Integration { links, endpoints, home, .. } = &integration;
    assert_eq!((endpoints.as_slice(), *home), (&["shop".to_owned(), "crm".to_owned()][..], 1));
    assert_eq!(links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>(), ["companies", "customers"]);
    let customers = &links[1];
    assert_eq!(customers.collection.source.columns, [1, 2, 3]);
    assert_eq!(customers.collection.target.columns, [1, 2, 3]);
    assert_eq!(customers.fields[2].via, Some(0), "the link's place after sorting");
    assert_eq!(customers.fields[2].name, "company_id -> account_ref");
    assert_eq!(customers.matching[0].field, 1);
    assert_eq!(links[0].newest, Some(1));
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn unknown_tables_and_columns_have_a_suggestion() {
    unresolved(
        &edited("target: contacts", "target: contact"),
        &catalogs(),
        "10:13: endpoint `crm` has no table `contact`, did you mean `contacts`?",
    );
    unresolved(
        &edited("name: full_name", "name: fulname"),
        &catalogs(),
        "13:13: link customers: table `contacts` has no column `fulname`, did you mean `full_name`?",
    );
    let mut twice = catalogs();
    twice[0].push(table("archive", "company", vec![int("id"), word("name")]));
    unresolved(&format!("{HEAD}{LINKS}"), &twice, "17:13: `company` could be `public.company` or `archive.company`");
    let mut view = catalogs();
    view[1][0].refused = Some("it is a view".into());
    unresolved(&format!("{HEAD}{LINKS}"), &view, "10:13: table `contacts` can't be synced: it is a view");
}

#[test]
fn d19_columns_that_never_fit_are_refused_and_those_that_sometimes_do_are_named() {
    let mut never = catalogs();
    never[1][0].columns[1] = Column { native: "blob".into(), ..column("full_name", Kind::Bytes { max: None, padded: false }) };
    unresolved(
        &format!("{HEAD}{LINKS}"),
        &never,
        "13:13: link customers: `name -> full_name` can't be synced to the source: blob and native don't fit, bytes can't become a text",
    );
    let mut narrow = catalogs();
    narrow[1][0].columns[1] = column("full_name", Kind::Text { max: Some(10), padded: false, charset: Charset::Unicode });
    narrow[1][0].columns[2] = column("email_address", Kind::Text { max: Some(10), padded: false, charset: Charset::Unicode });
    let warnings = resolved(&format!("{HEAD}{LINKS}"), &narrow).unwrap().warnings;
    let expected = "link customers: from `public.customer.name` to `contacts.full_name`: texts longer than the column are held";
    assert_eq!(warnings, [expected], "the e-mail says `lossy: fit`");
}

#[test]
fn s4_5_a_key_nobody_assigns_is_refused() {
    let mut given = catalogs();
    given[1][0].key_source = KeySource::Given;
    given[1][0].columns[0].numbered = false;
    unresolved(
        &format!("{HEAD}{LINKS}"),
        &given,
        "8:3: link customers: nobody assigns the key of new rows in `contacts`: map `id`, or say `keys: copy`, or let the engine number them",
    );
    let copied = edited("    target: contacts\n", "    target: contacts\n    keys: copy\n");
    let link = &resolved(&copied.replace("    match: [email]\n", ""), &given).unwrap().integration.links[1];
    assert_eq!(link.keys, Keys::Copy);
    assert_eq!(link.matching.iter().map(|by| link.fields[by.field].name.as_str()).collect::<Vec<_>>(), ["id -> id"], "F20");
    assert!(link.matched_by_key_alone(), "C4");
    assert!(Side::BOTH.into_iter().all(|side| link.matches_whole_key(side)), "no other record can match");
    let by_mail = &resolved(&format!("{HEAD}{LINKS}"), &catalogs()).unwrap().integration.links[1];
    assert!(!Side::BOTH.into_iter().any(|side| by_mail.matches_whole_key(side)), "others may match");
    let folded = MatchField { normal: Normal { fold_case: true, trim: false }, ..link.matching[0] };
    let folded = Link { matching: vec![folded], ..link.clone() };
    assert!(!folded.matches_whole_key(Side::Source), "keys that differ in case match each other");
    // A code that people give proves who it is, if it is named; a number that an engine gives out does not.
    let named = edited("    target: contacts\n", "    target: contacts\n    keys: copy\n");
    let named =
        named.replace("    match: [email]\n", "    match: [id]\n").replacen("    fields:\n", "    fields:\n      id: id\n", 1);
    for (source, proves) in [(KeySource::Generated, false), (KeySource::GeneratedReused, false), (KeySource::Given, true)] {
        let mut given = given.clone();
        given[0][0].key_source = source;
        given[0][0].columns[0].numbered = source != KeySource::Given;
        let resolved = resolved(&named, &given).unwrap();
        assert_eq!(resolved.integration.links[1].matched_by_key_alone(), !proves, "{source:?}");
    }
    let mapped = edited("name: full_name", "name: full_name\n      code: id");
    given[0][0].columns.push(int("code"));
    assert!(resolved(&mapped, &given).is_ok(), "every part of the key is mapped");
}

/// A partitioned table's key: a number, and the region it is parted by.
#[test]
fn c24_of_a_key_in_part_numbered_the_other_parts_are_mapped() {
    let mut parted = catalogs();
    let region = |name: &str| Column { nullable: false, ..int(name) };
    parted[1][0].columns.push(region("region"));
    parted[1][0].key = vec![0, 4];
    let missing = "8:3: link customers: nobody assigns `region`, a part of the key of new rows in `contacts`: \
                   map it, or give it a default, or say `keys: copy`";
    unresolved(&format!("{HEAD}{LINKS}"), &parted, missing);
    parted[0][0].columns.push(int("area"));
    let mapped = edited("name: full_name", "name: full_name\n      area: region");
    assert!(resolved(&mapped, &parted).is_ok());
    unresolved(&mapped.replace("area: region", "area: {to: region, direction: to_source}"), &parted, missing);
    let number = "14:18: link customers: `area -> id` can't be written: `contacts.id` is a key the engine assigns; leave it out, \
                  or say `direction: to_source`";
    unresolved(&edited("name: full_name", "name: full_name\n      area: {to: id}"), &parted, number);
    parted[1][0].columns[4].has_default = true;
    assert!(resolved(&format!("{HEAD}{LINKS}"), &parted).is_ok(), "it gets its default");
    // Where the engine numbers nothing, a default alone is the same for all rows.
    parted[1][0].key_source = KeySource::Given;
    parted[1][0].columns[0].numbered = false;
    let nothing = "8:3: link customers: nobody assigns the key of new rows in `contacts`: map `id` and `region`, or say `keys: copy`, \
                   or let the engine number them";
    unresolved(&format!("{HEAD}{LINKS}"), &parted, nothing);
    assert!(resolved(&edited("name: full_name", "name: full_name\n      area: id"), &parted).is_ok());
}

#[test]
fn s4_7_a_key_the_engine_assigns_is_never_written() {
    unresolved(
        &edited("name: full_name", "id: id"),
        &catalogs(),
        "13:11: link customers: `id -> id` can't be written: `public.customer.id` is a key the engine assigns; leave it out, or say `direction: to_target`",
    );
    let mut computed = catalogs();
    computed[1][0].columns[1].computed = true;
    unresolved(
        &format!("{HEAD}{LINKS}"),
        &computed,
        "13:13: link customers: `name -> full_name` can't be written: `contacts.full_name` is computed by the engine; leave it out, or say `direction: to_source`",
    );
}

#[test]
fn c14_foreign_keys_go_through_the_link_of_the_table_they_refer_to() {
    unresolved(
        &edited("{to: account_ref, via: companies}", "account_ref"),
        &catalogs(),
        "15:19: link customers: `company_id -> account_ref` holds keys of `public.company`, which differ on both sides: add `via: companies`",
    );
    unresolved(
        &edited("via: companies", "via: customers"),
        &catalogs(),
        "15:42: link customers: `public.customer.company_id` refers to `public.company`, but link `customers` is on `public.customer`",
    );
    let mut undeclared = catalogs();
    undeclared[1][0].foreign_keys.clear();
    let warnings = resolved(&format!("{HEAD}{LINKS}"), &undeclared).unwrap().warnings;
    assert_eq!(warnings, ["link customers: `contacts.account_ref` has no foreign key: it is taken for a key of `companies`"]);
}

#[test]
fn c15_a_table_may_refer_to_itself_and_links_to_each_other_where_null_is_taken() {
    let mut own = catalogs();
    own[0][1].columns.push(int("parent_id"));
    own[0][1].foreign_keys.push(refers("parent_id", "public", "company"));
    own[1][1].columns.push(int("parent_ref"));
    own[1][1].foreign_keys.push(refers("parent_ref", "", "accounts"));
    let itself = edited("updated_at: changed_on}", "updated_at: changed_on, parent_id: {to: parent_ref, via: companies}}");
    let links = resolved(&itself, &own).unwrap().integration.links;
    assert_eq!(links[0].fields[2].via, Some(0));
    for (side, parent) in [(0, "customer"), (1, "contacts")] {
        let schema = if side == 0 { "public" } else { "" };
        own[side][1].foreign_keys[0].references = TableName { schema: schema.into(), name: parent.into() };
    }
    let ring = itself.replace("parent_ref, via: companies", "parent_ref, via: customers");
    own.iter_mut().flatten().flat_map(|table| &mut table.columns).for_each(|column| column.nullable = false);
    let why =
        "8:3: the links `customers`, `companies` refer to each other in a ring of `via`, and none of its columns takes NULL";
    unresolved(&ring, &own, why);
    // The companies go first, without their parents.
    for side in &mut own {
        side[1].columns.last_mut().unwrap().nullable = true;
    }
    let links = resolved(&ring, &own).unwrap().integration.links;
    let names: Vec<_> = links.iter().map(|link| (link.name.as_str(), link.fields.iter().find_map(|field| field.via))).collect();
    assert_eq!(names, [("companies", Some(1)), ("customers", Some(0))]);
}

#[test]
fn rule_21_links_form_a_forest() {
    let twice = format!("{HEAD}{LINKS}  again: {{source: company, target: accounts, fields: {{name: title}}}}\n");
    unresolved(&twice, &catalogs(), "26:3: links `companies` and `again` are on the same two tables");
    let star = format!("{HEAD}{LINKS}  star: {{source: company, target: contacts, fields: {{name: full_name}}}}\n");
    assert!(resolved(&star, &catalogs()).is_ok(), "a star is a tree");
    let ring = format!("{star}  ring: {{source: public.customer, target: accounts, fields: {{name: title}}}}\n");
    unresolved(&ring, &catalogs(), "27:3: link `ring` closes a ring of links over the same tables");
}

#[test]
fn two_fields_never_write_one_column() {
    unresolved(
        &edited("name: full_name", "name: full_name\n      nick: full_name"),
        &{
            let mut more = catalogs();
            more[0][0].columns.push(word("nick"));
            more
        },
        "14:13: link customers: two fields write `contacts.full_name`; give `nick -> full_name` a `direction`",
    );
}

#[test]
fn d23_f20_what_will_hold_or_double_rows_is_said() {
    let mut required = catalogs();
    required[1][0].columns.push(Column { nullable: false, ..word("status") });
    let text = edited("    match: [email]\n", "");
    let warnings = resolved(&text, &required).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "link customers: `contacts.status` is NOT NULL without default and not mapped: new rows are held unless a trigger fills it",
            "link customers: no `match`: a record that is on both sides already will be there twice",
        ]
    );
    // What holds the parts together may be NULL: the roots of a tree.
    let parts = edited("match: [email]", "match: [email, name]");
    let warnings = resolved(&parts, &catalogs()).unwrap().warnings;
    let named = |column: &str| {
        format!(
            "link customers: `match` names `public.customer.{column}`, which takes NULL: a record without a value there finds no twin"
        )
    };
    assert!(["email", "name"].iter().all(|column| warnings.contains(&named(column))), "{warnings:?}");
}

#[test]
fn a_field_can_not_travel_against_its_link() {
    let against = edited("    target: contacts\n", "    target: contacts\n    direction: to_source\n");
    unresolved(
        &against,
        &catalogs(),
        "15:19: link customers: field `email -> email_address` travels against the direction of its link",
    );
    let one_way = edited("    target: contacts\n", "    target: contacts\n    direction: to_target\n");
    let links = resolved(&one_way, &catalogs()).unwrap().integration.links;
    assert!(links[1].fields.iter().all(|field| !field.direction.writes(Side::Source)));
}

#[test]
fn the_documented_configuration_resolves() {
    let page = include_str!("../../docs/config.md");
    let text = page.split("```yaml twinrow.yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let resolved = resolved(text, &catalogs()).unwrap();
    assert_eq!(resolved.integration.links.len(), 2);
    assert_eq!(resolved.warnings, Vec::<String>::new());
}

#[test]
fn the_documented_app_is_read() {
    let page = include_str!("../../docs/apps.md");
    let text = page.split("```yaml twinrow.yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let config = read(text).unwrap();
    assert_eq!((config.home, config.endpoints[1].url.expose()), (0, "kinto+https://twinrow:s3cr3t@kinto.example.com/crm"));
}

#[test]
fn an_app_has_a_manifest_and_never_holds_the_state() {
    let app = r#"crm: {url: "kinto+https://u:p@host/crm", manifest: crm.yaml}"#;
    let database = r#"crm: {url: "sqlite:crm.db"}"#;
    let config = read(&edited(database, app)).unwrap();
    assert_eq!(config.home, 0, "the source, which is a database");
    assert_eq!(config.endpoints[1].manifest.as_deref(), Some(Path::new("crm.yaml")));
    refused(
        &edited(database, r#"crm: {url: "kinto+https://u:p@host/crm"}"#),
        "4:14: an app needs `manifest: FILE`, which declares its objects",
    );
    refused(
        &edited(database, r#"crm: {url: "sqlite:crm.db", manifest: crm.yaml}"#),
        "4:41: `manifest` is for apps: a database's tables are in its catalog",
    );
    let state = edited(database, app).replace("target: crm\n", "target: crm\nstate: crm\n");
    refused(&state, "7:8: an app can't hold the state");
}
