//go:build cgo

package mpflags

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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

// against starts a client of a server that serves a document.
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
	t.Fatalf("%s did not happen", what)
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

func TestEvaluation(t *testing.T) {
	c := client(t, WithReportExposures(false), WithDefinitions(flagOf(`{"a": {"b": [1]}}`)))
	v := c.Evaluate(background, "f", Context{"distinct_id": "qa"})
	active, known := v.IsExperimentActive()
	got := fmt.Sprintln(v.Key(), v.HasValue(), v.Variant(), v.Reason(), v.Err(), v.ExperimentID(), active, known, v.IsQATester(), v.JSON(), v.Metadata())
	want := `f true on TARGETING_MATCH <nil> e1 true true true {"a":{"b":[1]}} map[contextId:qa experiment_id:e1 is_experiment_active:true is_qa_tester:true]`
	if got != want+"\n" {
		t.Error(got)
	}
	// The caller owns what it gets.
	v.Value().(map[string]any)["a"].(map[string]any)["b"].([]any)[0] = "changed"
	v.Metadata()["experiment_id"] = "changed"
	if again := c.Evaluate(background, "f", Context{"distinct_id": "qa"}); fmt.Sprintln(again.Value(), again.Metadata()["experiment_id"]) != "map[a:map[b:[1]]] e1\n" {
		t.Error(again.Value(), again.Metadata())
	}
	missing := c.Evaluate(background, "missing", nil)
	var why *EvaluationError
	if !errors.Is(missing.Err(), FlagNotFound) || errors.Is(missing.Err(), TypeMismatch) || !errors.As(missing.Err(), &why) || why.Flag != "missing" {
		t.Error(missing.Err())
	}
	var none Evaluation
	if none.HasValue() || none.Err() != nil || none.Reason() != Unknown || none.Value() != nil || none.Metadata() != nil {
		t.Error(none)
	}
	if err := c.Evaluate(background, "f\xff", nil).Err(); !errors.Is(err, General) || !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
}

