//! Tables from outside: streams of Arrow's C data interface whose buffers are as long as they must be, and hold anything. A
//! call succeeds or has an error, every batch of results is complete or has a message, nothing panics, and everything is
//! released exactly once. AddressSanitizer watches the memory.
#![no_main]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicIsize, Ordering};

use libfuzzer_sys::fuzz_target;
use mpflags_c::*;

const CONFIG: &str = r#"{"token": "t", "api_host": "http://127.0.0.1:1", "enable_polling": false, "definitions": {"flags": [
    {"key": "eq", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}], "test": {"users": {"a": "on"}},
     "rollout": [{"rollout_percentage": 0.5, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]}},
    {"key": "any", "context": "plan", "ruleset": {"variants": [{"key": "on", "value": [1]}],
     "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"!!": [{"var": ""}]}}]}},
    {"key": "in", "context": "id", "ruleset": {"variants": [{"key": "on", "value": "x"}],
     "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"in": ["a", {"var": "tags"}]}}]}}]}}"#;

const OPTIONS: &[&str] = &[
    "",
    r#"{"dictionary": false, "rollouts": true}"#,
    r#"{"flags": ["eq", "none"], "keep": ["plan"]}"#,
    r#"{"columns": {"plan": "custom_properties"}}"#,
    r#"{"columns": {"plan": "distinct_id", "tags": null}, "keep": ["tags"]}"#,
];

const NAMES: &[&str] = &["distinct_id", "plan", "custom_properties", "tags", "id"];

const FORMATS: &[&str] = &[
    "u",
    "U",
    "vu",
    "c",
    "C",
    "s",
    "i",
    "l",
    "L",
    "f",
    "g",
    "e",
    "b",
    "n",
    "tdD",
    "tdm",
    "tsu:UTC",
    "tsn:",
    "d:38,2",
    "z",
    "+s",
    "+l",
    "+L",
    "+w:2",
    "+m",
    "dictionary",
];

/// The bytes that choose. Zeros follow them.
struct Chooser<'b>(&'b [u8]);

impl Chooser<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }
}

#[repr(C)]
struct Schema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut Schema,
    dictionary: *mut Schema,
    release: Option<unsafe extern "C" fn(*mut Schema)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut Array,
    dictionary: *mut Array,
    release: Option<unsafe extern "C" fn(*mut Array)>,
    private_data: *mut c_void,
}

#[repr(C)]
struct Stream {
    get_schema: Option<unsafe extern "C" fn(*mut Stream, *mut Schema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut Stream, *mut Array) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut Stream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut Stream)>,
    private_data: *mut c_void,
}

/// A type, and what its arrays hold.
struct Column {
    name: CString,
    format: CString,
    children: Vec<Column>,
    dictionary: Option<Box<Column>>,
    rows: i64,
    offset: i64,
    buffers: Vec<Vec<u64>>,
    /// Whether the first buffer is NULL: no nulls.
    valid: bool,
}

/// Streams, schemas and arrays that are not released.
static HELD: AtomicIsize = AtomicIsize::new(0);

/// Bytes of a buffer of values: enough for any type and the most rows.
const WORDS: usize = 128;

impl Column {
    fn new(chooser: &mut Chooser<'_>, name: &str, rows: usize, levels: usize) -> Column {
        let format = FORMATS[chooser.below(FORMATS.len())];
        let format =
            if levels == 0 && (format.starts_with('+') || format == "dictionary") { "u" } else { format };
        let offset = chooser.below(4);
        // Too few now and then.
        let rows = if chooser.below(16) == 0 { rows / 2 } else { rows };
        let inner = (rows + offset) * 2;
        let mut child = |name: &str, rows| Column::new(chooser, name, rows, levels - 1);
        let (mut children, mut dictionary, mut shown) = (Vec::new(), None, format);
        match format {
            "+s" => children = vec![child("plan", inner), child("Tags", inner)],
            "+m" => {
                let mut key = child("key", inner);
                key.format = CString::from(c"u");
                (key.children, key.dictionary) = (Vec::new(), None);
                let mut entries = child("entries", inner);
                entries.format = CString::from(c"+s");
                (entries.children, entries.dictionary) = (vec![key, child("value", inner)], None);
                children = vec![entries];
            }
            "dictionary" => {
                dictionary = Some(Box::new(child("", 4)));
                shown = "c";
            }
            _ if format.starts_with('+') => children = vec![child("item", inner)],
            _ => {}
        }
        let valid = chooser.below(2) == 0;
        let mut column = Column {
            name: CString::new(name).unwrap(),
            format: CString::new(shown).unwrap(),
            children,
            dictionary,
            rows: rows as i64,
            offset: offset as i64,
            buffers: Vec::new(),
            valid,
        };
        column.fill(chooser, inner);
        column
    }

