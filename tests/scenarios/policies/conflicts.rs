//! Both sides changed.

use serde_json::Value;

use crate::scene::{CUSTOMERS, Scene, lost, rows, scenarios};

scenarios! { sqlite_sqlite:
    s4_12_a_change_in_the_target_only_reaches_the_source,
    s4_13_the_source_wins_and_the_loser_is_kept,
    conflict_target_lets_the_target_win,
    conflict_merge_joins_field_by_field,
    conflict_hold_waits_for_a_person,
    conflict_hold_ends_with_the_policy_or_the_record,
    conflict_hold_shows_both_of_a_first_match,
    i10_a_held_conflict_keeps_no_values_where_none_are_kept,
    i4_a_conflict_that_a_protected_blank_wins_is_listed_once,
    both_changed_to_the_same_is_no_conflict,
    s0_2_blanks_are_kept_under_protect,
    s0_3_an_empty_winner_does_not_blank,
    blanks_propagate_under_mirror,
    i4_each_side_may_lose_a_field,
}

scenarios! { postgres_postgres:
    s4_12_a_change_in_the_target_only_reaches_the_source,
    s4_13_the_source_wins_and_the_loser_is_kept,
    conflict_merge_joins_field_by_field,
    conflict_hold_waits_for_a_person,
    i4_a_conflict_that_a_protected_blank_wins_is_listed_once,
    i4_each_side_may_lose_a_field,
}

scenarios! { postgres_mysql:
    conflict_hold_waits_for_a_person,
    i4_a_conflict_that_a_protected_blank_wins_is_listed_once,
}

scenarios! { mariadb_postgres:
    conflict_hold_waits_for_a_person,
    i4_a_conflict_that_a_protected_blank_wins_is_listed_once,
}

scenarios! { postgres_mariadb:
    conflict_hold_ends_with_the_policy_or_the_record,
}

async fn ada(scene: &Scene, policy: &str) {
    scene.customers(policy).await;
    scene.source.user("insert into customer (email, name, phone) values ('a@x', 'Ada', '1')").await;
    scene.sync().await;
}

async fn both(scene: &Scene) -> [String; 2] {
    let source = rows(&scene.source, "select name, phone from customer where email = 'a@x'").await;
    let target = rows(&scene.target, "select full_name, telephone from contact where mail = 'a@x'").await;
    [source.join("\n"), target.join("\n")]
}

async fn source(scene: &Scene, set: &str) {
    scene.source.user(&format!("update customer set {set} where email = 'a@x'")).await;
}

async fn target(scene: &Scene, set: &str) {
    scene.target.user(&format!("update contact set {set} where mail = 'a@x'")).await;
}

pub async fn s4_12_a_change_in_the_target_only_reaches_the_source(scene: &Scene) {
    ada(scene, "").await;
    target(scene, "full_name = 'Ada L'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "updated_source"), counts.writes()), (1, 1));
    assert_eq!(both(scene).await, ["Ada L|1", "Ada L|1"]);
    scene.quiet().await;
}

pub async fn s4_13_the_source_wins_and_the_loser_is_kept(scene: &Scene) {
    ada(scene, "").await;
    source(scene, "name = 'from shop'").await;
    target(scene, "full_name = 'from crm'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "updated_target"), counts.of("customers", "conflicts"), counts.writes()), (1, 1, 1));
    assert_eq!(both(scene).await, ["from shop|1", "from shop|1"]);
    let conflicts = scene.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!((&conflicts[0]["loser"], &conflicts[0]["kept"]), (&"target".into(), &true.into()));
    assert_eq!(lost(&conflicts[0], "target", "name").as_deref(), Some("from crm"));
    assert_eq!(lost(&conflicts[0], "source", "name").as_deref(), Some("from shop"));
    scene.quiet().await;
}

/// The phone number comes from the CRM only, the name goes both ways: both are changed on both sides. What the shop loses
/// is kept with the write to the shop, though the CRM refuses its part.
pub async fn i4_each_side_may_lose_a_field(scene: &Scene) {
    scene.customers("").await;
    let fields = "    fields:\n      email: mail\n      name: full_name\n      phone: {to: telephone, direction: to_source}";
    scene.link(&[("customers", &format!("    source: customer\n    target: contact\n    match: [email]\n{fields}"))]);
    scene.source.user("insert into customer (email, name) values ('a@x', 'Ada')").await;
    scene.sync().await;
    match scene.target.url().starts_with("postgres") {
        true => scene.target.user("alter table contact add check (full_name <> 'Forbidden')").await,
        false => {
            let refuse = "select raise(abort, 'no') where new.full_name = 'Forbidden'";
            scene.target.user(&format!("create trigger forbid before update on contact begin {refuse}; end")).await;
        }
    }
    source(scene, "name = 'Forbidden', phone = 'PRECIOUS'").await;
    target(scene, "full_name = 'Theirs', telephone = '2'").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["Forbidden|2", "Theirs|2"]);
    let conflicts = scene.conflicts().await;
    let kept: Vec<_> = conflicts.iter().filter(|conflict| conflict["kept"] == true).collect();
    assert_eq!((kept.len(), &kept[0]["loser"]), (1, &"source".into()), "{conflicts:?}");
    assert_eq!(lost(kept[0], "source", "phone").as_deref(), Some("PRECIOUS"));
    // What was refused goes through one day, and the CRM loses its name.
    source(scene, "name = 'Allowed'").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["Allowed|2", "Allowed|2"]);
    let conflicts = scene.conflicts().await;
    let theirs = conflicts.iter().find(|conflict| conflict["loser"] == "target").expect("kept");
    assert_eq!(lost(theirs, "target", "name").as_deref(), Some("Theirs"));
}

