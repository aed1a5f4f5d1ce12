//! Whether a series of numbers grows: the line of least squares, and how sure its slope is.

/// A line through points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// By how much the number grows with each unit of x.
    pub slope: f64,
    /// The standard error of the slope.
    pub error: f64,
    /// The mean of the numbers.
    pub mean: f64,
}

/// Fewer points than this say nothing.
const LEAST_POINTS: usize = 8;

impl Trend {
    /// The line through these points (x, y); `None` if they are too few or all at one x.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < LEAST_POINTS {
            return None;
        }
        let number = f64::from(u32::try_from(points.len()).ok()?);
        let mean_of = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / number;
        let (mean_x, mean) = (mean_of(|(x, _)| *x), mean_of(|(_, y)| *y));
        let width: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if width <= 0.0 {
            return None;
        }
        let slope = points.iter().map(|(x, y)| (x - mean_x) * (y - mean)).sum::<f64>() / width;
        let rest = |(x, y): &(f64, f64)| (y - mean - slope * (x - mean_x)).powi(2);
        let error = (points.iter().map(rest).sum::<f64>() / (number - 2.0) / width).sqrt();
        Some(Self { slope, error, mean })
    }

    /// The slope that stretches of points (x, y) have in common, each at a height of its own: what lies
    /// between two stretches is no growth. `None` if there are too few points or all are at one x.
    pub fn within(stretches: &[Vec<(f64, f64)>]) -> Option<Self> {
        let mean = Self::of(&stretches.concat())?.mean;
        let points: Vec<_> =
            stretches.iter().flat_map(|stretch| about_their_mean(stretch)).collect();
        Self::of(&points).map(|trend| Self { mean, ..trend })
    }

    /// Whether it grows: the slope is more than its noise, and over the time looked at comes to
    /// more than a part of the mean.
    pub fn grows(&self, over: f64, part: f64) -> bool {
        self.slope > 3.0 * self.error && self.slope * over > part * self.mean
    }
}

/// Points as seen from their own mean.
fn about_their_mean(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let number = f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX));
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    points.iter().map(move |point| (point.0 - x / number, point.1 - y / number))
}

#[cfg(test)]
mod tests {
    use super::Trend;

    fn points(number: u32, of: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..number).map(f64::from).map(|x| (x, of(x))).collect()
    }

    #[test]
    fn a_line_is_found_and_grows() {
        let trend = Trend::of(&points(20, |x| 100.0 + 2.0 * x)).unwrap();
        assert!((trend.slope - 2.0).abs() < 1e-9 && trend.error < 1e-9, "{trend:?}");
        assert!(trend.grows(20.0, 0.05) && !trend.grows(20.0, 0.5));
    }

    #[test]
    fn noise_does_not_grow() {
        let noise = |x: f64| 100.0 + 10.0 * (x * 7.3).sin();
        let trend = Trend::of(&points(40, noise)).unwrap();
        assert!(!trend.grows(40.0, 0.01), "{trend:?}");
        let both = Trend::of(&points(40, |x| noise(x) + x)).unwrap();
        assert!(both.grows(40.0, 0.05), "{both:?}");
    }

    #[test]
    fn a_step_between_stretches_is_no_growth() {
        let stretches = |slope: f64| {
            let stepped = |x: f64| 100.0 + slope * x + if x < 20.0 { 0.0 } else { 10.0 };
            let mut first = points(40, stepped);
            let second = first.split_off(20);
            vec![first, second]
        };
        assert!(Trend::of(&stretches(0.0).concat()).unwrap().grows(40.0, 0.05));
        let still = Trend::within(&stretches(0.0)).unwrap();
        assert!(still.slope.abs() < 1e-9 && (still.mean - 105.0).abs() < 1e-9, "{still:?}");
        let growing = Trend::within(&stretches(0.5)).unwrap();
        assert!((growing.slope - 0.5).abs() < 1e-9 && growing.grows(40.0, 0.05), "{growing:?}");
    }

    #[test]
    fn few_points_say_nothing() {
        assert_eq!(Trend::of(&points(7, |x| x)), None);
        assert_eq!(Trend::within(&[points(7, |x| x)]), None);
    }
}
