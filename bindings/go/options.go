//go:build cgo

package mpflags

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Option configures a client. The functions are named after the keys in docs/configuration.md, which lists the allowed
// values and the defaults. The library checks the values, and its error names the key.
type Option func(*settings) error

// settings are the library's configuration, and the options that only Go has.
type settings struct {
	config map[string]string
	logger *slog.Logger
	remote int
}

// WithOption sets any option by its key in docs/configuration.md. It is for options that are newer than this package.
func WithOption(key string, value any) Option {
	return func(s *settings) error {
		if !utf8.ValidString(key) {
			return newError(ErrInvalidConfig, fmt.Sprintf("config: the key %q is not UTF-8", key))
		}
		json, err := encoded(value)
		if err != nil {
			return newError(ErrInvalidConfig, fmt.Sprintf("config: %s: %v", key, err))
		}
		s.config[key] = json
		return nil
	}
}

func duration(key string, value time.Duration) Option {
	return func(s *settings) error {
		if value%time.Millisecond != 0 {
			return newError(ErrInvalidConfig, fmt.Sprintf("config: %s: %v is not a whole number of milliseconds", key, value))
		}
		return WithOption(key, value.Milliseconds())(s)
	}
}

// WithRemote makes Mixpanel evaluate the flags, with one request per evaluation. Nothing is polled. (`mode`)
func WithRemote() Option { return WithOption("mode", "remote") }

// WithServiceAccount authenticates with a service account instead of the token alone. (`service_account`)
func WithServiceAccount(username, secret, projectID string) Option {
	return WithOption("service_account", map[string]any{"username": username, "secret": secret, "project_id": projectID})
}

// WithAPIHost sets the host that requests are sent to. With further ones, such as Mixpanel behind a cache, it is the first that
// works. (`api_host`)
func WithAPIHost(host string, further ...string) Option {
	if len(further) == 0 {
		return WithOption("api_host", host)
	}
	return WithOption("api_host", append([]string{host}, further...))
}

// WithAllowInsecureHTTP allows http:// to hosts other than this machine. (`allow_insecure_http`)
func WithAllowInsecureHTTP(allow bool) Option { return WithOption("allow_insecure_http", allow) }

// WithTokenInQuery sets whether requests have the token in their query, besides the Authorization header. (`token_in_query`)
func WithTokenInQuery(in bool) Option { return WithOption("token_in_query", in) }

// WithPollingInterval sets the time from the end of one poll to the start of the next. (`polling_interval_ms`)
func WithPollingInterval(d time.Duration) Option { return duration("polling_interval_ms", d) }

// WithEnablePolling turns polling on or off. Without it the definitions are fetched once, or never if they are given as an
// option. (`enable_polling`)
func WithEnablePolling(enable bool) Option { return WithOption("enable_polling", enable) }

// WithRequestTimeout sets the time limit of one request. (`request_timeout_ms`)
func WithRequestTimeout(d time.Duration) Option { return duration("request_timeout_ms", d) }

// WithRetryBase sets the longest delay before the first retry of a fetch. (`retry_base_ms`)
func WithRetryBase(d time.Duration) Option { return duration("retry_base_ms", d) }

// WithInitTimeout sets the time after which a client without definitions counts as failed. (`init_timeout_ms`)
func WithInitTimeout(d time.Duration) Option { return duration("init_timeout_ms", d) }

// WithShutdownTimeout sets the time limit for delivering events when the client is closed. (`shutdown_timeout_ms`)
func WithShutdownTimeout(d time.Duration) Option { return duration("shutdown_timeout_ms", d) }

// WithDefinitions sets the definitions to start with, as JSON text, so that the client is ready without a request.
// (`definitions`)
func WithDefinitions(document string) Option {
	return func(s *settings) error {
		if !json.Valid([]byte(document)) {
			return newError(ErrInvalidConfig, "config: definitions: not JSON")
		}
		s.config["definitions"] = document
		return nil
	}
}

// WithDefinitionsPath is like [WithDefinitions], with the path of a file. (`definitions_path`)
func WithDefinitionsPath(path string) Option { return WithOption("definitions_path", path) }

// WithDefinitionsCacheDir sets the directory that stores the last good definitions, which the client starts with if
// Mixpanel cannot be reached. (`definitions_cache_dir`)
func WithDefinitionsCacheDir(path string) Option { return WithOption("definitions_cache_dir", path) }

// WithReadyFromCache makes the client start with the cached definitions, if there are any. It needs [WithDefinitionsCacheDir].
// (`ready_from_cache`)
func WithReadyFromCache(ready bool) Option { return WithOption("ready_from_cache", ready) }

// WithOverrides fixes the values of flags for every user, regardless of their definitions. (`overrides`)
func WithOverrides(values map[string]any) Option { return WithOption("overrides", values) }

// WithProxy sets the URL of a proxy, or "" for none. (`proxy`)
func WithProxy(url string) Option { return WithOption("proxy", url) }

