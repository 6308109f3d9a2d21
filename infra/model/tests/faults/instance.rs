//! One process of the functions: the real handlers over the model, with caches and a clock of their own.
//! Wired as their `main` does it.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Entropy, RecordKind};
use event_relay::EventRelay;
use event_sender::EventSender;
use lambda::sqs::{Message, Options};
use lambda::{Env, Timeouts};
use model::VirtualClock;
use outbox::{Relay, Sender};
use platforms::Apps;
use posts::{Chooser, Composer, Fetcher, PublishQueue, Runner, RunnerSettings, Sweep};
use publish_worker::PublishWorker;
use refresh_worker::RefreshWorker;
use statistics::Asker;
use store::{
    Accounts, Connections, Deliveries, Flows, MediaTable, Posts, Revocations, Sessions, SyncLogs,
    Targets, Users,
};
use sweeper::Sweeper;
use token_refresh::TokenRefresh;
use webhook_worker::{Bodies, WebhookWorker};
use wiring::Wiring;

use crate::gate::Gate;
use crate::platform::{Line, Platform};
use crate::product::{Post, Product};

/// A process that can be any of the functions.
pub(crate) struct Instance {
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) refresh: RefreshWorker,
    pub(crate) publish: PublishWorker,
    pub(crate) webhook_worker: WebhookWorker,
    pub(crate) token_refresh: TokenRefresh,
    pub(crate) sweeper: Sweeper,
    pub(crate) relay: EventRelay,
    pub(crate) sender: EventSender,
    pub(crate) desk: outbox::Desk,
    pub(crate) api: connections::Api,
    pub(crate) composer: Composer,
    pub(crate) flows: Flows,
    pub(crate) webhook: Hook,
}