pub async fn conflict_target_lets_the_target_win(scene: &Scene) {
    ada(scene, "    conflict: target").await;
    source(scene, "name = 'from shop'").await;
    target(scene, "full_name = 'from crm'").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["from crm|1", "from crm|1"]);
    assert_eq!(lost(&scene.conflicts().await[0], "source", "name").as_deref(), Some("from shop"));
    scene.quiet().await;
}

pub async fn conflict_merge_joins_field_by_field(scene: &Scene) {
    ada(scene, "    conflict: merge").await;
    source(scene, "name = 'from shop'").await;
    target(scene, "telephone = '2'").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["from shop|2", "from shop|2"]);
    assert!(scene.conflicts().await.is_empty(), "nobody lost");
    // A field both changed: the source's, and the target's is kept.
    source(scene, "name = 'shop again'").await;
    target(scene, "full_name = 'crm again', telephone = '3'").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["shop again|3", "shop again|3"]);
    assert_eq!(lost(&scene.conflicts().await[0], "target", "name").as_deref(), Some("crm again"));
    scene.quiet().await;
}

/// A type for a moment: another one on each side, where an engine has two.
fn moment(scene: &Scene, source: bool) -> &'static str {
    let lab = if source { &scene.source } else { &scene.target };
    match (lab.dialect().statements, source) {
        ("sql/postgres", true) => "timestamp",
        ("sql/postgres", false) => "timestamp(3)",
        (_, true) => "datetime",
        ("sql/mysql", false) => "datetime(6)",
        _ => "timestamp",
    }
}

/// No time, or the same on both sides: the source wins.
pub async fn conflict_newest_takes_the_later_row(scene: &Scene) {
    for (lab, is_source) in [(&scene.source, true), (&scene.target, false)] {
        let (key, text, at) = (lab.dialect().generated_key, lab.dialect().text, moment(scene, is_source));
        lab.user(&format!("create table person (id {key}, email {text} unique, name {text}, at {at} null)")).await;
    }
    let link = "
    source: person
    target: person
    match: [email]
    conflict: newest
    newest: {source: at, target: at}
    fields: {email: email, name: name, at: at}
";
    scene.link(&[("people", link)]);
    let cases = [
        ("crm", "'2024-02-01 00:00:00'", "'2024-03-01 00:00:00'"),
        ("shop", "'2024-03-01 00:00:00'", "'2024-02-01 00:00:00'"),
        ("tie shop", "'2024-03-01 00:00:00'", "'2024-03-01 00:00:00'"),
        ("null shop", "null", "'2024-03-01 00:00:00'"),
    ];
    for (email, ..) in cases {
        let old = format!("insert into person (email, name, at) values ('{email}', 'old', '2024-01-01 00:00:00')");
        scene.source.user(&old).await;
    }
    scene.sync().await;
    for (email, source, target) in cases {
        let set = |name: &str, at: &str| format!("update person set name = '{name}', at = {at} where email = '{email}'");
        scene.source.user(&set("shop", source)).await;
        scene.target.user(&set("crm", target)).await;
    }
    scene.sync().await;
    let wanted = ["crm|crm", "null shop|shop", "shop|shop", "tie shop|shop"];
    assert_eq!(rows(&scene.source, "select email, name from person order by 1").await, wanted);
    assert_eq!(rows(&scene.target, "select email, name from person order by 1").await, wanted);
    assert_eq!(scene.conflicts().await.len(), 4);
    scene.quiet().await;
}

