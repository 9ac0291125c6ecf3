//! The C ABI: sequences of calls of every function, on two threads that share their clients. Handles are NULL or what
//! the header allows, texts may be anything. Every call returns a status that exists and an error exactly if it failed,
//! every string is UTF-8 with a NUL after it, and nothing panics. AddressSanitizer watches the memory, and that all of
//! it is freed.
#![no_main]

use std::ffi::{CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use mpflags_c::*;

const CONFIGS: &[&str] = &[
    r#""definitions": {"flags": [{"key": "f", "context": "id", "ruleset": {"variants": [{"key": "on", "value": true}, {"key": "x", "value": {"a": [1, "é"]}, "split": 0.5}], "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "a"}, 1]}}, {"rollout_percentage": 1}]}}, {"key": "g", "context": 5}]}, "enable_polling": false"#,
    r#""definitions": {"flags": [{"key": "f", "context": "id", "ruleset": {"variants": [{"key": "on", "value": 7}], "rollout": [{"rollout_percentage": 0.5}]}}]}, "event_sink": true, "event_flush_interval_ms": 10, "event_queue_capacity": 3, "enable_polling": false, "log_level": "debug""#,
    r#""mode": "remote", "overrides": {"f": "text"}"#,
    r#""polling_interval_ms": 50, "retry_base_ms": 10, "event_retry_base_ms": 10, "exposure_window_ms": 0"#,
    r#""unknown": 1"#,
    r#""definitions": {"flags": 5}"#,
];

/// NULL, with its length, is not among them.
const TEXTS: &[&[u8]] = &[
    b"f",
    b"g",
    b"id",
    b"",
    br#"{"id": "u1", "custom_properties": {"a": 1}}"#,
    br#"{"id": 7, "custom_properties": {"a": "\u00e9"}}"#,
    b"{}",
    b"[]",
    b"{",
    b"true",
    b"1e999",
    b"\xff\xfe",
    "é\0x".as_bytes(),
    b"\x01\x06\x02id\x02u1",
    b"\x01\x06\x02id\x7f",
    b"set",
    b"set_once",
    b"add",
    b"custom_properties",
    br#"{"plan": "pro", "n": 1}"#,
];

/// The bytes that choose. Zeros follow them.
struct Chooser<'b>(&'b [u8]);

impl Chooser<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn number(&mut self) -> i64 {
        [0, 1, -1, 7, i64::MAX, i64::MIN, 5, 2][self.below(8)]
    }

    /// Milliseconds, few of them.
    fn timeout(&mut self) -> u32 {
        [0, 0, 1, 2, MPFLAGS_TIMEOUT_CONFIGURED][self.below(5)]
    }

    fn text(&mut self) -> Text {
        match self.byte() {
            255 => Text { bytes: None, len: 0 },
            254 => Text { bytes: None, len: 5 },
            253 => Text { bytes: Some([b'x'].into()), len: usize::MAX },
            252 => {
                let (own, rest) = self.0.split_at(self.0.len().min(12));
                self.0 = rest;
                Text { bytes: Some(own.into()), len: own.len() }
            }
            other => {
                let text = TEXTS[usize::from(other) % TEXTS.len()];
                Text { bytes: Some(text.into()), len: text.len() }
            }
        }
    }
}

/// An argument, in an allocation that ends with it, so that reading beyond it is found.
struct Text {
    bytes: Option<Box<[u8]>>,
    len: usize,
}

impl Text {
    fn ptr(&self) -> *const c_char {
        self.bytes.as_ref().map_or(ptr::null(), |bytes| bytes.as_ptr().cast())
    }
}

type Err<'a> = Option<&'a mut MaybeUninit<*mut mpflags_error>>;
type Out<'a, T> = Option<&'a mut MaybeUninit<*mut T>>;

