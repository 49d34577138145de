//! The same seed gives the same trace: twice in one process, in every process, on every machine and
//! in every build profile (R-S-1).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::fmt::Write as _;

use redial_sim::trace::Record;
use redial_sim::{Level, Scenario, Seed, Simulation};

/// Hashes of traces, frozen. They change only with what the client does, and then on purpose.
const GOLDEN: [(Level, u64, u64); 20] = [
    (Level::Messages, 1, 0x1d9f_1c66_956e_e3fe),
    (Level::Messages, 2, 0x76e7_aa20_e6d1_752c),
    (Level::Messages, 3, 0x7a1f_9ef8_6a71_b303),
    (Level::Messages, 5, 0x613f_28b0_72df_5721),
    (Level::Messages, 8, 0x5caf_4d2d_e5b8_f1f4),
    (Level::Messages, 13, 0x3eef_df8b_ba68_ddcd),
    (Level::Messages, 21, 0x3f40_6bdb_1176_0085),
    (Level::Messages, 34, 0xfc93_88ed_32f1_e3d6),
    (Level::Messages, 55, 0x73ab_8af2_7df7_1312),
    (Level::Messages, 89, 0x80ff_b054_adc3_b476),
    (Level::Bytes, 1, 0xa522_a702_333a_f153),
    (Level::Bytes, 2, 0x49b6_7aa6_cf1e_72c1),
    (Level::Bytes, 3, 0xc0f6_0ece_ebe0_cece),
    (Level::Bytes, 5, 0x68fa_a57f_b5d1_6b4f),
    (Level::Bytes, 8, 0x012f_556e_dcdc_c818),
    (Level::Bytes, 13, 0x04af_a2d4_b7a3_91c1),
    (Level::Bytes, 21, 0xc102_589f_53ac_d3c2),
    (Level::Bytes, 34, 0xc196_7710_5667_d5ce),
    (Level::Bytes, 55, 0x11e8_1479_f94d_25dc),
    (Level::Bytes, 89, 0xff69_ab02_559e_6a80),
];

fn hash(level: Level, seed: u64) -> u64 {
    Simulation::new(&Scenario::of(Seed(seed), level)).run().trace.hash()
}

#[test]
fn every_hash_is_the_one_that_it_was() {
    let mut now = String::new();
    for (level, seed, _) in GOLDEN {
        let hash = format!("{:#018x}", hash(level, seed));
        let _ = writeln!(now, "    (Level::{level:?}, {seed}, {hash}),");
    }
    for (level, seed, golden) in GOLDEN {
        assert_eq!(hash(level, seed), golden, "{level} {seed}: now they are\n{now}");
    }
}

#[test]
fn a_trace_that_is_kept_has_the_same_hash_and_can_be_read() {
    for (level, seed, golden) in GOLDEN {
        let scenario = Scenario::of(Seed(seed), level);
        let trace = Simulation::new(&scenario).keep_trace().run().trace;
        assert_eq!(trace.hash(), golden);
        let lines = trace.lines();
        let read: Vec<Record> = lines.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(read, trace.records());
    }
}

#[test]
fn a_scenario_is_read_as_it_was_written() {
    for level in [Level::Messages, Level::Bytes] {
        for seed in (0..500).map(Seed) {
            let scenario = Scenario::of(seed, level);
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
    }
}

#[test]
fn seeds_have_nothing_in_common() {
    let mut hashes: Vec<u64> = (0..200).map(|seed| hash(Level::Messages, seed)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 200);
}
