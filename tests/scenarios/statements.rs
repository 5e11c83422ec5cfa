//! Statements are counted where they arrive, on the servers: a drain takes a few for each batch, never one for
//! each record.

use std::sync::Arc;

use crate::program::Program;
use crate::scene::Counts;
use crate::support::{Lab, mysql::MysqlLab, postgres, skip};

const ROWS: u64 = 10_000;
/// The pipeline's batch.
const BATCHES: u64 = ROWS / 2_000;
/// What a run does once, whatever it finds: connecting, taking over, looking after the tracking objects.
const ONCE: u64 = 280;
/// What a batch may take on one server, transactions and savepoints counted.
const PER_BATCH: u64 = 30;

/// A server that tells how many statements of Twinrow's it has executed.
struct Counting {
    lab: Arc<dyn Lab>,
    url: String,
    count: String,
}

impl Counting {
    /// PostgreSQL with pg_stat_statements, which counts what a client sends; a database has its own count.
    async fn postgres(variable: &str) -> Result<Counting, String> {
        let lab = postgres::lab(variable).await?;
        let count = "select coalesce(sum(calls), 0) from pg_stat_statements \
                     where dbid = (select oid from pg_database where datname = current_database())";
        lab.user("create extension pg_stat_statements").await;
        if let Err(reason) = lab.try_user(count).await {
            lab.close().await;
            return Err(format!("{variable}: {reason}"));
        }
        Ok(Counting { url: lab.url(), lab, count: count.into() })
    }

    /// MySQL and MariaDB count by user; MariaDB also what triggers do inside, so it is a source here.
    async fn mysql(variable: &str) -> Result<Counting, String> {
        let lab = MysqlLab::new(variable).await?;
        let user = lab.name.clone();
        lab.user(&format!("create user {user}@'%' identified by 'counted'")).await;
        lab.user(&format!("grant all on *.* to {user}@'%' with grant option")).await;
        let count = if lab.try_user("set global userstat = 1").await.is_ok() {
            format!(
                "select coalesce(sum(select_commands + update_commands + other_commands), 0) \
                 from information_schema.user_statistics where user = '{user}'"
            )
        } else {
            // Without what triggers and procedures do inside.
            format!(
                "select coalesce(sum(count_star), 0) from performance_schema.events_statements_summary_by_user_by_event_name \
                 where user = '{user}' and event_name not like 'statement/sp/%'"
            )
        };
        Ok(Counting { url: lab.url_as(&user, "counted"), lab: Arc::new(lab), count })
    }

    async fn counted(&self) -> u64 {
        let rows = self.lab.user_rows(&self.count).await;
        rows[0][0].as_deref().and_then(|count| count.parse().ok()).unwrap()
    }

    async fn close(self) {
        if let Ok(url) = url::Url::parse(&self.url)
            && self.url.starts_with("mysql")
        {
            self.lab.user(&format!("drop user {}@'%'", url.username())).await;
        }
        self.lab.close().await;
    }
}

/// Values `from` to `to` for an insert that every engine takes.
fn values(from: u64, to: u64) -> String {
    (from..=to).map(|n| format!("('c{n}@example.com', 'Customer {n}')")).collect::<Vec<_>>().join(", ")
}

async fn drains(test: &str, source: Result<Counting, String>, target: Result<Counting, String>) {
    let (source, target) = match (source, target) {
        (Ok(source), Ok(target)) => (source, target),
        (Err(reason), other) | (other, Err(reason)) => {
            if let Ok(server) = other {
                server.close().await;
            }
            return skip(test, &reason);
        }
    };
    let create = |lab: &Arc<dyn Lab>, name: &str, key: &str| {
        let (kind, text) = (lab.dialect().generated_key, lab.dialect().text);
        format!("create table {name} ({key} {kind}, email {text} not null unique, name {text})")
    };
    source.lab.user(&create(&source.lab, "customer", "id")).await;
    target.lab.user(&create(&target.lab, "contact", "contact_no")).await;
    let program = Program::new(&format!(
        "integration: counted\nendpoints:\n  shop: {{url: \"{}\"}}\n  crm: {{url: \"{}\"}}\nsource: shop\ntarget: crm\nfirst_sync: auto\n\
         links:\n  customers:\n    source: customer\n    target: contact\n    match: [email]\n    fields: {{email: email, name: name}}\n",
        source.url, target.url
    ));
    let run = async || Counts(program.run(&["run", "--once", "--json"]).await.code(0).json());
    run().await;
    for low in (1..=ROWS).step_by(1000) {
        source.lab.user(&format!("insert into customer (email, name) values {}", values(low, low + 999))).await;
    }
    let mut told = Vec::new();
    for kind in ["created_target", "updated_target"] {
        if kind == "updated_target" {
            source.lab.user("update customer set name = concat(name, '!')").await;
        }
        let before = (source.counted().await, target.counted().await);
        let counts = run().await;
        let (ours, theirs) = (source.counted().await - before.0, target.counted().await - before.1);
        assert_eq!(counts.of("customers", kind), ROWS);
        told.push((kind, ours, theirs));
    }
    println!("{test}: statements for {ROWS} rows, source and target: {told:?}");
    source.close().await;
    target.close().await;
    for (kind, ours, theirs) in told {
        let most = ONCE + BATCHES * PER_BATCH;
        assert!(ours > BATCHES && theirs > BATCHES, "{kind}: the count counts nothing: {ours}, {theirs}");
        assert!(
            ours <= most && theirs <= most,
            "{kind}: {ours} statements on the source, {theirs} on the target, at most {most}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_few_a_batch_postgres_postgres() {
    let source = Counting::postgres("TWINROW_TEST_POSTGRES15").await;
    let target = Counting::postgres("TWINROW_TEST_POSTGRES18").await;
    drains("statements_are_few_a_batch_postgres_postgres", source, target).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_few_a_batch_mariadb_mysql() {
    let source = Counting::mysql("TWINROW_TEST_MARIADB").await;
    let target = Counting::mysql("TWINROW_TEST_MYSQL").await;
    drains("statements_are_few_a_batch_mariadb_mysql", source, target).await;
}
