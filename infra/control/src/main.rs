//! What `webhook` is measured against: a Lambda that makes the same AWS calls over the same clients
//! (one `GetSecretValue` at its start, one `SendMessage` per event), answers in the same shape, and
//! does nothing else. It is not in template.yaml and is never deployed.

use lambda::{Aws, Env, Error, variables as var};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::of_process();
    let aws = Aws::from_env(&env);
    let secret = env.text(&var::PLATFORMS_SECRET_ID);
    let queue = env.finish(env.text(&var::QUEUE_WEBHOOK))?;
    aws_sdk_secretsmanager::Client::new(aws.config())
        .get_secret_value()
        .secret_id(secret)
        .send()
        .await?;
    let sqs = aws_sdk_sqs::Client::new(aws.config());
    let queue = &queue;
    let sqs = &sqs;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let body = event.payload["body"].as_str().unwrap_or_default();
        let message = sqs.send_message().queue_url(queue).message_body(body);
        message.send().await?;
        Ok::<_, Error>(
            json!({"statusCode": 200, "headers": {}, "body": "", "isBase64Encoded": false}),
        )
    }))
    .await
}
