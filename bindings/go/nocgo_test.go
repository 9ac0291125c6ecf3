//go:build cgo

package mpflags

import (
	"go/build/constraint"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Without cgo the compiler prints what is missing and how to install it, and nothing else.
func TestWithoutCgo(t *testing.T) {
	compiler, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err) // go test has it in PATH
	}
	for _, c := range []struct {
		name      string
		arguments []string
		env       []string
	}{
		{"switched off", []string{"build", "./..."}, []string{"CGO_ENABLED=0"}},
		{"vet", []string{"vet", "."}, []string{"CGO_ENABLED=0"}},
		{"the provider alone", []string{"build", "./openfeature"}, []string{"CGO_ENABLED=0"}},
		{"clients for tests alone", []string{"vet", "./mpflagstest"}, []string{"CGO_ENABLED=0"}},
		{"static", []string{"build", "-tags", "mpflags_static", "."}, []string{"CGO_ENABLED=0"}},
		{"another platform", []string{"build", "."}, []string{"CGO_ENABLED=", "GOARCH=" + map[bool]string{true: "amd64", false: "arm64"}[runtime.GOARCH == "arm64"]}},
		{"another system", []string{"build", "."}, []string{"CGO_ENABLED=", "GOOS=windows"}},
		{"no C compiler", []string{"build", "."}, []string{"CGO_ENABLED=", "CC=", "PATH=" + filepath.Dir(compiler)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			command := exec.Command(compiler, c.arguments...)
			command.Env = append(os.Environ(), c.env...)
			output, err := command.CombinedOutput()
			if err == nil {
				t.Fatal("the build succeeded")
			}
			said := 0
			for line := range strings.Lines(string(output)) {
				switch {
				case strings.HasPrefix(line, "#"):
				case strings.Contains(line, "mpflags needs cgo: set CGO_ENABLED=1 and install a C compiler;"):
					said++
				default:
					t.Error(line)
				}
			}
			if said == 0 {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

// A file that is compiled without cgo would add further errors.
func TestEveryFileNeedsCgo(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) < 20 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains([]string{"doc.go", "nocgo.go", "race_on_test.go", "race_off_test.go"}, name) ||
			strings.Contains(string(text), "\nimport \"C\"\n") {
			continue
		}
		line, _, _ := strings.Cut(string(text), "\n")
		needs, err := constraint.Parse(line)
		if err != nil || needs.Eval(func(tag string) bool { return tag != "cgo" }) {
			t.Errorf("%s: the first line must be //go:build cgo, not %s (%v)", name, line, err)
		}
	}
}
