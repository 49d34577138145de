//! The same seed gives the same trace: twice in one process, in every process, on every machine and
//! in every build profile (R-S-1).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::fmt::Write as _;

use redial_sim::trace::Record;
use redial_sim::{Level, Scenario, Seed, Simulation};

/// Hashes of traces, frozen. They change only with what the client does, or what can happen to it,
/// and then on purpose.
const GOLDEN: [(Level, u64, u64); 30] = [
    (Level::Messages, 1, 0x8aa1_05e8_8925_fe88),
    (Level::Messages, 2, 0x66ea_8033_e934_c361),
    (Level::Messages, 3, 0x7308_b3aa_6a87_d2a7),
    (Level::Messages, 5, 0x8a22_bb18_5d39_38c9),
    (Level::Messages, 8, 0x91d1_8dc4_485b_acc7),
    (Level::Messages, 13, 0x6be9_7530_73a6_fde6),
    (Level::Messages, 21, 0x5fd3_fdfb_5b6b_8dc8),
    (Level::Messages, 34, 0x8c3c_bf33_8db8_36b3),
    (Level::Messages, 55, 0x358d_f902_e212_ed27),
    (Level::Messages, 89, 0x1e9f_11a1_3c17_3c40),
    (Level::Bytes, 1, 0x60c4_bd6c_3b82_ccf0),
    (Level::Bytes, 2, 0xf7ba_ae0b_6411_b190),
    (Level::Bytes, 3, 0x0250_2090_2da0_4319),
    (Level::Bytes, 5, 0xdd05_59bf_a0f1_2e54),
    (Level::Bytes, 8, 0x5377_c777_edd7_f07f),
    (Level::Bytes, 13, 0x87e2_9f76_b449_51f0),
    (Level::Bytes, 21, 0x50a6_d37a_4d49_b15d),
    (Level::Bytes, 34, 0x26f8_8cf6_2997_75ec),
    (Level::Bytes, 55, 0x3475_f5b7_82aa_cead),
    (Level::Bytes, 89, 0xaaed_83b2_972c_d219),
    (Level::Http2, 1, 0x3c76_6036_d911_c74a),
    (Level::Http2, 2, 0xa597_fd7a_5288_c18f),
    (Level::Http2, 3, 0x9d13_ec98_a6f7_9486),
    (Level::Http2, 5, 0x9526_cd11_f3fd_e3ea),
    (Level::Http2, 8, 0x8737_06a8_4b2b_698c),
    (Level::Http2, 13, 0x9e32_1a3a_ccf6_c404),
    (Level::Http2, 21, 0x89d0_ecb1_1e1f_f157),
    (Level::Http2, 34, 0xfeb5_1220_756f_0e84),
    (Level::Http2, 55, 0xe5dc_0e0e_87e9_1384),
    (Level::Http2, 89, 0xe994_1586_64c8_beb9),
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
    for level in [Level::Messages, Level::Bytes, Level::Http2] {
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