    /// Buffers as long as the type requires, with offsets that stay inside of them.
    fn fill(&mut self, chooser: &mut Chooser<'_>, inner: usize) {
        let mut random = |mask: u64| {
            (0..WORDS).map(|_| u64::from(chooser.byte()) * 0x0101_0101_0101_0101 & mask).collect()
        };
        let all: Vec<u64> = random(u64::MAX);
        let few =
            |mask: u64, at: usize| (0..WORDS).map(|n| (at as u64 * n as u64) & mask).collect::<Vec<u64>>();
        let mask = (inner.next_power_of_two() as u64) | 1;
        self.buffers = match self.format.to_str().unwrap() {
            "n" => vec![],
            "+s" | "+w:2" => vec![all],
            "u" | "z" => vec![all, random(0x0000_001f_0000_001f), random(u64::MAX)],
            "U" => vec![all, random(0x1f), random(u64::MAX)],
            "+l" | "+m" => vec![all, random(mask << 32 | mask)],
            "+L" => vec![all, random(mask)],
            // Views, one buffer, and its length.
            "vu" => vec![all, random(0x0000_0003_0000_000f), random(u64::MAX), few(u64::MAX, 8 * WORDS)],
            _ => vec![all, random(u64::MAX)],
        };
        if self.format.as_bytes() == b"vu" {
            self.buffers[3] = vec![8 * WORDS as u64];
        }
    }

    fn schema(&self) -> Schema {
        HELD.fetch_add(1, Ordering::Relaxed);
        let boxed = |column: &Column| Box::into_raw(Box::new(column.schema()));
        let children: Box<[*mut Schema]> = self.children.iter().map(boxed).collect();
        Schema {
            format: self.format.as_ptr(),
            name: self.name.as_ptr(),
            metadata: ptr::null(),
            flags: 2,
            n_children: children.len() as i64,
            children: Box::into_raw(children).cast(),
            dictionary: self.dictionary.as_deref().map_or(ptr::null_mut(), boxed),
            release: Some(release_schema),
            private_data: ptr::null_mut(),
        }
    }

    fn array(&self) -> Array {
        HELD.fetch_add(1, Ordering::Relaxed);
        let boxed = |column: &Column| Box::into_raw(Box::new(column.array()));
        let children: Box<[*mut Array]> = self.children.iter().map(boxed).collect();
        let mut buffers: Box<[*const c_void]> =
            self.buffers.iter().map(|buffer| buffer.as_ptr().cast()).collect();
        if let Some(first) = buffers.first_mut().filter(|_| self.valid) {
            *first = ptr::null();
        }
        Array {
            length: self.rows,
            null_count: if self.valid { 0 } else { -1 },
            offset: self.offset,
            n_buffers: buffers.len() as i64,
            n_children: children.len() as i64,
            buffers: Box::into_raw(buffers).cast(),
            children: Box::into_raw(children).cast(),
            dictionary: self.dictionary.as_deref().map_or(ptr::null_mut(), boxed),
            release: Some(release_array),
            private_data: ptr::null_mut(),
        }
    }
}

unsafe fn children<T>(children: *mut *mut T, count: i64, dictionary: *mut T) -> Vec<Box<T>> {
    let slice = ptr::slice_from_raw_parts_mut(children, count as usize);
    let mut all: Vec<*mut T> = unsafe { Box::from_raw(slice) }.into_vec();
    all.extend((!dictionary.is_null()).then_some(dictionary));
    all.into_iter().map(|child| unsafe { Box::from_raw(child) }).collect()
}

unsafe extern "C" fn release_schema(schema: *mut Schema) {
    let schema = unsafe { &mut *schema };
    HELD.fetch_sub(1, Ordering::Relaxed);
    for mut child in unsafe { children(schema.children, schema.n_children, schema.dictionary) } {
        if let Some(release) = child.release {
            unsafe { release(&mut *child) };
        }
    }
    schema.release = None;
}

unsafe extern "C" fn release_array(array: *mut Array) {
    let array = unsafe { &mut *array };
    HELD.fetch_sub(1, Ordering::Relaxed);
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(array.buffers, array.n_buffers as usize)) });
    for mut child in unsafe { children(array.children, array.n_children, array.dictionary) } {
        if let Some(release) = child.release {
            unsafe { release(&mut *child) };
        }
    }
    array.release = None;
}

