//! What an operator is told of refreshes.

use domain::metric::{
    Metric, REFRESH_DEAD, REFRESH_LATER, REFRESH_OUR_FAULT, REFRESHED, ROTATION_LOST,
};
use domain::{FaultKind, Meter, Platform, ReauthReason};

use crate::{Refreshed, TokensError};

/// Tells how a refresh ended that had the lease.
pub(crate) fn tell(meter: &dyn Meter, platform: Platform, ended: &Result<Refreshed, TokensError>) {
    if let Some(metric) = metric(ended) {
        meter.count(metric, platform.into());
    }
}

/// One that another overtook counts as nothing.
fn metric(ended: &Result<Refreshed, TokensError>) -> Option<&'static Metric> {
    match ended {
        Ok(Refreshed::Fresh(_)) => Some(&REFRESHED),
        Ok(Refreshed::GaveUp(ReauthReason::RotationLost)) => Some(&ROTATION_LOST),
        Ok(Refreshed::GaveUp(_)) => Some(&REFRESH_DEAD),
        Ok(Refreshed::Later { fault, .. })
            if fault.kind.concerns_app() || fault.kind == FaultKind::OurBug =>
        {
            Some(&REFRESH_OUR_FAULT)
        }
        Ok(Refreshed::Later { .. }) => Some(&REFRESH_LATER),
        Ok(Refreshed::Held | Refreshed::Moved(_) | Refreshed::Looked | Refreshed::Absent) => None,
        Err(_) => Some(&REFRESH_OUR_FAULT),
    }
}

#[cfg(test)]
mod tests {
    use domain::metric::Tally;
    use domain::{Fault, Timestamp};

    use super::*;

    #[test]
    fn each_end_counts_once_under_its_own_name() {
        let later = |kind| {
            Ok(Refreshed::Later {
                fault: Fault::new(kind),
                at: Timestamp::default(),
            })
        };
        let gave_up = |reason| Ok(Refreshed::GaveUp(reason));
        for (ended, told) in [
            (gave_up(ReauthReason::RotationLost), "RotationLost"),
            (gave_up(ReauthReason::GrantRevoked), "RefreshDead"),
            (gave_up(ReauthReason::RefreshExpired), "RefreshDead"),
            (later(FaultKind::PlatformDown), "RefreshLater"),
            (later(FaultKind::RateLimited), "RefreshLater"),
            (later(FaultKind::AppRefused), "RefreshOurFault"),
            (later(FaultKind::OurBug), "RefreshOurFault"),
            (Err(TokensError::NotKept), "RefreshOurFault"),
            (Ok(Refreshed::Held), ""),
            (Ok(Refreshed::Absent), ""),
        ] {
            let tally = Tally::default();
            tell(&tally, Platform::TikTok, &ended);
            let expected = format!("{told} platform=tiktok 1");
            let expected = if told.is_empty() {
                vec![]
            } else {
                vec![expected]
            };
            assert_eq!(tally.lines(), expected, "{ended:?}");
        }
    }
}
