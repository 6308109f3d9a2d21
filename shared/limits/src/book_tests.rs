use platforms::LimitOf;
use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn limit(name: &'static str, rule: Rule) -> Limit {
    Limit {
        name,
        of: LimitOf::Account,
        rule,
        codes: &[],
    }
}

fn window(calls: u32) -> Limit {
    limit("window", Rule::Window { calls, per: MINUTE })
}

fn ask(id: &str, at: i64) -> Ask<'_> {
    Ask {
        id,
        account: id,
        now: Timestamp::from_millis(at),
    }
}

/// 0 for now, else the milliseconds until when.
fn given(given: Given) -> i64 {
    match given {
        Given::Now => 0,
        Given::Later(at, _) => at.millis(),
    }
}

#[test]
fn a_window_gives_places_one_after_the_other() {
    let mut books = Books::default();
    let limits = [window(2)];
    let mut at = |id: &str, now| given(books.reserve(&limits, ask(id, now)));
    assert_eq!((at("a", 1_000), at("b", 2_000)), (0, 0));
    // The third waits for the first to leave the window, the fourth for the second, the fifth for the
    // third's place.
    assert_eq!(at("c", 3_000), 62_000);
    assert_eq!(at("d", 3_000), 63_000);
    assert_eq!(at("e", 3_000), 123_000);
    // Asked again, each has its place.
    assert_eq!((at("c", 4_000), at("d", 4_000)), (62_000, 63_000));
    // It comes a little late and calls; nobody may call within the margin of it.
    assert_eq!(at("c", 62_500), 0);
    assert_eq!(at("d", 63_000), 0);
    assert_eq!(at("e", 123_000), 123_500);
    assert_eq!(at("e", 123_500), 0);
}

#[test]
fn a_place_that_nobody_comes_for_is_free_again() {
    let mut books = Books::default();
    let limits = [window(1)];
    let mut at = |id: &str, now| given(books.reserve(&limits, ask(id, now)));
    assert_eq!(at("a", 0), 0);
    assert_eq!(at("dead", 0), 61_000);
    assert_eq!(at("b", 1_000), 122_000);
    assert_eq!(at("c", 61_000 + HELD_FOR + 62_000), 0);
}

#[test]
fn several_limits_are_taken_together_or_not_at_all() {
    let mut books = Books::default();
    let daily = limit("daily", Rule::Window { calls: 1, per: DAY });
    let both = [window(5), daily];
    assert_eq!(given(books.reserve(&both, ask("a", 0))), 0);
    let before = books.clone();
    let later = books.reserve(&both, ask("b", 10));
    let Given::Later(at, by) = later else {
        panic!("{later:?}")
    };
    assert_eq!((at.millis(), by.name), (86_401_000, "daily"));
    // Nothing was counted as made.
    assert_eq!(
        books.account.0["window"].calls,
        before.account.0["window"].calls
    );
}

#[test]
fn an_account_counts_once_in_a_day() {
    let mut books = Books::default();
    let users = limit("users", Rule::Accounts { most: 2, per: DAY });
    let mut at = |account: &str, now| given(books.reserve(&[users], ask(account, now)));
    assert_eq!((at("a", 0), at("b", 1_000), at("a", 2_000)), (0, 0, 0));
    // `a` called last at 2 s, `b` at 1 s.
    assert_eq!(at("c", 3_000), 86_402_000);
    assert_eq!(at("b", 4_000), 0);
    assert_eq!(at("c", 86_403_001), 0);
}

#[test]
fn what_is_open_is_released() {
    let mut books = Books::default();
    let open = limit("open", Rule::Open { most: 2, per: DAY });
    let at = |books: &mut Books, id: &str| given(books.reserve(&[open], ask(id, 0)));
    assert_eq!((at(&mut books, "a"), at(&mut books, "b")), (0, 0));
    assert_eq!(at(&mut books, "a"), 0, "it is open already");
    assert_eq!(at(&mut books, "c"), 86_401_000);
    books.close(&open, Timestamp::from_secs(500_000));
    assert!(books.release(&open, "a") && !books.release(&open, "a"));
    assert_eq!(at(&mut books, "c"), 0);
}

#[test]
fn a_bucket_allows_a_burst_and_then_the_average() {
    let mut books = Books::default();
    let bucket = limit(
        "bucket",
        Rule::Bucket {
            calls: 3,
            per: MINUTE,
        },
    );
    let mut at = |id: &str, now| given(books.reserve(&[bucket], ask(id, now)));
    assert_eq!((at("a", 0), at("b", 0), at("c", 0)), (0, 0, 0));
    assert_eq!((at("d", 0), at("e", 0)), (20_000, 40_000));
    assert_eq!((at("d", 20_000), at("e", 40_000)), (0, 0));
    assert_eq!(at("f", 40_000), 60_000);
}

#[test]
fn the_platforms_word_closes_a_limit() {
    let mut books = Books::default();
    books.close(&window(5), Timestamp::from_secs(30));
    assert_eq!(given(books.reserve(&[window(5)], ask("a", 0))), 30_000);
    assert_eq!(given(books.reserve(&[window(5)], ask("a", 30_000))), 0);
}

#[test]
fn a_book_survives_being_written_down() {
    let mut books = Books::default();
    books.reserve(&[window(1)], ask("a", 5));
    books.reserve(&[window(1)], ask("b", 6));
    let text = serde_json::to_string(&books.account).unwrap();
    assert_eq!(text, r#"{"window":{"c":[5],"h":[["b",61005]]}}"#);
    assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), books.account);
    assert!(!books.account.is_empty() && Book::default().is_empty());
}

proptest! {
    /// However callers come, come late or never, no span ever holds more calls than allowed, and
    /// whoever keeps coming when told gets to call.
    #[test]
    fn no_span_holds_too_many(
        calls in 1_u32..6,
        steps in prop::collection::vec((0_usize..12, 0_i64..30_000, any::<bool>()), 1..200),
    ) {
        let mut books = Books::default();
        let limits = [window(calls)];
        let mut now = 0;
        let mut made: Vec<i64> = Vec::new();
        let names: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        for (who, pause, comes_back) in steps {
            now += pause;
            if let Given::Later(at, _) = books.reserve(&limits, ask(&names[who], now)) {
                prop_assert!(at.millis() > now);
                if comes_back {
                    now = at.millis();
                    let mut tries = 0;
                    while let Given::Later(at, _) = books.reserve(&limits, ask(&names[who], now)) {
                        now = at.millis();
                        tries += 1;
                        prop_assert!(tries < 20);
                    }
                    made.push(now);
                }
            } else {
                made.push(now);
            }
            for end in &made {
                let count = made.iter().filter(|call| **call > end - 60_000 && *call <= end).count();
                prop_assert!(count <= calls as usize);
            }
        }
    }
}
