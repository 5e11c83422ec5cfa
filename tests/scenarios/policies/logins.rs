//! What `check` says of a login and of a URL.

use crate::scene::{Scene, scenarios};

scenarios! { postgres_mysql:
    a63_check_names_the_rights_a_login_lacks,
    a_url_that_leads_nowhere_is_named_as_the_cause,
    a_url_for_another_kind_of_server_is_named,
    a63_a_login_that_may_not_connect_is_told_what_to_grant,
    a79_a_view_and_a_partition_are_named_as_what_they_are,
    check_names_keys_that_can_not_follow,
    the_status_says_that_ours_is_gone,
    a_password_comes_from_the_environment_or_a_file,
}

scenarios! { mysql_postgres: a_password_comes_from_the_environment_or_a_file, }
scenarios! { mariadb_postgres:
    a_password_comes_from_the_environment_or_a_file,
    a_url_for_another_kind_of_server_is_named,
}

/// The scene's configuration with something else in it.
fn with(scene: &Scene, from: &str, to: &str) {
    let config = std::fs::read_to_string(scene.program.path("twinrow.yaml")).unwrap();
    assert!(config.contains(from));
    scene.program.configure(&config.replace(from, to));
}

pub async fn a63_check_names_the_rights_a_login_lacks(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    let url = scene.source.url();
    let mut low = url::Url::parse(&url).unwrap();
    let user = format!("low_{}", low.path().trim_start_matches('/'));
    low.set_username(&user).unwrap();
    low.set_password(Some("secret")).unwrap();
    let grants = format!("grant select on customer to {user}; grant insert, update on customer to {user}");
    scene.source.user(&format!("create role {user} login password 'secret'")).await;
    with(scene, &url, low.as_str());
    let check = || scene.program.run(&["check"]);
    let lacks = |text: &str, right: &str| text.contains(&format!("problem: shop: this login lacks {right}"));
    let done = check().await.code(1);
    for right in ["SELECT", "INSERT", "UPDATE", "DELETE", "ownership"] {
        assert!(lacks(&done.out, &format!("{right} on public.customer")), "{right}: {}", done.out);
    }
    assert!(lacks(&done.out, "CREATE on database"), "{}", done.out);
    assert!(!done.out.contains("public.orders"), "of linked tables only: {}", done.out);
    assert!(done.err.contains("docs/grants.md"), "{}", done.err);

    with(scene, low.as_str(), &url);
    scene.sync().await;
    scene
        .source
        .user(&format!("{grants}; grant usage on schema twinrow to {user}; grant all on all tables in schema twinrow to {user}"))
        .await;
    with(scene, &url, low.as_str());
    let done = check().await.code(1);
    assert!(lacks(&done.out, "DELETE on public.customer") && done.out.matches("lacks").count() == 1, "{}", done.out);
    scene.source.user(&format!("grant delete on customer to {user}")).await;
    assert!(check().await.code(0).out.ends_with("ok\n"));

    // A policy would hide rows, which are not to look deleted.
    scene.source.user("alter table customer enable row level security").await;
    let done = check().await.code(1);
    let bypass = format!("BYPASSRLS, as row-level security is on for public.customer: alter role {user} bypassrls");
    assert!(lacks(&done.out, &bypass), "{}", done.out);
    scene.source.user("alter table customer disable row level security").await;
    // New rows draw from it, though the key does not.
    scene.source.user("create sequence tickets").await;
    scene.source.user("alter table customer add column ticket bigint default nextval('tickets')").await;
    let done = check().await.code(1);
    let draw = format!("USAGE on sequence public.tickets: grant usage on sequence public.tickets to {user}");
    assert!(lacks(&done.out, &draw), "{}", done.out);
    scene.source.user(&format!("grant usage on sequence tickets to {user}")).await;
    assert!(check().await.code(0).out.ends_with("ok\n"));
    // Our own tables: that is no matter of installing.
    scene.source.user(&format!("revoke usage on schema twinrow from {user}")).await;
    assert!(lacks(&check().await.code(1).out, &format!("USAGE on schema twinrow: grant usage on schema twinrow to {user}")));
    let run = scene.program.run(&["run", "--once"]).await.code(1);
    assert!(run.err.ends_with("next:  grant what this names: twinrow check\n"), "{}", run.err);
    scene.source.user(&format!("drop owned by {user}; drop role {user}")).await;
}

