// Package mpflags evaluates Mixpanel feature flags in process and reports exposures.
//
// A [Client] fetches a project's flag definitions in the background, so an evaluation sends no request. With
// [WithRemote], each evaluation sends a request to Mixpanel instead. The package is a thin layer over libmpflags, which
// is linked through pkg-config, or as a static library with the build tag mpflags_static.
//
// Package openfeature is the OpenFeature provider. Package mpflagstest makes clients for unit tests without a network.
package mpflags
