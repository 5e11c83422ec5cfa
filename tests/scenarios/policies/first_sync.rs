//! The first time: look, ask, then write.

use crate::scene::{CUSTOMERS, Counts, ORDERS, Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    a_plan_says_once_what_links_have_in_common,
    nothing_is_written_before_approval,
    a_plan_foresees_the_twins_of_parents,
    the_plan_is_what_the_run_does,
    s4_59_existing_records_are_matched_not_doubled,
    one_empty_side_needs_no_approval,
    a_match_ignores_case_and_blanks_where_told,
    a_link_added_later_asks_too,
    a_renamed_link_asks_before_it_doubles,
    a_compare_does_not_go_around_the_question,
    a_field_added_later_reaches_every_record,
    i6_a_field_mapped_later_clears_nothing,
    a_field_taken_out_and_put_back_catches_up,
    a_direction_opened_later_delivers_what_waited,
    a_link_renamed_and_renamed_back_goes_on,
}

scenarios! { postgres_mysql:
    a_link_added_later_asks_too,
    a_field_added_later_reaches_every_record,
    i6_a_field_mapped_later_clears_nothing,
    a_field_taken_out_and_put_back_catches_up,
    a_link_renamed_and_renamed_back_goes_on,
    a_plan_foresees_the_twins_of_parents,
    the_plan_is_what_the_run_does,
    s4_59_existing_records_are_matched_not_doubled,
}

/// Two in common, one of them different; one of each side's own.
async fn both_hold_data(scene: &Scene) {
    scene.customers("").await;
    scene.configure("first_sync: ask", &[("customers", CUSTOMERS)]);
    scene.customer("both@x", "Same").await;
    scene.contact("both@x", "Same").await;
    scene.customer("differ@x", "Shop").await;
    scene.contact("differ@x", "Crm").await;
    scene.customer("shop@x", "Shop").await;
    scene.contact("crm@x", "Crm").await;
}

async fn mails(scene: &Scene) -> [Vec<String>; 2] {
    [
        rows(&scene.source, "select email, name from customer order by email").await,
        rows(&scene.target, "select mail, full_name from contact order by mail").await,
    ]
}

pub async fn nothing_is_written_before_approval(scene: &Scene) {
    both_hold_data(scene).await;
    let before = mails(scene).await;
    let asked = scene.refused(&["run", "--once"], 3).await;
    assert!(asked.err.contains("twinrow run --approve"), "{}", asked.err);
    assert!(asked.out.contains("source only"), "{}", asked.out);
    assert_eq!(mails(scene).await, before);
    scene.refused(&["run", "--once", "--json"], 3).await;
    assert_eq!(mails(scene).await, before);
    scene.program.run(&["approve", "first-sync"]).await.code(0);
    assert_eq!(mails(scene).await, before);
    assert_eq!(scene.sync().await.writes(), 3);
    let both = ["both@x|Same", "crm@x|Crm", "differ@x|Shop", "shop@x|Shop"];
    assert_eq!(mails(scene).await, [both, both]);
    scene.quiet().await;
}

pub async fn the_plan_is_what_the_run_does(scene: &Scene) {
    both_hold_data(scene).await;
    let plan = Counts(scene.ask(&["plan"]).await);
    assert_eq!((plan.of("customers", "created_source"), plan.of("customers", "created_target")), (1, 1));
    assert_eq!((plan.of("customers", "updated_target"), plan.of("customers", "linked")), (1, 2));
    let run = Counts(scene.program.run(&["run", "--once", "--approve", "--json"]).await.code(0).json());
    let of = |counts: &Counts| {
        let mut all = counts.all();
        all.remove("decided");
        all
    };
    assert_eq!(of(&plan), of(&run));
    let plan = Counts(scene.ask(&["plan"]).await);
    assert!(of(&plan).values().all(|n| *n == 0), "{plan:?}");
    scene.quiet().await;
}

