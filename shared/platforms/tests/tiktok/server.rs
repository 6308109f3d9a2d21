//! A small TikTok that refuses what the sheet says TikTok refuses.

use domain::Timestamp;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Reply, creator, good, refusal, reply};

/// How progress is told in `Content-Range`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Progress {
    Count,
    LastByte,
    /// Only where the place was wrong.
    Nothing,
    /// Not even there.
    Never,
}

/// What is known of one publish.
#[derive(Debug, Default)]
struct Publish {
    /// What TikTok fetches has no size and is whole from the start.
    size: u64,
    chunk: u64,
    count: u64,
    held: u64,
    polls: u32,
    inbox: bool,
    /// Its end, where that is a bad one.
    failed: Option<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) progress: Progress,
    /// Whether a finished upload's address answers 404 rather than 416.
    pub(crate) forgets: bool,
    /// How many of the next fetches fail.
    pub(crate) unfetched: usize,
    /// Whether a wish to cancel comes too late.
    pub(crate) keeps: bool,
    publishes: Vec<Publish>,
}

impl Server {
    pub(crate) fn new(progress: Progress, forgets: bool) -> Self {
        Self {
            progress,
            forgets,
            unfetched: 0,
            keeps: false,
            publishes: Vec::new(),
        }
    }

    /// How many publishes hold a whole file, and so appear in the account.
    pub(crate) fn published(&self) -> usize {
        self.publishes
            .iter()
            .filter(|publish| publish.held == publish.size && publish.failed.is_none())
            .count()
    }

    pub(crate) fn starts(&self) -> usize {
        self.publishes.len()
    }

