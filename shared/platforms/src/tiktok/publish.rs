//! Publishing by file upload: start → chunks → questions → end (tiktok.md §4).

use domain::{Account, Fault, FaultKind, PublishNews, PublishedPost, Timestamp, TokenBundle};

use super::chunks::Plan;
use super::init::{self, Begun};
use super::state::{Machine, Outcome, Phase, SEND_FOR, URL_LIFE};
use super::{TikTok, check, status, upload};
use crate::{
    Action, Answer, Call, Finish, Job, PostDraft, Publish, Repeat, State, Upload, Violation,
};

impl Publish for TikTok {
    fn check(&self, draft: &PostDraft<'_>) -> Vec<Violation> {
        check::check(draft)
    }

    fn start(&self, job: &Job<'_>) -> Result<State, Fault> {
        let [file] = job.media else {
            return Err(Fault::new(FaultKind::InvalidRequest)
                .sentence("A TikTok post has exactly one video."));
        };
        let plan = Plan::new(file.size, job.app.number("chunk_bytes")).ok_or(
            Fault::new(FaultKind::InvalidRequest).sentence("The file to be posted is empty."),
        )?;
        Ok(Machine::new(plan).close(None))
    }

    fn next(&self, job: &Job<'_>, state: &State, now: Timestamp) -> Action {
        let machine = match Machine::open(state) {
            Ok(machine) => machine,
            Err(fault) => return Action::Finish(Finish::Unknown(fault)),
        };
        match machine.phase {
            Phase::Init { not_before, .. } if now < not_before => Action::Wait(not_before),
            Phase::Init { .. } => Action::Call(Repeat::Once),
            Phase::Uploading {
                next,
                opened_at,
                not_before,
                doubt,
                ..
            } => {
                let dead = opened_at.plus_secs(URL_LIFE);
                if now >= dead.max(not_before) {
                    // The address has died: what TikTok holds decides how it goes on.
                    Action::Call(Repeat::Repeatable)
                } else if now >= opened_at.plus_secs(SEND_FOR) {
                    Action::Wait(dead.max(not_before))
                } else if now < not_before {
                    Action::Wait(not_before)
                } else if doubt.is_some() {
                    Action::Call(Repeat::Repeatable)
                } else {
                    Action::Upload {
                        media: 0,
                        range: machine.plan.range(next),
                    }
                }
            }
            Phase::Processing { ask_at, .. } if now < ask_at => Action::Wait(ask_at),
            Phase::Processing { .. } => Action::Call(Repeat::Repeatable),
            Phase::Done { outcome, .. } => Action::Finish(match outcome {
                Outcome::Published(post) => Finish::Published(with_url(job.account, post)),
                Outcome::Inbox => Finish::Inbox,
                Outcome::Failed(fault) => Finish::Failed(fault),
                Outcome::Unknown(fault) => Finish::Unknown(fault),
            }),
        }
    }

    fn call(&self, job: &Job<'_>, state: &State, bundle: &TokenBundle) -> Result<Call, Fault> {
        let machine = Machine::open(state)?;
        match &machine.phase {
            Phase::Init { .. } => init::request(job, &machine.plan, bundle),
            Phase::Uploading { publish_id, .. } | Phase::Processing { publish_id, .. } => {
                status::request(publish_id, bundle)
            }
            Phase::Done { .. } => Err(Fault::new(FaultKind::OurBug)),
        }
    }

    fn upload(&self, job: &Job<'_>, state: &State) -> Result<Upload, Fault> {
        let machine = Machine::open(state)?;
        match &machine.phase {
            Phase::Uploading { next, .. } => {
                upload::request(job, &machine.plan, *next, state.secret.as_ref())
            }
            _ => Err(Fault::new(FaultKind::OurBug)),
        }
    }

    fn answered(&self, _job: &Job<'_>, state: &State, answer: Answer<'_>) -> Result<State, Fault> {
        let machine = Machine::open(state)?;
        let url = state.secret.as_ref();
        match machine.phase {
            Phase::Init { .. } => begun(machine, answer),
            // See `SEND_FOR`: what was sent after the address's hour is a question, not a chunk.
            Phase::Uploading {
                opened_at,
                doubt: None,
                ..
            } if answer.sent_at < opened_at.plus_secs(URL_LIFE) => {
                upload::answered(machine, url, answer)
            }
            Phase::Uploading { .. } | Phase::Processing { .. } => {
                status::answered(machine, url, answer)
            }
            Phase::Done { .. } => Ok(state.clone()),
        }
    }

