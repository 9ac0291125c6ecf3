package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/mpflags/mpflags/bindings/go"
	mixpanel "github.com/mpflags/mpflags/bindings/go/openfeature"
	"github.com/open-feature/go-sdk/openfeature"
)

func main() {
	ctx := context.Background()
	// Arguments: the project token, and optionally a host other than api.mixpanel.com.
	provider, err := mixpanel.NewLocalProvider(os.Args[1], mpflags.WithAPIHost(append(os.Args, "api.mixpanel.com")[2]))
	if err != nil {
		log.Fatal(err)
	}
	// Waits for the definitions. If that fails, evaluations return the default until the provider recovers.
	if err := openfeature.SetProviderWithContextAndWait(ctx, provider); err != nil {
		log.Print(err)
	}
	// Delivers the queued exposures.
	defer openfeature.Shutdown()

	client := openfeature.NewDefaultClient()
	user := openfeature.NewTargetlessEvaluationContext(map[string]any{
		"distinct_id":       "user-1",
		"custom_properties": map[string]any{"plan": "premium"},
	})
	fmt.Println("new-checkout:", client.Boolean(ctx, "new-checkout", false, user))

	// The details include the variant and the reason.
	color, err := client.StringValueDetails(ctx, "button-color", "gray", user)
	fmt.Println("button-color:", color.Value, color.Variant, color.Reason, err)
}
