//! The page that says which scenarios prove which requirement.

use core::fmt::Write as _;

use crate::{Declaration, Proof, Requirement, Scenario, declared, requirements, scenarios};

/// What stands above the tables.
const HEAD: &str = "\
<!-- Written by `cargo run -- conform --coverage`; a test compares it with the scenarios. -->

# What proves what

Every requirement, and the scenarios that prove it over every transport. What does not show between
a client and a server is proved by tests of another kind, which are named.

";

/// What stands above the declarations.
const DECLARED: &str = "
## Declared

What a transport cannot pass, and why. Each of these scenarios is still played: it must not pass,
and what the transport does instead must.

### isahc

";

/// The page that says which scenarios prove which requirement, as Markdown.
///
/// It is made of the scenarios, the requirements and what transports declare, and of nothing else,
/// so that it is the same wherever it is written.
pub fn coverage() -> String {
    let scenarios = scenarios();
    let mut page = HEAD.to_owned();
    // Writing to a string does not fail.
    let (rows, all) = (scenarios.len(), requirements().len());
    let _ = writeln!(page, "There are {rows} scenarios, and {all} requirements.");
    let mut area = "";
    for requirement in requirements() {
        if requirement.area() != area {
            area = requirement.area();
            // Writing to a string does not fail.
            let _ =
                write!(page, "\n## {area}\n\n| id | requirement | proved by |\n|---|---|---|\n");
        }
        let Requirement { id, title, .. } = requirement;
        let _ = writeln!(page, "| {id} | {title} | {} |", proof(requirement, &scenarios));
    }
    page.push_str(DECLARED);
    page.extend(declared::isahc().iter().map(line));
    page
}

/// What proves a requirement, in a cell of the table.
fn proof(requirement: &Requirement, scenarios: &[Scenario]) -> String {
    let proves = |it: &&Scenario| it.requirements.contains(&requirement.id);
    let mut by = code(scenarios.iter().filter(proves).map(|it| it.id.as_str()));
    if let Proof::Elsewhere { by: files, why } = requirement.proof {
        if !by.is_empty() {
            by.push_str("; ");
        }
        let files = code(files.iter().copied());
        let _ = write!(by, "{files} ({why})");
    }
    by
}

/// Names as code, in a list.
fn code<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn line(declaration: &Declaration) -> String {
    format!("- `{}`: {}\n", declaration.scenario(), declaration.reason())
}
