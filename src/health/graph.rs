//! Who feeds whom: for every service all that it depends on, directly or not.

/// Returns, for every service, all services that it depends on, given the direct ones.
pub(super) fn closure(direct: &[&[usize]]) -> Vec<Vec<usize>> {
    (0..direct.len()).map(|of| above(direct, of)).collect()
}

fn above(direct: &[&[usize]], of: usize) -> Vec<usize> {
    let mut seen = vec![false; direct.len()];
    let mut open: Vec<usize> = vec![of];
    let mut all = Vec::new();
    while let Some(at) = open.pop() {
        for &next in direct.get(at).copied().unwrap_or_default() {
            // A service may look at itself, by a rule on its own messages.
            if next != of && seen.get(next) == Some(&false) {
                seen[next] = true;
                all.push(next);
                open.push(next);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dependency_depends_on_counts_once_and_circles_end() {
        let direct: [&[usize]; 4] = [&[], &[0], &[1, 0], &[3, 2]];
        let expected = [vec![], vec![0], vec![1, 0], vec![2, 1, 0]];
        let mut found = closure(&direct);
        for (found, expected) in found.iter_mut().zip(expected) {
            found.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(*found, expected);
        }
        let circle: [&[usize]; 2] = [&[1], &[0]];
        assert_eq!(closure(&circle), [vec![1], vec![0]]);
    }
}
