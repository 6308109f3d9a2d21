//! One part of an archive.

use serde_json::Value;
use store::archive::{Of, SECTIONS, Section, TARGETS};

use super::{Export, Exporter, PART, Place, Seen};
use crate::{Pace, RequestsError};

/// Targets of one post; there are fewer.
const TARGETS_OF_POST: i32 = 100;
/// Posts of one page, each with its targets.
const POSTS: i32 = 25;

impl Exporter {
    /// The next part, and whether it is the last one. Moves the place on.
    pub(super) async fn part(
        &self,
        work: &mut Export,
        pace: &Pace,
    ) -> Result<(Vec<u8>, bool), RequestsError> {
        let mut bytes = Vec::with_capacity(PART + PART / 4);
        if work.parts.is_empty() {
            let now = self.desk.chain.now().rfc3339();
            bytes.extend_from_slice(head(&now).as_bytes());
        }
        while bytes.len() < PART {
            let Some(section) = SECTIONS.get(work.place.section) else {
                bytes.push(b'}');
                return Ok((bytes, true));
            };
            self.rows(work, section, &mut bytes, pace.page).await?;
        }
        Ok((bytes, false))
    }

    /// Appends the next rows of a section, with its beginning and its end where they are.
    async fn rows(
        &self,
        work: &mut Export,
        section: &Section,
        bytes: &mut Vec<u8>,
        limit: i32,
    ) -> Result<(), RequestsError> {
        let place = work.place.clone();
        if place.value == 0 && place.after.is_none() {
            bytes.extend_from_slice(format!(",\"{}\":[", section.name).as_bytes());
        }
        let Some((value, until)) = value_of(work, section.of, place.value) else {
            bytes.push(b']');
            work.place = Place {
                section: place.section + 1,
                ..Place::default()
            };
            return Ok(());
        };
        let posts = section.name == "posts";
        let limit = if posts { limit.min(POSTS) } else { limit };
        let page = self
            .archive
            .page(section, &value, place.after.as_ref(), limit);
        let (rows, after) = page.await?;
        for mut row in rows {
            let seen_at = row["seen_at"].as_i64();
            if until.is_some_and(|until| seen_at.is_some_and(|seen| seen > until)) {
                continue;
            }
            if posts {
                row["targets"] = self.targets(&row["post_id"]).await?;
            }
            if work.place.filled {
                bytes.push(b',');
            }
            work.place.filled = true;
            serde_json::to_writer(&mut *bytes, &row).map_err(|_| RequestsError::Json)?;
        }
        work.place.after = after;
        if work.place.after.is_none() {
            work.place.value += 1;
        }
        Ok(())
    }

    async fn targets(&self, post: &Value) -> Result<Value, RequestsError> {
        let post = post.as_str().unwrap_or_default();
        let page = self.archive.page(&TARGETS, post, None, TARGETS_OF_POST);
        Ok(page.await?.0.into())
    }
}

/// How every archive begins; sections follow, each after a comma.
fn head(now: &str) -> String {
    format!("{{\"format\":\"passerelle.export\",\"version\":1,\"made_at\":\"{now}\"")
}

/// The value of a section's hash key at a place, and until when its records are the user's to see.
fn value_of(work: &Export, of: Of, at: usize) -> Option<(String, Option<i64>)> {
    match of {
        Of::User(before) => (at == 0).then(|| (format!("{before}{}", work.user_id), None)),
        Of::Connections => {
            let connection = work.connections.get(at)?;
            Some((connection.to_string(), None))
        }
        Of::Accounts => {
            let Seen { key, until } = work.accounts.get(at)?;
            Some((key.clone(), until.map(domain::Timestamp::millis)))
        }
    }
}
