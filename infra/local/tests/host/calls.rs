//! AWS calls through the proxy: the record, the IAM verdict, faults, presigned URLs.

use std::time::Duration;

use local::{Fault, Rule};
use serde_json::json;

use crate::harness::{BOUND, has_row, put, stack, wish};

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_recorded_and_judged() {
    let stack = stack("record").await;
    assert_eq!(put(&stack, "a").await, json!({"put": true}));
    let calls = stack.record().of("probe");
    let put = calls
        .iter()
        .find(|call| call.action == "dynamodb:PutItem")
        .unwrap();
    assert_eq!(put.status, 200);
    assert!(put.touches(stack.table("rows").unwrap()));
    let denied = &stack.denied()["probe"];
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert!(
        denied[0].starts_with("dynamodb:PutItem on arn:aws:dynamodb:"),
        "{denied:?}"
    );
    let unused = &stack.unused()["probe"];
    assert!(
        unused
            .iter()
            .any(|rule| rule.starts_with("dynamodb:GetItem on ")),
        "{unused:?}"
    );
    assert!(
        !unused.iter().any(|rule| rule.contains("logs:")),
        "{unused:?}"
    );
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_strike_as_scripted() {
    let stack = stack("faults").await;
    wish(&stack, "echo").await;
    let rule = || Rule::on("dynamodb:PutItem").by("probe");
    // (what is done, what the function sees, whether the row is there)
    let cases = [
        (
            "error",
            Fault::error(500, "InternalServerError"),
            "InternalServerError",
            false,
        ),
        (
            "throttle",
            Fault::Throttle,
            "ProvisionedThroughputExceededException",
            false,
        ),
        ("drop-before", Fault::DropBefore, "", false),
        ("drop-after", Fault::DropAfter, "", true),
    ];
    for (name, fault, code, there) in cases {
        let scripted = stack.fault(rule(), fault);
        let answer = put(&stack, name).await;
        assert_eq!(answer["put"], false, "{name}");
        assert_eq!(
            answer["code"].as_str().unwrap_or_default(),
            code,
            "{name}: {answer}"
        );
        assert_eq!(has_row(&stack, name).await, there, "{name}");
        assert_eq!(scripted.fired(), 1, "{name}");
        assert_eq!(put(&stack, name).await["put"], true, "{name}: only once");
        stack.clear_faults();
    }
    let delay = Duration::from_millis(50);
    stack.fault(rule(), Fault::Delay(delay));
    assert_eq!(put(&stack, "delay").await["put"], true);
    let slow = stack
        .record()
        .of("probe")
        .into_iter()
        .filter(|call| call.elapsed >= delay)
        .count();
    assert_eq!(slow, 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_can_be_killed_around_a_call() {
    let stack = stack("killed").await;
    for (name, fault, there) in [
        ("before", Fault::KillBefore, false),
        ("after", Fault::KillAfter, true),
    ] {
        stack.fault(Rule::on("dynamodb:PutItem"), fault);
        let event = json!({"do": "put", "table": stack.table("rows").unwrap(), "id": name});
        let error = stack
            .invoke("probe", &event)
            .await
            .unwrap()
            .result
            .unwrap_err();
        assert!(error.message.contains("signal: killed"), "{error}");
        assert_eq!(has_row(&stack, name).await, there, "{name}");
        stack.clear_faults();
    }
    let lost: Vec<_> = stack
        .record()
        .of("probe")
        .iter()
        .map(|call| call.status)
        .collect();
    assert_eq!(lost, [0, 0], "both are on record, unanswered");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_waits_for_its_release() {
    let stack = stack("held").await;
    for (name, fault, there) in [
        ("before", Fault::HoldBefore, false),
        ("after", Fault::HoldAfter, true),
    ] {
        let held = stack.fault(Rule::on("dynamodb:PutItem"), fault);
        let (answer, ()) = tokio::join!(put(&stack, name), async {
            held.wait(1, BOUND).await.unwrap();
            if there {
                local::eventually("the row is there", BOUND, async || {
                    Ok(has_row(&stack, name).await.then_some(()))
                })
                .await
                .unwrap();
            } else {
                assert!(!has_row(&stack, name).await);
            }
            held.release();
        });
        assert_eq!(answer["put"], true);
        stack.clear_faults();
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_need_key_token_and_signature() {
    let stack = stack("signature").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let scope = "20260101/us-east-1/dynamodb/aws4_request";
    for (key, token, expected) in [
        ("NOBODY", Some("t"), "UnrecognizedClientException"),
        ("LOCALPROBE", None, "UnrecognizedClientException"),
        ("LOCALPROBE", Some("t"), "SignatureDoesNotMatch"),
    ] {
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host, Signature=00");
        let mut request = http
            .post(stack.aws_endpoint())
            .header("authorization", authorization)
            .header("x-amz-target", "DynamoDB_20120810.ListTables")
            .body("{}");
        if let Some(token) = token {
            request = request.header("x-amz-security-token", token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 403);
        assert!(
            answer.text().await.unwrap().contains(expected),
            "{key} {token:?}"
        );
    }
    stack.stop().await.unwrap();
}

/// As a function would: its key, its secret, a session token, the proxy as endpoint.
fn s3_of_the_probe(endpoint: &str) -> aws_sdk_s3::Client {
    let credentials = aws_credential_types::Credentials::new(
        "LOCALPROBE",
        local::proxy::SECRET_KEY,
        Some("token".to_owned()),
        None,
        "test",
    );
    aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .credentials_provider(credentials)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_upload_by_presigned_urls() {
    use aws_sdk_s3::{
        presigning::PresigningConfig,
        types::{CompletedMultipartUpload, CompletedPart},
    };
    let stack = stack("presigned").await;
    let bucket = stack.bucket("media").unwrap();
    let s3 = s3_of_the_probe(&stack.aws_endpoint());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let key = "media/a b+c.mp4";
    let upload = s3
        .create_multipart_upload()
        .bucket(bucket)
        .key(key)
        .send()
        .await
        .unwrap();
    let part = |number: i32| {
        s3.upload_part()
            .bucket(bucket)
            .key(key)
            .upload_id(upload.upload_id().unwrap())
            .part_number(number)
    };
    let presign = |seconds| PresigningConfig::expires_in(Duration::from_secs(seconds)).unwrap();
    let big = vec![7_u8; 5 << 20];
    let mut parts = CompletedMultipartUpload::builder();
    for (number, bytes) in [(1, big.clone()), (2, b"end".to_vec())] {
        let url = part(number).presigned(presign(60)).await.unwrap();
        let answer = http.put(url.uri()).body(bytes).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        parts = parts.parts(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
        let other = url
            .uri()
            .replace(&format!("partNumber={number}"), "partNumber=9");
        let answer = http.put(other).body("x").send().await.unwrap();
        assert_eq!(answer.status(), 403, "a changed URL");
    }
    s3.complete_multipart_upload()
        .bucket(bucket)
        .key(key)
        .upload_id(upload.upload_id().unwrap())
        .multipart_upload(parts.build())
        .send()
        .await
        .unwrap();
    let got = s3
        .get_object()
        .bucket(bucket)
        .key(key)
        .range("bytes=5242878-")
        .send()
        .await
        .unwrap();
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(bytes.as_ref(), b"\x07\x07end");
    s3.put_object()
        .bucket(bucket)
        .key("small")
        .body(b"raw".to_vec().into())
        .send()
        .await
        .unwrap();
    let url = s3
        .get_object()
        .bucket(bucket)
        .key("small")
        .presigned(presign(60))
        .await
        .unwrap();
    let answer = http.get(url.uri()).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "raw");
    let past = std::time::SystemTime::now() - Duration::from_secs(3_600);
    let over = PresigningConfig::builder()
        .start_time(past)
        .expires_in(Duration::from_secs(60));
    let url = s3.get_object().bucket(bucket).key("small");
    let url = url.presigned(over.build().unwrap()).await.unwrap();
    let answer = http.get(url.uri()).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("Request has expired"));
    let actions: Vec<_> = stack
        .record()
        .of("probe")
        .into_iter()
        .map(|call| call.action)
        .collect();
    let expected = [
        "s3:CreateMultipartUpload",
        "s3:UploadPart",
        "s3:UploadPart",
        "s3:CompleteMultipartUpload",
        "s3:GetObject",
        "s3:PutObject",
        "s3:GetObject",
    ];
    assert_eq!(actions, expected);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buckets_cors_is_what_the_template_says() {
    let stack = stack("bucket-cors").await;
    let url = format!(
        "{}/{}/k",
        stack.aws_endpoint(),
        stack.bucket("media").unwrap()
    );
    let s3 = s3_of_the_probe(&stack.aws_endpoint());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let presigning = aws_sdk_s3::presigning::PresigningConfig::expires_in(BOUND).unwrap();
    let put = s3
        .put_object()
        .bucket(stack.bucket("media").unwrap())
        .key("k");
    let put = put.presigned(presigning).await.unwrap();
    for (origin, method, allowed) in [
        ("https://app.example", "PUT", true),
        ("https://app.example", "DELETE", false),
        ("https://evil.example", "PUT", false),
    ] {
        let answer = http
            .request(reqwest::Method::OPTIONS, &url)
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "content-type")
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.status(),
            if allowed { 200 } else { 403 },
            "{origin} {method}"
        );
    }
    for (origin, exposed) in [
        ("https://app.example", Some("ETag")),
        ("https://evil.example", None),
    ] {
        let sent = http
            .put(put.uri())
            .header("origin", origin)
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 200);
        let header = sent.headers().get("access-control-expose-headers");
        assert_eq!(
            header.map(|value| value.to_str().unwrap()),
            exposed,
            "{origin}"
        );
    }
    stack.stop().await.unwrap();
}
