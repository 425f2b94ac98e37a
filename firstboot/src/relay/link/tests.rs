use proptest::prelude::*;

use super::*;

/// What the world does each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum World {
    Answers,
    Refuses,
    /// Nothing comes back, not even an error.
    Silent,
}

/// Lets the seconds pass; kubelet asks every ten seconds and the relay when it wants to. Returns the way of each second.
fn live(link: &mut Link, start: Instant, worlds: impl IntoIterator<Item = World>) -> Vec<Way> {
    let mut ways = Vec::new();
    for (second, world) in worlds.into_iter().enumerate() {
        let now = start + Duration::from_secs(second as u64);
        let probe = link.tick(now);
        let kubelet_asks = link.way() != Way::Kept && second % 10 == 0;
        if probe == Probe::Now || kubelet_asks {
            match world {
                World::Answers => link.answered(now),
                World::Refuses => link.failed(now, "connection refused"),
                World::Silent => {}
            }
        }
        ways.push(link.way());
    }
    ways
}

fn for_seconds(world: World, seconds: usize) -> impl Iterator<Item = World> {
    std::iter::repeat_n(world, seconds)
}

fn first(ways: &[Way], wanted: Way) -> Option<usize> {
    ways.iter().position(|way| *way == wanted)
}

#[test]
fn a_control_plane_that_answers_is_gone_to_from_the_first_second() {
    let start = Instant::now();
    let ways = live(&mut Link::new(start), start, for_seconds(World::Answers, 600));
    assert_eq!(ways[0], Way::Through);
    assert!(ways.iter().all(|way| *way == Way::Through));
}

#[test]
fn a_cold_boot_without_a_line_waits_ten_seconds_and_then_stands_alone() {
    for world in [World::Refuses, World::Silent] {
        let start = Instant::now();
        let ways = live(&mut Link::new(start), start, for_seconds(world, 60));
        assert_eq!(first(&ways, Way::Kept), Some(10), "{world:?}");
        assert!(ways[10..].iter().all(|way| *way == Way::Kept), "{world:?}");
    }
}

#[test]
fn a_network_that_comes_up_late_in_the_boot_is_no_time_alone() {
    let start = Instant::now();
    let worlds = for_seconds(World::Refuses, 8).chain(for_seconds(World::Answers, 60));
    let ways = live(&mut Link::new(start), start, worlds);
    assert_eq!(first(&ways, Way::Through), Some(8));
    assert_eq!(first(&ways, Way::Kept), None);
}

#[test]
fn a_line_that_is_cut_is_noticed_after_thirty_seconds_and_its_return_within_a_quarter_of_a_minute() {
    let start = Instant::now();
    let worlds = for_seconds(World::Answers, 700)
        .chain(for_seconds(World::Refuses, 3600))
        .chain(for_seconds(World::Answers, 600));
    let ways = live(&mut Link::new(start), start, worlds);
    let alone = first(&ways, Way::Kept).unwrap();
    assert!((730..=740).contains(&alone), "{alone}");
    let back = alone + first(&ways[alone..], Way::Through).unwrap();
    assert!((4300..=4320).contains(&back), "{back}");
    assert!(ways[back..].iter().all(|way| *way == Way::Through));
}

#[test]
fn a_line_that_lets_one_request_in_twenty_seconds_through_stays_connected() {
    let start = Instant::now();
    let mut link = Link::new(start);
    link.answered(start);
    for second in 1..3600 {
        let now = start + Duration::from_secs(second);
        link.tick(now);
        match second % 20 {
            0 => link.answered(now),
            _ => link.failed(now, "broken"),
        }
        assert_eq!(link.way(), Way::Through, "{second}");
    }
}

#[test]
fn a_flapping_line_is_left_alone_longer_and_longer_and_a_lasting_one_makes_up_for_it() {
    let start = Instant::now();
    let flapping = (0..40).flat_map(|_| for_seconds(World::Refuses, 45).chain(for_seconds(World::Answers, 45)));
    let lasting = for_seconds(World::Answers, 1000);
    let cut = for_seconds(World::Refuses, 100).chain(for_seconds(World::Answers, 100));
    let ways = live(&mut Link::new(start), start, flapping.chain(lasting).chain(cut));
    let changes = ways[..3600].windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(
        changes <= 12,
        "{changes} changes in an hour of flapping every 45 seconds"
    );
    assert_eq!(ways[3600 + 999], Way::Through);
    assert_eq!(ways[3600 + 1000 + 50], Way::Kept);
    let back = first(&ways[3600 + 1100..], Way::Through).unwrap();
    assert!(back <= 15, "{back}");
}

#[test]
fn a_failure_between_two_answers_begins_the_count_anew() {
    let start = Instant::now();
    let mut link = Link::new(start);
    link.tick(start + FIRST_PATIENCE);
    assert_eq!(link.way(), Way::Kept);
    let at = |second| start + Duration::from_secs(second);
    link.answered(at(20));
    link.failed(at(24), "broken");
    link.answered(at(25));
    link.answered(at(29));
    assert_eq!(link.way(), Way::Kept);
    link.answered(at(30));
    assert_eq!(link.way(), Way::Through);
}

#[test]
fn the_time_alone_counts_from_the_first_failure() {
    let start = Instant::now();
    let mut link = Link::new(start);
    link.answered(start);
    let cut = start + Duration::from_secs(100);
    link.failed(cut, "no route to host");
    link.tick(cut + PATIENCE);
    assert_eq!(link.alone_since(), Some(cut));
    assert_eq!(link.trouble(), "no route to host");
}

fn worlds() -> impl Strategy<Value = Vec<World>> {
    let world = prop_oneof![Just(World::Answers), Just(World::Refuses), Just(World::Silent)];
    let stretches = proptest::collection::vec((world, 1..200_usize), 1..20);
    stretches.prop_map(|stretches| {
        stretches
            .into_iter()
            .flat_map(|(world, seconds)| for_seconds(world, seconds))
            .collect()
    })
}

proptest! {
    #[test]
    fn whatever_happens_no_request_waits_longer_than_the_first_patience(worlds in worlds()) {
        let start = Instant::now();
        let ways = live(&mut Link::new(start), start, worlds);
        let patience = FIRST_PATIENCE.as_secs() as usize;
        prop_assert!(ways.iter().skip(patience).all(|way| *way != Way::Undecided));
    }

    #[test]
    fn three_minutes_of_one_weather_decide(mut worlds in worlds(), fine in any::<bool>()) {
        let start = Instant::now();
        let (world, way) = match fine {
            true => (World::Answers, Way::Through),
            false => (World::Refuses, Way::Kept),
        };
        worlds.extend(for_seconds(world, 190));
        let ways = live(&mut Link::new(start), start, worlds);
        prop_assert_eq!(ways.last(), Some(&way));
    }

    #[test]
    fn the_next_tick_is_never_in_the_past_after_a_tick(worlds in worlds()) {
        let start = Instant::now();
        let mut link = Link::new(start);
        let seconds = worlds.len() as u64;
        live(&mut link, start, worlds);
        let now = start + Duration::from_secs(seconds);
        link.tick(now);
        prop_assert!(link.next_tick() > now);
    }
}