pub async fn conflict_hold_waits_for_a_person(scene: &Scene) {
    ada(scene, "    conflict: hold").await;
    source(scene, "name = 'from shop'").await;
    target(scene, "full_name = 'from crm'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(both(scene).await, ["from shop|1", "from crm|1"]);
    let held = scene.held().await;
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].contains("both sides changed"), "{held:?}");
    let undecided = scene.conflicts().await;
    assert_eq!(undecided.len(), 1);
    assert_eq!((&undecided[0]["state"], &undecided[0]["loser"]), (&"undecided".into(), &Value::Null));
    let values = |one: &Value| [lost(one, "source", "name").unwrap(), lost(one, "target", "name").unwrap()];
    assert_eq!(values(&undecided[0]), ["from shop", "from crm"]);
    // Under either of its names.
    let target_key = rows(&scene.target, "select contact_no from contact").await.remove(0);
    target(scene, "full_name = 'crm again'").await;
    scene.sync().await;
    for (side, key) in [("source", undecided[0]["source"].as_str().unwrap()), ("target", &target_key)] {
        let shown = scene.ask(&["held", "show", "customers", side, key]).await;
        assert_eq!(values(&shown), ["from shop", "crm again"], "as it was last looked at: {shown}");
        let text = scene.program.run(&["held", "show", "customers", side, key]).await.code(0).out;
        assert!(text.contains("undecided") && text.contains("crm again"), "{text}");
    }
    assert_eq!(scene.conflicts().await.len(), 1, "one record, one conflict");
    // A person makes them equal.
    target(scene, "full_name = 'from shop'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert!(scene.held().await.is_empty());
    assert!(scene.conflicts().await.is_empty(), "decided: nothing of it is kept");
    scene.quiet().await;
}

pub async fn conflict_hold_ends_with_the_policy_or_the_record(scene: &Scene) {
    let both_change = async || {
        source(scene, "name = 'from shop'").await;
        target(scene, "full_name = 'from crm'").await;
        scene.sync().await;
        assert_eq!(scene.conflicts().await[0]["state"], "undecided");
    };
    ada(scene, "    conflict: hold").await;
    both_change().await;
    let policy = |policy: &str| scene.link(&[("customers", &format!("{CUSTOMERS}    conflict: {policy}"))]);
    policy("target");
    scene.sync().await;
    assert_eq!(both(scene).await, ["from crm|1", "from crm|1"]);
    let conflicts = scene.conflicts().await;
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert_eq!((&conflicts[0]["state"], lost(&conflicts[0], "source", "name").as_deref()), (&"kept".into(), Some("from shop")));
    scene.quiet().await;
    policy("hold");
    scene.source.user("insert into customer (email, name, phone) values ('b@x', 'Bob', '2')").await;
    scene.sync().await;
    scene.source.user("update customer set name = 'Bobby' where email = 'b@x'").await;
    scene.target.user("update contact set full_name = 'Robert' where mail = 'b@x'").await;
    scene.sync().await;
    assert_eq!(scene.conflicts().await.len(), 2);
    scene.target.user("delete from contact where mail = 'b@x'").await;
    scene.sync().await;
    assert_eq!(scene.conflicts().await.len(), 1, "there is nothing to decide any more");
    scene.quiet().await;
}

