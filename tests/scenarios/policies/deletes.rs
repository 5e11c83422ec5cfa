//! What a delete does, by policy.

use crate::scene::{CUSTOMERS, Scene, lost, rows, scenarios};

scenarios! { sqlite_sqlite:
    s0_1_s2_24_protect_never_sends_a_delete,
    s2_22_and_23_a_survivor_is_shown_and_not_synced,
    mirror_deletes_both_ways,
    mirror_deletes_children_before_parents,
    recreate_brings_a_deleted_record_back,
    a_changed_survivor_is_kept_as_a_conflict_before_it_is_deleted,
    a_change_in_the_source_undoes_a_delete_in_the_target,
    i4_where_the_target_wins_so_does_its_change_or_its_delete,
    i4_a_delete_and_a_change_are_shown_to_a_person_under_hold,
    rule12_what_was_deleted_in_a_copy_comes_back_when_its_owner_changes_it,
    s0_7_both_deleted_while_stopped_ends_the_pair,
}

scenarios! { mariadb_postgres:
    i4_where_the_target_wins_so_does_its_change_or_its_delete,
    i4_a_delete_and_a_change_are_shown_to_a_person_under_hold,
    rule12_what_was_deleted_in_a_copy_comes_back_when_its_owner_changes_it,
}

scenarios! { postgres_sqlite:
    s2_22_and_23_a_survivor_is_shown_and_not_synced,
    mirror_deletes_children_before_parents,
    recreate_brings_a_deleted_record_back,
}

async fn two(scene: &Scene, policy: &str) {
    scene.customers(policy).await;
    scene.customer("a@x", "Ada").await;
    scene.contact("b@x", "Ben").await;
    assert_eq!(scene.sync().await.writes(), 2);
}

