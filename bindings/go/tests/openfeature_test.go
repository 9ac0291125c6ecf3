package tests

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cucumber/godog"
	provider "github.com/mpflags/mpflags/bindings/go/openfeature"
	of "github.com/open-feature/go-sdk/openfeature"
)

func TestOpenFeatureSuites(t *testing.T) {
	path := definitions(t)
	for _, options := range []bool{false, true} {
		name := map[bool]string{false: "attributes under custom_properties", true: "attributes at the top"}[options]
		t.Run(name, func(t *testing.T) {
			suites := map[string]func(*world, *godog.ScenarioContext){
				"contextMerging.feature": (*world).merging,
				"evaluation.feature":     (*world).first,
				"evaluation_v2.feature":  (*world).second,
				"hooks.feature":          (*world).hooked,
				"metadata.feature":       func(*world, *godog.ScenarioContext) {},
			}
			for _, feature := range slices.Sorted(maps.Keys(suites)) {
				t.Run(feature, func(t *testing.T) {
					runSuite(t, featureFile(feature), func(sc *godog.ScenarioContext) {
						w := newWorld(t, path, options)
						w.shared(sc)
						suites[feature](w, sc)
					})
				})
			}
		})
	}
}

// first adds the steps of evaluation.feature.
func (w *world) first(sc *godog.ScenarioContext) {
	set := func(kind, key, fallback string) (err error) {
		w.kind, w.key = kind, key
		if fallback == "" && kind == "object" {
			w.fallback = nil
		} else if w.fallback, err = value(kind, fallback); err != nil {
			return err
		}
		w.evaluate()
		return nil
	}
	sc.Step(`^an? (boolean|string) flag with key "([^"]*)" is evaluated with (?:details and )?default value "([^"]*)"$`, set)
	sc.Step(`^an? (integer|float) flag with key "([^"]*)" is evaluated with (?:details and )?default value ([-\d.]+)$`, set)
	sc.Step(`^an object flag with key "([^"]*)" is evaluated with (?:details and )?a null default value$`,
		func(key string) error { return set("object", key, "") })
	is := func(text string) error {
		wanted, err := value(w.kind, text)
		if err != nil {
			return err
		}
		return same("value", wanted, w.details.Value)
	}
	described := func(text, variant, reason string) error {
		return errors.Join(is(text), same("variant", variant, w.details.Variant), same("reason", reason, w.details.Reason))
	}
	sc.Step(`^the resolved (?:boolean|string) value should be "([^"]*)"$`, is)
	sc.Step(`^the resolved (?:integer|float) value should be ([-\d.]+)$`, is)
	sc.Step(`^the resolved (?:boolean|string) details value should be "([^"]*)", the variant should be "([^"]*)", and the reason should be "([^"]*)"$`, described)
	sc.Step(`^the resolved (?:integer|float) details value should be ([-\d.]+), the variant should be "([^"]*)", and the reason should be "([^"]*)"$`, described)
	sc.Step(`^the resolved object (?:details )?value should be contain fields "([^"]*)", "([^"]*)", and "([^"]*)", with values "([^"]*)", "([^"]*)" and (\d+), respectively$`,
		func(a, b, c, x, y string, z int) error {
			return same("value", map[string]any{a: x == "true", b: y, c: z}, w.details.Value)
		})
	sc.Step(`^the variant should be "([^"]*)", and the reason should be "([^"]*)"$`, func(variant, reason string) error {
		return errors.Join(same("variant", variant, w.details.Variant), same("reason", reason, w.details.Reason))
	})
	sc.Step(`^context contains keys "([^"]*)", "([^"]*)", "([^"]*)", "([^"]*)" with values "([^"]*)", "([^"]*)", (\d+), "([^"]*)"$`,
		func(a, b, c, d, x, y string, age int64, customer string) {
			w.attributes = map[string]any{a: x, b: y, c: age, d: customer == "true"}
		})
	sc.Step(`^a flag with key "([^"]*)" is evaluated with default value "([^"]*)"$`, func(key, fallback string) error {
		return set("string", key, fallback)
	})
	sc.Step(`^the resolved string response should be "([^"]*)"$`, is)
	sc.Step(`^the resolved flag value is "([^"]*)" when the context is empty$`, func(text string) error {
		w.attributes = map[string]any{}
		w.evaluate()
		return is(text)
	})
	sc.Step(`^a non-existent string flag with key "([^"]*)" is evaluated with details and a fallback value "([^"]*)"$`,
		func(key, fallback string) error { return set("string", key, fallback) })
	sc.Step(`^a string flag with key "([^"]*)" is evaluated as an integer, with details and a fallback value (\d+)$`,
		func(key, fallback string) error { return set("integer", key, fallback) })
	sc.Step(`^the default (?:string|integer) value should be returned$`, func() error { return same("value", w.fallback, w.details.Value) })
	sc.Step(`^the reason should indicate an error and the error code should indicate a (?:missing flag|type mismatch) with "([^"]*)"$`,
		func(code string) error {
			return errors.Join(same("reason", "ERROR", w.details.Reason), same("error code", code, w.details.ErrorCode))
		})
}

