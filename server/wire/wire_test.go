package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// choice is the shape most bodies have: text, a nested object, booleans under free names, an array.
type choice struct {
	ID        string
	Device    string
	Decisions map[string]bool
	Tags      []string
	Limit     int
}

// read walks a document the way handlers do.
func read(doc string) (c choice, mistakes []Mistake, err error) {
	r := New(doc, 4)
	if r.Object() {
		for r.Next() {
			switch r.Name() {
			case "id":
				c.ID = r.Text(8)
			case "subject":
				if r.Object() {
					for r.Next() {
						if r.Name() == "device" {
							c.Device = r.Text(8)
						} else {
							r.Unknown()
						}
					}
				}
			case "decisions":
				c.Decisions = map[string]bool{}
				if r.Object() {
					for r.Next() {
						name := r.Name()
						c.Decisions[name] = r.Bool()
					}
				}
			case "tags":
				if r.Array() {
					for r.Next() {
						if len(c.Tags) == 3 {
							r.TooMany("too_many")
							break
						}
						c.Tags = append(c.Tags, r.Text(8))
					}
				}
			case "limit":
				c.Limit = r.Int(1, 100)
			default:
				r.Unknown()
			}
		}
		if c.ID == "" {
			r.Missing("id")
		}
	}
	err = r.End()
	return c, r.Mistakes(), err
}

func TestADocumentIsReadAsItWasWritten(t *testing.T) {
	c, mistakes, err := read(" {\"id\" : \"a\\u00e9\\ud83d\\ude00\\n\", \"subject\":{\"device\":\"d\\/1\"},\n" +
		`"decisions":{"analytics":true,"ads":false}, "tags":["x","",  "é"],"limit":7 } `)
	if err != nil || mistakes != nil {
		t.Fatal(err, mistakes)
	}
	want := choice{ID: "aé😀\n", Device: "d/1", Decisions: map[string]bool{"analytics": true, "ads": false}, Tags: []string{"x", "", "é"}, Limit: 7}
	// "aé😀\n" is eight bytes: the cap counts what is read, not what was sent.
	if d := cmp.Diff(want, c); d != "" {
		t.Fatal(d)
	}
}

func TestWhatBreaksADocument(t *testing.T) {
	names := make([]string, MaxNames+1)
	for i := range names {
		names[i] = fmt.Sprintf(`"n%d":0`, i)
	}
	for name, tc := range map[string]struct{ doc, code string }{
		"nothing at all":                             {"", CodeMalformed},
		"white space only":                           {" \n", CodeMalformed},
		"a byte order mark":                          {"\ufeff{}", CodeMalformed},
		"an object cut short":                        {`{"id":"a"`, CodeMalformed},
		"a string cut short":                         {`{"id":"a`, CodeMalformed},
		"a literal cut short":                        {`{"id":tru`, CodeMalformed},
		"a comma before the end":                     {`{"id":"a",}`, CodeMalformed},
		"a comma before the end of an array":         {`{"id":"a","tags":["x",]}`, CodeMalformed},
		"two values without a comma":                 {`{"id":"a" "tags":[]}`, CodeMalformed},
		"a name without quotes":                      {`{id:"a"}`, CodeMalformed},
		"single quotes":                              {`{'id':'a'}`, CodeMalformed},
		"a comment":                                  {`{/**/"id":"a"}`, CodeMalformed},
		"a second document":                          {`{"id":"a"}{}`, CodeMalformed},
		"text after the document":                    {`{"id":"a"} x`, CodeMalformed},
		"a control character in a string":            {"{\"id\":\"a\tb\"}", CodeMalformed},
		"an unknown escape":                          {`{"id":"\x41"}`, CodeMalformed},
		"half a surrogate pair":                      {`{"id":"\ud83d"}`, CodeMalformed},
		"surrogates the wrong way round":             {`{"id":"\ude00\ud83d"}`, CodeMalformed},
		"bytes that are not UTF-8":                   {"{\"id\":\"\xff\"}", CodeMalformed},
		"a leading zero":                             {`{"id":"a","limit":07}`, CodeMalformed},
		"a number ending in a point":                 {`{"id":"a","limit":7.}`, CodeMalformed},
		"a plus sign":                                {`{"id":"a","limit":+7}`, CodeMalformed},
		"NaN":                                        {`{"id":NaN}`, CodeMalformed},
		"mismatched brackets":                        {`{"tags":["x"}}`, CodeMalformed},
		"a name twice":                               {`{"id":"a","id":"b"}`, CodeDuplicateKey},
		"a name twice, once escaped":                 {`{"id":"a","i\u0064":"b"}`, CodeDuplicateKey},
		"a name twice in a nested object":            {`{"decisions":{"ads":true,"ads":false}}`, CodeDuplicateKey},
		"a name twice inside something not wanted":   {`{"other":{"x":{"y":1,"y":2}}}`, CodeDuplicateKey},
		"nesting beyond the limit":                   {`{"other":[[[[]]]]}`, CodeTooDeep},
		"nesting beyond the limit, of objects":       {`{"o":{"o":{"o":{"o":{}}}}}`, CodeTooDeep},
		"a thousand brackets":                        {strings.Repeat("[", 1000), CodeTooDeep},
		"more members than anything sensible":        {"{" + strings.Join(names, ",") + "}", CodeTooManyFields},
		"more members in something that is not read": {`{"other":{` + strings.Join(names, ",") + "}}", CodeTooManyFields},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(tc.doc)
			var broken *Error
			if !errors.As(err, &broken) || broken.Code != tc.code {
				t.Fatalf("%q: %v, want code %s", tc.doc, err, tc.code)
			}
			if len(broken.Detail) > 200 {
				t.Fatalf("the detail repeats the document: %q", broken.Detail)
			}
		})
	}
}

func TestEveryMistakeIsNotedWithItsPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		doc  string
		want []Mistake
	}{
		"a number where a text belongs":     {`{"id":5}`, []Mistake{{"/id", CodeWrongType, ""}, {"/id", CodeMissingField, ""}}},
		"null where a text belongs":         {`{"id":null}`, []Mistake{{"/id", CodeWrongType, ""}, {"/id", CodeMissingField, ""}}},
		"a member missing":                  {`{}`, []Mistake{{"/id", CodeMissingField, ""}}},
		"a member nobody knows":             {`{"id":"a","role":{"x":[1]}}`, []Mistake{{"/role", CodeUnknownField, ""}}},
		"the wrong letter case":             {`{"id":"a","Tags":[]}`, []Mistake{{"/Tags", CodeUnknownField, ""}}},
		"a text longer than its cap":        {`{"id":"123456789"}`, []Mistake{{"/id", CodeTooLong, ""}, {"/id", CodeMissingField, ""}}},
		"an array where an object belongs":  {`{"id":"a","subject":[]}`, []Mistake{{"/subject", CodeWrongType, ""}}},
		"a document that is no object":      {`[1,2]`, []Mistake{{"", CodeWrongType, ""}}},
		"a text where a decision belongs":   {`{"id":"a","decisions":{"ads":"yes","seo":true}}`, []Mistake{{"/decisions/ads", CodeWrongType, ""}}},
		"a name that needs escaping":        {`{"id":"a","decisions":{"a/b~c":1}}`, []Mistake{{"/decisions/a~1b~0c", CodeWrongType, ""}}},
		"an element of the wrong type":      {`{"id":"a","tags":["x",{}]}`, []Mistake{{"/tags/1", CodeWrongType, ""}}},
		"too many elements":                 {`{"id":"a","tags":["1","2","3","4","5"]}`, []Mistake{{"/tags", "too_many", ""}}},
		"a number out of range":             {`{"id":"a","limit":101}`, []Mistake{{"/limit", CodeOutOfRange, ""}}},
		"a number beyond any range":         {`{"id":"a","limit":99999999999999999999}`, []Mistake{{"/limit", CodeOutOfRange, ""}}},
		"a number that is not whole":        {`{"id":"a","limit":1.5}`, []Mistake{{"/limit", CodeWrongType, ""}}},
		"several, in the document's order":  {`{"x":1,"id":true,"subject":{"mail":"a"}}`, []Mistake{{"/x", CodeUnknownField, ""}, {"/id", CodeWrongType, ""}, {"/subject/mail", CodeUnknownField, ""}, {"/id", CodeMissingField, ""}}},
		"a name too long to be handed back": {`{"id":"a","` + strings.Repeat("é", 100) + `":1}`, []Mistake{{"/" + strings.Repeat("é", 32) + "…", CodeUnknownField, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, mistakes, err := read(tc.doc)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, mistakes); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func TestMistakesAreBounded(t *testing.T) {
	var tags []string
	for range 1000 {
		tags = append(tags, "1")
	}
	_, mistakes, err := read(`{"id":"a","decisions":{"a":[` + strings.Join(tags, ",") + `]}}`)
	if err != nil || len(mistakes) != 1 {
		t.Fatalf("a value read over is one mistake: %d, %v", len(mistakes), err)
	}
	r := New("["+strings.Join(tags, ",")+"]", 4)
	r.Array()
	for r.Next() {
		r.Text(1)
	}
	if err := r.End(); err != nil || len(r.Mistakes()) != maxMistakes {
		t.Fatalf("%d mistakes, %v", len(r.Mistakes()), err)
	}
}

// accepted reports whether doc, read over as a whole, is well-formed.
func accepted(doc string) error {
	r := New(doc, MaxDepth)
	r.Skip()
	return r.End()
}

// FuzzAgainstOracle holds the reader to a strict general decoder: what it accepts is exactly what RFC 7493
// (I-JSON, without the rules on numbers) accepts, within our caps.
func FuzzAgainstOracle(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[true,false,null,-1.5e+3,"\u00e9\ud83d\ude00"]}`, `{"a":1,"a":2}`, `[]`, `"\ud800"`, `1e5`, `-0`,
		`01`, "\xff", `{"a":{"b":{}}}`, ` [ 1 , 2 ] `, `{"":0}`, `"` + "\x7f" + `"`, `truex`, `{"a":1,"\u0061":2}`, "\ufeff1", `[1,]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		err := accepted(doc)
		var broken *Error
		if errors.As(err, &broken) && (broken.Code == CodeTooDeep || broken.Code == CodeTooManyFields) {
			return // our caps, which the oracle does not have
		}
		if oracle := jsontext.Value(doc).IsValid(); oracle != (err == nil) {
			t.Fatalf("%q: we say %v, the oracle says valid=%v", doc, err, oracle)
		}
	})
}