unsafe extern "C" fn get_schema(stream: *mut Stream, out: *mut Schema) -> c_int {
    let table = unsafe { &*(*stream).private_data.cast::<(Column, usize)>() };
    unsafe { out.write(table.0.schema()) };
    0
}

unsafe extern "C" fn get_next(stream: *mut Stream, out: *mut Array) -> c_int {
    let table = unsafe { &mut *(*stream).private_data.cast::<(Column, usize)>() };
    if table.1 == 0 {
        unsafe { (*out).release = None };
        return 0;
    }
    table.1 -= 1;
    unsafe { out.write(table.0.array()) };
    0
}

unsafe extern "C" fn get_last_error(_: *mut Stream) -> *const c_char {
    ptr::null()
}

unsafe extern "C" fn release_stream(stream: *mut Stream) {
    HELD.fetch_sub(1, Ordering::Relaxed);
    unsafe { (*stream).release = None };
}

/// Whether `text`, of an error, does not say that the library is wrong.
fn expected(text: &str) -> bool {
    // arrow-array checks the parts of an array by panicking, which is an error of the batch.
    !text.is_empty() && !text.starts_with("a panic was caught")
}

fuzz_target!(|input: &[u8]| {
    static CLIENT: OnceLock<usize> = OnceLock::new();
    let client = *CLIENT.get_or_init(|| {
        let mut client = MaybeUninit::new(ptr::null_mut());
        let status =
            unsafe { mpflags_client_new(CONFIG.as_ptr().cast(), CONFIG.len(), Some(&mut client), None) };
        assert_eq!(status, MPFLAGS_OK);
        unsafe { client.assume_init() }.expose_provenance()
    });
    let client: &mpflags_client = unsafe { &*ptr::with_exposed_provenance(client) };

    let chooser = &mut Chooser(input);
    let options = OPTIONS[chooser.below(OPTIONS.len())];
    let rows = chooser.below(9);
    let mut table = Column {
        name: CString::default(),
        format: CString::from(c"+s"),
        children: Vec::new(),
        dictionary: None,
        rows: rows as i64,
        offset: chooser.below(2) as i64,
        buffers: vec![vec![0; WORDS]],
        valid: true,
    };
    for _ in 0..chooser.below(5) {
        let name = NAMES[chooser.below(NAMES.len())];
        table.children.push(Column::new(chooser, name, rows + 1, 3));
    }
    let mut table = (table, chooser.below(3));
    HELD.store(1, Ordering::Relaxed);
    let mut users = Stream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: Some(get_last_error),
        release: Some(release_stream),
        private_data: (&raw mut table).cast(),
    };
    let mut results = MaybeUninit::uninit();
    let mut error = MaybeUninit::new(ptr::null_mut());
    let users: *mut Stream = &mut users;
    let (text, length) = (options.as_ptr().cast(), options.len());
    let status = unsafe {
        mpflags_client_evaluate_table(
            Some(client),
            users.cast(),
            text,
            length,
            Some(&mut results),
            Some(&mut error),
        )
    };
    assert!(unsafe { (*users).release.is_none() });
    if status != MPFLAGS_OK {
        let error = unsafe { error.assume_init() };
        let message = mpflags_error_message(Some(unsafe { &*error }));
        let message = unsafe { CStr::from_ptr(message.ptr) }.to_str().unwrap();
        assert!(status == MPFLAGS_INVALID_ARGUMENT && expected(message), "{status}: {message}");
        unsafe { mpflags_error_free(error) };
    } else {
        let results: *mut Stream = results.as_mut_ptr().cast();
        let (next, last) = unsafe { ((*results).get_next.unwrap(), (*results).get_last_error.unwrap()) };
        loop {
            let mut batch: MaybeUninit<Array> = MaybeUninit::uninit();
            if unsafe { next(results, batch.as_mut_ptr()) } != 0 {
                let message = unsafe { CStr::from_ptr(last(results)) }.to_str().unwrap();
                assert!(expected(message), "{message}");
                break;
            }
            let mut batch = unsafe { batch.assume_init() };
            let Some(release) = batch.release else { break };
            assert_eq!(batch.length, rows as i64);
            unsafe { release(&mut batch) };
        }
        unsafe { (*results).release.unwrap()(results) };
    }
    assert_eq!(HELD.load(Ordering::Relaxed), 0, "not released");
});