/// Three levels, one of which refers to itself, with twins to be found and records to be created on both sides.
pub async fn a_plan_foresees_the_twins_of_parents(scene: &Scene) {
    for (lab, [group, good, price], first) in
        [(&scene.source, ["category", "product", "price"], 1), (&scene.target, ["grp", "good", "cost"], 700)]
    {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        lab.user(&format!(
            "create table {group} (id {key}, code {text} not null unique, up bigint, foreign key (up) references {group} (id))"
        ))
        .await;
        let part = "foreign key (part_of) references";
        lab.user(&format!("create table {good} (id {key}, code {text} not null, part_of bigint not null, {part} {group} (id))"))
            .await;
        lab.user(&format!("create table {price} (id {key}, cents int, part_of bigint not null, {part} {good} (id))")).await;
        let [a, b, c] = [first, first + 1, first + 2];
        let own = if first == 1 { "shop" } else { "crm" };
        for (table, columns, id, row) in [
            (group, "code, up", a, "'both', null".to_owned()),
            (group, "code, up", b, format!("'{own}', {a}")),
            (group, "code, up", c, format!("'{own} below', {b}")),
            // The same code means another thing in another group: only with the group is it the match.
            (good, "code, part_of", a, format!("'x', {a}")),
            (good, "code, part_of", b, format!("'x', {b}")),
            (good, "code, part_of", c, format!("'y', {c}")),
            (price, "cents, part_of", a, format!("5, {a}")),
            (price, "cents, part_of", b, format!("6, {c}")),
        ] {
            // The keys of one record differ. A key given by hand moves no sequence of PostgreSQL's, the source.
            let insert = match first {
                1 => format!("insert into {table} ({columns}) values ({row})"),
                _ => format!("insert into {table} (id, {columns}) values ({id}, {row})"),
            };
            lab.user(&insert).await;
        }
    }
    let links = [
        ("groups", "source: category, target: grp, match: [code], fields: {code: code, up: {to: up, via: groups}}"),
        (
            "goods",
            "source: product, target: good, match: [part_of, code], fields: {code: code, part_of: {to: part_of, via: groups}}",
        ),
        ("prices", "source: price, target: cost, fields: {cents: cents, part_of: {to: part_of, via: goods}}"),
    ];
    let links: Vec<(&str, String)> = links
        .into_iter()
        .map(|(name, link)| {
            (
                name,
                format!(
                    "    {}",
                    link.replace(", target", "\n    target")
                        .replace(", match", "\n    match")
                        .replace(", fields", "\n    fields")
                ),
            )
        })
        .collect();
    let links: Vec<(&str, &str)> = links.iter().map(|(name, link)| (*name, link.as_str())).collect();
    scene.configure("first_sync: ask", &links);
    let plan = Counts(scene.ask(&["plan"]).await);
    let run = Counts(scene.program.run(&["run", "--once", "--approve", "--json"]).await.code(0).json());
    let of = |counts: &Counts| {
        let what = ["created_source", "created_target", "linked", "updated_source", "updated_target", "held", "conflicts"];
        ["groups", "goods", "prices"].map(|link| what.map(|what| counts.of(link, what)))
    };
    assert_eq!(of(&run), [[2, 2, 1, 0, 0, 0, 0], [2, 2, 1, 0, 0, 0, 0], [2, 2, 0, 0, 0, 0, 0]]);
    assert_eq!(of(&plan), of(&run));
    assert_eq!(plan.all()["waiting"], 0, "{plan:?}");
    scene.quiet().await;
}

pub async fn s4_59_existing_records_are_matched_not_doubled(scene: &Scene) {
    both_hold_data(scene).await;
    scene.program.run(&["run", "--once", "--approve"]).await.code(0);
    assert_eq!(mails(scene).await[0].len(), 4);
    assert_eq!(mails(scene).await[1].len(), 4);
    assert_eq!(scene.status("customers", "pairs").await, 4);
    // The loser of the first meeting is kept as well.
    assert_eq!(crate::scene::lost(&scene.conflicts().await[0], "target", "name").as_deref(), Some("Crm"));
    scene.quiet().await;
}

pub async fn ambiguous_matches_are_held_with_their_candidates(scene: &Scene) {
    for lab in [&scene.source, &scene.target] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        lab.user(&format!("create table person (id {key}, email {text}, name {text})")).await;
    }
    let link = "
    source: person
    target: person
    match: [email]
    fields: {email: email, name: name}
";
    scene.link(&[("people", link)]);
    scene.source.user("insert into person (email, name) values ('twice', 's'), ('free', 's')").await;
    scene.target.user("insert into person (id, email, name) values (71, 'twice', 't'), (72, 'twice', 't')").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("people", "created_target"), counts.of("people", "linked")), (1, 0));
    let held = scene.held().await;
    let candidates = |one: &String| ["71; 72", "72; 71"].iter().any(|both| one.ends_with(both));
    let several = |one: &String| one.contains("source 1: held: matches several target records: ") && candidates(one);
    assert!(held.iter().any(several), "{held:?}");
    assert_eq!(rows(&scene.target, "select email from person order by 1").await, ["free", "twice", "twice"]);
    assert_eq!(rows(&scene.source, "select email from person order by 1").await, ["free", "twice"]);
    // A person settles it.
    scene.target.user("update person set email = 'another' where id = 72").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert!(scene.held().await.is_empty(), "{:?}", scene.held().await);
    assert_eq!(rows(&scene.source, "select email from person order by 1").await, ["another", "free", "twice"]);
    scene.quiet().await;
    // And a twin that is taken goes to no second record.
    scene.source.user("insert into person (email, name) values ('free', 'second')").await;
    assert_eq!(scene.sync().await.writes(), 0);
    let held = scene.held().await;
    assert!(held.len() == 1 && held[0].contains("held: matches target record"), "{held:?}");
}

