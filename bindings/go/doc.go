// Package mpflags evaluates Mixpanel feature flags in process and reports exposures.
//
// A [Client] fetches a project's flag definitions in the background, so an evaluation sends no request. With
// [WithRemote], each evaluation sends a request to Mixpanel instead. The package is a thin layer over libmpflags. A release
// brings it for Linux, as a static library; with the build tag mpflags_installed, a program uses an installed libmpflags
// instead, through pkg-config, and with mpflags_static, an installed static one.
//
// A program makes one client and shares it:
//
//	client, err := mpflags.New("YOUR_PROJECT_TOKEN")
//	…
//	defer client.Close()
//	if err := client.Start(ctx); err != nil { … }
//	if err := client.WaitReady(ctx); err != nil { … } // until definitions arrive, evaluations return the default
//	user := mpflags.Context{"distinct_id": "user-1", "custom_properties": map[string]any{"plan": "premium"}}
//	if client.Boolean(ctx, "new-checkout", false, user) { … }
//
// Package openfeature is the OpenFeature provider. Package mpflagstest makes clients for unit tests without a network.
package mpflags
