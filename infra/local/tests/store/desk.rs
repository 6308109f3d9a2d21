//! A desk with fresh ids for each test, on whatever ground lies under it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    Account, AttemptId, ConnectionId, Event, EventId, EventKind, Fault, FaultKind, FlowId, Holder,
    Platform, SeededEntropy, Timestamp, UserId,
};
use serde_json::json;
use store::connections::{Confirmed, Lifetime, NewTokens};
use store::flows::Grant;
use store::{
    Accounts, AuditTable, Connection, Connections, Deliveries, Events, FiguresTable, Flow, Flows,
    MediaTable, PendingRevocation, Platforms, Posts, Revocations, Sessions, Snapshots, SyncLogs,
    Targets, Users,
};
use vault::Sealed;

use crate::ground::{dynamodb, table};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The instant around which all tests happen; long past for the machine's own clock.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// So many seconds after [`NOW`].
pub(crate) const fn at(secs: i64) -> Timestamp {
    NOW.plus_secs(secs)
}

/// All tables, and a user, an account and ids that no other test has.
pub(crate) struct Desk {
    pub(crate) client: aws_sdk_dynamodb::Client,
    pub(crate) users: Users,
    pub(crate) sessions: Sessions,
    pub(crate) flows: Flows,
    pub(crate) connections: Connections,
    pub(crate) accounts: Accounts,
    pub(crate) media: MediaTable,
    pub(crate) posts: Posts,
    pub(crate) targets: Targets,
    pub(crate) deliveries: Deliveries,
    pub(crate) events: Events,
    pub(crate) audit: AuditTable,
    pub(crate) revocations: Revocations,
    pub(crate) platforms: Platforms,
    pub(crate) snapshots: Snapshots,
    pub(crate) figures: FiguresTable,
    pub(crate) logs: SyncLogs,
    pub(crate) user: UserId,
    pub(crate) account: Account,
    pub(crate) entropy: SeededEntropy,
}

impl Desk {
    /// The desk of the test of this name.
    pub(crate) fn new(test: &str) -> Self {
        Self::of("upload", test)
    }

