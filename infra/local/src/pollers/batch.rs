//! What a function's answer says of a batch.

use std::collections::BTreeSet;

use serde_json::Value;

/// The verdict over a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every record is done.
    Done,
    /// These records (by id) failed, the others are done.
    Failed(BTreeSet<String>),
    /// Nothing is done.
    AllFailed,
}

/// Reads the answer as Lambda does with `ReportBatchItemFailures`: an absent, null or empty list
/// is success; an answer that is no JSON, or an item without a known id, fails the whole batch.
pub(super) fn verdict(answer: &[u8], ids: &BTreeSet<String>) -> Verdict {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Verdict::Done;
    }
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return Verdict::AllFailed;
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Verdict::Done,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Verdict::AllFailed,
    };
    let mut failed = BTreeSet::new();
    for failure in failures {
        match failure["itemIdentifier"]
            .as_str()
            .filter(|id| ids.contains(*id))
        {
            Some(id) => failed.insert(id.to_owned()),
            None => return Verdict::AllFailed,
        };
    }
    if failed.is_empty() {
        Verdict::Done
    } else {
        Verdict::Failed(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let ids: BTreeSet<String> = ["a", "b"].map(str::to_owned).into();
        let failed =
            |ids: &[&str]| Verdict::Failed(ids.iter().map(|id| (*id).to_owned()).collect());
        for (answer, expected) in [
            ("", Verdict::Done),
            ("null", Verdict::Done),
            ("{}", Verdict::Done),
            (r#"{"batchItemFailures": []}"#, Verdict::Done),
            (r#"{"batchItemFailures": null}"#, Verdict::Done),
            (
                r#"{"batchItemFailures": [{"itemIdentifier": "a"}]}"#,
                failed(&["a"]),
            ),
            (
                r#"{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]}"#,
                failed(&["a", "b"]),
            ),
            (
                r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#,
                Verdict::AllFailed,
            ),
            (
                r#"{"batchItemFailures": [{"itemIdentifier": null}]}"#,
                Verdict::AllFailed,
            ),
            (
                r#"{"batchItemFailures": [{"identifier": "a"}]}"#,
                Verdict::AllFailed,
            ),
            (
                r#"{"batchItemFailures": [{"itemIdentifier": "c"}]}"#,
                Verdict::AllFailed,
            ),
            (r#"{"batchItemFailures": 1}"#, Verdict::AllFailed),
            ("not json", Verdict::AllFailed),
        ] {
            assert_eq!(verdict(answer.as_bytes(), &ids), expected, "{answer}");
        }
    }
}
