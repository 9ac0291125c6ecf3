//! Servers and networks that attack the client. Each fault meets a client in a process of its own, which must go on evaluating
//! in bounded memory and time, say what is wrong in one line, and recover by itself. What was seen makes the table in
//! docs/reliability.md.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use mpflags_dev::{Fault, Kind, Options, Part, RetryAfter, Server, Tls};

use super::victim::{LONG, Victim};
use Target::{Definitions, Events, Remote};

/// What is attacked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Definitions,
    Events,
    Remote,
}

impl Target {
    fn path(self) -> &'static str {
        match self {
            Definitions => "/flags/definitions",
            Events => "/track",
            Remote => "/flags",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Definitions => "Definitions",
            Events => "Events",
            Remote => "Remote evaluation",
        }
    }
}

struct Attack {
    name: &'static str,
    target: Target,
    fault: Fault,
    /// The most that the resident memory may grow, in MiB. Bodies have limits: 64 MiB of definitions, 16 MiB of remote flags, and
    /// 4 MiB of a response to events.
    memory: u64,
    /// In ms. Short only where the time is what ends the request: a busy machine may need seconds to unpack a bomb.
    timeout: u64,
    /// Whether the server asks for a pause that no program would sit out.
    pause: bool,
    tls: bool,
}

fn attack(name: &'static str, target: Target, kind: Kind, change: impl FnOnce(&mut Fault)) -> Attack {
    let mut fault = Fault::new(target.path(), kind);
    change(&mut fault);
    Attack { name, target, fault, memory: 2, timeout: 60_000, pause: false, tls: false }
}

/// The text, then `repeat` for ever.
fn raw(name: &'static str, target: Target, text: &str, repeat: &str) -> Attack {
    attack(name, target, Kind::Raw, |fault| {
        fault.body = Some(text.to_owned());
        fault.repeat = (!repeat.is_empty()).then(|| repeat.to_owned());
    })
}

/// As [`raw`], with a byte of `repeat` per second.
fn slowly(name: &'static str, target: Target, text: &str, repeat: &str) -> Attack {
    let mut attack = raw(name, target, text, repeat);
    attack.fault.bytes_per_second = Some(1);
    attack.timeout(300)
}

fn answer(name: &'static str, target: Target, status: u16, headers: &[(&str, &str)], body: &str) -> Attack {
    attack(name, target, Kind::Status, |fault| {
        fault.status = Some(status);
        fault.body = Some(body.to_owned());
        fault.headers = Some(
            headers
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<BTreeMap<_, _>>(),
        );
    })
}

impl Attack {
    /// A limit of size ends the request, after so many MiB.
    fn large(mut self, mib: u64) -> Self {
        self.memory = mib + 8;
        self
    }

