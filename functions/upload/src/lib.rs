//! `/v1/media…` and `/v1/posts…`: files from creators, posts and their targets.

mod media;
mod post;
mod problem;

use domain::{UserId, Who};
use lambda::{Answer, Code, Problem, Request, Scope};
use platforms::Apps;
use posts::{Composer, Uploads};

use problem::problem;

/// What the handlers need.
pub struct Upload {
    /// Files.
    pub uploads: Uploads,
    /// Posts.
    pub composer: Composer,
    /// What stands before scope names.
    pub scope_prefix: String,
}

impl Upload {
    /// Answers one request.
    pub async fn handle(&self, apps: &Apps, request: Request) -> Answer {
        match request.route() {
            "POST /v1/media" => self.begin_media(&request).await,
            "GET /v1/media/{media_id}" => self.get_media(&request).await,
            "GET /v1/media/{media_id}/parts" => self.list_parts(&request).await,
            "POST /v1/media/{media_id}/complete" => self.complete_media(&request).await,
            "DELETE /v1/media/{media_id}" => self.delete_media(&request).await,
            "POST /v1/posts" => self.create_post(apps, &request).await,
            "GET /v1/posts" => self.list_posts(&request).await,
            "GET /v1/posts/{post_id}" => self.get_post(&request).await,
            "POST /v1/posts/{post_id}/cancel" => self.cancel_post(&request).await,
            "POST /v1/posts/{post_id}/targets/{target_id}/cancel" => {
                self.cancel_target(&request).await
            }
            "POST /v1/posts/{post_id}/targets/{target_id}/resolve" => {
                self.resolve_target(&request).await
            }
            _ => Err(Problem::new(Code::NotFound)),
        }
    }

    /// The user whose media and posts these are.
    fn user(&self, request: &Request) -> Result<UserId, Problem> {
        let caller = request.caller(&self.scope_prefix)?;
        caller.user_with(Scope::Posts).cloned()
    }

    /// Who acts for them.
    fn who(&self, request: &Request) -> Result<Who, Problem> {
        Ok(request.caller(&self.scope_prefix)?.who())
    }
}

/// The request's own key against repetition.
fn idempotency_key(request: &Request) -> Result<Option<&str>, Problem> {
    const HEADER: &str = "Idempotency-Key";
    let mut values = request.headers().get_all(HEADER).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    let good = |text: &&str| {
        (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match (first.to_str().ok().filter(good), values.next()) {
        (Some(key), None) => Ok(Some(key)),
        _ => Err(Problem::bad_request(
            HEADER,
            "malformed",
            "An idempotency key is 1 to 255 visible ASCII characters, given once.",
        )),
    }
}

#[cfg(test)]
mod tests;
