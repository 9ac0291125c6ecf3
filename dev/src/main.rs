//! The program `mpflags-dev`: the stand-in on a port, until it is told to end.
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

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use std::{env, fs, thread};

use mpflags_dev::{EventLog, Options, Server, ServiceAccount, Tls};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
usage: mpflags-dev [--definitions FILE] [--port N] [--control-port N] [--ipv6]
                   [--token T] [--service-account USER:SECRET] [--project-id P]
                   [--tls good|expired|wrong-name|self-signed] [--ca-file OUT]
                   [--certificate FILE --key FILE]
                   [--events keep|count] [--verbose] [--port-file FILE] [--stop-with-stdin]

  --definitions FILE             served at /flags/definitions, read anew for each request
  --port N, --control-port N     0, the default, takes a free one
  --ipv6                         listens on [::1] too
  --token T                      asks for this project token
  --service-account USER:SECRET  lets this service account in
  --project-id P                 asks a service account for this project
  --tls good|expired|wrong-name|self-signed
                                 speaks https, with such a certificate
  --certificate FILE, --key FILE speaks https with this certificate, PEM
  --ca-file OUT                  gets the certificate to trust, before the port is announced
  --events keep|count            count: for load runs, events are not kept
  --verbose                      a line for each request, and for each of its events
  --port-file FILE               gets the port when the server listens
  --stop-with-stdin              ends when its standard input closes
";

#[derive(Default)]
struct Arguments {
    options: Options,
    port_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    stop_with_stdin: bool,
    verbose: bool,
    help: bool,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut parsed =
            Self { options: Options { control_port: Some(0), ..Options::default() }, ..Self::default() };
        let mut arguments = arguments.map(|argument| {
            argument.into_string().map_err(|argument| format!("{}: no UTF-8", argument.display()))
        });
        while let Some(argument) = arguments.next() {
            let argument = argument?;
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            let given = inline.is_some();
            let mut value = || match inline.clone().map(Ok).or_else(|| arguments.next()) {
                Some(value) => value,
                None => Err(format!("{name} needs a value")),
            };
            let port = |text: String| text.parse().map_err(|_| format!("{name}: no port: {text}"));
            let options = &mut parsed.options;
            match name {
                "--definitions" => options.definitions = Some(value()?.into()),
                "--port" => options.port = port(value()?)?,
                "--control-port" => options.control_port = Some(port(value()?)?),
                "--token" => options.token = Some(value()?),
                "--service-account" => options.service_account = Some(service_account(&value()?)?),
                "--project-id" => options.project_id = Some(value()?),
                "--port-file" => parsed.port_file = Some(value()?.into()),
                "--tls" => options.tls = Some(tls(&value()?)?),
                "--certificate" => parsed.certificate = Some(value()?.into()),
                "--key" => parsed.key = Some(value()?.into()),
                "--ca-file" => parsed.ca_file = Some(value()?.into()),
                "--events" => options.events = event_log(&value()?)?,
                "--ipv6" | "--stop-with-stdin" | "--verbose" | "--help" | "-h" if given => {
                    return Err(format!("{name} takes no value"));
                }
                "--ipv6" => options.ipv6 = true,
                "--stop-with-stdin" => parsed.stop_with_stdin = true,
                "--verbose" => parsed.verbose = true,
                "--help" | "-h" => parsed.help = true,
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        parsed.options.certificate = match (parsed.certificate.take(), parsed.key.take()) {
            (Some(_), Some(_)) if parsed.options.tls.is_some() => {
                return Err("--certificate: not beside --tls".to_owned());
            }
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("--certificate and --key need each other".to_owned()),
        };
        let secure = parsed.options.tls.is_some() || parsed.options.certificate.is_some();
        if parsed.ca_file.is_some() && !secure {
            return Err("--ca-file needs --tls".to_owned());
        }
        Ok(parsed)
    }
}

fn tls(text: &str) -> Result<Tls, String> {
    match text {
        "good" => Ok(Tls::Good),
        "expired" => Ok(Tls::Expired),
        "wrong-name" => Ok(Tls::WrongName),
        "self-signed" => Ok(Tls::SelfSigned),
        other => Err(format!("--tls: good, expired, wrong-name or self-signed, not {other}")),
    }
}

fn service_account(text: &str) -> Result<ServiceAccount, String> {
    match text.split_once(':') {
        Some((username, secret)) => {
            Ok(ServiceAccount { username: username.to_owned(), secret: secret.to_owned() })
        }
        // The text may be a secret; it is not repeated.
        None => Err("--service-account: no USER:SECRET".to_owned()),
    }
}

fn event_log(text: &str) -> Result<EventLog, String> {
    match text {
        "keep" => Ok(EventLog::Keep),
        "count" => Ok(EventLog::Count),
        other => Err(format!("--events: keep or count, not {other}")),
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            say(&format!("mpflags-dev: {why}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    if arguments.help {
        return match io::stdout().write_all(USAGE.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("mpflags-dev: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// To standard error; without one there is nobody to tell.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn run(mut arguments: Arguments) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (end, mut ended) = tokio::sync::mpsc::channel::<()>(1);
    // Before the line that tells others that they may end us.
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let _entered = runtime.enter();
        let mut signal = signal(kind)?;
        let end = end.clone();
        runtime.spawn(async move {
            signal.recv().await;
            let _ = end.send(()).await;
        });
    }
    let lines = arguments.verbose.then(|| {
        let (send, receive) = mpsc::channel();
        arguments.options.lines = Some(send);
        receive
    });
    let server = Server::start(arguments.options)?;
    if let (Some(file), Some(pem)) = (&arguments.ca_file, server.ca_pem()) {
        write_whole("CA file", file, pem)?;
    }
    if let Some(file) = &arguments.port_file {
        write_whole("port file", file, &format!("{}\n", server.addr().port()))?;
    }
    announce(&server)?;
    let printing = lines.map(print).transpose()?;
    if arguments.stop_with_stdin {
        thread::Builder::new().name("mpflags-dev-stdin".to_owned()).spawn(move || {
            let mut buffer = [0; 1024];
            while !matches!(io::stdin().read(&mut buffer), Ok(0) | Err(_)) {}
            let _ = end.blocking_send(());
        })?;
    } else {
        // The signals keep theirs.
        drop(end);
    }
    runtime.block_on(ended.recv());
    drop(server);
    if let Some(printed) = printing {
        // What the last requests said. A reader that stands still does not keep the program from ending.
        let _ = printed.recv_timeout(Duration::from_secs(1));
    }
    // The thread at standard input may be waiting still; it goes with the process.
    runtime.shutdown_background();
    Ok(())
}

fn announce(server: &Server) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "mpflags-dev listening on {}", server.url())?;
    if let Some(url) = server.control_url() {
        writeln!(out, "mpflags-dev control on {url}")?;
    }
    out.flush()
}

/// In a thread of its own: a terminal that stands still does not hold the server up. What is returned hangs up when all
/// is printed, some time after the server has gone.
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

/// A script that waits for the file never reads half of it.
fn write_whole(what: &str, file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{what} {}: {error}", file.display()));
    fs::write(&part, text).map_err(named)?;
    fs::rename(&part, file).map_err(named)
}