    fn timeout(mut self, timeout: u64) -> Self {
        self.timeout = timeout;
        self
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

fn chunked(rest: &str) -> String {
    format!("{HEAD}transfer-encoding: chunked\r\n\r\n{rest}")
}

/// What can be done to a response of any kind.
fn of_any(target: Target, limit: u64) -> Vec<Attack> {
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let lines: String = (0..10_000).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let bomb = attack("a gzip bomb of 10 GiB", target, Kind::GzipBomb, |fault| {
        fault.decoded_bytes = Some(10 << 30);
        fault.status = (target == Events).then_some(503);
    })
    .large(limit);
    vec![
        slowly("slow loris: a byte of the head per second, for ever", target, "", "H"),
        slowly(
            "slow loris: a byte of a header per second, for ever",
            target,
            "",
            "HTTP/1.1 200 OK\r\nx: y\r\n",
        ),
        raw("endless headers", target, HEAD, "x-filler: 0123456789\r\n"),
        raw("an endless header", target, &format!("{HEAD}x-filler: "), "0123456789"),
        raw("10,000 headers", target, &format!("{HEAD}{lines}content-length: 2\r\n\r\n{{}}"), ""),
        raw("endless `100 Continue`", target, "", "HTTP/1.1 100 Continue\r\n\r\n"),
        raw("an endless body in chunks", target, &chunked(""), &chunk).large(limit),
        raw("an endless body without a length", target, &format!("{HEAD}\r\n"), &" ".repeat(0x10000))
            .large(limit),
        raw("an endless chunk size", target, &chunked(""), "f"),
        raw("an endless chunk extension", target, &chunked("1;"), "x"),
        raw("endless trailers", target, &chunked("0\r\n"), "x: y\r\n").timeout(300),
        raw("a chunk of 16 EiB", target, &chunked("ffffffffffffffff\r\n"), &" ".repeat(0x10000)).large(limit),
        raw("a chunk size over 64 bits", target, &chunked("1ffffffffffffffff\r\n"), " "),
        slowly(
            "a Content-Length of 8 EiB, and a byte per second",
            target,
            &format!("{HEAD}content-length: 9223372036854775807\r\n\r\n"),
            " ",
        ),
        bomb,
        raw("a status line that is garbage", target, "\u{1}\u{2}\u{3} 200 garbage\r\n\r\n", ""),
        attack("a reset after half of the body", target, Kind::Reset, |fault| {
            fault.at_byte = Some(200);
            fault.status = (target == Events).then_some(503);
            fault.body = Some("x".repeat(300));
        }),
        answer("endless redirects", target, 307, &[("location", target.path())], ""),
        answer(
            "a redirect to another host and scheme",
            target,
            308,
            &[("location", "ftp://attacker.example/")],
            "",
        ),
    ]
}

fn attacks() -> Vec<Attack> {
    let mut attacks = of_any(Definitions, 64);
    let of_body =
        attack("slow loris: a byte of the body per second", Definitions, Kind::SlowLoris, |fault| {
            (fault.bytes_per_second, fault.part) = (Some(1), Some(Part::Body));
        });
    attacks.push(of_body.timeout(300));
    attacks.push(attack("a Content-Length that is too large", Definitions, Kind::WrongLength, |_| {}));
    attacks.push(attack("a Content-Length that is too small", Definitions, Kind::WrongLength, |fault| {
        fault.content_length = Some(10);
    }));
    let nested = format!("{{\"flags\": {}", "[".repeat(1_000_000));
    attacks.push(answer("a million brackets", Definitions, 200, &[], &nested).large(4));
    let mut alert = attack("a TLS alert in the middle of the body", Definitions, Kind::TlsAlert, |fault| {
        fault.at_byte = Some(200)
    });
    alert.tls = true;
    attacks.push(alert);
    attacks.extend(of_any(Events, 4));
    attacks.extend(of_any(Remote, 16));
    attacks.push(
        answer("a million brackets", Remote, 200, &[], &format!("{{\"code\": 200, \"flags\": {nested}"))
            .large(4),
    );
    let far = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(20 * 365 * 86_400));
    for target in [Definitions, Events] {
        for (name, after) in [
            ("`Retry-After`: 20 years", RetryAfter::Seconds(20 * 365 * 86_400)),
            ("`Retry-After`: a date in 20 years", RetryAfter::Text(far.clone())),
        ] {
            let mut late = answer(name, target, 503, &[], "");
            late.fault.retry_after = Some(after);
            late.pause = true;
            attacks.push(late);
        }
        let mut beyond = answer("`Retry-After`: a number over 64 bits", target, 503, &[], "");
        beyond.fault.retry_after = Some(RetryAfter::Text("99999999999999999999".to_owned()));
        attacks.push(beyond);
    }
    attacks
}

fn document(value: u32) -> String {
    format!(
        r#"{{"flags": [{{"key": "f", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "v", "value": {value}}}],
            "rollout": [{{"rollout_percentage": 1.0}}]}}}}]}}"#
    )
}

/// What was seen of an attack: a row of the table.
#[derive(Clone)]
struct Seen {
    name: &'static str,
    evaluates: &'static str,
    state: String,
    line: String,
    memory: u64,
    heals: &'static str,
}

impl Seen {
    fn row(&self) -> String {
        let Seen { name, evaluates, state, line, memory, heals } = self;
        format!("| {name} | {evaluates} | {state} | {line} | {memory} MiB | {heals} |")
    }
}