pub async fn one_empty_side_needs_no_approval(scene: &Scene) {
    scene.customers("").await;
    scene.configure("first_sync: ask", &[("customers", CUSTOMERS)]);
    scene.customer("a@x", "Ada").await;
    assert_eq!(scene.sync().await.of("customers", "created_target"), 1);
    scene.quiet().await;
}

/// InitTrackingObjects: true before the first run, which creates them; false after.
pub async fn s4_39_to_41_tracking_is_created_once(scene: &Scene) {
    scene.customers("").await;
    let first = scene.program.run(&["run", "--once"]).await.code(0);
    assert!(first.err.contains("created"), "{}", first.err);
    let objects = [scene.source.catalog().await, scene.target.catalog().await];
    assert!(objects[0].iter().any(|object| object.contains("trigger")), "{objects:?}");
    let second = scene.program.run(&["run", "--once"]).await.code(0);
    assert!(!second.err.contains("created"), "{}", second.err);
    assert_eq!([scene.source.catalog().await, scene.target.catalog().await], objects);
    let settings = scene.ask(&["status"]).await["settings"].clone();
    assert_eq!(settings["init_tracking_objects"], "false");
    // S4-36, S4-62.
    assert!(settings["last_sync_time"].as_str().unwrap().parse::<i64>().unwrap() > 1_600_000_000);
}

pub async fn a_match_ignores_case_and_blanks_where_told(scene: &Scene) {
    scene.customers("").await;
    let link = CUSTOMERS.replace("match: [email]", "match: [{field: email, case: ignore, blanks: trim}]");
    scene.link(&[("customers", &link)]);
    scene.customer("Ada@X ", "Ada").await;
    scene.contact("ada@x", "Ada").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "linked"), counts.of("customers", "created_target")), (1, 0));
    assert_eq!(mails(scene).await[1], ["Ada@X |Ada"]);
    scene.quiet().await;
}

const NAMES: &str = "
    source: customer
    target: contact
    match: [email]
    fields:
      email: mail
      name: full_name
";

/// Every link has a first sync of its own.
pub async fn a_link_added_later_asks_too(scene: &Scene) {
    both_hold_data(scene).await;
    scene.program.run(&["run", "--once", "--approve"]).await.code(0);
    scene.source.user("insert into orders (code, customer_id, cents) select 'o', min(id), 1 from customer").await;
    scene.target.user("insert into deal (ref, contact_no, amount) select 'o', min(contact_no), 2 from contact").await;
    scene.configure("first_sync: ask", &[("customers", CUSTOMERS), ("orders", ORDERS)]);
    scene.refused(&["run", "--once"], 3).await;
    assert_eq!(rows(&scene.target, "select amount from deal").await, ["2"]);
    scene.program.run(&["approve", "first-sync"]).await.code(0);
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select amount from deal").await, ["1"]);
    scene.quiet().await;
}

pub async fn a_renamed_link_asks_before_it_doubles(scene: &Scene) {
    both_hold_data(scene).await;
    let unmatched = CUSTOMERS.replace("    match: [email]\n", "");
    scene.source.user("delete from customer").await;
    scene.target.user("delete from contact").await;
    scene.configure("first_sync: ask", &[("customers", &unmatched)]);
    scene.customer("a@x", "a").await;
    scene.sync().await;
    // Nothing says whose twin is who: refused, whatever a person would approve.
    scene.configure("first_sync: ask", &[("people", &unmatched)]);
    let done = scene.refused(&["run", "--once", "--approve"], 2).await;
    assert!(done.err.contains("call it `customers` again"), "{}", done.err);
    scene.configure("first_sync: ask", &[("people", CUSTOMERS)]);
    let done = scene.refused(&["run", "--once"], 3).await;
    assert!(done.err.contains("approve"), "{}", done.err);
    assert_eq!((rows(&scene.source, "select email from customer").await.len(), contacts(scene).await.len()), (1, 1));
}

pub async fn a_compare_does_not_go_around_the_question(scene: &Scene) {
    both_hold_data(scene).await;
    scene.refused(&["resync", "full"], 3).await;
    assert_eq!(contacts(scene).await, ["both@x|Same", "crm@x|Crm", "differ@x|Crm"]);
}

