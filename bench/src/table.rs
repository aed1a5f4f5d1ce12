//! The rows that a measurement gives, as text for people and as JSON.
//!
//! All measurements say "over" by one rule. It knows no unit of what is measured but its name.

use serde_json::{Value, json};

/// What a row promises.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// The measured number is at most this.
    AtMost(f64),
    /// It is at most so many times the reference.
    RatioAtMost(f64),
    /// It is at least this part of the reference.
    RatioAtLeast(f64),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    what: String,
    unit: &'static str,
    measured: Option<f64>,
    reference: Option<(&'static str, f64)>,
    ratio: Option<f64>,
    bound: Option<Bound>,
}

impl Row {
    /// A number that was measured.
    pub fn new(what: impl Into<String>, unit: &'static str, measured: f64) -> Self {
        let what = what.into();
        Self { what, unit, measured: Some(measured), reference: None, ratio: None, bound: None }
    }

    /// A number that this service does not tell.
    pub fn unknown(what: impl Into<String>, unit: &'static str) -> Self {
        Self { measured: None, ..Self::new(what, unit, 0.0) }
    }

    /// Beside a reference of the same run, by its name.
    pub fn beside(self, reference: &'static str, number: f64) -> Self {
        let ratio = self.measured.filter(|_| number > 0.0).map(|measured| measured / number);
        Self { reference: Some((reference, number)), ratio, ..self }
    }

    /// With a ratio that is not the quotient of the two numbers, such as a median of quotients.
    pub fn ratio(self, ratio: f64) -> Self {
        Self { ratio: Some(ratio), ..self }
    }

    /// With what it promises.
    pub fn bound(self, bound: impl Into<Option<Bound>>) -> Self {
        Self { bound: bound.into(), ..self }
    }

    /// Whether it keeps its promise; `None` when it makes none, or nothing was measured.
    fn holds(&self) -> Option<bool> {
        Some(match self.bound? {
            Bound::AtMost(most) => self.measured? <= most,
            Bound::RatioAtMost(most) => self.ratio? <= most,
            Bound::RatioAtLeast(least) => self.ratio? >= least,
        })
    }

    fn verdict(&self) -> &'static str {
        match self.holds() {
            Some(true) => "ok",
            Some(false) => "over",
            None => "",
        }
    }

    fn cells(&self) -> [String; 6] {
        let with_unit = |value: f64| format!("{} {}", digits(value), self.unit).trim().to_owned();
        let reference = |(name, value): (&str, f64)| format!("{} ({name})", with_unit(value));
        let bound = |bound: Bound| match bound {
            Bound::AtMost(most) => format!("≤ {}", with_unit(most)),
            Bound::RatioAtMost(most) => format!("≤ {most} ×"),
            Bound::RatioAtLeast(least) => format!("≥ {least} ×"),
        };
        [
            self.what.clone(),
            self.measured.map_or_else(|| "n/a".to_owned(), with_unit),
            self.reference.map(reference).unwrap_or_default(),
            self.ratio.map(|ratio| format!("{} ×", digits(ratio))).unwrap_or_default(),
            self.bound.map(bound).unwrap_or_default(),
            self.verdict().to_owned(),
        ]
    }

    /// The row as JSON.
    pub fn json(&self) -> Value {
        let bound = |bound: Bound| match bound {
            Bound::AtMost(most) => json!({ "measured_at_most": most }),
            Bound::RatioAtMost(most) => json!({ "ratio_at_most": most }),
            Bound::RatioAtLeast(least) => json!({ "ratio_at_least": least }),
        };
        json!({
            "what": self.what,
            "unit": self.unit,
            "measured": self.measured,
            "reference": self.reference.map(|(_, value)| value),
            "reference_is": self.reference.map(|(name, _)| name),
            "ratio": self.ratio,
            "bound": self.bound.map(bound),
            "holds": self.holds(),
        })
    }
}

/// All rows under one head, in columns.
pub fn text(rows: &[Row]) -> String {
    let head = ["what", "measured", "reference", "ratio", "bound", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = [head].into_iter().chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let padding = " ".repeat(width - cell.chars().count() + 2);
            row.push_str(cell);
            row.push_str(&padding);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Three significant digits or so, without exponents.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.1 => format!("{value:.4}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_over_on_the_wrong_side_of_its_bound_only() {
        let row = || Row::new("x", "ms", 6.0).beside("floor", 2.0);
        assert_eq!(row().bound(Bound::RatioAtMost(3.0)).verdict(), "ok");
        assert_eq!(row().bound(Bound::RatioAtMost(2.9)).verdict(), "over");
        assert_eq!(row().bound(Bound::RatioAtLeast(3.1)).verdict(), "over");
        assert_eq!(row().bound(Bound::AtMost(5.9)).verdict(), "over");
        assert_eq!(row().verdict(), "");
        assert_eq!(Row::unknown("x", "").bound(Bound::AtMost(1.0)).verdict(), "");
    }
}
