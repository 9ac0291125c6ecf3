package tests

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	of "github.com/open-feature/go-sdk/openfeature"
)

func TestTracking(t *testing.T) {
	s := newScene(t)
	var log lockedBuffer
	p := s.provider(mpflags.WithEventFlushInterval(10*time.Millisecond), mpflags.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if err := s.api.SetProviderAndWait(background, p); err != nil {
		t.Fatal(err)
	}
	user := of.NewEvaluationContext("key", map[string]any{"distinct_id": "u1"})
	s.client.Track(background, "Bought", user, of.NewTrackingEventDetails(9.5).Add("items", 3))
	// An event that cannot be sent is logged.
	s.client.Track(background, "Unusable", user, of.NewTrackingEventDetails(math.NaN()).Add("x", make(chan int)))
	// The targeting key does not identify a user. A missing user is logged once, not for each event.
	for range 3 {
		s.client.Track(background, "Nobody", of.EvaluationContext{}, of.TrackingEventDetails{})
		s.client.Track(background, "Seen", of.NewEvaluationContext("key", nil), of.TrackingEventDetails{})
	}
	for _, id := range []any{5, 12345678.0} {
		s.client.Track(background, fmt.Sprintf("Numbered %T", id), of.NewTargetlessEvaluationContext(map[string]any{"distinct_id": id}), of.TrackingEventDetails{})
	}
	if got := s.tracked(3); got != "map[Bought:u1 9.5 3 Numbered float64:12345678 <nil> <nil> Numbered int:5 <nil> <nil>]" {
		t.Error(got)
	}
	for part, wanted := range map[string]int{"without distinct_id": 1, "event=Unusable": 1, "Nobody": 0, "Seen": 0} {
		if count := strings.Count(log.String(), part); count != wanted {
			t.Errorf("%d log lines with %q, not %d: %s", count, part, wanted, log.String())
		}
	}
}

type key [2]byte

func (k key) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "key-%d", k[0]), nil }

// The user of an event is the text of distinct_id in the context's JSON, whatever its Go type. A nil pointer means no user.
// An id that is neither a string nor a number is an error.
func TestTrackingIdentities(t *testing.T) {
	s := newScene(t)
	var log lockedBuffer
	p := s.provider(mpflags.WithEventFlushInterval(10*time.Millisecond), mpflags.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if err := s.api.SetProviderAndWait(background, p); err != nil {
		t.Fatal(err)
	}
	type named string
	text, number := "u1", 7.0
	for name, id := range map[string]any{
		"pointer": &text, "number": &number, "named": named("u1"), "marshaler": key{3}, "whole": float32(16777216),
		"nil": nil, "nil pointer": (*string)(nil), "empty": "", "list": []string{"u1"}, "map": map[string]any{"a": 1}, "NaN": math.NaN(),
	} {
		s.client.Track(background, name, of.NewTargetlessEvaluationContext(map[string]any{"distinct_id": id}), of.TrackingEventDetails{})
	}
	if got := s.tracked(5); got != "map[marshaler:key-3 <nil> <nil> named:u1 <nil> <nil> number:7 <nil> <nil> pointer:u1 <nil> <nil> whole:16777216 <nil> <nil>]" {
		t.Error(got)
	}
	for part, wanted := range map[string]int{"without distinct_id": 1, "event=list": 1, "event=map": 1, "event=NaN": 1, "0x": 0} {
		if count := strings.Count(log.String(), part); count != wanted {
			t.Errorf("%d log lines with %q, not %d: %s", count, part, wanted, log.String())
		}
	}
}

// The targeting key is the user if targeting_key_as is distinct_id and the context has no distinct_id.
func TestTrackingTargetingKey(t *testing.T) {
	for as, wanted := range map[string]string{
		"distinct_id": "map[Keyed:key <nil> <nil> Last:u1 <nil> <nil> Null:key <nil> <nil>]",
		"company":     "map[Last:u1 <nil> <nil>]",
	} {
		t.Run(as, func(t *testing.T) {
			s := newScene(t)
			p := s.provider(mpflags.WithEventFlushInterval(10*time.Millisecond), mpflags.WithTargetingKeyAs(as))
			if err := s.api.SetProviderAndWait(background, p); err != nil {
				t.Fatal(err)
			}
			s.client.Track(background, "Keyed", of.NewEvaluationContext("key", nil), of.TrackingEventDetails{})
			s.client.Track(background, "Null", of.NewEvaluationContext("key", map[string]any{"distinct_id": nil}), of.TrackingEventDetails{})
			s.client.Track(background, "Last", of.NewEvaluationContext("key", map[string]any{"distinct_id": "u1"}), of.TrackingEventDetails{})
			if got := s.tracked(strings.Count(wanted, ":")); got != wanted {
				t.Error(got)
			}
		})
	}
}

// tracked returns the user, value and items of the received events, by name.
func (s *scene) tracked(atLeast int) string {
	got := map[string]string{}
	for _, event := range s.server.Events(atLeast) {
		p := event.JSON.Properties
		got[event.JSON.Event] = fmt.Sprint(p["distinct_id"], " ", p["value"], " ", p["items"])
	}
	return fmt.Sprint(got)
}
