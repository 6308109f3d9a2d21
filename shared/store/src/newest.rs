//! Lists over many partitions, newest first. A list that everything of a table joins is spread over
//! the shards of `due`, since one partition takes some 1,000 writes a second; a reader merges them.
//!
//! The sort key of such a list is `<milliseconds, 13 digits>#<id>`: it sorts by time, no two rows
//! share it, and it is the cursor from which the list goes on.

use domain::Timestamp;
use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;

use crate::item::{self, Item, text};
use crate::{StoreError, Table};

/// Rows of one partition that are read at a time.
const PAGE: i32 = 100;
/// Pages of one partition that one call reads, however few rows are wanted out of them.
const MOST_PAGES: usize = 5;

/// The sort key of a row.
pub(crate) fn listed(at: Timestamp, id: &str) -> String {
    format!("{:013}#{id}", at.millis())
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where the list goes on; absent at its end. A page may be empty and go on: only so many rows
    /// are looked at for one page.
    pub next: Option<String>,
}

/// What is wanted of a list.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    /// The index, or the table itself.
    pub(crate) index: Option<&'a str>,
    /// The attribute of the partition, and the partitions.
    pub(crate) hash: &'a str,
    pub(crate) partitions: Vec<String>,
    /// The attribute of the sort key.
    pub(crate) sort: &'a str,
    /// Only what is older than this sort key.
    pub(crate) before: Option<&'a str>,
    /// Nothing older than this sort key.
    pub(crate) from: Option<&'a str>,
    /// At most so many rows.
    pub(crate) limit: usize,
}

/// What was read of one partition.
struct Part<T> {
    rows: Vec<(String, T)>,
    /// What is below this sort key was not looked at; `None` where nothing is left.
    reached: Option<String>,
}

impl Table {
    /// One page of the list. A row that this version cannot read, or that `keep` does not want, is
    /// passed over.
    pub(crate) async fn newest<T: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Listing<T>, StoreError> {
        let keep = &keep;
        let parts = ask
            .partitions
            .iter()
            .map(|partition| self.newest_of(ask, partition, keep));
        Ok(merged(try_join_all(parts).await?, ask.limit))
    }

    async fn newest_of<T: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        partition: &str,
        keep: &impl Fn(&T) -> bool,
    ) -> Result<Part<T>, StoreError> {
        let mut rows = Vec::new();
        let mut before = ask.before.map(str::to_owned);
        for _ in 0..MOST_PAGES {
            let (items, more) = self.page_before(ask, partition, before.as_deref()).await?;
            for item in items {
                let Some(sort) = sort_of(ask, &item).map(str::to_owned) else {
                    continue;
                };
                before = Some(sort.clone());
                if let Ok(row) = item::read::<T>(&self.name, item)
                    && keep(&row)
                {
                    rows.push((sort, row));
                }
            }
            if !more {
                return Ok(Part {
                    rows,
                    reached: None,
                });
            }
            if rows.len() > ask.limit {
                break;
            }
        }
        Ok(Part {
            rows,
            reached: before,
        })
    }

    async fn page_before(
        &self,
        ask: &Ask<'_>,
        partition: &str,
        before: Option<&str>,
    ) -> Result<(Vec<Item>, bool), StoreError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .set_index_name(ask.index.map(str::to_owned))
            .expression_attribute_names("#hash", ask.hash)
            .expression_attribute_values(":hash", text(partition))
            .scan_index_forward(false)
            .limit(PAGE);
        let mut condition = "#hash = :hash".to_owned();
        // A key condition bounds the sort key by one operator: BETWEEN takes its bounds in, so the
        // upper one is dropped below.
        match (ask.from, before) {
            (None, None) => {}
            (None, Some(_)) => condition.push_str(" AND #sort < :before"),
            (Some(_), None) => condition.push_str(" AND #sort >= :from"),
            (Some(from), Some(before)) if from >= before => return Ok((Vec::new(), false)),
            (Some(_), Some(_)) => condition.push_str(" AND #sort BETWEEN :from AND :before"),
        }
        if ask.from.is_some() || before.is_some() {
            query = query.expression_attribute_names("#sort", ask.sort);
        }
        for (name, bound) in [(":from", ask.from), (":before", before)] {
            if let Some(bound) = bound {
                query = query.expression_attribute_values(name, text(bound));
            }
        }
        let answer = query
            .key_condition_expression(condition)
            .send()
            .await
            .map_err(|error| StoreError::unavailable(&error))?;
        let more = answer.last_evaluated_key.is_some();
        let mut items = answer.items.unwrap_or_default();
        items.retain(|item| before.is_none_or(|before| sort_of(ask, item) != Some(before)));
        Ok((items, more))
    }
}

fn sort_of<'a>(ask: &Ask<'_>, item: &'a Item) -> Option<&'a str> {
    item.get(ask.sort)?.as_s().ok().map(String::as_str)
}

/// The newest rows of all partitions. Below the place that some partition was not read past, newer
/// rows may be missing: the page ends there.
fn merged<T>(parts: Vec<Part<T>>, limit: usize) -> Listing<T> {
    let floor = parts.iter().filter_map(|part| part.reached.clone()).max();
    let mut rows: Vec<(String, T)> = parts.into_iter().flat_map(|part| part.rows).collect();
    if let Some(floor) = &floor {
        rows.retain(|(sort, _)| sort >= floor);
    }
    rows.sort_by(|(one, _), (other, _)| other.cmp(one));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = match rows.last() {
        Some((last, _)) if more => Some(last.clone()),
        _ => floor,
    };
    Listing {
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rows: &[&str], reached: Option<&str>) -> Part<String> {
        Part {
            rows: rows
                .iter()
                .map(|row| ((*row).to_owned(), (*row).to_owned()))
                .collect(),
            reached: reached.map(str::to_owned),
        }
    }

    #[test]
    fn partitions_are_merged_and_nothing_is_passed_over() {
        for (parts, limit, rows, next) in [
            (vec![], 2, vec![], None),
            (
                vec![part(&["5", "3"], None), part(&["4"], None)],
                3,
                vec!["5", "4", "3"],
                None,
            ),
            (
                vec![part(&["5", "3"], None), part(&["4"], None)],
                2,
                vec!["5", "4"],
                Some("4"),
            ),
            // The second partition was read down to 6 only: 5 and 3 must wait for what lies below.
            (
                vec![part(&["7", "5", "3"], None), part(&["8"], Some("6"))],
                9,
                vec!["8", "7"],
                Some("6"),
            ),
            // Nothing that is wanted so far, and more to look at.
            (
                vec![part(&[], Some("6")), part(&["2"], None)],
                9,
                vec![],
                Some("6"),
            ),
            (vec![part(&["6"], Some("6"))], 9, vec!["6"], Some("6")),
        ] {
            let page = merged(parts, limit);
            assert_eq!(page.rows, rows);
            assert_eq!(page.next.as_deref(), next);
        }
    }

    #[test]
    fn sort_keys_sort_by_time() {
        let early = listed(Timestamp::from_millis(999_999), "z");
        let late = listed(Timestamp::from_millis(1_000_000), "a");
        assert!(early < late, "{early} {late}");
    }
}
