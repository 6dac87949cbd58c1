//! A sum that forgets nothing: adding and taking away leaves exactly what is left.
//!
//! Plain floats drift: after `+0.1 +0.2 -0.1` a running sum is not `0.2`, so an incremental sum
//! would differ from a recomputed one. Here integers add up in 128 bits, and floats as an exact
//! expansion (Shewchuk 1997, as in Python's `math.fsum`), rounded once when the sum is read. The
//! result does not depend on the order of the values.

use crate::value::{Value, ValueRef};

/// An exact, reversible sum of numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct ExactSum {
    integers: i128,
    /// How many floats take part, so that a sum of integers stays one.
    floats: isize,
    parts: Expansion,
    rare: Option<Box<Rare>>,
}

/// What hardly any data has.
#[derive(Clone, Debug, Default)]
struct Rare {
    /// Floats near the end of the range, scaled down so that no partial sum overflows.
    huge: Expansion,
    nan: isize,
    positive_infinity: isize,
    negative_infinity: isize,
}

const HUGE: f64 = f64::from_bits(((1023 + 900) as u64) << 52);
const SCALE: f64 = f64::from_bits(((1023 - 200) as u64) << 52);

impl ExactSum {
    /// What it takes on the heap.
    pub(super) fn heap(&self) -> usize {
        let rare = self.rare.as_ref();
        let rare = rare.map_or(0, |rare| size_of::<Rare>() + rare.huge.heap());
        self.parts.heap() + rare
    }

    /// Adds a number `times` times; negative times take it away.
    #[inline]
    pub(super) fn add(&mut self, value: ValueRef<'_>, times: isize) {
        match value {
            ValueRef::Int(i) => self.integers += i * times as i128,
            value => self.add_other(value, times),
        }
    }

    fn add_other(&mut self, value: ValueRef<'_>, times: isize) {
        match value {
            ValueRef::Float(f) => {
                self.floats += times;
                if f.is_finite() && f.abs() < HUGE {
                    return self.parts.add(f, times);
                }
                let rare = self.rare.get_or_insert_default();
                match f {
                    f if f.is_nan() => rare.nan += times,
                    f64::INFINITY => rare.positive_infinity += times,
                    f64::NEG_INFINITY => rare.negative_infinity += times,
                    f => rare.huge.add(f * SCALE, times),
                }
            }
            other => unreachable!("numbers are summed, not {}", other.type_name()),
        }
    }

    /// The sum: exact for integers, else the float nearest to the exact sum.
    pub(super) fn value(&self) -> Value {
        if self.floats == 0 {
            return Value::int(self.integers);
        }
        let mut parts = self.parts.clone();
        let mut rest = self.integers;
        while rest != 0 {
            let part = rest as f64;
            parts.add(part, 1);
            rest -= part as i128;
        }
        let Some(rare) = &self.rare else {
            return Value::float(parts.round());
        };
        match (rare.nan, rare.positive_infinity, rare.negative_infinity) {
            (0, 0, 0) if rare.huge.parts.is_empty() => Value::float(parts.round()),
            (0, 0, 0) => {
                let mut all = rare.huge.clone();
                parts.parts.iter().for_each(|part| all.add(part * SCALE, 1));
                Value::float(all.round() / SCALE)
            }
            (0, _, 0) => Value::Float(f64::INFINITY),
            (0, 0, _) => Value::Float(f64::NEG_INFINITY),
            _ => Value::Float(f64::NAN),
        }
    }
}

/// Floats whose exact sum is the value: by growing magnitude, their bits do not overlap.
#[derive(Clone, Debug, Default)]
struct Expansion {
    parts: Vec<f64>,
}

impl Expansion {
    fn heap(&self) -> usize {
        self.parts.capacity() * size_of::<f64>()
    }

    fn add(&mut self, value: f64, times: isize) {
        let value = if times < 0 { -value } else { value };
        (0..times.unsigned_abs()).for_each(|_| self.add_once(value));
    }

    fn add_once(&mut self, mut x: f64) {
        let mut kept = 0;
        for i in 0..self.parts.len() {
            let mut y = self.parts[i];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                self.parts[kept] = low;
                kept += 1;
            }
            x = high;
        }
        self.parts.truncate(kept);
        if x != 0.0 {
            self.parts.push(x);
        }
    }

    /// The nearest float, ties to even.
    fn round(&self) -> f64 {
        let mut parts = self.parts.iter().rev();
        let Some(&(mut high)) = parts.next() else {
            return 0.0;
        };
        let mut low = 0.0;
        for &part in parts.by_ref() {
            let x = high;
            high = x + part;
            low = part - (high - x);
            if low != 0.0 {
                break;
            }
        }
        // What is left decides a tie.
        if let Some(&next) = parts.next()
            && ((low < 0.0 && next < 0.0) || (low > 0.0 && next > 0.0))
        {
            let doubled = low * 2.0;
            let up = high + doubled;
            if doubled == up - high {
                high = up;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        values
            .iter()
            .for_each(|&f| sum.add(Value::float(f).as_ref(), 1));
        sum.value().as_ref().as_f64().unwrap()
    }

    #[test]
    fn rounds_once() {
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e100, 1.5, -1e100]), 1.5);
        assert_eq!(
            sum(&[9007199254740992.0, 0.5, 0.5]),
            9007199254740993.0 as i64 as f64
        );
        assert_eq!(sum(&[1e308, 1e308, -1e308, -1e308, 0.25]), 0.25);
        assert_eq!(sum(&[1.7e308, 1.7e308]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn taking_away_leaves_what_is_left() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..300 {
            let mut value = || match rng.u32(0..8) {
                0 => rng.i64(..) as f64,
                1 => f64::from_bits(rng.u64(..)),
                _ => (rng.f64() - 0.5) * 10f64.powi(rng.i32(-20..20)),
            };
            let values: Vec<f64> = (0..40).map(|_| value()).collect();
            let mut incremental = ExactSum::default();
            for &f in &values {
                incremental.add(Value::float(f).as_ref(), 1);
            }
            let mut left = values.clone();
            while let Some(gone) = left.pop() {
                incremental.add(Value::float(gone).as_ref(), -1);
                rng.shuffle(&mut left);
                let fresh = left.iter().fold(ExactSum::default(), |mut sum, &f| {
                    sum.add(Value::float(f).as_ref(), 1);
                    sum
                });
                assert_eq!(incremental.value(), fresh.value());
            }
            assert!(matches!(incremental.value(), Value::Int(0)));
        }
    }
}
