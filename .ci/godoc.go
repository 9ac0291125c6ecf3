// Writes the HTML reference of Go packages: go run .ci/godoc.go OUT MODULE FOLDER...
//
// FOLDER is a package of MODULE, relative to the working directory; OUT gets a page for each, and the first is index.html.
package main

import (
	"go/ast"
	"go/build"
	"go/doc"
	"go/doc/comment"
	"go/format"
	"go/parser"
	"go/printer"
	"go/token"
	"html/template"
	"log"
	"os"
	"path"
	"path/filepath"
	"strings"
)

var page = template.Must(template.New("page").Parse(`<!doctype html><meta charset="utf-8"><title>{{.Name}}</title>
<style>body{max-width:60em;margin:2em auto;padding:0 1em;font:16px/1.5 sans-serif}pre{background:#f4f4f4;padding:.7em;overflow:auto}</style>
<p>{{range .Pages}}<a href="{{.File}}">{{.Path}}</a> {{end}}</p>
<h1>package {{.Name}}</h1><pre>import "{{.Path}}"</pre>{{.Doc}}
<h2>Index</h2><ul>{{range .Entries}}<li><a href="#{{.ID}}">{{.ID}}</a></li>{{end}}</ul>
{{range .Entries}}<h3 id="{{.ID}}">{{.ID}}</h3>{{range .Others}}<a id="{{.}}"></a>{{end}}<pre>{{.Code}}</pre>{{.Doc}}
{{range .Examples}}<details><summary>Example</summary><pre>{{.}}</pre></details>{{end}}{{end}}`))

type target struct{ File, Path string }

// An entry is a declaration under the name that links to it have; Others are further names that it declares.
type entry struct {
	ID       string
	Others   []string
	Code     string
	Doc      template.HTML
	Examples []string
}

func main() {
	log.SetFlags(0)
	out, module, folders := os.Args[1], os.Args[2], os.Args[3:]
	pages := make([]target, len(folders))
	for i, folder := range folders {
		pages[i] = target{path.Base(folder) + ".html", path.Join(module, folder)}
	}
	pages[0].File = "index.html"
	for i, folder := range folders {
		if err := write(filepath.Join(out, pages[i].File), folder, pages[i].Path, pages); err != nil {
			log.Fatalf("%s: %v", folder, err)
		}
	}
}

func write(file, folder, importPath string, pages []target) error {
	found, err := build.ImportDir(folder, 0)
	if err != nil {
		return err
	}
	positions := token.NewFileSet()
	var files []*ast.File
	for _, names := range [][]string{found.GoFiles, found.CgoFiles, found.TestGoFiles, found.XTestGoFiles} {
		for _, name := range names {
			parsed, err := parser.ParseFile(positions, filepath.Join(folder, name), nil, parser.ParseComments)
			if err != nil {
				return err
			}
			files = append(files, parsed)
		}
	}
	pkg, err := doc.NewFromFiles(positions, files, importPath)
	if err != nil {
		return err
	}
	code := func(node any) string {
		var text strings.Builder
		if err := format.Node(&text, positions, node); err != nil {
			log.Fatalf("%s: %v", folder, err)
		}
		return text.String()
	}
	writer := pkg.Printer()
	writer.DocLinkURL = func(link *comment.DocLink) string {
		page := "https://pkg.go.dev/" + link.ImportPath
		for _, own := range pages {
			if link.ImportPath == own.Path {
				page = own.File
			}
		}
		if link.ImportPath == "" {
			page = ""
		}
		return strings.TrimSuffix(page+"#"+strings.TrimPrefix(link.Recv+"."+link.Name, "."), "#")
	}
	html := func(text string) template.HTML { return template.HTML(writer.HTML(pkg.Parser().Parse(text))) }

	var entries []entry
	add := func(node ast.Node, text string, examples []*doc.Example, names ...string) {
		made := entry{ID: names[0], Others: names[1:], Code: code(node), Doc: html(text)}
		for _, example := range examples {
			made.Examples = append(made.Examples, code(&printer.CommentedNode{Node: example.Code, Comments: example.Comments}))
		}
		entries = append(entries, made)
	}
	values := func(all []*doc.Value) {
		for _, value := range all {
			add(value.Decl, value.Doc, nil, value.Names...)
		}
	}
	functions := func(all []*doc.Func) {
		for _, function := range all {
			name := strings.TrimLeft(function.Recv, "*") + "." + function.Name
			add(function.Decl, function.Doc, function.Examples, strings.TrimPrefix(name, "."))
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	functions(pkg.Funcs)
	for _, kind := range pkg.Types {
		add(kind.Decl, kind.Doc, kind.Examples, append([]string{kind.Name}, fields(kind)...)...)
		values(kind.Consts)
		values(kind.Vars)
		functions(kind.Funcs)
		functions(kind.Methods)
	}
	created, err := os.Create(file)
	if err != nil {
		return err
	}
	defer created.Close()
	return page.Execute(created, map[string]any{
		"Name": pkg.Name, "Path": importPath, "Doc": html(pkg.Doc), "Entries": entries, "Pages": pages,
	})
}

// fields are the names of a struct's fields, by which doc comments link to them.
func fields(kind *doc.Type) (names []string) {
	for _, spec := range kind.Decl.Specs {
		if structure, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType); ok {
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					names = append(names, kind.Name+"."+name.Name)
				}
			}
		}
	}
	return names
}