// EvaluateAll returns an empty map if there are no flags or no definitions.
func TestEvaluateAllWithoutFlags(t *testing.T) {
	for document, code := range map[string]error{`{"flags": []}`: nil, "": ProviderNotReady} {
		var options []Option
		if document != "" {
			options = append(options, WithDefinitions(document))
		}
		c := client(t, options...)
		if all, err := c.EvaluateAll(background, Context{"distinct_id": "u1"}); all == nil || len(all) != 0 || !errors.Is(err, code) {
			t.Errorf("%q: %v %v", document, all, err)
		}
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
	// The definitions are kept, and nothing is reported any more.
	if !c.Boolean(background, "f", false, Context{"distinct_id": "u2"}) {
		t.Error("a client that was shut down must evaluate")
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
	// After Close, calls return defaults and ErrClosed.
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	v := c.Evaluate(background, "f", user)
	_, all := c.EvaluateAll(background, user)
	_, statistics := c.Statistics()
	_, flush := c.Flush(background)
	lost, shutdown := c.Shutdown(background)
	for what, err := range map[string]error{"Evaluate": v.Err(), "EvaluateAll": all, "Statistics": statistics, "Flush": flush, "Start": c.Start(background), "WaitReady": c.WaitReady(background),
		"Track": c.Track("e", "u", nil), "PeopleUpdate": c.PeopleUpdate("$set", "u", map[string]any{}), "GroupUpdate": c.GroupUpdate("$set", "company", "a", map[string]any{}), "SetOverride": c.SetOverride("f", 1), "ClearOverride": c.ClearOverride("f"),
		"TrackExposure": c.TrackExposure(Evaluation{source: &exposable{}})} {
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
	if err := c.Evaluate(background, "f", nil).Err(); !errors.Is(err, ProviderNotReady) {
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
	// Closing the client ends a wait.
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
	if err := refused.Evaluate(background, "f", nil).Err(); !errors.Is(err, ProviderFatal) {
		t.Error(err)
	}
	server.NoFaults()
	eventually(t, "the recovery", func() bool { return refused.WaitReady(background) == nil })
}

// The metadata have the value that the flag was bucketed by, as text, whatever its type in the context.
func TestContextID(t *testing.T) {
	document := strings.Replace(flagOf("true"), "distinct_id", "company", 1)
	c := client(t, WithReportExposures(false), WithTargetingKeyAs("company"), WithOverrides(map[string]any{"forced": true}), WithDefinitions(document))
	id := "acme"
	for name, one := range map[string]struct {
		user Context
		want any
	}{
		"string":            {Context{"company": id, "targetingKey": "other"}, id},
		"integer":           {Context{"company": -7}, "-7"},
		"float":             {Context{"company": 1e21}, "1e+21"},
		"boolean":           {Context{"company": true}, "true"},
		"pointer":           {Context{"company": &id}, id},
		"number as written": {Context{"company": json.Number("1.50")}, "1.5"},
		"targeting key":     {Context{"targetingKey": id}, id},
		"null":              {Context{"company": nil, "targetingKey": id}, id},
		"null pointer":      {Context{"company": (*string)(nil), "targetingKey": id}, id},
		"a number there":    {Context{"targetingKey": 5}, "5"},
	} {
		e := c.Evaluate(background, "f", one.user)
		again := c.Evaluate(background, "f", one.user, AsBoolean)
		full := c.Evaluate(background, "f", one.user, WithoutExposure)
		all, err := c.EvaluateAll(background, one.user)
		clear(one.user)
		for how, e := range map[string]Evaluation{"Evaluate": e, "again": again, "WithoutExposure": full, "EvaluateAll": all["f"]} {
			if got := e.Metadata(); got["contextId"] != one.want || got["experiment_id"] != "e1" || got["is_experiment_active"] != true {
				t.Errorf("%s, %s: want %v, got %v %v", name, how, one.want, got, err)
			}
		}
	}
	late := c.Evaluate(background, "f", Context{"company": 7})
	for flag, e := range map[string]Evaluation{"an override": c.Evaluate(background, "forced", Context{"company": id}), "an error": c.Evaluate(background, "f", nil), "zero": {}} {
		if got := e.Metadata(); got != nil {
			t.Errorf("%s: %v", flag, got)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if got := late.Metadata(); got["experiment_id"] != "e1" || got["contextId"] != nil {
		t.Error(got)
	}
}

// Reading a metadata's value makes no exposure.
func TestContextIDIsNoExposure(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf("true")))
	for range 2 {
		if got := c.Evaluate(background, "f", Context{"distinct_id": 7}).Metadata(); got["contextId"] != "7" {
			t.Error(got)
		}
	}
	if stats, err := c.Statistics(); err != nil || stats.Enqueued+stats.Deduplicated != 2 {
		t.Errorf("%+v %v", stats, err)
	}
}

// The library makes DEBUG lines only if the logger wants them when the client is made, or if an option says so.
func TestLogLevel(t *testing.T) {
	server := dev.Start(t)
	for name, one := range map[string]struct {
		logger  slog.Level
		options []Option
		debug   bool
		info    bool
		logged  bool
	}{
		"a logger at DEBUG":      {slog.LevelDebug, nil, true, true, true},
		"a logger at INFO":       {slog.LevelInfo, nil, false, true, false},
		"a logger at WARN":       {slog.LevelWarn, nil, false, true, false},
		"the option":             {slog.LevelInfo, []Option{WithLogLevel(slog.LevelDebug)}, true, true, false},
		"a level below DEBUG":    {slog.LevelInfo, []Option{WithLogLevel(slog.LevelDebug - 4)}, true, true, false},
		"the option beats DEBUG": {slog.LevelDebug, []Option{WithLogLevel(slog.LevelWarn)}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var log lockedBuffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: one.logger}))
			server.Serve(flagOf("true"))
			c, err := New("demo", append([]Option{WithAPIHost(server.URL), WithPollingInterval(50 * time.Millisecond), WithLogger(logger)}, one.options...)...)
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			heard := map[slog.Level]bool{}
			changed := false
			c.OnItem(func(item Item) {
				mu.Lock()
				defer mu.Unlock()
				switch item := item.(type) {
				case LogItem:
					heard[item.Level] = true
				case ChangeItem:
					changed = true
				}
			})
			if err := c.Start(background); err != nil {
				t.Fatal(err)
			}
			ready(t, c)
			server.Serve(flagOf("false"))
			eventually(t, "the change", func() bool { mu.Lock(); defer mu.Unlock(); return changed })
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if heard[slog.LevelDebug] != one.debug || heard[slog.LevelInfo] != one.info || strings.Contains(log.String(), "level=DEBUG") != one.logged {
				t.Errorf("%v\n%s", heard, log.String())
			}
		})
	}
}

