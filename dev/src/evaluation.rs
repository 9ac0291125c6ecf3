//! Who gets what, and why: evaluations of a document for people, and the shares of many users.

use std::collections::BTreeMap;
use std::fmt;

use mpflags::{Client, Context, EvaluateOptions};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::document;
use crate::remote;

/// What one user gets of one flag.
#[derive(Serialize)]
pub struct Row {
    /// The key of the flag.
    pub flag: String,
    /// The variant, if there is one.
    pub variant: Option<String>,
    /// The value as JSON; `None` means that the program's default is used.
    pub value: Option<Box<RawValue>>,
    /// The reason, such as `TARGETING_MATCH`.
    pub reason: String,
    /// The error code, such as `PARSE_ERROR`.
    pub error_code: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
}

impl Row {
    fn new(client: &Client, key: &str, context: &Context) -> Self {
        let evaluation = client.evaluate(key, context, EvaluateOptions::new().without_exposure());
        Self {
            flag: key.to_owned(),
            variant: evaluation.variant().map(str::to_owned),
            value: evaluation.json().and_then(|json| RawValue::from_string(json.to_owned()).ok()),
            reason: evaluation.reason().to_string(),
            error_code: evaluation.error_code().map(|code| code.to_string()),
            message: evaluation.message().map(str::to_owned),
        }
    }
}

/// A definitions document that can be evaluated.
pub struct Evaluator {
    client: std::sync::Arc<Client>,
    keys: Vec<String>,
}

impl Evaluator {
    /// Fails if the document is not definitions.
    pub fn new(document: &[u8]) -> Result<Self, String> {
        Self::with(document, remote::client(document)?.into())
    }

    pub(crate) fn with(document: &[u8], client: std::sync::Arc<Client>) -> Result<Self, String> {
        let flags =
            document::flags(document).map_err(|error| format!("not a definitions document: {error}"))?;
        let mut keys: Vec<String> = flags.into_iter().filter_map(document::key).collect();
        keys.sort();
        keys.dedup();
        Ok(Self { client, keys })
    }

    /// The keys of all flags, sorted.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Evaluates one flag, or all of them in order of key. `context` is a JSON object. Fails if it is not.
    pub fn evaluate(&self, context: &str, flag: Option<&str>) -> Result<Vec<Row>, String> {
        let context = read(context)?;
        let row = |key: &str| Row::new(&self.client, key, &context);
        Ok(match flag {
            Some(key) => vec![row(key)],
            None => self.keys.iter().map(|key| row(key)).collect(),
        })
    }

    /// Explains one evaluation, in the JSON that docs/evaluation.md describes. Fails if the context is not a JSON object.
    pub fn explain(&self, context: &str, flag: &str) -> Result<String, String> {
        self.client.explain(flag, &read(context)?).map_err(|error| error.to_string())
    }

    /// The variant of a flag for each of many users, who differ in their ids only.
    pub fn variants(&self, flag: &str, ids: impl Iterator<Item = String>) -> Vec<Option<String>> {
        let variant = |id: String| {
            let context =
                Context::from_json(&json!({ "distinct_id": id, "device_id": id }).to_string()).ok()?;
            let evaluation = self.client.evaluate(flag, &context, EvaluateOptions::new().without_exposure());
            evaluation.variant().map(str::to_owned)
        };
        ids.map(variant).collect()
    }
}

fn read(context: &str) -> Result<Context, String> {
    if !context.trim_start().starts_with('{') {
        return Err("context: expected a JSON object, such as {\"distinct_id\": \"user-1\"}".to_owned());
    }
    Context::from_json(context).map_err(|error| error.to_string())
}

/// Many users of one flag: how many got each variant, and how many should.
#[derive(Serialize)]
pub(crate) struct Distribution {
    users: usize,
    /// Users with an error, such as a missing bucketing key.
    failed: usize,
    /// In order of the document's variants; the last entry, without a key, are the users without a variant.
    variants: Vec<Share>,
    /// The probability of a difference at least this large by chance, by a chi-square test.
    p_value: Option<f64>,
}

#[derive(Serialize)]
struct Share {
    variant: Option<String>,
    expected: f64,
    seen: usize,
}

#[derive(Debug)]
pub(crate) struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MOST_USERS} users")
    }
}

const MOST_USERS: usize = 100_000;

/// The users: contexts as JSON objects.
pub(crate) fn generated(
    count: usize,
    like: &Map<String, Value>,
    context_key: &str,
) -> Result<Vec<Map<String, Value>>, TooMany> {
    if count > MOST_USERS {
        return Err(TooMany);
    }
    let user = |number| {
        let mut user = like.clone();
        let id = Value::from(format!("user-{number}"));
        user.insert("distinct_id".to_owned(), id.clone());
        if context_key != "distinct_id" {
            user.insert(context_key.to_owned(), id);
        }
        user
    };
    Ok((1..=count).map(user).collect())
}

/// The key that a flag buckets by.
pub(crate) fn context_key(flag: &str) -> String {
    let flag: Value = serde_json::from_str(flag).unwrap_or_default();
    flag.get("context").and_then(Value::as_str).unwrap_or("distinct_id").to_owned()
}

