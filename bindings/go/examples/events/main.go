// Events prints the events of the provider: when definitions arrive, change, or can no longer be refreshed.
//
//	events URL TOKEN SECONDS
package main

import (
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
	seconds, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	// An openfeature.EventCallback is a pointer to a function. RemoveHandler takes the same pointer. The SDK runs each
	// handler in its own goroutine.
	state := func(details openfeature.EventDetails) {
		fmt.Println("state:", openfeature.NewDefaultClient().State(), details.Message)
	}
	changed := func(details openfeature.EventDetails) { fmt.Println("changed:", details.FlagChanges) }
	openfeature.AddHandler(openfeature.ProviderReady, &state)
	openfeature.AddHandler(openfeature.ProviderStale, &state)
	openfeature.AddHandler(openfeature.ProviderError, &state)
	openfeature.AddHandler(openfeature.ProviderConfigChange, &changed)
	defer openfeature.RemoveHandler(openfeature.ProviderConfigChange, &changed)

	provider, err := mixpanel.NewLocalProvider(os.Args[2], mpflags.WithAPIHost(os.Args[1]), mpflags.WithPollingInterval(100*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	// Returns at once; the handlers report what happens.
	if err := openfeature.SetProvider(provider); err != nil {
		log.Fatal(err)
	}
	defer openfeature.Shutdown()
	time.Sleep(time.Duration(seconds) * time.Second)
}
