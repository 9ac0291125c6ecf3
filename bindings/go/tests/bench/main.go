// Bench measures the Go provider beside mixpanel-go, interleaved in one process. It prints one JSON object a line.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
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

const (
	rounds = 21
	calls  = 20_000
)

var background = context.Background()

// document has 1,000 flags with one rule of string equality each.
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

func user() of.FlattenedContext {
	return of.FlattenedContext{"distinct_id": "user-12345", "custom_properties": map[string]any{
		"plan": "Premium", "country": "DE", "age": 31, "app_version": "2.10.3", "beta": true}}
}

type answer string

func (a answer) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(a))), Request: request}, nil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func local(text string, options ...mpflags.Option) *provider.Provider {
	p, err := provider.NewLocalProvider("bench", append([]mpflags.Option{mpflags.WithEnablePolling(false), mpflags.WithDefinitions(text),
		mpflags.WithEventSink(true), mpflags.WithLogger(slog.New(slog.DiscardHandler))}, options...)...)
	must(err)
	must(p.Init(of.EvaluationContext{}))
	return p
}

// figure is one line of the output.
type figure struct {
	Figure  string    `json:"figure"`
	Samples []float64 `json:"samples"`
	Unit    string    `json:"unit"`
	Goal    *float64  `json:"goal"`
	AtLeast bool      `json:"at_least"`
	Against string    `json:"against"`
}

func goal(number float64) *float64 { return &number }

// made keeps the compiler from leaving a context out.
var made of.FlattenedContext

// processorTime is what this process has used, its garbage collection included. Unlike the time on the wall it does not
// count what else the machine does.
func processorTime() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	text := document()
	config := official.DefaultLocalFlagsConfig()
	config.EnablePolling = false
	config.HTTPClient = &http.Client{Transport: answer(text)}
	theirs := official.NewLocalFeatureFlagsProvider("bench", "0", config, func(string, string, map[string]any) {})
	must(theirs.StartPollingForDefinitions(background))

	quiet, reporting := local(text, mpflags.WithReportExposures(false)), local(text)
	api := isolated.NewAPI()
	must(api.SetProviderAndWait(background, quiet))
	client := api.NewClient()
	kept := user()
	evaluationContext := of.NewTargetlessEvaluationContext(kept)

	ours := func(p *provider.Provider, user of.FlattenedContext) {
		if got := p.BooleanEvaluation(background, "flag-500", false, user); got.Reason != of.TargetingMatchReason {
			must(fmt.Errorf("unexpected: %+v", got))
		}
	}
	official := func(report bool) {
		variant, err := theirs.GetVariant(background, "flag-500", official.SelectedVariant{VariantValue: false}, official.FlagContext(user()), report)
		if err != nil || variant.VariantKey == nil {
			must(fmt.Errorf("unexpected: %+v %w", variant, err))
		}
	}
	cases := []struct {
		name string
		call func()
	}{
		{"direct", func() { ours(quiet, user()) }},
		{"official", func() { official(false) }},
		{"kept", func() { ours(quiet, kept) }},
		{"exposures", func() { ours(reporting, user()) }},
		{"official exposures", func() { official(true) }},
		{"through", func() {
			if !client.Boolean(background, "flag-500", false, evaluationContext) && quiet == nil {
				os.Exit(1)
			}
		}},
		{"context", func() { made = user() }},
	}
	measured := map[string][]float64{}
	for round := range rounds + 1 {
		for _, c := range cases {
			begun := processorTime()
			for range calls {
				c.call()
			}
			if round > 0 { // the first one warms up
				measured[c.name] = append(measured[c.name], float64(processorTime()-begun)/calls)
			}
		}
		// One goroutine against two, each with as many calls.
		for _, goroutines := range []int{1, 2} {
			var group sync.WaitGroup
			begun := time.Now()
			for range goroutines {
				group.Go(func() {
					for range calls {
						ours(quiet, kept)
					}
				})
			}
			group.Wait()
			if round > 0 {
				name := fmt.Sprint("rate ", goroutines)
				measured[name] = append(measured[name], float64(goroutines*calls)/time.Since(begun).Seconds())
			}
		}
	}
	ratio := func(a, b string) (samples []float64) {
		for i := range measured[a] {
			samples = append(samples, measured[a][i]/measured[b][i])
		}
		return samples
	}
	// What both make before they call is not theirs.
	var net []float64
	for i, made := range measured["context"] {
		net = append(net, (measured["official"][i]-made)/(measured["direct"][i]-made))
	}
	const peer = "mixpanel-go 2.1.0"
	for _, f := range []figure{
		{"Go provider called directly, eq, new FlattenedContext each call", measured["direct"], "ns", goal(1100), false, "limit 950 ns with JSON"},
		{"mixpanel-go called directly, eq, new FlagContext each call", measured["official"], "ns", nil, false, peer},
		{"Go provider called directly, against mixpanel-go", ratio("official", "direct"), "x", goal(5), true, peer},
		{"the same without the making of the context, which both need", net, "x", nil, true, peer},
		{"Go provider called directly, eq, context kept", measured["kept"], "ns", nil, false, ""},
		{"making the FlattenedContext alone", measured["context"], "ns", nil, false, ""},
		{"Go provider called directly, eq, exposures on, repeat within the window", measured["exposures"], "ns", nil, false, ""},
		{"mixpanel-go called directly, eq, exposures on, a tracker that does nothing", measured["official exposures"], "ns", nil, false, peer},
		{"Go provider through the OpenFeature client, eq", measured["through"], "ns", nil, false, ""},
		{"Go provider, two goroutines against one, evaluations per second", ratio("rate 2", "rate 1"), "x", nil, true, ""},
	} {
		line, err := json.Marshal(f)
		must(err)
		fmt.Println(string(line))
		sorted := slices.Sorted(slices.Values(f.Samples))
		fmt.Fprintf(os.Stderr, "%-80s %10.2f %s\n", f.Figure, sorted[len(sorted)/2], f.Unit)
	}
	must(api.Shutdown(background))
	reporting.Shutdown()
	if made == nil {
		os.Exit(1)
	}
}
