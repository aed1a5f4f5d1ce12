//! What the documentation says is what the code does: the table of wrong triggers, the list of
//! dependencies, and the lists of layouts and signals.

#![expect(clippy::unwrap_used, reason = "a test ends at what it cannot use")]

#[path = "docs/log_lines.rs"]
mod log_lines;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use penstock::{
    config::Config,
    layouts::{ParameterKind, Registry},
    redis::sentinel_acl,
    signals::Signal,
    trigger::Trigger,
};

use log_lines::log_lines;
use penstock_testkit::{WrongTrigger, wrong_triggers};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn every_row_of_the_table_of_wrong_triggers_is_what_a_trigger_is_told() {
    for WrongTrigger { metadata, answer } in wrong_triggers() {
        let problems = Trigger::parse(metadata.clone(), Registry::builtin()).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(told.contains(&answer), "{metadata:?}\n documented: {answer}\n told: {told:#?}");
    }
}

#[test]
fn every_line_of_the_log_is_on_its_page_with_its_level_and_no_other() {
    let page = read("docs/logging.md");
    let rows = page.lines().filter_map(|row| row.strip_prefix("| `")?.split_once("` | "));
    let level = |rest: &str| rest.split_once(" | ").unwrap().0.to_owned();
    let documented: BTreeMap<String, String> =
        rows.map(|(line, rest)| (line.to_owned(), level(rest))).collect();
    assert_eq!(documented, log_lines());
}

#[test]
fn the_rights_on_the_page_are_what_the_program_prints() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("penstock.toml");
    fs::write(&path, "[redis.default]\n").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_penstock"));
    let printed = program.args(["check", "--acl", "--config"]).arg(path).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let line = printed.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
    assert!(read("docs/triggers.md").lines().any(|shown| shown == line), "{line}");
}

#[test]
fn the_page_of_layouts_is_what_the_program_prints() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_penstock"));
    let printed = program.args(["layouts", "--markdown"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    for layout in Registry::builtin().layouts() {
        assert!(printed.contains(&format!("## Layout `{}`", layout.name())));
        for (name, parameter) in layout.parameters() {
            assert!(printed.contains(&format!("| `{name}`")), "{}.{name}", layout.name());
            assert!(printed.contains(&parameter.doc), "{}.{name}", layout.name());
        }
    }
    let is_current = read("docs/layouts.md") == printed;
    assert!(is_current, "run: cargo run -- layouts --markdown > docs/layouts.md");
}

#[test]
fn every_framework_has_a_page_and_an_example() {
    let index = read("docs/frameworks/README.md");
    for layout in Registry::builtin().layouts().filter(|layout| layout.name() != "keys") {
        let name = layout.name();
        let page = read(&format!("docs/frameworks/{name}.md"));
        let example = read(&format!("deploy/examples/frameworks/{name}.yaml"));
        assert!(index.contains(&format!("]({name}.md)")), "the index does not name {name}");
        assert!(page.contains(&format!("../../deploy/examples/frameworks/{name}.yaml")), "{name}");
        for (text, indent) in [(&page, ""), (&example, "        ")] {
            assert!(text.contains(&format!("\n{indent}layout: {name}\n")), "{name}: no metadata");
        }
    }
}

/// The metadata in the YAML blocks of a page.
fn metadata_blocks(page: &str) -> Vec<Vec<(String, String)>> {
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let pair = |line: &str| {
        let (key, value) = line.split_once(": ").unwrap();
        let value = value.split(" #").next().unwrap().trim().trim_matches('"');
        (key.to_owned(), value.to_owned())
    };
    blocks.map(|block| block.lines().map(pair).collect()).collect()
}

#[test]
fn every_trigger_on_a_page_of_a_framework_is_one() {
    for layout in Registry::builtin().layouts().filter(|layout| layout.name() != "keys") {
        let page = read(&format!("docs/frameworks/{}.md", layout.name()));
        let blocks = metadata_blocks(&page);
        assert!(!blocks.is_empty(), "{}", layout.name());
        for pairs in blocks {
            let trigger = Trigger::parse(pairs, Registry::builtin());
            assert!(trigger.is_ok(), "{}: {:?}", layout.name(), trigger.err());
        }
    }
}

#[test]
fn every_configuration_on_the_page_of_topologies_is_one() {
    let page = read("docs/topologies.md");
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).collect();
    assert!(blocks.len() >= 3, "the page was read");
    for block in blocks {
        let toml = block.split("```").next().unwrap();
        let config = Config::parse(toml, "docs/topologies.md").map_err(|told| told.to_string());
        let config = config.unwrap();
        assert!(config.connections["default"].endpoint.is_given(), "{toml}");
    }
    let line = format!("user {} >PASSWORD", sentinel_acl("penstock"));
    assert!(page.contains(&line), "the page does not have: {line}");
}

/// Whether a file below `tests` or `src` has a test of this name.
fn has_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(text) = fs::read_to_string(path) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let marked = lines.windows(2).any(|pair| {
        let function = pair[1].strip_prefix("async ").unwrap_or(pair[1]);
        pair[0].contains("test") && function.starts_with(&format!("fn {name}("))
    });
    marked || text.contains("on_both_servers!(") && lines.contains(&format!("{name},").as_str())
}

#[test]
fn every_row_of_the_table_of_hostile_inputs_names_a_test_that_there_is() {
    let page = read("docs/hostile-inputs.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| input"));
    let rows: Vec<&str> = rows.filter(|line| !line.starts_with("| --- |")).collect();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let (file, name) = cells[3].trim_matches('`').split_once("` `").unwrap();
        assert!(has_test(file, name), "{file} has no test {name}");
    }
}