pub async fn a_url_that_leads_nowhere_is_named_as_the_cause(scene: &Scene) {
    scene.customers("").await;
    for (endpoint, url) in [("shop", scene.source.url()), ("crm", scene.target.url())] {
        let change = |what: &dyn Fn(&mut url::Url)| {
            let mut other = url::Url::parse(&url).unwrap();
            what(&mut other);
            other.to_string()
        };
        let elsewhere = [
            (change(&|url| url.set_username("nobody_knows").unwrap()), "correct the user or the password in the URL"),
            (change(&|url| url.set_path("nowhere")), "correct the name of the database in the URL"),
            (change(&|url| url.set_port(Some(1)).unwrap()), "see that the server runs"),
        ];
        for (other, hint) in elsewhere {
            with(scene, &url, &other);
            let done = scene.refused(&["check"], 1).await;
            assert!(done.err.contains(&format!("endpoint {endpoint}")) && done.err.contains(hint), "{hint}: {}", done.err);
            with(scene, &other, &url);
        }
    }
}

/// Characters that mean something in a URL are no trouble; a wrong password is told from one that is missing.
pub async fn a_password_comes_from_the_environment_or_a_file(scene: &Scene) {
    let secret = "p@ss/w:rd ${x}#%";
    scene.customers("").await;
    let user = format!("user_{}", database(&scene.source.url()));
    for lab in [&scene.source, &scene.target] {
        create_login(lab, &user, secret).await;
    }
    let written = std::fs::read_to_string(scene.program.path("twinrow.yaml")).unwrap();
    let as_user = |url: String, password: &str| {
        let host = url.split_once('@').unwrap().1;
        let scheme = url.split_once("://").unwrap().0;
        format!("{scheme}://{user}:{password}@{host}")
    };
    for from_file in ["shop", "crm"] {
        let place = |endpoint: &str| if endpoint == from_file { "${file:secret}" } else { "${TWINROW_TEST_PASSWORD}" };
        let config = written
            .replace(&scene.source.url(), &as_user(scene.source.url(), place("shop")))
            .replace(&scene.target.url(), &as_user(scene.target.url(), place("crm")));
        scene.program.configure(&config);
        std::fs::write(scene.program.path("secret"), format!("{secret}\n")).unwrap();
        let check = async |password: &str| scene.program.run_with(&[("TWINROW_TEST_PASSWORD", password)], &["check"]).await;
        // Connected: what it finds fault with, if anything, are rights.
        let good = check(secret).await;
        assert!(good.out.contains("shop") && !good.err.contains("endpoint"), "{good:?}");
        let missing = scene.refused(&["check"], 2).await;
        assert!(missing.err.contains("TWINROW_TEST_PASSWORD"), "{missing:?}");
        let wrong = check("wrong").await.code(1);
        assert!(wrong.err.contains("correct the user or the password in the URL"), "{wrong:?}");
        std::fs::write(scene.program.path("secret"), "wrong").unwrap();
        let wrong = check(secret).await.code(1);
        assert!(wrong.err.contains(&format!("endpoint {from_file}")), "{wrong:?}");
        assert!(!wrong.err.contains(secret) && !good.out.contains(secret), "{wrong:?}");
    }
    for lab in [&scene.source, &scene.target] {
        let drop = if lab.url().starts_with("postgres") {
            format!("drop owned by {user}; drop role {user}")
        } else {
            format!("drop user '{user}'@'%'")
        };
        lab.user(&drop).await;
    }
}

fn database(url: &str) -> String {
    url::Url::parse(url).unwrap().path().trim_start_matches('/').to_owned()
}

async fn create_login(lab: &std::sync::Arc<dyn crate::support::Lab>, user: &str, password: &str) {
    if lab.url().starts_with("postgres") {
        let grants = "grant select, insert, update, delete on all tables in schema public";
        lab.user(&format!("create role {user} login password '{password}'; {grants} to {user}")).await;
    } else {
        lab.user(&format!("create user '{user}'@'%' identified by '{password}'")).await;
        lab.user(&format!("grant all on `{}`.* to '{user}'@'%'", database(&lab.url()))).await;
    }
}

