//! A new link whose first sync nobody has approved stands still, and only that one (I7).

use serde_json::Value;
use tokio::process::Child;

use crate::program::until;
use crate::scene::{CUSTOMERS, ORDERS, Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    i7_a_new_link_waits_for_approval_and_the_others_go_on,
    i7_a_run_once_carries_the_approved_links_through,
    i7_children_of_a_link_that_waits_for_approval_wait,
    i7_a_compare_of_all_leaves_out_what_waits_for_approval,
}

scenarios! { postgres_mysql:
    i7_a_new_link_waits_for_approval_and_the_others_go_on,
    i7_a_run_once_carries_the_approved_links_through,
    i7_children_of_a_link_that_waits_for_approval_wait,
}

scenarios! { mariadb_postgres:
    i7_a_new_link_waits_for_approval_and_the_others_go_on,
}

scenarios! { mysql_sqlite:
    i7_a_new_link_waits_for_approval_and_the_others_go_on,
}

/// Customers are the same already; orders are on both sides, one of them is the same one with another value.
async fn a_link_is_new(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    for name in ["Ada", "Ben"] {
        scene.customer(&format!("{name}@x"), name).await;
    }
    scene.sync().await;
    order(scene, "both", 1).await;
    order(scene, "shop", 2).await;
    deal(scene, "both", 10).await;
    deal(scene, "crm", 30).await;
    scene.configure(
        "first_sync: ask",
        &[("customers", &format!("{CUSTOMERS}    safety: mirror\n")), ("orders", &format!("{ORDERS}    safety: mirror\n"))],
    );
}

async fn order(scene: &Scene, code: &str, cents: u32) {
    let sql =
        format!("insert into orders (code, customer_id, cents) select '{code}', id, {cents} from customer where name = 'Ada'");
    scene.source.user(&sql).await;
}

async fn deal(scene: &Scene, code: &str, cents: u32) {
    let sql = format!(
        "insert into deal (ref, contact_no, amount) select '{code}', contact_no, {cents} from contact where full_name = 'Ada'"
    );
    scene.target.user(&sql).await;
}

async fn orders(scene: &Scene) -> [Vec<String>; 2] {
    let source = "select o.code, c.email, o.cents from orders o join customer c on c.id = o.customer_id order by o.code";
    let target = "select d.ref, c.mail, d.amount from deal d join contact c on c.contact_no = d.contact_no order by d.ref";
    [rows(&scene.source, source).await, rows(&scene.target, target).await]
}

/// What `status` says of why a link stands still.
async fn stopped(scene: &Scene, link: &str) -> Value {
    let status = scene.ask(&["status"]).await;
    let links = status["links"].as_array().unwrap();
    links.iter().find(|one| one["link"] == link).unwrap()["stopped"].clone()
}

async fn runs(scene: &Scene) -> Child {
    let child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    child
}