fn run(attack: &Attack) -> Seen {
    let server =
        Server::start(Options { tls: attack.tls.then_some(Tls::Good), ..Options::default() }).unwrap();
    server.set_definitions(document(1));
    let ca_file = std::env::temp_dir().join(format!(
        "mpflags-hostile-{}-{}.pem",
        std::process::id(),
        server.addr().port()
    ));
    let more = match (attack.target, server.ca_pem()) {
        (Remote, _) => r#""mode": "remote", "overrides": {"o": true}"#.to_owned(),
        (_, Some(pem)) => {
            std::fs::write(&ca_file, pem).unwrap();
            format!(r#""ca_file": "{}", "overrides": {{"o": true}}"#, ca_file.display())
        }
        _ => r#""overrides": {"o": true}"#.to_owned(),
    };
    let config = format!(
        r#"{{"token": "T0KEN", "api_host": "{}", "polling_interval_ms": 50, "retry_base_ms": 10, "log_level": "debug",
            "event_flush_interval_ms": 10, "event_retry_base_ms": 10, "event_retry_max_ms": 50,
            "request_timeout_ms": {}, {more}}}"#,
        server.url(),
        attack.timeout
    );
    let mut victim = Victim::start(&config);
    let seen = match attack.target {
        Definitions => against_definitions(attack, &server, &mut victim),
        Events => against_events(attack, &server, &mut victim),
        Remote => against_remote(attack, &server, &mut victim),
    };
    let _ = std::fs::remove_file(ca_file);
    assert!(
        victim.reports.iter().all(|line| !line.contains("T0KEN")),
        "{}: {:#?}",
        attack.name,
        victim.reports
    );
    let pauses = victim
        .reports
        .iter()
        .filter_map(|line| line.split("retry ").nth(1)?.split(" in ").nth(1)?.strip_suffix(" ms"));
    for pause in pauses {
        assert!(pause.parse::<u64>().unwrap() <= 660_000, "{}: a pause of {pause} ms", attack.name);
    }
    seen
}

/// Starts the attack; returns the number of reports before it.
fn begin(attack: &Attack, server: &Server, victim: &mut Victim) -> usize {
    victim.ask("mark");
    server.clear_requests();
    server.set_faults(vec![attack.fault.clone()]).unwrap();
    victim.reports.len()
}

/// The one warning, and the memory.
#[track_caller]
fn end(attack: &Attack, server: &Server, victim: &mut Victim, before: usize) -> (String, String) {
    let grown: u64 = victim.ask("memory").parse().unwrap();
    assert!(grown <= attack.memory << 10, "{}: {grown} kB more, of {} MiB", attack.name, attack.memory);
    println!("{:<8} {grown:>6} kB  {}", attack.target.path(), attack.name);
    let state = victim.ask("state");
    let warnings = victim.warnings(before);
    assert_eq!(warnings.len(), 1, "{}: {warnings:#?}", attack.name);
    let line = warnings[0].replace(&server.addr().to_string(), "HOST").replace('|', "\\|");
    (state, format!("`{line}`"))
}

fn against_definitions(attack: &Attack, server: &Server, victim: &mut Victim) -> Seen {
    assert_eq!(victim.ask("ready"), "Ok(())");
    victim.wait("state READY", 0);
    let before = begin(attack, server, victim);
    // With a pause, there is one attempt only.
    let shown = if attack.pause { "log Warning" } else { "state STALE" };
    let deadline = Instant::now() + LONG * 3;
    while !victim.reports.iter().skip(before).any(|line| line.starts_with(shown)) {
        assert!(Instant::now() < deadline, "{}: no {shown}: {:#?}", attack.name, victim.reports);
        assert_eq!(victim.ask("value"), "1", "{}", attack.name);
        std::thread::sleep(Duration::from_millis(5));
    }
    let (state, line) = end(attack, server, victim, before);
    server.set_definitions(document(2));
    server.clear_faults();
    if attack.pause {
        assert_eq!(victim.ask("refresh"), "Ok(())", "{}", attack.name);
    } else {
        victim.wait("state READY", before);
    }
    assert_eq!(
        (victim.ask("value"), victim.ask("state")),
        ("2".to_owned(), "READY".to_owned()),
        "{}",
        attack.name
    );
    let heals = if attack.pause { "`refresh`, or ten minutes later" } else { "the next poll" };
    Seen { name: attack.name, evaluates: "every flag, as before", state, line, memory: attack.memory, heals }
}

