//! The definitions cache on disks that fail, and in folders that others can write. Whatever happens, a client never uses wrong
//! definitions, never follows another user's symbolic link, and logs one line.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use mpflags::{Client, Config, Context, Item, Level};
use mpflags_dev::{Fault, Kind, Options, Server};

use super::victim::{LONG, Victim};

/// Nobody, to whom nothing belongs.
const OTHER: u32 = 65534;

/// Definitions whose flag has this value, with so many bytes of ballast.
fn document(value: u32, ballast: usize) -> String {
    format!(
        r#"{{"flags": [{{"key": "f", "context": "distinct_id", "ruleset": {{"variants": [{{"key": "v", "value": {value}}}],
            "rollout": [{{"rollout_percentage": 1.0}}]}}, "ballast": "{}"}}]}}"#,
        "x".repeat(ballast)
    )
}

fn serve(document: &str) -> Server {
    let server = Server::start(Options::default()).unwrap();
    server.set_definitions(document);
    server
}

/// From now on, no definitions can be fetched.
fn fail(server: &Server) {
    let fault = Fault { status: Some(503), ..Fault::new("/flags/definitions", Kind::Status) };
    server.set_faults(vec![fault]).unwrap();
}

fn config(server: &Server, folder: &Path) -> String {
    format!(
        r#"{{"token": "T", "api_host": "{}", "polling_interval_ms": 50, "retry_base_ms": 10, "log_level": "warning",
            "definitions_cache_dir": "{}"}}"#,
        server.url(),
        folder.display()
    )
}

/// A new folder that every user can enter.
fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("mpflags-disk-{}-{n}-{name}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn this_binary() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

/// Runs this binary after `setup`, a line of shell, in a mount namespace of its own. None where that is not allowed.
fn mounted(setup: &str, folder: &Path) -> Option<Command> {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &format!("{setup} && exec \"$@\""), "sh"]);
    let mut probe = Command::new("unshare");
    let probe = probe.args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none"]).arg(folder);
    if !probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file systems may be mounted here");
        return None;
    }
    command.arg(std::env::current_exe().unwrap());
    Some(command)
}

/// Serves documents until the client has used each of them; returns the warnings.
fn change(server: &Server, victim: &mut Victim, values: std::ops::Range<u32>, ballast: usize) -> Vec<String> {
    let seen = victim.reports.len();
    for value in values {
        server.set_definitions(document(value, ballast));
        let deadline = Instant::now() + LONG;
        while victim.ask("value") != value.to_string() {
            assert!(Instant::now() < deadline, "{value} is not used: {:#?}", victim.reports);
        }
    }
    victim.warnings(seen).into_iter().map(str::to_owned).collect()
}

/// A client that starts while the server is down: its value, and its lines about the cache.
fn from_cache(server: &Server, folder: &Path) -> (i64, Vec<String>) {
    let client = Client::new(Config::from_json(&config(server, folder)).unwrap()).unwrap();
    client.start().unwrap();
    let user = Context::from_json(r#"{"distinct_id": "u"}"#).unwrap();
    let mut lines = Vec::new();
    // The cache is read right after the first failure, before that is reported.
    while client
        .wait_ready(Duration::from_millis(1))
        .is_err_and(|e| e.to_string().ends_with("no response yet"))
    {}
    while let Ok(Some(item)) = client.next_item(Duration::ZERO) {
        if let Item::Log { level: Level::Warning, message, .. } = item
            && message.starts_with("definitions_cache_dir")
        {
            lines.push(message);
        }
    }
    (client.integer("f", &user, -1), lines)
}

#[test]
fn a_full_disk() {
    let folder = folder("full");
    let Some(command) = mounted(&format!("mount -t tmpfs -o size=64k none {}", folder.display()), &folder)
    else {
        return;
    };
    let server = serve(&document(1, 0));
    let mut victim = Victim::start_with(&config(&server, &folder), command);
    assert_eq!(victim.ask("ready"), "Ok(())");
    let inside = PathBuf::from(format!("/proc/{}/root{}", victim.id(), folder.display()));
    let kept = fs::read(inside.join(&names(&inside)[0])).unwrap();

    let lines = change(&server, &mut victim, 2..6, 200_000);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with("definitions_cache_dir: ") && lines[0].contains("No space left on device"),
        "{lines:#?}"
    );
    let file = names(&inside);
    assert_eq!(file.len(), 1, "nothing is left behind: {file:?}");
    assert_eq!(
        fs::read(inside.join(&file[0])).unwrap(),
        kept,
        "the last file that could be written stays whole"
    );

    assert_eq!(change(&server, &mut victim, 6..8, 0), [""; 0], "it fits again");
    assert_ne!(fs::read(inside.join(&file[0])).unwrap(), kept);
    assert_eq!(change(&server, &mut victim, 8..10, 200_000).len(), 1, "full again, said again");
}

