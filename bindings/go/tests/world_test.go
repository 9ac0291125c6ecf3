package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cucumber/godog"
	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/internal/dev"
	provider "github.com/mpflags/mpflags/bindings/go/openfeature"
	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"
)

var (
	background = context.Background()
	quiet      = slog.New(slog.DiscardHandler)
)

// world is the state that the steps of a scenario share.
type world struct {
	t       testing.TB
	path    string
	options bool // with top-level attributes, and the two options that make them work
	server  *dev.Server
	api     *of.EvaluationAPI
	client  *of.Client
	made    []*provider.Provider

	key, kind  string
	fallback   any
	attributes map[string]any
	details    of.InterfaceEvaluationDetails
	hooks      []*recorder
	original   map[string]any
	took       time.Duration
}

func newWorld(t testing.TB, path string, options bool) *world {
	return &world{t: inSteps{t}, path: path, options: options}
}

// begin starts a server, and makes an isolated API whose context has the user.
func (w *world) begin() {
	*w = world{t: w.t, path: w.path, options: w.options, attributes: map[string]any{}}
	w.server = dev.Start(w.t, "--definitions", w.path)
	w.api = isolated.NewAPI()
	w.client = w.api.NewClient()
	if w.options {
		w.api.SetEvaluationContext(of.NewEvaluationContext("user-1", nil))
	} else {
		w.api.SetEvaluationContext(of.NewTargetlessEvaluationContext(map[string]any{"distinct_id": "user-1"}))
	}
}

func (w *world) end() error {
	w.server.NoFaults()
	err := w.api.Shutdown(background)
	for _, p := range w.made {
		err = errors.Join(err, p.Client().Close())
	}
	w.server.Close()
	return err
}

func (w *world) provider() *provider.Provider {
	options := []mpflags.Option{
		mpflags.WithAPIHost(w.server.URL), mpflags.WithLogger(quiet), mpflags.WithPollingInterval(50 * time.Millisecond),
		mpflags.WithRetryBase(10 * time.Millisecond), mpflags.WithInitTimeout(5 * time.Second),
	}
	if w.options {
		options = append(options, mpflags.WithTargetingKeyAs("distinct_id"), mpflags.WithAttributesAsCustomProperties(true))
	}
	p, err := provider.NewLocalProvider("demo", options...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.made = append(w.made, p)
	return p
}

func (w *world) user() of.EvaluationContext {
	attributes := maps.Clone(w.attributes)
	if !w.options && len(attributes) > 0 {
		attributes = map[string]any{"custom_properties": attributes}
	}
	return of.NewTargetlessEvaluationContext(attributes)
}

func (w *world) evaluate(options ...of.Option) {
	user := w.user()
	switch w.kind {
	case "boolean":
		d, _ := w.client.BooleanValueDetails(background, w.key, w.fallback.(bool), user, options...)
		w.details = of.InterfaceEvaluationDetails{Value: d.Value, EvaluationDetails: d.EvaluationDetails}
	case "string":
		d, _ := w.client.StringValueDetails(background, w.key, w.fallback.(string), user, options...)
		w.details = of.InterfaceEvaluationDetails{Value: d.Value, EvaluationDetails: d.EvaluationDetails}
	case "integer":
		d, _ := w.client.IntValueDetails(background, w.key, w.fallback.(int64), user, options...)
		w.details = of.InterfaceEvaluationDetails{Value: d.Value, EvaluationDetails: d.EvaluationDetails}
	case "float":
		d, _ := w.client.FloatValueDetails(background, w.key, w.fallback.(float64), user, options...)
		w.details = of.InterfaceEvaluationDetails{Value: d.Value, EvaluationDetails: d.EvaluationDetails}
	case "object":
		w.details, _ = w.client.ObjectValueDetails(background, w.key, w.fallback, user, options...)
	}
}

// own returns the metadata without what every evaluation has, for OpenTelemetry.
func own(metadata of.FlagMetadata) of.FlagMetadata {
	metadata = maps.Clone(metadata)
	delete(metadata, "contextId")
	delete(metadata, "flagSetId")
	return metadata
}

// value parses a value in a step.
func value(kind, text string) (any, error) {
	text = strings.ReplaceAll(text, `\"`, `"`)
	switch strings.ToLower(kind) {
	case "boolean":
		return strconv.ParseBool(text)
	case "string":
		return text, nil
	case "integer":
		return strconv.ParseInt(text, 10, 64)
	case "float":
		return strconv.ParseFloat(text, 64)
	case "object":
		var object any
		return object, json.Unmarshal([]byte(text), &object)
	}
	return nil, fmt.Errorf("unknown type %q", kind)
}

// setProvider implements the step "a … provider".
func (w *world) setProvider(kind string) error {
	p := w.provider()
	fault := func(status int) {
		w.server.Faults(fmt.Sprintf(`[{"path": "/flags/definitions", "kind": "status", "status": %d}]`, status))
	}
	switch kind {
	case "stable":
		return w.api.SetProviderAndWait(background, p)
	case "not ready":
		w.server.Faults(`[{"path": "/flags/definitions", "kind": "hang"}]`)
		return w.api.SetProvider(background, p)
	case "error":
		fault(500)
		ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
		defer cancel()
		return failed(w.api.SetProviderAndWait(ctx, p), func() bool { return w.client.State() == of.ErrorState })
	case "fatal":
		fault(401)
		return failed(w.api.SetProviderAndWait(background, p), func() bool { return true })
	case "stale":
		if err := w.api.SetProviderAndWait(background, p); err != nil {
			return err
		}
		fault(500)
		return eventually("the state STALE", func() bool { return w.client.State() == of.StaleState })
	}
	return fmt.Errorf("unknown provider %q", kind)
}

func failed(err error, until func() bool) error {
	if err == nil {
		return errors.New("the provider was set without a failure")
	}
	return eventually("the failure", until)
}

func eventually(what string, is func() bool) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if is() {
			return nil
		}
	}
	return fmt.Errorf("%s did not happen", what)
}

