//go:build cgo

package mpflags

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Option sets one option of a client. The table of options, with what is allowed and the defaults, stands in the
// project's README; a constructor here has the name of the option's key. Values are checked by the library, and the
// error names the key.
type Option func(*settings) error

// settings are what options make: the configuration of the library, and what is Go's alone.
type settings struct {
	config map[string]string
	logger *slog.Logger
	remote int
}

// WithOption sets an option by its key in the configuration of the library: for one that is newer than this package.
func WithOption(key string, value any) Option {
	return func(s *settings) error {
		if !utf8.ValidString(key) {
			return newError(ErrInvalidConfig, fmt.Sprintf("config: the key %q is not UTF-8", key))
		}
		to, err := appendValue(nil, value, 0)
		if err != nil {
			return newError(ErrInvalidConfig, fmt.Sprintf("config: %s: %v", key, err))
		}
		s.config[key] = string(to)
		return nil
	}
}

func duration(key string, value time.Duration) Option {
	return func(s *settings) error {
		if value%time.Millisecond != 0 {
			return newError(ErrInvalidConfig, fmt.Sprintf("config: %s: %v is no whole number of milliseconds", key, value))
		}
		return WithOption(key, value.Milliseconds())(s)
	}
}

// WithRemote makes Mixpanel decide, with one request per evaluation; nothing is polled. (`mode`)
func WithRemote() Option { return WithOption("mode", "remote") }

// WithServiceAccount authenticates with a service account instead of the token alone. (`service_account`)
func WithServiceAccount(username, secret, projectID string) Option {
	return WithOption("service_account", map[string]any{"username": username, "secret": secret, "project_id": projectID})
}

// WithAPIHost says where requests go. (`api_host`)
func WithAPIHost(host string) Option { return WithOption("api_host", host) }

// WithAllowInsecureHTTP allows http:// to hosts other than this machine. (`allow_insecure_http`)
func WithAllowInsecureHTTP(allow bool) Option { return WithOption("allow_insecure_http", allow) }

// WithPollingInterval is the time from the end of one poll to the start of the next. (`polling_interval_ms`)
func WithPollingInterval(d time.Duration) Option { return duration("polling_interval_ms", d) }

// WithEnablePolling: false fetches definitions once, and never when they are given. (`enable_polling`)
func WithEnablePolling(enable bool) Option { return WithOption("enable_polling", enable) }

// WithRequestTimeout limits the time of one request. (`request_timeout_ms`)
func WithRequestTimeout(d time.Duration) Option { return duration("request_timeout_ms", d) }

// WithRetryBase bounds the time of the first retry of a fetch. (`retry_base_ms`)
func WithRetryBase(d time.Duration) Option { return duration("retry_base_ms", d) }

// WithInitTimeout is the time after which a client that has nothing to evaluate counts as failed. (`init_timeout_ms`)
func WithInitTimeout(d time.Duration) Option { return duration("init_timeout_ms", d) }

// WithShutdownTimeout is the time that closing may take. (`shutdown_timeout_ms`)
func WithShutdownTimeout(d time.Duration) Option { return duration("shutdown_timeout_ms", d) }

// WithDefinitions gives definitions to start with, as the text of a document, so that the client is ready without a
// request. (`definitions`)
func WithDefinitions(document string) Option {
	return func(s *settings) error {
		if !json.Valid([]byte(document)) {
			return newError(ErrInvalidConfig, "config: definitions: not JSON")
		}
		s.config["definitions"] = document
		return nil
	}
}

// WithDefinitionsPath gives them as a file. (`definitions_path`)
func WithDefinitionsPath(path string) Option { return WithOption("definitions_path", path) }

// WithDefinitionsCacheDir keeps the last good definitions in a directory, to start from when Mixpanel cannot be reached.
// (`definitions_cache_dir`)
func WithDefinitionsCacheDir(path string) Option { return WithOption("definitions_cache_dir", path) }

// WithOverrides gives flags values that they have whatever Mixpanel says. (`overrides`)
func WithOverrides(values map[string]any) Option { return WithOption("overrides", values) }

