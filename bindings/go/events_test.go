//go:build cgo

package mpflags

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

func TestExposures(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf("true")))
	for range 3 {
		for _, user := range []string{"u1", "u2"} {
			c.Boolean(background, "f", false, Context{"distinct_id": user})
		}
	}
	unreported := c.Evaluate(background, "f", Context{"distinct_id": "u3"}, WithoutExposure)
	all, err := c.EvaluateAll(background, Context{"distinct_id": "u4"})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if left, err := c.Flush(background); err != nil || left != 0 {
		t.Error(left, err)
	}
	if events := server.Events(2); len(events) != 2 {
		t.Error("before TrackExposure:", len(events))
	}
	for _, v := range []Evaluation{unreported, all["f"], unreported} {
		if err := c.TrackExposure(v); err != nil {
			t.Error(err)
		}
	}
	for name, v := range map[string]Evaluation{"reported": c.Evaluate(background, "f", Context{"distinct_id": "u1"}), "none": {},
		"no user": c.Evaluate(background, "f", nil, WithoutExposure), "no flag": c.Evaluate(background, "g", Context{"distinct_id": "u1"}, WithoutExposure)} {
		if err := c.TrackExposure(v); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	var users []string
	for _, event := range server.Events(4) {
		p := event.JSON.Properties
		users = append(users, fmt.Sprint(event.JSON.Event, " ", p["distinct_id"], " ", p["Experiment name"], " ", p["Variant name"], " ", p["$experiment_id"], " ", event.Accepted))
	}
	slices.Sort(users)
	want := []string{}
	for i := range 4 {
		want = append(want, fmt.Sprintf("$experiment_started u%d f on e1 true", i+1))
	}
	if !slices.Equal(users, want) {
		t.Error(users)
	}
}

// Reading the wrong type returns the default, so it is not an exposure, and TrackExposure refuses it.
func TestNoExposureOfTheWrongType(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, flagOf(`"text"`)))
	user := Context{"distinct_id": "u1"}
	c.Boolean(background, "f", true, user)
	c.Int(background, "f", 5, user)
	c.Float(background, "f", 2.5, user)
	c.Object(background, "f", nil, user)
	for _, options := range [][]EvaluateOption{{AsBoolean}, {AsBoolean, WithoutExposure}} {
		v := c.Evaluate(background, "f", user, options...)
		if !errors.Is(v.Err(), TypeMismatch) {
			t.Error(v.Err())
		}
		if err := c.TrackExposure(v); !errors.Is(err, ErrInvalidArgument) {
			t.Error(err)
		}
	}
	if left, err := c.Flush(background); left != 0 || err != nil {
		t.Error(left, err)
	}
	if stats, err := c.Statistics(); err != nil || stats.Enqueued != 0 {
		t.Errorf("%+v %v", stats, err)
	}
	if value := c.String(background, "f", "", user); value != "text" {
		t.Error(value)
	}
	if left, err := c.Flush(background); left != 0 || err != nil {
		t.Error(left, err)
	}
	if events := server.Events(1); len(events) != 1 {
		t.Error(events)
	}
}

// A user in two companies is exposed twice, and TrackExposure does not report an exposure again.
func TestExposuresOfGroups(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, `{"flags": [{"key": "f", "context": "company_id", "ruleset": {
		"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}]}`))
	for range 3 {
		for _, company := range []any{"a", "b", 7, "7"} {
			user := Context{"distinct_id": "u1", "company_id": company}
			if !c.Boolean(background, "f", false, user) {
				t.Error(company)
			}
			if err := c.TrackExposure(c.Evaluate(background, "f", user, WithoutExposure)); err != nil {
				t.Error(err)
			}
		}
	}
	if left, err := c.Flush(background); left != 0 || err != nil {
		t.Error(left, err)
	}
	if events := server.Events(3); len(events) != 3 {
		t.Error(len(events))
	}
}