#[test]
fn a_file_that_may_not_grow() {
    let folder = folder("limit");
    let server = serve(&document(1, 0));
    let mut command = Command::new("sh");
    // Without the trap, the system ends a process that writes more.
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap());
    let mut victim = Victim::start_with(&config(&server, &folder), command);
    assert_eq!(victim.ask("ready"), "Ok(())");
    let lines = change(&server, &mut victim, 2..5, 200_000);
    assert!(matches!(&lines[..], [line] if line.contains("File too large")), "{lines:#?}");
    assert_eq!(names(&folder).len(), 1);
    drop(victim);
    fail(&server);
    assert_eq!(from_cache(&server, &folder), (1, Vec::new()));
}

#[test]
fn a_disk_that_is_read_only() {
    let folder = folder("readonly");
    let server = serve(&document(1, 0));
    let mut before = Victim::start(&config(&server, &folder));
    assert_eq!(before.ask("ready"), "Ok(())");
    drop(before);
    let setup = format!("mount --bind {0} {0} && mount -o remount,bind,ro {0}", folder.display());
    let Some(command) = mounted(&setup, &folder) else { return };
    fail(&server);
    let mut victim = Victim::start_with(&config(&server, &folder), command);
    assert_eq!(victim.ask("ready"), "Ok(())");
    assert_eq!(
        (victim.ask("value").as_str(), victim.ask("state").as_str()),
        ("1", "STALE"),
        "it can be read"
    );
    server.clear_faults();
    let lines = change(&server, &mut victim, 2..5, 0);
    assert!(matches!(&lines[..], [line] if line.contains("Read-only file system")), "{lines:#?}");
}

