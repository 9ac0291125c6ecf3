//! The program `mpflags-dev`: runs a server until a signal, or the end of standard input, stops it.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

mod arguments;
mod commands;
mod pull;
mod terminal;

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use std::{env, fs, thread};

use mpflags_dev::{Note, Options, Server, Severity};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Command, Serve};
use crate::commands::Output;
use crate::terminal::Colours;

/// Something was found, or the server could not start.
const FAILURE: u8 = 1;
/// Wrong arguments, or a file that cannot be read.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let command = match Command::parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(why) => {
            complain(&format!("mpflags-dev: {why}\nsee mpflags-dev --help\n"));
            return ExitCode::from(TROUBLE);
        }
    };
    let colours = Colours::new();
    let output = match &command {
        Command::Help(text) => Ok(Output { text: (*text).to_owned(), found: false }),
        Command::Version => Ok(Output {
            text: concat!("mpflags-dev ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
            found: false,
        }),
        Command::Check { files, json } => commands::check_files(files, *json, colours),
        Command::Eval { file, context, flag, json } => {
            commands::evaluate(file, context, flag.as_deref(), *json, colours)
        }
        Command::Explain { file, context, flag, json } => {
            commands::explain(file, context, flag, *json, colours)
        }
        Command::Diff { old, new, users, json } => commands::diff(old, new, *users, *json, colours),
        Command::Pull { file, project } => commands::pull(file, project),
        Command::Serve(serve) => {
            return match run(serve, colours) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    complain(&format!("mpflags-dev: {error}\n"));
                    ExitCode::from(FAILURE)
                }
            };
        }
    };
    match output {
        Ok(output) => match io::stdout().write_all(output.text.as_bytes()) {
            Ok(()) if !output.found => ExitCode::SUCCESS,
            _ => ExitCode::from(FAILURE),
        },
        Err(why) => {
            complain(&format!("mpflags-dev: {why}\n"));
            ExitCode::from(TROUBLE)
        }
    }
}

/// Prints to standard error. If that fails, there is nowhere to report it.
fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn run(arguments: &Serve, colours: Colours) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (end, mut ended) = tokio::sync::mpsc::channel::<()>(1);
    // Before the addresses are printed, because a reader of them may send a signal at once.
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let _entered = runtime.enter();
        let mut signal = signal(kind)?;
        let end = end.clone();
        runtime.spawn(async move {
            signal.recv().await;
            let _ = end.send(()).await;
        });
    }
    let (printer, receiver) = mpsc::channel();
    let lines = arguments.verbose.then(|| printer.clone());
    let (notes, noted) = mpsc::channel();
    let server = Server::start(Options { lines, notes: Some(notes), ..arguments.options.clone() })?;
    let announcement = announcement(&server, &arguments.options, arguments.ca_file.as_deref())?;
    if let (Some(file), Some(pem)) = (&arguments.ca_file, server.ca_pem()) {
        write_whole("CA file", file, pem)?;
    }
    if let Some(file) = &arguments.port_file {
        write_whole("port file", file, &format!("{}\n", server.addr().port()))?;
    }
    // In one piece: a reader may close its end after the second line.
    io::stdout().write_all(announcement.as_bytes())?;
    let printing = print(receiver)?;
    thread::Builder::new().name("mpflags-dev-notes".to_owned()).spawn(move || {
        // It fails if nobody prints any more.
        noted.iter().try_for_each(|note| printer.send(shown(&note, colours)))
    })?;
    if arguments.stop_with_stdin {
        thread::Builder::new().name("mpflags-dev-stdin".to_owned()).spawn(move || {
            let mut buffer = [0; 1024];
            while !matches!(io::stdin().read(&mut buffer), Ok(0) | Err(_)) {}
            let _ = end.blocking_send(());
        })?;
    } else {
        // The signal handlers keep their senders.
        drop(end);
    }
    runtime.block_on(ended.recv());
    drop(server);
    // Print the lines of the last requests, but do not wait for a blocked reader.
    let _ = printing.recv_timeout(Duration::from_secs(1));
    // The thread that reads standard input may still be blocked; it ends with the process.
    runtime.shutdown_background();
    Ok(())
}

/// The addresses, in the two lines that scripts read, and the configuration of a client for people to paste.
fn announcement(server: &Server, options: &Options, ca_file: Option<&Path>) -> io::Result<String> {
    let flags = match server.flag_count()? {
        1 => "1 flag".to_owned(),
        count => format!("{count} flags"),
    };
    let accepted = match (&options.token, &options.service_account) {
        (Some(token), _) => format!("the token {token}"),
        (None, Some(account)) => format!("the service account {}", account.username),
        (None, None) => "any token".to_owned(),
    };
    // A JSON string is a literal in the other languages, too.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let token = quoted(options.token.as_deref().unwrap_or("demo"));
    let host = quoted(&server.url());
    let ca_file = ca_file.map(|file| quoted(&file.display().to_string()));
    let ca = |before: &str, after: &str| match &ca_file {
        Some(file) => format!("{before}{file}{after}"),
        None => String::new(),
    };
    let json = format!(r#"{{"token": {token}, "api_host": {host}{}}}"#, ca(r#", "ca_file": "#, ""));
    let c = quoted(&json);
    let cpp = format!(r#"{{{{"token", {token}}}, {{"api_host", {host}}}{}}}"#, ca(r#", {"ca_file", "#, "}"));
    let go = format!("mpflags.New({token}, mpflags.WithAPIHost({host}){})", ca(", mpflags.WithCAFile(", ")"));
    let python = format!(
        "MixpanelProvider.from_local_config({token}, LocalFlagsConfig(api_host={host}{}))",
        ca(", ca_file=", "")
    );
    let rust = format!("mpflags::Config::builder({token}).api_host({host}){}.build()?", ca(".ca_file(", ")"));
    let page = server.control_url().unwrap_or_default();
    Ok(format!(
        "\
mpflags-dev listening on {}
mpflags-dev control on {}
{flags}; accepts {accepted}; the configuration of a client:
  JSON    {json}
  C       {c}
  C++     mpflags::Client client({cpp});
  Go      {go}
  Python  {python}
  Rust    {rust}
{page} shows the flags, who gets what, and events as they arrive

",
        server.url(),
        server.control_url().unwrap_or_default(),
    ))
}

/// A line about the definitions.
fn shown(note: &Note, colours: Colours) -> String {
    let text: String =
        note.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match note {
        Note::Finding(finding) if finding.severity == Severity::Error => {
            format!("{} {text}\n", colours.bad("definitions: error:"))
        }
        Note::Finding(_) => format!("{} {text}\n", colours.warning("definitions: warning:")),
        Note::Trouble(_) => format!("{} {text}\n", colours.bad("definitions:")),
        _ => format!("{} {text}\n", colours.good("definitions:")),
    }
}

/// Prints in a thread, so that a blocked terminal does not block the server. The returned channel closes once everything
/// is printed, after the server is gone.
fn print(lines: Receiver<String>) -> io::Result<Receiver<()>> {
    let (printing, printed) = mpsc::channel();
    thread::Builder::new().name("mpflags-dev-print".to_owned()).spawn(move || {
        let _printing = printing;
        for text in lines {
            let mut out = io::stdout().lock();
            if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    })?;
    Ok(printed)
}

/// Writes a file under a temporary name and renames it: a script that waits for it never reads half of it.
fn write_whole(what: &str, file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{what} {}: {error}", file.display()));
    fs::write(&part, text).map_err(named)?;
    fs::rename(&part, file).map_err(named)
}