/// Evaluates a flag for each user. `flag` is its JSON.
pub(crate) fn distribution(flag: &str, users: &[Map<String, Value>]) -> Result<Distribution, String> {
    if users.len() > MOST_USERS {
        return Err(TooMany.to_string());
    }
    let parsed: Value = serde_json::from_str(flag).map_err(|error| error.to_string())?;
    let key = parsed.get("key").and_then(Value::as_str).ok_or("the flag has no key")?;
    let context_key = context_key(flag);
    let client = remote::client(format!("{{\"flags\":[{flag}]}}").as_bytes())?;
    let declared =
        parsed.pointer("/ruleset/variants").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names = declared.iter().filter_map(|variant| variant.get("key")?.as_str().map(str::to_owned));
    let mut variants: Vec<Share> =
        names.map(|name| Share { variant: Some(name), expected: 0.0, seen: 0 }).collect();
    variants.push(Share { variant: None, expected: 0.0, seen: 0 });
    let mut failed = 0;
    // Users who differ in their ids only have the same expectation.
    let mut known = BTreeMap::<String, (usize, Vec<(Option<String>, f64)>)>::new();
    for user in users {
        let context = Context::from_json(&Value::Object(user.clone()).to_string())
            .map_err(|error| error.to_string())?;
        let evaluation = client.evaluate(key, &context, EvaluateOptions::new().without_exposure());
        if evaluation.error_code().is_some() {
            failed += 1;
            continue;
        }
        if let Some(share) =
            variants.iter_mut().find(|share| share.variant.as_deref() == evaluation.variant())
        {
            share.seen += 1;
        }
        let mut rest = user.clone();
        rest.retain(|name, _| name != "distinct_id" && *name != context_key);
        let rest = Value::Object(rest).to_string();
        known.entry(rest).or_insert_with(|| (0, expectation(&parsed, key, &context))).0 += 1;
    }
    let evaluated = users.len() - failed;
    for (count, expected) in known.values() {
        for (variant, share) in expected {
            if let Some(held) = variants.iter_mut().find(|held| held.variant == *variant) {
                held.expected += share * *count as f64 / evaluated as f64;
            }
        }
    }
    let p_value = p_value(&variants, evaluated);
    Ok(Distribution { users: users.len(), failed, variants, p_value })
}

/// The share of each variant among users like this one: what each rollout would assign, by the core itself, weighted with
/// the probability that it is the first to admit them. Testers are not counted.
fn expectation(flag: &Value, key: &str, like: &Context) -> Vec<(Option<String>, f64)> {
    let disabled = matches!(flag.get("status").and_then(Value::as_str), Some("disabled" | "archived"));
    let rollouts =
        flag.pointer("/ruleset/rollout").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let salted = flag.get("hash_salt").is_some_and(|salt| !salt.is_null());
    let mut shares = Vec::new();
    let mut left = 1.0;
    // Without a hash_salt, all rollouts use one bucket, and the users below this one are taken.
    let mut taken: f64 = 0.0;
    for rollout in rollouts.iter().filter(|_| !disabled) {
        let Some(choice) = choice(flag, key, rollout, like) else { continue };
        let percentage = rollout.get("rollout_percentage").and_then(Value::as_f64).unwrap_or_default();
        let admitted = f64::from(hundredths(percentage)) / 100.0;
        let share = if salted {
            left * admitted
        } else {
            let share = (admitted - taken).max(0.0);
            taken = taken.max(admitted);
            share
        };
        left -= share;
        shares.extend(choice.into_iter().map(|(variant, part)| (Some(variant), part * share)));
    }
    shares.push((None, left));
    shares
}

/// How many of the hundred buckets are below a fraction.
fn hundredths(fraction: f64) -> u8 {
    (0..100).filter(|bucket| f64::from(*bucket) / 100.0 < fraction).count().try_into().unwrap_or(100)
}

/// The variants that a rollout assigns to users like this one, with their shares; `None` if its rule does not match.
fn choice(flag: &Value, key: &str, rollout: &Value, like: &Context) -> Option<Vec<(String, f64)>> {
    let mut alone = flag.clone();
    let mut everybody = rollout.clone();
    *everybody.get_mut("rollout_percentage")? = json!(1);
    let ruleset = alone.get_mut("ruleset")?.as_object_mut()?;
    ruleset.insert("rollout".to_owned(), json!([everybody]));
    ruleset.remove("test");
    let client = remote::client(json!({ "flags": [alone] }).to_string().as_bytes()).ok()?;
    let explained: Value = serde_json::from_str(&client.explain(key, like).ok()?).ok()?;
    if explained.get("step")?.as_str()? != "rollout" {
        return None;
    }
    let choice = explained.get("choice")?;
    if let Some(fixed) = choice.get("fixed").and_then(Value::as_str) {
        return Some(vec![(fixed.to_owned(), 1.0)]);
    }
    let sums = choice.get("cumulative")?.as_array()?;
    let mut shares = Vec::new();
    let mut before = 0;
    for (index, sum) in sums.iter().enumerate() {
        let below = sum.get("below").and_then(Value::as_f64).unwrap_or(f64::INFINITY);
        let below = if index + 1 == sums.len() { 100 } else { hundredths(below).max(before) };
        shares.push((sum.get("variant")?.as_str()?.to_owned(), f64::from(below - before) / 100.0));
        before = below;
    }
    Some(shares)
}

