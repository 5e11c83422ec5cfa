//! Several integrations over the same databases.

use std::sync::Arc;

use crate::program::{Done, Program};
use crate::scene::{Scene, rows, scenarios};
use crate::support::{Lab, sqlite};

scenarios! { sqlite_sqlite:
    rule21_two_integrations_over_the_same_tables_are_refused,
    rule21_a_ring_of_three_integrations_is_refused,
    rule21_a_table_is_not_linked_with_itself,
}

scenarios! { postgres_mysql:
    rule21_two_integrations_over_the_same_tables_are_refused,
    rule21_a_ring_of_three_integrations_is_refused,
}

scenarios! { mariadb_postgres:
    rule21_two_integrations_over_the_same_tables_are_refused,
}

scenarios! { postgres18_postgres18: rule21_a_table_is_not_linked_with_itself }
scenarios! { mysql_mysql: rule21_a_table_is_not_linked_with_itself }
scenarios! { mariadb_mariadb: rule21_a_table_is_not_linked_with_itself }

async fn people(lab: &Arc<dyn Lab>) {
    let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
    for table in ["people", "staff"] {
        lab.user(&format!("create table {table} (id {key}, name {text})")).await;
    }
}

/// An integration of two tables, without a match.
fn integration(name: &str, source: (&Arc<dyn Lab>, &str), target: (&Arc<dyn Lab>, &str)) -> Program {
    Program::new(&configuration(name, [&source.0.url(), &target.0.url()], &[("all", source.1, target.1)]))
}

fn configuration(name: &str, [source, target]: [&str; 2], links: &[(&str, &str, &str)]) -> String {
    let links = links.iter().map(|(name, source, target)| {
        format!("  {name}:\n    source: {source}\n    target: {target}\n    fields: {{name: name}}\n")
    });
    format!(
        "integration: {name}\nendpoints:\n  one: {{url: \"{source}\"}}\n  two: {{url: \"{target}\"}}\nsource: one\ntarget: two\n\
         first_sync: auto\nlinks:\n{}",
        links.collect::<String>()
    )
}

async fn run(program: &Program, code: i32) -> Done {
    program.run(&["run", "--once"]).await.code(code)
}

async fn count(lab: &Arc<dyn Lab>) -> Vec<String> {
    rows(lab, "select count(*) from people").await
}

/// Without a match every run of either would create what the other created.
pub async fn rule21_two_integrations_over_the_same_tables_are_refused(scene: &Scene) {
    let (a, b) = (&scene.source, &scene.target);
    people(a).await;
    people(b).await;
    a.user("insert into people (name) values ('Ada')").await;
    let first = integration("first", (a, "people"), (b, "people"));
    run(&first, 0).await;
    for (source, target) in [(a, b), (b, a)] {
        let second = integration("second", (source, "people"), (target, "people"));
        for _ in 0..2 {
            let refused = run(&second, 2).await.err;
            assert!(refused.contains("link `all` is on the same two tables as link `all` of integration `first`"), "{refused}");
            assert!(refused.contains("twinrow uninstall"), "{refused}");
            assert!(second.run(&["check"]).await.code(2).err.contains("`first`"));
        }
    }
    run(&first, 0).await;
    assert_eq!([count(a).await, count(b).await], [["1"], ["1"]]);
    // Other tables of the same two databases, and the same once the first has left.
    run(&integration("third", (a, "staff"), (b, "staff")), 0).await;
    first.run(&["uninstall"]).await.code(0);
    a.user("delete from people").await;
    run(&integration("second", (a, "people"), (b, "people")), 0).await;
    assert!(run(&integration("fourth", (a, "people"), (b, "people")), 2).await.err.contains("`second`"));
}

/// A star and a chain are none.
pub async fn rule21_a_ring_of_three_integrations_is_refused(scene: &Scene) {
    let (a, b, c) = (&scene.source, &scene.target, &sqlite::lab().await.unwrap());
    for lab in [a, b, c] {
        people(lab).await;
    }
    a.user("insert into people (name) values ('Ada')").await;
    let (ab, bc) = (integration("ab", (a, "people"), (b, "people")), integration("bc", (b, "people"), (c, "people")));
    let ca = integration("ca", (c, "people"), (a, "people"));
    run(&ab, 0).await;
    run(&bc, 0).await;
    let refused = run(&ca, 2).await.err;
    assert!(refused.contains("link `all` closes a ring"), "{refused}");
    assert!(refused.contains("integration `ab`") && refused.contains("integration `bc`"), "{refused}");
    for program in [&ab, &bc, &ab, &bc] {
        run(program, 0).await;
    }
    assert_eq!([count(a).await, count(b).await, count(c).await], [["1"], ["1"], ["1"]]);
    run(&integration("star", (a, "people"), (c, "staff")), 0).await;
    // One that no longer links them is no part of a ring, wherever that is still written down.
    std::fs::copy(integration("ab", (a, "staff"), (b, "staff")).path("twinrow.yaml"), ab.path("twinrow.yaml")).unwrap();
    run(&ab, 0).await;
    run(&ca, 0).await;
    c.close().await;
}

/// The same database by another name: a link to the file, another name of the host.
fn another_name(url: &str, program: &Program) -> String {
    let Some(file) = url.strip_prefix("sqlite:") else { return url.replace("127.0.0.1", "localhost") };
    let link = program.path("link.db");
    std::os::unix::fs::symlink(file, &link).unwrap();
    format!("sqlite:{}", link.display())
}

/// A URL that was copied twice, or one database under two names: every run would create what the run before created.
pub async fn rule21_a_table_is_not_linked_with_itself(scene: &Scene) {
    let (a, b) = (&scene.source, &scene.target);
    people(a).await;
    people(b).await;
    a.user("insert into people (name) values ('Ada')").await;
    let before = a.catalog().await;
    let program = Program::new("");
    let url = a.url();
    for other in [url.clone(), another_name(&url, &program)] {
        program.configure(&configuration("itself", [&url, &other], &[("all", "people", "people")]));
        for args in [&["check"][..], &["plan"], &["install"], &["run", "--once", "--approve"]] {
            let refused = program.run(args).await.code(2).err;
            assert!(refused.contains("twinrow.yaml:9:3: link `all` links table `"), "{refused}");
            assert!(refused.contains("with itself") && refused.contains("next:  give endpoint `two` the URL"), "{refused}");
        }
        // Two links over two tables, each the other way round than the other.
        program.configure(&configuration("ring", [&url, &other], &[("all", "people", "staff"), ("back", "staff", "people")]));
        let refused = program.run(&["check"]).await.code(2).err;
        assert!(refused.contains("links `all` and `back` are on the same two tables"), "{refused}");
        let (source, target) = (format!("one={url}"), format!("two={other}"));
        let refused = program.run(&["init", "--force", "--source", &source, "--target", &target]).await.code(2).err;
        assert!(refused.contains("`one` and `two` lead to the same database"), "{refused}");
    }
    assert_eq!(a.catalog().await, before, "nothing is written");
    // Two tables of one database are two, and so is one name in two databases, be they of one server.
    run(&integration("inside", (a, "people"), (a, "staff")), 0).await;
    run(&integration("between", (a, "people"), (b, "people")), 0).await;
    assert_eq!([count(a).await, count(b).await, rows(a, "select count(*) from staff").await], [["1"], ["1"], ["1"]]);
}
