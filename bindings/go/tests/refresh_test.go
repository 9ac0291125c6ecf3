package tests

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpflags/mpflags/bindings/go"
	of "github.com/open-feature/go-sdk/openfeature"
)

// Refresh of a provider's client fetches the newest definitions even if polling is off, and the program gets the event.
func TestRefreshOfAProvider(t *testing.T) {
	s := newScene(t)
	p := s.provider(mpflags.WithEnablePolling(false))
	changed := make(chan []string, 8)
	handler := func(details of.EventDetails) { changed <- details.FlagChanges }
	s.client.AddHandler(of.ProviderConfigChange, &handler)
	if err := s.api.SetProviderAndWait(background, p); err != nil {
		t.Fatal(err)
	}
	if !s.client.Boolean(background, "f", false, s.user) {
		t.Error("no value before")
	}
	s.server.Serve(strings.ReplaceAll(gate, "true", "false"))
	if err := p.Client().Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.client.Boolean(background, "f", true, s.user) {
		t.Error("the old value after Refresh")
	}
	select {
	case flags := <-changed:
		if !slices.Equal(flags, []string{"f"}) {
			t.Error(flags)
		}
	case <-time.After(10 * time.Second):
		t.Error("no PROVIDER_CONFIGURATION_CHANGED")
	}
}