/// Also S2-24.
pub async fn s0_1_s2_24_protect_never_sends_a_delete(scene: &Scene) {
    two(scene, "").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.target.user("delete from contact where mail = 'b@x'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(rows(&scene.source, "select email from customer").await, ["b@x"]);
    assert_eq!(rows(&scene.target, "select mail from contact").await, ["a@x"]);
    scene.quiet().await;
}

/// Also S2-23.
pub async fn s2_22_and_23_a_survivor_is_shown_and_not_synced(scene: &Scene) {
    two(scene, "").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.sync().await;
    assert_eq!(scene.status("customers", "source_gone").await, 1);
    scene.target.user("update contact set full_name = 'Ada L' where mail = 'a@x'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(rows(&scene.source, "select email from customer").await, ["b@x"]);
    assert_eq!(scene.status("customers", "source_gone").await, 1);
    scene.quiet().await;
}

pub async fn mirror_deletes_both_ways(scene: &Scene) {
    two(scene, "    safety: mirror").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.target.user("delete from contact where mail = 'b@x'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "deleted_source"), counts.of("customers", "deleted_target")), (1, 1));
    assert!(rows(&scene.source, "select email from customer").await.is_empty());
    assert!(rows(&scene.target, "select mail from contact").await.is_empty());
    assert_eq!(scene.status("customers", "pairs").await, 0);
    scene.quiet().await;
}

pub async fn mirror_deletes_children_before_parents(scene: &Scene) {
    scene.business("    safety: mirror", "    safety: mirror").await;
    scene.customer("a@x", "Ada").await;
    scene.source.user("insert into orders (code, customer_id, cents) select 'o1', id, 5 from customer").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select ref, mail from deal join contact using (contact_no)").await, ["o1|a@x"]);
    scene.source.user("delete from orders").await;
    scene.source.user("delete from customer").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select count(*) from deal").await, ["0"]);
    assert_eq!(rows(&scene.target, "select count(*) from contact").await, ["0"]);
    scene.quiet().await;
}

pub async fn recreate_brings_a_deleted_record_back(scene: &Scene) {
    two(scene, "    deletes: recreate").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.target.user("delete from contact where mail = 'b@x'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.source, "select email, name from customer order by 1").await, ["a@x|Ada", "b@x|Ben"]);
    assert_eq!(rows(&scene.target, "select mail, full_name from contact order by 1").await, ["a@x|Ada", "b@x|Ben"]);
    scene.quiet().await;
    scene.source.user("update customer set name = 'Ada L' where email = 'a@x'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select full_name from contact where mail = 'a@x'").await, ["Ada L"]);
    scene.quiet().await;
}

pub async fn a_changed_survivor_is_kept_as_a_conflict_before_it_is_deleted(scene: &Scene) {
    two(scene, "    safety: mirror").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.target.user("update contact set telephone = '555' where mail = 'a@x'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "deleted_target"), counts.of("customers", "conflicts")), (1, 1));
    let conflicts = scene.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(lost(&conflicts[0], "target", "phone").as_deref(), Some("555"));
    scene.quiet().await;
}

pub async fn a_change_in_the_source_undoes_a_delete_in_the_target(scene: &Scene) {
    two(scene, "    safety: mirror").await;
    scene.target.user("delete from contact where mail = 'a@x'").await;
    scene.source.user("update customer set name = 'Ada L' where email = 'a@x'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.source, "select email, name from customer order by 1").await, ["a@x|Ada L", "b@x|Ben"]);
    assert_eq!(rows(&scene.target, "select mail, full_name from contact order by 1").await, ["a@x|Ada L", "b@x|Ben"]);
    scene.quiet().await;
}

pub async fn i4_where_the_target_wins_so_does_its_change_or_its_delete(scene: &Scene) {
    two(scene, "    safety: mirror\n    conflict: target").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.target.user("update contact set full_name = 'Ada L' where mail = 'a@x'").await;
    scene.target.user("delete from contact where mail = 'b@x'").await;
    scene.source.user("update customer set name = 'Benny' where email = 'b@x'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "created_source"), counts.of("customers", "deleted_source"), counts.writes()), (1, 1, 2));
    assert_eq!(rows(&scene.source, "select email, name from customer").await, ["a@x|Ada L"]);
    assert_eq!(rows(&scene.target, "select mail, full_name from contact").await, ["a@x|Ada L"]);
    let conflicts = scene.conflicts().await;
    assert_eq!((conflicts.len(), &conflicts[0]["loser"]), (1, &"source".into()));
    assert_eq!(lost(&conflicts[0], "source", "name").as_deref(), Some("Benny"));
    scene.quiet().await;
}

pub async fn i4_a_delete_and_a_change_are_shown_to_a_person_under_hold(scene: &Scene) {
    let policy = |conflict: &str| format!("    safety: mirror\n    conflict: {conflict}");
    two(scene, &policy("hold")).await;
    let gone = rows(&scene.source, "select id from customer where email = 'a@x'").await.remove(0);
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.target.user("update contact set full_name = 'Ada L' where mail = 'a@x'").await;
    scene.target.user("delete from contact where mail = 'b@x'").await;
    scene.source.user("update customer set name = 'Benny' where email = 'b@x'").await;
    let standing = async || {
        assert_eq!(rows(&scene.source, "select email, name from customer").await, ["b@x|Benny"]);
        rows(&scene.target, "select mail, full_name from contact").await.join(" ")
    };
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(standing().await, "a@x|Ada L");
    let held = scene.held().await;
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(held.iter().all(|one| one.contains("deleted in the") && one.contains("for a person")), "{held:?}");
    assert_eq!(scene.conflicts().await.iter().filter(|one| one["state"] == "undecided").count(), 2);
    // It is looked at again when it changes, and shown as it is now.
    scene.target.user("update contact set full_name = 'Ada M' where mail = 'a@x'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(standing().await, "a@x|Ada M");
    let shown = scene.ask(&["held", "show", "customers", "source", &gone]).await;
    assert_eq!(lost(&shown, "target", "name").as_deref(), Some("Ada M"), "{shown}");
    // A person decides about one, and a policy about the other.
    scene.target.user("delete from contact where mail = 'a@x'").await;
    scene.sync().await;
    assert_eq!((scene.held().await.len(), scene.conflicts().await.len()), (1, 1));
    scene.link(&[("customers", &format!("{CUSTOMERS}{}", policy("source")))]);
    scene.sync().await;
    assert_eq!(standing().await, "b@x|Benny", "made again");
    assert_eq!((scene.held().await.len(), scene.conflicts().await.len()), (0, 0));
    scene.quiet().await;
}

pub async fn rule12_what_was_deleted_in_a_copy_comes_back_when_its_owner_changes_it(scene: &Scene) {
    scene.customers("    safety: mirror\n    direction: to_target").await;
    scene.customer("a@x", "Ada").await;
    scene.customer("b@x", "Ben").await;
    scene.sync().await;
    scene.target.user("delete from contact").await;
    assert_eq!(scene.sync().await.writes(), 0, "a delete does not travel against the direction");
    assert_eq!(scene.status("customers", "target_gone").await, 2);
    scene.quiet().await;
    scene.source.user("update customer set name = 'Ada L' where email = 'a@x'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select mail, full_name from contact").await, ["a@x|Ada L"]);
    assert_eq!(scene.status("customers", "target_gone").await, 1);
    scene.quiet().await;
}

/// S0-13: gone on both sides, it comes back on neither.
pub async fn s0_7_both_deleted_while_stopped_ends_the_pair(scene: &Scene) {
    two(scene, "").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.target.user("delete from contact where mail = 'a@x'").await;
    assert_eq!(scene.sync().await.writes(), 0);
    assert_eq!(scene.status("customers", "pairs").await, 1);
    let counts = scene.program.run(&["resync", "full", "--json"]).await.code(0).json();
    assert_eq!(crate::scene::Counts(counts).writes(), 0);
    assert_eq!(rows(&scene.source, "select email from customer").await, ["b@x"]);
    scene.quiet().await;
}
