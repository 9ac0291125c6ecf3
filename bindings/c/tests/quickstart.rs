//! The examples work as they are.

#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use mpflags_dev::{Options, Server};
use program::Program;
use support::{compile, root, succeed};

fn server() -> Server {
    server_with("demo")
}

fn server_with(token: &str) -> Server {
    let definitions = Some(root().join("dev/samples/definitions.json"));
    Server::start(Options { definitions, token: Some(token.to_owned()), ..Options::default() }).unwrap()
}

#[test]
fn the_quickstart_shows_flags_and_follows_changes() {
    let program = compile("examples/quickstart.c");
    let server = server();
    let mut quickstart = Program::start(&program, &[&server.url(), "demo", "5"]);
    for flag in
        ["new-checkout", "button-color", "search-page-size", "ranking-boost", "banner", "premium-chat"]
    {
        let seen = quickstart.seen().iter().any(|line| line.starts_with(flag));
        if !seen {
            quickstart.expect(flag);
        }
    }
    let samples = fs::read_to_string(root().join("dev/samples/definitions.json")).unwrap();
    let changed = samples.replace("Autumn sale", "Winter sale");
    assert_ne!(changed, samples);
    server.set_definitions(changed);
    let line = loop {
        let line = quickstart.expect("banner");
        if line.contains("Winter sale") {
            break line;
        }
    };
    assert!(line.contains("STATIC"), "{line}");
    let (status, seen) = quickstart.end();
    assert!(status.success(), "{status}: {seen:#?}");
    let tester =
        seen.iter().find(|line| line.starts_with("premium-chat") && line.contains("user 3")).unwrap();
    assert!(tester.ends_with("true (On, TARGETING_MATCH)"), "{tester}");
}

#[test]
fn the_quickstart_says_what_is_wrong() {
    let program = compile("examples/quickstart.c");
    let server = server();
    let refused = Command::new(&program).args([&server.url(), "wrong", "1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("Mixpanel refused the credentials: HTTP 401"), "{words}");
    assert!(words.contains("(CREDENTIALS_REFUSED)"), "{words}");
}

#[test]
fn the_quickstart_escapes_what_it_puts_into_json() {
    let token = "\", \"mode\": \"remote\\";
    let server = server_with(token);
    let output = succeed(Command::new(compile("examples/quickstart.c")).args([&server.url(), token, "0"]));
    assert!(output.contains("banner"), "{output}");
    let long = "x".repeat(600);
    let refused =
        Command::new(compile("examples/quickstart.c")).args([&server.url(), &long, "0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn the_first_example_works() {
    let server = server();
    let config = format!(r#"{{"token": "demo", "api_host": "{}"}}"#, server.url());
    let output = succeed(Command::new(compile("examples/first.c")).arg(config));
    assert!(output.contains("new-checkout: ") && output.contains("button-color: #"), "{output}");
}

#[test]
fn the_readme_example_works() {
    let server = server();
    let config = format!(r#"{{"token": "demo", "api_host": "{}"}}"#, server.url());
    let program = compile("examples/hello.c");
    let output = succeed(Command::new(&program).arg(&config));
    assert_eq!(output, "new-checkout: on\n");
    assert_eq!(server.wait_events(1, Duration::from_secs(10)).len(), 1);
    let output = Command::new(&program).arg(config.replace("demo", "wrong")).output().unwrap();
    assert_eq!(output.stdout, b"new-checkout: off\n");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("check token, service_account and api_host"), "{words}");
}

#[test]
fn the_remote_example_works() {
    let server = server();
    let program = compile("examples/remote.c");
    let config =
        |token: &str| format!(r#"{{"token": "{token}", "mode": "remote", "api_host": "{}"}}"#, server.url());
    let output = succeed(Command::new(&program).arg(config("demo")));
    assert!(output.contains("button-color: \"#"), "{output}");
    let [event] = &server.events()[..] else { panic!("{:?}", server.events()) };
    assert_eq!(event.json["properties"]["Experiment name"], "button-color");
    assert_eq!(event.json["properties"]["Flag evaluation mode"], "remote");
    let refused = Command::new(&program).arg(config("wrong")).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(refused.stderr).unwrap(),
        format!(
            "no response: Mixpanel refused the credentials: HTTP 401 from {}/flags: Invalid credentials; check token, \
             service_account and api_host\n",
            server.url().strip_prefix("http://").unwrap()
        )
    );
}

/// Each example in a page follows the path of its file, which the tests of its language compile and run.
#[test]
fn the_pages_show_the_examples_as_they_are() {
    let pages =
        ["README.md", "bindings/c/README.md"].map(|page| fs::read_to_string(root().join(page)).unwrap());
    let mut shown = Vec::new();
    for part in pages.iter().flat_map(|page| page.split("\n<!-- ").skip(1)) {
        let Some((name, rest)) = part.split_once(" -->\n```") else { continue };
        if !name.contains('/') {
            continue;
        }
        let source = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (_, code) = rest.split_once('\n').unwrap();
        let text = format!("{}\n```", source.trim_end());
        assert!(code.starts_with(&text), "the text in the page is not that of {name}");
        shown.push(name.to_owned());
    }
    for example in
        ["c/examples/hello.c", "c/examples/first.c", "c/examples/remote.c", "python/examples/hello.py"]
    {
        let path = format!("bindings/{example}");
        assert!(shown.contains(&path), "no page shows {path}: {shown:?}");
    }
}

/// Users copy them, and a context put together as JSON text is one forgotten escape away from a broken one.
#[test]
fn the_examples_make_contexts_with_the_builder() {
    for example in fs::read_dir(root().join("bindings/c/examples")).unwrap() {
        let path = example.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        assert!(!source.contains("mpflags_context_new_json"), "{}", path.display());
        let has_builder = source.contains("mpflags_context_builder_build(");
        assert!(has_builder || path.ends_with("json.h"), "{}", path.display());
    }
}
