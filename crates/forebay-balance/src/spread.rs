//! How requests spread over the pools of a fleet: fail-over between priority levels, preference for a zone, panic.
//! Knows capacities only, no endpoints.
//!
//! The rules are Envoy's ("Priority levels", "Panic threshold" and "Zone aware routing" in its architecture overview),
//! with weights in the place of counts, and with one assumption in the place of what only a control plane knows: that
//! callers are spread evenly over the zones.

/// A level counts as whole while its healthy capacity, times this, covers all of it: a fleet has some spare.
const OVERPROVISIONING: f64 = 1.4;

/// What there is of a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Capacity {
    /// Pools of one level stand next to each other, levels ascending.
    pub(crate) level: usize,
    pub(crate) is_local: bool,
    /// Weights of all.
    pub(crate) total: u64,
    /// Weights of the eligible.
    pub(crate) eligible: u64,
}

/// What a pool gets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Portion {
    /// Of all requests, between 0 and 1.
    pub(crate) share: f64,
    /// Whether health is disregarded in it.
    pub(crate) panicked: bool,
}

/// Writes each pool's portion into `portions`, which is as long. Shares add up to 1 unless there is no pool.
pub(crate) fn spread(pools: &[Capacity], panic_threshold: f64, portions: &mut [Portion]) {
    let eligible: u64 = pools.iter().map(|pool| pool.eligible).sum();
    if eligible == 0 {
        // Nothing is known to be alive, so nothing is preferred.
        let total: u64 = pools.iter().map(|pool| pool.total).sum();
        for (pool, portion) in pools.iter().zip(portions) {
            *portion = Portion { share: part(pool.total, total), panicked: true };
        }
        return;
    }
    let levels = || pools.chunk_by(|a, b| a.level == b.level);
    let loads: f64 = levels().map(|level| health(level).min(1.0)).sum::<f64>().min(1.0);
    let is_alone = levels().count() == 1;
    let mut left = 1.0;
    let mut portions = portions;
    for level in levels() {
        // Together they are not enough: what there is carries all, in proportion.
        let load = (health(level) / loads).min(left);
        left -= load;
        let panicked = whole(level) < panic_threshold && (is_alone || loads < 1.0);
        let (own, rest) = portions.split_at_mut(level.len());
        within(level, load, panicked, own);
        portions = rest;
    }
}

/// Spreads a level's load over its zones.
fn within(level: &[Capacity], load: f64, panicked: bool, portions: &mut [Portion]) {
    let capacity = |pool: &Capacity| if panicked { pool.total } else { pool.eligible };
    let all: u64 = level.iter().map(capacity).sum();
    let share = |pool: &Capacity| part(capacity(pool), all);
    // Of the callers, as many are assumed in each zone.
    let callers = 1.0 / level.len() as f64;
    let local = level.iter().find(|pool| pool.is_local && !panicked).map(share);
    for (pool, portion) in level.iter().zip(portions) {
        let of_level = match local {
            None => share(pool),
            Some(local) if local >= callers => f64::from(u8::from(pool.is_local)),
            Some(local) if pool.is_local => local / callers,
            // The rest goes where there is more capacity than callers.
            Some(local) => {
                let spare = |pool: &Capacity| (share(pool) - callers).max(0.0);
                (1.0 - local / callers) * spare(pool) / level.iter().map(spare).sum::<f64>()
            }
        };
        *portion = Portion { share: load * of_level, panicked };
    }
}

/// What part of a level's capacity is eligible.
fn whole(level: &[Capacity]) -> f64 {
    part(level.iter().map(|pool| pool.eligible).sum(), level.iter().map(|pool| pool.total).sum())
}

/// What part of all requests a level can carry; 1 and more is all of them.
fn health(level: &[Capacity]) -> f64 {
    whole(level) * OVERPROVISIONING
}

fn part(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percents(pools: &[Capacity], panic_threshold: f64) -> Vec<(u32, bool)> {
        let mut portions = vec![Portion::default(); pools.len()];
        spread(pools, panic_threshold, &mut portions);
        portions.iter().map(|portion| ((portion.share * 100.0).round() as u32, portion.panicked)).collect()
    }

    /// Levels of a hundred each, of which so many are eligible, with a panic threshold of a half.
    #[track_caller]
    fn check_levels(eligible: &[u64], shares: &[u32], panicked: &[bool]) {
        let pool = |(level, &eligible)| Capacity { level, is_local: false, total: 100, eligible };
        let pools: Vec<Capacity> = eligible.iter().enumerate().map(pool).collect();
        let expected: Vec<(u32, bool)> = shares.iter().copied().zip(panicked.iter().copied()).collect();
        assert_eq!(percents(&pools, 0.5), expected, "{eligible:?}");
    }

    #[test]
    fn levels_fail_over_as_envoy_documents() {
        check_levels(&[100, 100], &[100, 0], &[false, false]);
        check_levels(&[72, 100], &[100, 0], &[false, false]);
        check_levels(&[71, 100], &[99, 1], &[false, false]);
        check_levels(&[50, 100], &[70, 30], &[false, false]);
        check_levels(&[25, 100], &[35, 65], &[false, false]);
        check_levels(&[0, 100], &[0, 100], &[false, false]);
        check_levels(&[25, 25], &[50, 50], &[true, true]);
        check_levels(&[5, 65], &[7, 93], &[true, false]);
        check_levels(&[25, 25, 50], &[35, 35, 30], &[false, false, false]);
        check_levels(&[0, 0], &[50, 50], &[true, true]);
    }

    #[test]
    fn a_level_alone_panics_below_its_threshold() {
        check_levels(&[50], &[100], &[false]);
        check_levels(&[49], &[100], &[true]);
        check_levels(&[0], &[100], &[true]);
        let nearly_dead = Capacity { level: 0, is_local: false, total: 100, eligible: 1 };
        assert_eq!(percents(&[nearly_dead], 0.0), [(100, false)]);
        assert_eq!(percents(&[Capacity { eligible: 0, ..nearly_dead }], 0.0), [(100, true)]);
    }

    /// Zones of the given size and eligible capacity; the first is the preferred one.
    #[track_caller]
    fn check_zones(zones: &[(u64, u64)], expected: &[u32]) {
        let pool = |(zone, &(total, eligible))| Capacity { level: 0, is_local: zone == 0, total, eligible };
        let pools: Vec<Capacity> = zones.iter().enumerate().map(pool).collect();
        let shares: Vec<u32> = percents(&pools, 0.25).into_iter().map(|(share, _)| share).collect();
        assert_eq!(shares, expected, "{zones:?}");
    }

    #[test]
    fn a_zone_is_preferred_while_its_share_of_capacity_suffices() {
        check_zones(&[(2, 2), (2, 2)], &[100, 0]);
        check_zones(&[(3, 3), (2, 2)], &[100, 0]);
        // With one of two gone, callers of both zones together load all three that are left alike.
        check_zones(&[(2, 1), (2, 2)], &[67, 33]);
        check_zones(&[(2, 0), (2, 2)], &[0, 100]);
        check_zones(&[(1, 1), (2, 2), (3, 3)], &[50, 0, 50]);
        check_zones(&[(2, 2), (2, 2), (2, 0)], &[100, 0, 0]);
        // Panic knows no preference.
        check_zones(&[(2, 1), (6, 0)], &[25, 75]);
    }
}
