//! The dependency graph: start order by levels; cycles as paths.

/// Services in levels: each only depends on services of earlier levels. Within a level they keep
/// their order. Or all cycles, each as the path of one way round.
pub(crate) fn levels(after: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, Vec<Vec<usize>>> {
    let mut level_of: Vec<Option<usize>> = vec![None; after.len()];
    let mut levels = Vec::new();
    loop {
        let free = |node: &usize| {
            level_of.get(*node) == Some(&None)
                && needs(after, *node).all(|n| level_of.get(n).is_some_and(Option::is_some))
        };
        let level: Vec<usize> = (0..after.len()).filter(free).collect();
        if level.is_empty() {
            break;
        }
        for &node in &level {
            if let Some(slot) = level_of.get_mut(node) {
                *slot = Some(levels.len());
            }
        }
        levels.push(level);
    }
    let mut left: Vec<bool> = level_of.iter().map(Option::is_none).collect();
    match left.contains(&true) {
        false => Ok(levels),
        true => Err(cycles(after, &mut left)),
    }
}

fn needs(after: &[Vec<usize>], node: usize) -> impl Iterator<Item = usize> + '_ {
    after.get(node).into_iter().flatten().copied()
}

/// Finds cycles among the nodes left over, one after the other, none sharing a node.
fn cycles(after: &[Vec<usize>], left: &mut [bool]) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    for start in 0..after.len() {
        while let Some(cycle) = cycle_from(after, left, start) {
            for &node in &cycle {
                if let Some(slot) = left.get_mut(node) {
                    *slot = false;
                }
            }
            found.push(cycle);
        }
    }
    found
}

/// Returns the shortest way from a node back to itself, if there is one.
fn cycle_from(after: &[Vec<usize>], left: &[bool], start: usize) -> Option<Vec<usize>> {
    let is_left = |node: usize| left.get(node).copied().unwrap_or(false);
    let mut came_from: Vec<Option<usize>> = vec![None; after.len()];
    let mut next = std::collections::VecDeque::from(vec![start]);
    while let Some(node) = next.pop_front().filter(|_| is_left(start)) {
        for need in needs(after, node).filter(|&need| is_left(need)) {
            if need == start {
                return Some(way(&came_from, start, node));
            }
            if let Some(slot @ None) = came_from.get_mut(need) {
                *slot = Some(node);
                next.push_back(need);
            }
        }
    }
    None
}

fn way(came_from: &[Option<usize>], start: usize, last: usize) -> Vec<usize> {
    let mut path = vec![last];
    let mut node = last;
    while node != start {
        let Some(before) = came_from.get(node).copied().flatten() else {
            break;
        };
        path.push(before);
        node = before;
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_diamond_has_three_levels() {
        let after = [vec![], vec![0], vec![0], vec![2, 1]];
        assert_eq!(levels(&after), Ok(vec![vec![0], vec![1, 2], vec![3]]));
    }

    #[test]
    fn each_cycle_is_a_path_and_what_hangs_on_it_is_not_blamed() {
        let after = [vec![1], vec![2], vec![0], vec![0], vec![4]];
        assert_eq!(levels(&after), Err(vec![vec![0, 1, 2], vec![4]]));
    }

    fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (1_usize..12)
            .prop_flat_map(|n| proptest::collection::vec(proptest::collection::vec(0..n, 0..4), n))
    }

    proptest! {
        #[test]
        fn levels_hold_every_node_once_after_all_it_needs(after in graphs()) {
            match levels(&after) {
                Ok(levels) => {
                    let mut seen = BTreeSet::new();
                    for level in &levels {
                        for &node in level {
                            prop_assert!(after[node].iter().all(|need| seen.contains(need)));
                        }
                        seen.extend(level.iter().copied());
                    }
                    prop_assert_eq!(seen.len(), after.len());
                    prop_assert_eq!(levels.iter().map(Vec::len).sum::<usize>(), after.len());
                }
                Err(cycles) => {
                    prop_assert!(!cycles.is_empty());
                    for cycle in cycles {
                        for (i, &node) in cycle.iter().enumerate() {
                            let next = cycle[(i + 1) % cycle.len()];
                            prop_assert!(after[node].contains(&next), "{:?}", cycle);
                        }
                    }
                }
            }
        }

        #[test]
        fn graphs_that_only_look_back_have_an_order(after in graphs()) {
            let after: Vec<Vec<usize>> = after
                .into_iter()
                .enumerate()
                .map(|(node, needs)| needs.into_iter().filter(|&n| n < node).collect())
                .collect();
            prop_assert!(levels(&after).is_ok());
        }
    }
}
