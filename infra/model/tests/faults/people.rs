//! What creators, products and the platform do to a world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Account, AttemptId, Clock, ConnectionId, FlowId, MediaId, MediaKind, MediaStatus, Platform,
    PostOptions, Secret, Timestamp, TokenBundle, UserId,
};
use http::Method;
use lambda::{CachedSecret, Request, SecretError, SecretSource};
use model::pass;
use platforms::{Apps, Linked};
use posts::{NewPost, NewTarget};
use sandbox::Webhook;
use store::{Flow, Media};
use tokens::EndedBy;

use crate::instance::Instance;
use crate::world::{FILE, World, apps};

pub(crate) fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

struct Fixed;

impl SecretSource for Fixed {
    fn read(
        &self,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Secret, SecretError>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(apps())))
    }
}

/// The webhook function's answer to the platform.
pub(crate) async fn answer(instance: &Instance, webhook: Webhook) -> u16 {
    let hook = &instance.webhook;
    let clock: Arc<dyn Clock> = instance.clock.clone();
    let function = webhook::Webhook {
        sqs: hook.sqs.clone(),
        queue: hook.queue.clone(),
        s3: hook.s3.clone(),
        bucket: hook.bucket.clone(),
        tolerance: None,
        clock: clock.clone(),
        entropy: hook.entropy.clone(),
        meter: Arc::new(domain::Silent),
        apps: CachedSecret::load(Fixed, Apps::parse, clock).await.unwrap(),
    };
    let request = Request::builder(Method::POST, "/webhooks/tiktok")
        .route("POST /webhooks/{platform}")
        .path_parameter("platform", "tiktok")
        .header("tiktok-signature", &webhook.signature.unwrap_or_default())
        .body(webhook.body)
        .build();
    match function.handle(request).await {
        Ok(answer) => answer.status().as_u16(),
        Err(problem) => problem.status(),
    }
}

/// A post that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) user: String,
    pub(crate) connection: ConnectionId,
    /// Unique in its world: the platform's posts are told apart by it.
    pub(crate) text: String,
    /// How many bytes of [`FILE`].
    pub(crate) size: u64,
}

impl World {
    /// A creator gives their consent and confirms; `None` where the attempt did not come to its end.
    pub(crate) async fn connect(&self, name: &str, account: &str) -> Option<ConnectionId> {
        let (name, who) = (user(name), name.to_owned());
        let (platform, at) = (self.platform.clone(), account.to_owned());
        let (_, done) = self
            .run("oauth-callback", "ApiTimeout", |instance, _| {
                Box::pin(async move {
                    // The instant before the exchange, as the callback takes it.
                    let now = instance.clock.now();
                    let answer = platform.consent(&at).await;
                    consented(instance, name, answer, now).await
                })
            })
            .await;
        let done = done.flatten();
        self.say(format!("{who} connects {account}: {done:?}"));
        done
    }

    /// The product disconnects; whether it was told that it is done.
    pub(crate) async fn disconnect(&self, name: &str, connection: &ConnectionId) -> bool {
        let (user, id) = (user(name), connection.clone());
        let (_, done) = self
            .run("connections", "ApiTimeout", move |instance, apps| {
                Box::pin(async move {
                    let tokens = &instance.api.tokens;
                    tokens
                        .disconnect(apps, &user, &id, EndedBy::Us)
                        .await
                        .is_ok()
                })
            })
            .await;
        self.say(format!("{name} disconnects {connection}: {done:?}"));
        done == Some(true)
    }

    /// The product posts, again and again with the same key until it is told that it is done.
    pub(crate) async fn post(&self, wish: &Wish) -> bool {
        let media = self.upload(wish).await;
        for _ in 0..6 {
            let wish = wish.clone();
            let media = media.clone();
            let (_, done) = self
                .run("upload", "ApiTimeout", move |instance, _| {
                    Box::pin(posted(instance, wish, media))
                })
                .await;
            if let Some(done) = done.flatten() {
                return done;
            }
            pass(Duration::from_secs(3)).await;
        }
        false
    }

