//! A column that is dropped and made anew under its name empties nothing on the other side (I6), and blanks go on to travel;
//! one that is renamed is the column it was.

use crate::program::until;
use crate::scene::{Scene, rows, scenarios};

scenarios! { each_engine:
    i6_a_column_that_is_dropped_and_made_anew_empties_nothing,
    i6_a_column_that_was_away_while_its_link_stood_still_empties_nothing,
    i6_a_column_that_is_made_anew_while_it_runs_empties_nothing,
    i6_a_column_that_is_renamed_goes_on_with_what_was_agreed,
}

async fn begin(scene: &Scene) {
    scene.business("    safety: mirror", "    safety: mirror").await;
    // On some engines a column that was made anew is known by its place.
    scene.source.user("alter table orders add column note bigint").await;
    scene.target.user("alter table deal add column note bigint").await;
    for name in ["Ada", "Ben", "Cai"] {
        scene.customer(&format!("{name}@x"), name).await;
        let order =
            format!("insert into orders (code, customer_id, cents) select '{name}', id, 5 from customer where name = '{name}'");
        scene.source.user(&order).await;
    }
    scene.sync().await;
}

async fn orders(scene: &Scene) -> [Vec<String>; 2] {
    [
        rows(&scene.source, "select code, coalesce(cents, 0) from orders order by code").await,
        rows(&scene.target, "select ref, coalesce(amount, 0) from deal order by ref").await,
    ]
}

/// Blanks and values go on to travel both ways, and then nothing is left to do.
async fn goes_on(scene: &Scene) {
    scene.source.user("update orders set cents = null where code = 'Ben'").await;
    scene.target.user("update deal set amount = null where ref = 'Cai'").await;
    scene.target.user("update deal set amount = 8 where ref = 'Ada'").await;
    scene.sync().await;
    let all = ["Ada|8", "Ben|0", "Cai|0"];
    assert_eq!(orders(scene).await, [all, all]);
    scene.quiet().await;
}

pub async fn i6_a_column_that_is_dropped_and_made_anew_empties_nothing(scene: &Scene) {
    begin(scene).await;
    let all = ["Ada|5", "Ben|5", "Cai|5"];
    for (side, table, column, touched) in [
        (&scene.source, "orders", "cents", "update orders set code = code"),
        (&scene.target, "deal", "amount", "update deal set note = 1"),
    ] {
        side.user(&format!("alter table {table} drop column {column}")).await;
        side.user(&format!("alter table {table} add column {column} bigint")).await;
        side.user(touched).await;
        scene.sync().await;
        assert_eq!(orders(scene).await, [all, all], "{table}: it is filled again from the other side");
        scene.quiet().await;
    }
    assert!(scene.conflicts().await.is_empty(), "nobody has changed anything");
    goes_on(scene).await;
}

/// Also the last column of its table.
pub async fn i6_a_column_that_was_away_while_its_link_stood_still_empties_nothing(scene: &Scene) {
    begin(scene).await;
    scene.source.user("alter table orders drop column note").await;
    scene.sync().await;
    scene.source.user("alter table orders drop column cents").await;
    for _ in 0..2 {
        let refused = scene.refused(&["run", "--once"], 2).await;
        assert!(refused.err.contains("cents"), "{}", refused.err);
    }
    scene.source.user("alter table orders add column cents bigint").await;
    scene.source.user("update orders set code = code").await;
    scene.sync().await;
    let all = ["Ada|5", "Ben|5", "Cai|5"];
    assert_eq!(orders(scene).await, [all, all]);
    goes_on(scene).await;
}

pub async fn i6_a_column_that_is_made_anew_while_it_runs_empties_nothing(scene: &Scene) {
    begin(scene).await;
    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    let all = ["Ada|5", "Ben|5", "Cai|5"];
    scene.source.user("alter table orders drop column cents").await;
    scene.source.user("alter table orders add column cents bigint").await;
    scene.source.user("update orders set code = code where code <> 'Cai'").await;
    // All of them, also the one that no log names.
    until("it is filled again", || async { orders(scene).await == [all, all] }).await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    assert!(scene.conflicts().await.is_empty(), "nobody has changed anything");
}

/// What the other side changed while the link stood still travels, and what nobody has changed is no conflict.
pub async fn i6_a_column_that_is_renamed_goes_on_with_what_was_agreed(scene: &Scene) {
    begin(scene).await;
    let config = scene.program.path("twinrow.yaml");
    for (side, table, old, new, mapping, edit) in [
        (&scene.source, "orders", "cents", "pennies", "pennies: amount", "update deal set amount = 7 where ref = 'Ada'"),
        (&scene.target, "deal", "amount", "total", "pennies: total", "update orders set pennies = 9 where code = 'Ben'"),
    ] {
        let before = std::fs::read_to_string(&config).unwrap();
        side.user(&format!("alter table {table} rename column {old} to {new}")).await;
        scene.refused(&["run", "--once"], 2).await;
        let other = if new == "pennies" { &scene.target } else { &scene.source };
        other.user(edit).await;
        let was = if new == "pennies" { "cents: amount" } else { "pennies: amount" };
        scene.program.configure(&before.replace(was, mapping));
        scene.sync().await;
        scene.quiet().await;
    }
    let all = [
        rows(&scene.source, "select code, pennies from orders order by code").await,
        rows(&scene.target, "select ref, total from deal order by ref").await,
    ];
    let both = ["Ada|7", "Ben|9", "Cai|5"];
    assert_eq!(all, [both, both]);
    assert!(scene.conflicts().await.is_empty(), "one side alone has changed anything");
}
