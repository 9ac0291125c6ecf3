//! Runs the examples against mpflags-dev with its sample definitions.

#[cfg(feature = "openfeature")]
#[allow(dead_code, reason = "its main takes arguments")]
#[path = "../../examples/openfeature.rs"]
mod openfeature;
#[allow(dead_code, reason = "its main takes arguments")]
#[path = "../../examples/quickstart.rs"]
mod quickstart;

use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use mpflags::Config;
use mpflags_dev::{Options, Server};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/samples/definitions.json");

fn server() -> Server {
    let server = Server::start(Options { token: Some("T".to_owned()), ..Options::default() }).unwrap();
    server.set_definitions(fs::read(SAMPLES).unwrap());
    server
}

fn shown(server: &Server) -> Vec<String> {
    let name =
        |event: &mpflags_dev::Event| event.json["properties"]["Experiment name"].as_str().map(str::to_owned);
    let mut shown: Vec<String> = server.events().iter().filter_map(name).collect();
    shown.sort();
    shown
}

/// Changes a definition after the first flags were printed, and ends the example when the change was.
struct Changes<'a> {
    server: &'a Server,
    text: String,
}

impl Write for Changes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.push_str(std::str::from_utf8(bytes).unwrap());
        if self.text.contains("search-page-size: 500 ") {
            return Err(io::Error::other("seen"));
        }
        if bytes.contains(&b'\n') && self.text.contains("banner: ") {
            let changed = fs::read_to_string(SAMPLES).unwrap().replace("\"value\": 50,", "\"value\": 500,");
            self.server.set_definitions(changed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_quickstart_shows_flags_and_what_changes() {
    let server = server();
    let config = |token: &str| {
        let config =
            Config::builder(token).api_host(server.url()).polling_interval(Duration::from_millis(50));
        config.build().unwrap()
    };
    let mut out = Changes { server: &server, text: String::new() };
    let ended = quickstart::run(config("T"), Duration::from_secs(60), &mut out);
    assert_eq!(ended.unwrap_err().to_string(), "seen", "{}", out.text);
    for line in
        ["premium-chat: true (", "button-color: \"#", "ranking-boost: ", "banner: {", "the client is READY\n"]
    {
        assert!(out.text.contains(line), "{}", out.text);
    }
    // To its end.
    server.clear_events();
    let mut out = Vec::new();
    quickstart::run(config("T"), Duration::ZERO, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().ends_with("\n0 events were not delivered\n"));
    assert!(shown(&server).contains(&"premium-chat".to_owned()), "{:?}", shown(&server));
    let refused = quickstart::run(config("X"), Duration::ZERO, &mut Vec::new()).unwrap_err();
    let why = refused.to_string();
    assert!(why.starts_with("Mixpanel refused the credentials: HTTP 401 from 127.0.0.1:"), "{why}");
}

#[cfg(feature = "openfeature")]
#[test]
fn the_openfeature_example_works() {
    let server = server();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(openfeature::run("T", &server.url())).unwrap();
    assert_eq!(shown(&server), ["button-color", "premium-chat"]);
    let refused = runtime.block_on(openfeature::run("X", &server.url())).unwrap_err();
    let why = refused.to_string();
    assert!(why.starts_with("Mixpanel refused the credentials: HTTP 401 from 127.0.0.1:"), "{why}");
}
