//! Two applications, or two jobs, that answer each other in one field, each as soon as it sees what the other one wrote.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::process::Child;
use tokio::task::JoinHandle;

use crate::program::until;
use crate::scene::{Scene, rows, scenarios};
use crate::support::Lab;

scenarios! { sqlite_sqlite:
    b7_a_talk_of_sixty_answers_arrives_whole,
    b7_jobs_that_undo_each_other_are_held_and_let_go_again,
}

scenarios! { postgres_mysql:
    b7_a_talk_of_sixty_answers_arrives_whole,
    b7_jobs_that_undo_each_other_are_held_and_let_go_again,
}

/// One customer on both sides, and the process that keeps it the same.
async fn customer(scene: &Scene) -> Child {
    scene.customers("").await;
    scene.customer("a@x", "Ada").await;
    scene.sync().await;
    let child = scene.program.start(&["run"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    child
}

async fn says(lab: &Arc<dyn Lab>, column: &str, table: &str, word: &str) {
    lab.user(&format!("update {table} set {column} = '{word}'")).await;
}

async fn hears(lab: &Arc<dyn Lab>, column: &str, table: &str, word: &str) {
    until(&format!("{table} has {word}"), || async { rows(lab, &format!("select {column} from {table}")).await == [word] }).await;
}

/// However fast they are, each word arrives, and none is taken for a conflict.
pub async fn b7_a_talk_of_sixty_answers_arrives_whole(scene: &Scene) {
    let mut child = customer(scene).await;
    for n in 0..60 {
        says(&scene.source, "name", "customer", &format!("ask {n}")).await;
        hears(&scene.target, "full_name", "contact", &format!("ask {n}")).await;
        says(&scene.target, "full_name", "contact", &format!("done {n}")).await;
        hears(&scene.source, "name", "customer", &format!("done {n}")).await;
    }
    child.kill().await.unwrap();
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    assert_eq!((scene.held().await, scene.conflicts().await.len()), (vec![], 0));
    scene.quiet().await;
}

/// Jobs that each want a word of their own in the record, whoever wrote another one there. Not triggers: what a trigger makes
/// of our write is part of it.
struct Jobs {
    on: Arc<AtomicBool>,
    all: Vec<JoinHandle<()>>,
}

impl Jobs {
    fn start(scene: &Scene) -> Jobs {
        let on = Arc::new(AtomicBool::new(true));
        let sides = [(&scene.source, "name", "customer", "upper"), (&scene.target, "full_name", "contact", "lower")];
        let job = |(lab, column, table, word): (&Arc<dyn Lab>, &'static str, &'static str, &'static str)| {
            let (lab, on) = (lab.clone(), on.clone());
            tokio::spawn(async move {
                while on.load(Ordering::Relaxed) {
                    if rows(&lab, &format!("select {column} from {table}")).await != [word] {
                        says(&lab, column, table, word).await;
                    }
                    tokio::task::yield_now().await;
                }
            })
        };
        Jobs { on: on.clone(), all: sides.into_iter().map(job).collect() }
    }

    async fn end(self) {
        self.on.store(false, Ordering::Relaxed);
        for job in self.all {
            job.await.unwrap();
        }
    }
}

async fn until_held(scene: &Scene) {
    let cause = "name -> full_name comes back changed after every write, on both sides in turn: it goes on after a pause";
    until("it is held", || async { scene.held().await.iter().any(|one| one.starts_with("customers ") && one.ends_with(cause)) })
        .await;
}

/// Once nobody writes, the retry carries over what stands there; so does the next change of a user.
pub async fn b7_jobs_that_undo_each_other_are_held_and_let_go_again(scene: &Scene) {
    let mut child = customer(scene).await;
    let jobs = Jobs::start(scene);
    until_held(scene).await;
    jobs.end().await;
    scene.program.run(&["held", "retry"]).await.code(0);
    let both = || async {
        [
            rows(&scene.source, "select name, phone from customer").await,
            rows(&scene.target, "select full_name, telephone from contact").await,
        ]
    };
    let settled = |[source, target]: [Vec<String>; 2]| source == target;
    until("the retry settles it", || async { settled(both().await) && scene.held().await.is_empty() }).await;

    let jobs = Jobs::start(scene);
    until_held(scene).await;
    jobs.end().await;
    says(&scene.target, "telephone", "contact", "1").await;
    until("another field's change settles it", || async {
        let both = both().await;
        both[0][0].ends_with("|1") && settled(both) && scene.held().await.is_empty()
    })
    .await;
    says(&scene.source, "name", "customer", "Ada again").await;
    hears(&scene.target, "full_name", "contact", "Ada again").await;
    child.kill().await.unwrap();
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    assert_eq!(both().await, [["Ada again|1"]; 2]);
    scene.quiet().await;
}
