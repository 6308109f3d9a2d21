//! A Lambda function that does as its event says; the host's tests run it.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Region, retry::RetryConfig},
    error::ProvideErrorMetadata as _,
    types::AttributeValue,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[expect(clippy::panic, reason = "the host must report a panic as Lambda does")]
fn break_down() -> ! {
    panic!("told to panic")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var("PROBE_BREAKS_AT_START").is_ok() {
        return Err("told to break at the start".into());
    }
    let dynamodb = client();
    lambda_runtime::run(service_fn(|event| handle(&dynamodb, event))).await
}

async fn handle(dynamodb: &Client, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let LambdaEvent { payload, context } = event;
    if let Some(records) = payload["Records"].as_array() {
        return Ok(batch(records));
    }
    if payload["version"] == "2.0" {
        return Ok(
            json!({"statusCode": 200, "headers": {"content-type": "application/json"},
            "cookies": ["a=1", "b=2"], "body": payload.to_string()}),
        );
    }
    match payload["do"].as_str().unwrap_or_default() {
        "echo" => Ok(payload),
        "context" => Ok(json!({
            "request_id": context.request_id, "arn": context.invoked_function_arn,
            "deadline": context.deadline, "process": std::process::id(),
            "environment": std::env::vars().collect::<std::collections::BTreeMap<_, _>>(),
        })),
        "hang" => std::future::pending().await,
        "exit" => std::process::exit(3),
        "fail" => Err("told to fail".into()),
        "panic" => break_down(),
        "put" => Ok(put(dynamodb, &payload).await),
        other => Err(format!("unknown wish {other:?}").into()),
    }
}

/// Fails the records whose body begins with `fail`, breaks on `break`, answers nonsense on `odd`.
fn batch(records: &[Value]) -> Value {
    let mut failures = Vec::new();
    for record in records {
        let body = record["body"].as_str().unwrap_or_default();
        let count = &record["attributes"]["ApproximateReceiveCount"];
        eprintln!("got {body} for the {count}. time");
        assert!(body != "break", "told to break");
        if body == "odd" {
            return json!({"batchItemFailures": [{"itemIdentifier": ""}]});
        }
        if body.starts_with("fail") {
            failures.push(json!({"itemIdentifier": record["messageId"]}));
        }
    }
    json!({"batchItemFailures": failures})
}

async fn put(dynamodb: &Client, payload: &Value) -> Value {
    let text = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
    let put = dynamodb
        .put_item()
        .table_name(text("table"))
        .item("id", AttributeValue::S(text("id")))
        .send()
        .await;
    match put {
        Ok(_) => json!({"put": true}),
        Err(error) => json!({"put": false, "code": error.code(), "error": format!("{error:?}")}),
    }
}

fn client() -> Client {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let token = std::env::var("AWS_SESSION_TOKEN").ok();
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
        token,
        None,
        "environment",
    );
    Client::from_conf(
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(variable("AWS_REGION")))
            .endpoint_url(variable("AWS_ENDPOINT_URL"))
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build(),
    )
}