// WithReportExposures sets whether evaluations report exposures. [Client.TrackExposure] works either way.
// (`report_exposures`)
func WithReportExposures(report bool) Option { return WithOption("report_exposures", report) }

// WithExposureWindow sets the time within which the same exposure is reported once. (`exposure_window_ms`)
func WithExposureWindow(d time.Duration) Option { return duration("exposure_window_ms", d) }

// WithExposureDedupeCapacity sets how many exposures are remembered, so that repeats are recognised.
// (`exposure_dedupe_capacity`)
func WithExposureDedupeCapacity(n int) Option { return WithOption("exposure_dedupe_capacity", n) }

// WithEventQueueCapacity sets how many events may be queued. (`event_queue_capacity`)
func WithEventQueueCapacity(n int) Option { return WithOption("event_queue_capacity", n) }

// WithEventBatchSize sets the number of queued events that triggers a request. (`event_batch_size`)
func WithEventBatchSize(n int) Option { return WithOption("event_batch_size", n) }

// WithEventFlushInterval sets the time after which queued events are sent even if the batch is not full.
// (`event_flush_interval_ms`)
func WithEventFlushInterval(d time.Duration) Option { return duration("event_flush_interval_ms", d) }

// WithEventRetryBase sets the delay after the first failed request for events. (`event_retry_base_ms`)
func WithEventRetryBase(d time.Duration) Option { return duration("event_retry_base_ms", d) }

// WithEventRetryMax sets the maximum delay between retries, which doubles with every failure. (`event_retry_max_ms`)
func WithEventRetryMax(d time.Duration) Option { return duration("event_retry_max_ms", d) }

// WithEventSink turns events into [EventItem]s instead of sending them. Call [Client.OnItem] before [Client.Start], since
// events without a listener are lost. (`event_sink`)
func WithEventSink(sink bool) Option { return WithOption("event_sink", sink) }

// WithCAFile sets the path of a PEM file with additional trusted certificates. (`ca_file`)
func WithCAFile(path string) Option { return WithOption("ca_file", path) }

// WithTargetingKeyAs sets the context key, usually "distinct_id", that takes the value of targetingKey where it is absent.
// (`targeting_key_as`)
func WithTargetingKeyAs(key string) Option { return WithOption("targeting_key_as", key) }

// WithAttributesAsCustomProperties lets rules see top-level attributes as well as custom_properties.
// (`attributes_as_custom_properties`)
func WithAttributesAsCustomProperties(show bool) Option {
	return WithOption("attributes_as_custom_properties", show)
}

// WithLogLevel sets the least serious log lines that the client writes to its logger and passes to [Client.OnItem]. The
// default is [slog.LevelDebug] if the logger is enabled for that when [New] is called, and [slog.LevelInfo] otherwise.
// (`log_level`)
func WithLogLevel(level slog.Level) Option { return WithOption("log_level", levelName(level)) }

// WithLogger sets the logger for the client's log lines. The default is [slog.Default].
func WithLogger(logger *slog.Logger) Option {
	return func(s *settings) error {
		s.logger = logger
		return nil
	}
}

// WithRemoteConcurrency limits the number of concurrent requests of remote evaluations, since each holds an operating
// system thread. Further evaluations wait for a place, or until their context.Context ends. The default is 128.
func WithRemoteConcurrency(limit int) Option {
	return func(s *settings) error {
		if limit < 1 {
			return newError(ErrInvalidConfig, fmt.Sprintf("WithRemoteConcurrency: expected at least 1, got %d", limit))
		}
		s.remote = limit
		return nil
	}
}

// Version is the release of this package.
const Version = "0.1.0"

func collect(token string, options []Option) (*settings, error) {
	s := &settings{config: map[string]string{}, remote: 128}
	base := []Option{WithOption("token", token), WithOption("wrapper", "go/"+Version)}
	for _, option := range slices.Concat(base, options) {
		if err := option(s); err != nil {
			return nil, err
		}
	}
	if s.config["log_level"] == "" && orDefault(s.logger).Enabled(context.Background(), slog.LevelDebug) {
		return s, WithLogLevel(slog.LevelDebug)(s)
	}
	return s, nil
}

// orDefault asks for slog's default anew each time, since a program may replace it.
func orDefault(logger *slog.Logger) *slog.Logger {
	if logger != nil {
		return logger
	}
	return slog.Default()
}

// json is the library's configuration.
func (s *settings) json() string {
	members := make([]string, 0, len(s.config))
	for _, key := range slices.Sorted(maps.Keys(s.config)) {
		// WithOption has checked that the key is UTF-8.
		members = append(members, string(appendQuoted(nil, key))+":"+s.config[key])
	}
	return "{" + strings.Join(members, ",") + "}"
}

// text returns a string that was set, or "".
func (s *settings) text(key string) string {
	var text string
	_ = json.Unmarshal([]byte(s.config[key]), &text)
	return text
}
