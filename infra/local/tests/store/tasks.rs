//! Tasks: one open for each subject, slices taken one after the other, by one at a time.

use domain::{Holder, JobId, Timestamp};
use store::tasks::{Opened, Taken};
use store::{Task, Tasks};

use crate::desk::{Desk, at};
use crate::ground::table;

fn task(desk: &Desk, work: &str) -> Task<String> {
    Task {
        job_id: JobId::new(at(0), &desk.entropy),
        open: true,
        slice: 0,
        work: work.to_owned(),
        holder: None,
        lease_until: Timestamp::default(),
        started_at: at(0),
        updated_at: at(0),
        expires_at: at(1_000),
    }
}

#[tokio::test]
async fn a_subject_has_one_open_task_and_a_slice_one_holder() {
    let desk = Desk::new("tasks");
    let tasks = Tasks::new(desk.client.clone(), table("jobs"), "test");
    let (one, two) = (task(&desk, "one"), task(&desk, "two"));
    let open = async |task: &Task<String>| {
        let opened = tasks.open(task, Some("tasks-subject"), desk.attempt());
        opened.await.unwrap()
    };
    assert_eq!(open(&one).await, Opened::New);
    assert_eq!(open(&two).await, Opened::Before(one.job_id.clone()));
    assert_eq!(tasks.get::<String>(&two.job_id, at(1)).await.unwrap(), None);

    let take = async |slice, now: Timestamp| -> Taken<String> {
        let (holder, attempt) = (desk.holder(), desk.attempt());
        let lease = (now, now.plus_secs(10));
        let taken = tasks.take(&one.job_id, slice, &holder, lease, &attempt);
        taken.await.unwrap()
    };
    let note = async |task: &Task<String>, holder: &Holder, keep: bool| {
        let attempt = desk.attempt();
        tasks.note(task, holder, keep, &attempt).await.unwrap()
    };
    assert_eq!(take(1, at(1)).await, Taken::NotYet, "not its turn");
    let Taken::Ours(mut mine) = take(0, at(1)).await else {
        panic!("it is free");
    };
    assert_eq!(take(0, at(2)).await, Taken::NotYet, "held");
    let holder = mine.holder.clone().unwrap();
    mine.work = "further".to_owned();
    mine.slice = 1;
    assert!(note(&mine, &holder, false).await);
    assert!(!note(&mine, &holder, false).await, "given back");
    assert_eq!(take(0, at(3)).await, Taken::Over, "done before");
    // A holder that dies leaves a lease that runs out.
    let Taken::Ours(dead) = take(1, at(3)).await else {
        panic!("it is free");
    };
    assert_eq!(dead.work, "further");
    let Taken::Ours(mut last) = take(1, at(30)).await else {
        panic!("its lease ran out");
    };
    let of_dead = dead.holder.clone().unwrap();
    assert!(!note(&dead, &of_dead, true).await, "another has it");

    // The pointer of another task stays.
    tasks.unpoint("tasks-subject", &two.job_id).await.unwrap();
    assert_eq!(open(&two).await, Opened::Before(one.job_id.clone()));
    tasks.unpoint("tasks-subject", &one.job_id).await.unwrap();
    last.open = false;
    let holder = last.holder.clone().unwrap();
    assert!(note(&last, &holder, false).await);
    assert_eq!(take(1, at(40)).await, Taken::Over);
    assert_eq!(open(&two).await, Opened::New);
    // Past its time it counts as absent.
    let found = tasks.get::<String>(&two.job_id, at(1_000)).await;
    assert_eq!(found.unwrap(), None);
}