pub async fn a79_a_view_and_a_partition_are_named_as_what_they_are(scene: &Scene) {
    scene.source.user("create table event (id bigint primary key, name text) partition by range (id)").await;
    scene.source.user("create table event_1 partition of event for values from (0) to (100)").await;
    scene.source.user("create view event_names as select id, name from event").await;
    scene.target.user("create table event (id bigint primary key, name varchar(90))").await;
    for (table, why) in [("event_1", "it is a partition: link the table it is part of"), ("event_names", "it is a view")] {
        let link = format!("    source: {table}\n    target: event\n    keys: copy\n    fields: {{name: name}}");
        scene.link(&[("events", &link)]);
        let refused = scene.refused(&["check"], 1).await;
        assert!(refused.err.contains(&format!("table `public.{table}` can't be synced: {why}")), "{}", refused.err);
        assert!(refused.err.ends_with("next:  change the table, or name another one, then: twinrow check\n"), "{}", refused.err);
    }
}

pub async fn check_names_keys_that_can_not_follow(scene: &Scene) {
    scene.source.user("create table item (id bigint generated always as identity primary key, name text)").await;
    scene.target.user("create table item (id bigint primary key, name varchar(90))").await;
    let link = |keys: &str| format!("    source: item\n    target: item\n{keys}    fields: {{name: name}}");
    scene.link(&[("items", &link("    keys: copy\n"))]);
    let warned = scene.program.run(&["check"]).await.code(0);
    let fixed = "warning: shop: public.item.id is GENERATED ALWAYS: a record whose key changes on the other side is held";
    assert!(warned.out.contains(fixed), "{}", warned.out);
    scene.source.user("alter table item alter column id set generated by default").await;
    let quiet = scene.program.run(&["check"]).await.code(0);
    assert!(!quiet.out.contains("GENERATED"), "{}", quiet.out);
}

/// A neighbour has removed everything of Twinrow's in one database.
pub async fn the_status_says_that_ours_is_gone(scene: &Scene) {
    scene.customers("").await;
    scene.sync().await;
    scene.source.user("drop schema twinrow cascade").await;
    let status = scene.program.run(&["status"]).await.code(0);
    let refused = "REFUSED: endpoint shop: this is not the database the state was built with";
    assert!(status.out.contains(refused), "{}", status.out);
    assert!(status.out.contains("shop: Twinrow's own tables are gone there; next: twinrow check"), "{}", status.out);
}

pub async fn a_url_for_another_kind_of_server_is_named(scene: &Scene) {
    scene.customers("").await;
    for lab in [&scene.source, &scene.target] {
        let url = lab.url();
        let (scheme, rest) = url.split_once("://").unwrap();
        let (found, is, other) = match scheme {
            "mysql" => ("MySQL or MariaDB", "mysql", "postgres"),
            _ => ("PostgreSQL", "postgres", "mysql"),
        };
        let wrong = format!("{other}://{rest}");
        with(scene, &url, &wrong);
        for args in [&["check"][..], &["run", "--once"], &["run"]] {
            let done = scene.refused(args, 2).await;
            let named = done.err.contains(&format!(" answers {found}, which this URL is not for"));
            assert!(named && done.err.contains(&format!("begin the URL of this endpoint with {is}://")), "{}", done.err);
        }
        with(scene, &wrong, &url);
    }
}

pub async fn a63_a_login_that_may_not_connect_is_told_what_to_grant(scene: &Scene) {
    scene.customers("").await;
    let url = scene.source.url();
    let mut low = url::Url::parse(&url).unwrap();
    let database = low.path().trim_start_matches('/').to_owned();
    let user = format!("low_{database}");
    low.set_username(&user).unwrap();
    low.set_password(Some("secret")).unwrap();
    scene.source.user(&format!("create role {user} login password 'secret'")).await;
    scene.source.user(&format!("revoke connect on database {database} from public")).await;
    with(scene, &url, low.as_str());
    let done = scene.program.run(&["check"]).await.code(1);
    let grant = format!("grant connect on database {database} to {user}");
    assert!(done.err.contains(&format!("next:  {grant} ")), "{}", done.err);
    scene.source.user(&grant).await;
    let done = scene.program.run(&["check"]).await.code(1);
    assert!(done.out.contains("lacks SELECT on public.customer: grant select on public.customer to"), "{}", done.out);
    scene.source.user(&format!("drop owned by {user}; drop role {user}")).await;
}