/// Pearson's chi-square test of the seen against the expected shares.
fn p_value(shares: &[Share], users: usize) -> Option<f64> {
    let mut statistic = 0.0;
    let mut categories = 0;
    for share in shares {
        let (expected, seen) = (share.expected * users as f64, share.seen as f64);
        if expected < 1e-9 {
            // A tester, or an impossible variant.
            continue;
        }
        categories += 1;
        statistic += (seen - expected).powi(2) / expected;
    }
    (categories > 1 && users > 0).then(|| upper_gamma(f64::from(categories - 1) / 2.0, statistic / 2.0))
}

/// The regularised upper incomplete gamma function, by its series or its continued fraction.
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut sum, mut term, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..500 {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-15 {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    // Lentz's method.
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..500 {
        let i = f64::from(i);
        let factor = -i * (i - a);
        b += 2.0;
        d = 1.0 / (factor * d + b);
        c = b + factor / c;
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// The logarithm of the gamma function for halves of whole numbers, which are all that degrees of freedom need.
fn ln_gamma(a: f64) -> f64 {
    let (mut sum, mut at) = (0.0, a);
    while at > 1.0 {
        at -= 1.0;
        sum += at.ln();
    }
    // Γ(1) is 1 and Γ(1/2) is √π.
    if at < 0.75 { sum + std::f64::consts::PI.ln() / 2.0 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chi_square_test_agrees_with_tables() {
        // The 5 % points of the chi-square distribution.
        for (degrees, statistic) in [(1.0, 3.841459), (2.0, 5.991465), (3.0, 7.814728), (10.0, 18.307038)] {
            let p = upper_gamma(degrees / 2.0, statistic / 2.0);
            assert!((p - 0.05).abs() < 1e-6, "{degrees}: {p}");
        }
        assert!((upper_gamma(0.5, 0.05) - 0.751_829_6).abs() < 1e-6);
        assert!(upper_gamma(1.0, 400.0) < 1e-100);
    }

    fn users(count: usize) -> Vec<Map<String, Value>> {
        let like = json!({ "custom_properties": { "plan": "pro" } });
        generated(count, like.as_object().unwrap(), "distinct_id").unwrap()
    }

    #[test]
    fn seen_shares_are_near_the_expected_ones() {
        for salt in [Value::Null, json!("salt")] {
            let flag = json!({
                "key": "f", "context": "distinct_id", "hash_salt": salt,
                "ruleset": {
                    "variants": [{ "key": "b", "split": 0.3 }, { "key": "a", "split": 0.5 }, { "key": "c", "split": 0.2 }],
                    "rollout": [
                        { "rollout_percentage": 1, "runtime_evaluation_rule": { "==": [{ "var": "plan" }, "free"] } },
                        { "rollout_percentage": 0.3, "variant_override": { "key": "c" } },
                        { "rollout_percentage": 0.6, "runtime_evaluation_rule": { "==": [{ "var": "plan" }, "pro"] } },
                    ],
                },
            });
            let found = distribution(&flag.to_string(), &users(20_000)).unwrap();
            let order: Vec<Option<&str>> =
                found.variants.iter().map(|share| share.variant.as_deref()).collect();
            assert_eq!(order, [Some("b"), Some("a"), Some("c"), None]);
            assert!((found.variants.iter().map(|share| share.expected).sum::<f64>() - 1.0).abs() < 1e-9);
            let difference = |share: &Share| (share.seen as f64 / 20_000.0 - share.expected).abs();
            let differences: Vec<f64> = found.variants.iter().map(difference).collect();
            let p_value = found.p_value.unwrap();
            if salt.is_null() {
                // Without a hash_salt, the salts `frollout` and `fvariant` make buckets that depend on each other: of the
                // users from 30 to 60 %, only 24 % get the variant with 30 %. It is so in every SDK, and the test shows it.
                assert!(differences[3] < 0.01 && differences[0] > 0.01, "{differences:?}");
                assert!(p_value < 1e-6, "{p_value}");
            } else {
                assert!(differences.iter().all(|difference| *difference < 0.01), "{differences:?}");
                assert!(p_value > 1e-4, "{p_value}");
            }
            assert_eq!(found.failed, 0);
        }
    }

    #[test]
    fn a_skewed_sample_is_noticed() {
        let share = |expected, seen| Share { variant: None, expected, seen };
        let p = p_value(&[share(0.5, 5_300), share(0.5, 4_700)], 10_000).unwrap();
        assert!(p < 1e-6, "{p}");
        assert!(p_value(&[share(1.0, 10)], 10).is_none());
    }
}
