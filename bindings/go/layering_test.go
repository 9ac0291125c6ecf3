//go:build cgo

package mpflags

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func sources(t *testing.T, folder string) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatal(folder, err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = file
	}
	return files
}

// Only native.go uses pointers, and table.go, which passes on those of another library. The provider imports the client and
// the SDK; the client imports no SDK.
func TestLayers(t *testing.T) {
	for folder, pointers := range map[string][]string{".": {"native.go", "table.go", "link_shared.go", "link_static.go"}, "openfeature": nil, "mpflagstest": nil} {
		for name, file := range sources(t, folder) {
			for _, imported := range file.Imports {
				path := strings.Trim(imported.Path.Value, `"`)
				if (path == "C" || path == "unsafe") && !slices.Contains(pointers, name) {
					t.Errorf("%s/%s imports %s", folder, name, path)
				}
				if folder == "." && strings.Contains(path, ".") && path != "github.com/mpflags/mpflags/bindings/go/internal/handle" {
					t.Errorf("%s imports %s: the client may import only Go's standard library", name, path)
				}
			}
			if text, err := os.ReadFile(filepath.Join(folder, name)); err != nil || strings.Count(string(text), "\n") > 400 {
				t.Errorf("%s/%s: over 400 lines, or %v", folder, name, err)
			}
		}
	}
}

// Every exported name has a doc comment.
func TestDocumented(t *testing.T) {
	checked := 0
	need := func(where string, name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		checked++
		for _, doc := range docs {
			if doc.Text() != "" {
				return
			}
		}
		t.Errorf("%s: %s is not documented", where, name.Name)
	}
	for _, folder := range []string{".", "openfeature", "mpflagstest"} {
		documented := false
		for name, file := range sources(t, folder) {
			documented = documented || file.Doc.Text() != ""
			for _, declaration := range file.Decls {
				switch d := declaration.(type) {
				case *ast.FuncDecl:
					// Every error has Error and Unwrap.
					if d.Recv == nil || d.Name.Name != "Error" && d.Name.Name != "Unwrap" {
						need(name, d.Name, d.Doc)
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						switch s := spec.(type) {
						case *ast.TypeSpec:
							need(name, s.Name, s.Doc, d.Doc)
						case *ast.ValueSpec:
							for _, value := range s.Names {
								need(name, value, s.Doc, s.Comment, d.Doc)
							}
						}
					}
				}
			}
		}
		if !documented {
			t.Errorf("the package in %s is not documented", folder)
		}
	}
	if checked < 100 {
		t.Errorf("only %d names were checked", checked)
	}
}
