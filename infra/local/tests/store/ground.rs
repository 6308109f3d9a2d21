//! The emulator: one stack deployed from the real template for all tests of this binary, and calls
//! through the same proxy as the functions'.

use std::sync::{Arc, OnceLock, mpsc};

use aws_credential_types::Credentials;
use local::proxy::{Callers, SECRET_KEY};
use local::{Cloud, Scripted, Stack, StackOptions};
pub(crate) use local::{Fault, Rule};

/// Lives in a thread of its own: a test's runtime ends with the test.
fn stack() -> &'static Stack {
    static STACK: OnceLock<Arc<Stack>> = OnceLock::new();
    STACK.get_or_init(|| {
        let (tell, hear) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let root = local::cloud::project_root().unwrap();
                let cloud = Cloud::start(&root).await.unwrap();
                let mut options = StackOptions::new(&format!("store-{}", std::process::id()));
                options.pollers = false;
                let stack = Stack::start(&cloud, options).await.unwrap();
                tell.send(Arc::new(stack)).unwrap();
                std::future::pending::<()>().await
            })
        });
        hear.recv().expect("the stack deploys")
    })
}

/// A client of DynamoDB with the credentials of a function: faults are scripted for those.
pub(crate) fn dynamodb(function: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new(local::aws::REGION))
        .endpoint_url(stack().aws_endpoint())
        .credentials_provider(credentials(function))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// A client of KMS with the credentials of a function.
pub(crate) fn kms(function: &str) -> aws_sdk_kms::Client {
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(aws_sdk_kms::config::BehaviorVersion::latest())
        .region(aws_sdk_kms::config::Region::new(local::aws::REGION))
        .endpoint_url(stack().aws_endpoint())
        .credentials_provider(credentials(function))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_kms::Client::from_conf(config.build())
}

fn credentials(function: &str) -> Credentials {
    let token = Some("of no process".to_owned());
    Credentials::new(
        Callers::access_key(function),
        SECRET_KEY,
        token,
        None,
        "test",
    )
}

/// The name of a table by its noun.
pub(crate) fn table(noun: &str) -> &'static str {
    stack().table(noun).unwrap()
}

/// The key of the tokens.
pub(crate) fn key_id() -> String {
    stack().reference("TokenKey").unwrap().to_owned()
}

/// Puts a fault in place.
pub(crate) fn fault(rule: Rule, fault: Fault) -> Scripted {
    stack().fault(rule, fault)
}

/// How often a function made this call so far.
pub(crate) fn calls(function: &str, action: &str) -> usize {
    let calls = stack().record().of(function);
    calls.iter().filter(|call| call.action == action).count()
}

/// How many calls of any kind a function made so far.
pub(crate) fn all_calls(function: &str) -> usize {
    stack().record().of(function).len()
}
