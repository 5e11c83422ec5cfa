//! A delete that travels takes along only what was decided (rule 18).

use crate::scene::{CUSTOMERS, ORDERS, Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    rule18_rows_of_a_table_in_no_link_stay_and_so_does_their_parent,
    rule18_a_child_nobody_knew_of_stays_with_its_parent,
    rule18_a_tree_goes_whole_or_stays,
    rule15_what_was_approved_waits_for_a_cascade_without_being_asked_again,
    set_null_is_the_applications_own_answer,
    a13_who_leaves_a_parent_that_is_deleted_keeps_the_new_one,
}

scenarios! { postgres_mysql:
    a13_who_leaves_a_parent_that_is_deleted_keeps_the_new_one,
    rule18_rows_of_a_table_in_no_link_stay_and_so_does_their_parent,
    rule18_a_child_nobody_knew_of_stays_with_its_parent,
    rule18_a_tree_goes_whole_or_stays,
    rule15_what_was_approved_waits_for_a_cascade_without_being_asked_again,
    set_null_is_the_applications_own_answer,
}

scenarios! { mariadb_postgres: i5_a_parent_goes_while_its_child_has_another_name }

scenarios! { mysql_mariadb:
    a13_whom_our_own_delete_has_cut_off_goes_too,
    i5_a_parent_goes_while_its_child_has_another_name,
    rule18_rows_of_a_table_in_no_link_stay_and_so_does_their_parent,
    rule18_a_child_nobody_knew_of_stays_with_its_parent,
    rule18_a_tree_goes_whole_or_stays,
    rule15_what_was_approved_waits_for_a_cascade_without_being_asked_again,
}

scenarios! { sqlite_postgres:
    rule18_rows_of_a_table_in_no_link_stay_and_so_does_their_parent,
    rule18_a_child_nobody_knew_of_stays_with_its_parent,
    rule18_a_tree_goes_whole_or_stays,
    rule15_what_was_approved_waits_for_a_cascade_without_being_asked_again,
    set_null_is_the_applications_own_answer,
}

/// Two customers, and notes on them in the CRM, a table that is in no link.
async fn notes(scene: &Scene, on_delete: &str) {
    notes_under(scene, "    safety: mirror", on_delete).await;
}

async fn notes_under(scene: &Scene, policy: &str, on_delete: &str) {
    scene.customers(policy).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    let reference = format!("foreign key (contact_no) references contact (contact_no) on delete {on_delete}");
    scene.target.user(&format!("create table note (id {key}, contact_no bigint, body {text}, {reference})")).await;
    scene.customer("a@x", "Ada").await;
    scene.customer("b@x", "Ben").await;
    scene.sync().await;
    scene.target.user("insert into note (contact_no, body) select contact_no, 'precious' from contact where mail = 'a@x'").await;
}

pub async fn rule18_rows_of_a_table_in_no_link_stay_and_so_does_their_parent(scene: &Scene) {
    notes(scene, "cascade").await;
    scene.source.user("delete from customer").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select mail from contact").await, ["a@x"]);
    assert_eq!(rows(&scene.target, "select body from note").await, ["precious"]);
    let held = scene.held().await;
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].contains("rows of") && held[0].contains("note (on delete cascade)"), "{held:?}");
    scene.quiet().await;
    // Once the note is gone, nothing stands in the way.
    scene.target.user("delete from note").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert!(rows(&scene.target, "select mail from contact").await.is_empty());
    assert!(scene.held().await.is_empty());
    scene.quiet().await;
}

