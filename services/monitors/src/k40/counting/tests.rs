use fathom_formats::km3net::{ChannelId, DomId, FrameStatus, Header, SliceHit};

use super::*;
use crate::k40::pair_index;

fn hits(list: &[(u8, u32)]) -> Vec<SliceHit> {
    let hit = |&(channel, ns): &(u8, u32)| SliceHit::new(ChannelId(channel), ns, 25);
    list.iter().map(hit).collect()
}

fn frame(status: FrameStatus, hits: &[SliceHit]) -> SuperFrame<'_> {
    SuperFrame {
        header: Header::default(),
        dom_id: DomId(1),
        status,
        hits,
    }
}

fn all() -> Live {
    Live::new(CHANNEL_BITS, &[0; CHANNELS])
}

fn count(
    list: &[(u8, u32)],
    status: FrameStatus,
    live: &Live,
    table: &mut Table,
) -> Result<(), Excluded> {
    Counter::new(10).count(&frame(status, &hits(list)), live, table)
}

fn fine() -> FrameStatus {
    FrameStatus::complete(8, 0, 0)
}

#[test]
fn hits_need_not_be_in_order_across_channels() {
    let (mut sorted, mut mixed) = (Table::new(10), Table::new(10));
    let list: Vec<(u8, u32)> = (0..200_u8)
        .map(|n| (n % 31, u32::from(n) * 71 % 1999))
        .collect();
    let mut in_order = list.clone();
    in_order.sort_by_key(|(_, ns)| *ns);
    count(&list, fine(), &all(), &mut mixed).unwrap();
    count(&in_order, fine(), &all(), &mut sorted).unwrap();
    assert!(sorted.coincidences() > 20);
    assert_eq!(mixed, sorted);
}

#[test]
fn the_time_of_the_lower_channel_is_subtracted_and_groups_of_three_are_skipped() {
    let mut table = Table::new(10);
    let list = [
        (4, 100),
        (2, 103),
        (9, 200),
        (0, 201),
        (5, 210),
        (7, 220),
        (7, 225),
        (1, 240),
        (8, 250),
    ];
    count(&list, fine(), &all(), &mut table).unwrap();
    // 201 and 210 follow 200 in 10 ns; of the same channel is none; 10 ns are still near.
    let mut expected = Table::new(10);
    expected.frames = 1;
    expected.counts[pair_index(2, 4) * 21 + 10 - 3] = 1;
    expected.counts[pair_index(1, 8) * 21 + 10 + 10] = 1;
    assert_eq!(table, expected);
}

#[test]
fn a_channel_in_veto_costs_its_pairs_the_time_and_the_others_nothing() {
    let mut table = Table::new(10);
    let list = [(4, 100), (2, 103), (9, 105), (3, 500), (5, 500)];
    count(
        &list,
        FrameStatus::complete(8, 1 << 9, 0),
        &all(),
        &mut table,
    )
    .unwrap();
    count(
        &list,
        FrameStatus::complete(8, 0, 1 << 2),
        &all(),
        &mut table,
    )
    .unwrap();
    let frames = |i, j| table.frames_of(pair_index(i, j));
    assert_eq!(
        (table.frames(), frames(2, 4), frames(4, 9), frames(2, 9)),
        (2, 1, 1, 0)
    );
    let counts = |i, j| table.pair(pair_index(i, j)).iter().sum::<u16>();
    assert_eq!(
        (counts(2, 4), counts(4, 9), counts(2, 9), counts(3, 5)),
        (1, 1, 0, 2)
    );
}

#[test]
fn frames_that_are_not_to_be_trusted_count_neither_hits_nor_time() {
    let mut table = Table::new(10);
    let pair = [(4, 100), (2, 103)];
    let mut excluded = |list: &[(u8, u32)], status| count(list, status, &all(), &mut table);
    let incomplete = FrameStatus::from_words(0, 0, 0);
    assert_eq!(excluded(&[], fine()), Err(Excluded::NoHits));
    assert_eq!(excluded(&pair, incomplete), Err(Excluded::Incomplete));
    let all_but_one = FrameStatus::complete(8, CHANNEL_BITS & !1, 0);
    assert_eq!(excluded(&pair, all_but_one), Err(Excluded::Vetoed));
    for wrong in [
        (31, 100),
        (255, 100),
        (3, HIT_TIME_MAX_NS + 1),
        (3, u32::MAX),
    ] {
        let list = [pair[0], pair[1], wrong];
        assert_eq!(
            excluded(&list, fine()),
            Err(Excluded::Defective),
            "{wrong:?}"
        );
    }
    assert_eq!(table, Table::new(10));
}

