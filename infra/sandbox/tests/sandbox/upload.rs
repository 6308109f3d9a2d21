//! Chunks: order, sizes, progress, broken connections.

use serde_json::json;

use crate::rig::{KEY, Rig, bytes, clip, header, sha256};

const SIZE: u64 = 13_000_123;
const CHUNK: u64 = 6_000_000;

fn range(first: u64, last: u64) -> String {
    format!("bytes {first}-{last}/{SIZE}")
}

fn part(first: u64, last: u64) -> Vec<u8> {
    bytes(SIZE as usize)[first as usize..=last as usize].to_vec()
}

#[tokio::test]
async fn chunks_follow_the_plan() {
    let rig = Rig::start().await;
    rig.settings(json!({"processing": "held"})).await;
    let token = rig.access(KEY, "mara").await;
    let (id, url) = rig.inbox(&token, SIZE, CHUNK).await;
    let last = SIZE - 1;
    // first, last, status, progress after it
    let steps = [
        (6_000_000, last, 416, "bytes 0-0/13000123"),
        (0, 4_999_999, 400, ""),
        (0, 5_999_999, 206, "bytes 0-6000000/13000123"),
        (0, 5_999_999, 416, "bytes 0-6000000/13000123"),
        (6_000_000, 11_999_999, 400, ""),
        (6_000_001, last, 416, "bytes 0-6000000/13000123"),
        (6_000_000, last, 201, "bytes 0-13000123/13000123"),
        (6_000_000, last, 416, "bytes 0-13000123/13000123"),
    ];
    for (first, last, status, progress) in steps {
        let answer = rig.put(&url, &range(first, last), part(first, last)).await;
        assert_eq!(answer.status(), status, "{first}-{last}");
        assert_eq!(header(&answer, "content-range"), progress);
    }
    let seen = rig
        .publish(&id, |one| one["upload"]["complete"] == true)
        .await;
    assert_eq!(seen["upload"]["sha256"], sha256(&bytes(SIZE as usize)));
    assert_eq!(seen["upload"]["chunks"].as_array().unwrap().len(), 2);
    rig.settings(json!({"progress_header": "last_byte"})).await;
    let answer = rig
        .put(&url, &range(0, 5_999_999), part(0, 5_999_999))
        .await;
    assert_eq!(
        header(&answer, "content-range"),
        "bytes 0-13000122/13000123"
    );
}

#[tokio::test]
async fn headers_are_strict() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "mara").await;
    let (_, url) = rig.inbox(&token, 9, 9).await;
    let cases = [
        ("video/mp4", "bytes 0-8/10", 400),
        ("video/mp4", "bytes 0-7/9", 400),
        ("video/mp4", "bytes 0-9/9", 400),
        ("video/mp4", "0-8/9", 400),
        ("video/mp4", "bytes +0-8/9", 400),
        ("video/mp4", "", 400),
        ("application/octet-stream", "bytes 0-8/9", 400),
        ("", "bytes 0-8/9", 400),
    ];
    for (kind, range, status) in cases {
        let mut put = rig.http.put(&url).body(clip(9));
        for (name, value) in [("Content-Type", kind), ("Content-Range", range)] {
            if !value.is_empty() {
                put = put.header(name, value);
            }
        }
        let answer = put.send().await.unwrap();
        assert_eq!(answer.status(), status, "{kind} {range}");
    }
    let other = rig.put(&format!("{url}x"), "bytes 0-8/9", clip(9)).await;
    assert_eq!(other.status(), 404);
    // A bearer header is taken, and noted.
    let put = rig.http.put(&url).header("Authorization", "Bearer x");
    let put = put.header("Content-Type", "video/webm");
    let put = put.header("Content-Range", "bytes 0-8/9").body(clip(9));
    assert_eq!(put.send().await.unwrap().status(), 201);
    let log = rig.control("/requests?endpoint=upload", json!(null)).await;
    let lines = log["requests"].as_array().unwrap();
    assert_eq!(lines[0]["fields"]["authorization"], false);
    assert_eq!(lines.last().unwrap()["fields"]["authorization"], true);
}

#[tokio::test]
async fn an_upload_url_lives_an_hour() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "mara").await;
    let (_, url) = rig.inbox(&token, 9, 9).await;
    rig.advance(3600).await;
    let answer = rig.put(&url, "bytes 0-8/9", clip(9)).await;
    assert_eq!(answer.status(), 403);
    rig.settings(json!({"upload_host": "upload.us.tiktokapis.com"}))
        .await;
    let (_, url) = rig.inbox(&token, 9, 9).await;
    assert!(url.starts_with("https://upload.us.tiktokapis.com/video/?upload_id="));
}