fn against_events(attack: &Attack, server: &Server, victim: &mut Victim) -> Seen {
    assert_eq!(victim.ask("ready"), "Ok(())");
    victim.wait("state READY", 0);
    let before = begin(attack, server, victim);
    assert_eq!(victim.ask("track"), "Ok(())");
    victim.wait("log Warning", before);
    // A failed attempt is repeated.
    if !attack.pause {
        victim.wait("log Debug sending events failed", before);
    }
    assert_eq!(victim.ask("value"), "1", "{}", attack.name);
    let (state, line) = end(attack, server, victim, before);
    server.clear_faults();
    assert_eq!(victim.ask("flush"), "Ok(0)", "{}", attack.name);
    // Where the server accepts events and its response is lost, they are sent again, and Mixpanel drops the repetition.
    assert_eq!(server.event_counts().distinct_insert_ids, 2, "{}: the event and the exposure", attack.name);
    let heals = if attack.pause { "`flush`, or ten minutes later" } else { "the next attempt" };
    Seen { name: attack.name, evaluates: "every flag", state, line, memory: attack.memory, heals }
}

fn against_remote(attack: &Attack, server: &Server, victim: &mut Victim) -> Seen {
    assert_eq!(victim.ask("evaluate"), "no message");
    let before = begin(attack, server, victim);
    let begun = Instant::now();
    let message = victim.ask("evaluate");
    let limit = Duration::from_millis(attack.timeout) + Duration::from_secs(5);
    assert!(begun.elapsed() < limit, "{}: {:?}", attack.name, begun.elapsed());
    assert_eq!(
        (victim.ask("override"), victim.ask("value")),
        ("true".to_owned(), "-1".to_owned()),
        "{}",
        attack.name
    );
    let grown: u64 = victim.ask("memory").parse().unwrap();
    assert!(grown <= attack.memory << 10, "{}: {grown} kB more, of {} MiB", attack.name, attack.memory);
    println!("{:<8} {grown:>6} kB  {}", attack.target.path(), attack.name);
    assert_eq!(victim.warnings(before), [""; 0], "{}", attack.name);
    let state = victim.ask("state");
    server.clear_faults();
    assert_eq!(victim.ask("evaluate"), "no message", "{}", attack.name);
    let line = message.replace(&server.addr().to_string(), "HOST").replace('|', "\\|");
    Seen {
        name: attack.name,
        evaluates: "overrides; the others give the default",
        state,
        line: format!("in the evaluation: `{line}`"),
        memory: attack.memory,
        heals: "the next evaluation",
    }
}

#[test]
fn hostile_servers() {
    let attacks = attacks();
    let only = std::env::var("MPFLAGS_ATTACK").ok();
    let chosen = |attack: &&Attack| only.as_ref().is_none_or(|part| attack.name.contains(part.as_str()));
    let chosen: Vec<_> = attacks.iter().filter(chosen).collect();
    let (queue, seen) = (Mutex::new(chosen.iter().enumerate()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((number, attack)) = ({ queue.lock().unwrap().next() }) else { return };
                    // One that fails does not hide the others.
                    let row = std::panic::catch_unwind(|| run(attack).row());
                    seen.lock().unwrap().insert(number, (attack.target, row.map_err(|_| attack.name)));
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    let failed: Vec<_> =
        seen.values().filter_map(|(target, row)| Some((target.heading(), *row.as_ref().err()?))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let mut table = String::new();
    for target in [Definitions, Events, Remote] {
        table += &format!(
            "\n### {}\n\n| fault | what still evaluates | state | log line | memory | what heals it |\n| --- | --- | --- | --- | --- | --- |\n",
            target.heading()
        );
        for (_, row) in seen.values().filter(|(of, _)| *of == target) {
            table += row.as_ref().unwrap();
            table.push('\n');
        }
    }
    if only.is_some() {
        return println!("{table}");
    }
    compare(&table);
}

/// The table stands in docs/reliability.md between two marks.
fn compare(table: &str) {
    const MARK: &str = "<!-- hostile servers -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reliability.md");
    let page = std::fs::read_to_string(path).unwrap();
    let parts: Vec<_> = page.split(MARK).collect();
    let [before, written, after] = parts[..] else {
        panic!("docs/reliability.md does not have the mark {MARK} twice")
    };
    if std::env::var("MPFLAGS_UPDATE").is_ok_and(|update| update == "1") {
        std::fs::write(path, format!("{before}{MARK}\n{table}\n{MARK}{after}")).unwrap();
    } else {
        assert_eq!(
            written.trim(),
            table.trim(),
            "the table in docs/reliability.md; MPFLAGS_UPDATE=1 cargo test --test client hostile writes it"
        );
    }
}
