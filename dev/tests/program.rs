//! The program: its output, its arguments, and how it ends.

mod raw_client;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use raw_client::{address, ask, connect, drain, get, send};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mpflags-dev"))
}

fn output(arguments: &[&str]) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().unwrap()
}

type Lines = std::io::Lines<BufReader<std::process::ChildStdout>>;

/// The two addresses, once they are printed.
fn lines(child: &mut Child) -> (String, String) {
    addresses(&mut BufReader::new(child.stdout.take().unwrap()).lines())
}

fn addresses(lines: &mut Lines) -> (String, String) {
    let main = lines.next().unwrap().unwrap();
    let control = lines.next().unwrap().unwrap();
    let url = |line: &str, start: &str| line.strip_prefix(start).unwrap().to_owned();
    (url(&main, "mpflags-dev listening on "), url(&control, "mpflags-dev control on "))
}

#[test]
fn it_prints_its_addresses_writes_its_port_and_ends_with_its_input() {
    let port_file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("port-{}", std::process::id()));
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/definitions.json");
    let mut child = program()
        .args(["--port", "0", "--stop-with-stdin", "--token=tok", "--port-file"])
        .args([&port_file, &PathBuf::from("--definitions"), &sample])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (main, control) = lines(&mut child);
    let port: u16 = fs::read_to_string(&port_file).unwrap().trim().parse().unwrap();
    assert_eq!(main, format!("http://127.0.0.1:{port}"));
    assert_eq!(get(address(&main)).status, 401);
    assert_eq!(ask(address(&control), "POST /__dev/stop HTTP/1.1", b"").status, 200);
    assert!(std::net::TcpStream::connect(address(&main)).is_err());
    assert_eq!(ask(address(&control), "POST /__dev/restart HTTP/1.1", b"").status, 200);
    assert_eq!(get(address(&main)).status, 401);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_configuration_to_paste_follows_the_addresses() {
    let configuration = |arguments: &[&str]| {
        let mut child = program()
            .args(arguments)
            .arg("--stop-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (url, control) = addresses(&mut lines);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        let text: Vec<String> =
            lines.map(|line| line.unwrap().replace(&url, "URL").replace(&control, "CONTROL")).collect();
        text.join("\n")
    };
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/definitions.json");
    assert_eq!(
        configuration(&["--definitions", sample, "--token=tok"]),
        r#"6 flags; accepts the token tok; the configuration of a client:
  JSON    {"token": "tok", "api_host": "URL"}
  C       "{\"token\": \"tok\", \"api_host\": \"URL\"}"
  C++     mpflags::Client client({{"token", "tok"}, {"api_host", "URL"}});
  Go      mpflags.New("tok", mpflags.WithAPIHost("URL"))
  Python  MixpanelProvider.from_local_config("tok", LocalFlagsConfig(api_host="URL"))
  Rust    mpflags::Config::builder("tok").api_host("URL").build()?
CONTROL shows the flags, who gets what, and events as they arrive
"#
    );
    let ca_file =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("paste-{}.pem", std::process::id()));
    let ca_file = ca_file.to_str().unwrap();
    let text = configuration(&["--tls=good", "--ca-file", ca_file]).replace(ca_file, "CA");
    assert_eq!(
        text,
        r#"0 flags; accepts any token; the configuration of a client:
  JSON    {"token": "demo", "api_host": "URL", "ca_file": "CA"}
  C       "{\"token\": \"demo\", \"api_host\": \"URL\", \"ca_file\": \"CA\"}"
  C++     mpflags::Client client({{"token", "demo"}, {"api_host", "URL"}, {"ca_file", "CA"}});
  Go      mpflags.New("demo", mpflags.WithAPIHost("URL"), mpflags.WithCAFile("CA"))
  Python  MixpanelProvider.from_local_config("demo", LocalFlagsConfig(api_host="URL", ca_file="CA"))
  Rust    mpflags::Config::builder("demo").api_host("URL").ca_file("CA").build()?
CONTROL shows the flags, who gets what, and events as they arrive
"#
    );
    let account = configuration(&["--service-account=user:secret"]);
    assert!(account.contains("accepts the service account user;"), "{account}");
    assert!(!account.contains("secret"), "{account}");
}

#[test]
fn signals_end_it_cleanly() {
    for name in ["TERM", "INT"] {
        let mut child = program().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        lines(&mut child);
        let killed =
            Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "SIG{name}");
    }
}

