package openfeature_test

import (
	"context"
	"fmt"

	"github.com/mpflags/mpflags/bindings/go"
	mixpanel "github.com/mpflags/mpflags/bindings/go/openfeature"
	"github.com/open-feature/go-sdk/openfeature"
)

func Example() {
	// Definitions usually come from Mixpanel. Here they are an option.
	provider, err := mixpanel.NewLocalProvider("YOUR_PROJECT_TOKEN", mpflags.WithEnablePolling(false), mpflags.WithReportExposures(false),
		mpflags.WithDefinitions(`{"flags": [{"key": "new-checkout", "context": "distinct_id", "ruleset":
			{"variants": [{"key": "on", "value": true}], "rollout": [{"rollout_percentage": 1}]}}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := openfeature.SetProviderWithContextAndWait(ctx, provider); err != nil {
		fmt.Println(err)
	}
	client := openfeature.NewDefaultClient()
	user := openfeature.NewTargetlessEvaluationContext(map[string]any{"distinct_id": "user-1"})
	details, err := client.BooleanValueDetails(ctx, "new-checkout", false, user)
	fmt.Println(details.Value, details.Variant, details.Reason, err)
	if err := openfeature.ShutdownWithContext(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: true on STATIC <nil>
}