/// Also for a brake that holds others meanwhile.
pub async fn rule15_what_was_approved_waits_for_a_cascade_without_being_asked_again(scene: &Scene) {
    let brakes = || async { scene.ask(&["status"]).await["links"][0]["brakes"].clone() };
    let left = || rows(&scene.target, "select mail from contact order by 1");
    notes_under(scene, "    safety: mirror\n    brake: {deletes: {count: 1, percent: 1}}", "cascade").await;
    scene.customer("c@x", "Cleo").await;
    scene.customer("d@x", "Dan").await;
    scene.sync().await;
    scene.target.user("insert into note (contact_no, body) select contact_no, 'dear' from contact where mail = 'b@x'").await;
    scene.source.user("delete from customer where email in ('a@x', 'b@x')").await;
    scene.sync().await;
    assert_eq!(brakes().await.as_array().unwrap().len(), 1);
    scene.program.run(&["approve", "customers"]).await.code(0);
    for _ in 0..4 {
        assert_eq!(scene.sync().await.of("customers", "braked"), 0);
        scene.program.run(&["held", "retry"]).await.code(0);
    }
    assert_eq!(brakes().await, serde_json::json!([]));
    assert_eq!(left().await, ["a@x", "b@x", "c@x", "d@x"]);
    assert!(scene.held().await.iter().all(|one| one.contains("note (on delete cascade)")), "{:?}", scene.held().await);
    // Others are lost, which nobody has approved, and one of the approved is changed.
    scene.source.user("delete from customer where email in ('c@x', 'd@x')").await;
    scene.target.user("update contact set telephone = '7' where mail = 'b@x'").await;
    scene.target.user("delete from note").await;
    for _ in 0..2 {
        scene.program.run(&["held", "retry"]).await.code(0);
        scene.sync().await;
        assert_eq!(left().await, ["b@x", "c@x", "d@x"], "only what was approved, as it was approved");
    }
    let held = brakes().await;
    assert!(held[0].as_str().unwrap().starts_with("3 records gone"), "{held}");
    scene.program.run(&["approve", "customers"]).await.code(0);
    scene.sync().await;
    assert_eq!(left().await, [""; 0]);
    assert_eq!((scene.held().await, brakes().await), (vec![], serde_json::json!([])));
    scene.quiet().await;
}