func TestTrack(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, `{"flags": []}`))
	if err := c.Track("Signed up", "u1", map[string]any{"plan": "pro", "seats": int64(3), "at": time.Unix(0, 0).UTC()}); err != nil {
		t.Error(err)
	}
	if err := c.Track("Left", "u1", nil); err != nil {
		t.Error(err)
	}
	if err := c.Track("Opened", "", map[string]any{"$device_id": "d1", "time": time.Unix(1_700_000_000, 0)}); err != nil {
		t.Error(err)
	}
	if err := c.PeopleUpdate("$set", "u1", map[string]string{"plan": "pro"}); err != nil {
		t.Error(err)
	}
	if err := c.GroupUpdate("$set", "company", "acme", map[string]int{"seats": 5}); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"no group": c.GroupUpdate("$set", "company", "", map[string]any{}), "group's operation": c.GroupUpdate("$add", "company", "a", map[string]int{"n": 1}),
		"no name": c.Track("", "u1", nil), "no user": c.Track("e", "", nil), "no profile": c.PeopleUpdate("$set", "", map[string]any{}),
		"time": c.Track("e", "u", map[string]any{"time": "yesterday"}), "insert id": c.Track("e", "u", map[string]any{"$insert_id": 7}),
		"NaN":       c.Track("e", "u", map[string]any{"x": math.NaN()}),
		"operation": c.PeopleUpdate("$what", "u", map[string]any{}), "value": c.PeopleUpdate("$set", "u", make(chan int)),
		"override": c.SetOverride("f", math.Inf(1)),
	} {
		if !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := c.Flush(background); left != 0 || err != nil {
		t.Error(left, err)
	}
	got := map[string]map[string]any{}
	for _, event := range server.Events(5) {
		got[event.JSON.Event] = event.JSON.Properties
		if !event.Accepted {
			t.Error("not accepted", event)
		}
	}
	if p := got["Signed up"]; p["plan"] != "pro" || p["seats"] != 3.0 || p["at"] != "1970-01-01T00:00:00Z" || p["distinct_id"] != "u1" {
		t.Error(p)
	}
	if p := got["Opened"]; p["distinct_id"] != "" || p["$device_id"] != "d1" || p["time"] != 1.7e12 {
		t.Error(p)
	}
	stats, err := c.Statistics()
	if err != nil || stats.Enqueued != 5 || stats.Sent != 5 || stats.QueueLength != 0 || stats.LastError != nil || stats.Dropped != (Dropped{}) {
		t.Errorf("%+v %v", stats, err)
	}
}