/// I3: what no log will ever name.
pub async fn a_field_added_later_reaches_every_record(scene: &Scene) {
    scene.customers("").await;
    scene.link(&[("customers", NAMES)]);
    scene.source.user("insert into customer (email, name, phone) values ('a@x', 'a', '1'), ('b@x', 'b', '2')").await;
    scene.sync().await;
    assert_eq!(phones(scene).await, ["NULL", "NULL"]);
    scene.link(&[("customers", CUSTOMERS)]);
    scene.sync().await;
    assert_eq!(phones(scene).await, ["1", "2"]);
    scene.quiet().await;
}

/// A column that one table just got, and that the other one has had for long: what is empty is filled, and what users changed
/// in other fields travels.
pub async fn i6_a_field_mapped_later_clears_nothing(scene: &Scene) {
    scene.customers("").await;
    scene.link(&[("customers", &format!("{NAMES}    safety: mirror\n"))]);
    scene.source.user("insert into customer (email, name) values ('a@x', 'a'), ('b@x', 'b'), ('c@x', 'c')").await;
    scene.sync().await;
    scene.target.user("update contact set telephone = full_name").await;
    scene.sync().await;
    scene.target.user("update contact set full_name = 'their b' where mail = 'b@x'").await;
    scene.source.user("update customer set name = 'our c' where email = 'c@x'").await;
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror\n"))]);
    scene.sync().await;
    let all = ["a@x|a|a", "b@x|their b|b", "c@x|our c|c"];
    assert_eq!(rows(&scene.source, "select email, name, phone from customer order by email").await, all);
    assert_eq!(rows(&scene.target, "select mail, full_name, telephone from contact order by mail").await, all);
    assert!(scene.conflicts().await.is_empty(), "nobody has lost anything");
    // From now on an empty value is somebody's word.
    scene.source.user("update customer set phone = null where email = 'a@x'").await;
    scene.sync().await;
    assert_eq!(phones(scene).await, ["NULL", "b", "c"]);
    scene.quiet().await;
}

pub async fn a_field_taken_out_and_put_back_catches_up(scene: &Scene) {
    scene.customers("").await;
    scene.source.user("insert into customer (email, name, phone) values ('a@x', 'a', '1'), ('b@x', 'b', '2')").await;
    scene.sync().await;
    scene.link(&[("customers", NAMES)]);
    scene.source.user("update customer set phone = '11' where name = 'a'").await;
    scene.target.user("update contact set telephone = '22' where full_name = 'b'").await;
    scene.sync().await;
    scene.link(&[("customers", CUSTOMERS)]);
    scene.sync().await;
    assert_eq!(phones(scene).await, ["11", "22"]);
    assert_eq!(rows(&scene.source, "select phone from customer order by email").await, ["11", "22"]);
    scene.quiet().await;
}

pub async fn a_direction_opened_later_delivers_what_waited(scene: &Scene) {
    scene.customers("    direction: to_target").await;
    scene.source.user("insert into customer (email, name, phone) values ('a@x', 'a', '1')").await;
    scene.sync().await;
    scene.target.user("update contact set telephone = '5'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.source, "select phone from customer").await, ["1"]);
    scene.link(&[("customers", CUSTOMERS)]);
    scene.sync().await;
    assert_eq!(rows(&scene.source, "select phone from customer").await, ["5"]);
    scene.quiet().await;
}

/// Its log was not kept for it meanwhile: it takes up from now, and compares.
pub async fn a_link_renamed_and_renamed_back_goes_on(scene: &Scene) {
    scene.customers("").await;
    scene.customer("a@x", "a").await;
    scene.sync().await;
    scene.link(&[("people", CUSTOMERS)]);
    scene.sync().await;
    scene.source.user("update customer set name = 'while away'").await;
    scene.customer("b@x", "b").await;
    for n in 0..3 {
        scene.source.user(&format!("update customer set phone = '{n}'")).await;
        scene.sync().await;
    }
    scene.link(&[("customers", CUSTOMERS)]);
    scene.customer("c@x", "c").await;
    scene.sync().await;
    scene.sync().await;
    assert_eq!(contacts(scene).await, ["a@x|while away", "b@x|b", "c@x|c"]);
    scene.quiet().await;
}

async fn phones(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select telephone from contact order by mail").await
}

async fn contacts(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select mail, full_name from contact order by mail").await
}

pub async fn a_plan_says_once_what_links_have_in_common(scene: &Scene) {
    scene.business("", "").await;
    let plan = scene.program.run(&["plan"]).await.code(0).out;
    assert!(plan.contains("customers, orders: what is done in each situation"), "{plan}");
    assert_eq!(plan.matches("what is done in each situation").count(), 1, "{plan}");
    scene.link(&[("customers", CUSTOMERS), ("orders", &format!("{ORDERS}    safety: mirror\n"))]);
    let plan = scene.program.run(&["plan"]).await.code(0).out;
    assert_eq!(plan.matches("what is done in each situation").count(), 2, "{plan}");
}
