//! Answers lost and senders killed, at every step: it is published once all the same.

use domain::{Fault, Timestamp};
use platforms::tiktok::TikTok;
use platforms::{Action, Finish, Publish, State};

use crate::server::{Progress, Server};
use crate::support::{Post, Reply, T0, bundle};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It never arrives.
    RequestLost,
    /// It arrives, and the answer does not.
    AnswerLost,
    /// It arrives, and its sender dies without leaving a note: the same state is taken up again.
    /// Starts and last chunks leave an intent behind, so there the loss is noticed.
    Forgotten,
}

pub(crate) const ALL: [Trouble; 3] = [
    Trouble::RequestLost,
    Trouble::AnswerLost,
    Trouble::Forgotten,
];

pub(crate) struct Run {
    pub(crate) finish: Finish,
    pub(crate) requests: usize,
    pub(crate) server: Server,
}

/// Runs a post to its end; `troubles` are (number of the request, what happens to it).
pub(crate) fn run(post: &Post, server: Server, troubles: &[(usize, Trouble)]) -> Run {
    go_on(post, server, post.fresh(), T0, troubles)
}

/// The same, from a state on.
pub(crate) fn go_on(
    post: &Post,
    mut server: Server,
    state: State,
    mut now: Timestamp,
    troubles: &[(usize, Trouble)],
) -> Run {
    let job = post.job();
    let mut state = through_text(&state);
    let mut requests = 0;
    for _ in 0..500 {
        state = TikTok.aged(&state, now);
        let action = TikTok.next(&job, &state, now);
        let intent = leaves_intent(post, &action);
        let answer: Box<dyn FnOnce(&mut Server) -> Reply> = match action {
            Action::Wait(until) => {
                assert!(until > now, "a pause that is over");
                now = until;
                continue;
            }
            Action::Finish(finish) | Action::Follow(finish, _) => {
                return Run {
                    finish,
                    requests,
                    server,
                };
            }
            Action::Call(repeat) => {
                let call = TikTok.call(&job, &state, &bundle(&[])).unwrap();
                assert_eq!(call.repeat, repeat);
                Box::new(move |server| server.call(&call.request, now))
            }
            Action::Upload { media: 0, range } => {
                let upload = TikTok.upload(&job, &state).unwrap();
                let length = upload.request.headers()["content-length"].to_str().unwrap();
                assert_eq!(length.parse(), Ok(range.end - range.start));
                Box::new(move |server| server.upload(&upload.request, now))
            }
            Action::Upload { .. } => panic!("there is one file"),
        };
        let trouble = troubles.iter().find(|(number, _)| *number == requests);
        requests += 1;
        state = match trouble.map(|(_, trouble)| *trouble) {
            None => answered(post, state, &answer(&mut server), &mut now),
            Some(Trouble::RequestLost) => TikTok.lost(&job, &state, now),
            Some(Trouble::Forgotten) if !intent => {
                answer(&mut server);
                state
            }
            Some(_) => {
                answer(&mut server);
                TikTok.lost(&job, &state, now)
            }
        };
        state = through_text(&state);
        now = now.plus_secs(1);
    }
    panic!("no end");
}

/// Whether the runner writes down that this is about to be done.
fn leaves_intent(post: &Post, action: &Action) -> bool {
    match action {
        Action::Call(repeat) => *repeat == platforms::Repeat::Once,
        Action::Upload { media, range } => range.end == post.media[*media].size,
        Action::Wait(_) | Action::Finish(_) | Action::Follow(..) => false,
    }
}

fn answered(post: &Post, state: State, reply: &Reply, now: &mut Timestamp) -> State {
    match post.answered(&state, reply) {
        Ok(state) => state,
        Err(fault) => {
            assert_ne!(fault.retry(), domain::Retry::Never, "{fault}");
            *now = now.plus_secs(30);
            state
        }
    }
}

/// As a runner leaves it between two steps.
fn through_text(state: &State) -> State {
    State {
        data: serde_json::from_str(&state.data.to_string()).unwrap(),
        secret: state.secret.clone(),
    }
}

