//! The real program between every two engines, in both orders, and between two tables of one database.

use crate::scene::{Scene, rows, scenarios};

macro_rules! every_pair {
    ($($engines:ident),* $(,)?) => {
        $(scenarios! { $engines: s4_1_both_sides_become_the_same })*
    };
}

every_pair! {
    sqlite_sqlite, sqlite_postgres, sqlite_mysql, sqlite_mariadb,
    postgres_sqlite, postgres_postgres, postgres_mysql, postgres_mariadb,
    mysql_sqlite, mysql_postgres, mysql_mysql, mysql_mariadb,
    mariadb_sqlite, mariadb_postgres, mariadb_mysql, mariadb_mariadb,
}

macro_rules! alone {
    ($($engine:ident: $lab:expr),* $(,)?) => {
        mod two_tables_of_one_database {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $engine() {
                let lab = $lab.await;
                let test = concat!(module_path!(), "::", stringify!($engine));
                crate::scene::play(test, [lab.clone(), lab], |scene| Box::pin(super::s4_1_both_sides_become_the_same(scene))).await;
            })*
        }
    };
}

alone! {
    postgres15: crate::support::postgres::pg15(),
    postgres18: crate::support::postgres::pg18(),
    mysql: crate::support::mysql::mysql(),
    mariadb: crate::support::mysql::mariadb(),
    sqlite: crate::support::sqlite::lab(),
}

const MIRROR: &str = "    safety: mirror\n";

/// People with their orders: email, name, order, amount; joined over the foreign keys.
async fn people(scene: &Scene) -> [Vec<String>; 2] {
    let source = "select email, name, code, cents from customer left join orders on customer_id = customer.id order by email";
    let target =
        "select mail, full_name, ref, amount from contact left join deal on deal.contact_no = contact.contact_no order by mail";
    [rows(&scene.source, source).await, rows(&scene.target, target).await]
}

/// Creates, matches, updates and deletes in both directions, children and all; the keys stay each side's own.
pub async fn s4_1_both_sides_become_the_same(scene: &Scene) {
    scene.business(MIRROR, MIRROR).await;
    for mail in ["both@x", "shop@x", "leaves@x"] {
        scene.customer(mail, "S").await;
    }
    for mail in ["both@x", "crm@x", "left@x"] {
        scene.contact(mail, "T").await;
    }
    let ordered = "insert into orders (code, customer_id, cents) select 'o1', id, 5 from customer where email = 'shop@x'";
    scene.source.user(ordered).await;
    let dealt = "insert into deal (ref, contact_no, amount) select 'd1', contact_no, 7 from contact where mail = 'crm@x'";
    scene.target.user(dealt).await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "created_target"), counts.of("customers", "created_source")), (2, 2));
    assert_eq!((counts.of("orders", "created_target"), counts.of("orders", "created_source")), (1, 1));
    // Its names differed: the source's stands.
    let all = ["both@x|S|NULL|NULL", "crm@x|T|d1|7", "leaves@x|S|NULL|NULL", "left@x|T|NULL|NULL", "shop@x|S|o1|5"];
    assert_eq!(people(scene).await, [all, all]);
    scene.quiet().await;

    scene.source.user("update customer set name = 'S2' where email = 'crm@x'").await;
    scene.target.user("update contact set full_name = 'T2' where mail = 'shop@x'").await;
    scene.source.user("update orders set cents = 6 where code = 'd1'").await;
    scene.target.user("update deal set amount = 8 where ref = 'o1'").await;
    scene.source.user("delete from customer where email = 'left@x'").await;
    scene.target.user("delete from contact where mail = 'leaves@x'").await;
    scene.customer("later@x", "S").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("customers", "deleted_target"), counts.of("customers", "deleted_source")), (1, 1));
    let all = ["both@x|S|NULL|NULL", "crm@x|S2|d1|6", "later@x|S|NULL|NULL", "shop@x|T2|o1|8"];
    assert_eq!(people(scene).await, [all, all]);
    let keys = [
        rows(&scene.source, "select email, id from customer").await,
        rows(&scene.target, "select mail, contact_no from contact").await,
    ];
    assert!(keys[0].iter().all(|row| !keys[1].contains(row)), "a key was copied: {keys:?}");
    scene.quiet().await;
}
