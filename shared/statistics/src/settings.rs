//! What a deployment may choose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{Fault, FaultKind, Platform};

use crate::Calendar;

/// What a deployment may choose of its statistics.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its days.
    pub calendar: Calendar,
    /// Platforms whose statistics are switched off.
    pub off: BTreeSet<Platform>,
    /// What each platform's statistics may cost in a day, in millionths of a US dollar; no cap where
    /// there is none.
    pub caps: BTreeMap<Platform, u64>,
    /// How long a worker holds a sync; longer than its function's time-out.
    pub lease: Duration,
}

impl Settings {
    /// Whether statistics of a platform are read here.
    pub fn reads(&self, platform: Platform) -> bool {
        reads(&self.off, platform)
    }
}

/// Whether statistics of a platform are read where those in `off` are switched off.
pub(crate) fn reads(off: &BTreeSet<Platform>, platform: Platform) -> bool {
    platforms::statistics(platform).is_some() && !off.contains(&platform)
}

/// The platforms of these names. Names that this version does not know are left out, so that a setting
/// may be ahead of the code.
pub fn platforms_of<T: AsRef<str>>(names: &[T]) -> BTreeSet<Platform> {
    let known = names.iter().filter_map(|name| name.as_ref().parse().ok());
    known.collect()
}

/// What a caller is told who asks for statistics that are not read here.
pub(crate) fn switched_off() -> Fault {
    Fault::new(FaultKind::InvalidRequest)
        .sentence("Statistics of this platform are switched off in this deployment.")
}

/// Reads caps such as `reddit=2.50,x=10`, in US dollars a day. Names of platforms that this version
/// does not know are left out, so that a setting may be ahead of the code.
pub fn caps(text: &str) -> Result<BTreeMap<Platform, u64>, &'static str> {
    let mut caps = BTreeMap::new();
    for pair in text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (name, dollars) = pair.split_once('=').ok_or("give platform=dollars")?;
        let micros = micros(dollars.trim()).ok_or("a cap is an amount in dollars such as 2.50")?;
        if let Ok(platform) = name.trim().parse() {
            caps.insert(platform, micros);
        }
    }
    Ok(caps)
}

/// An amount in dollars with at most six decimals.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_are_dollars() {
        for (text, cap) in [
            ("tiktok=2.50", Ok(Some(2_500_000))),
            (" tiktok = 10 , later=1", Ok(Some(10_000_000))),
            ("tiktok=0", Ok(Some(0))),
            ("tiktok=0.000001", Ok(Some(1))),
            ("", Ok(None)),
            ("later=3", Ok(None)),
            ("tiktok", Err(())),
            ("tiktok=", Err(())),
            ("tiktok=-1", Err(())),
            ("tiktok=1.0000001", Err(())),
            ("tiktok=99999999999999999999", Err(())),
        ] {
            let read = caps(text).map(|caps| caps.get(&Platform::TikTok).copied());
            assert_eq!(read.map_err(drop), cap, "{text}");
        }
    }
}