#[test]
fn tls_announces_https_and_writes_its_ca() {
    let ca_file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ca-{}.pem", std::process::id()));
    let mut child = program()
        .args(["--tls=self-signed", "--stop-with-stdin", "--ca-file"])
        .arg(&ca_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (main, control) = lines(&mut child);
    assert!(main.starts_with("https://127.0.0.1:"), "{main}");
    assert!(fs::read_to_string(&ca_file).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(ask(address(&control), "GET /__dev/health HTTP/1.1", b"").status, 200);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn verbose_prints_requests_and_events() {
    let mut child = program()
        .args(["--verbose", "--stop-with-stdin", "--token", "secret-token", "--events=count"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (main, control) = addresses(&mut lines);
    let fault = br#"[{"path":"/flags","kind":"reset"},{"path":"/import","kind":"status","status":503}]"#;
    assert_eq!(ask(address(&control), "PUT /__dev/faults HTTP/1.1", fault).status, 200);
    assert_eq!(get(address(&main)).status, 401);
    let properties = r#""token":"secret-token","Experiment name":"new-checkout","Variant name":"On","distinct_id":"u 1\u001b[31m""#;
    let body =
        format!(r#"[{{"event":"$experiment_started","properties":{{{properties}}}}},{{"event":"e"}}]"#);
    assert_eq!(ask(address(&main), "POST /track?verbose=1 HTTP/1.1", body.as_bytes()).status, 200);
    let update = br#"{"$token":"secret-token","$distinct_id":7,"$set":{}}"#;
    assert_eq!(ask(address(&main), "POST /engage HTTP/1.1", update).status, 200);
    assert_eq!(ask(address(&main), "POST /import HTTP/1.1", body.as_bytes()).status, 503);
    let mut stream = connect(address(&main));
    send(&mut stream, "GET /flags HTTP/1.1", b"");
    drain(&mut stream);
    assert_eq!(ask(address(&main), "GET /last HTTP/1.1", b"").status, 404);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let printed: Vec<String> = lines.map(Result::unwrap).skip_while(|line| !line.is_empty()).collect();
    assert_eq!(
        printed,
        [
            "",
            "GET /flags/definitions 401",
            "  Missing credentials",
            "POST /track 200",
            "  $experiment_started new-checkout On u 1\u{fffd}[31m",
            "  e - - -: rejected, 'properties' is invalid: must be an object",
            "POST /engage 200",
            "  $set - - 7",
            "POST /import 503",
            "GET /flags -",
            "  Missing credentials",
            "GET /last 404",
        ]
    );
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, why) in [
        (&["--prot", "1"][..], "unknown argument --prot: mpflags-dev serve --help lists the options"),
        (&["extra"], "unknown argument extra: the commands are serve, check, eval, explain, diff, pull"),
        (&["--port"], "--port needs a value"),
        (&["--port", "70000"], "--port: expected a port from 0 to 65535, got 70000"),
        (&["--ipv6=1"], "--ipv6 takes no value"),
        (&["--tls", "better"], "--tls: expected good, expired, wrong-name or self-signed, got better"),
        (&["--ca-file", "/tmp/ca.pem"], "--ca-file needs --tls or --certificate"),
        (&["--events", "all"], "--events: expected keep or count, got all"),
        (&["--service-account", "secret"], "--service-account: expected USER:SECRET"),
        (&["--host", "everywhere"], "--host: expected an address such as 0.0.0.0, got everywhere"),
        (&["--host", "0.0.0.0"], "--host: other machines reach this address, so --token is needed as well"),
        (&["serve", "a.json", "b.json"], "only one file can be served"),
        (&["check"], "check needs a file"),
        (&["check", "--flag", "f", "a"], "unknown argument --flag"),
        (&["eval", "a.json"], "eval needs --context, such as --context '{\"distinct_id\":\"user-1\"}'"),
        (&["explain", "a.json", "--context", "{}"], "explain needs --flag KEY"),
        (&["diff", "a.json"], "diff needs two files"),
        (&["pull", "a.json"], "pull needs --token"),
        (&["pull", "--token", "t"], "pull needs a file to write"),
        (
            &["pull", "a.json", "--token", "t", "--project-id", "1"],
            "--service-account and --project-id must be given together",
        ),
        (&["diff", "a.json", "b.json", "c.json"], "unknown argument c.json"),
        (&["diff", "a.json", "b.json", "--users", "many"], "--users: expected a number, got many"),
    ] {
        let output = output(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(error, format!("mpflags-dev: {why}\nsee mpflags-dev --help\n"));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn missing_files_and_taken_ports_are_named() {
    let missing = output(&["--definitions", "/nowhere/flags.json"]);
    assert_eq!(missing.status.code(), Some(1));
    let error = String::from_utf8(missing.stderr).unwrap();
    assert!(error.starts_with("mpflags-dev: definitions file /nowhere/flags.json: "), "{error}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let output = output(&["--port", &addr.port().to_string()]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains(&addr.to_string()), "{error}");
}

#[test]
fn help_and_version_are_short() {
    for (arguments, word) in [
        (&["--help"][..], "mpflags-dev check FILE..."),
        (&["-h"], "--version"),
        (&["serve", "--help"], "--stop-with-stdin"),
        (&["check", "--help"], "mpflags-dev diff A B"),
    ] {
        let output = output(arguments);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(word) && text.lines().count() <= 24, "{text}");
    }
    let version = output(&["--version"]);
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        format!("mpflags-dev {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_half_written_file_is_not_served_and_changes_are_printed() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("edited-{}.json", std::process::id()));
    let sample =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/definitions.json")).unwrap();
    fs::write(&file, &sample).unwrap();
    let mut child = program()
        .arg(&file)
        .arg("--stop-with-stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (main, _) = addresses(&mut lines);
    let mut lines = lines.map(Result::unwrap).skip_while(|line| !line.is_empty()).skip(1);
    let half = sample.get(..400).unwrap();
    fs::write(&file, half).unwrap();
    let trouble = lines.next().unwrap();
    let start = format!("definitions: definitions file {}: EOF while parsing", file.display());
    assert!(
        trouble.starts_with(&start) && trouble.ends_with("; serving its last good contents"),
        "{trouble}"
    );
    assert_eq!(get(address(&main)).text(), sample);
    // jq writes 1.0 as 1, which is no change.
    let edited = sample.replacen("\"rollout_percentage\": 0.5", "\"rollout_percentage\": 50", 1);
    let edited = edited.replace("\"value\": 1.0,", "\"value\": 1,").replacen("enabled", "disabled", 1);
    fs::write(&file, &edited).unwrap();
    assert_eq!(
        lines.next().unwrap(),
        "definitions: changed: new-checkout: enabled → disabled, rollout 50 % → 5000 %"
    );
    assert_eq!(
        lines.next().unwrap(),
        "definitions: error: line 30: new-checkout: ruleset.rollout[0].rollout_percentage: 50 means 5000 %, so everybody \
         is admitted: write 0.5"
    );
    assert_eq!(get(address(&main)).text(), edited);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(lines.next(), None);
}
