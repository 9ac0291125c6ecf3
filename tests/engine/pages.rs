//! Every link, anchor and path that a page or a comment names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::support::root;

/// Folders that are built or fetched.
const SKIPPED: &[&str] = &[".git", "target", "build", "node_modules", "__pycache__"];
const TEXTS: &[&str] =
    &["md", "rs", "py", "go", "h", "hpp", "c", "cpp", "js", "toml", "json", "sh", "yml", "mod", "in"];

fn texts() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !SKIPPED.contains(&name) {
                    folders.push(path);
                }
            } else if name == "Makefile"
                || path.extension().is_some_and(|e| TEXTS.contains(&e.to_str().unwrap()))
            {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// GitHub's anchors of a page's headings, and the rows of the table of differences.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if !fenced && line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

/// `path` without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = normal.pop(),
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn links_and_anchors_exist() {
    let mut broken = Vec::new();
    let mut count = 0;
    for (path, page) in texts().iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "md")) {
        for part in page.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap();
            // Not a link: a lambda in code, for example.
            if target.contains("://") || !target.contains(['/', '.', '#']) {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file =
                if file.is_empty() { path.clone() } else { normal(&path.parent().unwrap().join(file)) };
            let fine = file.exists()
                && file.starts_with(root())
                && (anchor.is_empty() || anchors(&fs::read_to_string(&file).unwrap()).contains(anchor));
            if !fine {
                broken.push(format!("{}: {target}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
    assert!(count > 50, "{count} links");
}

/// Every path of the repository that a page, a comment or a vector names exists.
#[test]
fn named_paths_exist() {
    let tops = [
        "src",
        "bindings",
        "dev",
        "docs",
        "tests",
        "packaging",
        "include",
        "examples",
        "bench",
        "conformance",
        ".ci",
    ];
    let mut broken = BTreeSet::new();
    let mut count = 0;
    for (path, text) in texts() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        // These name paths of other trees.
        if shown == "CHANGELOG.md" || shown == "tests/engine/pages.rs" {
            continue;
        }
        for word in text.split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c))) {
            let word = word.trim_end_matches(['.', '/', '-']);
            let Some((top, rest)) = word.split_once('/') else { continue };
            // At least two segments and an extension: anything else may be prose. Neither a built file nor a placeholder.
            let file = rest.rsplit('/').next().unwrap();
            if !tops.contains(&top)
                || !file.contains('.')
                || file.ends_with(".so")
                || file.starts_with("NAME")
            {
                continue;
            }
            count += 1;
            let beside = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root()));
            if !beside.into_iter().any(|folder| folder.join(word).exists()) {
                broken.insert(format!("{shown}: {word}"));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "paths that do not exist:\n{}",
        broken.into_iter().collect::<Vec<_>>().join("\n")
    );
    assert!(count > 100, "{count} paths");
}

/// Nothing cites a page that a clone does not have.
#[test]
fn no_page_outside_the_repository_is_cited() {
    let outside = ["../reference", "../shared/design", "semantics.md", "semantics page"];
    let mut cited = Vec::new();
    for (path, text) in texts().iter().filter(|(path, _)| !path.ends_with("tests/engine/pages.rs")) {
        for (number, line) in text.lines().enumerate() {
            if outside.iter().any(|page| line.contains(page)) {
                cited.push(format!("{}:{}", path.strip_prefix(root()).unwrap().display(), number + 1));
            }
        }
    }
    assert!(cited.is_empty(), "pages that a clone does not have:\n{}", cited.join("\n"));
}

/// The section or row that the `why` of a vector cites exists: `docs/evaluation.md#rules`, `docs/differences.md: rule-case`.
#[test]
fn vectors_cite_sections_and_rows_that_exist() {
    let differences = fs::read_to_string(root().join("docs/differences.md")).unwrap();
    let mut broken = BTreeSet::new();
    let mut count = 0;
    for (path, text) in
        texts().iter().filter(|(path, _)| path.starts_with(root().join("conformance/vectors")))
    {
        for why in text.split("\"why\":").skip(1).map(|rest| rest.split("\"}").next().unwrap()) {
            for part in why.split(['"', ';']) {
                let part = part.trim();
                let fine = if let Some(row) = part.strip_prefix("docs/differences.md: ") {
                    differences.contains(&format!("| `{}`", row.split(' ').next().unwrap()))
                } else if let Some((page, rest)) = part.split_once(".md#") {
                    let anchor = rest.split([':', ',']).next().unwrap();
                    let page = fs::read_to_string(root().join(format!("{page}.md"))).unwrap_or_default();
                    anchors(&page).contains(anchor)
                } else {
                    continue;
                };
                count += 1;
                if !fine {
                    broken.insert(format!("{}: {part}", path.strip_prefix(root()).unwrap().display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "broken citations:\n{}", broken.into_iter().collect::<Vec<_>>().join("\n"));
    assert!(count > 1000, "{count} citations");
}