    /// The same with another function's credentials.
    pub(crate) fn of(function: &str, test: &str) -> Self {
        let client = dynamodb(function);
        // Ids of two desks differ, even of one test's.
        let seed = format!("{function} {test}")
            .bytes()
            .fold(7_u64, |seed, byte| seed.wrapping_mul(131) ^ u64::from(byte));
        Self {
            users: Users::new(client.clone(), table("users")),
            sessions: Sessions::new(client.clone(), table("sessions")),
            flows: Flows::new(client.clone(), table("flows")),
            connections: Connections::new(client.clone(), table("connections")),
            accounts: Accounts::new(client.clone(), table("accounts")),
            media: MediaTable::new(client.clone(), table("media")),
            posts: Posts::new(client.clone(), table("posts")),
            targets: Targets::new(client.clone(), table("targets")),
            deliveries: Deliveries::new(client.clone(), table("deliveries")),
            events: Events::new(client.clone(), table("events")),
            audit: AuditTable::new(client.clone(), table("audit")),
            revocations: Revocations::new(client.clone(), table("revocations")),
            platforms: Platforms::new(client.clone(), table("platforms")),
            snapshots: Snapshots::new(client.clone(), table("snapshots")),
            figures: FiguresTable::new(client.clone(), table("figures")),
            logs: SyncLogs::new(client.clone(), table("SyncLogs")),
            user: user(&format!("user-{test}")),
            account: account(&format!("account-{test}")),
            entropy: SeededEntropy::new(seed),
            client,
        }
    }

    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::new(NOW, &self.entropy)
    }

    pub(crate) fn holder(&self) -> Holder {
        Holder::new(NOW, &self.entropy)
    }

    /// An item as DynamoDB has it.
    pub(crate) async fn item<const N: usize>(
        &self,
        noun: &str,
        key: [(&str, &str); N],
    ) -> Option<Item> {
        let mut get = self
            .client
            .get_item()
            .table_name(table(noun))
            .consistent_read(true);
        for (name, value) in key {
            get = get.key(name, AttributeValue::S(value.to_owned()));
        }
        get.send().await.unwrap().item
    }

    /// How many events of this kind were told of the user.
    pub(crate) async fn told(&self, user: &UserId, kind: EventKind) -> usize {
        let scan = self
            .client
            .scan()
            .table_name(table("events"))
            .filter_expression("user_id = :user AND kind = :kind")
            .expression_attribute_values(":user", AttributeValue::S(user.to_string()))
            .expression_attribute_values(":kind", AttributeValue::S(kind.as_str().to_owned()));
        // Other tests fill pages of the same table.
        let found = scan.into_paginator().items().send();
        found.collect::<Result<Vec<_>, _>>().await.unwrap().len()
    }

    pub(crate) fn event(&self, user: &UserId, kind: EventKind) -> Event {
        Event {
            id: EventId::new(NOW, &self.entropy),
            kind,
            user_id: user.clone(),
            at: NOW,
            detail: json!({}),
        }
    }

    // ---- flows and connections

    /// A flow of the user that began now and expires in ten minutes.
    pub(crate) fn flow(&self, user: &UserId) -> Flow {
        Flow {
            client_id: None,
            flow_id: FlowId::new(NOW, &self.entropy),
            state_hash: "state".to_owned(),
            browser_hash: "browser".to_owned(),
            user_id: user.clone(),
            user_label: "Label".to_owned(),
            platform: Platform::TikTok,
            redirect_uri: "https://passerelle.test/oauth/tiktok/callback".to_owned(),
            sealed_verifier: Some(sealed("verifier")),
            scopes: vec!["video.publish".to_owned()],
            return_to: None,
            locale: None,
            created_at: NOW,
            expires_at: at(600),
            consumed_at: None,
            grant: None,
            confirmed_at: None,
            linked: None,
            due_at: None,
        }
    }

    pub(crate) fn grant(&self) -> Grant {
        Grant {
            accounts: vec![self.account.clone()],
            scopes: vec!["video.publish".to_owned()],
            sealed: sealed("grant"),
            issued_at: NOW,
        }
    }

    /// A flow in the table that awaits its creator until `at(600)`.
    pub(crate) async fn granted(&self, user: &UserId) -> Flow {
        let flow = self.flow(user);
        self.flows.put(&flow).await.unwrap();
        let id = &flow.flow_id;
        let consumed = self.flows.consume(id, NOW, &self.attempt()).await.unwrap();
        assert!(consumed.is_some());
        let (grant, until) = (self.grant(), at(600));
        let kept = self
            .flows
            .granted(id, &grant, until, &self.attempt())
            .await
            .unwrap();
        assert!(kept);
        self.flows.get(id, NOW).await.unwrap().unwrap()
    }

    /// Confirms a flow for the desk's account, whose row was seen at version `seen`.
    pub(crate) async fn confirm(
        &self,
        flow: &Flow,
        seen: u64,
        now: Timestamp,
        attempt: AttemptId,
    ) -> Confirmed {
        let user = &flow.user_id;
        let id = self.id_of(user);
        let bundle = sealed(&format!("version {}", seen + 1));
        let new = NewTokens {
            client_id: None,
            user,
            connection: &id,
            account: &self.account,
            seen,
            sealed: &bundle,
            scopes: &flow.scopes,
            missing_scopes: &[],
            lifetime: Lifetime {
                issued_at: NOW,
                expires_at: Some(at(7_200)),
                refresh_expires_at: Some(at(86_400)),
                due_at: Some(at(3_600)),
                ..Lifetime::default()
            },
            stats_due_at: Some(at(300)),
            now,
        };
        let event = Event {
            id: EventId::of(&[id.as_str(), "connected", &seen.to_string()]),
            ..self.event(user, EventKind::ConnectionConnected)
        };
        let (flows, events) = ((&self.flows, flow), (&self.events, &event));
        self.connections
            .confirm(&new, flows, &self.accounts, events, attempt)
            .await
            .unwrap()
    }

    /// A connection of the user to the desk's account, at version 1.
    pub(crate) async fn connected(&self, user: &UserId) -> Connection {
        let flow = self.granted(user).await;
        let done = self.confirm(&flow, 0, NOW, self.attempt()).await;
        assert_eq!(done, Confirmed::Done);
        self.connection(user).await
    }

    pub(crate) fn id_of(&self, user: &UserId) -> ConnectionId {
        ConnectionId::of(user, Platform::TikTok, &self.account.id)
    }

    /// The user's connection as it stands.
    pub(crate) async fn connection(&self, user: &UserId) -> Connection {
        let found = self.connections.get(user, &self.id_of(user)).await;
        found.unwrap().expect("a connection")
    }

    pub(crate) fn pending(&self, of: Option<&Connection>) -> PendingRevocation {
        let id = self.attempt().to_string();
        PendingRevocation {
            client_id: None,
            platform: Platform::TikTok,
            account_key: self.account.key(),
            connection: of.map(|at| (at.user_id.clone(), at.connection_id.clone())),
            sealed: sealed("pending"),
            issued: None,
            due_at: at(60),
            due_shard: PendingRevocation::shard(&id),
            give_up_at: at(86_400),
            tries: 0,
            revocation_id: id,
        }
    }
}

pub(crate) fn user(text: &str) -> UserId {
    text.parse().unwrap()
}

pub(crate) fn account(id: &str) -> Account {
    Account {
        environment: domain::Environment::Production,
        platform: Platform::TikTok,
        id: id.to_owned(),
        display_name: "Mara".to_owned(),
        username: None,
        profile_url: None,
        other_ids: BTreeMap::new(),
    }
}

/// Tables do not look into what is sealed.
pub(crate) fn sealed(text: &str) -> Sealed {
    Sealed::from_bytes(text.as_bytes().to_vec())
}

pub(crate) fn trouble() -> Fault {
    Fault::new(FaultKind::PlatformDown)
}
