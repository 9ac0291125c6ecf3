// Package copies makes copies that go vet must report, in the lines marked as reported.
package copies

import (
	"github.com/mpflags/mpflags/bindings/go"
	"github.com/mpflags/mpflags/bindings/go/mpflagstest"
	"github.com/mpflags/mpflags/bindings/go/openfeature"
)

type service struct {
	flags mpflags.Client
}

func takes(mpflags.Client) {} // reported

func copies(client *mpflags.Client, provider *openfeature.Provider, flags *mpflagstest.Flags, s *service) {
	first := *client    // reported
	second := *provider // reported
	third := *flags     // reported
	fourth := *s        // reported
	takes(*client)      // reported
	_, _, _, _ = &first, &second, &third, &fourth
}
