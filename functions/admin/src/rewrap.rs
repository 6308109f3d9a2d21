//! The move of everything sealed to the KMS key that this deployment seals under.

use domain::Act;
use http::StatusCode;
use lambda::{Answer, Problem, responses};

use crate::{Acted, Admin, Ask};

impl Admin {
    /// Begins it, or wakes the one that is open.
    pub(crate) async fn start_rewrap(&self, ask: &Ask<'_>) -> Answer {
        let deed = async {
            let view = self.rewrap.start().await.map_err(Problem::unavailable)?;
            Ok(Acted {
                answer: responses::json(StatusCode::ACCEPTED, &view),
                note: Some(view.id.to_string()),
            })
        };
        let to = self.rewrap.kms_key.as_str();
        self.act(ask, Act::AdminKeysRewrapped, None, Some(to), deed)
            .await
    }

    /// The last one, over or not; 404 where there was none.
    pub(crate) async fn rewrap_status(&self) -> Answer {
        let view = self.rewrap.status().await.map_err(Problem::unavailable)?;
        let view = view.ok_or_else(Problem::not_found)?;
        Ok(responses::json(StatusCode::OK, &view))
    }
}
