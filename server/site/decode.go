package site

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. Ten purposes in all 24 languages of the Union take 120 KiB and 600 lines. The parser's time
// grows with the square of repeated keys and of brackets in brackets: within these bounds it stays under a second.
const (
	maxFile  = 256 << 10 // bytes
	maxLines = 10_000
	maxDepth = 32 // brackets in brackets, or dashes on one line
)

// place is a position in a file, both counted from 1.
type place struct{ line, column int }

// decoder fills a config from a syntax tree, and goes on after a mistake. It remembers where every value
// stands, by its path ("purposes[1].title.fr"), for the checks that follow.
type decoder struct {
	file     string
	problems []Problem
	places   map[string]place // of values; of the key, for what has parts
	bad      map[string]bool  // values that were reported here: not to be reported again as missing
}

// nodeReader is a type of config that reads its node itself.
type nodeReader interface {
	read(d *decoder, n ast.Node, path string)
}

// decode reads one file.
func decode(file string, data []byte) (*config, *decoder) {
	d := &decoder{file: file, places: map[string]place{"": {1, 1}}, bad: map[string]bool{}}
	c := new(config)
	if root := d.parse(data); root != nil {
		d.value(root, reflect.ValueOf(c).Elem(), "")
		c.at = d.where("site")
	} else {
		d.bad[""] = true
	}
	return c, d
}

// parse gives the one document of a file, or nil after reporting why there is none.
func (d *decoder) parse(data []byte) ast.Node {
	if len(data) > maxFile || bytes.Count(data, []byte("\n")) > maxLines {
		d.report(Error, CodeTooLarge, "", "is over %d KiB or %d lines; a site's configuration is much smaller", maxFile>>10, maxLines)
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if deep := tooDeep(tokens); deep != nil {
		d.reportAt(placeOf(deep), Error, CodeTooLarge, "", "goes over %d levels deep here; a site's configuration needs five", maxDepth)
		return nil
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are reported here, all of them
	if err != nil {
		at, text := place{1, 1}, "the file"
		if e, ok := errors.AsType[yaml.Error](err); ok {
			at, text = placeOf(e.GetToken()), e.GetMessage()
		}
		d.reportAt(at, Error, CodeSyntax, "", "this is not YAML: %s; look at indentation, quotes and colons here or just above", text)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range f.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		d.report(Error, CodeSeveralDocuments, "", "the file is empty; a file holds one site")
		return nil
	case 1:
		return bodies[0]
	}
	d.reportAt(placeOf(firstToken(bodies[1])), Error, CodeSeveralDocuments, "", "a second document begins; a file holds one site, make another file")
	return nil
}

// tooDeep is the token that goes a level too deep, or nil.
func tooDeep(tokens token.Tokens) *token.Token {
	open, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType:
			dashes++
		}
		if max(open, dashes) > maxDepth {
			return t
		}
	}
	return nil
}

func (d *decoder) report(s Severity, code, path, format string, args ...any) {
	d.reportAt(d.where(path), s, code, path, format, args...)
}

func (d *decoder) reportAt(at place, s Severity, code, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: at.line, Column: at.column, Severity: s, Code: code,
		Key: path, Text: fmt.Sprintf(format, args...)})
}

// where is the place of a value, or of what it is missing from.
func (d *decoder) where(path string) place {
	for {
		if at, ok := d.places[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// has reports whether the file has something at path, right or wrong.
func (d *decoder) has(path string) bool { _, ok := d.places[path]; return ok }

// refuse reports a value that cannot be read, where it begins.
func (d *decoder) refuse(n ast.Node, code, path, format string, args ...any) {
	d.bad[path] = true
	at := placeOf(firstToken(n))
	if _, null := n.(*ast.NullNode); null { // which stands nowhere
		at = d.where(path)
	}
	d.reportAt(at, Error, code, path, format, args...)
}

// value reads n into v.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	if scalar(n) || !d.has(path) {
		d.places[path] = placeOf(n.GetToken())
	}
	if r, ok := v.Addr().Interface().(nodeReader); ok {
		r.read(d, n, path)
		return
	}
	if !d.plain(n, path) {
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, u, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.String:
		if s, ok := stringOf(n); ok {
			v.SetString(s)
		} else {
			d.wrongType(n, path, "a text")
		}
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
		} else {
			d.wrongType(n, path, "true or false")
		}
	case reflect.Int:
		if i, ok := intOf(n); ok {
			v.SetInt(i)
		} else {
			d.wrongType(n, path, "a whole number")
		}
	default:
		panic("site: config has a field of type " + v.Type().String())
	}
}

// plain refuses what a file of texts and lists has no need of.
func (d *decoder) plain(n ast.Node, path string) bool {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.refuse(n, CodeYAMLFeature, path, "uses an anchor, an alias or a tag; write the value out")
		return false
	case *ast.NullNode:
		d.refuse(n, CodeNoValue, path, "has no value; give one, or remove the key")
		return false
	}
	return true
}

func (d *decoder) wrongType(n ast.Node, path, want string) {
	hint := ""
	if scalar(n) && want == "a text" {
		hint = "; put it in quotes"
	}
	d.refuse(n, CodeWrongType, path, "is %s where %s belongs%s", kindOf(n), want, hint)
}

func (d *decoder) text(n ast.Node, u encoding.TextUnmarshaler, path string) {
	if !scalar(n) {
		d.wrongType(n, path, "a single value")
		return
	}
	s, ok := stringOf(n)
	if !ok {
		s = n.GetToken().Value
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		d.refuse(n, CodeInvalidValue, path, "%s", err)
	}
}

func (d *decoder) list(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrongType(n, path, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))) // empty is not absent
	for i, item := range seq.Values {
		p := fmt.Sprintf("%s[%d]", path, i)
		d.places[p] = placeOf(firstToken(item))
		d.value(item, v.Index(i), p)
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	d.entries(n, path, func(key, p string, value ast.Node) {
		i, ok := fields[key]
		if !ok {
			names := make([]string, 0, len(fields))
			for name := range fields {
				names = append(names, name)
			}
			d.report(Error, CodeUnknownKey, p, "is no key here; %s", suggestion(key, names))
			return
		}
		d.value(value, v.Field(i), p)
	})
}

// entries calls each with every key of a mapping, the first time it comes.
func (d *decoder) entries(n ast.Node, path string, each func(key, path string, value ast.Node)) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.wrongType(n, path, "a mapping (key: value)")
		return
	}
	first := map[string]place{}
	for it := m.MapRange(); it.Next(); {
		key, at := it.Key().GetToken().Value, placeOf(it.Key().GetToken())
		p := key
		if path != "" {
			p = path + "." + key
		}
		if it.Key().IsMergeKey() {
			d.reportAt(at, Error, CodeYAMLFeature, p, "merges another mapping; write the keys out")
			continue
		}
		if before, twice := first[key]; twice {
			d.reportAt(at, Error, CodeDuplicateKey, p, "stands here a second time, after line %d; keep one", before.line)
			continue
		}
		first[key] = at
		d.places[p] = at
		each(key, p, it.Value())
	}
}