#[test]
fn a_full_bin_ends_the_counting_of_the_module_instead_of_wrapping() {
    let mut table = Table::new(10);
    let pair = [(4, 100), (2, 103)];
    for _ in 0..u16::MAX {
        count(&pair, fine(), &all(), &mut table).unwrap();
    }
    assert_eq!(
        count(&pair, fine(), &all(), &mut table),
        Err(Excluded::Full)
    );
    assert_eq!((table.frames(), table.coincidences()), (65_535, 65_535));
    table.clear();
    assert_eq!(table, Table::new(10));
}

#[test]
fn times_are_shifted_by_what_the_detector_file_says() {
    let mut add_ns = [-200; CHANNELS];
    add_ns[4] = 300;
    add_ns[9] = i64::MAX;
    let live = Live::new(CHANNEL_BITS, &add_ns);
    assert_eq!(live.channels(), CHANNEL_BITS & !(1 << 9));
    let mut table = Table::new(10);
    let list = [(2, 608), (4, 100), (9, 606)];
    count(&list, fine(), &live, &mut table).unwrap();
    // 100 + 300 against 608 - 200: channel 4 is 8 ns earlier.
    assert_eq!(table.pair(pair_index(2, 4))[2], 1);
    assert_eq!(table.coincidences(), 1);
}

/// Numbers that look random.
struct Chance(u32);

impl Chance {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u32::try_from((u64::from(self.0) * u64::from(limit)) >> 32).unwrap()
    }
}

/// Counts as the sentence says: a hit with exactly one other one in the 10 ns after it.
fn expected(list: &[(u8, u32)]) -> Table {
    let mut table = Table::new(10);
    let mut sorted = list.to_vec();
    sorted.sort_by_key(|(channel, ns)| (*ns, *channel));
    let mut left = &sorted[..];
    while let [(a, first_ns), rest @ ..] = left {
        let near = rest.iter().take_while(|(_, ns)| ns - first_ns <= 10);
        match near.count() {
            1 => {
                let (b, ns) = rest[0];
                let apart = usize::try_from(ns - first_ns).unwrap();
                let (i, j) = (usize::from(*a.min(&b)), usize::from(*a.max(&b)));
                let bin = if *a < b { 10 + apart } else { 10 - apart };
                if *a != b {
                    table.counts[pair_index(i, j) * 21 + bin] += 1;
                }
                left = rest;
            }
            skipped => left = &rest[skipped..],
        }
    }
    table.frames = 1;
    table
}

#[test]
fn pairs_are_the_same_however_hits_lie_and_whatever_way_finds_them() {
    let mut chance = Chance(7);
    // Spread over the frame, about the ends of its places, in crowds, and too many to be found unsorted.
    let shapes = [
        (100, 100_000_000),
        (40, 2_000_000),
        (200, 400_000),
        (60, 3000),
        (1200, 100_000_000),
    ];
    let (mut sum, mut counter) = (0, Counter::new(10));
    for round in 0..400_u32 {
        let (number, span_ns) = shapes[round as usize % shapes.len()];
        let mut list = Vec::new();
        while list.len() < number {
            let ns = match chance.below(3) {
                0 => (chance.below(span_ns) >> 14 << 14) + chance.below(12),
                _ => chance.below(span_ns),
            };
            let members = 1 + chance.below(5) / 2;
            for _ in 0..members {
                let channel = u8::try_from(chance.below(31)).unwrap();
                list.push((channel, ns.saturating_sub(chance.below(12))));
            }
        }
        if round % 3 == 0 {
            list.sort_by_key(|(_, ns)| *ns);
        }
        let mut table = Table::new(10);
        counter
            .count(&frame(fine(), &hits(&list)), &all(), &mut table)
            .unwrap();
        assert_eq!(table, expected(&list), "round {round}");
        sum += table.coincidences();
    }
    assert!(sum > 10_000, "{sum}");
}

#[test]
fn what_another_frame_left_in_a_place_meets_no_hit_of_this_one() {
    let mut counter = Counter::new(10);
    let mut table = Table::new(10);
    // More frames than numbers of frames, one of two hits in turn.
    for n in 0..5000_u32 {
        let list = if n % 2 == 0 {
            [(4, 100), (5, 50)]
        } else {
            [(7, 103), (3, 20)]
        };
        counter
            .count(&frame(fine(), &hits(&list)), &all(), &mut table)
            .unwrap();
    }
    assert_eq!(table.coincidences(), 0);
}
