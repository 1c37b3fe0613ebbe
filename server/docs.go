package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // openapi.yaml, docs.html, docs.css
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

//go:embed openapi.yaml
var openapiYAML []byte

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS string

// docPages are the documents that are the same for everybody: made once, at New.
type docPages struct {
	docs, openapi, verify page
	dossiers              *dossiers
}

// page is a document ready to be sent.
type page struct {
	mime, etag, csp string
	body            []byte
}

func newPage(mime, csp string, body []byte) page {
	sum := sha256.Sum256(body)
	return page{mime: mime, etag: `"` + hex.EncodeToString(sum[:8]) + `"`, csp: csp, body: body}
}

// build renders /docs from the OpenAPI document. The page runs no script and loads nothing; its one style
// sheet is inside it and allowed by its hash.
func (p *docPages) build(codes []Code) error {
	p.openapi = newPage("application/yaml", "default-src 'none'", openapiYAML)
	p.verify = verifyPage()
	var err error
	if p.dossiers, err = newDossiers(); err != nil {
		return err
	}
	book, err := readBook(openapiYAML, codes)
	if err != nil {
		return err
	}
	t, err := template.New("docs").Parse(docsHTML)
	if err != nil {
		return fmt.Errorf("parsing docs template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, book); err != nil {
		return fmt.Errorf("rendering docs: %w", err)
	}
	sum := sha256.Sum256([]byte(docsCSS))
	csp := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	p.docs = newPage("text/html; charset=utf-8", csp, b.Bytes())
	return nil
}

func (s *Server) docs(c *fiber.Ctx, _ *view) error {
	s.docPages.docs.send(c.Context())
	return nil
}

func (s *Server) openapi(c *fiber.Ctx, _ *view) error {
	s.docPages.openapi.send(c.Context())
	return nil
}

func (p *page) send(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderETag, p.etag)
	h.Set(fasthttp.HeaderCacheControl, "public, max-age=300")
	h.Set(fasthttp.HeaderContentSecurityPolicy, p.csp)
	h.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
	h.SetCanonical(headerNosniff, nosniff)
	if fresh(ctx, p.etag) {
		ctx.Response.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	h.SetContentType(p.mime)
	ctx.Response.SetBodyRaw(p.body)
}

// book is the OpenAPI document as the page shows it.
type book struct {
	Title, Summary string
	Description    prose
	CSS            template.CSS
	Chapters       []chapter
	Codes          []Code
}

// chapter is one tag with its operations.
type chapter struct {
	ID          string
	Description prose
	Operations  []operation
}

// operation is one method of one path.
type operation struct {
	ID, Method, Path, Summary string
	Description               prose
	Parameters                []parameter
	Requests, Replies         []message
}

// parameter is one parameter of a path or a query.
type parameter struct {
	Name, In    string
	Description prose
}

// message is a body that is sent, or an answer.
type message struct {
	Status      string
	Description prose
	Example     string
}

// prose is text as CommonMark has it, as far as the document uses it: paragraphs, and words in backticks.
type prose [][]span

// span is a run of words, or of code.
type span struct {
	Text string
	Code bool
}

func newProse(s string) (all prose) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		var spans []span
		for i, text := range strings.Split(paragraph, "`") {
			spans = append(spans, span{text, i%2 == 1})
		}
		all = append(all, spans)
	}
	return all
}

// readBook reads the document in its own order. It resolves the references the document uses and no others:
// to parameters and to responses.
func readBook(doc []byte, codes []Code) (*book, error) {
	var root yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(doc, &root, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("reading openapi.yaml: %w", err)
	}
	r := node{root}
	info := r.at("info")
	b := &book{Title: info.text("title"), Summary: info.text("summary"), Description: newProse(info.text("description")), CSS: template.CSS(docsCSS), Codes: codes}
	for _, tag := range r.list("tags") {
		b.Chapters = append(b.Chapters, chapter{ID: tag.text("name"), Description: newProse(tag.text("description"))})
	}
	for path, item := range r.at("paths").each {
		for method, op := range item.each {
			if method != "parameters" {
				o := readOperation(r, path, method, item, op)
				b.add(op, o)
			}
		}
	}
	return b, nil
}

// add puts an operation into the chapter of its first tag.
func (b *book) add(op node, o operation) {
	tags, _ := op.value("tags").([]any)
	for i := range b.Chapters {
		if len(tags) > 0 && b.Chapters[i].ID == tags[0] {
			b.Chapters[i].Operations = append(b.Chapters[i].Operations, o)
		}
	}
}

func readOperation(root node, path, method string, item, op node) operation {
	o := operation{ID: op.text("operationId"), Method: strings.ToUpper(method), Path: path, Summary: op.text("summary"), Description: newProse(op.text("description"))}
	for _, p := range append(item.list("parameters"), op.list("parameters")...) {
		p = root.resolve(p)
		o.Parameters = append(o.Parameters, parameter{p.text("name"), p.text("in"), newProse(p.text("description"))})
	}
	for mime, media := range op.at("requestBody").at("content").each {
		for _, e := range examples(media) {
			e.Status = mime
			o.Requests = append(o.Requests, e)
		}
	}
	for status, res := range op.at("responses").each {
		res = root.resolve(res)
		m := message{Status: status, Description: newProse(res.text("description"))}
		for _, media := range res.at("content").each {
			if all := examples(media); m.Example == "" && len(all) > 0 {
				m.Example = all[0].Example
			}
		}
		o.Replies = append(o.Replies, m)
	}
	return o
}

func examples(media node) (all []message) {
	if v := media.value("example"); v != nil {
		return []message{{Example: indented(v)}}
	}
	for _, e := range media.at("examples").each {
		all = append(all, message{Description: newProse(e.text("summary")), Example: indented(e.value("value"))})
	}
	return all
}

// node is a mapping of the document.
type node struct{ m yaml.MapSlice }

func (n node) value(key string) any {
	for _, item := range n.m {
		if item.Key == key {
			return item.Value
		}
	}
	return nil
}

func (n node) at(key string) node {
	m, _ := n.value(key).(yaml.MapSlice)
	return node{m}
}

func (n node) text(key string) string {
	s, _ := n.value(key).(string)
	return strings.TrimSpace(s)
}

func (n node) list(key string) (all []node) {
	items, _ := n.value(key).([]any)
	for _, item := range items {
		if m, ok := item.(yaml.MapSlice); ok {
			all = append(all, node{m})
		}
	}
	return all
}

// each walks the mappings in n.
func (n node) each(yield func(string, node) bool) {
	for _, item := range n.m {
		m, _ := item.Value.(yaml.MapSlice)
		if !yield(fmt.Sprint(item.Key), node{m}) {
			return
		}
	}
}

// resolve follows a $ref of the form #/components/kind/name.
func (n node) resolve(v node) node {
	ref, ok := v.value("$ref").(string)
	if !ok {
		return v
	}
	at := n
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.at(step)
	}
	return at
}

// indented writes an example as JSON, its members in the order of the document.
func indented(v any) string {
	var b bytes.Buffer
	if err := json.Indent(&b, appendOrdered(nil, v), "", "  "); err != nil {
		return err.Error() // openapi.yaml is ours; a test reads every example
	}
	return b.String()
}

func appendOrdered(b []byte, v any) []byte {
	switch v := v.(type) {
	case yaml.MapSlice:
		b = append(b, '{')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(strconv.AppendQuote(b, fmt.Sprint(item.Key)), ':')
			b = appendOrdered(b, item.Value)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendOrdered(b, item)
		}
		return append(b, ']')
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, raw...)
}