#[test]
fn a_folder_without_permission() {
    let (folder, server) = (folder("permission"), serve(&document(1, 0)));
    let mut command = this_binary();
    if is_root() {
        command.uid(OTHER).gid(OTHER);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    } else {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let mut victim = Victim::start_with(&config(&server, &folder), command);
    assert_eq!(victim.ask("ready"), "Ok(())");
    let lines = change(&server, &mut victim, 2..5, 0);
    assert_eq!(lines, [""; 0], "said before");
    let lines = victim.warnings(0);
    assert!(matches!(&lines[..], [line] if line.contains("Permission denied")), "{lines:#?}");
}

/// Another user's link in place of the file. Nothing is read or written through it.
#[test]
fn a_planted_link_to_a_file() {
    let (folder, elsewhere, server) = (folder("link"), folder("elsewhere"), serve(&document(1, 0)));
    let mut victim = Victim::start(&config(&server, &elsewhere));
    assert_eq!(victim.ask("ready"), "Ok(())");
    drop(victim);
    let name = names(&elsewhere).remove(0);
    // Only root can make a link that belongs to another user; a link of this user is not followed either.
    let plant = || {
        let link = folder.join(&name);
        let _ = fs::remove_file(&link);
        symlink(elsewhere.join(&name), &link).unwrap();
        if is_root() {
            lchown(&link, Some(OTHER), Some(OTHER)).unwrap();
        }
        link
    };
    let link = plant();
    fail(&server);
    let (value, lines) = from_cache(&server, &folder);
    assert_eq!(value, -1);
    assert!(matches!(&lines[..], [line] if line.ends_with("it is not a file; it is ignored")), "{lines:#?}");

    let precious = fs::read(elsewhere.join(&name)).unwrap();
    server.clear_faults();
    server.set_definitions(document(2, 0));
    let mut victim = Victim::start(&config(&server, &folder));
    assert_eq!(victim.ask("ready"), "Ok(())");
    assert_eq!(victim.ask("value"), "2");
    assert_eq!(fs::read(elsewhere.join(&name)).unwrap(), precious, "the link was followed");
    assert!(fs::symlink_metadata(&link).unwrap().is_file(), "the link is replaced");
    assert_eq!(victim.warnings(0), [""; 0]);
}

/// Another user's link in place of the folder.
#[test]
fn a_planted_link_to_a_folder() {
    if !is_root() {
        eprintln!("skipped: only root can make a link that belongs to another user");
        return;
    }
    let (elsewhere, server) = (folder("elsewhere"), serve(&document(1, 0)));
    let parent = folder("links");
    for (name, slash) in [("plain", ""), ("slash", "/"), ("dot", "/.")] {
        let link = parent.join(name);
        symlink(&elsewhere, &link).unwrap();
        lchown(&link, Some(OTHER), Some(OTHER)).unwrap();
        let link = PathBuf::from(format!("{}{slash}", link.display()));
        let mut victim = Victim::start(&config(&server, &link));
        assert_eq!(victim.ask("ready"), "Ok(())");
        let lines = change(&server, &mut victim, 2..5, 0);
        assert_eq!(lines, [""; 0], "said before");
        let lines = victim.warnings(0);
        assert!(
            matches!(&lines[..], [line] if line.ends_with("the folder is a symbolic link of another user")),
            "{lines:#?}"
        );
        assert_eq!(names(&elsewhere), [""; 0], "{name}: written through the link");
    }
    // A file that could be used is not used through such a link; through the link of this user it is.
    let own = parent.join("own");
    symlink(&elsewhere, &own).unwrap();
    let mut victim = Victim::start(&config(&server, &own));
    assert_eq!(victim.ask("ready"), "Ok(())");
    drop(victim);
    fail(&server);
    assert_eq!(from_cache(&server, &own), (4, Vec::new()));
    let (value, lines) = from_cache(&server, &parent.join("plain"));
    assert_eq!(value, -1);
    assert!(matches!(&lines[..], [line] if line.contains("symbolic link of another user")), "{lines:#?}");
    // Nor is a file of another user.
    chown(elsewhere.join(names(&elsewhere).remove(0)), Some(OTHER), Some(OTHER)).unwrap();
    let (value, lines) = from_cache(&server, &own);
    assert_eq!(value, -1);
    assert!(matches!(&lines[..], [line] if line.contains("it belongs to another user")), "{lines:#?}");
}

/// What was left by processes that were killed while they wrote is removed later.
#[test]
fn what_a_killed_process_left() {
    let (folder, server) = (folder("left"), serve(&document(1, 0)));
    let mut victim = Victim::start(&config(&server, &folder));
    assert_eq!(victim.ask("ready"), "Ok(())");
    let name = names(&folder).remove(0);
    let stem = name.strip_suffix(".definitions").unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    let left = [format!("{stem}.0123456789abcdef.tmp"), format!("{stem}.fedcba9876543210.tmp")];
    let others = [
        "mpflags-0123456789abcdef.0123456789abcdef.tmp".to_owned(),
        "notes.tmp".to_owned(),
        format!("{stem}.tmp"),
    ];
    for name in left.iter().chain(&others) {
        let file = fs::File::create(folder.join(name)).unwrap();
        // Another process may be writing the second one now.
        if *name != left[1] {
            file.set_modified(old).unwrap();
        }
    }
    assert_eq!(change(&server, &mut victim, 2..3, 0), [""; 0]);
    let mut kept = [&[name.clone(), left[1].clone()], &others[..]].concat();
    kept.sort();
    assert_eq!(names(&folder), kept);
}

/// How often a process is killed. `MPFLAGS_KILLS` sets another number.
fn kills() -> u32 {
    std::env::var("MPFLAGS_KILLS").map_or(100, |kills| kills.parse().unwrap())
}

/// Ends a loop in another thread, also when a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A process that is killed while it writes leaves the old file or the new one.
#[test]
fn killed_in_the_middle_of_a_write() {
    let (folder, server) = (folder("killed"), serve(&document(1, LARGE)));
    let (newest, stopped) = (AtomicU32::new(1), AtomicBool::new(false));
    let mut torn = 0;
    // On a busy machine, each of the others may be killed before it has written a whole file.
    let first = Victim::start(&config(&server, &folder));
    let deadline = Instant::now() + LONG;
    while !names(&folder).iter().any(|name| name.ends_with(".definitions")) {
        assert!(Instant::now() < deadline, "nothing is written");
    }
    drop(first);
    std::thread::scope(|scope| {
        let _stop = Stop(&stopped);
        scope.spawn(|| {
            for value in 2.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                newest.store(value, Ordering::Relaxed);
                server.set_definitions(document(value, LARGE));
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        for kill in 0..kills() {
            let mut victim = Victim::start(&config(&server, &folder));
            victim.ask("refresh for ever");
            let before = names(&folder).len();
            let deadline = Instant::now() + LONG;
            // Until a write has begun, and then a little longer, each time by another time.
            while names(&folder).len() == before {
                assert!(Instant::now() < deadline, "nothing is written");
            }
            std::thread::sleep(Duration::from_micros(u64::from(kill % 20) * 100));
            drop(victim);
            torn += u32::from(names(&folder).len() > before);
            check_file(&folder, newest.load(Ordering::Relaxed), LARGE);
        }
    });
    println!("{torn} of {} processes were killed while they wrote", kills());
    assert!(torn * 10 >= kills(), "only {torn} of {} were killed while they wrote", kills());
    fail(&server);
    let (value, lines) = from_cache(&server, &folder);
    assert!(value >= 1 && lines.is_empty(), "{value}: {lines:?}");
}

/// The size of a document that takes milliseconds to write.
const LARGE: usize = 300_000;

/// The file is whole, and of a document that was served.
#[track_caller]
fn check_file(folder: &Path, newest: u32, ballast: usize) {
    let Some(name) = names(folder).into_iter().find(|name| name.ends_with(".definitions")) else {
        panic!("the file is gone");
    };
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let (head, body) = text.split_at(text.find("{\"flags\"").unwrap());
    let value = body.split("\"value\": ").nth(1).unwrap().split('}').next().unwrap().parse::<u32>().unwrap();
    assert!((1..=newest).contains(&value), "{head}: the newest is {newest}");
    assert!(body == document(value, ballast), "{head}: the body is not of document {value}");
}

/// 32 processes share a folder, and write while others read.
#[test]
fn shared_by_32_processes() {
    let (folder, server) = (folder("shared"), serve(&document(1, 50_000)));
    let mut victims: Vec<_> = (0..32).map(|_| Victim::start(&config(&server, &folder))).collect();
    for victim in &mut victims {
        assert_eq!(victim.ask("ready"), "Ok(())");
    }
    let newest = 12;
    for value in 2..=newest {
        // All of them see the change within one interval, and write.
        server.set_definitions(document(value, 50_000));
        let deadline = Instant::now() + LONG;
        for victim in &mut victims {
            while victim.ask("value") != value.to_string() {
                assert!(Instant::now() < deadline, "{value} is not used: {:#?}", victim.reports);
                check_file(&folder, value, 50_000);
            }
        }
    }
    assert!(victims.iter().all(|victim| victim.warnings(0).is_empty()));
    drop(victims);
    fail(&server);
    assert_eq!(from_cache(&server, &folder), (i64::from(newest), Vec::new()));
}