    pub(crate) fn call(&mut self, request: &Request<bytes::Bytes>, now: Timestamp) -> Reply {
        if request.uri().path() == "/v2/post/publish/creator_info/query/" {
            assert!(request.body().is_empty());
            return creator(&json!({})).at(now);
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let answer = match request.uri().path() {
            "/v2/post/publish/video/init/" => self.init(&body, false),
            "/v2/post/publish/inbox/video/init/" => self.init(&body, true),
            "/v2/post/publish/content/init/" => self.photos(&body),
            "/v2/post/publish/cancel/" => self.cancel(&body),
            "/v2/post/publish/status/fetch/" => self.status(&body),
            other => panic!("{other}"),
        };
        answer.at(now)
    }

    fn init(&mut self, body: &Value, inbox: bool) -> Reply {
        let source = &body["source_info"];
        if inbox != body.get("post_info").is_none() {
            return refusal(400, "invalid_param");
        }
        if source["source"] == "PULL_FROM_URL" && source["video_url"].is_string() {
            return self.fetch(inbox, "video_pull_failed");
        }
        let number = |name: &str| source[name].as_u64().unwrap();
        let (size, chunk, count) = (
            number("video_size"),
            number("chunk_size"),
            number("total_chunk_count"),
        );
        let legal = match count {
            1 => chunk == size && size <= 64_000_000,
            _ => (5_242_880..=64_000_000).contains(&chunk) && count == size / chunk,
        };
        if !legal || source["source"] != "FILE_UPLOAD" {
            return refusal(400, "invalid_param");
        }
        self.publishes.push(Publish {
            size,
            chunk,
            count,
            inbox,
            ..Publish::default()
        });
        let number = self.publishes.len() - 1;
        good(json!({
            "publish_id": format!("v_pub_file~v2-1.{number}"),
            "upload_url": format!("https://open-upload.tiktokapis.com/video/?upload_id={number}&upload_token=t"),
        }))
    }

    fn photos(&mut self, body: &Value) -> Reply {
        let inbox = body["post_mode"] == "MEDIA_UPLOAD";
        let source = &body["source_info"];
        let legal = body["media_type"] == "PHOTO"
            && (inbox || body["post_mode"] == "DIRECT_POST")
            && inbox == body["post_info"].get("privacy_level").is_none()
            && body["post_info"]["brand_content_toggle"].is_boolean()
            && body["post_info"]["brand_organic_toggle"].is_boolean()
            && source["source"] == "PULL_FROM_URL"
            && source["photo_cover_index"].is_u64()
            && (1..=35).contains(&source["photo_images"].as_array().map_or(0, Vec::len));
        match legal {
            true => self.fetch(inbox, "photo_pull_failed"),
            false => refusal(400, "invalid_param"),
        }
    }

    fn fetch(&mut self, inbox: bool, failure: &'static str) -> Reply {
        let fails = self.unfetched > 0;
        self.unfetched = self.unfetched.saturating_sub(1);
        self.publishes.push(Publish {
            inbox,
            failed: fails.then_some(failure),
            ..Publish::default()
        });
        let number = self.publishes.len() - 1;
        good(json!({ "publish_id": format!("v_pub_url~v2-1.{number}") }))
    }

    fn cancel(&mut self, body: &Value) -> Reply {
        let keeps = self.keeps;
        match self.publish(body) {
            None => refusal(400, "invalid_publish_id"),
            Some(publish) if keeps || publish.polls >= 3 || publish.failed.is_some() => {
                refusal(400, "publish_not_cancellable")
            }
            Some(publish) => {
                publish.failed = Some("publish_cancelled");
                good(json!({}))
            }
        }
    }

    fn publish(&mut self, body: &Value) -> Option<&mut Publish> {
        let id = body["publish_id"].as_str()?;
        let number: usize = id.rsplit('.').next()?.parse().ok()?;
        self.publishes.get_mut(number)
    }

    fn status(&mut self, body: &Value) -> Reply {
        let Some(publish) = self.publish(body) else {
            return refusal(400, "invalid_publish_id");
        };
        if publish.held == publish.size {
            publish.polls += 1;
        }
        if publish.polls >= 2
            && let Some(reason) = publish.failed
        {
            return good(json!({"status": "FAILED", "fail_reason": reason}));
        }
        if publish.polls < 3 && publish.size == 0 {
            return good(json!({"status": "PROCESSING_DOWNLOAD", "downloaded_bytes": 1}));
        }
        if publish.polls < 3 {
            return good(json!({"status": "PROCESSING_UPLOAD", "uploaded_bytes": publish.held}));
        }
        let status = if publish.inbox {
            "SEND_TO_USER_INBOX"
        } else {
            "PUBLISH_COMPLETE"
        };
        good(json!({ "status": status }))
    }

    /// A chunk; its bytes are not looked at, only where they belong.
    pub(crate) fn upload(&mut self, request: &Request<bytes::Bytes>, now: Timestamp) -> Reply {
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        let number: usize = request.uri().query().unwrap()["upload_id=".len()..]
            .split('&')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let publish = &mut self.publishes[number];
        let range = header("content-range");
        let (span, total) = range
            .strip_prefix("bytes ")
            .unwrap()
            .split_once('/')
            .unwrap();
        let (first, last) = span.split_once('-').unwrap();
        let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!(total.parse(), Ok(publish.size));
        assert_eq!(header("content-length").parse(), Ok(last + 1 - first));
        let index = first / publish.chunk;
        let end = if index + 1 == publish.count {
            publish.size
        } else {
            first + publish.chunk
        };
        assert_eq!(last + 1, end, "{range} is no chunk of the plan");

        let done = publish.held == publish.size;
        if done && self.forgets {
            return reply(404, "").at(now);
        }
        let status = if first != publish.held {
            416
        } else {
            publish.held = end;
            if end == publish.size { 201 } else { 206 }
        };
        let answer = reply(status, "").at(now);
        let told = match self.progress {
            Progress::Count => publish.held,
            Progress::LastByte if publish.held > 0 => publish.held - 1,
            // What has not begun has no last byte.
            Progress::LastByte => 0,
            // Progress is documented for 416, so at least there it is told.
            Progress::Nothing if status == 416 => publish.held,
            Progress::Nothing | Progress::Never => return answer,
        };
        answer.header("content-range", &format!("bytes 0-{told}/{}", publish.size))
    }
}