fn text(view: mpflags_str) -> Option<&'static str> {
    if view.ptr.is_null() {
        assert_eq!(view.len, 0);
        return None;
    }
    // SAFETY: the header promises so many bytes and a NUL, while the handle is not freed.
    let bytes = unsafe { std::slice::from_raw_parts(view.ptr.cast::<u8>(), view.len + 1) };
    assert_eq!(bytes[view.len], 0);
    Some(str::from_utf8(&bytes[..view.len]).expect("UTF-8"))
}

/// Calls a function that returns a status, with an error or without.
fn status(
    chooser: &mut Chooser<'_>,
    call: impl FnOnce(&mut Chooser<'_>, Err<'_>) -> mpflags_status,
) -> mpflags_status {
    let with_error = chooser.byte() % 4 > 0;
    let mut error = MaybeUninit::new(ptr::null_mut());
    let status = call(chooser, with_error.then_some(&mut error));
    // SAFETY: it is initialised.
    let error = unsafe { error.assume_init() };
    assert_ne!(text(mpflags_status_name(status)), Some("unknown"), "{status}");
    assert_eq!(!error.is_null(), with_error && status != MPFLAGS_OK);
    if !error.is_null() {
        // SAFETY: it was just made.
        let handle = unsafe { error.as_ref() };
        assert_eq!(mpflags_error_status(handle), status);
        assert!(text(mpflags_error_message(handle)).is_some_and(|message| !message.is_empty()));
        // SAFETY: it is not used again.
        unsafe { mpflags_error_free(error) };
    }
    assert_ne!(status, MPFLAGS_PANIC);
    status
}