/// The trigger on the parent can't read which rows go along, and says so: the child is compared once it is back.
pub async fn i5_a_parent_goes_while_its_child_has_another_name(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    let columns = format!("id {key}, email {text} not null unique, name {text}, phone {text}");
    scene.source.user(&format!("create table customer ({columns})")).await;
    let reference =
        "customer_id bigint not null, cents bigint, foreign key (customer_id) references customer (id) on delete cascade";
    scene.source.user(&format!("create table orders (id {key}, code {text} not null unique, {reference})")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    let contact = format!("contact_no {key}, mail {text} not null unique, full_name {text}, telephone {text}");
    scene.target.user(&format!("create table contact ({contact})")).await;
    let reference = "foreign key (contact_no) references contact (contact_no)";
    let deal = format!("deal_no {key}, ref {text} not null unique, contact_no bigint not null, amount bigint, {reference}");
    scene.target.user(&format!("create table deal ({deal})")).await;
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror")), ("orders", &format!("{ORDERS}    safety: mirror"))]);
    for name in ["x", "a", "b"] {
        scene.customer(&format!("{name}@x"), "Name").await;
    }
    for name in ["a", "b"] {
        let from = format!("select '{name}1', id, 5 from customer where email = '{name}@x'");
        scene.source.user(&format!("insert into orders (code, customer_id, cents) {from}")).await;
    }
    scene.sync().await;
    scene.source.user("rename table orders to away").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    assert_eq!(rows(&scene.source, "select code from away").await, ["b1"]);
    let stopped = scene.program.run(&["run", "--once"]).await;
    assert!(stopped.code != Some(0) && stopped.err.contains("orders"), "{} {}", stopped.out, stopped.err);
    assert_eq!(
        rows(&scene.target, "select ref from deal order by 1").await,
        ["a1", "b1"],
        "nothing is inferred from a missing table"
    );
    scene.source.user("rename table away to orders").await;
    for _ in 0..2 {
        scene.program.run(&["held", "retry"]).await.code(0);
        scene.sync().await;
    }
    assert_eq!(rows(&scene.target, "select ref from deal").await, ["b1"]);
    assert_eq!(rows(&scene.target, "select mail from contact order by 1").await, ["b@x", "x@x"]);
    assert_eq!(scene.held().await, Vec::<String>::new());
    scene.quiet().await;
}

/// Also F7: the CRM adds a deal while the shop deletes the customer with all its orders.
pub async fn rule18_a_child_nobody_knew_of_stays_with_its_parent(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene
        .source
        .user(&format!("create table customer (id {key}, email {text} not null unique, name {text}, phone {text})"))
        .await;
    let reference = "customer_id bigint not null, cents bigint, foreign key (customer_id) references customer (id)";
    scene.source.user(&format!("create table orders (id {key}, code {text} not null unique, {reference})")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    let contact = format!("contact_no {key}, mail {text} not null unique, full_name {text}, telephone {text}");
    scene.target.user(&format!("create table contact ({contact})")).await;
    let reference = "foreign key (contact_no) references contact (contact_no) on delete cascade";
    let deal = format!("deal_no {key}, ref {text} not null unique, contact_no bigint not null, amount bigint, {reference}");
    scene.target.user(&format!("create table deal ({deal})")).await;
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror")), ("orders", &format!("{ORDERS}    safety: mirror"))]);
    scene.customer("a@x", "Ada").await;
    scene.customer("b@x", "Ben").await;
    for code in ["a1", "b1"] {
        let from = format!("select '{code}', id, 5 from customer where email = '{}@x'", &code[..1]);
        scene.source.user(&format!("insert into orders (code, customer_id, cents) {from}")).await;
    }
    scene.sync().await;
    let from = "select 'a2', contact_no, 7 from contact where mail = 'a@x'";
    scene.target.user(&format!("insert into deal (ref, contact_no, amount) {from}")).await;
    scene.source.user("delete from orders").await;
    scene.source.user("delete from customer").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select ref from deal").await, ["a2"]);
    assert_eq!(rows(&scene.target, "select mail from contact").await, ["a@x"]);
    let held = scene.held().await;
    assert!(held.iter().any(|one| one.starts_with("customers ") && one.contains("deal (on delete cascade)")), "{held:?}");
    scene.quiet().await;
    // Once it is gone, nobody needs to ask, or to wait.
    scene.target.user("delete from deal").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select mail from contact").await, [""; 0]);
    assert_eq!(scene.held().await, [""; 0]);
    scene.quiet().await;
}

/// A table that refers to itself: what goes together is no obstacle; one that nobody deleted holds back all above it.
pub async fn rule18_a_tree_goes_whole_or_stays(scene: &Scene) {
    for (lab, table) in [(&scene.source, "staff"), (&scene.target, "people")] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        let reference = format!("foreign key (boss) references {table} (id) on delete cascade");
        lab.user(&format!("create table {table} (id {key}, name {text} not null unique, boss bigint, {reference})")).await;
    }
    let link = "
    source: staff
    target: people
    match: [name]
    safety: mirror
    fields:
      name: name
      boss: {to: boss, via: staff}
";
    scene.link(&[("staff", link)]);
    let hire = async |name: &str, boss: &str| {
        let from = format!("select '{name}', max(id) from staff where name = '{boss}'");
        scene.source.user(&format!("insert into staff (name, boss) {from}")).await;
    };
    for (name, boss) in [("a", ""), ("b", "a"), ("c", "b"), ("k", ""), ("l", "k"), ("m", "l")] {
        hire(name, boss).await;
    }
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select count(*) from people").await, ["6"]);
    scene.target.user("insert into people (name, boss) select 'new', id from people where name = 'c'").await;
    for name in ["c", "b", "a", "m", "l", "k"] {
        scene.source.user(&format!("delete from staff where name = '{name}'")).await;
    }
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select name from people order by name").await, ["a", "b", "c", "new"]);
    let held = scene.held().await;
    assert_eq!(held.iter().filter(|one| one.contains("people (on delete cascade)")).count(), 3, "{held:?}");
    scene.quiet().await;
}

pub async fn set_null_is_the_applications_own_answer(scene: &Scene) {
    notes(scene, "set null").await;
    scene.source.user("delete from customer").await;
    scene.sync().await;
    assert!(rows(&scene.target, "select mail from contact").await.is_empty());
    assert_eq!(rows(&scene.target, "select contact_no, body from note").await, ["NULL|precious"]);
    scene.quiet().await;
}

/// The source's server would empty the reference once the old parent goes there, and that would look like a change of its
/// application's.
pub async fn a13_who_leaves_a_parent_that_is_deleted_keeps_the_new_one(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table team (id {key}, name {text} not null)")).await;
    let refers = "foreign key (team_id) references team (id) on delete set null";
    scene.source.user(&format!("create table player (id {key}, name {text} not null, team_id bigint, {refers})")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table club (no {key}, title {text} not null)")).await;
    let refers = "foreign key (club_no) references club (no) on delete set null";
    scene.target.user(&format!("create table member (no {key}, title {text} not null, club_no bigint, {refers})")).await;
    let teams = "    source: team\n    target: club\n    safety: mirror\n    brake: {deletes: off}\n    conflict: merge\n    fields: {name: title}";
    let players = "    source: player\n    target: member\n    safety: mirror\n    conflict: merge\n    \
                   fields: {name: title, team_id: {to: club_no, via: teams}}";
    let links = [("teams", teams), ("players", players)];
    scene.link(&links);
    scene.target.user("insert into club (no, title) values (700, 'old'), (701, 'other')").await;
    scene.target.user("insert into member (no, title, club_no) values (900, 'p', 700)").await;
    scene.sync().await;
    scene.quiet().await;
    let of = "select t.name from player p left join team t on t.id = p.team_id";
    let to = "select c.title from member m left join club c on c.no = m.club_no";
    for (step, new) in ["insert into club (no, title) values (702, 'new')", ""].into_iter().enumerate() {
        // The new parent is made by the same run; or the child's log is too long to be read one by one.
        if new.is_empty() {
            scene.configure("first_sync: auto\nlog_max: 1", &links);
        }
        let (old, next) = [(700, 702), (702, 701)][step];
        let mut tx = scene.target.open().await;
        if !new.is_empty() {
            tx.run(new).await;
        }
        tx.run(&format!("update member set title = 'q' where club_no = {old}")).await;
        tx.run(&format!("delete from club where no = {old}")).await;
        tx.run(&format!("update member set club_no = {next}")).await;
        tx.commit().await;
        scene.sync().await;
        let club = ["new", "other"][step];
        assert_eq!((rows(&scene.source, of).await, rows(&scene.target, to).await), (vec![club.into()], vec![club.into()]));
        assert_eq!(rows(&scene.source, "select count(*) from team").await, [["2", "1"][step]]);
        let none: Vec<serde_json::Value> = Vec::new();
        assert_eq!(scene.program.run(&["conflicts", "--json"]).await.code(0).json(), serde_json::json!(none));
        scene.quiet().await;
    }
}

/// MySQL empties references within a table without a word to triggers, so that the table is compared: what it did in a write of
/// ours is no change of anybody's all the same.
pub async fn a13_whom_our_own_delete_has_cut_off_goes_too(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table dept (id {key}, name {text}, head bigint)")).await;
    let refers = "foreign key (dept) references dept (id), foreign key (boss) references emp (id) on delete set null";
    scene.source.user(&format!("create table emp (id {key}, name {text}, dept bigint not null, boss bigint, {refers})")).await;
    scene.source.user("alter table dept add foreign key (head) references emp (id)").await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table unit (no {key}, title {text}, lead_no bigint)")).await;
    let refers = "foreign key (unit_no) references unit (no)";
    scene
        .target
        .user(&format!("create table person (no {key}, title {text}, unit_no bigint not null, above bigint, {refers})"))
        .await;
    let policy = "safety: mirror\n    brake: {deletes: off}";
    let emps = format!(
        "    source: emp\n    target: person\n    {policy}\n    \
         fields: {{name: title, dept: {{to: unit_no, via: depts}}, boss: {{to: above, via: emps}}}}"
    );
    let depts = format!(
        "    source: dept\n    target: unit\n    {policy}\n    fields: {{name: title, head: {{to: lead_no, via: emps}}}}"
    );
    scene.link(&[("emps", &emps), ("depts", &depts)]);
    scene.target.user("insert into unit (no, title) values (700, 'd')").await;
    let people = (0..5).map(|n| format!("({}, 'e{n}', 700)", 900 + n)).collect::<Vec<_>>().join(", ");
    scene.target.user(&format!("insert into person (no, title, unit_no) values {people}")).await;
    scene.target.user("update person set above = 900 where no < 903").await;
    scene.target.user("update unit set lead_no = 901").await;
    scene.sync().await;
    scene.quiet().await;
    let mut tx = scene.target.open().await;
    for statement in
        ["update unit set lead_no = null", "update person set above = null", "delete from person", "delete from unit"]
    {
        tx.run(statement).await;
    }
    tx.commit().await;
    scene.sync().await;
    assert_eq!(rows(&scene.source, "select name from emp union all select name from dept").await, [""; 0]);
    scene.quiet().await;
}
