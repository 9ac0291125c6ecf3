//! Every option in words: the parser takes its keys from here, and docs/configuration.md is generated from it.

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionSpec {
    /// The key.
    pub key: &'static str,
    /// What may stand there, in words.
    pub allowed: &'static str,
    /// What holds when the key is absent or null.
    pub default: &'static str,
    /// What it does.
    pub effect: &'static str,
}

const fn option(
    key: &'static str,
    allowed: &'static str,
    default: &'static str,
    effect: &'static str,
) -> OptionSpec {
    OptionSpec { key, allowed, default, effect }
}

/// All options, in the order of docs/configuration.md.
pub const OPTIONS: &[OptionSpec] = &[
    option("token", "a non-empty string", "required", "the project token"),
    option(
        "mode",
        "\"local\" or \"remote\"",
        "\"local\"",
        "remote: Mixpanel decides, with one request per evaluation; nothing is polled",
    ),
    option(
        "service_account",
        "an object with `username`, `secret` and `project_id`",
        "none",
        "authenticates with a service account instead of the token alone",
    ),
    option(
        "api_host",
        "a host, or a base URL with https:// or http://",
        "api.mixpanel.com",
        "where requests go; `api-eu.mixpanel.com` and `api-in.mixpanel.com` are the EU's and India's",
    ),
    option(
        "allow_insecure_http",
        "true or false",
        "false",
        "allows http:// to hosts other than this machine; the credentials then travel unencrypted",
    ),
    option(
        "polling_interval_ms",
        "an integer from 50 to 86400000",
        "60000",
        "time from the end of one poll to the start of the next, ± 10 %",
    ),
    option(
        "enable_polling",
        "true or false",
        "true",
        "false: definitions are fetched once; with `definitions` or `definitions_path` given, never",
    ),
    option("request_timeout_ms", "an integer from 50 to 600000", "10000", "time limit of one request"),
    option(
        "retry_base_ms",
        "an integer from 10 to 60000",
        "500",
        "first retry after a failed fetch comes within this time; the bound doubles up to the polling interval",
    ),
    option(
        "init_timeout_ms",
        "an integer from 50 to 600000",
        "10000",
        "time after which a client that has nothing to evaluate counts as failed",
    ),
    option(
        "shutdown_timeout_ms",
        "an integer from 0 to 600000",
        "5000",
        "time for delivering events at a shutdown that is given no time; freeing a running client takes 1,000 at most",
    ),
    option(
        "definitions",
        "a definitions document, `{\"flags\": […]}`",
        "none",
        "definitions to start with, so that the client is ready without a request",
    ),
    option(
        "definitions_path",
        "the path of a file",
        "none",
        "the same from a file; only one of the two may be given",
    ),
    option(
        "definitions_cache_dir",
        "the path of a directory",
        "none",
        "keeps the last good definitions there, to start from when Mixpanel cannot be reached",
    ),
    option(
        "overrides",
        "an object of flag keys and values",
        "none",
        "values that these flags have, whatever Mixpanel says",
    ),
    option(
        "targeting_key_as",
        "the name of a context key, usually \"distinct_id\"",
        "none",
        "this key takes the context's `targetingKey` when it is absent or null",
    ),
    option(
        "attributes_as_custom_properties",
        "true or false",
        "false",
        "true: rules see the context's top-level attributes too, where `custom_properties` has no such key; in remote mode they are sent twice",
    ),
    option(
        "proxy",
        "the URL of a proxy, or \"\" for none",
        "from HTTPS_PROXY or ALL_PROXY",
        "the proxy that requests go through; NO_PROXY applies",
    ),
    option(
        "report_exposures",
        "true or false",
        "true",
        "false: evaluations report no exposure; `track_exposure` still does",
    ),
    option(
        "exposure_window_ms",
        "an integer from 0 to 604800000",
        "1800000",
        "time within which the same exposure is reported once; 0: every evaluation reports",
    ),
    option(
        "exposure_dedupe_capacity",
        "an integer from 0 to 16777216",
        "65536",
        "exposures remembered for that; 0: every evaluation reports",
    ),
    option(
        "event_queue_capacity",
        "an integer from 1 to 10000000",
        "10000",
        "events that may wait, for a retry too; what comes beyond is dropped and counted",
    ),
    option(
        "event_batch_size",
        "an integer from 1 to 2000",
        "500",
        "events whose waiting starts a request; one holds up to 2,000, or 1 MiB",
    ),
    option(
        "event_flush_interval_ms",
        "an integer from 10 to 3600000",
        "5000",
        "time after which fewer are sent too",
    ),
    option(
        "event_retry_base_ms",
        "an integer from 10 to 600000",
        "2000",
        "pause after the first failed request; it doubles, with jitter on top",
    ),
    option(
        "event_retry_max_ms",
        "an integer from 10 to 3600000",
        "60000",
        "bound of that pause, without the jitter",
    ),
    option(
        "event_sink",
        "true or false",
        "false",
        "true: events come out of the item stream instead of being sent",
    ),
    option(
        "ca_file",
        "the path of a PEM file",
        "none",
        "certificates trusted besides the system's and the bundled ones, as authorities and for their own names",
    ),
    option(
        "wrapper",
        "a string of at most 64 visible ASCII characters",
        "none",
        "appended to the User-Agent, for bindings",
    ),
];
