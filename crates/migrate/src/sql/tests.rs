//! Statements as dumps have them, and as they could be taken for others.

use super::*;

fn read(text: &str) -> Result<Dump, Unreadable> {
    let mut dump = Dump::new();
    let mut reader = dump.sql("dump.sql");
    for line in text.lines() {
        reader.line(line.as_bytes())?;
    }
    reader.end()?;
    Ok(dump)
}

/// File lines and the tags' descriptions.
fn tags(text: &str) -> Vec<(u64, Option<String>)> {
    let dump = read(text).expect("readable");
    let tags = dump.tables.get("LiteLLM_TagTable");
    let row = |row: &crate::dump::Row| (row.line, row.get("description").map(str::to_owned));
    tags.into_iter().flat_map(|tags| tags.rows.iter().map(row)).collect()
}

const HEAD: &str = "COPY public.\"LiteLLM_TagTable\" (tag_name, description) FROM stdin;\n";

#[test]
fn escapes_of_copy_are_undone() {
    let text = format!("{HEAD}a\t\\N\nb\t\nc\tx\\ty\\nz\\\\N \\x41\\101\\q\n\\.\n");
    let told = tags(&text);
    let expected = [(2, None), (3, Some("")), (4, Some("x\ty\nz\\N AAq"))];
    let expected: Vec<_> =
        expected.into_iter().map(|(line, text)| (line, text.map(str::to_owned))).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_row_that_is_damaged_is_told_and_the_next_one_is_read() {
    let dump = read(&format!("{HEAD}a\nb\t\\\nc\td\n\\.\n")).expect("readable");
    let tags = &dump.tables["LiteLLM_TagTable"];
    let faults: Vec<_> = tags.faults.iter().map(|(_, line, why)| (*line, why.as_str())).collect();
    let expected = [(2, "it has 1 values, not 2"), (3, "a value ends with half an escape")];
    assert_eq!(faults, expected);
    assert_eq!((tags.rows.len(), tags.count), (1, 3));
}

#[test]
fn texts_of_inserts_go_over_lines_and_hold_what_looks_like_statements() {
    let text = "CREATE TABLE public.\"LiteLLM_TagTable\" (\n    tag_name text NOT NULL,\n    \
                description text,\n    CONSTRAINT x CHECK (true)\n);\n\
                INSERT INTO public.\"LiteLLM_SpendLogs\" VALUES ('r', '(;\n\\.\nINSERT INTO ''x''\n'), ('s', '');\n\
                INSERT INTO public.\"LiteLLM_TagTable\" VALUES\n\t('a', 'it''s; (\nok'),\n\t('b', NULL),\n\
                \t('c', E'x\\ny'::text) ON CONFLICT DO NOTHING;\n";
    let expected = [(11, Some("it's; (\nok")), (13, None), (14, Some("x\ny"))];
    let expected: Vec<_> =
        expected.into_iter().map(|(line, text)| (line, text.map(str::to_owned))).collect();
    assert_eq!(tags(text), expected);
    let dump = read(text).expect("readable");
    assert_eq!(dump.tables["LiteLLM_SpendLogs"].count, 2);
}

#[test]
fn columns_are_known_by_name_wherever_they_stand() {
    let text = "COPY \"LiteLLM_TagTable\" (\"newColumn\", description, tag_name) FROM stdin;\n\
                x\ty\tz\n\\.\n\
                INSERT INTO \"LiteLLM_TagTable\" (description, tag_name) VALUES ('d', 't');\n";
    let expected = [(2, Some("y".to_owned())), (4, Some("d".to_owned()))];
    assert_eq!(tags(text), expected);
    let dump = read(text).expect("readable");
    let strange = &dump.tables["LiteLLM_TagTable"].strange;
    assert!(strange.iter().map(|name| &**name).eq(["newColumn"]));
}

#[test]
fn what_is_no_whole_plain_dump_is_told() {
    let table = || "LiteLLM_TagTable".to_owned();
    let cut = Unreadable::Cut { table: table() };
    assert_eq!(read(&format!("{HEAD}a\tb\n")).err(), Some(cut.clone()));
    assert_eq!(read("INSERT INTO \"LiteLLM_TagTable\" (tag_name) VALUES ('a\n").err(), Some(cut));
    let encoding = "LATIN1".to_owned();
    let told = read("SET client_encoding = 'LATIN1';\n").err();
    assert_eq!(told, Some(Unreadable::Encoding { encoding }));
    let told = read("INSERT INTO \"LiteLLM_TagTable\" VALUES ('a');\n").err();
    assert_eq!(told, Some(Unreadable::NoColumns { line: 1, table: table() }));
    for binary in ["PGDMP\u{1}", "toc.dat", "a\u{0}b"] {
        assert!(matches!(read(binary), Err(Unreadable::NotPlain { .. })), "{binary}");
    }
}
