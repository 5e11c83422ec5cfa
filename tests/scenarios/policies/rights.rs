//! Logins of MySQL and MariaDB that have the rights docs/grants.md lists, and logins that lack one of them.

use crate::program::Done;
use crate::scene::{CUSTOMERS, Scene, rows, scenarios};

scenarios! { mysql_sqlite:
    a69_who_may_not_remove_all_removes_nothing,
    s2_the_documented_rights_suffice_and_each_is_needed_to_install,
    s2_the_documented_rights_suffice_and_each_is_needed_to_run,
    a13_a_cascade_that_is_hidden_is_named,
    a36_a_definer_that_is_gone_or_stripped_is_named,
    a36_rights_by_way_of_a_role_never_stop_the_application,
}

scenarios! { mariadb_sqlite:
    a69_who_may_not_remove_all_removes_nothing,
    s2_the_documented_rights_suffice_and_each_is_needed_to_install,
    s2_the_documented_rights_suffice_and_each_is_needed_to_run,
    a13_a_cascade_that_is_hidden_is_named,
    a36_a_definer_that_is_gone_or_stripped_is_named,
    a36_rights_by_way_of_a_role_never_stop_the_application,
}

const PASSWORD: &str = "S3cret-s3cret";

/// A login of the source's, and the configuration with it in the administrator's place.
struct Login<'a> {
    scene: &'a Scene,
    account: String,
    as_admin: String,
    as_login: String,
}

impl Login<'_> {
    async fn new<'a>(scene: &'a Scene, name: &str) -> Login<'a> {
        let as_admin = scene.source.url();
        let mut url = url::Url::parse(&as_admin).unwrap();
        let name = format!("{name}_{}", url.path().trim_start_matches('/'));
        url.set_username(&name).unwrap();
        url.set_password(Some(PASSWORD)).unwrap();
        scene.source.user(&format!("create user {name} identified by '{PASSWORD}'")).await;
        Login { scene, account: format!("'{name}'@'%'"), as_admin, as_login: url.to_string() }
    }

    fn turn(&self, from: &str, to: &str) {
        let path = self.scene.program.path("twinrow.yaml");
        let config = std::fs::read_to_string(&path).unwrap();
        self.scene.program.configure(&config.replace(from, to));
    }

    /// A command of this login's.
    async fn run(&self, args: &[&str]) -> Done {
        self.turn(&self.as_admin, &self.as_login);
        let done = self.scene.program.run(args).await;
        self.turn(&self.as_login, &self.as_admin);
        done
    }

    async fn admin(&self, args: &[&str]) -> Done {
        self.scene.program.run(args).await
    }

    async fn grant(&self, rights: &[&str], on: &str) {
        self.scene.source.user(&format!("grant {} on {on} to {}", rights.join(", "), self.account)).await;
    }

    async fn revoke(&self, right: &str, on: &str) {
        self.scene.source.user(&format!("revoke {right} on {on} from {}", self.account)).await;
    }

    /// Runs the statements that `check` prints.
    async fn obey(&self, done: &Done) {
        for problem in done.out.lines().filter(|line| line.starts_with("problem: ")) {
            let (_, statement) = problem.split_once(": grant ").unwrap();
            let statement = statement.split(", or: ").next().unwrap();
            self.scene.source.user(&format!("grant {statement}")).await;
        }
    }

    /// `check` names this right and no other, and the statement it prints is enough.
    async fn check_names(&self, right: &str) {
        let done = self.run(&["check"]).await.code(1);
        let problems: Vec<&str> = done.out.lines().filter(|line| line.starts_with("problem: ")).collect();
        let named = |line: &&str| line.starts_with(&format!("problem: shop: this login lacks {} on ", right.to_uppercase()));
        assert!(!problems.is_empty() && problems.iter().all(named), "{right}: {problems:#?} {}", done.err);
        self.obey(&done).await;
        let done = self.run(&["check"]).await.code(0);
        assert!(done.out.ends_with("ok\n"), "{}", done.out);
    }

    async fn close(&self) {
        self.scene.source.user(&format!("drop user {}", self.account)).await;
    }
}

async fn is_mariadb(scene: &Scene) -> bool {
    rows(&scene.source, "select version()").await[0].contains("MariaDB")
}

/// State and log in the source: all of Twinrow's own tables.
async fn customers(scene: &Scene, more: &str) -> String {
    scene.customers("").await;
    scene.configure("state: shop\nfirst_sync: auto", &[("customers", &format!("{CUSTOMERS}{more}"))]);
    let url = url::Url::parse(&scene.source.url()).unwrap();
    format!("`{}`.*", url.path().trim_start_matches('/').replace('_', "\\_"))
}

