//! A place that another record has: what SQLite does about it by itself.

use crate::scene::{CUSTOMERS, Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    c4_a_number_given_again_after_an_ignored_insert_is_another_record,
    i1_a_table_that_replaces_by_itself_loses_nothing_to_us,
}

scenarios! { postgres_sqlite:
    i1_a_table_that_replaces_by_itself_loses_nothing_to_us,
}

const UNMATCHED: &str = "    source: customer\n    target: contact\n    fields: {email: mail, name: full_name}\n";

/// The log has what a REPLACE would leave in it; but the first insert asked for no number.
pub async fn c4_a_number_given_again_after_an_ignored_insert_is_another_record(scene: &Scene) {
    scene.source.user("create table customer (id integer primary key, email text unique, name text, phone text)").await;
    let contact = "create table contact (contact_no integer primary key autoincrement, mail text, full_name text, telephone text, note text)";
    scene.target.user(contact).await;
    scene.target.user("insert into contact (contact_no) values (1000)").await;
    scene.target.user("delete from contact").await;
    for (link, email) in [(UNMATCHED, "carl@x"), (CUSTOMERS, "dora@x")] {
        scene.link(&[("customers", link)]);
        scene.source.user("insert or ignore into customer (email, name) values ('ann@x', 'Ann'), ('bob@x', 'Bob')").await;
        scene.sync().await;
        scene.target.user("update contact set note = 'about ' || full_name").await;
        scene.sync().await;
        let number = &rows(&scene.source, "select max(id) from customer").await[0];
        let taken = &rows(&scene.source, &format!("select email from customer where id = {number}")).await[0];
        scene.source.user(&format!("insert or ignore into customer (email, name) values ('{taken}', 'Bobby')")).await;
        scene.source.user(&format!("delete from customer where id = {number}")).await;
        scene.customer(email, "another").await;
        let all = rows(&scene.source, &format!("select id from customer where email = '{email}'")).await;
        assert_eq!(all, [number.as_str()], "the number is given again");
        scene.sync().await;
        let contact = async |mail: &str| {
            rows(&scene.target, &format!("select full_name, coalesce(note, 'new') from contact where mail = '{mail}'")).await
        };
        assert_eq!(contact(taken).await, ["Bob|about Bob"]);
        assert_eq!(contact(email).await, ["another|new"]);
        scene.quiet().await;
    }
}

/// Its unique key would delete the other record, or take no notice of ours; so ours is refused, and held.
pub async fn i1_a_table_that_replaces_by_itself_loses_nothing_to_us(scene: &Scene) {
    for clause in ["replace", "ignore"] {
        let text = scene.source.dialect().text;
        scene
            .source
            .user(&format!("create table customer (id {}, email {text}, name {text})", scene.source.dialect().generated_key))
            .await;
        let contact = "contact_no integer primary key autoincrement, mail text unique on conflict";
        scene.target.user(&format!("create table contact ({contact} {clause}, full_name text, note text)")).await;
        scene.customer("ann@x", "Ann").await;
        scene.target.user("insert into contact values (100, 'bob@x', 'Robert', 'the only copy')").await;
        scene.link(&[("customers", &format!("{UNMATCHED}    direction: to_target\n"))]);
        scene.sync().await;
        scene.customer("bob@x", "Bob").await;
        scene.customer("cid@x", "Cid").await;
        scene.sync().await;
        let all = "select mail, full_name, coalesce(note, '') from contact order by mail";
        assert_eq!(rows(&scene.target, all).await, ["ann@x|Ann|", "bob@x|Robert|the only copy", "cid@x|Cid|"]);
        assert_eq!(scene.held().await.len(), 1, "{:?}", scene.held().await);
        scene.source.user("update customer set email = 'ann@x' where name = 'Cid'").await;
        scene.sync().await;
        assert_eq!(rows(&scene.target, all).await, ["ann@x|Ann|", "bob@x|Robert|the only copy", "cid@x|Cid|"]);
        assert_eq!(scene.held().await.len(), 2, "{:?}", scene.held().await);
        // Out of the way, what was held goes.
        scene.source.user("update customer set email = 'bo@x' where name = 'Bob'").await;
        scene.source.user("update customer set email = 'cy@x' where name = 'Cid'").await;
        scene.sync().await;
        let all = rows(&scene.target, all).await;
        assert_eq!(all, ["ann@x|Ann|", "bo@x|Bob|", "bob@x|Robert|the only copy", "cy@x|Cid|"]);
        assert_eq!(scene.held().await, [""; 0]);
        scene.quiet().await;
        scene.program.run(&["uninstall", "--all", "--yes"]).await.code(0);
        scene.source.user("drop table customer").await;
        scene.target.user("drop table contact").await;
    }
}
