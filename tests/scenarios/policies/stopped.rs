//! A link that can't go on stands still, and only that one (I7, F13, A78).

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Child;

use crate::program::{PATIENCE, Program, until};
use crate::scene::{Scene, rows, scenarios};
use crate::support::Damage;

scenarios! { sqlite_sqlite:
    i7_f13_a_table_that_is_missing_for_a_while_stops_only_its_link,
    i7_f13_a_dropped_column_stops_only_its_link,
    f13_a_run_once_carries_the_other_links_through,
    f13_children_of_a_link_that_stands_still_wait,
    f13_links_that_share_a_table_stand_still_together,
    a31_a_table_swapped_in_two_steps_needs_nobody,
}

scenarios! { postgres_mysql:
    i7_f13_a_table_that_is_missing_for_a_while_stops_only_its_link,
    i7_f13_a_dropped_column_stops_only_its_link,
    f13_a_run_once_carries_the_other_links_through,
    f13_children_of_a_link_that_stands_still_wait,
    f13_links_that_share_a_table_stand_still_together,
    a31_a_table_swapped_in_two_steps_needs_nobody,
    a17_without_the_rights_to_repair_only_the_link_stops,
    a78_a_right_that_is_taken_away_stops_only_its_link,
}

scenarios! { mariadb_postgres:
    i7_f13_a_table_that_is_missing_for_a_while_stops_only_its_link,
    i7_f13_a_dropped_column_stops_only_its_link,
    f13_a_run_once_carries_the_other_links_through,
    a31_a_table_swapped_in_two_steps_needs_nobody,
    a17_without_the_rights_to_repair_only_the_link_stops,
    a78_a_right_that_is_taken_away_stops_only_its_link,
}

scenarios! { mysql_sqlite:
    i7_f13_a_table_that_is_missing_for_a_while_stops_only_its_link,
    i7_f13_a_dropped_column_stops_only_its_link,
    f13_links_that_share_a_table_stand_still_together,
    a31_a_table_swapped_in_two_steps_needs_nobody,
    a17_without_the_rights_to_repair_only_the_link_stops,
    a78_a_right_that_is_taken_away_stops_only_its_link,
}

async fn begin(scene: &Scene) {
    scene.business("    safety: mirror", "    safety: mirror").await;
    for name in ["Ada", "Ben", "Cai"] {
        scene.customer(&format!("{name}@x"), name).await;
        order(scene, &format!("o-{name}"), name).await;
    }
    scene.sync().await;
}

async fn order(scene: &Scene, code: &str, name: &str) {
    let sql = format!("insert into orders (code, customer_id, cents) select '{code}', id, 5 from customer where name = '{name}'");
    scene.source.user(&sql).await;
}