pub async fn s2_the_documented_rights_suffice_and_each_is_needed_to_install(scene: &Scene) {
    let on = customers(scene, "").await;
    let login = Login::new(scene, "dba").await;
    let mut rights = vec!["select", "insert", "update", "delete", "create", "alter", "drop", "trigger"];
    if is_mariadb(scene).await {
        rights.push("create routine");
    }
    login.grant(&["super"], "*.*").await;
    login.grant(&rights, &on).await;
    for right in ["super"].into_iter().chain(rights) {
        let at = if right == "super" { "*.*" } else { &on };
        login.revoke(right, at).await;
        let installed = login.run(&["install"]).await;
        if right == "drop" {
            // Only what takes tables away needs it.
            installed.code(0);
            login.run(&["uninstall", "--all", "--yes"]).await.code(1);
        } else {
            let refused = installed.code(1);
            assert!(refused.err.contains("docs/grants.md"), "{right}: {}", refused.err);
        }
        // The application is none the wiser.
        scene.source.user("insert into customer (email) values ('a@x')").await;
        scene.source.user("delete from customer").await;
        login.admin(&["uninstall", "--all", "--yes"]).await.code(0);
        login.check_names(right).await;
    }
    login.run(&["install"]).await.code(0);
    login.run(&["uninstall", "--all", "--yes"]).await.code(0);
    login.close().await;
}

pub async fn s2_the_documented_rights_suffice_and_each_is_needed_to_run(scene: &Scene) {
    let on = customers(scene, "    safety: mirror").await;
    let login = Login::new(scene, "runner").await;
    login.admin(&["install"]).await.code(0);
    let mut rights = vec!["select", "insert", "update", "delete", "trigger"];
    if is_mariadb(scene).await {
        rights.push("execute");
    }
    // Whoever has no right on anything is not even let into the database.
    for args in [&["check"][..], &["run", "--once"]] {
        let shut_out = login.run(args).await.code(1);
        let first = shut_out.err.lines().find(|line| line.starts_with("error: ")).unwrap().to_owned();
        assert!(rights.iter().all(|right| first.contains(&right.to_uppercase())) && first.contains(&on), "{first}");
        assert!(shut_out.err.contains("docs/grants.md"), "{}", shut_out.err);
        if args == ["run", "--once"] {
            scene.source.user(&format!("grant {}", first.split_once(": grant ").unwrap().1)).await;
        }
    }
    login.run(&["check"]).await.code(0);
    scene.customer("a@x", "Ada").await;
    scene.contact("b@x", "Ben").await;
    login.run(&["run", "--once"]).await.code(0);
    assert_eq!(rows(&scene.source, "select email, name from customer order by email").await, ["a@x|Ada", "b@x|Ben"]);
    for right in rights {
        login.revoke(right, &on).await;
        let denied = login.run(&["run", "--once", "--take-over"]).await.code(1);
        if right == "update" {
            let named = denied.err.contains("error: endpoint shop: ") && denied.err.contains(": UPDATE on ");
            let ours = named && denied.err.contains("twinrow_lease");
            assert!(ours && denied.err.contains("next:  twinrow check   # names"), "{}", denied.err);
        }
        login.check_names(right).await;
        login.run(&["run", "--once", "--take-over"]).await.code(0);
    }
    // Deletes travel to it.
    scene.target.user("delete from contact where mail = 'a@x'").await;
    login.run(&["run", "--once", "--take-over"]).await.code(0);
    assert_eq!(rows(&scene.source, "select email from customer").await, ["b@x"]);
    login.close().await;
}

/// Of a table a login has no right on, the server tells nothing: neither that it is there nor what it refers to.
pub async fn a13_a_cascade_that_is_hidden_is_named(scene: &Scene) {
    let on = customers(scene, "    safety: mirror").await;
    let parent = "foreign key (customer_id) references customer (id) on delete cascade";
    scene.source.user(&format!("create table hidden (id int primary key, customer_id bigint, {parent})")).await;
    let login = Login::new(scene, "narrow").await;
    login.admin(&["install"]).await.code(0);
    let database = on.trim_end_matches(".*").replace('\\', "");
    for table in rows(&scene.source, "select table_name from information_schema.tables where table_schema = database()").await {
        if table == "customer" || table.starts_with("twinrow_") {
            login.grant(&["select", "insert", "update", "delete", "trigger"], &format!("{database}.`{table}`")).await;
        }
    }
    if is_mariadb(scene).await {
        login.grant(&["execute"], &on).await;
    }
    let done = login.run(&["check"]).await.code(0);
    let warned = |done: &Done| done.out.contains("warning: shop: a table this login has no right on may refer to customer");
    assert!(warned(&done), "{}", done.out);
    login.grant(&["process"], "*.*").await;
    let done = login.run(&["check"]).await.code(1);
    assert!(!warned(&done), "{}", done.out);
    assert!(done.out.contains(&format!("problem: shop: this login lacks SELECT on {database}.`hidden`: ")), "{}", done.out);
    login.check_names("select").await;
    login.close().await;
}

