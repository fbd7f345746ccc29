//! Texts in columns, two spaces apart.

use unicode_width::UnicodeWidthStr;

/// Lines of the rows under the head. A column whose head begins with a space stands right; one with
/// nothing in it is not there. Nothing is cut: a terminal wraps, and `less -S` does not.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let first = head.map(|name| name.trim_start().to_owned());
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().chain([&first]).map(|row| row[column].width()).max().unwrap_or_default()
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&head).zip(widths).filter(|(_, width)| *width > 0);
        let cells = cells.map(|((cell, head), width)| {
            let fill = " ".repeat(width - cell.width());
            if head.starts_with(' ') { fill + cell } else { format!("{cell}{fill}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    [&first].into_iter().chain(&rows).map(line).collect()
}

/// A text with nothing in it that a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A moment without the fraction of its second: `2027-01-15 08:00:00 UTC`.
pub(crate) fn moment(iso: &str) -> String {
    let second = iso.split_once('.').map_or(iso, |(second, _)| second);
    format!("{} UTC", second.trim_end_matches('Z').replacen('T', " ", 1))
}

/// Dollars with as many digits as it takes to tell them from others: `$5.00`, `$0.0005`.
pub(crate) fn dollars(usd: f64) -> String {
    let exact = format!("{usd:.9}");
    let (whole, cents) = exact.split_once('.').unwrap_or((&exact, ""));
    let cents = cents.trim_end_matches('0');
    format!("${whole}.{cents:0<2}")
}

/// Items in one cell; `none` if there are none.
pub(crate) fn listed(items: &[String], none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

/// How many rows somebody wants.
pub(crate) fn rows(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|rows| *rows > 0).ok_or("it is a whole number from 1 on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_shown_to_the_last_digit_and_to_the_cent_at_least() {
        let shown = [0.0, 5.0, 0.0005, 12.5, 1_234.000_000_001].map(dollars);
        assert_eq!(shown, ["$0.00", "$5.00", "$0.0005", "$12.50", "$1234.000000001"]);
    }

    #[test]
    fn columns_stand_under_their_heads_whatever_is_in_them() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["キー", "5", ""]), row(["a\u{1b}[31m\n", "1000", "y"])];
        let text = table(["NAME", " RPM", "X"], &rows);
        assert_eq!(table(["A", "", "B"], &[row(["1", "", "2"])]), "A  B\n1  2\n");
        let expected = ["NAME      RPM  X", "キー        5", "a\u{fffd}[31m\u{fffd}  1000  y"];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}
