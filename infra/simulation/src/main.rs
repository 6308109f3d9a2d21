//! `simulation [CONNECTIONS [DAYS]]`: a million for 60 days.

use std::io::Write as _;
use std::time::Instant;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| {
        let given = arguments.next().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let (connections, days) = (number(1_000_000), number(60));
    let started = Instant::now();
    let outcome = simulation::run(simulation::Plan::new(connections, days));
    let mut out = std::io::stdout();
    out.write_all(simulation::print(&outcome).as_bytes())?;
    writeln!(
        out,
        "\n  {:.1} s, {} MB of state",
        started.elapsed().as_secs_f64(),
        outcome.bytes / 1_000_000
    )
}
