//! One signed request to an AWS service of which we use one operation: its SDK crate would be one
//! operation of fifty for us; the signer comes with every SDK client.

use std::collections::BTreeMap;
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

/// A service that is called by signed requests. It never sends one twice by itself.
#[derive(Debug)]
pub struct Signed {
    aws: Aws,
    connector: Connector,
    /// The name that is signed for.
    service: &'static str,
    /// Where it is found, without a slash at the end.
    endpoint: String,
}

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SignedError {
    /// The request could not be built or signed: it was not sent.
    #[error("the call cannot be signed: {0}")]
    Unsignable(String),
    /// No answer came, or not in time: whether the request arrived is unknown.
    #[error("no answer came")]
    NoAnswer,
}

impl Signed {
    /// A service by the name that is signed for, its host's first label and the key of its endpoint
    /// override (`AWS_ENDPOINT_URL_<KEY>`), with the function's own credentials. `timeout` bounds the
    /// wait for an answer.
    pub fn new(aws: &Aws, service: &'static str, host: &str, key: &str, timeout: Duration) -> Self {
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
            service,
            endpoint: aws.endpoint(host, key),
        }
    }

    /// Sends one POST with these headers, the content's type among them, and reads its answer.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<SignedAnswer, SignedError> {
        let request = self.signed(path, headers, body).await?;
        let answer = self.connector.call(request).await;
        let answer = answer.map_err(|_| SignedError::NoAnswer)?;
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let headers = headers.collect();
        let body = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body());
        let body = body.collect().await.map_err(|_| SignedError::NoAnswer)?;
        Ok(SignedAnswer {
            status,
            headers,
            body: body.to_vec(),
        })
    }

    async fn signed(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Request, SignedError> {
        let unsignable = |error: &dyn std::fmt::Display| SignedError::Unsignable(error.to_string());
        let url = format!("{}{path}", self.endpoint);
        let provider = self.aws.config().credentials_provider();
        let provider = provider.ok_or_else(|| unsignable(&"no credentials"))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| unsignable(&error))?.into();
        let region = self.aws.config().region().map(ToString::to_string);
        let region = region.unwrap_or_default();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsignable(&error))?;
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", &url, headers.iter().copied(), signable)
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