/// Calls a function that makes a handle.
fn made<T>(
    chooser: &mut Chooser<'_>,
    call: impl FnOnce(&mut Chooser<'_>, Out<'_, T>, Err<'_>) -> mpflags_status,
) -> *mut T {
    let with_out = chooser.byte() % 8 > 0;
    let mut out = MaybeUninit::new(ptr::null_mut());
    let status = status(chooser, |chooser, err| call(chooser, with_out.then_some(&mut out), err));
    // SAFETY: it is initialised.
    let out = unsafe { out.assume_init() };
    assert_eq!(status == MPFLAGS_OK, !out.is_null());
    out
}

/// The handles of one thread; NULL at first.
struct Handles {
    context: [*mut mpflags_context; 2],
    builder: *mut mpflags_context_builder,
    evaluation: *mut mpflags_evaluation,
    evaluations: *mut mpflags_evaluations,
    item: *mut mpflags_item,
}

impl Drop for Handles {
    fn drop(&mut self) {
        // SAFETY: NULL, or made by the library and not freed.
        unsafe {
            self.context.into_iter().for_each(|context| mpflags_context_free(context));
            mpflags_context_builder_free(self.builder);
            mpflags_evaluation_free(self.evaluation);
            mpflags_evaluations_free(self.evaluations);
            mpflags_item_free(self.item);
        }
    }
}

/// Reads everything of an evaluation.
fn read(evaluation: Option<&mpflags_evaluation>) {
    let key = text(mpflags_evaluation_key(evaluation));
    assert_eq!(key.is_some(), evaluation.is_some());
    let json = text(mpflags_evaluation_json(evaluation));
    assert_eq!(json.is_some(), mpflags_evaluation_has_value(evaluation));
    assert!(json.is_none_or(|json| serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok()), "{json:?}");
    for view in [
        mpflags_evaluation_string(evaluation),
        mpflags_evaluation_variant(evaluation),
        mpflags_evaluation_message(evaluation),
        mpflags_evaluation_experiment_id(evaluation),
        mpflags_evaluation_metadata_json(evaluation),
        mpflags_evaluation_context_key(evaluation),
        mpflags_kind_name(mpflags_evaluation_kind(evaluation)),
        mpflags_reason_name(mpflags_evaluation_reason(evaluation)),
        mpflags_error_name(mpflags_evaluation_error_code(evaluation)),
    ] {
        assert_ne!(text(view), Some("unknown"));
    }
    let number = mpflags_evaluation_int64(evaluation);
    let is_integer = mpflags_evaluation_kind(evaluation) == MPFLAGS_KIND_INT64;
    assert!(!is_integer || json == Some(&*number.to_string()), "{json:?} {number}");
    mpflags_evaluation_double(evaluation);
    mpflags_evaluation_boolean(evaluation);
    mpflags_evaluation_is_experiment_active(evaluation);
    mpflags_evaluation_is_qa_tester(evaluation);
    mpflags_evaluation_answer(evaluation);
}

/// Reads everything of an item. A panic that was caught in a call without a status is logged as an error.
fn read_item(item: Option<&mpflags_item>) {
    let kind = mpflags_item_kind(item);
    assert_eq!(text(mpflags_item_event(item)).is_some(), kind == MPFLAGS_ITEM_EVENT);
    let message = text(mpflags_item_message(item));
    assert_ne!(mpflags_item_level(item), MPFLAGS_LEVEL_ERROR, "{message:?}");
    let keys = mpflags_item_key_count(item);
    for index in 0..=keys {
        assert_eq!(text(mpflags_item_key(item, index)).is_some(), index < keys);
    }
    assert_ne!(text(mpflags_state_name(mpflags_item_state(item))), Some("unknown"));
}

impl Handles {
    fn new() -> Self {
        let none = ptr::null_mut();
        Handles {
            context: [none; 2],
            builder: ptr::null_mut(),
            evaluation: ptr::null_mut(),
            evaluations: ptr::null_mut(),
            item: ptr::null_mut(),
        }
    }

    /// One call.
    fn call(&mut self, chooser: &mut Chooser<'_>, client: Option<&mpflags_client>) {
        let operation = chooser.byte();
        // SAFETY: here and in all other calls, a handle is NULL, or made and not freed; another thread uses only the
        // client. A text has its length, or one that the library must refuse.
        unsafe {
            let context = self.context[chooser.below(2)].as_ref();
            match operation % 40 {
                0 => _ = status(chooser, |_, err| mpflags_client_start(client, err)),
                1 => _ = status(chooser, |c, err| mpflags_client_wait_ready(client, c.below(3) as u32, err)),
                2 => _ = status(chooser, |c, err| mpflags_client_refresh(client, c.below(3) as u32, err)),
                3 | 4 => {
                    let mut lost = MaybeUninit::new(u64::MAX);
                    let lost = (chooser.below(2) == 0).then_some(&mut lost);
                    _ = status(chooser, |c, err| mpflags_client_shutdown(client, c.timeout(), lost, err));
                }
                5 => {
                    assert_ne!(text(mpflags_state_name(mpflags_client_state(client))), Some("unknown"));
                    mpflags_client_timeout(client, chooser.byte().into());
                }
                6..=8 => {
                    let json = chooser.text();
                    let at = chooser.below(2);
                    let encoding = if operation % 40 == 6 { None } else { Some(chooser.below(4) as i32) };
                    mpflags_context_free(self.context[at]);
                    self.context[at] = made(chooser, |_, out, err| match encoding {
                        None => mpflags_context_new_json(json.ptr(), json.len, out, err),
                        Some(encoding) => {
                            mpflags_context_new_encoded(json.ptr(), json.len, encoding, out, err)
                        }
                    });
                }
                9 => {
                    mpflags_context_builder_free(self.builder);
                    self.builder = mpflags_context_builder_new();
                    assert!(!self.builder.is_null());
                }
                10..=14 => self.build(chooser),
                15 => {
                    let at = chooser.below(2);
                    mpflags_context_free(self.context[at]);
                    let builder = self.builder.as_mut();
                    self.context[at] =
                        made(chooser, |_, out, err| mpflags_context_builder_build(builder, out, err));
                }
                16..=18 => {
                    let key = chooser.text();
                    let number = chooser.number();
                    match operation % 40 {
                        16 => {
                            _ = mpflags_client_get_boolean(client, key.ptr(), key.len, context, number as i32)
                        }
                        17 => _ = mpflags_client_get_int64(client, key.ptr(), key.len, context, number),
                        _ => {
                            _ = mpflags_client_get_double(client, key.ptr(), key.len, context, number as f64)
                        }
                    }
                }
                19..=22 => {
                    let (key, encoded) = (chooser.text(), chooser.text());
                    let (kind, options, timeout) =
                        (chooser.below(8) as u32, chooser.below(4) as u32, chooser.timeout());
                    let encoding = if operation % 2 == 0 { None } else { Some(chooser.below(3) as i32) };
                    mpflags_evaluation_free(self.evaluation);
                    let (at, len) = (encoded.ptr(), encoded.len);
                    self.evaluation = made(chooser, |_, out, err| match encoding {
                        None => mpflags_client_evaluate(
                            client,
                            key.ptr(),
                            key.len,
                            context,
                            kind,
                            options,
                            timeout,
                            out,
                            err,
                        ),
                        Some(encoding) => mpflags_client_evaluate_encoded(
                            client,
                            key.ptr(),
                            key.len,
                            at,
                            len,
                            encoding,
                            kind,
                            options,
                            timeout,
                            out,
                            err,
                        ),
                    });
                    drop(key);
                    read(self.evaluation.as_ref());
                }
                23 => {
                    mpflags_evaluations_free(self.evaluations);
                    self.evaluations = made(chooser, |c, out, err| {
                        mpflags_client_evaluate_all(client, context, c.below(4) as u32, c.timeout(), out, err)
                    });
                }
                24 => self.read_all(chooser),
                25 => {
                    let key = chooser.text();
                    let explained = made(chooser, |_, out, err| {
                        mpflags_client_explain(client, key.ptr(), key.len, context, out, err)
                    });
                    text(mpflags_text_view(explained.as_ref()));
                    mpflags_text_free(explained);
                }
                26 => {
                    let statistics = made(chooser, |_, out, err| mpflags_client_statistics(client, out, err));
                    let json = text(mpflags_text_view(statistics.as_ref()));
                    assert!(json.is_none_or(|json| serde_json::from_str::<serde_json::Value>(json).is_ok()));
                    mpflags_text_free(statistics);
                }
                27 | 28 => {
                    let (key, json) = (chooser.text(), chooser.text());
                    _ = status(chooser, |_, err| match operation % 2 {
                        0 => mpflags_client_clear_override(client, key.ptr(), key.len, err),
                        _ => {
                            mpflags_client_set_override(client, key.ptr(), key.len, json.ptr(), json.len, err)
                        }
                    });
                }
                29 => {
                    _ = status(chooser, |_, err| {
                        mpflags_client_track_exposure(client, self.evaluation.as_ref(), err)
                    })
                }
                30..=32 => {
                    let [a, b, c, d] = [(); 4].map(|()| chooser.text());
                    _ = status(chooser, |_, err| match operation % 40 {
                        30 => {
                            mpflags_client_track(client, a.ptr(), a.len, b.ptr(), b.len, c.ptr(), c.len, err)
                        }
                        31 => mpflags_client_people_update(
                            client,
                            a.ptr(),
                            a.len,
                            b.ptr(),
                            b.len,
                            c.ptr(),
                            c.len,
                            err,
                        ),
                        _ => mpflags_client_group_update(
                            client,
                            a.ptr(),
                            a.len,
                            b.ptr(),
                            b.len,
                            c.ptr(),
                            c.len,
                            d.ptr(),
                            d.len,
                            err,
                        ),
                    });
                }
                33 => {
                    let mut left = MaybeUninit::new(0);
                    let left = (chooser.below(2) == 0).then_some(&mut left);
                    _ = status(chooser, |c, err| mpflags_client_flush(client, c.below(3) as u32, left, err));
                }
                34 | 35 => {
                    mpflags_item_free(self.item);
                    self.item = made(chooser, |c, out, err| {
                        mpflags_client_next_item(client, c.below(2) as u32, out, err)
                    });
                    read_item(self.item.as_ref());
                }
                36 => {
                    let (key, encoded) = (chooser.text(), chooser.text());
                    let [kind, options, encoding] = [8, 4, 4].map(|bound| chooser.below(bound) as u32);
                    let asked = kind | options << 8;
                    let terminated =
                        |text: &Text| CString::new(text.bytes.as_deref().unwrap_or_default()).ok();
                    let answer = match (chooser.below(2), terminated(&key), terminated(&encoded)) {
                        (0, Some(key), Some(json)) => {
                            mpflags_client_evaluate_packed_z(client, key.as_ptr(), json.as_ptr(), asked)
                        }
                        _ => {
                            let (asked, at, len) = (asked | encoding << 24, encoded.ptr(), encoded.len);
                            mpflags_client_evaluate_packed(client, key.ptr(), key.len, at, len, asked)
                        }
                    };
                    if answer % 2 == 0 && answer != 0 {
                        // An evaluation instead of a number.
                        let evaluation = answer as *mut mpflags_evaluation;
                        read(evaluation.as_ref());
                        mpflags_evaluation_free(evaluation);
                    } else {
                        self.recall(client, &key, answer);
                    }
                }
                37 => {
                    let key = chooser.text();
                    let answer =
                        (chooser.number() as u64) ^ u64::from(chooser.byte()) << (chooser.byte() % 64);
                    self.recall(client, &key, answer);
                }
                38 => _ = status(chooser, |c, err| on_item(client, c, err)),
                _ => read(self.evaluation.as_ref()),
            }
        }
    }

    fn recall(&self, client: Option<&mpflags_client>, key: &Text, answer: u64) {
        // SAFETY: as in `call`.
        unsafe {
            let evaluation = mpflags_client_answer(client, key.ptr(), key.len, answer);
            read(evaluation.as_ref());
            mpflags_evaluation_free(evaluation);
        }
    }

    fn build(&mut self, chooser: &mut Chooser<'_>) {
        let (which, name, value, number) =
            (chooser.below(16), chooser.text(), chooser.text(), chooser.number());
        let (at, len) = (name.ptr(), name.len);
        // SAFETY: as in `call`.
        unsafe {
            let builder = self.builder.as_mut();
            match which {
                0 => mpflags_context_builder_set_string(builder, at, len, value.ptr(), value.len),
                1 => mpflags_context_builder_set_int64(builder, at, len, number),
                2 => mpflags_context_builder_set_double(builder, at, len, f64::from_bits(number as u64)),
                3 => mpflags_context_builder_set_boolean(builder, at, len, number as i32),
                4 => mpflags_context_builder_set_null(builder, at, len),
                5 => mpflags_context_builder_set_json(builder, at, len, value.ptr(), value.len),
                6 => mpflags_context_builder_set_unusable(builder, at, len, value.ptr(), value.len),
                7 => mpflags_context_builder_set_property_string(builder, at, len, value.ptr(), value.len),
                8 => mpflags_context_builder_set_property_int64(builder, at, len, number),
                9 => mpflags_context_builder_set_property_double(builder, at, len, number as f64),
                10 => mpflags_context_builder_set_property_boolean(builder, at, len, number as i32),
                11 => mpflags_context_builder_set_property_json(builder, at, len, value.ptr(), value.len),
                12 => mpflags_context_builder_begin_object(builder, at, len),
                13 => mpflags_context_builder_begin_array(builder, at, len),
                14 => mpflags_context_builder_end(builder),
                _ => mpflags_context_builder_reset(builder),
            }
        }
    }

    fn read_all(&self, chooser: &mut Chooser<'_>) {
        // SAFETY: as in `call`.
        unsafe {
            let all = self.evaluations.as_ref();
            let count = mpflags_evaluations_count(all);
            for index in 0..=count {
                let one = mpflags_evaluations_at(all, index);
                assert_eq!(one.is_some(), index < count);
                read(one);
            }
            let key = chooser.text();
            read(mpflags_evaluations_find(all, key.ptr(), key.len));
            assert_ne!(text(mpflags_error_name(mpflags_evaluations_failure(all))), Some("unknown"));
            text(mpflags_evaluations_message(all));
            let answers = mpflags_evaluations_answers(all);
            if !answers.is_null() {
                std::slice::from_raw_parts(answers, count)
                    .iter()
                    .for_each(|answer| _ = std::hint::black_box(*answer));
            }
        }
    }
}

/// The callbacks that are set, and not dropped.
static CALLBACKS: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C-unwind" fn take(item: &mpflags_item, user_data: *mut c_void) {
    // The library would catch the panic, and then be silent.
    if user_data.is_null() || catch_unwind(AssertUnwindSafe(|| read_item(Some(item)))).is_err() {
        process::abort();
    }
}

