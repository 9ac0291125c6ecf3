//go:build cgo

package mpflags

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

// 32 goroutines evaluate while definitions change and the client is closed. Every value matches its variant and
// experiment.
func TestRace(t *testing.T) {
	server := dev.Start(t)
	document := func(generation int) string {
		return fmt.Sprintf(`{"flags": [{"key": "f", "context": "distinct_id", "experiment_id": "e%[1]d", "ruleset": {"variants":
			[{"key": "v%[1]d", "value": {"generation": %[1]d}, "split": 1}], "rollout": [{"rollout_percentage": 1}]}}]}`, generation)
	}
	c := ready(t, against(t, server, document(0)))
	stop := c.OnItem(func(Item) {})
	var evaluated, generations atomic.Int64
	var group sync.WaitGroup
	var highest sync.Map
	closed := make(chan struct{})
	for goroutine := range 32 {
		group.Go(func() {
			for i := 0; ; i++ {
				v := c.Evaluate(background, "f", Context{"distinct_id": fmt.Sprint(goroutine, i%50), "Plan": i, "plan": true}, AsObject)
				if errors.Is(v.Err(), ErrClosed) {
					select {
					case <-closed:
					default:
						t.Error("ErrClosed before Close")
					}
					return
				}
				object, ok := v.Value().(map[string]any)
				if !ok {
					t.Errorf("%v %v", v.Err(), v.Value())
					return
				}
				number := object["generation"].(int64)
				if name := fmt.Sprintf("v%d", number); v.Variant() != name || v.ExperimentID() != fmt.Sprintf("e%d", number) {
					t.Errorf("%s has the value of %s, and experiment %s", v.Variant(), name, v.ExperimentID())
					return
				}
				if _, seen := highest.LoadOrStore(number, true); !seen {
					generations.Add(1)
				}
				object["generation"] = -1 // owned by the caller
				evaluated.Add(1)
				if i%100 == goroutine {
					_, _ = c.EvaluateAll(background, Context{"distinct_id": "x"})
					_, _ = c.Statistics()
					_ = c.SetOverride("other", i)
					_ = c.Track("e", "u", nil)
				}
			}
		})
	}
	for generation := 1; generations.Load() < 10; generation++ {
		before := generations.Load()
		server.Serve(document(generation))
		eventually(t, "the next generation", func() bool { return generations.Load() > before || t.Failed() })
		if t.Failed() {
			break
		}
	}
	stop()
	close(closed)
	if err := c.Close(); err != nil && !errors.Is(err, ErrUndelivered) {
		t.Error(err)
	}
	group.Wait()
	t.Logf("%d evaluations over %d generations", evaluated.Load(), generations.Load())
}

// Concurrent Close calls, during other calls, free the client once.
func TestCloseBesideCalls(t *testing.T) {
	for range 50 {
		c, err := New("t", append(fast(), WithEnablePolling(false), WithDefinitions(flagOf("true")), WithReportExposures(false))...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(background); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for c.State() != StateUnknown {
					c.Boolean(background, "f", false, Context{"distinct_id": "u"})
				}
			})
		}
		for range 4 {
			group.Go(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Go(func() { _, _ = c.Shutdown(background) })
		group.Go(func() { _ = c.Start(background) })
		group.Wait()
		if !c.own().core.calls.ended.Load() {
			t.Fatal("the client is not freed")
		}
	}
}

// The native client outlives Close until the last call in progress has ended.
func TestInflight(t *testing.T) {
	freed := 0
	f := newInflight(func() { freed++ })
	if !f.enter(3) || !f.enter(19) || !f.close() || f.close() {
		t.Fatal("enter, or close")
	}
	if f.enter(5) || freed != 0 {
		t.Fatal("a call entered after close")
	}
	f.exit(3)
	if freed != 0 {
		t.Fatal("freed during a call")
	}
	f.exit(19)
	<-f.done
	if freed != 1 || f.enter(3) || freed != 1 {
		t.Fatal(freed)
	}
}

// The cache of answers is bounded, and never returns another answer's outcome.
func TestAnswers(t *testing.T) {
	var a answers
	for i := range uint64(50_000) {
		a.put(&outcome{answer: i<<1 | 1})
		if of := a.get(i<<1 | 1); of == nil || of.answer != i<<1|1 {
			t.Fatalf("%d is missing right after put", i)
		}
	}
	found := 0
	for i := range uint64(50_000) {
		if of := a.get(i<<1 | 1); of != nil {
			found++
			if of.answer != i<<1|1 {
				t.Fatalf("%d returns %d", i, of.answer)
			}
		}
	}
	if found > slots || found < slots/2 {
		t.Errorf("%d answers are cached", found)
	}
}

// Evaluations are right even if there are more flags than slots in the cache.
func TestMoreAnswersThanSlots(t *testing.T) {
	document := []byte(`{"flags": [`)
	const flags = 6000
	for i := range flags {
		if i > 0 {
			document = append(document, ',')
		}
		document = fmt.Appendf(document, `{"key": "f%d", "context": "id", "ruleset": {"variants": [{"key": "v%d", "value": %d}], "rollout": [{"rollout_percentage": 1}]}}`, i, i, i)
	}
	c := client(t, WithReportExposures(false), WithDefinitions(string(append(document, "]}"...))))
	for range 2 {
		for i := range flags {
			if v := c.Evaluate(background, fmt.Sprintf("f%d", i), Context{"id": 1}, AsInteger); v.Value() != int64(i) || v.Variant() != fmt.Sprintf("v%d", i) {
				t.Fatalf("f%d: %v %v", i, v.Value(), v.Err())
			}
		}
	}
	all, err := c.EvaluateAll(background, Context{"id": 1})
	if err != nil || len(all) != flags || all["f5999"].Value() != int64(5999) {
		t.Error(len(all), err)
	}
}

// An evaluation does not allocate.
func TestAllocations(t *testing.T) {
	c := client(t, WithReportExposures(false), WithDefinitions(flagOf("true")))
	user := Context{"distinct_id": "user-1", "custom_properties": map[string]any{"plan": "pro", "age": 31, "score": 0.5, "beta": true, "tags": []string{"a"}}}
	c.Boolean(background, "f", false, user)
	if raceEnabled {
		t.Skip("with the race detector, sync.Pool drops items at random")
	}
	if allocations := testing.AllocsPerRun(1000, func() { c.Boolean(background, "f", false, user) }); allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestNoWaitWithoutServer(t *testing.T) {
	c := client(t, WithAPIHost("http://127.0.0.1:1"), WithEnablePolling(true), WithLogger(nil), WithRetryBase(time.Second))
	if v := c.Evaluate(background, "f", nil); !errors.Is(v.Err(), ProviderNotReady) {
		t.Error(v.Err())
	}
}
