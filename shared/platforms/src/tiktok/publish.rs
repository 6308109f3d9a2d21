//! Publishing: creator → start → chunks, or TikTok's own fetching → questions → end (tiktok.md §4).

use domain::{
    Account, Fault, FaultKind, Mode, PostOptions, PublishNews, PublishedPost, Timestamp,
    TokenBundle, Transfer,
};

use super::chunks::Plan;
use super::init::{self, Begun};
use super::moves::{Heard, pause};
use super::state::{Machine, Outcome, Phase, Pull, SEND_FOR, Source, URL_LIFE};
use super::{TikTok, cancel, check, creator, errors, follow, status, upload};
use crate::{
    Action, Answer, Call, Cancel, Finish, Job, Limit, PostDraft, Publish, Repeat, State, Upload,
    Violation,
};

impl Publish for TikTok {
    fn check(&self, draft: &PostDraft<'_>) -> Vec<Violation> {
        check::check(draft)
    }

    fn start(&self, job: &Job<'_>) -> Result<State, Fault> {
        Ok(Machine::new(source(job)?).close(None))
    }

    fn aged(&self, state: &State, now: Timestamp) -> State {
        let Ok(mut machine) = Machine::open(state) else {
            return state.clone();
        };
        match creator::aged(&mut machine, now) {
            true => machine.close(state.secret.as_ref()),
            false => state.clone(),
        }
    }

    fn next(&self, job: &Job<'_>, state: &State, now: Timestamp) -> Action {
        let machine = match Machine::open(state) {
            Ok(machine) => machine,
            Err(fault) => return Action::Finish(Finish::Unknown(fault)),
        };
        match (&machine.phase, machine.plan()) {
            (Phase::Init { not_before, .. }, _) if now < *not_before => Action::Wait(*not_before),
            (Phase::Init { .. }, _) if asks_creator(job, &machine) => {
                Action::Call(Repeat::Repeatable)
            }
            (Phase::Init { .. }, _) => Action::Call(Repeat::Once),
            (
                Phase::Uploading {
                    next,
                    opened_at,
                    not_before,
                    doubt,
                    ..
                },
                Some(plan),
            ) => {
                let dead = opened_at.plus_secs(URL_LIFE);
                if now >= dead.max(*not_before) {
                    // The address has died: what TikTok holds decides how it goes on.
                    Action::Call(Repeat::Repeatable)
                } else if now >= opened_at.plus_secs(SEND_FOR) {
                    Action::Wait(dead.max(*not_before))
                } else if now < *not_before {
                    Action::Wait(*not_before)
                } else if doubt.is_some() {
                    Action::Call(Repeat::Repeatable)
                } else {
                    Action::Upload {
                        media: 0,
                        range: plan.range(*next),
                    }
                }
            }
            (Phase::Uploading { .. }, None) => {
                Action::Finish(Finish::Unknown(Fault::new(FaultKind::OurBug)))
            }
            (Phase::Processing { ask_at, .. }, _) => {
                let at = machine.cancels_at().unwrap_or(*ask_at);
                match now < at {
                    true => Action::Wait(at),
                    false => Action::Call(Repeat::Repeatable),
                }
            }
            (Phase::Done { outcome, .. }, _) => {
                let finish = finish(Some(job), outcome);
                match follow::due(&machine, job.options) {
                    None => Action::Finish(finish),
                    Some(at) if now < at => Action::Follow(finish, at),
                    Some(_) => Action::Call(Repeat::Repeatable),
                }
            }
        }
    }

    fn call(&self, job: &Job<'_>, state: &State, bundle: &TokenBundle) -> Result<Call, Fault> {
        let machine = Machine::open(state)?;
        let bug = || Fault::new(FaultKind::OurBug);
        match &machine.phase {
            Phase::Init { .. } if asks_creator(job, &machine) => creator::request(bundle),
            Phase::Init { creator, .. } => {
                init::request(job, &machine.source, creator.as_ref(), bundle)
            }
            Phase::Processing { publish_id, .. } if machine.cancels_at().is_some() => {
                cancel::request(publish_id, bundle)
            }
            Phase::Uploading { .. } | Phase::Processing { .. } | Phase::Done { .. } => {
                status::request(machine.publish_id().ok_or_else(bug)?, bundle)
            }
        }
    }

    fn upload(&self, job: &Job<'_>, state: &State) -> Result<Upload, Fault> {
        let machine = Machine::open(state)?;
        match (&machine.phase, machine.plan()) {
            (Phase::Uploading { next, .. }, Some(plan)) => {
                upload::request(job, &plan, *next, state.secret.as_ref())
            }
            _ => Err(Fault::new(FaultKind::OurBug)),
        }
    }

    fn answered(&self, job: &Job<'_>, state: &State, answer: Answer<'_>) -> Result<State, Fault> {
        let machine = Machine::open(state)?;
        let url = state.secret.as_ref();
        match machine.phase {
            Phase::Init { .. } if asks_creator(job, &machine) => {
                creator::answered(machine, job, answer)
            }
            Phase::Init { .. } => begun(machine, answer),
            // See `SEND_FOR`: what was sent after the address's hour is a question, not a chunk.
            Phase::Uploading {
                opened_at,
                doubt: None,
                ..
            } if answer.sent_at < opened_at.plus_secs(URL_LIFE) => {
                upload::answered(machine, url, answer)
            }
            Phase::Processing { .. } if machine.cancels_at().is_some() => {
                cancel::answered(machine, answer)
            }
            Phase::Uploading { .. } | Phase::Processing { .. } => {
                status::answered(machine, url, answer)
            }
            Phase::Done { .. } => follow::answered(machine, answer),
        }
    }

