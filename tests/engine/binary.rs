//! The binary form of a context: whatever form a context has, an evaluation has the same outcome.

use std::fs;

use crate::every_way::{DEFINITIONS, every_way};
use crate::forms::{Tree, push_text};
use crate::support::{config, root};
use mpflags::unversioned::{self, Encoded};
use mpflags::{Client, Config, Context, ContextBuilder, ErrorKind, EvaluateOptions};

fn client(definitions: &str, more: &str) -> Client {
    let config = config(definitions, "{}").replacen('{', &format!("{{{more}"), 1);
    Client::new(Config::from_json(&config).unwrap()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_example_of_the_page() {
    let page = fs::read_to_string(root().join("docs/binary.md")).unwrap();
    let (before, after) = page.split_once("```hex\n").unwrap();
    let json = before.rsplit('`').find(|text| text.starts_with("{\"")).unwrap();
    let block = after.split("```").next().unwrap();
    // The explanations stand behind the bytes.
    let bytes: Vec<&str> = block.lines().map(|line| line.get(..44).unwrap_or(line)).collect();
    let form = unhex(&bytes.join(""));
    assert_eq!(form, Tree::parse(json).unwrap().form());
    let context = unversioned::context(Encoded::Binary(&form)).unwrap();
    let client = client(DEFINITIONS, "");
    assert_eq!(client.evaluate("plan", &context, EvaluateOptions::new()).boolean(), Some(true));
    // Each byte counts: none can be left out.
    for end in 1..form.len() {
        let cut = unversioned::context(Encoded::Binary(&form[..end]));
        assert_eq!(cut.is_ok(), end == 1 || end == 17, "{end}");
    }
}

/// Its length has six bytes in the binary form.
const LONG: &str = "0123456789abcdefghijklmnopqrstuvwxyz 0123456789abcdefghijklmnopqrstuvwxyz 0123456789abcdefghijklmnopqrstuvwxyz \
                    0123456789abcdefghijklmnopqrstuvwxyz";

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn tree(&mut self, levels: usize, unusable: bool) -> Tree {
        match self.below(if levels > 0 { 11 } else { 9 }) {
            0 => Tree::Null,
            1 => Tree::Bool(self.below(2) == 0),
            2 => Tree::Signed(self.of(&[0, 1, -1, 7, 12, i64::MAX, i64::MIN, (1 << 53) + 1])),
            3 => Tree::Unsigned(self.of(&[0, 7, u64::MAX, 1 << 63])),
            4 => Tree::Double(self.of(&[0.0, -0.0, 7.0, 1.5, 1e-7, 1e21, f64::MAX, f64::MIN_POSITIVE])),
            5 if unusable && self.below(4) == 0 => Tree::Unusable("number out of range"),
            5..9 => Tree::String(
                self.of(&["", "a", "A", "pro", "PRO", "7", "true", "É", "2.0.0", "\"\\\n\u{0}", LONG]).into(),
            ),
            9 => Tree::Array((0..self.below(4)).map(|_| self.tree(levels - 1, unusable)).collect()),
            _ => self.object(&["a", "B", "version", "Version", ""], levels, unusable),
        }
    }

    fn object(&mut self, names: &[&str], levels: usize, unusable: bool) -> Tree {
        let member = |random: &mut Self| (random.of(names).into(), random.tree(levels - 1, unusable));
        Tree::Object((0..self.below(names.len() + 3)).map(|_| member(self)).collect())
    }

    fn context(&mut self, unusable: bool) -> Tree {
        let names = ["distinct_id", "company", "targetingKey", "custom_properties", "device", "É\n\""];
        let Tree::Object(mut members) = self.object(&names, 3, unusable) else { unreachable!() };
        for (key, value) in &mut members {
            if key == b"custom_properties" && self.below(8) > 0 {
                let names = [
                    "plan", "Plan", "tags", "app", "a", "A", "b", "c", "d", "e", "f", "g", "h", "i", "j", "É",
                ];
                *value = self.object(&names, 4, unusable);
            }
        }
        Tree::Object(members)
    }
}

/// As many as take a second or two; `MPFLAGS_RANDOM=1000000` runs more.
fn times() -> u64 {
    std::env::var("MPFLAGS_RANDOM").map_or(400, |times| times.parse().unwrap())
}

#[test]
fn random_contexts() {
    let clients = [
        client(DEFINITIONS, ""),
        client(DEFINITIONS, r#""attributes_as_custom_properties": true, "targeting_key_as": "distinct_id","#),
    ];
    let mut outcomes = std::collections::BTreeMap::<String, u32>::new();
    for seed in 1..times() {
        let json = Random(seed).context(seed % 4 == 0).json();
        for key in ["plain", "plan", "nested", "whole", "many", "legacy", "none"] {
            let client = &clients[seed as usize % 2];
            let evaluation = every_way(client, key, &json, EvaluateOptions::new());
            let outcome = evaluation
                .error_code()
                .map_or_else(|| evaluation.reason().to_string(), |code| code.to_string());
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    // The random contexts reach every outcome that a context can lead to.
    for outcome in
        ["TARGETING_MATCH", "SPLIT", "DEFAULT", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND"]
    {
        assert!(outcomes.get(outcome).is_some_and(|count| *count > 4), "{outcomes:?}");
    }
}

/// Whatever the bytes are: no panic, and the same result whether the context is kept or not, and whichever flag reads it.
#[test]
fn damaged_forms() {
    let client = client(DEFINITIONS, "");
    let (mut malformed, mut sound) = (0, 0);
    for seed in 1..4 * times() {
        let mut random = Random(seed);
        let mut form = random.context(true).form();
        for _ in 0..=random.below(3) {
            let at = random.below(form.len());
            match random.below(4) {
                0 => form[at] = random.below(256) as u8,
                1 => form[at] ^= 1 << random.below(8),
                2 => form.truncate(at.max(1)),
                _ => form.insert(at, random.below(12) as u8),
            }
        }
        let kept = unversioned::context(Encoded::Binary(&form));
        assert_eq!(kept.is_ok(), Tree::read(&form).is_some(), "{form:02x?}");
        for key in ["plain", "nested", "whole", "many", "none"] {
            let once =
                unversioned::evaluate_encoded(&client, key, Encoded::Binary(&form), EvaluateOptions::new());
            match &kept {
                Ok(context) => {
                    assert_eq!(client.evaluate(key, context, EvaluateOptions::new()), once, "{form:02x?}")
                }
                Err(error) => assert_eq!(once.message(), Some(&*error.to_string()), "{form:02x?}"),
            }
        }
        *if kept.is_ok() { &mut sound } else { &mut malformed } += 1;
    }
    assert!(malformed > 100 && sound > 100, "{malformed} malformed, {sound} sound");
}

#[track_caller]
fn refused(form: &[u8], message: &str) {
    let error = unversioned::context(Encoded::Binary(form)).err().unwrap();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidContext, message));
    let once = unversioned::evaluate_encoded(
        &client(DEFINITIONS, ""),
        "none",
        Encoded::Binary(form),
        EvaluateOptions::new(),
    );
    assert_eq!(once.message(), Some(message));
}

#[test]
fn malformed_forms() {
    refused(b"", "context: malformed binary form at byte 0: it is empty");
    refused(b"{}", "context: malformed binary form at byte 0: an unknown version");
    refused(b"\x02", "context: malformed binary form at byte 0: an unknown version");
    refused(b"\x01\x0a", "context: malformed binary form at byte 1: an unknown tag");
    refused(b"\x01\x00", "context: malformed binary form at byte 2: it ends early");
    refused(b"\x01\x00\x02a", "context: malformed binary form at byte 2: a length beyond the end");
    refused(b"\x01\x00\x80a", "context: malformed binary form at byte 2: a length that is too large");
    refused(b"\x01\x00\x7f\x01\0\0\0", "context: malformed binary form at byte 2: a length that ends early");
    refused(
        b"\x01\x00\x7f\x01\0\0\0\x80a",
        "context: malformed binary form at byte 2: a digit of a length is too large",
    );
    refused(
        b"\x01\x00\x7f\x7f\x7f\x7f\x7f\x7fa",
        "context: malformed binary form at byte 2: a length beyond the end",
    );
    refused(
        b"\x01\x03\x01a\0\0\0\0\0\0\0\0\0",
        "context: malformed binary form at byte 4: a number that ends early",
    );
    refused(
        b"\x01\x03\x01a\0\0\0\0\0\0\0\0\0\x02",
        "context: malformed binary form at byte 4: a digit of a number is too large",
    );
    refused(
        b"\x01\x03\x01a\x80\0\0\0\0\0\0\0\0\0",
        "context: malformed binary form at byte 4: a digit of a number is too large",
    );
    // An array ends with its last element.
    refused(b"\x01\x07\x01a\x02\x00\x0b", "context: malformed binary form at byte 6: an unknown tag");
    refused(
        b"\x01\x07\x01a\x01\x03\0\0\0\0\0\0\0\0\0\0",
        "context: malformed binary form at byte 6: a number that ends early",
    );
    // Also behind a value that cannot be used: here infinity.
    refused(
        b"\x01\x05\x01a\0\0\0\0\0\0\0\x78\x7f\0\x0c",
        "context: malformed binary form at byte 14: an unknown tag",
    );
}

#[test]
fn unusable_values() {
    let client = client(DEFINITIONS, "");
    let message = |tag: u8, content: &[u8]| {
        let form = [&[1, tag], &b"\x07company"[..], content, b"\x06\x0bdistinct_id\x02u1"].concat();
        let form = Encoded::Binary(&form);
        let other = unversioned::evaluate_encoded(&client, "plain", form, EvaluateOptions::new());
        assert!(other.has_value(), "{other:?}");
        let reads = unversioned::evaluate_encoded(&client, "nested", form, EvaluateOptions::new());
        reads.error_code().and(reads.message()).map(str::to_owned).unwrap_or_default()
    };
    let infinity = b"\0\0\0\0\0\0\0\x78\x7f\0";
    assert_eq!(message(5, infinity), "context: company: a number that is not finite");
    assert_eq!(message(6, b"\x02a\xff"), "context: company: a string that is not UTF-8");
    assert_eq!(message(6, b"\x02\xc3\xa9"), "");
    assert_eq!(message(6, b"\x01\xc3"), "context: company: a string that is not UTF-8");
    assert_eq!(message(9, b"\x05a set"), "context: company: a set");
    assert_eq!(message(7, b"\x07\x00\x09\x04null"), "context: company[1]: null");
    assert_eq!(message(8, b"\x03\x00\x01\xff"), "context: company.\u{fffd}: a key that is not UTF-8");
    let nested = |levels: u32| {
        let content = (1..levels).fold(vec![0], |inner, _| {
            let mut outer = vec![7];
            outer.extend(inner);
            let mut content = Vec::new();
            push_text(&mut content, &outer);
            content
        });
        message(7, &content)
    };
    assert_eq!(nested(126), "the context has no usable `company`");
    assert_eq!(nested(127), "context: company: nested more than 127 levels deep");
    assert_eq!(nested(3000), "context: company: nested more than 127 levels deep");
}

#[track_caller]
fn mistake(build: impl Fn(&mut ContextBuilder), message: &str) {
    let mut builder = Context::builder();
    build(&mut builder);
    // What follows a mistake changes nothing.
    let error = builder.set("a", f64::NAN).end().begin_array("x").build().err().unwrap();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidContext, message));
    // Afterwards it can be used again.
    assert!(builder.set("distinct_id", "u1").build().is_ok());
}

#[test]
fn mistakes_in_a_builder() {
    mistake(|b| _ = b.set("x", f64::INFINITY), "context: x: a number that is not finite");
    mistake(|b| _ = b.property("x", f64::NAN), "context: custom_properties.x: a number that is not finite");
    mistake(|b| _ = b.json("x", "[1, tru]"), "context: x: expected ident at line 1 column 8");
    mistake(|b| _ = b.json("x", "1 2"), "context: x: trailing characters at line 1 column 3");
    mistake(
        |b| _ = b.property_json("x", "[1e999]"),
        "context: custom_properties.x: number out of range at line 1 column 6",
    );
    mistake(|b| _ = b.end(), "context: end: no object or array was begun");
    mistake(|b| _ = b.begin_object("x").begin_array("y").end(), "context: x.a: a number that is not finite");
    mistake(|b| _ = b.begin_array("x").set("y", 1), "context: x.y: an element of an array has no name");
    mistake(
        |b| _ = b.begin_array("x").property("y", 1),
        "context: x.custom_properties.y: a property is set before the object or array that was begun is ended",
    );
    mistake(
        |b| (0..127).for_each(|_| _ = b.begin_object("x")),
        &format!("context: {}…: nested more than 127 levels deep", "x.".repeat(100)),
    );
    let error = Context::builder().begin_object("x").begin_array("y").build().err().unwrap();
    assert_eq!(error.to_string(), "context: x.y: begun, but not ended");
    let error = Context::builder().begin_object("custom_properties").build().err().unwrap();
    assert_eq!(error.to_string(), "context: custom_properties: begun, but not ended");
}

#[test]
fn a_builder_merges_custom_properties() {
    let client = client(DEFINITIONS, "");
    let mut builder = Context::builder();
    builder.set("distinct_id", "u1").property("plan", "free").property("Tags", "x");
    builder.json("custom_properties", r#"{"plan": "PRO"}"#);
    builder.begin_object("custom_properties").begin_array("tags").set("", "a").set("", "b").end().end();
    let context = builder.build().unwrap();
    for _ in 0..3 {
        assert!(client.boolean("plan", &context, false) && client.boolean("legacy", &context, false));
    }
    // An empty object is data, none is not.
    let rule = |json: &str| {
        let context =
            Context::builder().set("distinct_id", "u1").json("custom_properties", json).build().unwrap();
        client.explain("plan", &context).unwrap().contains(r#""missing":true"#)
    };
    assert!(rule("{}"));
    builder.set("distinct_id", "u2").property("x", 1).reset();
    let empty = builder.build().unwrap();
    assert!(
        client
            .evaluate("plan", &empty, EvaluateOptions::new())
            .message()
            .unwrap()
            .contains("no usable `distinct_id`")
    );
}
