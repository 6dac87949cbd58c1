//! The standard deviation, exact until its last steps.
//!
//! The sums of all values and of their squares are integers of as many bits as they need, in units
//! of the least float: what was added is taken away without a trace, and the order of changes does
//! not matter. `n·Σx² − (Σx)²` is computed exactly and rounded once; a division and a root follow.

use crate::value::{Value, ValueRef};

/// How many numbers there are, their sum, and the sum of their squares.
#[derive(Debug, Default)]
pub(super) struct Moments {
    count: isize,
    /// NaN and infinite values, which take part in neither sum.
    not_finite: isize,
    /// In units of 2^-1088.
    sum: Wide,
    /// In units of 2^-2176.
    squares: Wide,
}

/// The bits after the point: more than the least float has, and whole limbs.
const POINT: i32 = 17 * 64;

impl Moments {
    /// What it takes on the heap, itself included.
    pub(super) fn bytes(&self) -> usize {
        let limbs = self.sum.limbs.capacity() + self.squares.limbs.capacity();
        size_of::<Moments>() + limbs * size_of::<u64>()
    }

    /// Adds a number so many times, or takes it away where negative.
    pub(super) fn add(&mut self, value: ValueRef<'_>, times: isize) {
        self.count += times;
        let (magnitude, exponent, negative) = match value {
            ValueRef::Int(i) => (i.unsigned_abs() as u64, 0, i < 0),
            ValueRef::Float(f) if f.is_finite() => decompose(f),
            _ => {
                self.not_finite += times;
                return;
            }
        };
        let position = (exponent + POINT) as usize;
        let square = u128::from(magnitude) * u128::from(magnitude);
        for _ in 0..times.unsigned_abs() {
            self.sum
                .add(magnitude.into(), position, negative != (times < 0));
            self.squares.add(square, 2 * position, times < 0);
        }
    }

    /// The standard deviation of the sample; null for fewer than two, or where one is not finite.
    pub(super) fn deviation(&self) -> Value {
        if self.count < 2 || self.not_finite != 0 {
            return Value::Null;
        }
        let n = self.count as u64;
        let (sum, squares) = (self.sum.magnitude(), self.squares.magnitude());
        let spread = squares.times(&Natural::from(n)).minus(&sum.times(&sum));
        let Some((mantissa, exponent)) = spread.round() else {
            return Value::Int(0);
        };
        let exponent = exponent - 2 * POINT;
        // The root of an even power of two is one.
        let (mantissa, exponent) = match exponent.rem_euclid(2) {
            0 => (mantissa, exponent),
            _ => (mantissa * 2.0, exponent - 1),
        };
        let pairs = (u128::from(n) * u128::from(n - 1)) as f64;
        let root = (mantissa / pairs).sqrt();
        // In two steps, as one factor may be beyond the range of floats while the result is not.
        let half = exponent / 4;
        Value::float(root * power_of_two(half) * power_of_two(exponent / 2 - half))
    }
}

/// A finite float as magnitude, exponent of two, and sign.
fn decompose(f: f64) -> (u64, i32, bool) {
    let bits = f.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
    match exponent {
        0 => (fraction, -1074, f < 0.0),
        _ => (fraction | 1 << 52, exponent - 1075, f < 0.0),
    }
}

/// A power of two that is a normal float.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// An integer of any size, in two's complement, without the zeros it ends in.
///
/// The last limb holds nothing but the sign, so that a sum never leaves the limbs.
#[derive(Debug, Default)]
struct Wide {
    /// How many limbs of zeros come before the first one.
    skipped: usize,
    limbs: Vec<u64>,
}

