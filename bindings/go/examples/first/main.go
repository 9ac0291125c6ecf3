// First evaluates two flags for a user through OpenFeature.
//
//	first [-token TOKEN] [-host HOST]
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/mpflags/mpflags/bindings/go"
	mixpanel "github.com/mpflags/mpflags/bindings/go/openfeature"
	"github.com/open-feature/go-sdk/openfeature"
)

func main() {
	token := flag.String("token", "YOUR_PROJECT_TOKEN", "the project's token")
	host := flag.String("host", "api.mixpanel.com", "the API host of the project's region, or mpflags-dev's address")
	flag.Parse()
	ctx := context.Background()

	provider, err := mixpanel.NewLocalProvider(*token, mpflags.WithAPIHost(*host))
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
