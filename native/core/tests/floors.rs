//! Where modules may look, and how large they may be: folders stand on floors, imports form no circle, files and
//! functions stay short enough to be read at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of `src` from the ground up. One uses those of lower floors only; those of one floor know nothing of
/// each other.
const FLOORS: [&[&str]; 4] = [
    &["shared", "text"],
    &["json", "limits", "resilience", "search"],
    &["pii", "tier", "reply"],
    &["request"],
];

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 120;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each file's module (`json/walker`), and the modules it uses.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let source = root().join("src");
    let names: Vec<(String, PathBuf)> = files(&source)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&source).unwrap().with_extension("");
            (name.to_str().unwrap().replace('\\', "/"), path)
        })
        .filter(|(name, _)| name.contains('/') && !name.ends_with("/mod"))
        .collect();
    let known: BTreeSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let used = |module: &str, path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("super::super"), "{path:?}: a path from the top says more");
        // Files beside it; what else `super::` begins is the file's own, seen from its tests.
        let beside = module.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut modules: BTreeSet<String> = text
            .match_indices("super::")
            .map(|(at, prefix)| format!("{beside}/{}", name_at(&text[at + prefix.len()..])))
            .filter(|other| other != module && known.contains(other.as_str()))
            .collect();
        for (at, prefix) in text.match_indices("crate::") {
            let rest = &text[at + prefix.len()..];
            let mut parts = rest.split("::").map(name_at);
            let module = format!("{}/{}", parts.next().unwrap(), parts.next().unwrap());
            assert!(known.contains(module.as_str()), "{path:?} uses {module}, which is no file");
            modules.insert(module);
        }
        modules
    };
    let inside = |name: &str| {
        let folder = format!("{name}/");
        names.iter().map(|(name, _)| name.clone()).filter(move |name| name.starts_with(&folder))
    };
    names
        .iter()
        .map(|(name, path)| (name.clone(), used(name, path).into_iter().chain(inside(name)).collect()))
        .collect()
}

/// The name that a text begins with.
fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn floor(module: &str) -> usize {
    let folder = module.split('/').next().unwrap();
    let floor = FLOORS.iter().position(|folders| folders.contains(&folder));
    floor.unwrap_or_else(|| panic!("{folder} has no floor yet"))
}

fn folder(module: &str) -> &str {
    module.split('/').next().unwrap()
}

#[test]
fn imports_run_downwards() {
    let mut seen = 0;
    for (module, used) in imports() {
        for other in used.iter().filter(|other| folder(other) != folder(&module)) {
            assert!(floor(other) < floor(&module), "{module} must not use {other}");
            seen += 1;
        }
    }
    assert!(seen > 20, "the imports were not found");
}

#[test]
fn no_file_uses_itself_by_way_of_others() {
    let imports = imports();
    for module in imports.keys() {
        let mut reached: BTreeSet<&String> = BTreeSet::new();
        let mut open: Vec<&String> = imports[module].iter().collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(&imports[next]);
            }
        }
        assert!(!reached.contains(module), "{module} is part of a circle");
    }
}

#[test]
fn files_and_functions_are_short() {
    let crates = root().parent().unwrap();
    let folders = ["core/src", "core/tests", "core/examples", "binding/src"];
    let all: Vec<PathBuf> = folders.iter().flat_map(|folder| files(&crates.join(folder))).collect();
    assert!(all.len() > 50, "the files were not found");
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() <= FILE_LINES_MAX, "{path:?} has {} lines", lines.len());
        assert!(lines[0].starts_with("//!"), "{path:?} doesn't say what it is");
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
            // As it is formatted, a function ends with a brace below its first letter.
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = lines[at..].iter().position(|line| line.strip_prefix(indent) == Some("}"));
            let length = end.map_or(1, |end| end + 1);
            assert!(length <= FUNCTION_LINES_MAX, "{path:?}:{} has {length} lines", at + 1);
        }
    }
}

fn is_function(line: &str) -> bool {
    let mut words = line.trim_start().split(' ');
    let first = words.find(|word| !matches!(*word, "pub" | "pub(crate)" | "const" | "unsafe"));
    first == Some("fn") && !line.ends_with(['}', ';'])
}
