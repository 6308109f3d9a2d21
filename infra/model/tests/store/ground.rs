//! The model: one world for all tests of this binary.

use std::sync::LazyLock;
use std::time::Duration;

use aws_smithy_types::retry::RetryConfig;
use lambda::Timeouts;
use model::{Aws, Script, Scripted, Template};
pub(crate) use model::{Fault, Rule};

struct World {
    template: Template,
    aws: Aws,
    script: Script,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let template = Template::of_project().unwrap();
    World {
        aws: Aws::new(&template),
        script: Script::default(),
        template,
    }
});

fn aws(function: &str) -> lambda::Aws {
    let http = WORLD.aws.http_client(WORLD.script.caller(function));
    lambda::Aws::over(http, model::REGION, Timeouts::default())
}

/// A client of DynamoDB as a function has it: faults are scripted for those.
pub(crate) fn dynamodb(function: &str) -> aws_sdk_dynamodb::Client {
    let aws = aws(function);
    let config = aws_sdk_dynamodb::config::Builder::from(aws.config()).retry_config(at_once());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// The functions' number of tries, without their pauses: nothing here mends by waiting.
fn at_once() -> RetryConfig {
    let pause = Duration::from_millis(1);
    RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(pause)
}

/// A client of KMS as a function has it.
pub(crate) fn kms(function: &str) -> aws_sdk_kms::Client {
    let aws = aws(function);
    let config = aws_sdk_kms::config::Builder::from(aws.config()).retry_config(at_once());
    aws_sdk_kms::Client::from_conf(config.build())
}

/// The name of a table by its noun.
pub(crate) fn table(noun: &str) -> &'static str {
    WORLD.template.table(noun).unwrap()
}

/// The key of the tokens.
pub(crate) fn key_id() -> String {
    WORLD.aws.key_id().to_owned()
}

/// Puts a fault in place.
pub(crate) fn fault(rule: Rule, fault: Fault) -> Scripted {
    WORLD.script.fault(rule, fault)
}

/// How often a function made this call so far, each try of the SDK by itself.
pub(crate) fn calls(function: &str, action: &str) -> usize {
    let calls = WORLD.script.calls_of(function);
    calls.iter().filter(|call| call.action == action).count()
}

/// How many calls of any kind a function made so far, each try of the SDK by itself.
pub(crate) fn all_calls(function: &str) -> usize {
    WORLD.script.calls_of(function).len()
}