    /// A file that is ready to be posted: how it came to be is not what these runs are about.
    async fn upload(&self, wish: &Wish) -> MediaId {
        let size = wish.size;
        loop {
            let user = user(&wish.user);
            let key = format!("media/{}", wish.text);
            self.aws
                .put_object("media", &key, FILE.slice(..size as usize));
            let (_, made) = self
                .run("upload", "ApiTimeout", move |instance, _| {
                    Box::pin(async move {
                        let now = instance.clock.now();
                        let entropy = &*instance.webhook.entropy;
                        let media = Media {
                            media_id: MediaId::new(now, entropy),
                            user_id: user,
                            object_key: key,
                            upload_id: "none".to_owned(),
                            size,
                            part_size: size,
                            status: MediaStatus::Uploading,
                            kind: Some(MediaKind::Mp4),
                            duration_ms: None,
                            source_url: None,
                            source_version: None,
                            fetch_lease: None,
                            fetch_tries: 0,
                            fault: None,
                            posted_in: Default::default(),
                            created_at: now,
                            expires_at: now.plus_secs(30 * 86_400),
                        };
                        let table = &instance.composer.media;
                        let attempt = AttemptId::new(now, entropy);
                        table.create(&media, None, attempt.clone()).await.ok()?;
                        let ready = table.ready(&media, media.expires_at, &attempt).await;
                        ready.ok()??;
                        Some(media.media_id)
                    })
                })
                .await;
            if let Some(media) = made.flatten() {
                return media;
            }
        }
    }
}

async fn posted(instance: &Instance, wish: Wish, media: MediaId) -> Option<bool> {
    let new = NewPost {
        text: wish.text.clone(),
        media: vec![media],
        targets: vec![NewTarget {
            connection_id: wish.connection,
            text: None,
            options: PostOptions {
                privacy: Some("SELF_ONLY".to_owned()),
                ..PostOptions::default()
            },
        }],
    };
    let apps = Apps::parse(&apps()).unwrap();
    let (composer, key) = (&instance.composer, Some(wish.text.as_str()));
    match composer.create(&apps, &user(&wish.user), &new, key).await {
        Ok(_) => Some(true),
        Err(posts::PostsError::Store(_) | posts::PostsError::Files(_)) => None,
        // Refused for good: the connection has ended.
        Err(_) => Some(false),
    }
}

/// The callback and the confirmation, as far as tokens are concerned.
async fn consented(
    instance: &Instance,
    user: UserId,
    answer: serde_json::Value,
    now: Timestamp,
) -> Option<ConnectionId> {
    let tokens = &instance.api.tokens;
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let after = |name: &str| now.plus_secs(answer[name].as_i64().unwrap());
    let scopes: Vec<String> = text("scope").split(',').map(str::to_owned).collect();
    let account = Account {
        environment: domain::Environment::Production,
        platform: Platform::TikTok,
        id: text("open_id"),
        display_name: String::new(),
        username: None,
        profile_url: None,
        other_ids: BTreeMap::new(),
    };
    let bundle = TokenBundle {
        access_token: Secret::new(text("access_token")),
        refresh_token: Some(Secret::new(text("refresh_token"))),
        expires_at: Some(after("expires_in")),
        refresh_expires_at: Some(after("refresh_expires_in")),
        scopes: scopes.clone(),
        extra: BTreeMap::new(),
    };
    let attempt = || AttemptId::new(now, &*instance.webhook.entropy);
    let flow = flow(
        FlowId::new(now, &*instance.webhook.entropy),
        user,
        scopes,
        now,
    );
    let (id, flows) = (flow.flow_id.clone(), &instance.flows);
    flows.put(&flow).await.ok()?;
    let flow = flows.consume(&id, now, &attempt()).await.ok()??;
    let key = tokens.grant_key(&flow).await.ok()?;
    let account_id = account.id.clone();
    let linked = [Linked { account, bundle }];
    let grant = tokens.seal_grant(&flow, &key, &linked, now).unwrap();
    let until = now.plus_secs(600);
    flows.granted(&id, &grant, until, &attempt()).await.ok()?;
    let flow = flows.get(&id, now).await.ok()??;
    let confirmed = tokens.confirm(&flow, &account_id).await.ok()?;
    Some(confirmed.connection.connection_id)
}

fn flow(flow_id: FlowId, user_id: UserId, scopes: Vec<String>, now: Timestamp) -> Flow {
    Flow {
        client_id: None,
        flow_id,
        state_hash: "state".to_owned(),
        browser_hash: "browser".to_owned(),
        user_id,
        user_label: "Label".to_owned(),
        platform: Platform::TikTok,
        redirect_uri: "https://passerelle.test/oauth/tiktok/callback".to_owned(),
        sealed_verifier: None,
        scopes,
        return_to: None,
        locale: None,
        created_at: now,
        expires_at: now.plus_secs(600),
        consumed_at: None,
        grant: None,
        confirmed_at: None,
        linked: None,
        due_at: Some(now.plus_secs(600)),
    }
}
