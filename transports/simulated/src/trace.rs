//! What happened, as records that are hashed as they come, and kept as lines where that is asked.
//!
//! A record is a line, and a line is a record: [`Record`] reads what it writes. So a trace that was
//! saved can be replayed.

use core::fmt::Write as _;
use core::time::Duration;

use redial_engine::{Finality, Outcome, PauseCause, Reason, Timestamp};

use self::line::{finality_name, kind_name};
pub use self::parse::TraceError;

mod line;
mod parse;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "made by whoever traces")]
pub struct Record {
    /// When, in virtual time.
    pub at: Timestamp,
    /// To which call.
    pub call: u32,
    /// In which attempt: 1 for the first, 0 where it belongs to none.
    pub attempt: u32,
    /// What.
    pub event: Event,
    /// What the upstream's budget held after it, in milli-tokens.
    pub tokens_milli: u64,
}

/// What can happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It began.
    Began,
    /// A request was handed to the transport.
    Sent,
    /// A server had the whole request and carried it out.
    Processed,
    /// An attempt came to this.
    Ended(Outcome),
    /// It waits.
    Waits {
        /// For so long.
        wait: Duration,
        /// For this reason.
        cause: PauseCause,
    },
    /// It ended with a final outcome.
    Done(Finality),
    /// It ended because nothing more may be tried.
    GaveUp(Reason),
    /// Its future was dropped.
    Cancelled,
}

/// A running hash of all records, and the records themselves where they are wanted.
///
/// The hash is always on: it costs a few nanoseconds a record.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hash: TraceHash,
    kept: Option<Vec<Record>>,
}

impl Trace {
    /// A trace that hashes its records and forgets them.
    pub const fn hashed() -> Self {
        Self { hash: TraceHash::NEW, kept: None }
    }

    /// A trace that keeps its records as well: 80 bytes each.
    pub const fn kept() -> Self {
        Self { hash: TraceHash::NEW, kept: Some(Vec::new()) }
    }

    /// Takes a record.
    #[inline]
    pub fn record(&mut self, record: Record) {
        self.hash.take(&record);
        if let Some(kept) = &mut self.kept {
            kept.push(record);
        }
    }

    /// The hash of all records so far, in their order.
    pub const fn hash(&self) -> u64 {
        self.hash.value()
    }

    /// How many records there were so far.
    pub const fn len(&self) -> u64 {
        self.hash.records
    }

    /// Whether nothing has happened so far.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records; none where they are not kept.
    pub fn records(&self) -> &[Record] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// The records as text, a line each.
    pub fn lines(&self) -> String {
        self.records().iter().fold(String::new(), |mut text, record| {
            // A String takes everything.
            let _ = writeln!(text, "{record}");
            text
        })
    }
}

/// The running hash: each record's five words are mixed by themselves, and the mixture then takes
/// one step. So records wait for each other for one multiplication only.
#[derive(Clone, Copy, Debug)]
struct TraceHash {
    state: u64,
    records: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A multiplier for each word of a record (the primes of xxHash).
const ODD: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

impl TraceHash {
    const NEW: Self = Self { state: 0xcbf2_9ce4_8422_2325, records: 0 };

    /// Where an event's kind is known, most of its words are known as well, once this is inlined.
    #[inline(always)]
    fn take(&mut self, record: &Record) {
        let (code, detail) = record.event.words();
        let place = u64::from(record.call) << 32 | u64::from(record.attempt);
        let words = [record.at.as_nanos(), place, code, detail, record.tokens_milli];
        let mixed = words
            .iter()
            .zip(ODD)
            .fold(0_u64, |mixed, (word, odd)| mixed.rotate_left(23) ^ word.wrapping_mul(odd));
        self.state = (self.state ^ mixed).wrapping_mul(GOLDEN).rotate_left(29);
        self.records += 1;
    }

