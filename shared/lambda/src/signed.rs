//! One signed request to a service of AWS for which no SDK crate is worth its size: the signer comes
//! with every SDK client.

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

/// Sends signed requests with the function's own credentials.
#[derive(Debug)]
pub(crate) struct Signed {
    aws: Aws,
    connector: Connector,
}

/// A service, by its name in signatures and host names and by its key in `AWS_ENDPOINT_URL_<KEY>`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
}

/// What a service answered, whatever its status.
#[derive(Debug)]
pub(crate) struct SignedAnswer {
    pub(crate) status: u16,
    pub(crate) function_error: bool,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignedError {
    #[error("the call cannot be signed: {0}")]
    Unsignable(String),
    #[error("the service did not answer")]
    NoAnswer,
}

impl Signed {
    /// `timeout` bounds the wait for an answer.
    pub(crate) fn new(aws: &Aws, timeout: Duration) -> Self {
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

    /// Posts `body` to `path` of the service, once.
    pub(crate) async fn post(
        &self,
        service: Service,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Result<SignedAnswer, SignedError> {
        let request = self.signed(service, path, headers, body).await?;
        let answer = self.connector.call(request).await;
        let answer = answer.map_err(|_| SignedError::NoAnswer)?;
        let status = answer.status().as_u16();
        let function_error = answer.headers().get("x-amz-function-error").is_some();
        let body = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body());
        let body = body.collect().await.map_err(|_| SignedError::NoAnswer)?;
        Ok(SignedAnswer {
            status,
            function_error,
            body: body.to_vec(),
        })
    }

    async fn signed(
        &self,
        service: Service,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Result<Request, SignedError> {
        let unsignable = |error: &dyn std::fmt::Display| SignedError::Unsignable(error.to_string());
        let url = format!("{}{path}", self.aws.endpoint(service.name, service.key));
        let provider = self.aws.config().credentials_provider();
        let provider = provider.ok_or_else(|| unsignable(&"no credentials"))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| unsignable(&error))?.into();
        let region = self.aws.config().region().map(ToString::to_string);
        let region = region.unwrap_or_default();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(service.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsignable(&error))?;
        let signable = SignableRequest::new(
            "POST",
            &url,
            headers.iter().copied(),
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|error| unsignable(&error))?;
        let (instructions, _) = sign(signable, &params.into())
            .map_err(|error| unsignable(&error))?
            .into_parts();
        let mut request = http::Request::post(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request
            .body(SdkBody::from(body))
            .map_err(|error| unsignable(&error))?;
        instructions.apply_to_request_http1x(&mut request);
        Request::try_from(request).map_err(|error| unsignable(&error))
    }
}
