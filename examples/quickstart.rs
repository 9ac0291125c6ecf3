//! Evaluates a flag of each type for a user, and prints the ones that change.
//!
//!     cargo run --example quickstart -- YOUR_PROJECT_TOKEN [API_HOST]

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, EvaluateOptions, Item, ValueType};
use serde_json::json;

const FLAGS: [(&str, ValueType); 5] = [
    ("premium-chat", ValueType::Boolean),
    ("button-color", ValueType::String),
    ("search-page-size", ValueType::Integer),
    ("ranking-boost", ValueType::Double),
    ("banner", ValueType::Object),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let token = arguments.next().ok_or("usage: quickstart TOKEN [API_HOST]")?;
    let api_host = arguments.next().unwrap_or_else(|| "api.mixpanel.com".to_owned());
    let config =
        Config::builder(&token).api_host(&api_host).polling_interval(Duration::from_secs(2)).build()?;
    run(config, Duration::from_secs(60), &mut io::stdout())
}

pub(crate) fn run(config: Config, time: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let client = Client::new(config)?;
    client.start()?;
    client.wait_ready(Duration::from_secs(10))?;

    let user = Context::new(&json!({
        "distinct_id": "user-1",
        "custom_properties": {"plan": "premium", "country": "FR"},
    }))?;
    for (key, wanted) in FLAGS {
        show(&client, &user, key, wanted, out)?;
    }

    let end = Instant::now() + time;
    while Instant::now() < end {
        match client.next_item(end.saturating_duration_since(Instant::now()))? {
            Some(Item::Change { keys }) => {
                for (key, wanted) in FLAGS.into_iter().filter(|(key, _)| keys.iter().any(|k| k == key)) {
                    show(&client, &user, key, wanted, out)?;
                }
            }
            Some(Item::State { state, .. }) => writeln!(out, "the client is {state}")?,
            Some(Item::Log { message, .. }) => writeln!(out, "log: {message}")?,
            _ => {}
        }
    }

    // Delivers the exposures.
    let lost = client.shutdown(Duration::from_secs(5))?;
    writeln!(out, "{lost} events were not delivered")?;
    Ok(())
}

fn show(
    client: &Client,
    user: &Context,
    key: &str,
    wanted: ValueType,
    out: &mut dyn Write,
) -> io::Result<()> {
    let evaluation = client.evaluate(key, user, EvaluateOptions::new().value_type(wanted));
    match (evaluation.json(), evaluation.variant()) {
        (Some(json), Some(variant)) => writeln!(out, "{key}: {json} ({variant}, {})", evaluation.reason()),
        _ => {
            let why = evaluation.message().unwrap_or("disabled, or no rollout admits this user");
            writeln!(out, "{key}: the default ({why})")
        }
    }
}
