//! Where the PMT axes of a module cross: its centre, in files that do not give it.

use super::detector::Pmt;

/// Below this determinant, per PMT, the axes are parallel and have no crossing point.
const DETERMINANT_MIN: f64 = 1e-9;

type Matrix = [[f64; 3]; 3];

/// Returns the point with the least sum of squared distances to all PMT axes.
///
/// That is the solution of `sum(1 - d d^T) x = sum(1 - d d^T) p`. The mean of the PMT positions
/// stands in where the axes are parallel or there are none.
pub(super) fn crossing_point(pmts: &[Pmt]) -> [f64; 3] {
    let mean = mean_position(pmts);
    let mut matrix: Matrix = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for pmt in pmts {
        let Some(direction) = unit(pmt.direction) else {
            continue;
        };
        // Relative to the mean, so that a detector far from its reference point loses no digits.
        let position = minus(pmt.position_m, mean);
        let along = dot(direction, position);
        for (row, (m_row, r)) in matrix.iter_mut().zip(&mut right).enumerate() {
            let d = component(direction, row);
            for (column, m) in m_row.iter_mut().enumerate() {
                *m += f64::from(u8::from(row == column)) - d * component(direction, column);
            }
            *r += component(position, row) - d * along;
        }
    }
    let scale = (pmts.len() as f64).powi(3);
    match solve(&matrix, right, DETERMINANT_MIN * scale) {
        Some([x, y, z]) => [mean[0] + x, mean[1] + y, mean[2] + z],
        None => mean,
    }
}

fn mean_position(pmts: &[Pmt]) -> [f64; 3] {
    let number = pmts.len().max(1) as f64;
    let sum = pmts.iter().fold([0.0; 3], |[x, y, z], pmt| {
        let [px, py, pz] = pmt.position_m;
        [x + px, y + py, z + pz]
    });
    sum.map(|v| v / number)
}

/// Solves three equations by Cramer's rule; `None` when the determinant is too small.
fn solve(matrix: &Matrix, right: [f64; 3], determinant_min: f64) -> Option<[f64; 3]> {
    let [a, b, c] = *matrix;
    let determinant = dot(a, cross(b, c));
    if determinant.abs() <= determinant_min {
        return None;
    }
    // Rows of the adjugate: the matrix is symmetric, so its columns are its rows.
    let solution = [cross(b, c), cross(c, a), cross(a, b)].map(|row| dot(row, right) / determinant);
    Some(solution)
}

fn unit(v: [f64; 3]) -> Option<[f64; 3]> {
    let length = dot(v, v).sqrt();
    (length > 0.0).then(|| v.map(|x| x / length))
}

fn component(v: [f64; 3], at: usize) -> f64 {
    v.get(at).copied().unwrap_or_default()
}

fn minus([ax, ay, az]: [f64; 3], [bx, by, bz]: [f64; 3]) -> [f64; 3] {
    [ax - bx, ay - by, az - bz]
}

fn dot([ax, ay, az]: [f64; 3], [bx, by, bz]: [f64; 3]) -> f64 {
    ax * bx + ay * by + az * bz
}

fn cross([ax, ay, az]: [f64; 3], [bx, by, bz]: [f64; 3]) -> [f64; 3] {
    [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmt(position_m: [f64; 3], direction: [f64; 3]) -> Pmt {
        Pmt {
            id: 0,
            position_m,
            direction,
            t0_ns: 0.0,
            status: None,
        }
    }

    #[test]
    fn axes_through_one_point_cross_there() {
        let centre = [484.6, 564.65, 26.694];
        let out = |d: [f64; 3]| {
            pmt(
                [centre[0] + d[0], centre[1] + d[1], centre[2] + d[2]],
                d.map(|x| 5.0 * x),
            )
        };
        let pmts = [
            out([0.1, 0.0, 0.0]),
            out([0.0, 0.2, 0.1]),
            out([-0.1, -0.1, 0.3]),
        ];
        let found = crossing_point(&pmts);
        assert!(
            found.iter().zip(centre).all(|(a, b)| (a - b).abs() < 1e-9),
            "{found:?}"
        );
    }

    #[test]
    fn parallel_axes_give_the_mean() {
        let pmts = [
            pmt([0.0; 3], [0.0, 0.0, 1.0]),
            pmt([1.0, 0.0, 2.0], [0.0, 0.0, -1.0]),
        ];
        assert_eq!(crossing_point(&pmts), [0.5, 0.0, 1.0]);
        assert_eq!(crossing_point(&[]), [0.0; 3]);
    }
}
