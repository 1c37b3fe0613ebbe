package site

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
)

var update = flag.Bool("update", false, "write schema.json anew")

// reflectSchema writes the schema of config.
func reflectSchema(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{RequiredFromJSONSchemaTags: true, Anonymous: true, ExpandedStruct: true, Mapper: ownTypes}
	comments := commentsOf(t, ".", "../../widget")
	r.LookupComment = func(typ reflect.Type, field string) string { return comments[typ.Name()+"."+field] }
	s := r.Reflect(&config{})
	s.Title = "A site of consentd"
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// commentsOf reads what stands above or behind each type ("Theme.") and field ("Theme.Radius"). The library's
// own reader skips types that are not exported.
func commentsOf(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	comments := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool { typeComments(n, comments); return true })
		}
	}
	return comments
}

func typeComments(n ast.Node, comments map[string]string) {
	decl, ok := n.(*ast.GenDecl)
	if !ok || decl.Tok != token.TYPE {
		return
	}
	for _, spec := range decl.Specs {
		spec := spec.(*ast.TypeSpec)
		comments[spec.Name.Name+"."] = line(decl.Doc.Text())
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range fields.Fields.List {
			for _, name := range f.Names {
				comments[spec.Name.Name+"."+name.Name] = line(f.Doc.Text() + f.Comment.Text())
			}
		}
	}
}

func line(comment string) string { return strings.Join(strings.Fields(comment), " ") }

// ownTypes are the types that read their nodes themselves.
func ownTypes(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[texts]():
		one := &jsonschema.Schema{Type: "string", MinLength: new(uint64(1))}
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, {Type: "object", AdditionalProperties: one, MinProperties: new(uint64(1))}}}
	case reflect.TypeFor[ownWords]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: ownTypes(reflect.TypeFor[texts]()), MinProperties: new(uint64(1))}
	case reflect.TypeFor[lifetime]():
		return &jsonschema.Schema{Type: "string", Pattern: "^(session|[1-9][0-9]{0,4}(min|h|d|mo|y))$", Examples: []any{"13mo"}}
	case reflect.TypeFor[names]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "string"}, MinProperties: new(uint64(1))}
	case reflect.TypeFor[duration]():
		return &jsonschema.Schema{Type: "string", Pattern: "^[0-9]+(d|w|h|mo|y)$", Examples: []any{"182d"}}
	}
	return nil
}

func TestTheSchemaIsFresh(t *testing.T) {
	want := reflectSchema(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(Schema(), want) {
		t.Error("schema.json is not what config.go says; run: go generate ./server/site")
	}
}

// TestTheSchemaSaysWhatEachKeyIsFor: a key without a comment would be silent in editors.
func TestTheSchemaSaysWhatEachKeyIsFor(t *testing.T) {
	var root struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]struct{ Description string } `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	if n := reflect.TypeFor[config]().NumField() - 1; len(root.Properties) != n { // all but at
		t.Errorf("%d keys, want %d", len(root.Properties), n)
	}
	for name, raw := range root.Properties {
		if !strings.Contains(string(raw), `"description"`) {
			t.Errorf("%s has no description", name)
		}
	}
	for _, def := range []string{"purpose", "banner", "controller", "service", "choices", "limits", "form", "field", "mail"} {
		if len(root.Defs[def].Properties) == 0 {
			t.Errorf("no definition of %s", def)
		}
		for name, p := range root.Defs[def].Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no description", def, name)
			}
		}
	}
}
