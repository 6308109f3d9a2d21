//! Calls another function of the stack: one signed request to Lambda's Invoke.

use std::time::Duration;

use crate::aws::Aws;
use crate::signed::{Signed, SignedError};

/// Calls functions.
#[derive(Debug)]
pub struct Invoker(Signed);

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

impl From<SignedError> for InvokeError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Unsignable(why) => Self::Unsignable(why),
            SignedError::NoAnswer => Self::NoAnswer,
        }
    }
}

impl Invoker {
    /// With the function's own credentials. `timeout` bounds the wait for an answer.
    pub fn new(aws: &Aws, timeout: Duration) -> Self {
        Self(Signed::new(aws, "lambda", "lambda", "LAMBDA", timeout))
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
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let headers = [
            ("content-type", "application/json"),
            ("x-amz-invocation-type", kind),
        ];
        let answer = self.0.post(&path, &headers, event).await?;
        if !(200..300).contains(&answer.status) {
            return Err(InvokeError::Refused(answer.status));
        }
        if answer.headers.contains_key("x-amz-function-error") {
            return Err(InvokeError::Failed);
        }
        Ok(answer.body)
    }
}