async fn end(mut child: Child) {
    assert!(child.try_wait().unwrap().is_none(), "it has ended before");
    let id = child.id().unwrap().to_string();
    tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

/// A change of a customer on each side arrives on the other.
async fn customers_go_on(scene: &Scene, what: &str) {
    scene.source.user(&format!("update customer set phone = '{what}' where name = 'Ada'")).await;
    scene.target.user(&format!("update contact set telephone = '{what}' where full_name = 'Ben'")).await;
    until(&format!("{what}: the customers go on"), || async {
        rows(&scene.target, "select telephone from contact where full_name = 'Ada'").await == [what]
            && rows(&scene.source, "select phone from customer where name = 'Ben'").await == [what]
    })
    .await;
}

pub async fn i7_a_new_link_waits_for_approval_and_the_others_go_on(scene: &Scene) {
    a_link_is_new(scene).await;
    let before = orders(scene).await;
    let child = runs(scene).await;
    customers_go_on(scene, "one").await;
    let stop = stopped(scene, "orders").await;
    let says = |what: &str, part: &str| stop[what].as_str().unwrap().contains(part);
    assert!(says("cause", "its first sync was not approved; it would create 1 in the source and 1 in the target"), "{stop}");
    assert!(says("cause", "link 1, of which 1 differ") && says("next", "twinrow approve first-sync"), "{stop}");
    assert_eq!(orders(scene).await, before, "nothing of it is written");
    // What happens to its records meanwhile is not lost.
    order(scene, "later", 4).await;
    deal(scene, "later too", 50).await;
    scene.source.user("delete from orders where code = 'shop'").await;
    scene.source.user("update orders set cents = 7 where code = 'both'").await;
    customers_go_on(scene, "two").await;
    assert_eq!(orders(scene).await[1], ["both|Ada@x|10", "crm|Ada@x|30", "later too|Ada@x|50"]);
    assert_eq!(scene.program.log().matches("it stands still").count(), 1, "once: {}", scene.program.log());
    // The next process has the same to say of it, since the same time.
    end(child).await;
    let child = runs(scene).await;
    customers_go_on(scene, "three").await;
    assert_eq!(stopped(scene, "orders").await, stop);
    assert_eq!(orders(scene).await[1], ["both|Ada@x|10", "crm|Ada@x|30", "later too|Ada@x|50"]);
    let approved = scene.program.run(&["approve", "first-sync"]).await.code(0);
    assert!(approved.out.contains("approved: orders"), "{}", approved.out);
    let all = ["both|Ada@x|7", "crm|Ada@x|30", "later too|Ada@x|50", "later|Ada@x|4"].map(String::from).to_vec();
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    until("the same process has taken it up", || async { orders(scene).await.map(sorted) == [all.clone(), all.clone()] }).await;
    until("status knows", || async { stopped(scene, "orders").await.is_null() }).await;
    // A second approval has nothing to approve.
    scene.refused(&["approve", "first-sync"], 4).await;
    customers_go_on(scene, "four").await;
    end(child).await;
    scene.quiet().await;
}

pub async fn i7_a_run_once_carries_the_approved_links_through(scene: &Scene) {
    a_link_is_new(scene).await;
    let before = orders(scene).await;
    for phone in ["1", "2"] {
        scene.source.user(&format!("update customer set phone = '{phone}'")).await;
        let done = scene.refused(&["run", "--once"], 3).await;
        assert!(done.err.contains("link orders stands still: both its sides hold data"), "{}", done.err);
        assert!(done.err.contains("next:  twinrow approve first-sync"), "{}", done.err);
        assert_eq!(rows(&scene.target, "select distinct telephone from contact").await, [phone]);
        assert_eq!(orders(scene).await, before);
    }
    // What would be approved can be looked at.
    let plan = crate::scene::Counts(scene.ask(&["plan"]).await);
    assert_eq!((plan.of("orders", "linked"), plan.of("orders", "created_target")), (1, 1));
    assert!(!stopped(scene, "orders").await.is_null());
    scene.program.run(&["approve", "first-sync"]).await.code(0);
    assert!(stopped(scene, "orders").await.is_null());
    assert_eq!(orders(scene).await, before);
    scene.sync().await;
    let [source, target] = orders(scene).await;
    assert_eq!((source.len(), source), (3, target));
    scene.quiet().await;
}

/// One of them needs no approval, as one of its sides is empty: but its parents do.
pub async fn i7_children_of_a_link_that_waits_for_approval_wait(scene: &Scene) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table tag (id {key}, name {text})")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table label (nr {key}, title {text})")).await;
    scene.target.user("insert into label (nr, title) values (300, 'nobody')").await;
    scene.target.user("delete from label").await;
    scene.customers("").await;
    let tags = ("tags", "    source: tag\n    target: label\n    fields: {name: title}\n");
    scene.configure("first_sync: ask", &[tags]);
    scene.source.user("insert into tag (name) values ('first')").await;
    scene.sync().await;
    scene.customer("ada@x", "Ada").await;
    scene.contact("ben@x", "Ben").await;
    order(scene, "child", 5).await;
    scene.configure("first_sync: ask", &[tags, ("customers", CUSTOMERS), ("orders", ORDERS)]);
    let child = runs(scene).await;
    scene.source.user("insert into tag (name) values ('second')").await;
    until("the link that was approved goes on", || async {
        rows(&scene.target, "select title from label order by title").await == ["first", "second"]
    })
    .await;
    until("the child waits", || async { scene.status("orders", "waiting").await == 1 }).await;
    assert!(!stopped(scene, "customers").await.is_null());
    assert_eq!(rows(&scene.target, "select full_name from contact").await, ["Ben"]);
    assert!(rows(&scene.target, "select ref from deal").await.is_empty());
    scene.program.run(&["approve", "first-sync"]).await.code(0);
    until("the child has its parent", || async { orders(scene).await[1] == ["child|ada@x|5"] }).await;
    until("the link is taken up", || async { rows(&scene.source, "select count(*) from customer").await == ["2"] }).await;
    end(child).await;
    scene.quiet().await;
}

pub async fn i7_a_compare_of_all_leaves_out_what_waits_for_approval(scene: &Scene) {
    a_link_is_new(scene).await;
    let before = orders(scene).await;
    scene.source.user("update customer set phone = '1'").await;
    let done = scene.refused(&["resync", "full"], 3).await;
    assert!(done.err.contains("link orders stands still"), "{}", done.err);
    assert_eq!(rows(&scene.target, "select distinct telephone from contact").await, ["1"]);
    // Who names it is refused.
    scene.source.user("update customer set phone = '2'").await;
    let done = scene.refused(&["resync", "full", "orders"], 3).await;
    assert!(done.err.contains("nothing is written before its plan is approved"), "{}", done.err);
    assert_eq!(rows(&scene.target, "select distinct telephone from contact").await, ["1"]);
    assert_eq!(orders(scene).await, before);
}