#[tokio::test]
async fn a_chunk_cut_short_is_lost_whole() {
    let rig = Rig::start().await;
    rig.settings(json!({"keep_bytes_max": SIZE})).await;
    let token = rig.access(KEY, "mara").await;
    let (id, url) = rig.inbox(&token, SIZE, CHUNK).await;
    let last = SIZE - 1;
    rig.put(&url, &range(0, 5_999_999), part(0, 5_999_999))
        .await;
    rig.fault(json!({"endpoint": "upload", "cut_after_bytes": 100_000}))
        .await;
    let cut = rig
        .try_put(&url, &range(6_000_000, last), part(6_000_000, last))
        .await;
    assert!(cut.unwrap_err().status().is_none());
    let seen = rig.publish(&id, |_| true).await;
    assert_eq!(seen["upload"]["received"], 6_000_000);
    assert_eq!(seen["upload"]["sha256"], sha256(&part(0, 5_999_999)));
    // The same chunk again, and the whole is right.
    let answer = rig
        .put(&url, &range(6_000_000, last), part(6_000_000, last))
        .await;
    assert_eq!(answer.status(), 201);
    let seen = rig
        .publish(&id, |one| one["upload"]["complete"] == true)
        .await;
    assert_eq!(seen["upload"]["sha256"], sha256(&bytes(SIZE as usize)));
    let kept = format!("{}/publishes/{id}/bytes", rig.sandbox.admin_url());
    let kept = rig
        .http
        .get(kept)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(kept == bytes(SIZE as usize));
}

#[tokio::test]
async fn a_caller_that_dies_in_a_chunk_leaves_the_boundary() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "mara").await;
    let (id, url) = rig.inbox(&token, 9, 9).await;
    let socket = half(&rig, &url).await;
    rig.until("/requests?endpoint=upload", |log| {
        log["counts"]["upload"] == 1
    })
    .await;
    drop(socket);
    rig.until("/requests?endpoint=upload", |log| {
        log["requests"][0]["outcome"] == "cut"
    })
    .await;
    let seen = rig.publish(&id, |_| true).await;
    assert_eq!(seen["upload"]["received"], 0);
    let answer = rig.put(&url, "bytes 0-8/9", b"123456789".to_vec()).await;
    assert_eq!(answer.status(), 201);
    let seen = rig
        .publish(&id, |one| one["upload"]["complete"] == true)
        .await;
    assert_eq!(seen["upload"]["sha256"], sha256(b"123456789"));
}

#[tokio::test]
async fn of_two_requests_with_the_same_chunk_one_counts() {
    let rig = Rig::start().await;
    let token = rig.access(KEY, "mara").await;
    let (id, url) = rig.inbox(&token, 9, 9).await;
    let slow = half(&rig, &url).await;
    rig.until("/requests?endpoint=upload", |log| {
        log["counts"]["upload"] == 1
    })
    .await;
    let fast = rig.put(&url, "bytes 0-8/9", b"abcdefghi".to_vec()).await;
    assert_eq!(fast.status(), 201);
    slow.writable().await.unwrap();
    assert_eq!(slow.try_write(b"6789").unwrap(), 4);
    rig.until("/requests?endpoint=upload", |log| {
        log["requests"][0]["status"] == 416
    })
    .await;
    let seen = rig.publish(&id, |_| true).await;
    assert_eq!(seen["upload"]["sha256"], sha256(b"abcdefghi"));
}

/// A connection that sent the head of a nine-byte chunk and five of its bytes.
async fn half(rig: &Rig, url: &str) -> tokio::net::TcpStream {
    let (_, path) = url.split_once("/tiktok").unwrap();
    let head = format!(
        "PUT /tiktok{path} HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\nContent-Length: 9\r\n\
         Content-Range: bytes 0-8/9\r\n\r\n12345"
    );
    let socket = tokio::net::TcpStream::connect(("127.0.0.1", rig.sandbox.port())).await;
    let socket = socket.unwrap();
    socket.writable().await.unwrap();
    assert_eq!(socket.try_write(head.as_bytes()).unwrap(), head.len());
    socket
}
