//go:build cgo

package mpflags

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

func TestInvalidConfig(t *testing.T) {
	for name, c := range map[string]struct {
		options []Option
		want    string
	}{
		"unknown key":        {[]Option{WithOption("pollling", 1)}, "`pollling`"},
		"out of range":       {[]Option{WithPollingInterval(time.Millisecond)}, "config: polling_interval_ms"},
		"negative":           {[]Option{WithInitTimeout(-time.Second)}, "config: init_timeout_ms"},
		"not whole":          {[]Option{WithInitTimeout(time.Microsecond)}, "config: init_timeout_ms: 1µs is not a whole number of milliseconds"},
		"no JSON":            {[]Option{WithOption("overrides", make(chan int))}, "config: overrides: a chan int"},
		"definitions":        {[]Option{WithDefinitions(`{"flags": [`)}, "config: definitions"},
		"no definitions":     {[]Option{WithDefinitions(`[]`)}, "definitions"},
		"injection":          {[]Option{WithDefinitions(`{"flags": []}, "mode": "remote"`)}, "config: definitions"},
		"key not UTF-8":      {[]Option{WithOption("\xff", 1)}, `"\xff" is not UTF-8`},
		"missing file":       {[]Option{WithDefinitionsPath("/does/not/exist")}, "/does/not/exist"},
		"secret":             {[]Option{WithServiceAccount("robot", "s3cr3t\xff", "1")}, "config: service_account: `secret`: a string that is not UTF-8"},
		"token":              {nil, "config: token"},
		"concurrency":        {[]Option{WithRemoteConcurrency(0)}, "WithRemoteConcurrency"},
		"insecure elsewhere": {[]Option{WithAPIHost("http://example.test")}, "allow_insecure_http"},
		"second host":        {[]Option{WithAPIHost("example.test", "http://example.test")}, "config: api_host[1]: http://"},
	} {
		token := "t0k3n"
		if name == "token" {
			token = "t0k3n\xff"
		}
		_, err := New(token, c.options...)
		if !errors.Is(err, ErrInvalidConfig) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "t0k3n") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every option in docs/configuration.md has a constructor, and a client has the page's time limits.
func TestOptionsTable(t *testing.T) {
	constructors := map[string]Option{
		"token": nil, "wrapper": nil, // New sets them
		"mode": WithRemote(), "service_account": WithServiceAccount("u", "s", "1"), "api_host": WithAPIHost("localhost"),
		"allow_insecure_http": WithAllowInsecureHTTP(true), "polling_interval_ms": WithPollingInterval(time.Second), "token_in_query": WithTokenInQuery(false),
		"enable_polling": WithEnablePolling(false), "request_timeout_ms": WithRequestTimeout(time.Second), "retry_base_ms": WithRetryBase(time.Second),
		"init_timeout_ms": WithInitTimeout(time.Second), "shutdown_timeout_ms": WithShutdownTimeout(time.Second),
		"definitions": WithDefinitions(`{"flags": []}`), "definitions_path": WithDefinitionsPath(filepath.Join(dev.Root(), "dev/samples/definitions.json")),
		"definitions_cache_dir": WithDefinitionsCacheDir(t.TempDir()), "ready_from_cache": WithReadyFromCache(false), "overrides": WithOverrides(map[string]any{"a": 1}), "proxy": WithProxy(""),
		"report_exposures": WithReportExposures(false), "exposure_window_ms": WithExposureWindow(time.Second),
		"exposure_dedupe_capacity": WithExposureDedupeCapacity(10), "event_queue_capacity": WithEventQueueCapacity(10),
		"event_batch_size": WithEventBatchSize(10), "event_flush_interval_ms": WithEventFlushInterval(time.Second),
		"event_retry_base_ms": WithEventRetryBase(time.Second), "event_retry_max_ms": WithEventRetryMax(time.Minute), "event_sink": WithEventSink(true),
		"ca_file": WithCAFile(""), "log_level": WithLogLevel(slog.LevelWarn), "targeting_key_as": WithTargetingKeyAs("distinct_id"), "attributes_as_custom_properties": WithAttributesAsCustomProperties(true),
	}
	page := dev.Read(t, "docs", "configuration.md")
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*) \\| (.*) \\| .* \\|$").FindAllStringSubmatch(page, -1)
	table := map[string]string{}
	for _, row := range rows {
		table[row[1]] = row[3]
	}
	for key, option := range constructors {
		if _, listed := table[key]; !listed {
			t.Errorf("docs/configuration.md has no option %s", key)
		}
		if option == nil || key == "ca_file" {
			continue
		}
		s, err := collect("t", []Option{option})
		if err != nil || s.config[key] == "" {
			t.Errorf("%s: the constructor sets %v %v", key, s, err)
			continue
		}
		if c, err := New("t", option); err != nil {
			t.Errorf("%s: %v", key, err)
		} else if err := c.Close(); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	for key := range table {
		if _, known := constructors[key]; !known {
			t.Errorf("the option %s has no constructor", key)
		}
	}
	core := client(t).own().core
	for key, limit := range map[string]time.Duration{"init_timeout_ms": core.initTimeout, "request_timeout_ms": core.requestTimeout,
		"shutdown_timeout_ms": core.shutdownTimeout} {
		if got := fmt.Sprint(limit.Milliseconds()); got != table[key] {
			t.Errorf("%s: docs/configuration.md has %s, the client %s", key, table[key], got)
		}
	}
}

// The numbers in numbers.go are the header's.
func TestNumbers(t *testing.T) {
	header := dev.Read(t, "include", "mpflags.h")
	number := func(name string) int32 {
		var n int32
		found := regexp.MustCompile(`#define MPFLAGS_` + name + ` (\d+)`).FindStringSubmatch(header)
		if found == nil {
			t.Fatalf("the header has no MPFLAGS_%s", name)
		}
		_, _ = fmt.Sscan(found[1], &n)
		return n
	}
	count := func(group string, listed int) {
		if all := regexp.MustCompile(`#define MPFLAGS_`+group+`_[A-Z0-9_]+ \d+`).FindAllString(header, -1); len(all) != listed {
			t.Errorf("the header has %d numbers of %s, this test %d: %v", len(all), group, listed, all)
		}
	}
	for name, want := range map[string]error{"NULL_ARGUMENT": ErrInvalidArgument, "INVALID_UTF8": ErrInvalidArgument, "INVALID_ARGUMENT": ErrInvalidArgument,
		"UNKNOWN_BIT": ErrInvalidArgument, "INVALID_CONFIG": ErrInvalidConfig, "INVALID_CONTEXT": ErrInvalidContext, "INVALID_DEFINITIONS": ErrInvalidDefinitions,
		"CREDENTIALS_REFUSED": ErrCredentialsRefused, "BACKEND": ErrBackend, "QUEUE_FULL": ErrQueueFull, "TIMEOUT": ErrTimeout, "CLOSED": ErrClosed,
		"SYSTEM": ErrSystem, "PANIC": ErrGeneral, "GENERAL": ErrGeneral} {
		if got := errorKind(number(name)); got != want {
			t.Errorf("%s is %v", name, got)
		}
	}
	reasons := []Reason{Static, Default, TargetingMatch, Split, Disabled}
	for _, want := range reasons {
		if got := reason(number("REASON_" + string(want))); got != want {
			t.Errorf("%s is %s", want, got)
		}
	}
	codes := []ErrorCode{ProviderNotReady, FlagNotFound, ParseError, TypeMismatch, TargetingKeyMissing, InvalidContext, ProviderFatal, General}
	for _, want := range codes {
		if got := errorCode(number("ERROR_" + string(want))); got != want {
			t.Errorf("%s is %s", want, got)
		}
	}
	states := []State{StateNotReady, StateReady, StateStale, StateError}
	for _, want := range states {
		if got := state(number("STATE_" + string(want))); got != want {
			t.Errorf("%s is %s", want, got)
		}
	}
	for name, want := range map[string]slog.Level{"DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARNING": slog.LevelWarn, "ERROR": slog.LevelError} {
		if got := level(number("LEVEL_" + name)); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	for i, name := range []string{"NONE", "BOOLEAN", "STRING", "INT64", "DOUBLE", "OBJECT", "ARRAY", "NULL"} {
		if number("KIND_"+name) != int32(i) {
			t.Errorf("KIND_%s is not %d", name, i)
		}
	}
	for option, name := range map[EvaluateOption]string{0: "ANY", AsBoolean: "BOOLEAN", AsString: "STRING", AsInteger: "INT64", AsFloat: "DOUBLE", AsObject: "OBJECT"} {
		if number("TYPE_"+name) != int32(option) {
			t.Errorf("TYPE_%s is not %d", name, option)
		}
	}
	for name, want := range map[string]uint64{"ANSWER_NO_MATCH": noMatch.answer, "ANSWER_DISABLED": disabled.answer, "OPTION_NO_EXPOSURE": uint64(WithoutExposure >> 8),
		"ENCODING_JSON": encodingJSON, "ENCODING_BINARY": encodingBinary} {
		if uint64(number(name)) != want {
			t.Errorf("%s is not %d", name, want)
		}
	}
	// Numbers added to the header must be added here.
	count("REASON", len(reasons)+2)
	count("ERROR", len(codes)+1)
	count("STATE", len(states)+1)
	count("KIND", 8)
	count("TYPE", 7)
	count("ANSWER", 3) // the third is read like any other answer
	if errorKind(99) != ErrGeneral || reason(99) != Unknown || errorCode(99) != General || state(99) != StateUnknown || active(0) != nil || *active(1) || !*active(2) {
		t.Error("an unknown number does not map to the last case")
	}
}
