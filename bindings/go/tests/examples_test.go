package tests

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mpflags/mpflags/bindings/go/internal/dev"
)

// The README's code blocks equal the examples, which are compiled and run below.
func TestReadmeShowsTheExamples(t *testing.T) {
	readme := dev.Read(t, "bindings", "go", "README.md")
	shown := 0
	for part := range strings.SplitSeq(readme, "<!-- bindings/go/") {
		path, rest, found := strings.Cut(part, " -->\n```go\n")
		if !found || strings.Contains(path, "\n") {
			continue
		}
		code, _, _ := strings.Cut(rest, "```\n<!-- end -->")
		text := dev.Read(t, "bindings", "go", path)
		// A program is shown whole, a test file in part.
		if text != code && !(strings.HasSuffix(path, "_test.go") && len(code) > 200 && strings.Contains(text, "\n"+code)) {
			t.Errorf("%s differs from the README", path)
		}
		shown++
	}
	if shown != 6 {
		t.Errorf("%d examples are shown", shown)
	}
}

func TestExamples(t *testing.T) {
	sample := dev.Read(t, "dev", "samples", "definitions.json")
	for name, example := range map[string]struct {
		arguments []string
		change    bool
		wanted    []string
		exposures int
	}{
		"first":         {nil, false, []string{"new-checkout: true", "button-color: #6e7781 control SPLIT"}, 2},
		"quickstart":    {[]string{"4"}, true, []string{"new-checkout: false", "ranking-boost: 1.35", "changed: [new-checkout]", "new-checkout: true", "banner: map["}, 4},
		"allflags":      {nil, false, []string{"button-color", "new-checkout", "STATIC"}, 1},
		"events":        {[]string{"4"}, true, []string{"state: READY", "changed: [new-checkout]"}, 0},
		"logandchanges": {[]string{"4"}, true, []string{"state: READY", "changed: [new-checkout]"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), name)
			build := exec.Command("go", "build", "-o", program, "./examples/"+name)
			build.Dir = filepath.Join(dev.Root(), "bindings", "go")
			if output, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			server := dev.Start(t, "--token", "demo")
			server.Serve(sample)
			arguments := append([]string{server.URL, "demo"}, example.arguments...)
			if name == "first" {
				arguments = []string{"-token", "demo", "-host", server.URL}
			}
			command := exec.Command(program, arguments...)
			var output bytes.Buffer
			command.Stdout, command.Stderr = &output, &output
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			if example.change {
				// By the third fetch the first evaluations are done.
				server.Requests(3)
				server.Serve(strings.Replace(sample, `"rollout_percentage": 0.5`, `"rollout_percentage": 1.0`, 1))
			}
			if err := command.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, output.String())
			}
			for _, part := range example.wanted {
				if !strings.Contains(output.String(), part) {
					t.Errorf("%q is not in\n%s", part, output.String())
				}
			}
			exposures := 0
			for _, event := range server.Events(example.exposures) {
				if event.JSON.Event == "$experiment_started" && event.Accepted {
					exposures++
				}
			}
			if exposures < example.exposures || example.exposures == 0 && exposures > 0 {
				t.Errorf("%d exposures", exposures)
			}
		})
	}
}

// A process that gets SIGTERM delivers its exposures, or reports that it could not.
func TestSigterm(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sigterm")
	build := exec.Command("go", "build", "-o", program, "./examples/sigterm")
	build.Dir = filepath.Join(dev.Root(), "bindings", "go")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for name, accepted := range map[string]bool{"accepted": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			server := dev.Start(t, "--token", "demo")
			server.Serve(dev.Read(t, "dev", "samples", "definitions.json"))
			if !accepted {
				server.Faults(`[{"path": "/track", "kind": "status", "status": 503}]`)
			}
			command := exec.Command(program, server.URL, "demo")
			out, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var errors bytes.Buffer
			command.Stderr = &errors
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "new-checkout:") {
				t.Error(line, err)
			}
			if err := command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			err = command.Wait()
			if accepted {
				if events := server.Events(1); err != nil || len(events) != 1 || !events[0].Accepted {
					t.Errorf("%v: %v\n%s", err, events, &errors)
				}
			} else if !strings.Contains(errors.String(), "1 events were not delivered") && !strings.Contains(errors.String(), "1 event was not delivered") || err == nil {
				t.Errorf("%v\n%s", err, &errors)
			}
		})
	}
}
