//! One flag of each type for a user, and those that change.
//!
//!     cargo run --example quickstart -- '{"token": "YOUR_PROJECT_TOKEN"}' 60

use std::error::Error;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, EvaluateOptions, Item, ValueType};

const FLAGS: [(&str, ValueType); 5] = [
    ("premium-chat", ValueType::Boolean),
    ("button-color", ValueType::String),
    ("search-page-size", ValueType::Integer),
    ("ranking-boost", ValueType::Double),
    ("banner", ValueType::Object),
];

fn main() -> Result<(), Box<dyn Error>> {
    let config = std::env::args().nth(1).ok_or("usage: quickstart CONFIG [SECONDS]")?;
    let seconds = std::env::args().nth(2).map_or(Ok(10), |seconds| seconds.parse())?;
    run(&config, Duration::from_secs(seconds), &mut io::stdout())
}

pub(crate) fn run(config: &str, time: Duration, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let client = Client::new(Config::from_json(config)?)?;
    client.start()?;
    client.wait_ready(Duration::from_secs(10))?;

    let user = r#"{"distinct_id": "user-1", "custom_properties": {"plan": "premium", "country": "FR"}}"#;
    let user = Context::from_json(user)?;
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
            let why = evaluation.message().unwrap_or("disabled, or not for this user");
            writeln!(out, "{key}: the default ({why})")
        }
    }
}