impl Wide {
    /// Adds or subtracts `magnitude · 2^position`.
    fn add(&mut self, magnitude: u128, position: usize, negative: bool) {
        if magnitude == 0 {
            return;
        }
        let (first, shift) = (position / 64, position % 64);
        let low = magnitude << shift;
        let high = if shift == 0 {
            0
        } else {
            magnitude >> (128 - shift)
        };
        let parts = [low as u64, (low >> 64) as u64, high as u64];
        if self.limbs.is_empty() {
            self.skipped = first;
        } else if first < self.skipped {
            let missing = self.skipped - first;
            self.limbs.splice(0..0, std::iter::repeat_n(0, missing));
            self.skipped = first;
        }
        let start = first - self.skipped;
        let sign = self.sign();
        if self.limbs.len() < start + 4 {
            self.limbs.resize(start + 4, sign);
        }
        let mut carry = false;
        for (i, limb) in self.limbs[start..].iter_mut().enumerate() {
            let part = parts.get(i).copied().unwrap_or(0);
            if i >= parts.len() && !carry {
                break;
            }
            let (value, a) = match negative {
                false => limb.overflowing_add(part),
                true => limb.overflowing_sub(part),
            };
            let (value, b) = match negative {
                false => value.overflowing_add(carry.into()),
                true => value.overflowing_sub(carry.into()),
            };
            (*limb, carry) = (value, a || b);
        }
        if !matches!(self.limbs.last(), Some(&0 | &u64::MAX)) {
            let sign = self.sign();
            self.limbs.push(sign);
        }
    }

    /// All bits of a limb of the sign.
    fn sign(&self) -> u64 {
        match self.limbs.last() {
            Some(last) if last >> 63 == 1 => u64::MAX,
            _ => 0,
        }
    }

    /// The number without its sign.
    fn magnitude(&self) -> Natural {
        let mut limbs = self.limbs.clone();
        if self.sign() != 0 {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = (!*limb).overflowing_add(carry.into());
            }
        }
        Natural {
            skipped: self.skipped,
            limbs,
        }
    }
}

/// A natural number of any size, without the zeros it ends in.
struct Natural {
    skipped: usize,
    limbs: Vec<u64>,
}

impl From<u64> for Natural {
    fn from(n: u64) -> Natural {
        Natural {
            skipped: 0,
            limbs: vec![n],
        }
    }
}

impl Natural {
    fn limb(&self, place: usize) -> u64 {
        let place = place.checked_sub(self.skipped);
        place.and_then(|i| self.limbs.get(i)).copied().unwrap_or(0)
    }

    fn end(&self) -> usize {
        self.skipped + self.limbs.len()
    }

    fn times(&self, other: &Natural) -> Natural {
        let mut limbs = vec![0u64; self.limbs.len() + other.limbs.len()];
        for (i, a) in self.limbs.iter().enumerate() {
            let mut carry = 0u128;
            for (j, b) in other.limbs.iter().enumerate() {
                let sum = u128::from(*a) * u128::from(*b) + u128::from(limbs[i + j]) + carry;
                limbs[i + j] = sum as u64;
                carry = sum >> 64;
            }
            limbs[i + other.limbs.len()] = carry as u64;
        }
        Natural {
            skipped: self.skipped + other.skipped,
            limbs,
        }
    }

    /// The difference to a number that is not greater.
    fn minus(&self, other: &Natural) -> Natural {
        let skipped = self.skipped.min(other.skipped);
        let mut borrow = false;
        let limbs = (skipped..self.end().max(other.end())).map(|place| {
            let (value, a) = self.limb(place).overflowing_sub(other.limb(place));
            let (value, b) = value.overflowing_sub(borrow.into());
            borrow = a || b;
            value
        });
        let limbs = limbs.collect();
        debug_assert!(
            !borrow,
            "no sum of squares is less than the square of the sum"
        );
        Natural { skipped, limbs }
    }

