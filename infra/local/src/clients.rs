//! SDK clients of the AWS process itself, for what tests and tools look at.

use aws_credential_types::Credentials;

use crate::aws::REGION;

/// One client for each service that the process behind serves.
#[derive(Debug, Clone)]
pub struct Clients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
}

macro_rules! client {
    ($sdk:ident, $url:expr, $http:expr, $($more:tt)*) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .region($sdk::config::Region::new(REGION))
                .endpoint_url($url)
                .credentials_provider(Credentials::new("test", "test", None, None, "local"))
                .http_client($http.clone())
                $($more)*
                .build(),
        )
    };
}

impl Clients {
    /// Clients of the process at `url`. Make them anew in each tokio runtime.
    pub fn new(url: &str) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_http();
        Self {
            dynamodb: client!(aws_sdk_dynamodb, url, http,),
            s3: client!(aws_sdk_s3, url, http, .force_path_style(true)),
            secrets: client!(aws_sdk_secretsmanager, url, http,),
            sqs: client!(aws_sdk_sqs, url, http,),
        }
    }
}