/// Without values it is listed all the same.
pub async fn i10_a_held_conflict_keeps_no_values_where_none_are_kept(scene: &Scene) {
    ada(scene, "    conflict: hold").await;
    scene.configure("first_sync: auto\nkeep_values: false", &[("customers", &format!("{CUSTOMERS}    conflict: hold"))]);
    source(scene, "name = 'from shop'").await;
    target(scene, "full_name = 'from crm'").await;
    scene.sync().await;
    let shown = scene.conflicts().await;
    assert_eq!((shown.len(), &shown[0]["state"]), (1, &"undecided".into()));
    assert_eq!([lost(&shown[0], "source", "name"), lost(&shown[0], "target", "name")], [None, None]);
}

/// The first two that match may differ too.
pub async fn conflict_hold_shows_both_of_a_first_match(scene: &Scene) {
    scene.customers("    conflict: hold").await;
    scene.source.user("insert into customer (email, name, phone) values ('a@x', 'from shop', '1')").await;
    scene.target.user("insert into contact (mail, full_name, telephone) values ('a@x', 'from crm', '1')").await;
    scene.sync().await;
    let shown = scene.conflicts().await;
    assert_eq!((shown.len(), &shown[0]["state"]), (1, &"undecided".into()));
    assert_eq!(lost(&shown[0], "target", "name").as_deref(), Some("from crm"));
    target(scene, "full_name = 'from shop'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert!(scene.conflicts().await.is_empty());
    scene.quiet().await;
}

/// Neither side is overwritten, but both changed: once, it is said.
pub async fn i4_a_conflict_that_a_protected_blank_wins_is_listed_once(scene: &Scene) {
    ada(scene, "").await;
    source(scene, "phone = null").await;
    target(scene, "telephone = '2'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.writes(), counts.of("customers", "conflicts")), (0, 1));
    assert_eq!(both(scene).await, ["Ada|NULL", "Ada|2"]);
    let listed = async || {
        let conflicts = scene.conflicts().await;
        assert_eq!((&conflicts[0]["state"], &conflicts[0]["loser"]), (&"kept".into(), &Value::Null));
        assert_eq!(
            [lost(&conflicts[0], "source", "phone"), lost(&conflicts[0], "target", "phone")],
            [None, Some("2".to_owned())]
        );
        conflicts.len()
    };
    assert_eq!((listed().await, scene.status("customers", "conflicts").await), (1, 1));
    scene.program.run(&["resync", "full"]).await.code(0);
    scene.quiet().await;
    assert_eq!(listed().await, 1, "once");
    // With another field on its way, nobody loses either.
    source(scene, "name = 'Ada L', phone = ''").await;
    target(scene, "telephone = '3'").await;
    assert_eq!(scene.sync().await.writes(), 1);
    assert_eq!(both(scene).await, ["Ada L|", "Ada L|3"]);
    assert_eq!(scene.conflicts().await.len(), 2);
    scene.quiet().await;
}

pub async fn both_changed_to_the_same_is_no_conflict(scene: &Scene) {
    ada(scene, "").await;
    source(scene, "name = 'Ada L'").await;
    target(scene, "full_name = 'Ada L'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.writes(), counts.of("customers", "agreed")), (0, 1));
    scene.quiet().await;
}

pub async fn s0_2_blanks_are_kept_under_protect(scene: &Scene) {
    ada(scene, "").await;
    source(scene, "phone = null").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(both(scene).await, ["Ada|NULL", "Ada|1"]);
    assert_eq!(scene.status("customers", "diverged").await, 1);
    scene.quiet().await;
    // The next value travels again, and the protected one never flows back.
    source(scene, "name = 'Ada L'").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["Ada L|NULL", "Ada L|1"]);
    source(scene, "phone = '9'").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["Ada L|9", "Ada L|9"]);
    scene.quiet().await;
}

pub async fn s0_3_an_empty_winner_does_not_blank(scene: &Scene) {
    ada(scene, "").await;
    source(scene, "phone = '', name = 'from shop'").await;
    target(scene, "telephone = '2', full_name = 'from crm'").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["from shop|", "from shop|2"]);
    scene.quiet().await;
}

pub async fn blanks_propagate_under_mirror(scene: &Scene) {
    ada(scene, "    safety: mirror").await;
    source(scene, "phone = null").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["Ada|NULL", "Ada|NULL"]);
    target(scene, "full_name = null").await;
    scene.sync().await;
    assert_eq!(both(scene).await, ["NULL|NULL", "NULL|NULL"]);
    scene.quiet().await;
}
