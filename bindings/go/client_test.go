package mpflags

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

var background = context.Background()

const oneFlag = `{"flags": [{"key": "f", "context": "distinct_id", "experiment_id": "e1", "is_experiment_active": true, "ruleset":
	{"variants": [{"key": "on", "value": VALUE, "split": 1}], "rollout": [{"rollout_percentage": 1}], "test": {"users": {"qa": "on"}}}}]}`

func flagOf(value string) string { return strings.Replace(oneFlag, "VALUE", value, 1) }

func fast() []Option {
	return []Option{WithPollingInterval(50 * time.Millisecond), WithRetryBase(10 * time.Millisecond),
		WithEventFlushInterval(10 * time.Millisecond), WithLogger(slog.New(slog.DiscardHandler))}
}

// against makes a client of a server that serves a document, and starts it.
func against(t *testing.T, server *dev.Server, document string, options ...Option) *Client {
	t.Helper()
	server.Serve(document)
	c, err := New("demo", slices.Concat(fast(), []Option{WithAPIHost(server.URL)}, options)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	return c
}

func ready(t *testing.T, c *Client) *Client {
	t.Helper()
	if err := c.WaitReady(background); err != nil {
		t.Fatal(err)
	}
	return c
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("%s did not come", what)
}

func TestTypedReads(t *testing.T) {
	user := Context{"distinct_id": "u1"}
	for value, want := range map[string]string{
		`true`: "true none -7 -7.5 none", `"x"`: "false x -7 -7.5 none", `3`: "false none 3 3 none", `3.0`: "false none 3 3 none",
		`2.5`: "false none -7 2.5 none", `9007199254740993`: "false none 9007199254740993 9.007199254740992e+15 none",
		`{"a": [1, 2.5]}`: "false none -7 -7.5 map[a:[1 2.5]]", `[1]`: "false none -7 -7.5 [1]", `null`: "false none -7 -7.5 <nil>",
	} {
		c := client(t, WithReportExposures(false), WithDefinitions(flagOf(value)))
		got := fmt.Sprint(c.Boolean(background, "f", false, user), " ", c.String(background, "f", "none", user), " ", c.Int(background, "f", -7, user),
			" ", c.Float(background, "f", -7.5, user), " ", c.Object(background, "f", "none", user))
		if got != want {
			t.Errorf("%s: want %s, got %s", value, want, got)
		}
	}
}

func TestVariantTells(t *testing.T) {
	c := client(t, WithReportExposures(false), WithDefinitions(flagOf(`{"a": {"b": [1]}}`)))
	v := c.Variant(background, "f", Context{"distinct_id": "qa"})
	active, known := v.IsExperimentActive()
	got := fmt.Sprintln(v.Flag(), v.Assigned(), v.Name(), v.Reason(), v.Err(), v.ExperimentID(), active, known, v.IsQATester(), v.JSON(), v.Metadata())
	want := `f true on TARGETING_MATCH <nil> e1 true true true {"a":{"b":[1]}} map[experiment_id:e1 is_experiment_active:true is_qa_tester:true]`
	if got != want+"\n" {
		t.Error(got)
	}
	// What is handed out is the caller's own.
	v.Value().(map[string]any)["a"].(map[string]any)["b"].([]any)[0] = "changed"
	v.Metadata()["experiment_id"] = "changed"
	if again := c.Variant(background, "f", Context{"distinct_id": "qa"}); fmt.Sprintln(again.Value(), again.Metadata()["experiment_id"]) != "map[a:map[b:[1]]] e1\n" {
		t.Error(again.Value(), again.Metadata())
	}
	missing := c.Variant(background, "missing", nil)
	var why *EvaluationError
	if !errors.Is(missing.Err(), FlagNotFound) || errors.Is(missing.Err(), TypeMismatch) || !errors.As(missing.Err(), &why) || why.Flag != "missing" {
		t.Error(missing.Err())
	}
	var none Variant
	if none.Assigned() || none.Err() != nil || none.Reason() != Unknown || none.Value() != nil || none.Metadata() != nil {
		t.Error(none)
	}
	if err := c.Variant(background, "f\xff", nil).Err(); !errors.Is(err, General) || !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestInvalidConfig(t *testing.T) {
	for name, c := range map[string]struct {
		options []Option
		want    string
	}{
		"unknown key":       {[]Option{WithOption("pollling", 1)}, "`pollling`"},
		"out of range":      {[]Option{WithPollingInterval(time.Millisecond)}, "config: polling_interval_ms"},
		"negative":          {[]Option{WithInitTimeout(-time.Second)}, "config: init_timeout_ms"},
		"not whole":         {[]Option{WithInitTimeout(time.Microsecond)}, "config: init_timeout_ms: 1µs is no whole number of milliseconds"},
		"no JSON":           {[]Option{WithOption("overrides", make(chan int))}, "config: overrides: a chan int"},
		"definitions":       {[]Option{WithDefinitions(`{"flags": [`)}, "config: definitions"},
		"no definitions":    {[]Option{WithDefinitions(`[]`)}, "definitions"},
		"injection":         {[]Option{WithDefinitions(`{"flags": []}, "mode": "remote"`)}, "config: definitions"},
		"key not UTF-8":     {[]Option{WithOption("\xff", 1)}, `"\xff" is not UTF-8`},
		"missing file":      {[]Option{WithDefinitionsPath("/does/not/exist")}, "/does/not/exist"},
		"secret":            {[]Option{WithServiceAccount("robot", "s3cr3t\xff", "1")}, "config: service_account: `secret`: a string that is not UTF-8"},
		"token":             {nil, "config: token"},
		"concurrency":       {[]Option{WithRemoteConcurrency(0)}, "WithRemoteConcurrency"},
		"insecure elsewere": {[]Option{WithAPIHost("http://example.test")}, "allow_insecure_http"},
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

// Every option of the README has its constructor, and what this package needs of the defaults is what stands there.
func TestOptionsTable(t *testing.T) {
	constructors := map[string]Option{
		"token": nil, "wrapper": nil, // New sets them
		"mode": WithRemote(), "service_account": WithServiceAccount("u", "s", "1"), "api_host": WithAPIHost("localhost"),
		"allow_insecure_http": WithAllowInsecureHTTP(true), "polling_interval_ms": WithPollingInterval(time.Second),
		"enable_polling": WithEnablePolling(false), "request_timeout_ms": WithRequestTimeout(time.Second), "retry_base_ms": WithRetryBase(time.Second),
		"init_timeout_ms": WithInitTimeout(time.Second), "shutdown_timeout_ms": WithShutdownTimeout(time.Second),
		"definitions": WithDefinitions(`{"flags": []}`), "definitions_path": WithDefinitionsPath(filepath.Join(dev.Root(), "dev/samples/definitions.json")),
		"definitions_cache_dir": WithDefinitionsCacheDir(t.TempDir()), "overrides": WithOverrides(map[string]any{"a": 1}), "proxy": WithProxy(""),
		"report_exposures": WithReportExposures(false), "exposure_window_ms": WithExposureWindow(time.Second),
		"exposure_dedupe_capacity": WithExposureDedupeCapacity(10), "event_queue_capacity": WithEventQueueCapacity(10),
		"event_batch_size": WithEventBatchSize(10), "event_flush_interval_ms": WithEventFlushInterval(time.Second),
		"event_retry_base_ms": WithEventRetryBase(time.Second), "event_retry_max_ms": WithEventRetryMax(time.Minute), "event_sink": WithEventSink(true),
		"ca_file": WithCAFile(""), "targeting_key_as": WithTargetingKeyAs("distinct_id"), "attributes_as_custom_properties": WithAttributesAsCustomProperties(true),
	}
	readme := dev.Read(t, "README.md")
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*) \\| (.*) \\| .* \\|$").FindAllStringSubmatch(readme, -1)
	table := map[string]string{}
	for _, row := range rows {
		table[row[1]] = row[3]
	}
	for key, option := range constructors {
		if _, listed := table[key]; !listed {
			t.Errorf("the README has no option %s", key)
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
		if _, known := constructors[key]; !known && strings.Contains(readme, "| `"+key+"` | ") && table[key] != "" && optionRow(readme, key) {
			t.Errorf("the option %s has no constructor", key)
		}
	}
	s, err := collect("t", nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, otherwise := range map[string]time.Duration{"init_timeout_ms": initTimeout, "shutdown_timeout_ms": shutdownTimeout} {
		if got := fmt.Sprint(s.milliseconds(key, otherwise).Milliseconds()); got != table[key] {
			t.Errorf("%s: the README has %s, this package %s", key, table[key], got)
		}
	}
}

// optionRow tells whether a row stands in the table of options.
func optionRow(readme, key string) bool {
	_, section, found := strings.Cut(readme, "\n## Options\n")
	section, _, _ = strings.Cut(section, "\n## ")
	return found && strings.Contains(section, "\n| `"+key+"` |")
}

// The numbers of numbers.go are those of the header.
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
	for ask, name := range map[Ask]string{0: "ANY", AsBoolean: "BOOLEAN", AsString: "STRING", AsInteger: "INT64", AsFloat: "DOUBLE", AsObject: "OBJECT"} {
		if number("TYPE_"+name) != int32(ask) {
			t.Errorf("TYPE_%s is not %d", name, ask)
		}
	}
	for name, want := range map[string]uint64{"ANSWER_NO_MATCH": noMatch.answer, "ANSWER_DISABLED": disabled.answer, "OPTION_NO_EXPOSURE": uint64(WithoutExposure >> 8)} {
		if uint64(number(name)) != want {
			t.Errorf("%s is not %d", name, want)
		}
	}
	// What is added to the header is missed here.
	count("REASON", len(reasons)+2)
	count("ERROR", len(codes)+1)
	count("STATE", len(states)+1)
	count("KIND", 8)
	count("TYPE", 6)
	count("ANSWER", 2)
	if errorKind(99) != ErrGeneral || reason(99) != Unknown || errorCode(99) != General || state(99) != StateUnknown || active(0) != nil || *active(1) || !*active(2) {
		t.Error("a number that is not known is not the last case")
	}
}

func TestVersions(t *testing.T) {
	if LibraryVersion() != Version {
		t.Errorf("the library is %s, this package %s", LibraryVersion(), Version)
	}
	server := dev.Start(t)
	ready(t, against(t, server, `{"flags": []}`))
	if agent := server.Requests(1)[0].Headers["user-agent"]; agent != "mpflags/"+Version+" go/"+Version {
		t.Error(agent)
	}
}

func TestLifecycle(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf("true")))
	user := Context{"distinct_id": "u1"}
	if c.State() != StateReady || !c.Boolean(background, "f", false, user) {
		t.Error(c.State())
	}
	if err := c.Start(background); err != nil {
		t.Error(err)
	}
	if lost, err := c.Shutdown(background); err != nil || lost != 0 {
		t.Error(lost, err)
	}
	if lost, err := c.Shutdown(background); err != nil || lost != 0 {
		t.Error("the second time", lost, err)
	}
	// Definitions are held, and nothing is reported any more.
	if !c.Boolean(background, "f", false, Context{"distinct_id": "u2"}) {
		t.Error("a client that is shut down evaluates")
	}
	if err := c.Track("e", "u", nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	ready(t, c)
	c.Boolean(background, "f", false, Context{"distinct_id": "u3"})
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	var users []any
	for _, event := range server.Events(2) {
		users = append(users, event.JSON.Properties["distinct_id"])
	}
	if fmt.Sprint(users) != "[u1 u3]" {
		t.Error(users)
	}
	// After Close there are defaults and ErrClosed, and no crash.
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	v := c.Variant(background, "f", user)
	_, all := c.AllVariants(background, user)
	_, stats := c.Stats()
	_, flush := c.Flush(background)
	lost, shutdown := c.Shutdown(background)
	for what, err := range map[string]error{"Variant": v.Err(), "AllVariants": all, "Stats": stats, "Flush": flush, "Start": c.Start(background), "WaitReady": c.WaitReady(background),
		"Track": c.Track("e", "u", nil), "UpdatePeople": c.UpdatePeople("$set", "u", map[string]any{}), "SetOverride": c.SetOverride("f", 1), "ClearOverride": c.ClearOverride("f"),
		"TrackExposure": c.TrackExposure(Variant{source: &exposable{}})} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if c.Boolean(background, "f", false, user) || c.State() != StateUnknown || lost != 0 || shutdown != nil || fmt.Sprintf("%#v", c) != "mpflags.Client(UNKNOWN)" {
		t.Error("after Close:", c.State(), lost, shutdown)
	}
}

func TestWaitReady(t *testing.T) {
	server := dev.Start(t)
	server.Faults(`[{"path": "/flags/definitions", "kind": "hang"}]`)
	never, err := New("t")
	if err != nil {
		t.Fatal(err)
	}
	defer never.Close()
	if err := never.WaitReady(background); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	c := against(t, server, flagOf("true"), WithInitTimeout(100*time.Millisecond))
	if err := c.WaitReady(background); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	if err := c.Variant(background, "f", nil).Err(); !errors.Is(err, ProviderNotReady) {
		t.Error(err)
	}
	slow := against(t, server, flagOf("true"), WithInitTimeout(time.Minute))
	ctx, cancel := context.WithCancel(background)
	server.Requests(2)
	time.AfterFunc(10*time.Millisecond, cancel)
	begun := time.Now()
	if err := slow.WaitReady(ctx); !errors.Is(err, context.Canceled) || time.Since(begun) > 5*time.Second {
		t.Error(err, time.Since(begun))
	}
	if err := slow.WaitReady(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(background, 10*time.Millisecond)
	defer cancel()
	if err := slow.WaitReady(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	// A wait ends when the client is closed beside it.
	waiting := make(chan error)
	go func() { waiting <- slow.WaitReady(background) }()
	if err := slow.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 401}]`)
	refused := against(t, server, flagOf("true"))
	if err := refused.WaitReady(background); !errors.Is(err, ErrCredentialsRefused) || !strings.Contains(err.Error(), "HTTP 401") {
		t.Error(err)
	}
	if err := refused.Variant(background, "f", nil).Err(); !errors.Is(err, ProviderFatal) {
		t.Error(err)
	}
	server.NoFaults()
	eventually(t, "the healing", func() bool { return refused.WaitReady(background) == nil })
}

func TestItems(t *testing.T) {
	server := dev.Start(t)
	var log lockedBuffer
	c := against(t, server, flagOf("true"), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	var mu sync.Mutex
	var items []string
	stop := c.OnItem(func(item Item) {
		mu.Lock()
		defer mu.Unlock()
		items = append(items, fmt.Sprintf("%T%+v", item, item))
	})
	has := func(part string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.ContainsFunc(items, func(item string) bool { return strings.Contains(item, part) })
		}
	}
	ready(t, c)
	server.Serve(flagOf("false"))
	eventually(t, "the change", has("ChangeItem{Flags:[f]}"))
	server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 500}]`)
	eventually(t, "the state", has("StateItem{State:STALE Message:"))
	eventually(t, "the log line", has("LogItem{Level:WARN"))
	eventually(t, "the line in the log", func() bool {
		return strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "library=mpflags")
	})
	stop()
	mu.Lock()
	before := len(items)
	mu.Unlock()
	server.NoFaults()
	eventually(t, "the healing", func() bool { return c.State() == StateReady })
	if _, err := c.Shutdown(background); err != nil {
		t.Error(err)
	}
	if len(items) > before+1 {
		t.Error("a listener that was stopped was told", items[before:])
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A client that was forgotten ends by itself, and leaves neither thread nor goroutine.
func TestForgottenClient(t *testing.T) {
	server := dev.Start(t)
	func() {
		c := against0(t, server)
		ready(t, c)
	}()
	if threads() == 0 {
		t.Fatal("the client has no thread")
	}
	eventually(t, "the end of the threads", func() bool {
		runtime.GC()
		return threads() == 0
	})
}

func against0(t *testing.T, server *dev.Server) *Client {
	server.Serve(flagOf("true"))
	c, err := New("demo", append(fast(), WithAPIHost(server.URL))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	return c
}

// threads counts those that the library has started.
func threads() int {
	names, _ := filepath.Glob("/proc/self/task/*/comm")
	count := 0
	for _, path := range names {
		if name, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(name), "mpflags-") {
			count++
		}
	}
	return count
}