// shared adds the steps that several suites have.
func (w *world) shared(sc *godog.ScenarioContext) {
	sc.Before(func(ctx context.Context, _ *godog.Scenario) (context.Context, error) {
		w.begin()
		return ctx, nil
	})
	sc.After(func(ctx context.Context, _ *godog.Scenario, err error) (context.Context, error) {
		return ctx, w.end()
	})
	sc.Step(`^a (stable|not ready|error|fatal|stale) provider$`, w.setProvider)
	sc.Step(`^a (\w+)-flag with key "([^"]*)" and a fallback value "(.*)"$`, func(kind, key, fallback string) (err error) {
		w.kind, w.key = strings.ToLower(kind), key
		w.fallback, err = value(kind, fallback)
		return err
	})
	sc.Step(`^the flag was evaluated with details$`, func() { w.evaluate() })
	sc.Step(`^the reason should be "([^"]*)"$`, func(reason string) error { return same("reason", reason, w.details.Reason) })
	sc.Step(`^the error-code should be "([^"]*)"$`, func(code string) error { return same("error code", code, w.details.ErrorCode) })
	sc.Step(`^the variant should be "([^"]*)"$`, func(variant string) error { return same("variant", variant, w.details.Variant) })
	sc.Step(`^the flag key should be "([^"]*)"$`, func(key string) error { return same("flag key", key, w.details.FlagKey) })
	sc.Step(`^the resolved details value should be "(.*)"$`, func(text string) error {
		wanted, err := value(w.kind, text)
		if err != nil {
			return err
		}
		return same("value", wanted, w.details.Value)
	})
	sc.Step(`^the resolved metadata is empty$`, func() error { return same("metadata", 0, len(own(w.details.FlagMetadata))) })
	sc.Step(`^the resolved metadata should contain$`, func(table *godog.Table) error {
		for _, row := range table.Rows[1:] {
			wanted, err := value(row.Cells[1].Value, row.Cells[2].Value)
			if err != nil {
				return err
			}
			if err := same("metadata "+row.Cells[0].Value, wanted, w.details.FlagMetadata[row.Cells[0].Value]); err != nil {
				return err
			}
		}
		return nil
	})
}
