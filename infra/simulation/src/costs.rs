//! AWS calls of refreshes, and what they cost by list price.

/// What was called. Counted for each class of connections by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calls {
    /// Refreshes that were sent to a platform.
    pub refreshes: u64,
    /// KMS requests.
    pub kms: u64,
    /// DynamoDB write units, those of the due index included.
    pub writes: u64,
    /// DynamoDB read units, in thousandths.
    pub milli_reads: u64,
    /// SQS requests, in thousandths.
    pub milli_sqs: u64,
    /// Lambda invocations, in thousandths.
    pub milli_invocations: u64,
    /// Milliseconds of a worker, at 512 MB.
    pub worker_ms: u64,
}

/// List prices in dollars: us-east-1, arm64, on demand, first tier, without the free tier. From AWS's
/// price pages as remembered in 2025; check them before relying on the sums.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    /// One KMS request.
    pub kms: f64,
    /// One write unit.
    pub write: f64,
    /// One read unit.
    pub read: f64,
    /// One SQS request.
    pub sqs: f64,
    /// One invocation.
    pub invocation: f64,
    /// One GB-second.
    pub gb_second: f64,
}

impl Prices {
    /// The list.
    pub const LIST: Self = Self {
        kms: 0.03 / 10_000.0,
        write: 0.625 / 1e6,
        read: 0.125 / 1e6,
        sqs: 0.40 / 1e6,
        invocation: 0.20 / 1e6,
        gb_second: 0.000_013_333_4,
    };
}

/// A refresh's own calls. The row is under 2 KB, so writing it takes two units; a new due time takes
/// one entry out of the index and puts one in.
const LEASE_WRITES: u64 = 2;
const COMMIT_WRITES: u64 = 4;
/// A row of the due index is some 150 bytes of the 4 KB that half a unit reads.
const ROW_MILLI_READS: u64 = 19;
/// Sent by tens, received and deleted by fives.
const MESSAGE_MILLI_SQS: u64 = 100 + 200 + 200;
/// A batch is five messages.
const MESSAGE_MILLI_INVOCATIONS: u64 = 200;
/// A worker handles the five of a batch at once.
const BATCH: u64 = 5;

impl Calls {
    /// A refresh that was sent: its key, its lease and its end, and `ms` of a fifth of a worker.
    pub(crate) fn refresh(&mut self, ms: u64) {
        self.refreshes += 1;
        self.kms += 1;
        self.writes += LEASE_WRITES + COMMIT_WRITES;
        self.worker_ms += ms / BATCH;
    }

    /// A message that the schedule sent and a worker received.
    pub(crate) fn message(&mut self) {
        self.milli_reads += ROW_MILLI_READS;
        self.milli_sqs += MESSAGE_MILLI_SQS;
        self.milli_invocations += MESSAGE_MILLI_INVOCATIONS;
    }

    /// A message that came too late: one lease, refused.
    pub(crate) fn duplicate(&mut self, ms: u64) {
        self.writes += LEASE_WRITES;
        self.worker_ms += ms / BATCH;
    }

    /// Adds the calls of others.
    pub fn merge(&mut self, other: &Self) {
        self.refreshes += other.refreshes;
        self.kms += other.kms;
        self.writes += other.writes;
        self.milli_reads += other.milli_reads;
        self.milli_sqs += other.milli_sqs;
        self.milli_invocations += other.milli_invocations;
        self.worker_ms += other.worker_ms;
    }

    /// What it costs, in dollars.
    pub fn dollars(&self, prices: &Prices) -> f64 {
        self.parts(prices).iter().map(|(_, dollars)| dollars).sum()
    }

    /// The same by kind of call.
    pub fn parts(&self, prices: &Prices) -> [(&'static str, f64); 5] {
        let thousandths = |count: u64| count as f64 / 1_000.0;
        let lambda = thousandths(self.milli_invocations) * prices.invocation
            + thousandths(self.worker_ms) * 0.5 * prices.gb_second;
        [
            ("KMS", self.kms as f64 * prices.kms),
            ("DynamoDB writes", self.writes as f64 * prices.write),
            (
                "DynamoDB reads",
                thousandths(self.milli_reads) * prices.read,
            ),
            ("SQS", thousandths(self.milli_sqs) * prices.sqs),
            ("Lambda", lambda),
        ]
    }
}
