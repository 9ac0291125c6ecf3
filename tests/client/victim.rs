//! A client in a process of its own, whose memory can be measured: the test binary runs itself again. The parent sends
//! commands on standard input and reads what the client reports.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, EvaluateOptions, Item};

pub(crate) const LONG: Duration = Duration::from_secs(20);

/// The child's part. Passes at once in an ordinary run.
#[test]
fn a_client() {
    let Ok(config) = std::env::var("MPFLAGS_VICTIM") else { return };
    let client = Arc::new(Client::new(Config::from_json(&config).unwrap()).unwrap());
    client.start().unwrap();
    let user = Context::from_json(r#"{"distinct_id": "u1"}"#).unwrap();
    let mut held = 0;
    for line in std::io::stdin().lines() {
        let answer = match line.unwrap().as_str() {
            "ready" => format!("{:?}", client.wait_ready(LONG)),
            "mark" => {
                fs::write("/proc/self/clear_refs", "5").unwrap();
                held = status("VmRSS");
                String::new()
            }
            "memory" => status("VmHWM").saturating_sub(held).to_string(),
            "value" => client.integer("f", &user, -1).to_string(),
            "override" => client.boolean("o", &user, false).to_string(),
            "evaluate" => {
                let evaluation = client.evaluate("f", &user, EvaluateOptions::new());
                evaluation.message().unwrap_or("no message").to_owned()
            }
            "track" => format!("{:?}", client.track("E", "u1", "{}")),
            "flush" => format!("{:?}", client.flush(LONG)),
            "refresh" => format!("{:?}", client.refresh(LONG)),
            "refresh for ever" => {
                let client = client.clone();
                std::thread::spawn(move || while client.refresh(LONG).is_ok() {});
                String::new()
            }
            "items" => String::new(),
            "state" => client.state().to_string(),
            other => panic!("{other}"),
        };
        // What was logged before the answer is reported before it.
        while let Some(item) = client.next_item(Duration::ZERO).unwrap() {
            match item {
                Item::Log { level, message, .. } => say(&format!("log {level:?} {message}")),
                Item::State { state, .. } => say(&format!("state {state}")),
                _ => {}
            }
        }
        say(&format!("answer {answer}"));
    }
    client.shutdown(Duration::ZERO).unwrap();
}

/// A line for the parent, which skips what the test harness prints.
fn say(line: &str) {
    println!("\n> {}", line.replace('\n', " "));
}

/// A number of /proc/self/status, in kB.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The parent's end.
pub(crate) struct Victim {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    /// The reports so far: `log Level MESSAGE`, `state STATE`.
    pub(crate) reports: Vec<String>,
}

impl Victim {
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, Command::new(std::env::current_exe().unwrap()))
    }

    /// `command` runs the test binary, perhaps in another environment.
    pub(crate) fn start_with(config: &str, mut command: Command) -> Self {
        // The test's path in its binary, which depends on where this file is included.
        let (_, module) = module_path!().split_once("::").unwrap();
        command
            .args([&format!("{module}::a_client"), "--exact", "--nocapture"])
            .env("MPFLAGS_VICTIM", config);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                if let Some(line) = line.strip_prefix("> ")
                    && sender.send(line.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Victim { child, stdin, lines, reports: Vec::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        writeln!(self.stdin, "{command}").unwrap();
        loop {
            let line = self.lines.recv_timeout(LONG * 2);
            let line = line.unwrap_or_else(|e| panic!("{command}: {e}; reported: {:#?}", self.reports));
            match line.strip_prefix("answer ") {
                Some(answer) => return answer.to_owned(),
                None => self.reports.push(line),
            }
        }
    }

    /// Waits for a report that begins with `start`, newer than the first `seen` ones.
    #[track_caller]
    pub(crate) fn wait(&mut self, start: &str, seen: usize) -> String {
        let deadline = Instant::now() + LONG;
        let mut at = seen;
        loop {
            while let Some(line) = self.reports.get(at) {
                if line.starts_with(start) {
                    return line.clone();
                }
                at += 1;
            }
            assert!(Instant::now() < deadline, "no report begins with `{start}`: {:#?}", self.reports);
            std::thread::sleep(Duration::from_millis(2));
            self.ask("items");
        }
    }

    /// The messages of the warnings after the first `seen` reports.
    pub(crate) fn warnings(&self, seen: usize) -> Vec<&str> {
        let reports = self.reports.iter().skip(seen);
        reports.filter_map(|line| line.strip_prefix("log Warning ")).collect()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
