//! Samples of connections: together they are the table, and none is larger than asked.

use domain::{ConnectionStatus, Timestamp};
use store::connections::{Confirmed, Standing};

use crate::desk::{Desk, at, user};

const SEGMENTS: u32 = 5;

#[tokio::test]
async fn the_segments_are_the_table_each_connection_once() {
    let desk = Desk::of("token-refresh", "census");
    let mut instants = Vec::new();
    for number in 0..12 {
        // Other tests' connections change at whole seconds.
        let now = Timestamp::from_millis(at(60).millis() + 1 + number);
        let flow = desk.granted(&user(&format!("census-{number}"))).await;
        let done = desk.confirm(&flow, 0, now, desk.attempt()).await;
        assert_eq!(done, Confirmed::Done);
        instants.push(now);
    }
    let mut found = Vec::new();
    for segment in 0..SEGMENTS {
        let sample = desk.connections.sample(segment, SEGMENTS, 10_000).await;
        found.extend(sample.unwrap());
    }
    found.retain(|one: &Standing| instants.contains(&one.updated_at));
    found.sort_by_key(|one| one.updated_at);
    let seen: Vec<_> = found.iter().map(|one| one.updated_at).collect();
    assert_eq!(seen, instants);
    for one in &found {
        assert_eq!(one.status, ConnectionStatus::Active);
        assert_eq!((one.due_at, one.failures), (Some(at(3_600)), 0));
    }
    let few = desk.connections.sample(0, 1, 3).await.unwrap();
    assert_eq!(few.len(), 3);
    assert!(desk.connections.size().await.unwrap() >= 12);
}