    const fn value(self) -> u64 {
        let bits = self.state ^ self.records;
        let bits = (bits ^ (bits >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 29)
    }
}

impl Default for TraceHash {
    fn default() -> Self {
        Self::NEW
    }
}

impl Event {
    /// The event as two numbers, the same for equal events only.
    ///
    /// Names go in, not the places of variants: a variant that is added moves no old hash.
    #[inline]
    fn words(&self) -> (u64, u64) {
        match *self {
            Self::Began => (1, 0),
            Self::Sent => (2, 0),
            Self::Processed => (3, 0),
            Self::Ended(Outcome::Response { status, hint }) => {
                let says = hint.says_retry().map_or(0, |yes| 1 + u64::from(yes));
                (4 | u64::from(status) << 8 | says << 32, hint.wait().map_or(0, nanos))
            }
            Self::Ended(Outcome::Failure(failure)) => {
                let delivery = word(failure.delivery.name()) << 9;
                (5 | u64::from(failure.reused) << 8 | delivery, word(kind_name(failure.kind)))
            }
            Self::Waits { wait, cause } => (6 | cause_word(cause) << 8, nanos(wait)),
            Self::Done(finality) => (7, finality_word(finality)),
            Self::GaveUp(reason) => (8, word(reason.name())),
            Self::Cancelled => (9, 0),
        }
    }
}

/// A name as a number (FNV-1a).
const fn word(name: &str) -> u64 {
    let mut bytes = name.as_bytes();
    let mut word = 0xcbf2_9ce4_8422_2325_u64;
    while let [byte, rest @ ..] = bytes {
        word = (word ^ *byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
        bytes = rest;
    }
    word
}

/// The word of a cause's name: that of the common one is known when this is compiled.
#[inline]
fn cause_word(cause: PauseCause) -> u64 {
    match cause {
        PauseCause::Backoff => const { word(PauseCause::Backoff.name()) },
        other @ (PauseCause::ServerHint | _) => word(other.name()),
    }
}

/// The word of an end's name: that of the common one is known when this is compiled.
#[inline]
fn finality_word(finality: Finality) -> u64 {
    match finality {
        Finality::Success => const { word(finality_name(Finality::Success)) },
        Finality::Status | Finality::Failure | Finality::ServerSaidNo | _ => {
            word(finality_name(finality))
        }
    }
}

/// What fits: 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use redial_engine::{Delivery, Failure, FailureKind, ServerHint};

    use super::*;

    fn events() -> Vec<Event> {
        let hint = ServerHint::NONE.after(Duration::new(2, 5)).should_retry(true);
        let failures =
            FailureKind::ALL.iter().copied().map(|kind| Failure::new(kind, Delivery::Unsent));
        let rude = Failure::new(FailureKind::GoAway { graceful: false }, Delivery::Answered);
        let failures = failures.chain([rude, rude.on_reused()]);
        let mut events = vec![
            Event::Began,
            Event::Sent,
            Event::Processed,
            Event::Ended(Outcome::status(200)),
            Event::Ended(Outcome::hinted(503, hint)),
            Event::Ended(Outcome::hinted(503, ServerHint::NONE.should_retry(false))),
            Event::Waits { wait: Duration::MAX, cause: PauseCause::Backoff },
            Event::Waits { wait: Duration::ZERO, cause: PauseCause::ServerHint },
            Event::Done(Finality::Success),
            Event::Done(Finality::ServerSaidNo),
            Event::GaveUp(Reason::BudgetExhausted),
            Event::GaveUp(Reason::NotRepeatable),
            Event::Cancelled,
        ];
        events.extend(failures.map(|failure| Event::Ended(Outcome::Failure(failure))));
        events
    }

    fn record(event: Event) -> Record {
        Record {
            at: Timestamp::from_nanos(1_500_000_000),
            call: 12,
            attempt: 2,
            event,
            tokens_milli: 98_200,
        }
    }

    #[test]
    fn a_line_is_read_as_the_record_that_wrote_it() {
        for event in events() {
            let record = record(event);
            assert_eq!(record.to_string().parse(), Ok(record), "{record}");
        }
        let line = record(Event::Ended(Outcome::status(503))).to_string();
        assert_eq!(line, "1.500000000 c12 a2 ended status 503 tokens=98.200");
    }

    #[test]
    fn a_broken_line_is_refused() {
        let line = record(Event::Ended(Outcome::status(503))).to_string();
        for end in 0..line.len() {
            assert!(line[..end].parse::<Record>().is_err(), "{}", &line[..end]);
        }
        assert!(format!("{line} more").parse::<Record>().is_err());
    }

    #[test]
    fn equal_hashes_mean_equal_records_in_equal_order() {
        let hash_of = |records: &[Record]| {
            let mut trace = Trace::hashed();
            records.iter().for_each(|record| trace.record(*record));
            assert_eq!(trace.len(), records.len() as u64);
            trace.hash()
        };
        let records: Vec<Record> = events().into_iter().map(record).collect();
        let mut hashes: Vec<u64> = records.iter().map(|record| hash_of(&[*record])).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), records.len());
        assert_ne!(hash_of(&records[..2]), hash_of(&[records[1], records[0]]));
        assert_ne!(hash_of(&[]), hash_of(&records[..1]));
        // Frozen: golden hashes elsewhere rest on this one.
        assert_eq!(hash_of(&records), 0x71c8_84ad_26d5_5d15);
    }

    #[test]
    fn kept_records_can_be_saved_and_read() {
        let mut trace = Trace::kept();
        events().into_iter().for_each(|event| trace.record(record(event)));
        let read: Result<Vec<Record>, TraceError> = trace.lines().lines().map(str::parse).collect();
        assert_eq!(read.as_deref(), Ok(trace.records()));
    }
}
