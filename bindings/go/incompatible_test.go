//go:build cgo

package mpflags

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// New checks the library's revision before it calls any other function, and its error says what to do.
func TestIncompatibleLibrary(t *testing.T) {
	if os.Getenv("MPFLAGS_TEST_INCOMPATIBLE") != "" {
		_, err := New("t")
		fmt.Println(errors.Is(err, ErrIncompatible), err)
		return
	}
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	folder := t.TempDir()
	source := filepath.Join(folder, "other.c")
	// It has only the functions for that check: calling any other would end the program.
	if err := os.WriteFile(source, []byte(`#include <stddef.h>
		#include <stdint.h>
		uint32_t mpflags_abi_version(void) { return 7; }
		uint32_t mpflags_abi_revision(void) { return 99; }
		typedef struct { const char *ptr; size_t len; } str;
		str mpflags_version(void) { str s = { "9.9.9", 5 }; return s; }`), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(compiler, "-shared", "-fPIC", "-Wl,-soname,libmpflags.so.0", "-o", filepath.Join(folder, "libmpflags.so.0"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	command := exec.Command(os.Args[0], "-test.run=^TestIncompatibleLibrary$")
	command.Env = append(os.Environ(), "MPFLAGS_TEST_INCOMPATIBLE=1", "LD_LIBRARY_PATH="+folder)
	output, err := command.CombinedOutput()
	for _, part := range []string{"true libmpflags 9.9.9 has ABI version 7, revision 99; this program was compiled for version 0, revision ", "install the library and the header of the same release"} {
		if err != nil || !strings.Contains(string(output), part) {
			t.Errorf("%v: %q is not in\n%s", err, part, output)
		}
	}
}
