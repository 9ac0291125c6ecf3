// Package mpflags evaluates Mixpanel feature flags in process, and reports who was shown what.
//
// A [Client] fetches the definitions of a project in the background, and an evaluation reads what is there: no request,
// no lock. With [WithRemote] Mixpanel decides instead. The package is a thin layer over libmpflags, which does all of
// that; it is linked through pkg-config, or, with the build tag mpflags_static, as a static library.
//
// OpenFeature's provider is in the package openfeature beside this one, and mpflagstest makes clients for tests, which
// need no network.
package mpflags