    fn lost(&self, job: &Job<'_>, state: &State, now: Timestamp) -> State {
        let Ok(machine) = Machine::open(state) else {
            return state.clone();
        };
        let url = state.secret.as_ref();
        let silent = upload::stuck;
        let moved = match machine.phase.clone() {
            Phase::Init { .. } if asks_creator(job, &machine) => {
                machine.unclear(now, None, silent())
            }
            Phase::Init { .. } => machine.unclear_start(now, None, silent()),
            // A question in the middle of the upload, which was only to save a try.
            Phase::Uploading { .. } if machine.doubt(now).is_some() => machine.resume(None),
            // The last chunk may have arrived: ask before sending it again.
            Phase::Uploading { since, .. } if since.is_some() || machine.only_last_left() => {
                machine.ask(false, now)
            }
            // Any other chunk is sent again; if TikTok has it, 416 says where to go on.
            Phase::Uploading { next, .. } => machine.advance(next, now),
            Phase::Processing { .. } if machine.cancels_at().is_some() => {
                machine.cancel_again(None, now, silent())
            }
            Phase::Processing { .. } => machine.ask_again(Heard::Nothing, None, now),
            Phase::Done { .. } => machine.looked_at(None, now),
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
            // `complete` and `publicly_available` come in either order (§5.2).
            (PublishNews::Published(post) | PublishNews::Public(post), _) => {
                machine.published(post, now)
            }
            (PublishNews::InInbox, None | Some(Outcome::Unknown(_))) => {
                machine.done(Outcome::Inbox, now)
            }
            (PublishNews::Failed { reason }, None) => machine.failed(Some(reason), now),
            (PublishNews::Failed { reason }, Some(Outcome::Unknown(_) | Outcome::Inbox)) => {
                let fault = errors::outcome(Some(reason), now);
                let outcome = machine.verdict(Some(reason), fault);
                machine.done(outcome, now)
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
            Ok(machine) => match &machine.phase {
                // What is known stays known, whatever the last look at it brought.
                Phase::Done { outcome, .. } => finish(None, outcome),
                _ if machine.may_publish() => Finish::Unknown(fault),
                _ => Finish::Failed(fault),
            },
            Err(_) => Finish::Unknown(fault),
        }
    }

    fn cancel(&self, state: &State, now: Timestamp) -> Cancel {
        match Machine::open(state) {
            Ok(machine) => cancel::cancel(machine, now),
            Err(_) => Cancel::TooLate,
        }
    }

    fn open_limit(&self, options: &PostOptions) -> Option<Limit> {
        init::open_limit(options.mode)
    }
}

/// How TikTok is to get the files. It takes photos by fetching them alone (§4.4).
fn source(job: &Job<'_>) -> Result<Source, Fault> {
    let invalid = |sentence: &'static str| Fault::new(FaultKind::InvalidRequest).sentence(sentence);
    match job.media {
        [] => Err(invalid("A TikTok post has one video, or up to 35 photos.")),
        files if files.iter().all(|file| !file.kind.is_video()) => {
            Ok(Source::Pull(Pull::default()))
        }
        [file] if job.options.transfer == Some(Transfer::Pull) || !file.stored => {
            Ok(Source::Pull(Pull::default()))
        }
        [file] => {
            let plan = Plan::new(file.size, job.app.number("chunk_bytes"));
            let plan = plan.ok_or_else(|| invalid("The file to be posted is empty."))?;
            Ok(Source::Upload(plan))
        }
        _ => Err(invalid(
            "A TikTok post has either one video or photos, not both.",
        )),
    }
}

/// Whether the next call is the question what the creator may choose: before every direct start. It
/// follows from the state alone, so that an answer, or its loss, is never taken for that of a start.
fn asks_creator(job: &Job<'_>, machine: &Machine) -> bool {
    let unknown = matches!(machine.phase, Phase::Init { creator: None, .. });
    unknown && job.options.mode == Mode::Direct
}

/// The state after an answer to the start.
fn begun(mut machine: Machine, answer: Answer<'_>) -> Result<State, Fault> {
    let at = answer.sent_at;
    match init::read(&machine.source, answer) {
        Begun::Refused(fault) => Err(fault),
        Begun::Unclear(fault) => {
            let told = answer.wait_until();
            Ok(machine.unclear_start(at, told, fault).close(None))
        }
        Begun::Yes { publish_id, url } => {
            machine.inits = machine.inits.saturating_add(1);
            machine.unclear = 0;
            machine.phase = match url {
                Some(_) => Phase::Uploading {
                    publish_id,
                    next: 0,
                    opened_at: at,
                    not_before: at,
                    since: None,
                    stalls: 0,
                    resends: 0,
                    doubt: None,
                },
                None => Phase::Processing {
                    publish_id,
                    opened_at: at,
                    since: at,
                    ask_at: at.plus_secs(pause(0)),
                    polls: 0,
                    idle: 0,
                    complete: true,
                    resends: 0,
                    refused: None,
                },
            };
            Ok(machine.close(url.as_ref()))
        }
    }
}

/// The end as others see it; `job` is what a post's address is made from.
fn finish(job: Option<&Job<'_>>, outcome: &Outcome) -> Finish {
    match outcome {
        Outcome::Published(post) => Finish::Published(match job {
            Some(job) if job.media.iter().all(|file| file.kind.is_video()) => {
                with_url(job.account, post.clone())
            }
            _ => post.clone(),
        }),
        Outcome::Inbox => Finish::Inbox,
        Outcome::Failed(fault) => Finish::Failed(fault.clone()),
        Outcome::Unknown(fault) => Finish::Unknown(fault.clone()),
        Outcome::Cancelled => Finish::Cancelled,
    }
}

/// TikTok does not say where a post can be seen. The address is derived, and only from what makes it
/// sure: the account's handle and a public video's id.
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