// The time of an event may be a time.Time or a number. Anything else is refused and not sent.
func TestTimeOfAnEvent(t *testing.T) {
	server := dev.Start(t)
	c := ready(t, against(t, server, `{"flags": []}`))
	at := time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.FixedZone("east", 3600))
	properties := map[string]any{"time": at, "when": at}
	want := map[string]float64{"value": 1772362800250, "pointer": 1772362800250, "milliseconds": 1772362800250, "seconds": 1772362800}
	for name, err := range map[string]error{
		"value": c.Track("value", "u1", properties), "pointer": c.Track("pointer", "u1", map[string]any{"time": &at}),
		"milliseconds": c.Track("milliseconds", "u1", map[string]any{"time": at.UnixMilli()}), "seconds": c.Track("seconds", "u1", map[string]any{"time": at.Unix()}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if properties["time"] != at {
		t.Error("the program's map was changed")
	}
	var never *time.Time
	for name, value := range map[string]any{"no time": never, "zero": time.Time{}, "before 1970": time.Unix(-1, 0)} {
		if err := c.Track("refused", "u1", map[string]any{"time": value}); !errors.Is(err, ErrInvalidArgument) || !strings.Contains(fmt.Sprint(err), "time") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := c.Flush(background); left != 0 || err != nil {
		t.Error(left, err)
	}
	events := server.Events(4)
	for _, event := range events {
		if !event.Accepted || event.JSON.Properties["time"] != want[event.JSON.Event] {
			t.Error(event)
		}
		if event.JSON.Event == "value" && event.JSON.Properties["when"] != "2026-03-01T12:00:00.25+01:00" {
			t.Error(event)
		}
	}
	if len(events) != 4 {
		t.Error(len(events))
	}
}

// Statistics has a field for every member that the library writes, and no other.
func TestStatisticsAreComplete(t *testing.T) {
	c := client(t)
	var written map[string]any
	if err := c.call(func(n native) error {
		text, err := n.statistics()
		return errors.Join(err, json.Unmarshal([]byte(text), &written))
	}); err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	text, _ := json.Marshal(Statistics{})
	_ = json.Unmarshal(text, &read)
	if fmt.Sprint(keys(written)) != fmt.Sprint(keys(read)) || fmt.Sprint(keys(written["dropped"])) != fmt.Sprint(keys(read["dropped"])) {
		t.Errorf("the library writes %v, Statistics has %v", written, read)
	}
}

func keys(object any) (names []string) {
	for name := range object.(map[string]any) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestQueueFullAndUndelivered(t *testing.T) {
	server := dev.Start(t)
	server.Faults(`[{"path": "/track", "kind": "status", "status": 503}]`)
	c := ready(t, against(t, server, `{"flags": []}`, WithEventQueueCapacity(2), WithShutdownTimeout(200*time.Millisecond)))
	var full error
	for i := 0; i < 5 && full == nil; i++ {
		full = c.Track("e", "u", nil)
	}
	if !errors.Is(full, ErrQueueFull) {
		t.Error(full)
	}
	ctx, cancel := context.WithTimeout(background, 100*time.Millisecond)
	defer cancel()
	if left, err := c.Flush(ctx); left != 2 || err != nil {
		// On a busy machine the deadline can win over the count.
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(left, err)
		}
	}
	stats, _ := c.Statistics()
	if stats.LastError == nil || stats.LastError.Time().Before(time.Now().Add(-time.Minute)) || stats.Dropped.QueueFull != 1 {
		t.Errorf("%+v", stats)
	}
	if err := c.Close(); !errors.Is(err, ErrUndelivered) || err.Error() != "2 events were not delivered" {
		t.Error(err)
	}
}

// Flush and Shutdown return as soon as their context ends, and their work continues.
func TestCancelledFlushAndShutdown(t *testing.T) {
	server := dev.Start(t)
	server.Faults(`[{"path": "/track", "kind": "hang"}]`)
	c := ready(t, against(t, server, `{"flags": []}`, WithShutdownTimeout(10*time.Second)))
	if err := c.Track("e", "u", nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request", func() bool { return server.InFlight() > 0 })
	// In this order, since a shutdown leaves nothing to flush.
	for _, call := range []func(context.Context) (uint64, error){c.Flush, c.Shutdown} {
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(10*time.Millisecond, cancel)
		begun := time.Now()
		if _, err := call(ctx); !errors.Is(err, context.Canceled) || time.Since(begun) > 5*time.Second {
			t.Error(err, time.Since(begun))
		}
	}
	// The shutdown continues, and delivers once the server responds again.
	server.NoFaults()
	server.Call("POST", "/__dev/restart", "")
	if events := server.Events(1); len(events) != 1 {
		t.Error(events)
	}
	eventually(t, "the end of the threads", func() bool { return threads() == 0 })
}

// What a health page needs.
func TestStatisticsOfDefinitions(t *testing.T) {
	server := dev.Start(t)
	before := time.Now().Truncate(time.Millisecond)
	document := strings.Replace(flagOf("true"), `[{"key": "f"`, `[{"key": "malformed"}, {"key": "f"`, 1)
	c := ready(t, against(t, server, document))
	read := func() Statistics {
		t.Helper()
		statistics, err := c.Statistics()
		if err != nil || statistics.Definitions == nil {
			t.Fatalf("%+v %v", statistics, err)
		}
		return statistics
	}
	first := read()
	if d := first.Definitions; first.State != StateReady || d.Flags != 2 || d.Malformed.Count != 1 || len(d.Malformed.Reasons) != 1 ||
		!strings.Contains(d.Malformed.Reasons[0], "malformed") || d.ETag == "" || d.Polled().Before(before) || d.Polled().After(time.Now()) ||
		d.Age() < 0 || d.Age() > time.Minute || d.LastPollError != nil {
		t.Errorf("%+v %+v", first, d)
	}
	server.Faults(`[{"path": "/flags/definitions", "kind": "status", "status": 500}]`)
	eventually(t, "the failure", func() bool { return read().State == StateStale })
	if d := read().Definitions; d.LastPollError == nil || !strings.Contains(d.LastPollError.Message, "HTTP 500") || d.LastPollError.Time().Before(d.Polled()) || d.Flags != 2 {
		t.Errorf("%+v", d)
	}
	// The member names are the library's.
	if text, err := json.Marshal(read()); err != nil || !strings.Contains(string(text), `"last_poll_error":{"message":"HTTP 500`) {
		t.Errorf("%s %v", text, err)
	}
	unstarted := client(t)
	if statistics, err := unstarted.Statistics(); err != nil || statistics.State != StateNotReady || !statistics.Definitions.Polled().IsZero() || statistics.Definitions.Flags != 0 {
		t.Errorf("%+v %v", statistics, err)
	}
	remote := ready(t, against(t, server, document, WithRemote()))
	if statistics, err := remote.Statistics(); err != nil || statistics.Definitions != nil {
		t.Errorf("%+v %v", statistics, err)
	}
}

func TestEventSink(t *testing.T) {
	c := client(t, WithDefinitions(flagOf("true")), WithEventSink(true))
	var mu sync.Mutex
	var events []string
	c.OnItem(func(item Item) {
		if event, ok := item.(EventItem); ok {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, string(event.JSON))
		}
	})
	if err := c.Start(background); err != nil {
		t.Fatal(err)
	}
	c.Boolean(background, "f", false, Context{"distinct_id": "u1"})
	eventually(t, "the event", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(events) == 1 && json.Valid([]byte(events[0]))
	})
}

func TestOverrides(t *testing.T) {
	c := client(t, WithOverrides(map[string]any{"a": 1}))
	for _, value := range []any{true, "x", int64(5), 2.5, map[string]any{"k": []any{int64(1)}}, nil} {
		if err := c.SetOverride("a", value); err != nil {
			t.Fatal(err)
		}
		if v := c.Evaluate(background, "a", nil); fmt.Sprint(v.Value()) != fmt.Sprint(value) || v.Variant() != "override" || v.Reason() != Static {
			t.Errorf("%v: %v", value, v.Value())
		}
	}
	if err := c.ClearOverride("a"); err != nil {
		t.Fatal(err)
	}
	if err := c.ClearOverride("never"); err != nil {
		t.Fatal(err)
	}
	if err := c.Evaluate(background, "a", nil).Err(); !errors.Is(err, ProviderNotReady) {
		t.Error(err)
	}
}