/// The pages of the repository, by their paths.
fn pages() -> Vec<String> {
    let mut pages = vec![];
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir()
                && !name.starts_with('.')
                && !["target", "node_modules"].contains(&&*name)
            {
                folders.push(path);
            } else if name.ends_with(".md") {
                let root = Path::new(env!("CARGO_MANIFEST_DIR"));
                pages.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    pages
}

/// Where a line begins a table that has no header: one that was cut from its table.
fn cut_tables(page: &str) -> Vec<usize> {
    let lines: Vec<&str> = page.lines().collect();
    let mut is_code = false;
    let mut cut = vec![];
    for (number, line) in lines.iter().enumerate() {
        is_code ^= line.starts_with("```");
        let begins = number == 0 || !lines[number - 1].starts_with('|');
        let has_header = lines.get(number + 1).is_some_and(|next| next.starts_with("| ---"));
        if line.starts_with('|') && begins && !has_header && !is_code {
            cut.push(number + 1);
        }
    }
    cut
}

#[test]
fn no_table_is_cut_by_a_blank_line() {
    assert_eq!(cut_tables("| a |\n| --- |\n| b |\n\n| c |\n| d |\n"), [5]);
    let pages = pages();
    assert!(pages.len() > 30, "{pages:?}");
    for page in pages {
        let cut = cut_tables(&read(&page));
        assert!(cut.is_empty(), "{page} has tables without a header at the lines {cut:?}");
    }
}

/// The rows of a layout's table of options: option, what it moves, key here, source.
fn options_of(layout: &str) -> Vec<[String; 4]> {
    let page = read(&format!("docs/frameworks/{layout}.md"));
    let section = page.split("## Options that move jobs\n").nth(1).expect(layout);
    let rows = section.lines().skip_while(|line| !line.starts_with("| --- |")).skip(1);
    let cells = |row: &str| {
        let cells: Vec<String> =
            row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        <[String; 4]>::try_from(cells).unwrap()
    };
    rows.take_while(|row| row.starts_with('|')).map(cells).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_option_that_moves_jobs_is_on_the_page_of_its_framework_and_in_the_table_of_all() {
    let all = read("docs/frameworks/README.md");
    let mut rows = 0;
    for layout in Registry::builtin().layouts().filter(|layout| layout.name() != "keys") {
        let name = layout.name();
        let options = options_of(name);
        let mut named = BTreeSet::new();
        for [option, moves, key, source] in &options {
            assert!([option, moves, key, source].iter().all(|cell| !cell.is_empty()), "{option}");
            let link = format!("({name}.md#options-that-move-jobs) | {option} | {key} | ");
            assert!(all.contains(&link), "docs/frameworks/README.md has no row {link}");
            named.extend(
                quoted(key).filter_map(|text| text.split([':', ' ']).next()).map(str::to_owned),
            );
            rows += 1;
        }
        // Every name that a trigger gives to a layout is there because an option of the framework has it.
        let is_name = |kind: &ParameterKind| {
            matches!(
                kind,
                ParameterKind::Name { .. } | ParameterKind::Words { .. } | ParameterKind::Keys
            )
        };
        for (parameter, declared) in layout.parameters().filter(|(_, found)| is_name(&found.kind)) {
            let ours = ["leases", "lists", "readyAt"].contains(&parameter);
            let is_there = named.contains(parameter) || ours;
            assert!(is_there, "{name}: no option is for `{parameter}`: {}", declared.doc);
        }
        for key in named.iter().filter(|key| key.chars().all(char::is_alphanumeric)) {
            let known = ["redis", "database", "keys", "pubsub", "false", "signal", "count"];
            let is_key = layout.parameter(key).is_some() || known.contains(&key.as_str());
            assert!(is_key || key.ends_with("bq"), "{name}: `{key}` is no key of the layout");
        }
    }
    assert!(rows > 60, "{rows} rows");
}

#[test]
fn every_signal_is_documented() {
    let text = read("docs/triggers.md");
    for signal in Signal::all() {
        let row = format!("| `{}` | {} |", signal.name(), signal.meta().formula);
        assert!(text.contains(&row), "{row}");
    }
}

#[test]
fn every_licence_that_a_dependency_may_have_is_on_its_page() {
    let rules: toml::Table = toml::from_str(&read("deny.toml")).unwrap();
    let licenses = &rules["licenses"];
    let exceptions = licenses["exceptions"].as_array().unwrap().iter();
    let of_few = exceptions.flat_map(|exception| exception["allow"].as_array().unwrap());
    let page = read("docs/dependencies.md");
    for license in licenses["allow"].as_array().unwrap().iter().chain(of_few) {
        let license = license.as_str().unwrap();
        assert!(page.contains(license), "docs/dependencies.md does not name {license}");
    }
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let root: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let members = root["workspace"]["members"].as_array().unwrap().iter();
    let members = members.map(|member| format!("{}/Cargo.toml", member.as_str().unwrap()));
    let members = members.map(|path| toml::from_str(&read(&path)).unwrap());
    let manifests: Vec<toml::Table> = members.chain([root.clone()]).collect();
    let reasons = read("docs/dependencies.md");
    let sections = ["dependencies", "build-dependencies", "dev-dependencies"];
    let tables = manifests.iter().flat_map(|manifest| {
        sections.iter().filter_map(|section| manifest.get(*section)?.as_table())
    });
    let crates: BTreeSet<&String> = tables.flat_map(toml::Table::keys).collect();
    for name in crates {
        assert!(
            reasons.contains(&format!("`{name}`")),
            "docs/dependencies.md does not say why {name}"
        );
    }
}

#[test]
fn the_readme_is_short_and_names_the_two_commands() {
    let readme = read("README.md");
    assert!(readme.lines().count() < 150);
    assert!(readme.contains("make demo") && readme.contains("make test"));
}
