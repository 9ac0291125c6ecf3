//! The commands that read definitions and end: `check`, `eval`, `explain` and `diff`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::{env, process};

use mpflags_dev::{Evaluator, Finding, Row, Severity, changes, check, indented};
use serde_json::{Value, json};

use crate::pull::{self, Project};
use crate::terminal::Colours;

/// What a command prints, and whether it found something: the exit status is then 1.
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) found: bool,
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn evaluator(file: &Path) -> Result<Evaluator, String> {
    Evaluator::new(&read(file)?).map_err(|why| format!("{}: {why}", file.display()))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Text of a user, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

pub(crate) fn check_files(files: &[PathBuf], as_json: bool, colours: Colours) -> Result<Output, String> {
    let mut text = String::new();
    let mut all = Vec::new();
    let (mut errors, mut warnings) = (0, 0);
    for file in files {
        for finding in check(&read(file)?) {
            match finding.severity {
                Severity::Error => errors += 1,
                _ => warnings += 1,
            }
            if as_json {
                let mut object = json!(finding);
                if let Value::Object(fields) = &mut object {
                    fields.insert("file".to_owned(), json!(file.display().to_string()));
                }
                all.push(object);
            } else {
                text.push_str(&line(file, &finding, colours));
            }
        }
    }
    if as_json {
        text = pretty(&json!({ "findings": all, "errors": errors, "warnings": warnings }));
    } else {
        let count = |number, word| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let _ = match (errors, warnings) {
            (0, 0) => writeln!(text, "{}", colours.good("no mistakes found")),
            _ => writeln!(text, "{}, {}", count(errors, "error"), count(warnings, "warning")),
        };
    }
    Ok(Output { text, found: errors > 0 })
}

/// `flags.json:12: error: new-checkout: status: …`, which editors can jump to.
fn line(file: &Path, finding: &Finding, colours: Colours) -> String {
    let severity = match finding.severity {
        Severity::Error => colours.bad("error"),
        _ => colours.warning("warning"),
    };
    format!("{}:{}: {severity}: {}\n", file.display(), finding.line, plain(&finding.to_string()))
}

pub(crate) fn evaluate(
    file: &Path,
    context: &str,
    flag: Option<&str>,
    as_json: bool,
    colours: Colours,
) -> Result<Output, String> {
    let rows = evaluator(file)?.evaluate(context, flag)?;
    // Without a flag, a flag that fails is a line among others.
    let found = flag.is_some() && rows.iter().any(|row| row.error_code.is_some());
    if as_json {
        return Ok(Output { text: pretty(&json!({ "flags": rows })), found });
    }
    let mut table = vec![["flag", "variant", "value", "reason"].map(|text| colours.dim(text))];
    table.extend(rows.iter().map(|row| cells(row, colours)));
    Ok(Output { text: aligned(&table), found })
}

fn cells(row: &Row, colours: Colours) -> [String; 4] {
    let value = match &row.value {
        Some(value) => plain(value.get()),
        None => colours.dim("(default)"),
    };
    let reason = match (&row.error_code, &row.message) {
        (Some(code), Some(message)) => colours.bad(&format!("{code}: {}", plain(message))),
        (Some(code), None) => colours.bad(code),
        _ => row.reason.clone(),
    };
    [plain(&row.flag), row.variant.as_deref().map_or_else(|| "-".to_owned(), plain), value, reason]
}

fn aligned<const N: usize>(table: &[[String; N]]) -> String {
    const MOST: usize = 60;
    let width = |text: &String| Colours::width(text).min(MOST);
    let mut widths = [0; N];
    for row in table {
        for (widest, text) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(text));
        }
    }
    let mut text = String::new();
    for row in table {
        let mut line = String::new();
        for (widest, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', widest.saturating_sub(width(cell)) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

pub(crate) fn explain(
    file: &Path,
    context: &str,
    flag: &str,
    as_json: bool,
    colours: Colours,
) -> Result<Output, String> {
    let explained = evaluator(file)?.explain(context, flag)?;
    let explained: Value = serde_json::from_str(&explained).map_err(|error| error.to_string())?;
    let found = explained.get("error_code").is_some_and(|code| !code.is_null());
    let text = if as_json { pretty(&explained) } else { story(&explained, colours) };
    Ok(Output { text, found })
}

fn text_of(value: &Value) -> String {
    plain(&match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// An explanation in lines.
fn story(explained: &Value, colours: Colours) -> String {
    let mut text = String::new();
    let outcome = match &explained["variant"] {
        Value::Null => "no variant, so the program's default".to_owned(),
        variant => format!("{} = {}", text_of(variant), plain(&explained["value"].to_string())),
    };
    let _ = writeln!(
        text,
        "{}: {}  {}",
        text_of(&explained["flag"]),
        colours.good(&outcome),
        colours.dim(&format!("{} ({})", text_of(&explained["reason"]), text_of(&explained["step"])))
    );
    if !explained["message"].is_null() {
        let _ = writeln!(text, "  {}", colours.bad(&text_of(&explained["message"])));
    }
    if let Some(subject) = explained["subject"].as_object() {
        let _ = writeln!(text, "  bucketed by {} = {}", text_of(&subject["key"]), text_of(&subject["text"]));
    }
    for rollout in explained["rollouts"].as_array().into_iter().flatten() {
        let admitted = rollout["admitted"] == true;
        let verdict = match (admitted, &rollout["matches"]) {
            (false, _) => "not admitted",
            (true, Value::Bool(false)) => "admitted, but its rule does not match",
            _ => "taken",
        };
        let _ = writeln!(
            text,
            "  rollout {}: bucket {} {} {}: {verdict}",
            rollout["index"],
            rollout["bucket"],
            if admitted { "<" } else { "≥" },
            rollout["percentage"],
        );
        if let Some(rule) = rollout.get("rule") {
            part(&mut text, rule, 2, colours);
        }
    }
    let choice = &explained["choice"];
    if let Some(fixed) = choice["fixed"].as_str() {
        let _ = writeln!(text, "  variant {}, whatever the bucket", plain(fixed));
    } else if let Some(sums) = choice["cumulative"].as_array() {
        let below = sums.iter().map(|sum| format!("{} below {}", text_of(&sum["variant"]), sum["below"]));
        let below: Vec<String> = below.collect();
        let _ = writeln!(text, "  split: bucket {}; {}", choice["bucket"], below.join(", "));
    }
    text
}

/// A part of a rule, with its value.
fn part(text: &mut String, rule: &Value, depth: usize, colours: Colours) {
    let indent = "  ".repeat(depth);
    let mark = |value: &Value| match value {
        Value::Bool(true) => colours.good("✓"),
        Value::Bool(false) => colours.bad("✗"),
        _ => " ".to_owned(),
    };
    let missing = if rule["missing"] == true { " (missing)" } else { "" };
    if let Some(name) = rule["var"].as_str() {
        let _ = writeln!(text, "{indent}  {} = {}{missing}", plain(name), plain(&rule["value"].to_string()));
    } else if let (Some(operator), Some(operands)) = (rule["operator"].as_str(), rule["operands"].as_array())
    {
        let simple = operands.iter().all(|operand| operand["operator"].is_null());
        if simple {
            let shown: Vec<String> = operands.iter().map(operand).collect();
            let _ =
                writeln!(text, "{indent}{} {} {}", mark(&rule["value"]), plain(operator), shown.join(", "));
        } else {
            let _ = writeln!(text, "{indent}{} {}", mark(&rule["value"]), plain(operator));
            operands.iter().for_each(|operand| part(text, operand, depth + 1, colours));
        }
    } else {
        let _ = writeln!(text, "{indent}  {}", plain(&rule.to_string()));
    }
}

fn operand(operand: &Value) -> String {
    match operand["var"].as_str() {
        Some(name) if operand["missing"] == true => format!("{} (missing)", plain(name)),
        Some(name) => format!("{} (is {})", plain(name), plain(&operand["value"].to_string())),
        None => plain(&operand.to_string()),
    }
}

pub(crate) fn diff(
    old: &Path,
    new: &Path,
    users: usize,
    as_json: bool,
    colours: Colours,
) -> Result<Output, String> {
    let (before, after) = (read(old)?, read(new)?);
    let named = |file: &Path, why: String| format!("{}: {why}", file.display());
    let first = Evaluator::new(&before).map_err(|why| named(old, why))?;
    let second = Evaluator::new(&after).map_err(|why| named(new, why))?;
    let list = changes(&before, &after).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let mut all = Vec::new();
    for change in &list {
        let ids = || (1..=users).map(|number| format!("user-{number}"));
        let (was, is) = (first.variants(&change.flag, ids()), second.variants(&change.flag, ids()));
        let mut moves = BTreeMap::<(Option<&str>, Option<&str>), usize>::new();
        for (was, is) in was.iter().zip(&is).filter(|(was, is)| was != is) {
            *moves.entry((was.as_deref(), is.as_deref())).or_default() += 1;
        }
        let moved: usize = moves.values().sum();
        if as_json {
            let moves: Vec<Value> = moves
                .iter()
                .map(|((was, is), count)| json!({ "from": was, "to": is, "users": count }))
                .collect();
            all.push(
                json!({ "flag": change.flag, "what": change.what, "users_changed": moved, "moves": moves }),
            );
            continue;
        }
        let _ = writeln!(text, "{}: {}", plain(&change.flag), plain(&change.what));
        let _ = writeln!(text, "  {}", colours.dim(&format!("{moved} of {users} users change variant")));
        for ((was, is), count) in moves {
            let name = |variant: Option<&str>| variant.map_or_else(|| "none".to_owned(), plain);
            let _ = writeln!(text, "  {count}: {} → {}", name(was), name(is));
        }
    }
    if as_json {
        text = pretty(&json!({ "users": users, "flags": all }));
    } else if list.is_empty() {
        text.push_str("no flag differs\n");
    }
    Ok(Output { text, found: !list.is_empty() })
}

/// Writes the definitions with one value a line, so that a repository shows what changed.
pub(crate) fn pull(file: &Path, project: &Project) -> Result<Output, String> {
    let before = fs::read(file).unwrap_or_default();
    let folder = env::temp_dir().join(format!("mpflags-dev-pull-{}", process::id()));
    let failed = |place: &Path, error: std::io::Error| format!("{}: {error}", place.display());
    // Definitions are nobody else's business.
    fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|error| failed(&folder, error))?;
    let document = pull::pull(project, &folder);
    // What is left behind is a copy in a folder of this user.
    let _ = fs::remove_dir_all(&folder);
    let document = indented(&document?);
    fs::write(file, &document).map_err(|error| failed(file, error))?;
    let mut text = String::new();
    for change in changes(&before, document.as_bytes()).unwrap_or_default() {
        let _ = writeln!(text, "{}", plain(&change.to_string()));
    }
    let flags = Evaluator::new(document.as_bytes()).map_or(0, |evaluator| evaluator.keys().len());
    let _ = writeln!(text, "{flags} flags written to {}", file.display());
    Ok(Output { text, found: false })
}
