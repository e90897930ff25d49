//! The spans of time over which money is limited.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use crate::PolicyError;

/// One day, one month (both in UTC), or all time. Its text, such as `2026-11-24`, `2026-11` or `total`, is what a
/// store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// One day in UTC.
    Day(Date),
    /// One month in UTC, named by its first day.
    Month(Date),
    /// All time.
    Total,
}

impl Window {
    /// The three windows that `at` lies in: day, month, total.
    pub fn all_at(at: Timestamp) -> [Window; 3] {
        let date = Offset::UTC.to_datetime(at).date();
        [
            Window::Day(date),
            Window::Month(date.first_of_month()),
            Window::Total,
        ]
    }

    /// When it is over and its limit is whole again; never for [`Window::Total`].
    pub fn ends(self) -> Option<Timestamp> {
        let last = match self {
            Window::Day(date) => date,
            Window::Month(first) => first.last_of_month(),
            Window::Total => return None,
        };
        let next = last.tomorrow().ok()?;
        Offset::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok()
    }

    /// `day`, `month` or `total`.
    pub const fn kind(self) -> &'static str {
        match self {
            Window::Day(_) => "day",
            Window::Month(_) => "month",
            Window::Total => "total",
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Day(date) => write!(f, "{date}"),
            Window::Month(first) => write!(f, "{:04}-{:02}", first.year(), first.month()),
            Window::Total => f.write_str("total"),
        }
    }
}

impl FromStr for Window {
    type Err = PolicyError;

    /// Reads exactly what [`Window`] writes.
    fn from_str(text: &str) -> Result<Window, PolicyError> {
        let window = match text.len() {
            5 => Some(Window::Total),
            7 => format!("{text}-01").parse().ok().map(Window::Month),
            10 => text.parse().ok().map(Window::Day),
            _ => None,
        };
        window
            .filter(|window| window.to_string() == text)
            .ok_or(PolicyError::Stored { what: "window" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at: &str, day: (&str, &str), month: (&str, &str)) {
        let [d, m, total] = Window::all_at(at.parse().unwrap());
        let shown = |window: Window| (window.to_string(), window.ends().unwrap().to_string());
        assert_eq!(shown(d), (day.0.to_owned(), day.1.to_owned()), "{at}");
        assert_eq!(shown(m), (month.0.to_owned(), month.1.to_owned()), "{at}");
        assert_eq!(
            (total.to_string(), total.ends()),
            ("total".to_owned(), None)
        );
        for window in [d, m, total] {
            assert_eq!(window.to_string().parse(), Ok(window));
        }
    }

    #[test]
    fn days_and_months_begin_at_midnight_utc() {
        check(
            "2026-11-24T23:59:59.999Z",
            ("2026-11-24", "2026-11-25T00:00:00Z"),
            ("2026-11", "2026-12-01T00:00:00Z"),
        );
        check(
            "2026-12-31T00:00:00Z",
            ("2026-12-31", "2027-01-01T00:00:00Z"),
            ("2026-12", "2027-01-01T00:00:00Z"),
        );
        check(
            "2028-02-29T12:00:00Z",
            ("2028-02-29", "2028-03-01T00:00:00Z"),
            ("2028-02", "2028-03-01T00:00:00Z"),
        );
        check(
            "2026-11-24T23:30:00-02:00",
            ("2026-11-25", "2026-11-26T00:00:00Z"),
            ("2026-11", "2026-12-01T00:00:00Z"),
        );
    }

    #[test]
    fn a_damaged_window_is_refused() {
        for text in [
            "",
            "total ",
            "Total",
            "2026",
            "2026-13",
            "2026-02-30",
            "20261124",
            "2026-1-24",
            "26-11-2400",
            "🙂x",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text:?}");
        }
    }
}