    fn lost(&self, _job: &Job<'_>, state: &State, now: Timestamp) -> State {
        let Ok(machine) = Machine::open(state) else {
            return state.clone();
        };
        let url = state.secret.as_ref();
        let moved = match &machine.phase {
            // A publish may have begun, under an id that nobody knows.
            Phase::Init { .. } => machine.clone().unclear(now, None, upload::stuck()),
            // A question in the middle of the upload, which was only to save a try.
            Phase::Uploading { .. } if machine.doubt(now).is_some() => machine.clone().resume(None),
            // The last chunk may have arrived: ask before sending it again.
            Phase::Uploading { next, since, .. }
                if since.is_some() || machine.plan.is_last(*next) =>
            {
                machine.clone().ask(false, now)
            }
            // Any other chunk is sent again; if TikTok has it, 416 says where to go on.
            Phase::Uploading { next, .. } => {
                let next = *next;
                machine.clone().advance(next, now)
            }
            Phase::Processing { .. } => machine.clone().ask_again(false, None, now),
            Phase::Done { .. } => return state.clone(),
        };
        moved.close(url)
    }

    fn told(&self, state: &State, news: &PublishNews, now: Timestamp) -> State {
        let Ok(machine) = Machine::open(state) else {
            return state.clone();
        };
        if machine.publish_id().is_none() {
            return state.clone();
        }
        let known = match &machine.phase {
            Phase::Done { outcome, .. } => Some(outcome.clone()),
            _ => None,
        };
        let moved = match (news, known) {
            // A draft may be posted more than once, and `complete` and `publicly_available` come in
            // either order (§5.2): ids add up, and nothing takes a published post back.
            (PublishNews::Published(post) | PublishNews::Public(post), known) => {
                let before = match known {
                    Some(Outcome::Published(before)) => before,
                    _ => PublishedPost::default(),
                };
                machine.done(Outcome::Published(merged(before, post)))
            }
            (PublishNews::InInbox, None | Some(Outcome::Unknown(_))) => {
                machine.done(Outcome::Inbox)
            }
            (PublishNews::Failed { reason }, None) => machine.failed(Some(reason), now),
            (PublishNews::Failed { reason }, Some(Outcome::Unknown(_) | Outcome::Inbox)) => {
                let fault = super::errors::outcome(Some(reason), now);
                machine.done(Outcome::Failed(fault))
            }
            _ => return state.clone(),
        };
        moved.close(state.secret.as_ref())
    }

    fn publish_id(&self, state: &State) -> Option<String> {
        let machine = Machine::open(state).ok()?;
        machine.publish_id().map(str::to_owned)
    }

    fn given_up(&self, state: &State, fault: Fault) -> Finish {
        match Machine::open(state) {
            Ok(machine) if !machine.may_publish() => Finish::Failed(fault),
            _ => Finish::Unknown(fault),
        }
    }
}

/// The state after an answer to the start.
fn begun(mut machine: Machine, answer: Answer<'_>) -> Result<State, Fault> {
    let at = answer.sent_at;
    match init::read(&machine.plan, answer) {
        Begun::Refused(fault) => Err(fault),
        Begun::Unclear(fault) => {
            let told = answer.wait_until();
            Ok(machine.unclear(at, told, fault).close(None))
        }
        Begun::Yes { publish_id, url } => {
            machine.inits = machine.inits.saturating_add(1);
            machine.unclear = 0;
            machine.phase = Phase::Uploading {
                publish_id,
                next: 0,
                opened_at: at,
                not_before: at,
                since: None,
                stalls: 0,
                resends: 0,
                doubt: None,
            };
            Ok(machine.close(Some(&url)))
        }
    }
}

fn merged(mut post: PublishedPost, news: &PublishedPost) -> PublishedPost {
    for id in &news.ids {
        if !post.ids.contains(id) {
            post.ids.push(id.clone());
        }
    }
    post
}

/// TikTok does not say where a post can be seen. The address is derived, and only from what makes it
/// sure: the account's handle and a public post's id.
fn with_url(account: &Account, mut post: PublishedPost) -> PublishedPost {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    let name = account.username.as_deref().filter(|name| !name.is_empty());
    let id = post.ids.first();
    if let Some((name, id)) = name.zip(id)
        && name.bytes().all(plain)
        && id.bytes().all(|byte| byte.is_ascii_digit())
    {
        post.url = Some(format!("https://www.tiktok.com/@{name}/video/{id}"));
    }
    post
}
