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
	// os.Args: the project token, and a host where it is not api.mixpanel.com.
	provider, err := mixpanel.NewLocalProvider(os.Args[1], mpflags.WithAPIHost(append(os.Args, "api.mixpanel.com")[2]))
	if err != nil {
		log.Fatal(err)
	}
	// Waits for the definitions. If it fails, evaluations give the default, and the provider heals by itself.
	if err := openfeature.SetProviderWithContextAndWait(ctx, provider); err != nil {
		log.Print(err)
	}
	// Delivers what is still to be told to Mixpanel.
	defer openfeature.Shutdown()

	client := openfeature.NewDefaultClient()
	user := openfeature.NewTargetlessEvaluationContext(map[string]any{
		"distinct_id":       "user-1",
		"custom_properties": map[string]any{"plan": "premium"},
	})
	fmt.Println("new-checkout:", client.Boolean(ctx, "new-checkout", false, user))

	// The long way tells more.
	color, err := client.StringValueDetails(ctx, "button-color", "gray", user)
	fmt.Println("button-color:", color.Value, color.Variant, color.Reason, err)
}
