//! What surrounds a client and goes wrong: names with a thousand addresses, addresses without a route, clocks that jump. The
//! client runs in a network of its own, where the test decides which names and routes there are.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mpflags_dev::{Fault, Kind, Options, RetryAfter, Server};

use super::victim::{LONG, Victim};

fn document(value: u32) -> String {
    format!(
        r#"{{"flags": [{{"key": "f", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "v", "value": {value}}}],
            "rollout": [{{"rollout_percentage": 1.0}}]}}}}]}}"#
    )
}

fn serve(host: &str, port: u16) -> Server {
    let host: IpAddr = host.parse().unwrap();
    let server =
        Server::start(Options { host, port, token: Some("T".to_owned()), ..Options::default() }).unwrap();
    server.set_definitions(document(2));
    server
}

/// A client of this name, with definitions to begin with.
fn named(name: &str, port: u16) -> Victim {
    Victim::start(&format!(
        r#"{{"token": "T", "api_host": "http://{name}:{port}", "allow_insecure_http": true, "polling_interval_ms": 50,
            "retry_base_ms": 10, "log_level": "warning", "definitions": {}}}"#,
        document(1)
    ))
}

/// Waits until the client uses what the server serves.
#[track_caller]
fn healed(victim: &mut Victim) {
    let deadline = Instant::now() + LONG;
    while victim.ask("value") != "2" {
        assert!(Instant::now() < deadline, "{:#?}", victim.reports);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn names_and_addresses() {
    if std::env::var("MPFLAGS_INSIDE").is_ok() {
        return inside();
    }
    let hosts = std::env::temp_dir().join(format!("mpflags-hosts-{}", std::process::id()));
    let many: String = (0..1000).map(|n| format!("127.1.{}.{} many.test\n", n / 250, n % 250 + 1)).collect();
    let text = format!(
        "127.0.0.1 localhost\n{many}2001:db8::9 both.test\n127.0.0.1 both.test\n2001:db8::9 six.test\n\
         2001:db8:2::9 silent.test\n127.0.0.1 silent.test\n"
    );
    fs::write(&hosts, text).unwrap();
    // A network of its own has no route but those that are added here. The interface t0 accepts packets for 2001:db8:2::/64, and
    // nobody takes them.
    let setup = format!(
        "mount --bind {} /etc/hosts && ip link set lo up && ip tuntap add t0 mode tun && ip link set t0 up \
         && ip -6 addr add 2001:db8:2::2/64 dev t0 nodad",
        hosts.display()
    );
    let shell = |then: &str| {
        let mut command = Command::new("unshare");
        command.args([
            "--map-root-user",
            "--mount",
            "--net",
            "sh",
            "-c",
            &format!("{setup} && {then}"),
            "sh",
        ]);
        command
    };
    if !shell("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no networks may be made here");
        return;
    }
    let module = module_path!().split_once("::").unwrap().1;
    let mut command = shell("exec \"$@\"");
    command.arg(std::env::current_exe().unwrap());
    command
        .args([&format!("{module}::names_and_addresses"), "--exact", "--nocapture"])
        .env("MPFLAGS_INSIDE", "1");
    let status = command.status().unwrap();
    let _ = fs::remove_file(hosts);
    assert!(status.success());
}

fn inside() {
    // The first of a thousand addresses that answers is used; the first 16 are tried.
    let port = serve("127.0.0.1", 0).addr().port();
    let mut victim = named("many.test", port);
    let refused = format!(
        "log Warning fetching definitions failed: many.test:{port}: connection refused; check api_host"
    );
    assert_eq!(victim.wait("log Warning", 0), refused);
    victim.wait("state STALE", 0);
    assert_eq!(victim.ask("value"), "1");
    let server = serve("127.1.0.15", port);
    healed(&mut victim);
    assert_eq!(victim.warnings(0).len(), 1, "{:#?}", victim.reports);
    drop((victim, server));

    // An address without a route does not hide one that can be reached.
    let server = serve("127.0.0.1", port);
    let mut victim = named("both.test", port);
    healed(&mut victim);
    assert_eq!(victim.warnings(0), [""; 0]);
    drop(victim);

    // Nor does one that has a route and never answers, which is tried first; the two share three seconds.
    let begun = Instant::now();
    let mut victim = named("silent.test", port);
    healed(&mut victim);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    println!("an address that does not answer cost {:?}", begun.elapsed());
    assert_eq!(victim.warnings(0), [""; 0]);
    drop((victim, server));

    // With nothing else, the client goes on until there is a route.
    let mut victim = named("six.test", port);
    let line = victim.wait("log Warning", 0);
    assert!(line.contains(&format!("six.test:{port}: ")) && line.contains("unreachable"), "{line}");
    victim.wait("state STALE", 0);
    assert_eq!(victim.ask("value"), "1");
    let added = Command::new("ip")
        .args(["-6", "addr", "add", "2001:db8::9/128", "dev", "lo", "nodad"])
        .status()
        .unwrap();
    assert!(added.success());
    let server = serve("2001:db8::9", port);
    healed(&mut victim);
    // One line for each change of the failure: a poll may come between the route and the server.
    assert!(victim.warnings(0).len() <= 3, "{:#?}", victim.reports);
    drop(server);
}

/// libfaketime, which sets CLOCK_REALTIME to what a file says. Distributions have it in different folders.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let folders = folders.chain(["/usr/lib", "/usr/lib64"].map(PathBuf::from));
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

/// The clock of the day jumps by hours, in either direction. The monotonic clock, which polls and pauses follow, does not.
#[test]
fn a_clock_that_jumps() {
    let Some(library) = faketime() else {
        eprintln!("skipped: libfaketime is not installed");
        return;
    };
    let clock = std::env::temp_dir().join(format!("mpflags-clock-{}", std::process::id()));
    let set = |offset: &str| {
        // Never half written.
        let new = clock.with_extension("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, &clock).unwrap();
    };
    set("+0");
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(document(1));
    let config = format!(
        r#"{{"token": "T", "api_host": "{}", "polling_interval_ms": 50, "retry_base_ms": 10, "log_level": "debug",
            "event_flush_interval_ms": 10, "event_retry_base_ms": 10}}"#,
        server.url()
    );
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut victim = Victim::start_with(&config, command);
    assert_eq!(victim.ask("ready"), "Ok(())");
    let (mut value, mut times) = (1, Vec::new());
    for offset in ["+0", "+6h", "-6h", "+0"] {
        set(offset);
        value += 1;
        server.set_definitions(document(value));
        let deadline = Instant::now() + LONG;
        while victim.ask("value") != value.to_string() {
            assert!(Instant::now() < deadline, "{offset}: polls have stopped: {:#?}", victim.reports);
        }
        // An exposure is not repeated, nor is an event lost.
        assert_eq!(victim.ask("track"), "Ok(())");
        assert_eq!(victim.ask("flush"), "Ok(0)");
        let events = server.events();
        times.push(events.last().unwrap().json["properties"]["time"].as_f64().unwrap());
        // A date is a long pause to a clock that is behind. Ten minutes are the most.
        let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(30));
        let fault = Fault {
            status: Some(503),
            retry_after: Some(RetryAfter::Text(date)),
            times: Some(1),
            ..Fault::new("/flags/definitions", Kind::Status)
        };
        server.set_faults(vec![fault]).unwrap();
        let pause = victim.wait("log Debug retry 1 in ", victim.reports.len());
        let pause: u64 =
            pause.trim_start_matches("log Debug retry 1 in ").trim_end_matches(" ms").parse().unwrap();
        let allowed = match offset {
            "+0" => 28_000..=34_000,
            "-6h" => 600_000..=660_000,
            _ => 0..=100,
        };
        assert!(allowed.contains(&pause), "{offset}: {pause} ms");
        assert_eq!(victim.ask("refresh"), "Ok(())");
        assert_eq!(victim.ask("state"), "READY", "{offset}");
    }
    let names: Vec<_> =
        server.events().iter().map(|event| event.json["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.iter().filter(|name| *name == "E").count(), 4, "{names:?}");
    // The times are those of the clock: it did jump.
    let hours = |from: usize, to: usize| ((times[to] - times[from]).abs() / 3_600_000.0).round();
    assert_eq!((hours(0, 1), hours(1, 2), hours(0, 3)), (6.0, 12.0, 0.0), "{times:?}");
    let _ = fs::remove_file(clock);
}