// second adds the steps that only evaluation_v2.feature has.
func (w *world) second(sc *godog.ScenarioContext) {
	sc.Step(`^a context containing a key "([^"]*)", with type "([^"]*)" and with value "([^"]*)"$`, func(key, kind, text string) (err error) {
		w.attributes[key], err = value(kind, text)
		return err
	})
	sc.Step(`^a context containing a key "([^"]*)" with null value$`, func(key string) { w.attributes[key] = nil })
	sc.Step(`^the provider status should be "([^"]*)"$`, func(status string) error { return same("status", status, w.client.State()) })
	sc.Step(`^evaluation options containing specific hooks$`, func() {
		var order []string
		w.hooks = []*recorder{{name: "one", order: &order}, {name: "two", order: &order}}
	})
	sc.Step(`^the flag was evaluated with details using the evaluation options$`, func() {
		w.evaluate(of.WithHooks(w.hooks[0], w.hooks[1]))
	})
	sc.Step(`^the specified hooks should execute during evaluation$`, func() error {
		return same("calls", []int{3, 3}, []int{len(w.hooks[0].calls), len(w.hooks[1].calls)})
	})
	sc.Step(`^the hook order should be maintained$`, func() error {
		return same("order", []string{"before one", "before two", "after two", "after one", "finally two", "finally one"}, *w.hooks[0].order)
	})
	sc.Step(`^an evaluation context with modifiable data$`, func() {
		w.attributes = map[string]any{"list": []any{"a", 1}, "object": map[string]any{"b": true}}
		w.original = map[string]any{"list": []any{"a", 1}, "object": map[string]any{"b": true}}
	})
	sc.Step(`^the original evaluation context should remain unmodified$`, func() error { return same("context", w.original, w.attributes) })
	sc.Step(`^the evaluation details should be immutable$`, func() error {
		// Changing a result does not affect later evaluations.
		before := w.details
		w.details.FlagMetadata["planted"] = true
		w.evaluate()
		return errors.Join(same("metadata", 0, len(own(w.details.FlagMetadata))), same("value", before.Value, w.details.Value))
	})
	sc.Step(`^the flag was evaluated with details asynchronously$`, func() error {
		done := make(chan struct{})
		begun := time.Now()
		go func() {
			defer close(done)
			w.evaluate()
		}()
		select {
		case <-done:
			w.took = time.Since(begun)
			return nil
		case <-time.After(5 * time.Second):
			return errors.New("the evaluation did not end")
		}
	})
	// It has completed. It must not have sent a request.
	sc.Step(`^the evaluation should complete without blocking$`, func() error {
		for _, request := range w.server.Requests(0) {
			if request.Path == "/flags" {
				return fmt.Errorf("the evaluation made a request after %v", w.took)
			}
		}
		return nil
	})
}

// recorder is a hook that records its calls.
type recorder struct {
	of.UnimplementedHook
	name  string
	order *[]string
	calls map[string]of.InterfaceEvaluationDetails
}

func (r *recorder) called(stage string, details of.InterfaceEvaluationDetails) {
	if r.calls == nil {
		r.calls = map[string]of.InterfaceEvaluationDetails{}
	}
	r.calls[stage] = details
	if r.order != nil {
		*r.order = append(*r.order, stage+" "+r.name)
	}
}

func (r *recorder) Before(context.Context, of.HookContext, of.HookHints) (*of.EvaluationContext, error) {
	r.called("before", of.InterfaceEvaluationDetails{})
	return nil, nil
}

func (r *recorder) After(_ context.Context, _ of.HookContext, details of.InterfaceEvaluationDetails, _ of.HookHints) error {
	r.called("after", details)
	return nil
}

func (r *recorder) Error(context.Context, of.HookContext, error, of.HookHints) {
	r.called("error", of.InterfaceEvaluationDetails{})
}

func (r *recorder) Finally(_ context.Context, _ of.HookContext, details of.InterfaceEvaluationDetails, _ of.HookHints) {
	r.called("finally", details)
}