// A deadline that passes first does not hide why there are no definitions.
func TestDeadlineKeepsTheReason(t *testing.T) {
	server := dev.Start(t)
	server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 500}]`)
	c := against(t, server, flagOf("true"), WithRetryBase(time.Minute))
	server.Requests(1)
	for name, wait := range map[string]func(context.Context) error{"WaitReady": c.WaitReady, "Refresh": c.Refresh} {
		if name == "Refresh" {
			server.Faults(`[{"path": "/flags/definitions", "kind": "hang"}]`)
		}
		ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
		defer cancel()
		begun := time.Now()
		err := wait(ctx)
		var own *Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) || !errors.As(err, &own) || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(begun))
		}
		if name == "WaitReady" && !strings.Contains(err.Error(), "HTTP 500") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListenerThatIsNil(t *testing.T) {
	var log lockedBuffer
	c := client(t, WithDefinitions(flagOf("true")), WithEventSink(true), WithEventFlushInterval(10*time.Millisecond),
		WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	stop := c.OnItem(nil)
	heard := make(chan Item, 8)
	c.OnItem(func(item Item) { heard <- item })
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	c.Boolean(background, "f", false, Context{"distinct_id": "u1"})
	select {
	case item := <-heard:
		if text := fmt.Sprint(item); !strings.HasPrefix(text, `{"event":"$experiment_started"`) {
			t.Error(text)
		}
	case <-time.After(10 * time.Second):
		t.Error("the other listener hears nothing")
	}
	stop()
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "OnItem: the function is nil") {
		t.Error(log.String())
	}
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
	eventually(t, "the recovery", func() bool { return c.State() == StateReady })
	if _, err := c.Shutdown(background); err != nil {
		t.Error(err)
	}
	if len(items) > before+1 {
		t.Error("a removed listener was called", items[before:])
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

// A client that was never closed is closed when it is collected, and leaves neither thread nor goroutine.
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

// threads counts the library's threads.
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

// Refresh fetches the newest definitions even if polling is off, and listeners are told about the change.
func TestRefresh(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf("1"), WithEnablePolling(false)))
	changed := make(chan []string, 8)
	c.OnItem(func(item Item) {
		if change, ok := item.(ChangeItem); ok {
			changed <- change.Flags
		}
	})
	user := Context{"distinct_id": "u1"}
	for value := int64(2); value < 5; value++ {
		server.Serve(flagOf(fmt.Sprint(value)))
		if got := c.Int(background, "f", 0, user); got != value-1 {
			t.Error("before:", got)
		}
		if err := c.Refresh(background); err != nil {
			t.Fatal(err)
		}
		if got := c.Int(background, "f", 0, user); got != value {
			t.Error("after:", got)
		}
		select {
		case flags := <-changed:
			if !slices.Equal(flags, []string{"f"}) {
				t.Error(flags)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no change")
		}
	}
	// Unchanged definitions are not an error.
	if err := c.Refresh(background); err != nil {
		t.Error(err)
	}
	// The definitions stay in service when a fetch fails.
	server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 503}]`)
	if err := c.Refresh(background); !errors.Is(err, ErrBackend) || !strings.Contains(err.Error(), "503") {
		t.Error(err)
	}
	server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 401}]`)
	if err := c.Refresh(background); !errors.Is(err, ErrCredentialsRefused) {
		t.Error(err)
	}
	if got := c.Int(background, "f", 0, user); got != 4 {
		t.Error(got)
	}
}

// Refresh returns as soon as its context ends or the client is closed.
func TestRefreshEnds(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf("1"), WithEnablePolling(false), WithRequestTimeout(time.Minute), WithShutdownTimeout(2*time.Second)))
	server.Faults(`[{"path": "/flags/definitions", "kind": "hang"}]`)
	ended, cancel := context.WithCancel(background)
	cancel()
	if err := c.Refresh(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(background)
	result := make(chan error, 1)
	go func() { result <- c.Refresh(ctx) }()
	server.Requests(2)
	begun := time.Now()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) || time.Since(begun) > 5*time.Second {
		t.Error(err, time.Since(begun))
	}
	short, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	if err := c.Refresh(short); !errors.Is(err, ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	go func() { result <- c.Refresh(background) }()
	time.Sleep(20 * time.Millisecond)
	begun = time.Now()
	_ = c.Close()
	if err := <-result; !errors.Is(err, ErrClosed) || time.Since(begun) > 20*time.Second {
		t.Error(err, time.Since(begun))
	}
	if err := c.Refresh(background); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := client(t).Refresh(background); !errors.Is(err, ErrInvalidArgument) {
		t.Error("not started:", err)
	}
	remote := against(t, server, `{"flags": []}`, WithRemote())
	if err := remote.Refresh(background); err != nil {
		t.Error("remote:", err)
	}
}