// WithProxy is the URL of a proxy, or empty for none. (`proxy`)
func WithProxy(url string) Option { return WithOption("proxy", url) }

// WithReportExposures: false makes no evaluation an exposure; [Client.TrackExposure] still reports. (`report_exposures`)
func WithReportExposures(report bool) Option { return WithOption("report_exposures", report) }

// WithExposureWindow is the time within which the same flag, variant and user are reported once. (`exposure_window_ms`)
func WithExposureWindow(d time.Duration) Option { return duration("exposure_window_ms", d) }

// WithExposureDedupeCapacity is how many exposures are remembered for that. (`exposure_dedupe_capacity`)
func WithExposureDedupeCapacity(n int) Option { return WithOption("exposure_dedupe_capacity", n) }

// WithEventQueueCapacity is how many events may wait. (`event_queue_capacity`)
func WithEventQueueCapacity(n int) Option { return WithOption("event_queue_capacity", n) }

// WithEventBatchSize is how many waiting events start a request. (`event_batch_size`)
func WithEventBatchSize(n int) Option { return WithOption("event_batch_size", n) }

// WithEventFlushInterval is the time after which fewer are sent too. (`event_flush_interval_ms`)
func WithEventFlushInterval(d time.Duration) Option { return duration("event_flush_interval_ms", d) }

// WithEventRetryBase is the pause after the first failed request for events. (`event_retry_base_ms`)
func WithEventRetryBase(d time.Duration) Option { return duration("event_retry_base_ms", d) }

// WithEventRetryMax bounds that pause. (`event_retry_max_ms`)
func WithEventRetryMax(d time.Duration) Option { return duration("event_retry_max_ms", d) }

// WithEventSink makes events [EventItem]s instead of sending them: [Client.OnItem], before [Client.Start], takes them, and
// what nobody takes is gone. (`event_sink`)
func WithEventSink(sink bool) Option { return WithOption("event_sink", sink) }

// WithCAFile names a PEM file of certificates that are trusted too. (`ca_file`)
func WithCAFile(path string) Option { return WithOption("ca_file", path) }

// WithTargetingKeyAs names a context key that takes the context's targetingKey when it is absent. (`targeting_key_as`)
func WithTargetingKeyAs(key string) Option { return WithOption("targeting_key_as", key) }

// WithAttributesAsCustomProperties shows top-level attributes to rules. (`attributes_as_custom_properties`)
func WithAttributesAsCustomProperties(show bool) Option {
	return WithOption("attributes_as_custom_properties", show)
}

// WithLogger writes the client's log lines to logger instead of [slog.Default].
func WithLogger(logger *slog.Logger) Option {
	return func(s *settings) error {
		s.logger = logger
		return nil
	}
}

// WithRemoteConcurrency limits how many requests of remote evaluations are under way at once, since each holds a thread
// of the operating system. Others wait, as long as their context.Context lets them. 128 unless set.
func WithRemoteConcurrency(limit int) Option {
	return func(s *settings) error {
		if limit < 1 {
			return newError(ErrInvalidConfig, fmt.Sprintf("WithRemoteConcurrency: %d is not positive", limit))
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
	return s, nil
}

// json is the configuration as the library takes it.
func (s *settings) json() string {
	keys := make([]string, 0, len(s.config))
	for key := range s.config {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var text strings.Builder
	for i, key := range keys {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		text.WriteByte(separator)
		name, _ := appendString(nil, key) // WithOption has seen to it that it is UTF-8
		text.Write(name)
		text.WriteByte(':')
		text.WriteString(s.config[key])
	}
	text.WriteByte('}')
	return text.String()
}

// milliseconds is the value of a duration that was set, or what the library takes without.
func (s *settings) milliseconds(key string, otherwise time.Duration) time.Duration {
	var ms int64
	if json.Unmarshal([]byte(s.config[key]), &ms) != nil || ms < 0 {
		return otherwise
	}
	return time.Duration(ms) * time.Millisecond
}

// text is the text that was set, or none.
func (s *settings) text(key string) string {
	var text string
	_ = json.Unmarshal([]byte(s.config[key]), &text)
	return text
}
