//! `/v1/posts…`: create, list, look, cancel, resolve.

use domain::{PostId, TargetId};
use http::{HeaderValue, StatusCode, header};
use lambda::{Answer, Problem, Request, responses};
use platforms::Apps;
use posts::{NewPost, PostView, Resolution};
use serde::Serialize;

use crate::{Upload, idempotency_key, problem};

/// Eleven captions of the largest size, escaped, and what stands around them.
const MOST_POST: usize = 512 * 1_024;
const MOST_RESOLUTION: usize = 8 * 1_024;
const USUAL: u8 = 20;
const MOST: u8 = 100;

#[derive(Serialize)]
struct Page {
    posts: Vec<PostView>,
    /// Give it as `cursor` for what comes next; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl Upload {
    pub(crate) async fn create_post(&self, apps: &Apps, request: &Request) -> Answer {
        let user = self.user(request)?;
        let key = idempotency_key(request)?;
        let new: NewPost = request.json(MOST_POST)?;
        let composer = self.composer.acting(self.who(request)?);
        let created = composer.create(apps, &user, &new, key).await;
        let post = created.map_err(problem)?;
        let mut response = responses::json(StatusCode::CREATED, &post);
        if let Ok(location) = HeaderValue::try_from(format!("/v1/posts/{}", post.id)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    pub(crate) async fn list_posts(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let query = request.query()?;
        query.only(&["cursor", "limit"])?;
        let sentence = "Give the next_cursor of an earlier answer.";
        let before: Option<PostId> = query.parameter("cursor", sentence)?;
        let sentence = "Give a number from 1 to 100.";
        let limit = query.parameter("limit", sentence)?.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::bad_request("limit", "malformed", sentence));
        }
        let page = self.composer.list(&user, before.as_ref(), limit).await;
        let (posts, next_cursor) = page.map_err(problem)?;
        Ok(responses::json(
            StatusCode::OK,
            &Page { posts, next_cursor },
        ))
    }

    pub(crate) async fn get_post(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let post: PostId = request.path_parameter("post_id")?;
        let view = self.composer.get(&user, &post).await.map_err(problem)?;
        Ok(responses::json(StatusCode::OK, &view))
    }

    /// 202: the worker that has a target sees to it. A target that is cancelled already is answered so.
    pub(crate) async fn cancel_post(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let post: PostId = request.path_parameter("post_id")?;
        let composer = self.composer.acting(self.who(request)?);
        let post = composer.cancel_all(&user, &post).await;
        Ok(responses::json(
            StatusCode::ACCEPTED,
            &post.map_err(problem)?,
        ))
    }

    pub(crate) async fn cancel_target(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let post: PostId = request.path_parameter("post_id")?;
        let target: TargetId = request.path_parameter("target_id")?;
        let composer = self.composer.acting(self.who(request)?);
        let target = composer.cancel(&user, &post, &target).await;
        Ok(responses::json(
            StatusCode::ACCEPTED,
            &target.map_err(problem)?,
        ))
    }

    pub(crate) async fn resolve_target(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let post: PostId = request.path_parameter("post_id")?;
        let target: TargetId = request.path_parameter("target_id")?;
        let resolution: Resolution = request.json(MOST_RESOLUTION)?;
        let resolved = self
            .composer
            .acting(self.who(request)?)
            .resolve(&user, &post, &target, &resolution)
            .await;
        Ok(responses::json(StatusCode::OK, &resolved.map_err(problem)?))
    }
}