fn variants() -> Vec<(Post, Progress, bool)> {
    let mut variants = Vec::new();
    for progress in [
        Progress::Count,
        Progress::LastByte,
        Progress::Nothing,
        Progress::Never,
    ] {
        for forgets in [false, true] {
            for size in [4_000_000, 100_000_000] {
                variants.push((Post::direct(size), progress, forgets));
                variants.push((Post::inbox(size), progress, forgets));
            }
        }
    }
    variants
}

fn check(post: &Post, progress: Progress, forgets: bool, troubles: &[(usize, Trouble)]) -> Run {
    let run = run(post, Server::new(progress, forgets), troubles);
    let what = format!("{progress:?} forgets: {forgets} {troubles:?}");
    assert_eq!(run.server.published(), 1, "{what}");
    let inbox = post.options.mode == domain::Mode::Inbox;
    match &run.finish {
        Finish::Inbox if inbox => {}
        Finish::Published(_) if !inbox => {}
        other => panic!("{what}: {other:?}"),
    }
    run
}

#[test]
fn the_straight_path() {
    for (post, progress, forgets) in variants() {
        let run = check(&post, progress, forgets, &[]);
        let chunks = if post.media[0].size > 64_000_000 {
            3
        } else {
            1
        };
        // A question about the creator before a direct start, the start, the chunks, three questions.
        let asked = usize::from(post.options.mode == domain::Mode::Direct);
        assert_eq!(run.requests, asked + 1 + chunks + 3);
        assert_eq!(run.server.starts(), 1);
    }
}

#[test]
fn one_loss_at_every_step() {
    for (post, progress, forgets) in variants() {
        let steps = check(&post, progress, forgets, &[]).requests;
        for step in 0..steps {
            for trouble in ALL {
                let run = check(&post, progress, forgets, &[(step, trouble)]);
                // Only a lost start is begun again.
                let start = usize::from(post.options.mode == domain::Mode::Direct);
                let again = usize::from(step == start && trouble != Trouble::RequestLost);
                assert_eq!(run.server.starts(), 1 + again);
            }
        }
    }
}

#[test]
fn two_losses_at_every_pair_of_steps() {
    for (post, progress, forgets) in variants() {
        let steps = check(&post, progress, forgets, &[]).requests + 2;
        for first in 0..steps {
            for second in first + 1..steps {
                for one in ALL {
                    for two in ALL {
                        check(&post, progress, forgets, &[(first, one), (second, two)]);
                    }
                }
            }
        }
    }
}

/// A fault that ends a publish for good, met by every state in turn, never publishes twice, and is a
/// failure only where nothing was published.
#[test]
fn giving_up_at_every_step_tells_the_truth() {
    for (post, progress, forgets) in variants() {
        let steps = check(&post, progress, forgets, &[]).requests;
        for stop in 0..steps {
            for forgotten in [false, true] {
                let mut server = Server::new(progress, forgets);
                let (state, published) = until(&post, &mut server, stop, forgotten);
                let fault = Fault::new(domain::FaultKind::ReauthNeeded);
                match TikTok.given_up(&state, fault) {
                    Finish::Failed(_) => assert_eq!(published, 0, "{stop} {forgotten}"),
                    Finish::Unknown(_) => assert!(stop > 0),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// The state after so many requests, the last one's answer perhaps [`Trouble::Forgotten`], and how
/// many posts there are then.
pub(crate) fn until(
    post: &Post,
    server: &mut Server,
    steps: usize,
    forgotten: bool,
) -> (State, usize) {
    let job = post.job();
    let mut state = post.fresh();
    let mut now = T0;
    let mut done = 0;
    while done < steps {
        state = TikTok.aged(&state, now);
        let action = TikTok.next(&job, &state, now);
        let intent = leaves_intent(post, &action);
        let reply = match action {
            Action::Wait(until) => {
                now = until;
                continue;
            }
            Action::Call(_) => {
                let call = TikTok.call(&job, &state, &bundle(&[])).unwrap();
                server.call(&call.request, now)
            }
            Action::Upload { .. } => {
                let upload = TikTok.upload(&job, &state).unwrap();
                server.upload(&upload.request, now)
            }
            Action::Finish(_) | Action::Follow(..) => break,
        };
        done += 1;
        state = match (forgotten && done == steps, intent) {
            (false, _) => post.answered(&state, &reply).unwrap(),
            (true, true) => TikTok.lost(&job, &state, now),
            (true, false) => state,
        };
    }
    (state, server.published())
}
