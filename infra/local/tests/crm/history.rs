//! A history of changes, given in any order, more than once, by several processes at the same time,
//! over sessions that break at any request, comes to its end.

use std::collections::BTreeMap;

use crm::{Change, Database, Difference, tables};
use domain::{Entropy, SeededEntropy};
use futures_util::future::join_all;
use local::postgres::Trouble;

use crate::ground::{Ground, change, rows_of};

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_be_bytes(bytes) % n as u64) as usize
    }

    fn shuffle<T>(&self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
    }
}

/// Changes of some posts in their order, and what they come to.
fn history(dice: &Dice, posts: u32, changes: usize) -> (Vec<Change>, Vec<(u32, String)>) {
    let (mut all, mut stands) = (Vec::new(), BTreeMap::new());
    for sequence in 1..=changes as u64 {
        let number = dice.below(posts as usize) as u32;
        if dice.below(4) == 0 && stands.remove(&number).is_some() {
            all.push(change(number, sequence, None));
            continue;
        }
        let text = format!("text {sequence}");
        all.push(change(number, sequence, Some(&text)));
        stands.insert(number, text);
    }
    (all, stands.into_iter().collect())
}

/// Batches of all changes, each in two of them.
fn batches(dice: &Dice, changes: &[Change]) -> Vec<Vec<Change>> {
    let mut twice: Vec<Change> = changes.iter().chain(changes).cloned().collect();
    dice.shuffle(&mut twice);
    let mut batches = Vec::new();
    while !twice.is_empty() {
        let size = 1 + dice.below(40.min(twice.len()));
        batches.push(twice.split_off(twice.len() - size));
    }
    batches
}

async fn until_taken(database: &Database, batch: &[Change]) -> u32 {
    let mut tries = 1;
    while let Err(error) = database.apply(batch.to_vec()).await {
        assert!(!error.is_the_rows_fault() && tries < 9, "{error:?}");
        tries += 1;
    }
    tries
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_and_any_overlap_come_to_the_same() {
    for seed in 0..6 {
        let ground = Ground::new().await;
        let dice = Dice(SeededEntropy::new(seed));
        let (changes, end) = history(&dice, 12, 300);
        let batches = batches(&dice, &changes);
        let databases: Vec<_> = (0..4).map(|_| ground.database()).collect();
        let work = databases.iter().enumerate().map(async |(at, database)| {
            for batch in batches.iter().skip(at).step_by(databases.len()) {
                until_taken(database, batch).await;
            }
        });
        join_all(work).await;
        let rows = rows_of(&end);
        let difference = databases[0]
            .difference(&tables::POSTS, &rows)
            .await
            .unwrap();
        assert_eq!(difference, Difference::default(), "seed {seed}");
        assert_eq!(ground.front.sticky(), None, "seed {seed}");
    }
}

/// Every request of a small story, cut before or after it was done, until none is left to cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_breaks_at_any_request_loses_and_doubles_nothing() {
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        let mut cuts = 0;
        loop {
            let ground = Ground::new().await;
            let database = ground.database();
            ground.front.script(cuts + 1, trouble);
            for batch in [
                vec![change(1, 1, Some("a")), change(2, 2, Some("b"))],
                vec![
                    change(1, 3, None),
                    change(2, 4, Some("c")),
                    change(3, 5, Some("d")),
                ],
            ] {
                until_taken(&database, &batch).await;
            }
            let end = [(2, "c".to_owned()), (3, "d".to_owned())];
            let difference = database
                .difference(&tables::POSTS, &rows_of(&end))
                .await
                .unwrap();
            assert_eq!(
                difference,
                Difference::default(),
                "{trouble:?} at {}",
                cuts + 1
            );
            let removed = "SELECT count(*)::text FROM passerelle.removed_items";
            assert_eq!(ground.texts(removed).await, ["1"]);
            if ground.front.pending() > 0 {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 10, "only {cuts} requests");
    }
}
