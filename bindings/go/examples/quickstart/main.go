// Quickstart evaluates a flag of each type for a user, through OpenFeature, and prints changes as they arrive.
//
//	quickstart [URL [TOKEN [SECONDS]]]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	mixpanel "github.com/mpflags/mpflags/bindings/go/openfeature"
	"github.com/open-feature/go-sdk/openfeature"
)

func main() {
	url, token, seconds := "api.mixpanel.com", "YOUR_PROJECT_TOKEN", 10
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if len(os.Args) > 2 {
		token = os.Args[2]
	}
	if len(os.Args) > 3 {
		seconds, _ = strconv.Atoi(os.Args[3])
	}
	ctx := context.Background()

	provider, err := mixpanel.NewLocalProvider(token, mpflags.WithAPIHost(url), mpflags.WithPollingInterval(200*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	// Waits for the definitions. If that fails, the provider keeps polling and recovers by itself.
	if err := openfeature.SetProviderWithContextAndWait(ctx, provider); err != nil {
		log.Print(err)
	}
	client := openfeature.NewDefaultClient()

	user := openfeature.NewTargetlessEvaluationContext(map[string]any{
		"distinct_id":       "user-9",
		"custom_properties": map[string]any{"plan": "premium", "country": "DE"},
	})
	show := func() {
		fmt.Println("new-checkout:", client.Boolean(ctx, "new-checkout", false, user))
		fmt.Println("button-color:", client.String(ctx, "button-color", "gray", user))
		fmt.Println("search-page-size:", client.Int(ctx, "search-page-size", 10, user))
		fmt.Println("ranking-boost:", client.Float(ctx, "ranking-boost", 1.0, user))
		banner, err := client.ObjectValueDetails(ctx, "banner", nil, user)
		fmt.Println("banner:", banner.Value, banner.Variant, banner.Reason, err)
	}
	show()

	changed := func(details openfeature.EventDetails) {
		fmt.Println("changed:", details.FlagChanges)
		show()
	}
	client.AddHandler(openfeature.ProviderConfigChange, &changed)
	time.Sleep(time.Duration(seconds) * time.Second)

	// Delivers the queued exposures.
	if err := openfeature.ShutdownWithContext(ctx); err != nil {
		log.Fatal(err)
	}
}
