//! Many records that the server refuses, and others beside them.

use crate::scene::{Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    i7_many_refused_records_do_not_keep_the_others,
    i7_what_a_trigger_refuses_without_a_word_is_held,
}

scenarios! { mysql_postgres:
    i7_what_a_trigger_refuses_without_a_word_is_held,
}

scenarios! { postgres_mysql:
    i7_many_refused_records_do_not_keep_the_others,
}

/// More of them than are looked for one by one, and the good ones behind them.
pub async fn i7_many_refused_records_do_not_keep_the_others(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table thing (id {key}, name {text} not null, n bigint)")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table item (no {key}, label {text} not null, amount bigint, check (amount >= 0))")).await;
    scene.target.user("insert into item (no, label) values (7000, 'x')").await;
    scene.target.user("delete from item").await;
    scene.link(&[("things", "    source: thing\n    target: item\n    fields: {name: label, n: amount}")]);
    scene.sync().await;
    let values = |sign: i64, from: i64| {
        let values: Vec<String> = (from..from + 450).map(|n| format!("('thing {n}', {})", sign * n)).collect();
        format!("insert into thing (name, n) values {}", values.join(", "))
    };
    scene.source.user(&values(-1, 1)).await;
    scene.source.user(&values(1, 1_000)).await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select count(*), min(amount) from item").await, ["450|1000"]);
    assert_eq!(scene.held().await.len(), 450);
    // And once they are no longer refused, all of them come.
    scene.source.user("update thing set n = -n where n < 0").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select count(*) from item").await, ["900"]);
    assert_eq!(scene.held().await, Vec::<String>::new());
}

/// A trigger in the target leaves rows as they are and says nothing: no error, no row.
pub async fn i7_what_a_trigger_refuses_without_a_word_is_held(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    for name in ["changed", "deleted", "free"] {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
    let kept = if scene.target.url().starts_with("sqlite") {
        "create trigger stays_u before update on contact when old.full_name = 'changed' begin select raise(ignore); end; \
         create trigger stays_d before delete on contact when old.full_name = 'deleted' begin select raise(ignore); end"
    } else {
        "create function stays() returns trigger language plpgsql as $$ begin \
           if old.full_name in ('changed', 'deleted') then return null; end if; \
           if tg_op = 'DELETE' then return old; end if; return new; end $$; \
         create trigger stays before update or delete on contact for each row execute function stays()"
    };
    scene.target.script(kept).await;
    scene.source.user("update customer set name = 'new' where name in ('changed', 'free')").await;
    scene.source.user("delete from customer where name = 'deleted'").await;
    scene.sync().await;
    let names = || async { rows(&scene.target, "select full_name from contact order by full_name").await };
    assert_eq!(names().await, ["changed", "deleted", "new"]);
    let kept = |done| format!("held: a trigger or rule of {} kept the row from being {done}", scene.target.table("contact"));
    let held = scene.held().await;
    for done in ["changed", "deleted"] {
        assert!(held.iter().any(|one| one.ends_with(&kept(done))), "{held:?}");
    }
    assert_eq!(held.len(), 2, "{held:?}");
    let gone = if scene.target.url().starts_with("sqlite") {
        "drop trigger stays_u; drop trigger stays_d"
    } else {
        "drop trigger stays on contact"
    };
    scene.target.script(gone).await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    assert_eq!(names().await, ["new", "new"]);
    scene.quiet().await;
}
