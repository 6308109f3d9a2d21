//! Calls another function of the stack: one signed request to Lambda's Invoke.
//!
//! Lambda's own SDK crate is one operation of fifty for us; the signer comes with every SDK client.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;

use crate::aws::Aws;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(1);

/// Calls functions.
#[derive(Debug)]
pub struct Invoker {
    aws: Aws,
    connector: Connector,
}

/// Why a function could not be called. Trying later may help.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The request could not be built or signed.
    #[error("the call cannot be signed: {0}")]
    Unsignable(String),
    /// Lambda could not be reached, or did not answer in time.
    #[error("Lambda did not answer")]
    NoAnswer,
    /// Lambda refused; the HTTP status.
    #[error("Lambda refused the call with {0}")]
    Refused(u16),
    /// The function was called and failed.
    #[error("the function failed")]
    Failed,
}

impl Invoker {
    /// With the function's own credentials. `timeout` bounds the wait for an answer.
    pub fn new(aws: &Aws, timeout: Duration) -> Self {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT)
            .read_timeout(timeout)
            .build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .build();
        Self {
            aws: aws.clone(),
            connector,
        }
    }

    /// Hands an event to a function and returns once Lambda has taken it: the function runs after.
    pub async fn start(&self, function: &str, event: &str) -> Result<(), InvokeError> {
        self.call(function, "Event", event).await.map(drop)
    }

    /// Hands an event to a function and waits for its answer.
    pub async fn ask(&self, function: &str, event: &str) -> Result<Vec<u8>, InvokeError> {
        self.call(function, "RequestResponse", event).await
    }

    async fn call(
        &self,
        function: &str,
        kind: &'static str,
        event: &str,
    ) -> Result<Vec<u8>, InvokeError> {
        let request = self.signed(function, kind, event).await?;
        let answer = self.connector.call(request).await;
        let answer = answer.map_err(|_| InvokeError::NoAnswer)?;
        let status = answer.status().as_u16();
        let failed = answer.headers().get("x-amz-function-error").is_some();
        if !(200..300).contains(&status) {
            return Err(InvokeError::Refused(status));
        }
        let body = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body());
        let body = body.collect().await.map_err(|_| InvokeError::NoAnswer)?;
        if failed {
            return Err(InvokeError::Failed);
        }
        Ok(body.to_vec())
    }

    async fn signed(
        &self,
        function: &str,
        kind: &'static str,
        event: &str,
    ) -> Result<Request, InvokeError> {
        let unsignable = |error: &dyn std::fmt::Display| InvokeError::Unsignable(error.to_string());
        let url = format!(
            "{}/2015-03-31/functions/{function}/invocations",
            self.aws.endpoint("lambda", "LAMBDA")
        );
        let provider = self.aws.config().credentials_provider();
        let provider = provider.ok_or_else(|| unsignable(&"no credentials"))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| unsignable(&error))?.into();
        let region = self.aws.config().region().map(ToString::to_string);
        let region = region.unwrap_or_default();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name("lambda")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsignable(&error))?;
        let headers = [
            ("content-type", "application/json"),
            ("x-amz-invocation-type", kind),
        ];
        let body = SignableBody::Bytes(event.as_bytes());
        let signable = SignableRequest::new("POST", &url, headers.into_iter(), body)
            .map_err(|error| unsignable(&error))?;
        let (instructions, _) = sign(signable, &params.into())
            .map_err(|error| unsignable(&error))?
            .into_parts();
        let mut request = http::Request::post(&url)
            .header("content-type", "application/json")
            .header("x-amz-invocation-type", kind)
            .body(SdkBody::from(event))
            .map_err(|error| unsignable(&error))?;
        instructions.apply_to_request_http1x(&mut request);
        Request::try_from(request).map_err(|error| unsignable(&error))
    }
}