// FuzzText holds strings to the oracle's reading of them.
func FuzzText(f *testing.F) {
	f.Add(`"a\n\u0041\ud83d\ude00/\/"`)
	f.Fuzz(func(t *testing.T, doc string) {
		r := New(doc, 1)
		if r.Kind() != Text {
			return
		}
		got := r.Text(1 << 20)
		if r.End() != nil {
			return
		}
		want, err := jsontext.AppendUnquote(nil, strings.Trim(doc, " \t\r\n"))
		if err != nil || string(want) != got {
			t.Fatalf("%q: read %q, the oracle %q, %v", doc, got, want, err)
		}
	})
}

var benchChoice = `{"id":"01936f0e-2f4c-7cc3-98c8-9a3a2b1c0d4e","subject":{"device":"8d0f4c1a-0b52-4b8e-9f5e-3f0a4be1d2c3"},"surface":"banner","method":"custom",` +
	`"decisions":{"analytics":true,"ads":false},"wording":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","locale":"fr","page":"https://shop.example/p","prompt":"0b52c1a0-8e9f-4b8e-9f5e-3f0a4be1d2c3"}`

func BenchmarkChoice(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(benchChoice)))
	for b.Loop() {
		r := New(benchChoice, 4)
		if r.Object() {
			for r.Next() {
				switch r.Name() {
				case "subject", "decisions":
					for r.Object(); r.Next(); {
						r.Skip()
					}
				default:
					r.Text(100)
				}
			}
		}
		if r.End() != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkTenThousandSubjects(b *testing.B) {
	var doc strings.Builder
	doc.WriteString(`{"subjects":[`)
	for i := range 10_000 {
		if i > 0 {
			doc.WriteByte(',')
		}
		fmt.Fprintf(&doc, `{"email":"user%d@shop.example"}`, i)
	}
	doc.WriteString("]}")
	b.ReportAllocs()
	b.SetBytes(int64(doc.Len()))
	for b.Loop() {
		r := New(doc.String(), 4)
		r.Object()
		r.Next()
		n := 0
		for r.Array(); r.Next(); n++ {
			for r.Object(); r.Next(); {
				r.Text(100)
			}
		}
		r.Next()
		if r.End() != nil || n != 10_000 {
			b.Fatal(n, r.End())
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "subjects/s")
}
