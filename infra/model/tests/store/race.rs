//! The race of webhooks, syncs and imports at its full size.

use crate::desk::Desk;
use crate::records::race;

#[tokio::test]
async fn ten_thousand_records_race_to_one_state() {
    race(&Desk::new("records-race-10000"), 77, 10_000).await;
}
