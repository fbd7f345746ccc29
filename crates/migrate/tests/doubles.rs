//! What stands in a dump twice, or where it cannot be read, is told by its line.

mod planned;

use dunlin_migrate::Outcome;
use planned::planned;

/// What becomes of the rows of tables in CSV, by the line of their table.
fn outcomes(tables: &[(&str, &str)]) -> Vec<String> {
    let told = |outcome: &Outcome| match outcome {
        Outcome::Kept => "kept".to_owned(),
        Outcome::Needless(why) => format!("needless: {why}"),
        Outcome::Changed(findings) => {
            format!("changed: {}: {}", findings[0].field, findings[0].reason)
        }
        Outcome::Unsupported(findings) => {
            format!("unsupported: {}: {}", findings[0].field, findings[0].reason)
        }
    };
    planned(tables)
        .items
        .iter()
        .map(|item| format!("{} {}", item.place.line, told(&item.outcome)))
        .collect()
}

fn check(tables: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(outcomes(tables), expected);
}

#[test]
fn a_row_that_stands_there_twice_moves_once() {
    check(
        &[("LiteLLM_UserTable", "user_id,user_alias\nann,Ann\nbob,Bob\nann,Ann\nann,Anne\n")],
        &[
            "2 kept",
            "3 kept",
            "4 needless: the same row stands in line 2 of LiteLLM_UserTable",
            "5 unsupported: user_id: another row of the same user_id stands in line 2 of \
             LiteLLM_UserTable, and that one counts: leave one of them in the dump",
        ],
    );
}

#[test]
fn what_only_one_user_may_have_the_second_loses() {
    check(
        &[(
            "LiteLLM_UserTable",
            "user_id,user_email,sso_user_id\nann,a@b.c,s-1\nbob,bob,s-2\neve,,s-1\ncarl,,\n",
        )],
        &[
            "2 kept",
            "3 changed: user_email: left out: `bob` is no address",
            "4 changed: sso_user_id: left out: user `ann` has it, and `eve` would be the second",
            "5 kept",
        ],
    );
}

#[test]
fn members_that_cannot_be_read_are_told() {
    let users = ("LiteLLM_UserTable", "user_id,user_email\nann,a@b.c\n");
    let teams = "team_id,members_with_roles\n\
        one,\"[{\"\"user_email\"\": \"\"A@b.c\"\", \"\"role\"\": \"\"admin\"\"}]\"\n\
        two,admin\n\
        three,\"[{\"\"user_email\"\": \"\"x@y.z\"\"}]\"\n\
        four,\"[5]\"\n";
    check(
        &[users, ("LiteLLM_TeamTable", teams)],
        &[
            "2 kept",
            "2 kept",
            "3 unsupported: members_with_roles: it is not a list of members in JSON",
            "4 changed: members_with_roles: left out: no user that moves has `x@y.z`",
            "5 changed: members_with_roles: left out: 5 names no user",
            "2 kept",
        ],
    );
}
