//! The command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};
use mpflags_dev::{EventLog, Options, ServiceAccount, Tls};

use crate::pull::Project;

pub(crate) const HELP: &str = "\
mpflags-dev is a stand-in for Mixpanel: it serves flags, records events, and fails on demand.

  mpflags-dev [serve] [FILE] [OPTION...]   serve the definitions in FILE, and a page that shows what happens
  mpflags-dev check FILE...                find mistakes in definitions
  mpflags-dev eval FILE --context JSON     show what a user gets: of all flags, or of --flag KEY
  mpflags-dev explain FILE --flag KEY --context JSON
                                           show why
  mpflags-dev diff A B                     show which flags differ, and how many users change variant
  mpflags-dev pull FILE --token T          fetch a project's definitions from Mixpanel into FILE

  --json     print JSON (check, eval, explain, diff)
  --users N  users to compare (diff); 10000 is the default
  --service-account USER:SECRET --project-id P, --api-host URL, --ca-file FILE
             other credentials and another server (pull)
  --version  print the version
  --help     print this; mpflags-dev serve --help lists the options of the server
";

pub(crate) const SERVE_HELP: &str = "\
mpflags-dev [serve] [FILE] [OPTION...]

  --definitions FILE             the same as FILE; it is read again for each request
  --port N, --control-port N     listen on these ports; 0, the default, picks a free one
  --host ADDRESS                 listen on this address, such as 0.0.0.0 in a container; needs --token
  --ipv6                         listen on [::1] as well
  --token T                      require this project token
  --header-only                  refuse requests with a token in the query
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

const COMMANDS: [&str; 6] = ["serve", "check", "eval", "explain", "diff", "pull"];

pub(crate) enum Command {
    Help(&'static str),
    Version,
    Serve(Box<Serve>),
    Check { files: Vec<PathBuf>, json: bool },
    Eval { file: PathBuf, context: String, flag: Option<String>, json: bool },
    Explain { file: PathBuf, context: String, flag: String, json: bool },
    Diff { old: PathBuf, new: PathBuf, users: usize, json: bool },
    Pull { file: PathBuf, project: Project },
}

#[derive(Default)]
pub(crate) struct Serve {
    pub(crate) options: Options,
    pub(crate) port_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    pub(crate) stop_with_stdin: bool,
    pub(crate) verbose: bool,
}

impl Command {
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut arguments = arguments.peekable();
        let command = arguments
            .next_if(|first| first.to_str().is_some_and(|first| COMMANDS.contains(&first)))
            .and_then(|first| first.into_string().ok());
        let parser = Parser::from_args(arguments);
        match command.as_deref() {
            None | Some("serve") => serve(parser, command.is_some()),
            Some("pull") => pull(parser),
            Some(command) => query(command, parser),
        }
    }
}

/// The next argument, with errors in our words.
fn next(parser: &mut Parser) -> Result<Option<Arg<'_>>, String> {
    parser.next().map_err(|error| match error {
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option} takes no value"),
        other => other.to_string(),
    })
}

fn value(parser: &mut Parser, name: &str) -> Result<String, String> {
    let value = parser.value().map_err(|_| format!("{name} needs a value"))?;
    value.string().map_err(|_| format!("{name}: not valid UTF-8"))
}

fn port(parser: &mut Parser, name: &str) -> Result<u16, String> {
    let text = value(parser, name)?;
    text.parse().map_err(|_| format!("{name}: expected a port from 0 to 65535, got {text}"))
}

fn owned(argument: &Arg<'_>) -> String {
    match argument {
        Arg::Long(name) => format!("--{name}"),
        Arg::Short(name) => format!("-{name}"),
        Arg::Value(text) => text.to_string_lossy().into_owned(),
    }
}