/// An account that is dropped, or has a right taken away: the application can't write any more.
pub async fn a36_a_definer_that_is_gone_or_stripped_is_named(scene: &Scene) {
    let on = customers(scene, "").await;
    let login = Login::new(scene, "leaver").await;
    login.grant(&["super"], "*.*").await;
    login.grant(&["all privileges"], &on).await;
    login.run(&["install"]).await.code(0);
    login.close().await;
    let write = "insert into customer (email) values ('a@x')";
    assert!(scene.source.try_user(write).await.is_err());
    let done = login.admin(&["check"]).await.code(1);
    let gone = format!("problem: shop: {}, which the triggers run as, is missing: the application can't write", login.account);
    assert!(done.out.contains(&gone), "{}", done.out);
    login.admin(&["install"]).await.code(0);
    scene.source.user(write).await;
    assert!(login.admin(&["check"]).await.code(0).out.ends_with("ok\n"));

    let definer =
        "select distinct substring_index(definer, '@', 1) from information_schema.triggers where trigger_schema = database()";
    let account = format!("'{}'@'localhost'", rows(&scene.source, definer).await[0]);
    let log = rows(&scene.source, "select log from twinrow_collection").await.remove(0);
    let (right, on) = if is_mariadb(scene).await { ("execute", format!("procedure {log}")) } else { ("insert", log) };
    scene.source.user(&format!("revoke {right} on {on} from {account}")).await;
    assert!(scene.source.try_user("insert into customer (email) values ('b@x')").await.is_err());
    let done = login.admin(&["check"]).await.code(1);
    let problem = done.out.lines().find(|line| line.starts_with("problem: ")).unwrap();
    assert!(problem.contains(&format!("{account}, which the triggers run as")), "{problem}");
    scene.source.user(&format!("grant {}", problem.split_once(": grant ").unwrap().1)).await;
    scene.customer("b@x", "Ben").await;
    assert!(login.admin(&["check"]).await.code(0).out.ends_with("ok\n"));
}

/// A trigger runs with the rights of its definer's own, and not with those of its roles.
pub async fn a36_rights_by_way_of_a_role_never_stop_the_application(scene: &Scene) {
    let on = customers(scene, "").await;
    let login = Login::new(scene, "member").await;
    let role = login.account.split('\'').nth(1).unwrap().replace("member", "role");
    scene.source.user(&format!("create role {role}")).await;
    scene.source.user(&format!("grant all privileges on {on} to {role}")).await;
    scene.source.user(&format!("grant {role} to {}", login.account)).await;
    login.grant(&["super"], "*.*").await;
    let word = if is_mariadb(scene).await { "for" } else { "to" };
    scene.source.user(&format!("set default role {role} {word} {}", login.account)).await;
    let refused = login.run(&["install"]).await.code(1);
    assert!(refused.err.contains("TRIGGER") && refused.err.contains("not by a role"), "{}", refused.err);
    let done = login.run(&["check"]).await.code(1);
    assert!(done.out.contains("not by a role"), "{}", done.out);
    scene.customer("b@x", "Ben").await;
    login.obey(&done).await;
    login.run(&["install"]).await.code(0);
    scene.customer("a@x", "Ada").await;
    login.run(&["run", "--once"]).await.code(0);
    assert_eq!(rows(&scene.target, "select mail from contact order by mail").await, ["a@x", "b@x"]);
    login.close().await;
    scene.source.user(&format!("drop role {role}")).await;
}

/// With the triggers gone and the log there, nothing would be captured any more, and nobody would know.
pub async fn a69_who_may_not_remove_all_removes_nothing(scene: &Scene) {
    let on = customers(scene, "    safety: mirror").await;
    let login = Login::new(scene, "runner").await;
    scene.sync().await;
    login.grant(&["select", "insert", "update", "delete", "trigger"], &on).await;
    if is_mariadb(scene).await {
        login.grant(&["execute"], &on).await;
    }
    for args in [&["uninstall"][..], &["uninstall", "--all", "--yes"]] {
        let done = login.run(args).await.code(1);
        assert!(done.err.contains("this login lacks DROP on "), "{}", done.err);
        assert!(done.err.contains(": grant drop on ") && done.err.contains(&login.account), "{}", done.err);
        scene.customer(&format!("{}@x", args.len()), "Ann").await;
        scene.sync().await;
        assert_eq!(rows(&scene.target, "select count(*) from contact").await, [if args.len() == 1 { "1" } else { "2" }]);
    }
    // What it names is enough, but for the account the triggers ran as: it is locked, and does nothing any more.
    login.grant(&["drop"], &on).await;
    if is_mariadb(scene).await {
        let done = login.run(&["uninstall"]).await.code(1);
        assert!(done.err.contains("lacks ALTER ROUTINE on ") && done.err.contains("lacks SUPER on *.*"), "{}", done.err);
        login.grant(&["alter routine"], &on).await;
        login.grant(&["super"], "*.*").await;
    }
    login.run(&["uninstall", "--all", "--yes"]).await.code(0);
    let left = scene.source.catalog().await;
    let account = |object: &String| object.starts_with("account ") || object.starts_with("grants of ");
    assert!(left.iter().all(|object| account(object) || !object.contains("twinrow")), "{left:?}");
    login.close().await;
}
