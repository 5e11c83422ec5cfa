//! What `status` and `check` say of the databases themselves.

use std::sync::Arc;

use crate::program::until;
use crate::scene::{Scene, scenarios};
use crate::support::Lab;

scenarios! { sqlite_sqlite:
    a12_check_names_what_no_trigger_sees,
}

scenarios! { postgres_mysql:
    a3_status_names_who_keeps_a_transaction_open,
    a12_check_names_what_no_trigger_sees,
}

scenarios! { mysql_postgres:
    a3_status_names_who_keeps_a_transaction_open,
    a12_check_names_what_no_trigger_sees,
}

scenarios! { mariadb_postgres:
    a3_status_names_who_keeps_a_transaction_open,
    a12_check_names_what_no_trigger_sees,
}

/// On either side, while changes of others flow past it.
pub async fn a3_status_names_who_keeps_a_transaction_open(scene: &Scene) {
    scene.customers("").await;
    scene.sync().await;
    let mut shop = scene.source.open().await;
    shop.run("insert into customer (email, name) values ('idle@x', 'shop')").await;
    let mut crm = scene.target.open().await;
    crm.run("insert into contact (mail, full_name) values ('idle2@x', 'crm')").await;
    scene.customer("a@x", "Ada").await;
    assert_eq!(scene.sync().await.of("customers", "created_target"), 1, "what others do flows past it");
    let open = || async { scene.ask(&["status"]).await["open_transactions"].as_array().unwrap().clone() };
    until("both are named", || async { open().await.len() == 2 }).await;
    for (endpoint, one) in ["shop", "crm"].into_iter().zip(open().await) {
        assert_eq!(one["endpoint"], endpoint, "{one}");
        assert!(one["who"].as_str().is_some_and(|who| who.contains(" of user ")), "{one}");
        assert!(one["since"].is_number(), "{one}");
    }
    let told = scene.program.run(&["status"]).await.code(0).out;
    assert_eq!(told.matches("open since").count(), 2, "{told}");
    shop.rollback().await;
    crm.rollback().await;
    until("it is over", || async { open().await.is_empty() }).await;
}

/// A table of which not every change is logged.
async fn blind(lab: &Arc<dyn Lab>, table: &str) -> &'static str {
    match lab.dialect().statements {
        "sql/postgres" => {
            lab.user(&format!("create table {table} (id bigint not null primary key, name text) partition by range (id)")).await;
            lab.user(&format!("create table {table}_all partition of {table} default")).await;
            "partition"
        }
        "sql/mysql" => {
            lab.user(&format!("create table {table} (id bigint primary key, name varchar(40))")).await;
            "TRUNCATE fires no trigger"
        }
        _ => {
            lab.user(&format!("create table {table} (id integer primary key, name text, active integer)")).await;
            lab.user(&format!("create unique index one_of_{table} on {table} (name) where active")).await;
            "one_of_"
        }
    }
}

/// For each link and side, so that one knows what needs a compare, and when.
pub async fn a12_check_names_what_no_trigger_sees(scene: &Scene) {
    let spots = [blind(&scene.source, "one").await, blind(&scene.target, "other").await];
    scene.link(&[("both", "    source: one\n    target: other\n    keys: copy\n    fields: {name: name}\n")]);
    let warnings = scene.ask(&["check"]).await["warnings"].as_array().unwrap().clone();
    for (side, spot) in ["both: source ", "both: target "].into_iter().zip(spots) {
        let named = warnings.iter().filter_map(|one| one.as_str()).any(|one| one.starts_with(side) && one.contains(spot));
        assert!(named, "{side}{spot}: {warnings:?}");
    }
    let told = scene.program.run(&["check"]).await.code(0).out;
    assert!(told.contains("warning: both: source "), "{told}");
}
