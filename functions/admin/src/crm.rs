//! The rebuilding of the PostgreSQL projection.

use domain::Act;
use http::StatusCode;
use lambda::{Answer, Problem, responses};

use crate::queues::CRM_BACKFILL;
use crate::{Acted, Admin, Ask};

impl Admin {
    /// Begins it, or wakes the one that is open; 404 where this deployment has no projection.
    pub(crate) async fn start_crm_backfill(&self, ask: &Ask<'_>) -> Answer {
        self.queues.named(CRM_BACKFILL)?;
        let deed = async {
            let view = self.crm.start().await.map_err(Problem::unavailable)?;
            Ok(Acted {
                answer: responses::json(StatusCode::ACCEPTED, &view),
                note: Some(view.id.to_string()),
            })
        };
        self.act(ask, Act::AdminCrmBackfilled, None, None, deed)
            .await
    }

    /// The last one, over or not; 404 where there was none.
    pub(crate) async fn crm_backfill_status(&self) -> Answer {
        let view = self.crm.status().await.map_err(Problem::unavailable)?;
        let view = view.ok_or_else(Problem::not_found)?;
        Ok(responses::json(StatusCode::OK, &view))
    }
}
