//go:build cgo

package mpflags_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/mpflags/mpflags/bindings/go"
)

// Definitions usually come from Mixpanel. The examples pass them as an option, so that they need no server.
const definitions = `{"flags": [
	{"key": "new-checkout", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true}],
	 "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}]}},
	{"key": "banner", "context": "distinct_id", "ruleset": {"variants": [{"key": "blue", "value": {"color": "blue", "size": 3}}],
	 "rollout": [{"rollout_percentage": 1}]}}]}`

func open() *mpflags.Client {
	client, err := mpflags.New("YOUR_PROJECT_TOKEN", mpflags.WithEnablePolling(false), mpflags.WithDefinitions(definitions),
		mpflags.WithReportExposures(false))
	if err != nil {
		panic(err)
	}
	return client
}

func Example() {
	ctx := context.Background()
	client, err := mpflags.New("YOUR_PROJECT_TOKEN", mpflags.WithEnablePolling(false), mpflags.WithDefinitions(definitions),
		mpflags.WithReportExposures(false))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if err := client.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if err := client.WaitReady(ctx); err != nil {
		fmt.Println(err) // evaluations return the default until polling succeeds
	}
	user := mpflags.Context{"distinct_id": "user-1", "custom_properties": map[string]any{"plan": "Pro"}}
	fmt.Println(client.Boolean(ctx, "new-checkout", false, user))
	// Output: true
}

func ExampleClient_Evaluate() {
	client := open()
	defer client.Close()
	ctx := context.Background()
	e := client.Evaluate(ctx, "banner", mpflags.Context{"distinct_id": "user-1"}, mpflags.AsObject)
	fmt.Println(e.Variant(), e.Reason(), e.Value())

	e = client.Evaluate(ctx, "banner", mpflags.Context{"device_id": 5})
	fmt.Println(errors.Is(e.Err(), mpflags.TargetingKeyMissing), e.Err())
	// Output:
	// blue STATIC map[color:blue size:3]
	// true banner: TARGETING_KEY_MISSING: the context has no usable `distinct_id`
}

func ExampleClient_EvaluateAll() {
	client := open()
	defer client.Close()
	all, err := client.EvaluateAll(context.Background(), mpflags.Context{"distinct_id": "user-1"})
	fmt.Println(len(all), all["banner"].JSON(), all["new-checkout"].HasValue(), err)
	// Output: 2 {"color":"blue","size":3} false <nil>
}

func ExampleEvaluation_String() {
	client := open()
	defer client.Close()
	ctx := context.Background()
	user := mpflags.Context{"distinct_id": "user-1"}
	fmt.Println(client.Evaluate(ctx, "banner", user))
	fmt.Println(client.Evaluate(ctx, "new-checkout", user))
	fmt.Println(client.Evaluate(ctx, "missing", user))
	// Output:
	// banner: {"color":"blue","size":3} (variant blue, STATIC)
	// new-checkout: no variant (DEFAULT: the context has no custom_properties, the only attributes that rules read; set the option `attributes_as_custom_properties` to use the others)
	// missing: FLAG_NOT_FOUND: flag `missing` is not among the definitions
}

func ExampleNew_error() {
	_, err := mpflags.New("YOUR_PROJECT_TOKEN", mpflags.WithOption("polling_interval_ms", "often"))
	fmt.Println(errors.Is(err, mpflags.ErrInvalidConfig), err)
	// Output: true config: polling_interval_ms: expected an integer from 50 to 86400000, found a string
}
