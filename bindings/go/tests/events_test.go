package tests

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cucumber/godog"
	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/internal/dev"
	provider "github.com/mpflags/mpflags/bindings/go/openfeature"
	of "github.com/open-feature/go-sdk/openfeature"
	"go.uber.org/goleak"
)

// The number of processes that share the runs of events.feature. Each runs its scenarios one after another, so that a leak
// can be attributed to a scenario.
const workers = 4

// TestEvents runs every scenario of events.feature MPFLAGS_EVENT_RUNS times, 100 unless set.
func TestEvents(t *testing.T) {
	definitions(t)
	runs := 100
	if given := os.Getenv("MPFLAGS_EVENT_RUNS"); given != "" {
		var err error
		if runs, err = strconv.Atoi(given); err != nil || runs < 1 {
			t.Fatalf("MPFLAGS_EVENT_RUNS is %q", given)
		}
	}
	var group sync.WaitGroup
	for worker := range workers {
		share := runs / workers
		if worker < runs%workers {
			share++
		}
		if share == 0 {
			continue
		}
		group.Go(func() {
			command := exec.Command(os.Args[0], "-test.run=^TestEventsWorker$", "-test.v")
			command.Env = append(os.Environ(), "MPFLAGS_EVENT_WORKER="+strconv.Itoa(share))
			output, err := command.CombinedOutput()
			if err != nil || strings.Count(string(output), "events.feature: 5 of 5 scenarios pass") != share {
				t.Errorf("worker %d: %v\n%s", worker, err, output)
			}
		})
	}
	group.Wait()
	if !t.Failed() {
		t.Logf("each scenario passes %d times", runs)
	}
}

// TestEventsWorker is a process of TestEvents.
func TestEventsWorker(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("MPFLAGS_EVENT_WORKER"))
	if err != nil {
		t.Skip("TestEvents runs this in separate processes")
	}
	path := definitions(t)
	for range runs {
		if t.Failed() {
			return
		}
		runSuite(t, filepath.Join(dev.Root(), "conformance", "openfeature", "events.feature"), func(sc *godog.ScenarioContext) {
			e := &eventWorld{world: newWorld(t, path, false)}
			e.steps(sc)
		})
	}
}

type eventWorld struct {
	*world
	mu       sync.Mutex
	received []received
	setting  error
	ignored  goleak.Option
	threads  int
	provided *provider.Provider
}

type received struct {
	at    time.Time
	name  string
	flags []string
}

func (e *eventWorld) steps(sc *godog.ScenarioContext) {
	sc.Before(func(ctx context.Context, _ *godog.Scenario) (context.Context, error) {
		e.begin()
		for name, kind := range map[string]of.EventType{"READY": of.ProviderReady, "ERROR": of.ProviderError,
			"STALE": of.ProviderStale, "CONFIGURATION_CHANGED": of.ProviderConfigChange} {
			// The SDK runs handlers in goroutines, in any order, so each records the time.
			handler := func(details of.EventDetails) {
				e.mu.Lock()
				defer e.mu.Unlock()
				if details.ProviderName != "mixpanel-provider" {
					name += " of " + strconv.Quote(details.ProviderName)
				}
				e.received = append(e.received, received{time.Now(), name, details.FlagChanges})
			}
			e.client.AddHandler(kind, &handler)
		}
		return ctx, nil
	})
	sc.After(func(ctx context.Context, _ *godog.Scenario, err error) (context.Context, error) { return ctx, e.end() })

	fault := func(status int) {
		e.server.Faults(fmt.Sprintf(`[{"path": "/flags/definitions", "kind": "status", "status": %d}]`, status))
	}
	sc.Step(`^Mixpanel that refuses the credentials$`, func() { fault(401) })
	sc.Step(`^Mixpanel that is down$`, func() { e.server.Call("POST", "/__dev/stop", "") })
	sc.Step(`^Mixpanel in good health$`, func() {})
	sc.Step(`^Mixpanel accepts the credentials$`, func() { e.server.NoFaults() })
	sc.Step(`^Mixpanel is up$`, func() { e.server.Call("POST", "/__dev/restart", "") })
	sc.Step(`^Mixpanel answers (\d+) to every fetch$`, fault)
	sc.Step(`^Mixpanel is in good health again$`, func() { e.server.NoFaults() })
	sc.Step(`^the provider is set$`, e.set)
	sc.Step(`^setting it fails(?:, and the message contains "([^"]*)")?$`, func(part string) error {
		if e.setting == nil || !strings.Contains(e.setting.Error(), part) {
			return mismatch{fmt.Sprintf("setting the provider: %v", e.setting)}
		}
		return nil
	})
	sc.Step(`^the status is "([^"]*)"$`, func(status string) error { return same("status", status, e.client.State()) })
	sc.Step(`^so far the events are "([^"]*)"$`, e.eventsAre)
	sc.Step(`^no other event comes$`, e.noOther)
	sc.Step(`^the last event names the flags "([^"]*)"$`, func(flags string) error {
		events := e.events()
		return same("flags", strings.Split(flags, ", "), events[len(events)-1].flags)
	})
	sc.Step(`^"([^"]*)" gives its default with "([^"]*)"$`, func(flag, code string) error {
		details, _ := e.client.BooleanValueDetails(background, flag, false, of.EvaluationContext{})
		return errors.Join(same("value", false, details.Value), same("error code", code, details.ErrorCode))
	})
	sc.Step(`^"([^"]*)" gives its variant$`, func(flag string) error {
		details, _ := e.client.BooleanValueDetails(background, flag, false, of.EvaluationContext{})
		return errors.Join(same("value", true, details.Value), same("variant", "on", details.Variant))
	})
	sc.Step(`^the value of "([^"]*)" is false$`, func(flag string) error {
		details, _ := e.client.BooleanValueDetails(background, flag, true, of.EvaluationContext{})
		return errors.Join(same("value", false, details.Value), same("error code", "", details.ErrorCode))
	})
	sc.Step(`^the definition of "([^"]*)" changes so that its value is false$`, e.change)
	sc.Step(`^the provider is shut down$`, func() error { return e.api.Shutdown(background) })
	sc.Step(`^no thread of it is left$`, e.nothingLeft)
}

