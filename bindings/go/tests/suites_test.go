package tests

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cucumber/godog"
	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

// mismatch is a failed comparison. An expected failure may fail only with a mismatch.
type mismatch struct{ what string }

func (m mismatch) Error() string { return m.what }

func same(what string, wanted, got any) error {
	w, errW := json.Marshal(wanted)
	g, errG := json.Marshal(got)
	if errW == nil && errG == nil && string(w) == string(g) {
		return nil
	}
	return mismatch{fmt.Sprintf("%s: want %s, got %s", what, w, g)}
}

// inSteps panics, which godog turns into the failure of a step. t.Fatal would end the wrong goroutine.
type inSteps struct{ testing.TB }

func (inSteps) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (inSteps) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// expectations has the members of conformance/openfeature/expected_failures.json.
type expectations struct {
	Suites map[string]struct {
		Scenarios int
		Passed    map[string]int
	}
	ExpectedFailures []expectedFailure `json:"expected_failures"`
}

type expectedFailure struct {
	Feature, Scenario, Step, Reason string
	Languages                       []string
}

func readExpectations(t *testing.T) expectations {
	var e expectations
	decoder := json.NewDecoder(strings.NewReader(dev.Read(t, "conformance", "openfeature", "expected_failures.json")))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

// sdk is the SDK's version as in expected_failures.json. A test does not know the versions of its modules, so make check
// passes the one that is not go.mod's.
var sdk = "go-sdk " + cmp.Or(os.Getenv("MPFLAGS_GO_SDK"), "1.18")

// here reports whether the failure is expected in this run.
func (e expectedFailure) here() bool {
	return slices.Contains(e.Languages, "go") || slices.Contains(e.Languages, sdk)
}

func (e expectedFailure) matches(feature string, scenario *godog.Scenario) bool {
	if e.Feature != feature || e.Scenario != scenario.Name || !e.here() {
		return false
	}
	for _, step := range scenario.Steps {
		if e.Step == "" || step.Text == e.Step {
			return true
		}
	}
	return false
}

// runSuite runs one feature file and compares the failures with the expected ones.
func runSuite(t *testing.T, path string, initialize func(*godog.ScenarioContext)) {
	t.Helper()
	feature := filepath.Base(path)
	expected := readExpectations(t)
	counts, known := expected.Suites[feature]
	if !known {
		t.Fatalf("%s is not among the suites of expected_failures.json", feature)
	}
	wanted, specific := counts.Passed[sdk]
	if !specific {
		wanted = counts.Passed["go"]
	}
	var mu sync.Mutex
	scenarios, passed := 0, 0
	met := make([]int, len(expected.ExpectedFailures))
	suite := godog.TestSuite{
		Name: feature,
		ScenarioInitializer: func(sc *godog.ScenarioContext) {
			initialize(sc)
			sc.After(func(ctx context.Context, scenario *godog.Scenario, err error) (context.Context, error) {
				mu.Lock()
				defer mu.Unlock()
				scenarios++
				name := scenario.Name + " / " + scenario.Steps[min(1, len(scenario.Steps)-1)].Text
				for i, entry := range expected.ExpectedFailures {
					if !entry.matches(feature, scenario) {
						continue
					}
					met[i]++
					var compared mismatch
					switch {
					case err == nil:
						t.Errorf("%s passes, but is expected to fail: %s", name, entry.Reason)
					case !errors.As(err, &compared):
						t.Errorf("%s fails, but not with a mismatch: %v", name, err)
					default:
						t.Logf("fails as expected: %s: %v (%s)", name, err, entry.Reason)
					}
					return ctx, nil
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else {
					passed++
				}
				return ctx, nil
			})
		},
		Options: &godog.Options{Format: "progress", Output: discard{}, Paths: []string{path}, Strict: true, NoColors: true},
	}
	suite.Run()
	for i, entry := range expected.ExpectedFailures {
		if entry.Feature == feature && entry.here() && met[i] == 0 {
			t.Errorf("no scenario matches the expected failure %q %q", entry.Scenario, entry.Step)
		}
	}
	if scenarios != counts.Scenarios || passed != wanted {
		t.Errorf("%s: %d of %d scenarios pass; expected %d of %d", feature, passed, scenarios, wanted, counts.Scenarios)
	}
	t.Logf("%s: %d of %d scenarios pass", feature, passed, scenarios)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// definitions returns the path of the document that conformance/openfeature/definitions.py makes. make test reports missing
// data.
func definitions(t *testing.T) string {
	path := os.Getenv("MPFLAGS_OPENFEATURE_DEFINITIONS")
	if path == "" {
		t.Skip("needs OpenFeature's feature files (MPFLAGS_SHARED_DATA); the vectors in conformance/vectors/provider cover the same rules")
	}
	return path
}

func featureFile(name string) string {
	return filepath.Join(os.Getenv("MPFLAGS_SHARED_DATA"), "openfeature", name)
}