/// What the webhook function is built of; its secret is read when it starts.
pub(crate) struct Hook {
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) queue: String,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) bucket: String,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// What instances are built from.
pub(crate) struct Parts<'a> {
    pub(crate) aws: &'a model::Aws,
    pub(crate) platform: &'a Arc<Platform>,
    pub(crate) product: &'a Arc<Product>,
    pub(crate) env: &'a Env,
    pub(crate) region: &'a str,
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Instance {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        use lambda::variables as var;
        let Parts {
            aws,
            platform,
            product,
            env,
            region,
            gate,
            clock,
            entropy,
        } = parts;
        let http = aws.http_client(gate.clone());
        let aws = lambda::Aws::over(http, region, Timeouts::default());
        let line = Arc::new(Line {
            platform: platform.clone(),
            gate: gate.clone(),
        });
        let time: Arc<dyn Clock> = clock.clone();
        let wiring = Wiring::of(aws, time.clone(), entropy.clone(), Some(line));
        let table = |variable| env.text(variable);
        let db = || wiring.dynamodb();
        let (sqs, s3) = (wiring.sqs(), wiring.s3());
        let tokens = wiring.tokens(env).unwrap();
        let relay = Relay {
            bus: Some(Arc::new(Post {
                product: product.clone(),
                gate: gate.clone(),
            })),
            ..wiring.relay(env)
        };
        let queue = PublishQueue::new(sqs.clone(), env.text(&var::QUEUE_PUBLISH));
        let files = wiring.files(env);
        let limiter = wiring.limiter(env);
        let lease = env.seconds(&var::PUBLISH_LEASE_SECONDS);
        let targets = Targets::new(db(), table(&var::TABLE_TARGETS));
        let events = wiring.events(env);
        let flows = Flows::new(db(), table(&var::TABLE_FLOWS));
        Self {
            refresh: RefreshWorker {
                tokens: tokens.clone(),
                rescue_queue: lambda::sqs::queue_name(&env.text(&var::QUEUE_RESCUE)).to_owned(),
            },
            publish: PublishWorker {
                fetcher: Fetcher {
                    media: MediaTable::new(db(), table(&var::TABLE_MEDIA)),
                    files: files.clone(),
                    source: Arc::new(wiring.transport(env).unwrap()),
                    queue: queue.clone(),
                    lease,
                    clock: time.clone(),
                    entropy: entropy.clone(),
                },
                runner: Runner {
                    limiter: limiter.clone(),
                    targets: targets.clone(),
                    events: events.clone(),
                    tokens: tokens.clone(),
                    wire: tokens.wire().clone(),
                    files: files.clone(),
                    queue: queue.clone(),
                    settings: RunnerSettings {
                        lease,
                        call_timeout: tokens.http_timeout(),
                    },
                    clock: time.clone(),
                    entropy: entropy.clone(),
                },
            },
            webhook_worker: WebhookWorker {
                deliveries: Deliveries::new(db(), table(&var::TABLE_DELIVERIES)),
                accounts: Accounts::new(db(), table(&var::TABLE_ACCOUNTS)),
                targets: targets.clone(),
                events: events.clone(),
                ledger: wiring.ledger(env, &[RecordKind::MediaItem]),
                tokens: tokens.clone(),
                insights: wiring.insights(env),
                look_after: env.seconds(&var::TARGETED_SYNC_SECONDS),
                limiter: limiter.clone(),
                publish: queue.clone(),
                bodies: Bodies::new(s3.clone(), env.text(&var::DELIVERIES_BUCKET)),
                lease: env.seconds(&var::DELIVERY_LEASE_SECONDS),
                orphan_after: env.seconds(&var::ORPHAN_SECONDS),
            },
            token_refresh: TokenRefresh {
                connections: Connections::new(db(), table(&var::TABLE_CONNECTIONS)),
                platforms: store::Platforms::new(db(), table(&var::TABLE_PLATFORMS)),
                sqs: sqs.clone(),
                queue: env.text(&var::QUEUE_REFRESH),
                clock: time.clone(),
                meter: wiring.meter.clone(),
            },
            sweeper: Sweeper {
                flows: flows.clone(),
                revocations: Revocations::new(db(), table(&var::TABLE_REVOCATIONS)),
                targets: Sweep {
                    targets: targets.clone(),
                    queue: queue.clone(),
                    late: env.seconds(&var::SWEEP_LATE_SECONDS),
                    clock: time.clone(),
                    entropy: entropy.clone(),
                },
                events: outbox::Sweep {
                    relay: relay.clone(),
                    ..wiring.event_sweep(env)
                },
                tokens: tokens.clone(),
            },
            relay: EventRelay {
                relay: relay.clone(),
            },
            sender: EventSender {
                sender: Sender::new(
                    relay,
                    wiring.vault(env),
                    Arc::new(Post {
                        product: product.clone(),
                        gate: gate.clone(),
                    }),
                    wiring::pace(env).unwrap(),
                    wiring.trail(env),
                ),
            },
            desk: wiring.outbox_desk(env),
            composer: Composer {
                posts: Posts::new(db(), table(&var::TABLE_POSTS)),
                targets,
                events,
                media: MediaTable::new(db(), table(&var::TABLE_MEDIA)),
                files,
                connections: Connections::new(db(), table(&var::TABLE_CONNECTIONS)),
                queue,
                clock: time.clone(),
                entropy: entropy.clone(),
            },
            api: connections::Api {
                trail: wiring.trail(env),
                asker: Asker {
                    logs: SyncLogs::new(db(), table(&var::TABLE_SYNC_LOGS)),
                    queue: wiring.insights(env),
                    off: Default::default(),
                    clock: time.clone(),
                    entropy: entropy.clone(),
                },
                sessions: Sessions::new(db(), table(&var::TABLE_SESSIONS)),
                users: Users::new(db(), table(&var::TABLE_USERS)),
                chooser: Chooser {
                    wire: tokens.wire().clone(),
                    limiter,
                    tokens: tokens.clone(),
                },
                tokens,
                scope_prefix: String::new(),
                public_base: None,
                return_to_origins: Vec::new(),
            },
            webhook: Hook {
                sqs,
                queue: env.text(&var::QUEUE_WEBHOOK),
                s3,
                bucket: env.text(&var::DELIVERIES_BUCKET),
                entropy,
            },
            flows,
            gate,
            clock,
        }
    }

    /// Works on one message of a queue, as Lambda's poller hands it over; whether it may leave the
    /// queue.
    pub(crate) async fn work(&self, apps: &Apps, message: Message) -> bool {
        let options = match message.queue.as_str() {
            "publish" => Options {
                at_once: 1,
                ..Options::default()
            },
            _ => Options::default(),
        };
        let handler = |message: Message| async move {
            match message.queue.as_str() {
                "refresh" | "rescue" => self.refresh.handle(apps, &message).await,
                "publish" => self.publish.handle(apps, &message).await,
                "webhook" => self.webhook_worker.handle(&message).await,
                "events" => self.sender.handle(&message).await,
                other => panic!("no queue {other}"),
            }
        };
        let failed = lambda::sqs::run(options, &handler, &*self.clock, vec![message]).await;
        failed.ids().next().is_none()
    }
}

/// A message as the poller hands it over.
pub(crate) fn message(
    queue: &str,
    message: &model::Message,
    sent_at: domain::Timestamp,
    now: domain::Timestamp,
    timeout: Duration,
) -> Message {
    Message {
        id: message.id.clone(),
        queue: queue.to_owned(),
        body: message.body.clone(),
        receive_count: message.receives,
        sent_at,
        attributes: Default::default(),
        deadline: now + timeout,
    }
}