func (e *eventWorld) set() error {
	e.ignored = goleak.IgnoreCurrent()
	e.threads = libraryThreads()
	p, err := provider.NewLocalProvider("demo", mpflags.WithAPIHost(e.server.URL), mpflags.WithLogger(quiet),
		mpflags.WithPollingInterval(50*time.Millisecond), mpflags.WithRetryBase(10*time.Millisecond),
		mpflags.WithInitTimeout(200*time.Millisecond))
	if err != nil {
		return err
	}
	e.made = append(e.made, p)
	e.provided = p
	e.setting = e.api.SetProviderAndWait(background, p)
	return nil
}

func (e *eventWorld) events() []received {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.SortedFunc(slices.Values(e.received), func(a, b received) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
}

func (e *eventWorld) names() string {
	var names []string
	for _, event := range e.events() {
		names = append(names, event.name)
	}
	return strings.Join(names, ", ")
}

// eventsAre waits for as many events, and compares all.
func (e *eventWorld) eventsAre(wanted string) error {
	count := len(strings.Split(wanted, ", "))
	if err := eventually("event "+strconv.Itoa(count), func() bool { return len(e.events()) >= count }); err != nil {
		return mismatch{err.Error() + ": want " + wanted + ", got " + e.names()}
	}
	return same("events", wanted, e.names())
}

func (e *eventWorld) noOther() error {
	before := e.names()
	answered := func() (count int) {
		for _, request := range e.server.Requests(0) {
			if request.Path == "/flags/definitions" && request.Status != nil {
				count++
			}
		}
		return count
	}
	first := answered()
	if err := eventually("three more fetches", func() bool { return answered() >= first+3 }); err != nil {
		return err
	}
	return same("events", before, e.names())
}

// change keeps the text of all other flags, since a flag whose text differs counts as changed.
func (e *eventWorld) change(flag string) error {
	var document struct {
		Flags []json.RawMessage `json:"flags"`
	}
	if err := json.Unmarshal(e.server.Call("GET", "/__dev/definitions", ""), &document); err != nil {
		return err
	}
	for i, text := range document.Flags {
		var one map[string]any
		if err := json.Unmarshal(text, &one); err != nil {
			return err
		}
		if one["key"] != flag {
			continue
		}
		for _, variant := range one["ruleset"].(map[string]any)["variants"].([]any) {
			variant.(map[string]any)["value"] = false
		}
		var err error
		if document.Flags[i], err = json.Marshal(one); err != nil {
			return err
		}
		text, err := json.Marshal(document)
		if err != nil {
			return err
		}
		e.server.Serve(string(text))
		return nil
	}
	return fmt.Errorf("no flag %q", flag)
}

func (e *eventWorld) nothingLeft() error {
	e.server.Idle()
	if err := goleak.Find(e.ignored); err != nil {
		return mismatch{err.Error()}
	}
	// Threads disappear from /proc a moment after they were joined.
	return eventually("the end of the threads", func() bool { return libraryThreads() <= e.threads })
}

// libraryThreads counts the library's threads in this process.
func libraryThreads() int {
	names, _ := filepath.Glob("/proc/self/task/*/comm")
	count := 0
	for _, path := range names {
		if name, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(name), "mpflags-") {
			count++
		}
	}
	return count
}
