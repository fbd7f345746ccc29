//! `COPY` in its text form: a row a line, tabs between the values, backslashes before what would be
//! mistaken.

/// `public."T" (a, b) FROM stdin;`: the table, and its columns if they are named.
pub(super) fn header(text: &str) -> Option<(String, Option<Vec<String>>)> {
    let (table, rest) = super::qualified(text)?;
    let rest = rest.trim_start();
    let (columns, rest) = match super::list(rest) {
        Some((columns, rest)) => (Some(columns), rest),
        None => (None, rest),
    };
    // Options would be another form than the text form, which pg_dump never writes.
    let rest = rest.trim();
    rest.eq_ignore_ascii_case("FROM stdin;").then_some((table, columns))
}

/// The values of a line.
pub(super) fn row(line: &[u8]) -> Result<Vec<Option<String>>, String> {
    line.split(|byte| *byte == b'\t').map(value).collect()
}

fn value(text: &[u8]) -> Result<Option<String>, String> {
    if text == b"\\N" {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let Some((escaped, behind)) = rest.split_first() else {
            return Err("a value ends with half an escape".to_owned());
        };
        rest = behind;
        bytes.push(match escaped {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'0'..=b'7' => {
                let (byte, behind) = digits(*escaped, rest, 8, 2);
                rest = behind;
                byte
            }
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                let (byte, behind) = digits(b'0', rest, 16, 2);
                rest = behind;
                byte
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).map(Some).map_err(|_| "a value is not UTF-8".to_owned())
}

/// A byte by its number: `first` and at most `more` digits.
fn digits(first: u8, text: &[u8], radix: u32, more: usize) -> (u8, &[u8]) {
    let digit = |byte: u8| char::from(byte).to_digit(radix);
    let many = text.iter().take(more).take_while(|byte| digit(**byte).is_some()).count();
    let all = std::iter::once(&first).chain(&text[..many]);
    let number =
        all.filter_map(|byte| digit(*byte)).fold(0, |number, digit| number * radix + digit);
    (u8::try_from(number & 0xff).unwrap_or_default(), &text[many..])
}