fn serve(mut parser: Parser, named: bool) -> Result<Command, String> {
    let mut serve =
        Serve { options: Options { control_port: Some(0), ..Options::default() }, ..Serve::default() };
    while let Some(argument) = next(&mut parser)? {
        let name = owned(&argument);
        let is_file = matches!(argument, Arg::Value(_));
        let options = &mut serve.options;
        match name.as_str() {
            _ if is_file => {
                // A mistyped command is not a file.
                if !named && !name.contains(['.', '/']) {
                    return Err(format!("unknown argument {name}: the commands are {}", COMMANDS.join(", ")));
                }
                if options.definitions.replace(name.into()).is_some() {
                    return Err("only one file can be served".to_owned());
                }
            }
            "--definitions" => options.definitions = Some(value(&mut parser, &name)?.into()),
            "--port" => options.port = port(&mut parser, &name)?,
            "--control-port" => options.control_port = Some(port(&mut parser, &name)?),
            "--host" => options.host = host(&value(&mut parser, &name)?)?,
            "--token" => options.token = Some(value(&mut parser, &name)?),
            "--service-account" => {
                options.service_account = Some(service_account(&value(&mut parser, &name)?)?);
            }
            "--project-id" => options.project_id = Some(value(&mut parser, &name)?),
            "--port-file" => serve.port_file = Some(value(&mut parser, &name)?.into()),
            "--tls" => options.tls = Some(tls(&value(&mut parser, &name)?)?),
            "--certificate" => serve.certificate = Some(value(&mut parser, &name)?.into()),
            "--key" => serve.key = Some(value(&mut parser, &name)?.into()),
            "--ca-file" => serve.ca_file = Some(value(&mut parser, &name)?.into()),
            "--events" => options.events = event_log(&value(&mut parser, &name)?)?,
            "--header-only" => options.header_only = true,
            "--ipv6" => options.ipv6 = true,
            "--stop-with-stdin" => serve.stop_with_stdin = true,
            "--verbose" => serve.verbose = true,
            "--version" | "-V" => return Ok(Command::Version),
            "--help" | "-h" => return Ok(Command::Help(if named { SERVE_HELP } else { HELP })),
            _ => return Err(format!("unknown argument {name}: mpflags-dev serve --help lists the options")),
        }
    }
    serve.options.certificate = match (serve.certificate.take(), serve.key.take()) {
        (Some(_), Some(_)) if serve.options.tls.is_some() => {
            return Err("--certificate and --tls exclude each other".to_owned());
        }
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("--certificate and --key must be given together".to_owned()),
    };
    let secure = serve.options.tls.is_some() || serve.options.certificate.is_some();
    if serve.ca_file.is_some() && !secure {
        return Err("--ca-file needs --tls or --certificate".to_owned());
    }
    if !serve.options.host.is_loopback() && serve.options.token.is_none() {
        return Err("--host: other machines reach this address, so --token is needed as well".to_owned());
    }
    Ok(Command::Serve(Box::new(serve)))
}

/// The commands that read files and end.
fn query(command: &str, mut parser: Parser) -> Result<Command, String> {
    let (mut files, mut json, mut context, mut flag, mut users) = (Vec::new(), false, None, None, 10_000);
    while let Some(argument) = next(&mut parser)? {
        let name = owned(&argument);
        let is_file = matches!(argument, Arg::Value(_));
        let asks = matches!(command, "eval" | "explain");
        match name.as_str() {
            _ if is_file => files.push(PathBuf::from(name)),
            "--json" => json = true,
            "--context" if asks => context = Some(value(&mut parser, &name)?),
            "--flag" if asks => flag = Some(value(&mut parser, &name)?),
            "--users" if command == "diff" => {
                let text = value(&mut parser, &name)?;
                users = text.parse().map_err(|_| format!("--users: expected a number, got {text}"))?;
            }
            "--version" | "-V" => return Ok(Command::Version),
            "--help" | "-h" => return Ok(Command::Help(HELP)),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    let context = || {
        context.ok_or_else(|| {
            format!("{command} needs --context, such as --context '{{\"distinct_id\":\"user-1\"}}'")
        })
    };
    let mut files = files.into_iter();
    let mut file = || files.next().ok_or_else(|| format!("{command} needs a file"));
    let parsed = match command {
        "check" => Command::Check { files: std::iter::once(file()?).chain(files.by_ref()).collect(), json },
        "eval" => Command::Eval { file: file()?, context: context()?, flag, json },
        "explain" => {
            let flag = flag.ok_or("explain needs --flag KEY")?;
            Command::Explain { file: file()?, context: context()?, flag, json }
        }
        _ => {
            let old = file()?;
            let new = files.next().ok_or("diff needs two files")?;
            Command::Diff { old, new, users, json }
        }
    };
    match files.next() {
        Some(extra) => Err(format!("unknown argument {}", extra.display())),
        None => Ok(parsed),
    }
}

fn pull(mut parser: Parser) -> Result<Command, String> {
    let (mut file, mut token, mut account, mut id) = (None, None, None, None);
    let mut project = Project::default();
    while let Some(argument) = next(&mut parser)? {
        let name = owned(&argument);
        let is_file = matches!(argument, Arg::Value(_));
        match name.as_str() {
            _ if is_file && file.is_none() => file = Some(PathBuf::from(name)),
            "--token" => token = Some(value(&mut parser, &name)?),
            "--service-account" => account = Some(service_account(&value(&mut parser, &name)?)?),
            "--project-id" => id = Some(value(&mut parser, &name)?),
            "--api-host" => project.api_host = Some(value(&mut parser, &name)?),
            "--ca-file" => project.ca_file = Some(value(&mut parser, &name)?),
            "--help" | "-h" => return Ok(Command::Help(HELP)),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    project.token = token.ok_or("pull needs --token")?;
    project.service_account = match (account, id) {
        (Some(account), Some(id)) => Some((account.username, account.secret, id)),
        (None, None) => None,
        _ => return Err("--service-account and --project-id must be given together".to_owned()),
    };
    Ok(Command::Pull { file: file.ok_or("pull needs a file to write")?, project })
}

fn host(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("--host: expected an address such as 0.0.0.0, got {text}"))
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
