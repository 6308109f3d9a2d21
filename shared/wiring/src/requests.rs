//! Erasures and exports.

use lambda::Env;
use lambda::variables::{self as var, Variable};
use requests::erase::{DeadLetters, Eraser, Kind};
use requests::export::Exporter;
use requests::{ERASURE, EXPORT, Objects, Queue, erase, export};
use store::erasure::Tables;
use store::{Accounts, Archive, Connections, Deliveries, Flows, Targets, Tasks};

use crate::Wiring;

/// The table of each noun of `store::erasure::RULES` and of `store::archive::SECTIONS`.
const TABLES: &[(&str, &Variable)] = &[
    ("users", &var::TABLE_USERS),
    ("sessions", &var::TABLE_SESSIONS),
    ("flows", &var::TABLE_FLOWS),
    ("connections", &var::TABLE_CONNECTIONS),
    ("media", &var::TABLE_MEDIA),
    ("posts", &var::TABLE_POSTS),
    ("targets", &var::TABLE_TARGETS),
    ("deliveries", &var::TABLE_DELIVERIES),
    ("events", &var::TABLE_EVENTS),
    ("event_messages", &var::TABLE_EVENT_MESSAGES),
    ("event_lanes", &var::TABLE_EVENT_LANES),
    ("mails", &var::TABLE_MAILS),
    ("audit", &var::TABLE_AUDIT),
    ("revocations", &var::TABLE_REVOCATIONS),
    ("limits", &var::TABLE_LIMITS),
    ("snapshots", &var::TABLE_SNAPSHOTS),
    ("figures", &var::TABLE_FIGURES),
    ("sync_logs", &var::TABLE_SYNC_LOGS),
    ("media_items", &var::TABLE_MEDIA_ITEMS),
    ("comments", &var::TABLE_COMMENTS),
    ("fans", &var::TABLE_FANS),
    ("messages", &var::TABLE_MESSAGES),
    ("analytics_events", &var::TABLE_ANALYTICS_EVENTS),
    ("jobs", &var::TABLE_JOBS),
];

/// The dead letters that may name somebody.
const LETTERS: &[(Kind, &Variable)] = &[
    (Kind::Plain, &var::QUEUE_REFRESH_DEAD),
    (Kind::Rescue, &var::QUEUE_RESCUE_DEAD),
    (Kind::Publish, &var::QUEUE_PUBLISH_DEAD),
    (Kind::Webhook, &var::QUEUE_WEBHOOK_DEAD),
    (Kind::Plain, &var::QUEUE_INSIGHTS_DEAD),
    (Kind::Lane, &var::QUEUE_EVENTS_DEAD),
];

fn table(env: &Env, noun: &str) -> String {
    let found = TABLES.iter().find(|(name, _)| *name == noun);
    found
        .map(|(_, variable)| env.text(variable))
        .unwrap_or_default()
}

impl Wiring {
    /// Where erasures are asked for and looked at.
    pub fn erasures(&self, env: &Env) -> erase::Desk {
        erase::Desk::new(
            self.tasks(env, ERASURE),
            self.audit_table(env),
            self.data_requests(env),
            self.clock.clone(),
            self.entropy.clone(),
        )
    }

    /// Where exports are asked for and looked at.
    pub fn exports(&self, env: &Env) -> export::Desk {
        export::Desk::new(
            self.tasks(env, EXPORT),
            self.objects(env),
            self.data_requests(env),
            self.clock.clone(),
            self.entropy.clone(),
        )
    }

    /// What erases users.
    pub fn eraser(&self, env: &Env) -> Result<Eraser, lambda::Error> {
        let db = || self.dynamodb();
        let queues = LETTERS.iter();
        let queues = queues.map(|(kind, variable)| (*kind, env.text(variable)));
        let mails = env.optional(&var::QUEUE_MAILS_DEAD);
        let queues = queues.chain(mails.map(|url| (Kind::Plain, url)));
        Ok(Eraser {
            desk: self.erasures(env),
            tables: Tables::new(&db(), |noun| table(env, noun)),
            accounts: Accounts::new(db(), env.text(&var::TABLE_ACCOUNTS)),
            flows: Flows::new(db(), table(env, "flows")),
            tokens: self.tokens(env)?,
            limiter: self.limiter(env),
            objects: self
                .objects(env)
                .with_bodies(env.text(&var::DELIVERIES_BUCKET)),
            letters: DeadLetters::new(
                self.sqs(),
                queues.collect(),
                Targets::new(db(), table(env, "targets")),
                Deliveries::new(db(), table(env, "deliveries")),
            ),
            settle: env.seconds(&var::ERASURE_SETTLE_SECONDS),
        })
    }

    /// What exports users.
    pub fn exporter(&self, env: &Env) -> Exporter {
        Exporter {
            desk: self.exports(env),
            archive: Archive::new(&self.dynamodb(), |noun| table(env, noun)),
            connections: Connections::new(self.dynamodb(), table(env, "connections")),
            accounts: Accounts::new(self.dynamodb(), env.text(&var::TABLE_ACCOUNTS)),
        }
    }

    fn tasks(&self, env: &Env, kind: &'static str) -> Tasks {
        Tasks::new(self.dynamodb(), env.text(&var::TABLE_JOBS), kind)
    }

    fn data_requests(&self, env: &Env) -> Queue {
        Queue::new(self.sqs(), env.text(&var::QUEUE_DATA_REQUESTS))
    }

    fn objects(&self, env: &Env) -> Objects {
        Objects::new(self.s3(), env.text(&var::MEDIA_BUCKET))
    }
}

#[cfg(test)]
mod tests {
    use store::archive::{SECTIONS, TARGETS};
    use store::erasure::RULES;

    use super::*;

    #[test]
    fn every_noun_has_its_table() {
        let erased = RULES.iter().map(|rule| rule.noun);
        let shown = SECTIONS.iter().chain([&TARGETS]).map(|one| one.name);
        for noun in erased.chain(shown) {
            assert!(TABLES.iter().any(|(name, _)| *name == noun), "{noun}");
        }
    }
}
