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

  --definitions FILE             serve FILE at /flags/definitions, and read it again for each request
  --port N, --control-port N     listen on these ports; 0, the default, picks a free one
  --ipv6                         listen on [::1] as well
  --token T                      require this project token
  --service-account USER:SECRET  accept this service account
  --project-id P                 require this project from service accounts
  --tls good|expired|wrong-name|self-signed
                                 serve https with such a certificate
  --certificate FILE, --key FILE serve https with this certificate and key, PEM
  --ca-file OUT                  write the certificate to trust to OUT before listening
  --events keep|count            keep events (the default), or only count them, for load tests
  --verbose                      print a line for each request and each of its events
  --port-file FILE               write the port to FILE once the server listens
  --stop-with-stdin              exit when standard input closes
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
            argument.into_string().map_err(|argument| format!("{}: not valid UTF-8", argument.display()))
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
            let port = |text: String| {
                text.parse().map_err(|_| format!("{name}: expected a port from 0 to 65535, got {text}"))
            };
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
                return Err("--certificate and --tls exclude each other".to_owned());
            }
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("--certificate and --key must be given together".to_owned()),
        };
        let secure = parsed.options.tls.is_some() || parsed.options.certificate.is_some();
        if parsed.ca_file.is_some() && !secure {
            return Err("--ca-file needs --tls or --certificate".to_owned());
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
        other => Err(format!("--tls: expected good, expired, wrong-name or self-signed, got {other}")),
    }
}

fn service_account(text: &str) -> Result<ServiceAccount, String> {
    match text.split_once(':') {
        Some((username, secret)) => {
            Ok(ServiceAccount { username: username.to_owned(), secret: secret.to_owned() })
        }
        // The text may be a secret, so it is not repeated.
        None => Err("--service-account: expected USER:SECRET".to_owned()),
    }
}

fn event_log(text: &str) -> Result<EventLog, String> {
    match text {
        "keep" => Ok(EventLog::Keep),
        "count" => Ok(EventLog::Count),
        other => Err(format!("--events: expected keep or count, got {other}")),
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            complain(&format!("mpflags-dev: {why}\n{USAGE}"));
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
            complain(&format!("mpflags-dev: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard error. If that fails, there is nowhere to report it.
fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn run(arguments: Arguments) -> io::Result<()> {
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
    let (lines, receiver) = arguments.verbose.then(mpsc::channel).unzip();
    let server = Server::start(Options { lines, ..arguments.options.clone() })?;
    let announcement = announcement(&server, &arguments.options, arguments.ca_file.as_deref())?;
    if let (Some(file), Some(pem)) = (&arguments.ca_file, server.ca_pem()) {
        write_whole("CA file", file, pem)?;
    }
    if let Some(file) = &arguments.port_file {
        write_whole("port file", file, &format!("{}\n", server.addr().port()))?;
    }
    // In one piece: a reader may close its end after the second line.
    io::stdout().write_all(announcement.as_bytes())?;
    let printing = receiver.map(print).transpose()?;
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
    if let Some(printed) = printing {
        // Print the lines of the last requests, but do not wait for a blocked reader.
        let _ = printed.recv_timeout(Duration::from_secs(1));
    }
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
    let python = format!("mpflags.Client.local({token}, api_host={host}{})", ca(", ca_file=", ""));
    let rust = format!("mpflags::Config::builder({token}).api_host({host}){}.build()?", ca(".ca_file(", ")"));
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

",
        server.url(),
        server.control_url().unwrap_or_default(),
    ))
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
