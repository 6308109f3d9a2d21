//! `/v1/media…`: begin, look, send on, complete, delete.

use domain::MediaId;
use http::{HeaderValue, StatusCode, header};
use lambda::{Answer, Request, responses};
use posts::{MediaView, NewMedia, PartList, PartsView};
use serde::Serialize;

use crate::{Upload, idempotency_key, problem};

const MOST_NEW: usize = 4 * 1_024;
/// 10,000 parts with their ETags.
const MOST_PARTS: usize = 1_024 * 1_024;

/// A file that was begun, and where its first parts go.
#[derive(Serialize)]
struct Begun {
    #[serde(flatten)]
    media: MediaView,
    upload: PartsView,
}

impl Upload {
    pub(crate) async fn begin_media(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let key = idempotency_key(request)?;
        let new: NewMedia = request.json(MOST_NEW)?;
        let begun = self.uploads.begin(&user, &new, key).await;
        let (media, upload) = begun.map_err(problem)?;
        let location = format!("/v1/media/{}", media.id);
        let mut response = responses::json(StatusCode::CREATED, &Begun { media, upload });
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    pub(crate) async fn get_media(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let media: MediaId = request.path_parameter("media_id")?;
        let view = self.uploads.get(&user, &media).await.map_err(problem)?;
        Ok(responses::json(StatusCode::OK, &view))
    }

    pub(crate) async fn list_parts(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let media: MediaId = request.path_parameter("media_id")?;
        let query = request.query()?;
        query.only(&["after"])?;
        let sentence = "Give the next_after of an earlier answer.";
        let after: Option<u32> = query.parameter("after", sentence)?;
        let after = u64::from(after.unwrap_or(0));
        let parts = self.uploads.parts(&user, &media, after).await;
        Ok(responses::json(StatusCode::OK, &parts.map_err(problem)?))
    }

    pub(crate) async fn complete_media(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let media: MediaId = request.path_parameter("media_id")?;
        let list: PartList = request.json(MOST_PARTS)?;
        let view = self.uploads.complete(&user, &media, &list).await;
        Ok(responses::json(StatusCode::OK, &view.map_err(problem)?))
    }

    pub(crate) async fn delete_media(&self, request: &Request) -> Answer {
        let user = self.user(request)?;
        let media: MediaId = request.path_parameter("media_id")?;
        self.uploads.delete(&user, &media).await.map_err(problem)?;
        Ok(responses::no_content())
    }
}
