package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	official "github.com/mixpanel/mixpanel-go/v2/flags"
	"github.com/mpflags/mpflags/bindings/go"
	provider "github.com/mpflags/mpflags/bindings/go/openfeature"
	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"
)

var background = context.Background()

// serve is the main function of a side's process: it prints its cases, then measures the case that each line names.
func serve(cases map[string]func() float64) {
	fmt.Println(strings.Join(slices.Sorted(maps.Keys(cases)), ","))
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		fmt.Println(cases[input.Text()]())
	}
}

// document has 1,000 flags, each with a rule that compares a string.
func document() string {
	var text strings.Builder
	text.WriteString(`{"flags": [`)
	for i := range 1000 {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"id": "%[1]d", "name": "n", "key": "flag-%[1]d", "status": "enabled", "project_id": 1, "context": "distinct_id",
			"hash_salt": "26b3476ba4461e8ae6f404fcceafb71c", "ruleset": {"variants": [{"key": "off", "value": false, "split": 0.5},
			{"key": "on", "value": true, "split": 0.5}], "rollout": [{"rollout_percentage": 1.0,
			"runtime_evaluation_rule": {"==": [{"var": "plan"}, "premium"]}}]}}`, i)
	}
	text.WriteString(`]}`)
	return text.String()
}

func user() map[string]any {
	return map[string]any{"distinct_id": "user-12345", "custom_properties": map[string]any{
		"plan": "Premium", "country": "DE", "age": 31, "app_version": "2.10.3", "beta": true}}
}

// made keeps the compiler from optimizing a context away.
//
//lint:ignore U1000 it is only written to
var made map[string]any

// processorTime is the CPU time of this process, including garbage collection. Unlike wall-clock time it excludes other
// load on the machine.
func processorTime() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func perCall(call func()) func() float64 {
	return func() float64 {
		begun := processorTime()
		for range calls {
			call()
		}
		return float64(processorTime()-begun) / calls
	}
}

// perSecond returns the calls per second of several goroutines, by wall-clock time.
func perSecond(goroutines int, call func()) func() float64 {
	return func() float64 {
		var group sync.WaitGroup
		begun := time.Now()
		for range goroutines {
			group.Go(func() {
				for range calls {
					call()
				}
			})
		}
		group.Wait()
		return float64(goroutines*calls) / time.Since(begun).Seconds()
	}
}

func ours() map[string]func() float64 {
	text := document()
	local := func(options ...mpflags.Option) *provider.Provider {
		p, err := provider.NewLocalProvider("bench", append([]mpflags.Option{mpflags.WithEnablePolling(false), mpflags.WithDefinitions(text),
			mpflags.WithEventSink(true), mpflags.WithLogger(slog.New(slog.DiscardHandler))}, options...)...)
		must(err)
		must(p.Init(of.EvaluationContext{}))
		return p
	}
	quiet, reporting := local(mpflags.WithReportExposures(false)), local()
	api := isolated.NewAPI()
	must(api.SetProviderAndWait(background, quiet))
	client := api.NewClient()
	evaluate := func(p *provider.Provider, user of.FlattenedContext) {
		if got := p.BooleanEvaluation(background, "flag-500", false, user); got.Reason != of.TargetingMatchReason {
			must(fmt.Errorf("unexpected: %+v", got))
		}
	}
	kept := user()
	same := of.NewTargetlessEvaluationContext(kept)
	return map[string]func() float64{
		"direct":    perCall(func() { evaluate(quiet, user()) }),
		"kept":      perCall(func() { evaluate(quiet, kept) }),
		"exposures": perCall(func() { evaluate(reporting, user()) }),
		"through":   perCall(func() { _, _ = client.BooleanValue(background, "flag-500", false, same) }),
		"context":   perCall(func() { made = user() }),
		"one":       perSecond(1, func() { evaluate(quiet, kept) }),
		"two":       perSecond(2, func() { evaluate(quiet, kept) }),
	}
}

type answer string

func (a answer) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(a))), Request: request}, nil
}

func theirs() map[string]func() float64 {
	config := official.DefaultLocalFlagsConfig()
	config.EnablePolling = false
	config.HTTPClient = &http.Client{Transport: answer(document())}
	flags := official.NewLocalFeatureFlagsProvider("bench", "0", config, func(string, string, map[string]any) {})
	must(flags.StartPollingForDefinitions(background))
	evaluate := func(user map[string]any, report bool) {
		variant, err := flags.GetVariant(background, "flag-500", official.SelectedVariant{VariantValue: false}, user, report)
		if err != nil || variant.VariantKey == nil {
			must(fmt.Errorf("unexpected: %+v %w", variant, err))
		}
	}
	kept := user()
	return map[string]func() float64{
		"their direct":    perCall(func() { evaluate(user(), false) }),
		"their kept":      perCall(func() { evaluate(kept, false) }),
		"their exposures": perCall(func() { evaluate(user(), true) }),
		"their context":   perCall(func() { made = user() }),
	}
}
