// Package tests holds the tests that need third-party modules: OpenFeature's suites with godog, leaks with goleak, and the
// comparison with mixpanel-go. It is a separate module, so that users of the binding do not depend on those.
package tests
