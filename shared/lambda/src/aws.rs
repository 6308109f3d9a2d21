//! One configuration for all AWS clients, out of Lambda's own environment.
//!
//! Lambda hands every function its region and credentials as variables, so `aws-config` with its
//! chain of providers (and the SSO and STS clients in it) stays out. A local run differs by the same
//! variables and by endpoint URLs alone.
//!
//! Every client is built by `aws_sdk_x::Client::new(aws.config())`; the variable
//! `AWS_ENDPOINT_URL_<SERVICE>` (`AWS_ENDPOINT_URL_KMS`, `AWS_ENDPOINT_URL_SECRETS_MANAGER`) wins over
//! `AWS_ENDPOINT_URL`. S3 needs one line more, everywhere:
//! `aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(aws.config()).force_path_style(true).build())`.
//! A local endpoint has no bucket host names; AWS serves path-style addresses for every bucket in its
//! own region, so one style holds in both places and nothing asks where it runs.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::HttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::checksum_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::config::Env;
use crate::variables::{
    AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_REGION, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
};

/// How long AWS may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Connecting.
    pub connect: Duration,
    /// One try, until its answer begins.
    pub attempt: Duration,
    /// All tries together.
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            attempt: Duration::from_secs(3),
            operation: Duration::from_secs(10),
        }
    }
}

/// The way to AWS: one HTTP client, one set of credentials, at most three tries.
#[derive(Clone, Debug)]
pub struct Aws(SdkConfig, ServiceEndpoints);

impl Aws {
    /// Reads region, credentials and endpoints; what is missing is noted in `env`.
    pub fn from_env(env: &Env) -> Self {
        Self::with_timeouts(env, Timeouts::default())
    }

    /// [`Aws::from_env`] with time-outs of the function's own.
    pub fn with_timeouts(env: &Env, timeouts: Timeouts) -> Self {
        let credentials = Credentials::new(
            env.text(&AWS_ACCESS_KEY_ID),
            env.text(&AWS_SECRET_ACCESS_KEY),
            env.optional(&AWS_SESSION_TOKEN),
            None,
            "environment",
        );
        let endpoints = ServiceEndpoints::of(env);
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build_https();
        let mut builder = settings(http, timeouts, env.text(&AWS_REGION), credentials)
            .service_config(endpoints.clone());
        builder.set_endpoint_url(env.url(&AWS_ENDPOINT_URL));
        Self(builder.build(), endpoints)
    }

    /// The same settings over another way out: a model of AWS, in a harness. The SDK keeps one budget
    /// of retries for each region, so worlds that must not starve each other have one of their own.
    pub fn over(http: impl HttpClient + 'static, region: &str, timeouts: Timeouts) -> Self {
        let credentials = Credentials::new("model", "model", None, None, "model");
        let config = settings(http, timeouts, region.to_owned(), credentials);
        Self(config.build(), ServiceEndpoints::default())
    }

    /// What `Client::new` of every service takes.
    pub fn config(&self) -> &SdkConfig {
        &self.0
    }

    /// Where a service without an SDK client here is found; `key` is its name in
    /// `AWS_ENDPOINT_URL_<KEY>`. No slash at the end.
    pub(crate) fn endpoint(&self, service: &str, key: &str) -> String {
        let region = self.0.region().map(AsRef::as_ref).unwrap_or_default();
        let domain = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let own = self.1.of_service(key).or(self.0.endpoint_url());
        let own = own.map(|url| url.trim_end_matches('/').to_owned());
        own.unwrap_or_else(|| format!("https://{service}.{region}.{domain}"))
    }
}

fn settings(
    http: impl HttpClient + 'static,
    timeouts: Timeouts,
    region: String,
    credentials: Credentials,
) -> aws_types::sdk_config::Builder {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(timeouts.connect)
                .operation_attempt_timeout(timeouts.attempt)
                .operation_timeout(timeouts.operation)
                .build(),
        )
        // A file is read no faster than the platform takes it: that is no stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // The signature covers the body's SHA-256 already; a CRC besides it buys nothing.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}

/// The endpoints of single services: `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Clone, Debug, Default)]
struct ServiceEndpoints(Vec<(String, String)>);

impl ServiceEndpoints {
    fn of(env: &Env) -> Self {
        Self(
            env.starting_with("AWS_ENDPOINT_URL_")
                .map(|(name, url)| (name.to_owned(), url.to_owned()))
                .collect(),
        )
    }

    fn of_service(&self, key: &str) -> Option<&str> {
        let name = format!("AWS_ENDPOINT_URL_{key}");
        let found = self.0.iter().find(|(known, _)| *known == name)?;
        Some(&found.1)
    }
}

impl LoadServiceConfig for ServiceEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        let name = format!("{}_{service}", key.env());
        let found = self.0.iter().find(|(known, _)| *known == name)?;
        Some(found.1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_its_own_endpoint_or_the_common_one() {
        let endpoints = ServiceEndpoints::of(&Env::from_values([
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:2"),
        ]));
        let load = |service: &str, env: &str| {
            let key = ServiceConfigKey::builder()
                .service_id(service)
                .env(env)
                .profile("endpoint_url")
                .build()
                .unwrap();
            endpoints.load_config(key)
        };
        let own = load("Secrets Manager", "AWS_ENDPOINT_URL");
        assert_eq!(own.as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(load("KMS", "AWS_ENDPOINT_URL"), None);
        assert_eq!(load("S3", "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH"), None);
    }

    #[test]
    fn services_are_found_in_their_region() {
        let at = |more: &[(&str, &str)]| {
            let region = if more.is_empty() {
                "cn-north-1"
            } else {
                "eu-west-1"
            };
            let values = [("AWS_REGION", region)];
            let values = values.into_iter().chain(more.iter().copied());
            Aws::from_env(&Env::from_values(values)).endpoint("lambda", "LAMBDA")
        };
        assert_eq!(at(&[]), "https://lambda.cn-north-1.amazonaws.com.cn");
        assert_eq!(at(&[("X", "1")]), "https://lambda.eu-west-1.amazonaws.com");
        let common = ("AWS_ENDPOINT_URL", "http://127.0.0.1:1/");
        assert_eq!(at(&[common]), "http://127.0.0.1:1");
        let own = ("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:2");
        assert_eq!(at(&[common, own]), "http://127.0.0.1:2");
    }

    #[test]
    fn missing_credentials_are_noted() {
        let env = Env::from_values([("AWS_REGION", "eu-west-1")]);
        let aws = Aws::from_env(&env);
        assert_eq!(aws.config().region().map(AsRef::as_ref), Some("eu-west-1"));
        let wrong = env.finish(()).unwrap_err().0;
        let names: Vec<_> = wrong.iter().map(|wrong| wrong.name).collect();
        assert_eq!(names, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    }
}
