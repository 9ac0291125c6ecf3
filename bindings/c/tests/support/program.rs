//! A C program that runs while the test changes what the server does.
#![allow(dead_code, reason = "every test uses its part")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// Enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

impl Program {
    pub(crate) fn start(path: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Program { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that begins with `start`, and skips others.
    pub(crate) fn expect(&mut self, start: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.starts_with(start) {
                        return line;
                    }
                }
                Err(error) => panic!("no line begins with `{start}` ({error}); seen: {:#?}", self.seen),
            }
        }
    }

    /// Every line so far.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: libc::c_int) {
        // SAFETY: it takes two numbers. The child has not been waited for, so the id is still its own.
        let failed = unsafe { libc::kill(self.child.id().cast_signed(), signal) };
        assert_eq!(failed, 0);
    }

    /// Waits until the program ends, and returns all lines.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut seen = std::mem::take(&mut self.seen);
                // A child of a fork may keep the pipe open for a moment.
                while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
                    seen.push(line);
                }
                return (status, seen);
            }
            assert!(Instant::now() < deadline, "the program does not end; seen: {:#?}", self.seen);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // For tests that fail; a program that has ended is not killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