// hooked adds the steps of hooks.feature.
func (w *world) hooked(sc *godog.ScenarioContext) {
	sc.Step(`^a client with added hook$`, func() {
		w.hooks = []*recorder{{}}
		w.client.AddHooks(w.hooks[0])
	})
	sc.Step(`^the "([^"]*)" hook should have been executed$`, func(stage string) error {
		_, called := w.hooks[0].calls[stage]
		return same(stage, true, called)
	})
	sc.Step(`^the "([^"]*)" hooks should be called with evaluation details$`, func(stages string, table *godog.Table) error {
		for stage := range strings.SplitSeq(stages, ", ") {
			details, called := w.hooks[0].calls[stage]
			if !called {
				return mismatch{stage + " was not called"}
			}
			got := map[string]any{"flag_key": details.FlagKey, "value": details.Value, "variant": orNull(details.Variant),
				"reason": details.Reason, "error_code": orNull(string(details.ErrorCode))}
			for _, row := range table.Rows[1:] {
				kind, key, text := row.Cells[0].Value, row.Cells[1].Value, row.Cells[2].Value
				var wanted any
				var err error
				if text != "null" {
					wanted, err = value(kind, text)
				}
				if err = errors.Join(err, same(stage+" "+key, wanted, got[key])); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// retrieving is the provider with a record of the contexts that the SDK passes to it.
type retrieving struct {
	*provider.Provider
	user of.FlattenedContext
}

func (r *retrieving) BooleanEvaluation(ctx context.Context, flag string, defaultValue bool, user of.FlattenedContext) of.BoolResolutionDetail {
	r.user = maps.Clone(user)
	return r.Provider.BooleanEvaluation(ctx, flag, defaultValue, user)
}

// adding is a hook that adds to the context.
type adding struct {
	of.UnimplementedHook
	attributes map[string]any
}

func (a adding) Before(context.Context, of.HookContext, of.HookHints) (*of.EvaluationContext, error) {
	user := of.NewTargetlessEvaluationContext(a.attributes)
	return &user, nil
}

// merging adds the steps of contextMerging.feature.
func (w *world) merging(sc *godog.ScenarioContext) {
	var retrieved *retrieving
	var precedence []string
	levels := map[string]map[string]any{}
	add := func(key, value, level string) {
		if levels[level] == nil {
			levels[level] = map[string]any{}
		}
		levels[level][key] = value
	}
	at := func(level string) of.EvaluationContext { return of.NewTargetlessEvaluationContext(levels[level]) }
	sc.Step(`^a stable provider with retrievable context is registered$`, func() error {
		retrieved = &retrieving{Provider: w.provider()}
		return w.api.SetProviderAndWait(background, retrieved)
	})
	sc.Step(`^A context entry with key "([^"]*)" and value "([^"]*)" is added to the "([^"]*)" level$`, add)
	sc.Step(`^A table with levels of increasing precedence$`, func(table *godog.Table) {
		for _, row := range table.Rows {
			precedence = append(precedence, row.Cells[0].Value)
		}
	})
	sc.Step(`^Context entries for each level from API level down to the "([^"]*)" level, with key "([^"]*)" and value "([^"]*)"$`,
		func(lowest, key, value string) error {
			end := slices.Index(precedence, lowest)
			if end < 0 {
				return fmt.Errorf("unknown level %q", lowest)
			}
			for _, level := range precedence[:end+1] {
				// Each level has its own value, so that the last one must win.
				add(key, level, level)
			}
			return same("the value of the lowest level", value, lowest)
		})
	sc.Step(`^Some flag was evaluated$`, func() error {
		for level := range levels {
			if !slices.Contains([]string{"API", "Transaction", "Client", "Invocation", "Before Hooks"}, level) {
				return fmt.Errorf("unknown level %q", level)
			}
		}
		add("distinct_id", "user-1", "API")
		w.api.SetEvaluationContext(at("API"))
		w.client.SetEvaluationContext(at("Client"))
		transaction := of.WithTransactionContext(background, at("Transaction"))
		details, err := w.client.BooleanValueDetails(transaction, "boolean-flag", false, at("Invocation"), of.WithHooks(adding{attributes: levels["Before Hooks"]}))
		return errors.Join(err, same("value", true, details.Value))
	})
	sc.Step(`^The merged context contains an entry with key "([^"]*)" and value "([^"]*)"$`, func(key, value string) error {
		return same("the context's "+key, value, retrieved.user[key])
	})
}
