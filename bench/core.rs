//! The core's own benchmarks, through its public API: `cargo bench`, or `cargo bench -- NAME`.
//!
//! The cases are sampled in turn, so that a slow phase of the machine affects all of them. The table shows medians and
//! quartiles. It needs no framework: what criterion would add, `bench/run.py` does across processes and languages.
//!
//! | case | measures |
//! | --- | --- |
//! | bucket | one hash of a subject and a salt, 40 bytes |
//! | rule-eq, rule-and5 | an evaluation with a parsed context: lookup, rule, one hash |
//! | context-5, context-500 | parsing a context to keep it |
//! | json-eq, json-and5, json-500 | an evaluation that parses its context from JSON |
//! | load | configuration with 1,000 flags → client |
//! | all | every variant of 1,000 flags |
//! | table-eq, table-eq-plain, table-and5 | a row of a table, with `--features arrow`; plain: strings that are not dictionaries |
//! | rows-eq, rows-and5 | the same row as JSON, evaluated alone |

#[cfg(feature = "arrow")]
mod table;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mpflags::{Client, Config, Context, EvaluateOptions, Reason, ValueType, bucket};

const SAMPLE: Duration = Duration::from_millis(10);
const ROUNDS: usize = 31;

/// A name, the results of a call, and the call.
type Case = (&'static str, usize, Box<dyn Fn()>);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let timed = arguments.iter().any(|argument| argument == "--bench");
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let mut cases = cases();
    cases.retain(|(name, ..)| names.is_empty() || names.iter().any(|wanted| name.contains(wanted.as_str())));
    if timed {
        table(&cases);
    } else {
        // `cargo test --benches` only checks that they run.
        cases.iter().for_each(|(_, _, run)| run());
    }
}

fn cases() -> Vec<Case> {
    let workload = workload();
    let read = |name: &str| fs::read_to_string(workload.join(name)).expect(name);
    let config = read("config.json");
    let json = read("context.json");
    let json_500 = read("context-500.json");
    let new_client =
        |config: &str| Client::new(Config::from_json(config).expect("a configuration")).expect("a client");
    let new_context = |json: &str| Context::from_json(json).expect("a context");
    let client = || {
        let client = new_client(&config);
        for (key, json) in [("bench-eq", &json), ("bench-and5", &json), ("bench-eq", &json_500)] {
            let evaluation =
                client.evaluate_json(key, json, EvaluateOptions::new().value_type(ValueType::Boolean));
            assert_eq!(evaluation.reason(), Reason::TargetingMatch, "{key}");
        }
        client
    };
    let by_handle = |key: &'static str| -> Box<dyn Fn()> {
        let (client, context) = (client(), new_context(&json));
        Box::new(move || {
            black_box(client.boolean(black_box(key), &context, false));
        })
    };
    let by_json = |key: &'static str, json: &str| -> Box<dyn Fn()> {
        let (client, json) = (client(), json.to_owned());
        Box::new(move || {
            black_box(client.evaluate_json(
                black_box(key),
                &json,
                EvaluateOptions::new().value_type(ValueType::Boolean),
            ));
        })
    };
    let parse = |json: &str| -> Box<dyn Fn()> {
        let json = json.to_owned();
        Box::new(move || {
            black_box(Context::from_json(black_box(&json)).expect("a context"));
        })
    };
    let all: Box<dyn Fn()> = {
        let (client, context) = (client(), new_context(&json));
        Box::new(move || {
            black_box(client.evaluate_all(&context, EvaluateOptions::new()));
        })
    };
    let load: Box<dyn Fn()> = {
        let config = config.clone();
        // Includes freeing what was loaded, as a poll does.
        Box::new(move || drop(black_box(new_client(&config))))
    };
    let hash = || {
        black_box(bucket(black_box("user-00012345678"), black_box("checkout-banner-00010123")));
    };
    let cases: Vec<Case> = vec![
        ("bucket", 1, Box::new(hash)),
        ("rule-eq", 1, by_handle("bench-eq")),
        ("rule-and5", 1, by_handle("bench-and5")),
        ("context-5", 1, parse(&json)),
        ("context-500", 1, parse(&json_500)),
        ("json-eq", 1, by_json("bench-eq", &json)),
        ("json-and5", 1, by_json("bench-and5", &json)),
        ("json-500", 1, by_json("bench-eq", &json_500)),
        ("load", 1, load),
        ("all", 1, all),
    ];
    #[cfg(feature = "arrow")]
    let cases = cases.into_iter().chain(table::cases(&client)).collect();
    cases
}

/// The folder with the files of bench/workload.py, which runs first.
fn workload() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = root.join("build/bench");
    let written = Command::new("python3").arg(root.join("bench/workload.py")).arg(&directory).status();
    assert!(
        written.is_ok_and(|status| status.success()) || directory.join("config.json").exists(),
        "python3 bench/workload.py build/bench failed, which writes the definitions"
    );
    directory
}

/// Calls `run` for `at_least`. Returns the number of calls and the time they took.
fn sample(run: &dyn Fn(), at_least: Duration) -> (u64, Duration) {
    let mut batch = 1;
    loop {
        let start = Instant::now();
        (0..batch).for_each(|_| run());
        let took = start.elapsed();
        if took >= at_least {
            return (batch, took);
        }
        // A batch that was too short calibrates the next. One that is too long does no harm.
        let factor = at_least.as_secs_f64() / took.as_secs_f64().max(1e-9);
        batch = (batch as f64 * (factor * 1.1).clamp(1.5, 100.0)).ceil() as u64;
    }
}

fn table(cases: &[Case]) {
    let mut samples: Vec<Vec<f64>> = vec![Vec::with_capacity(ROUNDS); cases.len()];
    for round in 0..=ROUNDS {
        for ((_, results, run), samples) in cases.iter().zip(&mut samples) {
            let (calls, took) = sample(&**run, SAMPLE);
            // The first round warms up.
            if round > 0 {
                samples.push(took.as_nanos() as f64 / (calls as f64 * *results as f64));
            }
        }
    }
    println!("{:<14} {:>12} {:>12} {:>12}", "case", "median", "p25", "p75");
    for ((name, ..), samples) in cases.iter().zip(&mut samples) {
        samples.sort_by(f64::total_cmp);
        let at =
            |share: usize| readable(samples.get(samples.len() * share / 100).copied().unwrap_or(f64::NAN));
        println!("{name:<14} {:>12} {:>12} {:>12}", at(50), at(25), at(75));
    }
}

fn readable(ns: f64) -> String {
    match ns {
        _ if ns < 1e3 => format!("{ns:.1} ns"),
        _ if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        _ => format!("{:.2} ms", ns / 1e6),
    }
}