async fn start(scene: &Scene) -> Child {
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

/// What `status` says of why a link stands still.
async fn stopped(scene: &Scene, link: &str) -> Option<Value> {
    let status = scene.ask(&["status"]).await;
    let links = status["links"].as_array().unwrap();
    let found = links.iter().find(|one| one["link"] == link).unwrap()["stopped"].clone();
    (!found.is_null()).then_some(found)
}

async fn stands_still(scene: &Scene, link: &str) -> Value {
    let met = |stop: Option<Value>| stop.filter(|stop| stop["since"].is_string());
    until(&format!("{link} stands still"), || async { met(stopped(scene, link).await).is_some() }).await;
    stopped(scene, link).await.unwrap()
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

async fn orders(scene: &Scene) -> [Vec<String>; 2] {
    let source = "select o.code, c.email, o.cents from orders o join customer c on c.id = o.customer_id order by o.code";
    let target = "select d.ref, c.mail, d.amount from deal d join contact c on c.contact_no = d.contact_no order by d.ref";
    [rows(&scene.source, source).await, rows(&scene.target, target).await]
}

async fn orders_are_the_same(scene: &Scene, what: &str) {
    let began = Instant::now();
    loop {
        let [source, target] = orders(scene).await;
        if source == target {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: {source:?} {target:?}\n{}", scene.program.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn all_is_well(scene: &Scene, child: Child) {
    orders_are_the_same(scene, "at the end").await;
    until("nothing stands still", || async { stopped(scene, "orders").await.is_none() }).await;
    end(child).await;
    scene.quiet().await;
}

/// Another table of the same shape, with the same records.
async fn orders_new(scene: &Scene, first_key: u32) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    let new = format!(
        "create table orders_new (id {key}, code {text} not null unique, customer_id bigint not null, cents bigint, \
         foreign key (customer_id) references customer (id))"
    );
    scene.source.user(&new).await;
    scene
        .source
        .user("insert into orders_new (id, code, customer_id, cents) select id, code, customer_id, cents from orders")
        .await;
    if scene.source.url().starts_with("postgres") {
        scene.source.user(&format!("alter table orders_new alter column id restart with {first_key}")).await;
    }
}

async fn change_orders(scene: &Scene, table: &str, what: &str) {
    scene.source.user(&format!("update {table} set cents = cents + 10 where code = 'o-Ada'")).await;
    scene.source.user(&format!("delete from {table} where code like 'gone%'")).await;
    for code in [what, &format!("gone {what}")] {
        let sql =
            format!("insert into {table} (code, customer_id, cents) select '{code}', id, 7 from customer where name = 'Cai'");
        scene.source.user(&sql).await;
    }
}

pub async fn i7_f13_a_table_that_is_missing_for_a_while_stops_only_its_link(scene: &Scene) {
    begin(scene).await;
    let child = start(scene).await;
    orders_new(scene, 100).await;
    scene.source.user("alter table orders rename to orders_old").await;
    let stop = stands_still(scene, "orders").await;
    assert!(stop["cause"].as_str().unwrap().contains("orders"), "{stop}");
    // (MySQL and MariaDB do not tell a table that is gone from one that a login may not see.)
    let next = stop["next"].as_str().unwrap();
    assert!(next.contains("twinrow") || next.contains("grant this login select on it"), "{stop}");
    customers_go_on(scene, "one").await;
    scene.target.user("update deal set amount = 99 where ref = 'o-Ben'").await;
    change_orders(scene, "orders_new", "meanwhile").await;
    // It is looked at again and again, and told once.
    let began = Instant::now();
    until("some inspections", || async { began.elapsed() > Duration::from_secs(4) }).await;
    customers_go_on(scene, "two").await;
    assert_eq!(stands_still(scene, "orders").await["since"], stop["since"]);
    let told = scene.program.log().matches("orders").count();
    assert!(told < 12, "{told} lines\n{}", scene.program.log());
    scene.source.user("alter table orders_new rename to orders").await;
    orders_are_the_same(scene, "swapped").await;
    assert!(orders(scene).await[0].contains(&"o-Ben|Ben@x|99".to_owned()), "{:?}", orders(scene).await);
    change_orders(scene, "orders", "later").await;
    customers_go_on(scene, "three").await;
    all_is_well(scene, child).await;
}

/// As an unhurried migration does it, with the application writing all the time.
pub async fn a31_a_table_swapped_in_two_steps_needs_nobody(scene: &Scene) {
    begin(scene).await;
    let child = start(scene).await;
    for round in 0..3 {
        orders_new(scene, 100 * (round + 1)).await;
        scene.source.user("alter table orders rename to orders_old").await;
        customers_go_on(scene, &format!("{round}")).await;
        change_orders(scene, "orders_new", &format!("swap{round}")).await;
        scene.source.user("alter table orders_new rename to orders").await;
        orders_are_the_same(scene, "swapped").await;
        change_orders(scene, "orders", &format!("later{round}")).await;
        orders_are_the_same(scene, "later").await;
        scene.source.user("drop table orders_old").await;
    }
    all_is_well(scene, child).await;
}

pub async fn i7_f13_a_dropped_column_stops_only_its_link(scene: &Scene) {
    begin(scene).await;
    let child = start(scene).await;
    scene.source.user("alter table orders drop column cents").await;
    scene.source.user("insert into orders (code, customer_id) select 'new', id from customer where name = 'Ben'").await;
    let stop = stands_still(scene, "orders").await;
    customers_go_on(scene, "one").await;
    until("the cause names the column", || async {
        stopped(scene, "orders").await.is_some_and(|stop| stop["cause"].as_str().unwrap().contains("cents"))
    })
    .await;
    assert_eq!(stands_still(scene, "orders").await["since"], stop["since"]);
    assert_eq!(rows(&scene.target, "select count(*) from deal").await, ["3"], "nothing of it is written");
    scene.source.user("alter table orders add column cents bigint").await;
    scene.source.user("update orders set cents = 8").await;
    all_is_well(scene, child).await;
    assert_eq!(
        rows(&scene.target, "select ref from deal where amount = 8 order by ref").await,
        ["new", "o-Ada", "o-Ben", "o-Cai"]
    );
}

pub async fn f13_a_run_once_carries_the_other_links_through(scene: &Scene) {
    begin(scene).await;
    scene.source.user("alter table orders rename to orders_old").await;
    scene.source.user("update customer set phone = 'once' where name = 'Ada'").await;
    for _ in 0..2 {
        let done = scene.refused(&["run", "--once"], 2).await;
        let next = done.err.contains("twinrow check") || done.err.contains("grant this login select on it");
        assert!(done.err.contains("link orders stands still") && next, "{}", done.err);
        assert_eq!(rows(&scene.target, "select telephone from contact where full_name = 'Ada'").await, ["once"]);
    }
    let text = scene.program.run(&["status"]).await.code(0).out;
    assert!(text.contains("orders: STANDS STILL since"), "{text}");
    assert!(scene.refused(&["plan"], 2).await.err.contains("link orders stands still"));
    scene.refused(&["check"], 2).await;
    scene.ask(&["pairs", "orders"]).await;
    scene.held().await;
    scene.source.user("alter table orders_old rename to orders").await;
    scene.source.user("update orders set cents = 6 where code = 'o-Ada'").await;
    scene.sync().await;
    orders_are_the_same(scene, "renamed back").await;
    assert!(stopped(scene, "orders").await.is_none());
    // What has never run is a slip of the configuration: nothing runs.
    scene.link(&[("customers", crate::scene::CUSTOMERS), ("others", &crate::scene::ORDERS.replace("orders", "odrers"))]);
    scene.source.user("update customer set phone = 'never' where name = 'Ada'").await;
    scene.refused(&["run", "--once"], 2).await;
    assert_eq!(rows(&scene.target, "select telephone from contact where full_name = 'Ada'").await, ["once"]);
}

pub async fn f13_children_of_a_link_that_stands_still_wait(scene: &Scene) {
    begin(scene).await;
    scene.source.user("alter table customer drop column phone").await;
    let mut child = start(scene).await;
    let stop = stands_still(scene, "customers").await;
    scene.customer("dee@x", "Dee").await;
    order(scene, "o-Dee", "Dee").await;
    order(scene, "o-Ada 2", "Ada").await;
    until("an order of a customer who is known", || async {
        rows(&scene.target, "select amount from deal where ref = 'o-Ada 2'").await == ["5"]
    })
    .await;
    until("one of a customer who is not", || async { scene.status("orders", "waiting").await == 1 }).await;
    // Found out by the next process as well.
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    let done = scene.refused(&["run", "--once", "--take-over"], 2).await;
    assert!(done.err.contains("link customers stands still"), "{}", done.err);
    assert_eq!(stands_still(scene, "customers").await["since"], stop["since"]);
    let child = scene.program.start(&["run"], None);
    let text = scene.source.dialect().text;
    scene.source.user(&format!("alter table customer add column phone {text}")).await;
    until("it is no longer in the way", || async { stopped(scene, "customers").await.is_none() }).await;
    all_is_well(scene, child).await;
    assert_eq!(rows(&scene.target, "select mail from contact where full_name = 'Dee'").await, ["dee@x"]);
}

/// A log is read by the integration, not by a link: what one of them has read must not be forgotten.
pub async fn f13_links_that_share_a_table_stand_still_together(scene: &Scene) {
    begin(scene).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table address (nr {key}, post {text} not null unique, tel {text})")).await;
    scene.target.user("insert into address (nr, post) values (500, 'nobody')").await;
    scene.target.user("delete from address").await;
    let second = "    source: customer\n    target: address\n    match: [email]\n    safety: mirror\n    fields: {email: post, phone: tel}\n";
    let (first, orders) =
        (format!("{}    safety: mirror", crate::scene::CUSTOMERS), format!("{}    safety: mirror", crate::scene::ORDERS));
    scene.link(&[("customers", &first), ("addresses", second), ("orders", &orders)]);
    scene.sync().await;
    let child = start(scene).await;
    scene.target.user("alter table address drop column tel").await;
    scene.source.user("update customer set phone = '6'").await;
    let stop = stands_still(scene, "addresses").await;
    assert!(stopped(scene, "customers").await.unwrap()["cause"].as_str().unwrap().contains("addresses"), "{stop}");
    scene.source.user("delete from orders where code = 'o-Cai'").await;
    orders_are_the_same(scene, "the third goes on").await;
    scene.source.user("delete from customer where name = 'Cai'").await;
    scene.customer("dee@x", "Dee").await;
    scene.source.user("update customer set phone = '7'").await;
    scene.target.user(&format!("alter table address add column tel {text}")).await;
    until("both go on", || async {
        rows(&scene.target, "select post, tel from address order by post").await == ["Ada@x|7", "Ben@x|7", "dee@x|7"]
            && rows(&scene.target, "select mail, telephone from contact order by mail").await == ["Ada@x|7", "Ben@x|7", "dee@x|7"]
    })
    .await;
    all_is_well(scene, child).await;
}

/// The scene's source, with a login of its own for the runs.
struct Login<'a> {
    scene: &'a Scene,
    name: String,
    /// The configuration of who may install.
    installer: Program,
}

impl<'a> Login<'a> {
    /// With the rights of docs/grants.md, table by table.
    async fn new(scene: &'a Scene) -> Login<'a> {
        let url = scene.source.url();
        let mut low = url::Url::parse(&url).unwrap();
        let database = low.path().trim_start_matches('/').to_owned();
        let name = format!("run_{}", database.trim_start_matches("twinrow_"));
        low.set_username(&name).unwrap();
        low.set_password(Some("S3cret-s3cret")).unwrap();
        let config = std::fs::read_to_string(scene.program.path("twinrow.yaml")).unwrap();
        let login = Login { scene, name, installer: Program::new(&config) };
        login.make(&database).await;
        scene.program.configure(&config.replace(&url, low.as_str()));
        login
    }

    fn postgres(&self) -> bool {
        self.scene.source.url().starts_with("postgres")
    }

    fn account(&self) -> String {
        if self.postgres() { self.name.clone() } else { format!("'{}'@'%'", self.name) }
    }

    async fn make(&self, database: &str) {
        let account = self.account();
        let mut statements = match self.postgres() {
            true => vec![
                format!("create role {account} login password 'S3cret-s3cret'"),
                format!("grant usage on schema twinrow to {account}"),
                format!("grant select, insert, update, delete on all tables in schema twinrow to {account}"),
            ],
            false => {
                let own = "select table_name from information_schema.tables where table_schema = database() and table_name like 'twinrow%'";
                let own = rows(&self.scene.source, own).await;
                let on = |table: &String| format!("grant select, insert, update, delete on `{database}`.{table} to {account}");
                let mut statements = vec![format!("create user {account} identified by 'S3cret-s3cret'")];
                statements.extend(own.iter().map(on));
                let routines = "select routine_name from information_schema.routines where routine_schema = database()";
                let routines = rows(&self.scene.source, routines).await;
                statements
                    .extend(routines.iter().map(|name| format!("grant execute on procedure `{database}`.{name} to {account}")));
                statements
                    .extend(["customer", "orders"].map(|table| format!("grant trigger on `{database}`.{table} to {account}")));
                statements
            }
        };
        statements
            .extend(["customer", "orders"].map(|table| format!("grant select, insert, update, delete on {table} to {account}")));
        for statement in statements {
            self.scene.source.user(&statement).await;
        }
    }

    async fn drop(self) {
        let account = self.account();
        if self.postgres() {
            self.scene.source.user(&format!("drop owned by {account}; drop role {account}")).await;
        } else {
            self.scene.source.user(&format!("drop user {account}")).await;
        }
    }
}

pub async fn a17_without_the_rights_to_repair_only_the_link_stops(scene: &Scene) {
    begin(scene).await;
    let login = Login::new(scene).await;
    scene.sync().await;
    let child = start(scene).await;
    scene.source.damage("orders", Damage::TriggerDropped).await;
    let stop = stands_still(scene, "orders").await;
    assert!(stop["cause"].as_str().unwrap().contains("trigger"), "{stop}");
    assert!(stop["next"].as_str().unwrap().contains("twinrow install"), "{stop}");
    assert!(scene.program.log().contains("twinrow install"), "{}", scene.program.log());
    customers_go_on(scene, "one").await;
    change_orders(scene, "orders", "unseen").await;
    scene.source.user("update orders set cents = 77 where code = 'o-Ben'").await;
    scene.target.user("update deal set amount = 88 where ref = 'o-Cai'").await;
    customers_go_on(scene, "two").await;
    login.installer.run(&["install"]).await.code(0);
    orders_are_the_same(scene, "repaired").await;
    let [source, _] = orders(scene).await;
    for row in ["o-Ben|Ben@x|77", "o-Cai|Cai@x|88", "unseen|Cai@x|7"] {
        assert!(source.contains(&row.to_owned()), "{source:?}");
    }
    change_orders(scene, "orders", "seen").await;
    all_is_well(scene, child).await;
    login.drop().await;
}

pub async fn a78_a_right_that_is_taken_away_stops_only_its_link(scene: &Scene) {
    begin(scene).await;
    let login = Login::new(scene).await;
    scene.sync().await;
    let child = start(scene).await;
    let account = login.account();
    for right in ["select", "update", "insert"] {
        scene.source.user(&format!("revoke {right} on orders from {account}")).await;
        // Something of both sides to be read and written.
        change_orders(scene, "orders", &format!("no {right}")).await;
        scene.target.user("update deal set amount = amount + 1000 where ref = 'o-Cai'").await;
        let sql = format!(
            "insert into deal (ref, contact_no, amount) select 'deal {right}', contact_no, 3 from contact where full_name = 'Ben'"
        );
        scene.target.user(&sql).await;
        let stop = stands_still(scene, "orders").await;
        assert!(!stop["cause"].as_str().unwrap().is_empty(), "{stop}");
        customers_go_on(scene, right).await;
        scene.source.user(&format!("grant {right} on orders to {account}")).await;
        orders_are_the_same(scene, right).await;
        let count = rows(&scene.source, "select count(*) from orders where code like 'gone%'").await;
        assert_eq!(count, ["1"], "nothing is taken for gone");
        until("it goes on", || async { stopped(scene, "orders").await.is_none() }).await;
    }
    all_is_well(scene, child).await;
    login.drop().await;
}
