//! More than fits into a page cache, in one write transaction.

use crate::scene::{Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    a71_a_large_batch_is_written_at_once,
}

scenarios! { sqlite_rollback:
    a71_a_large_batch_is_written_at_once,
}

const PAPERS: &str = "
    source: paper
    target: sheet
    match: [code]
    fields: {code: code, body: body, pages: pages}
";

/// In rollback-journal mode a writer whose cache overflows locks out every reader: our own, too.
pub async fn a71_a_large_batch_is_written_at_once(scene: &Scene) {
    // Numbers that are given out again: the log is asked about each one.
    let columns = "(id integer primary key, code text not null, body text, pages integer)";
    scene.source.user(&format!("create table paper {columns}")).await;
    scene.target.user(&format!("create table sheet {columns}")).await;
    scene.link(&[("papers", PAPERS)]);
    let many = "with recursive c (n) as (select 1 union all select n + 1 from c where n < 3001) \
                insert into paper (code, body) select n, hex(zeroblob(1000)) from c";
    scene.source.user(many).await;
    scene.source.user("insert into paper (code, body) values ('large', hex(zeroblob(2500000)))").await;
    assert_eq!(scene.sync().await.of("papers", "created_target"), 3002);
    let sizes = "select length(body), count(*) from sheet group by 1 order by 1";
    assert_eq!(rows(&scene.target, sizes).await, ["2000|3001", "5000000|1"]);
    scene.source.user("update paper set pages = 2").await;
    assert_eq!(scene.sync().await.of("papers", "updated_target"), 3002);
    scene.quiet().await;
}