unsafe extern "C-unwind" fn release(user_data: *mut c_void) {
    // SAFETY: it is the box of `on_item`.
    drop(unsafe { Box::from_raw(user_data.cast::<u64>()) });
    CALLBACKS.fetch_sub(1, Ordering::SeqCst);
}

fn on_item(client: Option<&mpflags_client>, chooser: &mut Chooser<'_>, err: Err<'_>) -> mpflags_status {
    let data: *mut c_void = Box::into_raw(Box::new(7_u64)).cast();
    let callback: mpflags_callback = if chooser.byte() % 4 == 0 { None } else { Some(take) };
    CALLBACKS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the data live until `release`.
    let status = unsafe { mpflags_client_on_item(client, callback, data, Some(release), err) };
    if status != MPFLAGS_OK {
        // Then it is not released.
        // SAFETY: it is the box from above.
        unsafe { release(data) };
    }
    status
}

/// A client that other threads use too.
struct Shared(*mut mpflags_client);

// SAFETY: the header says that threads may share a client.
unsafe impl Sync for Shared {}

fuzz_target!(|input: &[u8]| {
    let mut chooser = Chooser(input);
    let clients = [(); 2].map(|()| {
        let more = CONFIGS[chooser.below(CONFIGS.len())];
        let config = format!(
            r#"{{"token": "t", "api_host": "http://127.0.0.1:1", "shutdown_timeout_ms": 5, "request_timeout_ms": 50, "init_timeout_ms": 50, {more}}}"#
        );
        // SAFETY: a text and its length.
        Shared(made(&mut chooser, |_, out, err| unsafe { mpflags_client_new(config.as_ptr().cast(), config.len(), out, err) }))
    });
    let run = |program: &[u8]| {
        let mut chooser = Chooser(program);
        let mut handles = Handles::new();
        while !chooser.0.is_empty() {
            // SAFETY: the clients are freed after both threads have ended.
            let client = unsafe { clients[chooser.below(2)].0.as_ref() };
            handles.call(&mut chooser, client);
        }
    };
    let program = &chooser.0[..chooser.0.len().min(256)];
    let (first, second) =
        program.split_at(if program.len() % 2 == 0 { program.len() } else { program.len() / 2 });
    if second.is_empty() {
        run(first);
    } else {
        thread::scope(|scope| {
            scope.spawn(|| run(first));
            run(second);
        });
    }
    for Shared(client) in clients {
        // A callback must have ended before its client is freed.
        // SAFETY: nobody uses the client any more.
        unsafe {
            mpflags_client_shutdown(client.as_ref(), 50, None, None);
            mpflags_client_free(client);
        }
    }
    // A thread that got no processor during the shutdown releases them a little later.
    let end = Instant::now() + Duration::from_secs(5);
    while CALLBACKS.load(Ordering::SeqCst) > 0 {
        assert!(Instant::now() < end, "a callback's data were not released");
        thread::yield_now();
    }
});