    /// The nearest float times a power of two; `None` of zero.
    fn round(&self) -> Option<(f64, i32)> {
        let last = self.limbs.iter().rposition(|limb| *limb != 0)?;
        let shift = self.limbs[last].leading_zeros();
        let below = if last > 0 { self.limbs[last - 1] } else { 0 };
        let both = (u128::from(self.limbs[last]) << 64 | u128::from(below)) << shift;
        let rest = both as u64 != 0 || self.limbs[..last.saturating_sub(1)].iter().any(|l| *l != 0);
        // What is cut off decides a tie, and nothing else.
        let top = (both >> 64) as u64 | u64::from(rest);
        let exponent = (64 * (self.skipped + last)) as i32 - shift as i32;
        Some((top as f64, exponent))
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::SQRT_2;

    use super::*;

    fn moments(values: &[Value]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|v| moments.add(v.as_ref(), 1));
        moments
    }

    fn of(values: &[f64]) -> Value {
        let values: Vec<Value> = values.iter().map(|f| Value::float(*f)).collect();
        moments(&values).deviation()
    }

    #[test]
    fn known_deviations() {
        for (values, expected) in [
            (&[][..], Value::Null),
            (&[1.0], Value::Null),
            (&[5.0, 5.0, 5.0], 0.into()),
            (&[0.1, 0.1, 0.1], 0.into()),
            (&[1.0, 2.0, 3.0, 4.0], 1.2909944487358056.into()),
            (
                &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0],
                2.138089935299395.into(),
            ),
            // Where the textbook's formula in floats gives nonsense.
            (
                &[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0],
                5.477225575051661.into(),
            ),
            (&[1e300, -1e300], 1.414213562373095e300.into()),
            (&[1e-300, 3e-300], 1.414213562373095e-300.into()),
            (&[5e-324, -5e-324, 5e-324, -5e-324], 5e-324.into()),
            (&[f64::MAX, 0.0], (f64::MAX / 2f64.sqrt()).into()),
            (&[1.0, f64::NAN], Value::Null),
            (&[1.0, 2.0, f64::INFINITY], Value::Null),
        ] {
            let found = of(values);
            let close = match (found.as_ref().as_f64(), expected.as_ref().as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= b.abs() * 4e-16,
                _ => found == expected,
            };
            assert!(close, "{values:?}: {found}, not {expected}");
        }
        let large = [u64::MAX, u64::MAX - 2].map(Value::from);
        assert_eq!(moments(&large).deviation(), SQRT_2.into());
        let large = [i64::MIN, i64::MIN + 2].map(Value::from);
        assert_eq!(moments(&large).deviation(), SQRT_2.into());
    }

    #[test]
    fn taking_away_leaves_what_is_left() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut value = || match rng.u32(..6) {
                0 => Value::from(rng.u64(..)),
                1 => Value::from(rng.i64(..)),
                2 => Value::float(f64::from_bits(rng.u64(..))),
                _ => Value::float((rng.f64() - 0.5) * 10f64.powi(rng.i32(-20..20))),
            };
            let mut left: Vec<Value> = (0..30).map(|_| value()).collect();
            let mut incremental = moments(&left);
            while let Some(gone) = left.pop() {
                incremental.add(gone.as_ref(), -1);
                rng.shuffle(&mut left);
                let (ours, fresh) = (incremental.deviation(), moments(&left).deviation());
                assert_eq!(
                    ours.as_ref().as_f64().map(f64::to_bits),
                    fresh.as_ref().as_f64().map(f64::to_bits)
                );
            }
        }
    }

    #[test]
    fn agrees_with_integers() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..2000 {
            let n = rng.usize(2..20);
            let values: Vec<i128> = (0..n)
                .map(|_| rng.i128(-1 << 40..1 << 40) >> rng.u32(..40))
                .collect();
            let sum: i128 = values.iter().sum();
            let squares: i128 = values.iter().map(|v| v * v).sum();
            let spread = n as i128 * squares - sum * sum;
            let expected = (spread as f64 / (n * (n - 1)) as f64).sqrt();
            let values: Vec<Value> = values.into_iter().map(Value::int).collect();
            assert_eq!(moments(&values).deviation(), Value::float(expected));
        }
    }
}
