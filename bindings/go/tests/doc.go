// Package tests holds what tests of the Go binding need and its users do not: OpenFeature's suites with godog, leaks
// with goleak, and mixpanel-go beside it. It is a module of its own, so that none of these is a dependency of theirs.
package tests
