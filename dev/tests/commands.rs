//! `check`, `eval`, `explain` and `diff`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mpflags_dev::{Options, Server, ServiceAccount};
use serde_json::{Value, json};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/definitions.json");

/// The exit status, standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mpflags-dev"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn as_json(arguments: &[&str]) -> (i32, Value) {
    let (status, text, error) = run(arguments);
    assert_eq!(error, "");
    (status, serde_json::from_str(&text).unwrap())
}

/// The sample with a replacement, in a file that no other test uses.
fn edited(name: &str, from: &str, to: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.json", std::process::id()));
    let sample = fs::read_to_string(SAMPLE).unwrap();
    assert!(sample.contains(from));
    fs::write(&path, sample.replacen(from, to, 1)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn check_prints_lines_that_editors_understand() {
    assert_eq!(run(&["check", SAMPLE]), (0, "no mistakes found\n".to_owned(), String::new()));
    let file = edited("check", "\"rollout_percentage\": 0.5", "\"rollout_percentage\": 50");
    let (status, text, _) = run(&["check", SAMPLE, &file]);
    let line = format!(
        "{file}:30: error: new-checkout: ruleset.rollout[0].rollout_percentage: 50 means 5000 %, so everybody is admitted: \
         write 0.5\n1 error, 0 warnings\n"
    );
    assert_eq!((status, text), (1, line));
    let (status, found) = as_json(&["check", "--json", &file]);
    assert_eq!((status, &found["errors"], &found["warnings"]), (1, &json!(1), &json!(0)));
    assert_eq!(found["findings"][0]["path"], "ruleset.rollout[0].rollout_percentage");
    assert_eq!(found["findings"][0]["line"], 30);
    let warned = edited("warned", "\"rollout_percentage\": 0.5", "\"rollout_percentage\": 0.505");
    let (status, text, _) = run(&["check", &warned]);
    assert_eq!(status, 0, "a warning alone is no failure");
    assert!(text.ends_with("0 errors, 1 warning\n"), "{text}");
    let (status, text, error) = run(&["check", "/nowhere.json"]);
    assert_eq!((status, text.as_str()), (2, ""));
    assert!(error.starts_with("mpflags-dev: /nowhere.json: "), "{error}");
}

#[test]
fn eval_shows_what_a_user_gets() {
    let user = r#"{"distinct_id":"user-1","custom_properties":{"plan":"premium","country":"DE"}}"#;
    let (status, text, _) = run(&["eval", SAMPLE, "--context", user]);
    assert_eq!(status, 0);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7, "{text}");
    assert!(lines[0].starts_with("flag "), "{text}");
    let words: Vec<&str> = lines[4].split_whitespace().collect();
    assert_eq!(words, ["premium-chat", "On", "true", "TARGETING_MATCH"]);
    let (status, rows) = as_json(&["eval", "--json", SAMPLE, "--flag", "premium-chat", "--context", user]);
    assert_eq!(status, 0);
    assert_eq!(
        rows,
        json!({ "flags": [{ "flag": "premium-chat", "variant": "On", "value": true, "reason": "TARGETING_MATCH",
                            "error_code": null, "message": null }] })
    );
    let (status, text, _) = run(&["eval", SAMPLE, "--flag", "premium-chat", "--context", "{}"]);
    assert_eq!(status, 1);
    assert!(text.contains("TARGETING_KEY_MISSING: "), "{text}");
    let (status, _, error) = run(&["eval", SAMPLE, "--context", "user-1"]);
    assert_eq!(status, 2);
    assert_eq!(
        error,
        "mpflags-dev: context: expected a JSON object, such as {\"distinct_id\": \"user-1\"}\n"
    );
}

#[test]
fn explain_shows_each_step() {
    let user = r#"{"distinct_id":"user-1","custom_properties":{"plan":"premium"}}"#;
    let (status, text, _) = run(&["explain", SAMPLE, "--flag", "premium-chat", "--context", user]);
    assert_eq!(status, 0);
    assert_eq!(
        text,
        "\
premium-chat: no variant, so the program's default  DEFAULT (no_rollout_match)
  bucketed by distinct_id = user-1
  rollout 0: bucket 0.42 < 1: admitted, but its rule does not match
    ✗ and
      ✓ == plan (is \"premium\"), \"premium\"
      ✗ in country (missing), [\"de\",\"fr\"]
  rollout 1: bucket 0.53 ≥ 0.1: not admitted
    ✓ == plan (is \"premium\"), \"premium\"
"
    );
    let (_, whole) = as_json(&["explain", SAMPLE, "--json", "--flag", "premium-chat", "--context", user]);
    assert_eq!(
        (&whole["step"], &whole["rollouts"][1]["admitted"]),
        (&json!("no_rollout_match"), &json!(false))
    );
    let (status, text, _) = run(&["explain", SAMPLE, "--flag", "no-such", "--context", user]);
    assert_eq!(status, 1);
    assert!(text.contains("flag_not_found"), "{text}");
}

#[test]
fn diff_counts_the_users_who_change() {
    assert_eq!(run(&["diff", SAMPLE, SAMPLE]), (0, "no flag differs\n".to_owned(), String::new()));
    let file = edited("diff", "\"rollout_percentage\": 0.5", "\"rollout_percentage\": 0.6");
    let (status, text, _) = run(&["diff", SAMPLE, &file, "--users", "1000"]);
    assert_eq!(status, 1);
    let lines: Vec<&str> = text.lines().collect();
    let [what, count, moved] = lines[..] else { panic!("{text}") };
    assert_eq!(what, "new-checkout: rollout 50 % → 60 %");
    let number: usize = moved.trim().split(':').next().unwrap().parse().unwrap();
    assert_eq!(moved, format!("  {number}: none → On"));
    assert_eq!(count, format!("  {number} of 1000 users change variant"));
    assert!((60..150).contains(&number), "a tenth of the users: {number}");
    let (status, found) = as_json(&["diff", SAMPLE, &file, "--users", "1000", "--json"]);
    assert_eq!((status, &found["flags"][0]["users_changed"]), (1, &json!(number)));
}

#[test]
fn pull_writes_the_definitions_of_a_project() {
    let sample = fs::read_to_string(SAMPLE).unwrap();
    let compact: Value = serde_json::from_str(&sample).unwrap();
    let account = ServiceAccount { username: "robot".to_owned(), secret: "s3".to_owned() };
    let server = Server::start(Options {
        token: Some("tok".to_owned()),
        service_account: Some(account),
        project_id: Some("7".to_owned()),
        ..Options::default()
    })
    .unwrap();
    server.set_definitions(compact.to_string());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pulled-{}.json", std::process::id()));
    let file = path.to_str().unwrap();
    let project = ["--token", "tok", "--service-account", "robot:s3", "--project-id", "7", "--api-host"];
    let url = server.url();
    let pull = || run(&[&["pull", file], &project[..], &[&url]].concat());
    assert_eq!(pull(), (0, format!("6 flags written to {file}\n"), String::new()));
    assert_eq!(run(&["diff", SAMPLE, file]).0, 0);
    assert_eq!(
        fs::read_to_string(&path).unwrap().lines().count(),
        sample.lines().count(),
        "one value a line"
    );
    server.set_definitions(
        compact.to_string().replace("\"rollout_percentage\":0.5", "\"rollout_percentage\":0.75"),
    );
    let want = format!("new-checkout: rollout 50 % → 75 %\n6 flags written to {file}\n");
    assert_eq!(pull(), (0, want, String::new()));
    let before = fs::read(&path).unwrap();
    let (status, _, error) = run(&["pull", file, "--token", "wrong", "--api-host", &url]);
    assert_eq!((status, fs::read(&path).unwrap() == before), (2, true));
    assert!(error.contains("401"), "{error}");
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let file = edited(
        "escape",
        "\"key\": \"new-checkout\"",
        "\"key\": \"new\\u001b[31m\", \"status\": \"x\\u0007\"",
    );
    for arguments in [
        &["check", &file][..],
        &["eval", &file, "--context", "{\"distinct_id\":\"u\"}"],
        &["diff", SAMPLE, &file],
    ] {
        let (_, text, _) = run(arguments);
        assert!(text.contains("new") && !text.contains(['\x1b', '\x07']), "{text:?}");
    }
}
