use platforms::{Counts, LimitOf};
use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn limit(name: &'static str, rule: Rule) -> Limit {
    Limit {
        name,
        of: LimitOf::Account,
        rule,
        counts: Counts::Effects,
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
    books.close(&open, Timestamp::from_secs(500_000), Timestamp::default());
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
    let until = Timestamp::from_secs(30);
    books.close(&window(5), until, Timestamp::default());
    // Said again, it is the same instant.
    books.close(&window(5), until, Timestamp::default());
    assert_eq!(given(books.reserve(&[window(5)], ask("a", 0))), 30_000);
    assert_eq!(given(books.reserve(&[window(5)], ask("a", 30_000))), 0);
}

/// What the platform clearly refused does not count: the place is free at once, and nobody else's is.
#[test]
fn a_refused_call_gives_its_places_back() {
    let daily = limit("daily", Rule::Window { calls: 2, per: DAY });
    let users = limit("users", Rule::Accounts { most: 1, per: DAY });
    let open = limit("open", Rule::Open { most: 1, per: DAY });
    let minute = Limit {
        counts: Counts::Calls,
        ..window(2)
    };
    let all = [daily, users, open, minute];
    let mut books = Books::default();
    assert_eq!(given(books.reserve(&all, ask("a", 1_000))), 0);
    let before = books.clone();
    assert!(books.give_back(&all, ask("a", 1_000)));
    // The minute's place stays taken: the platform counts every call there.
    let mut left = Books::default();
    left.reserve(&[minute], ask("a", 1_000));
    for limit in [daily, users, open] {
        left.of(&limit);
    }
    assert_eq!(books, left);
    assert!(!books.give_back(&all, ask("a", 1_000)), "only once");
    assert_eq!(
        given(books.reserve(&[daily, users, open], ask("b", 2_000))),
        0
    );
    // Another call's place is not touched, be it of the same account.
    let mut books = before;
    assert_eq!(given(books.reserve(&[daily, users], ask("a", 2_000))), 0);
    assert!(books.give_back(&[daily, users], ask("a", 2_000)));
    assert!(!books.give_back(&[daily, users], ask("a", 1_500)));
    assert!(!books.give_back(&[open], ask("b", 1_000)));
    assert_eq!(given(books.reserve(&[open], ask("b", 3_000))), 86_402_000);
    assert_eq!(given(books.reserve(&[users], ask("b", 3_000))), 86_402_000);
    assert_eq!(given(books.reserve(&[daily], ask("b", 3_000))), 0);
}

#[test]
fn a_bucket_takes_a_place_back() {
    let rule = Rule::Bucket {
        calls: 1,
        per: MINUTE,
    };
    let bucket = limit("bucket", rule);
    let mut books = Books::default();
    assert_eq!(given(books.reserve(&[bucket], ask("a", 0))), 0);
    assert!(books.give_back(&[bucket], ask("a", 0)));
    assert_eq!(given(books.reserve(&[bucket], ask("b", 0))), 0);
    assert_eq!(given(books.reserve(&[bucket], ask("c", 0))), 60_000);
}

/// The same account's calls are kept, so that a refusal takes away its own alone; not without end.
#[test]
fn an_account_keeps_few_of_its_calls() {
    let users = limit("users", Rule::Accounts { most: 2, per: DAY });
    let mut books = Books::default();
    for at in 0..1_000 {
        assert_eq!(given(books.reserve(&[users], ask("a", at))), 0);
    }
    assert_eq!(books.account.0["users"].members.len(), KEPT_OF_ONE);
    assert_eq!(given(books.reserve(&[users], ask("b", 1_000))), 0);
    // `a` called last at 999 ms.
    assert_eq!(given(books.reserve(&[users], ask("c", 2_000))), 86_401_999);
}

/// What is open may end at any moment, so it is looked at again soon, and ever more rarely.
#[test]
fn a_limit_of_what_is_open_is_closed_ever_longer() {
    let open = limit("open", Rule::Open { most: 5, per: DAY });
    let minutes = |number: i64| number * 60_000;
    let mut books = Books::default();
    let mut now = 0;
    let close = |books: &mut Books, now: i64| {
        let until = Timestamp::from_millis(now + minutes(10));
        books.close(&open, until, Timestamp::from_millis(now));
        // Others were refused at the same moment.
        books.close(&open, until, Timestamp::from_millis(now + 50));
        match given(books.reserve(&[open], ask("x", now + 60))) {
            0 => 0,
            at => at - now,
        }
    };
    for pause in [10, 20, 40, 60, 60] {
        assert_eq!(close(&mut books, now), minutes(pause));
        now += minutes(pause);
        assert_eq!(given(books.reserve(&[open], ask("x", now))), 0);
        books.give_back(&[open], ask("x", now));
        now += 500;
    }
    // An hour without such a word, or one that ended: it begins anew.
    now += minutes(61);
    assert_eq!(close(&mut books, now), minutes(10));
    now += minutes(10);
    assert_eq!(close(&mut books, now), minutes(20));
    now += minutes(20);
    assert_eq!(given(books.reserve(&[open], ask("y", now))), 0);
    assert!(books.release(&open, "y"));
    assert_eq!(close(&mut books, now), minutes(10));
    // The platform's own instant is obeyed, however far.
    let far = Timestamp::from_millis(now + minutes(1_440));
    books.close(&open, far, Timestamp::from_millis(now));
    assert_eq!(given(books.reserve(&[open], ask("z", now))), far.millis());
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
