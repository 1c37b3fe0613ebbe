package server

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// contract holds answers to the OpenAPI document.
type contract struct {
	doc    *openapi3.T
	router routers.Router
}

func loadContract(t testing.TB) *contract {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Fatal(err)
	}
	for mime, decode := range map[string]openapi3filter.BodyDecoder{
		"text/javascript": openapi3filter.RegisteredBodyDecoder("text/plain"), "text/html": openapi3filter.RegisteredBodyDecoder("text/plain"),
		"application/jwt": openapi3filter.RegisteredBodyDecoder("text/plain"), "image/png": openapi3filter.RegisteredBodyDecoder("application/octet-stream"),
		"application/jwk-set+json": openapi3filter.RegisteredBodyDecoder("application/json"),
		"application/yaml":         openapi3filter.RegisteredBodyDecoder("text/plain"),
	} {
		openapi3filter.RegisterBodyDecoder(mime, decode)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &contract{doc, router}
}

// check fails when r is not what the document says of this request.
func (c *contract) check(t testing.TB, method, path string, r reply) {
	t.Helper()
	if err := c.validate(t, method, path, r); err != nil {
		t.Fatalf("%s %s answered %d %s: %v", method, path, r.status, r.body, err)
	}
}

// checkKnown checks answers of documented operations; those made below the router (405, 408, 431) belong to none.
func (c *contract) checkKnown(t testing.TB, method, path string, r reply) {
	t.Helper()
	u, err := url.Parse(path)
	if err != nil || r.status == 405 || r.status == 408 || r.status == 431 {
		return
	}
	if _, _, err := c.router.FindRoute(&http.Request{Method: method, URL: &url.URL{Path: u.Path}}); err == nil {
		c.check(t, method, path, r)
	}
}

func (c *contract) validate(t testing.TB, method, path string, r reply) error {
	t.Helper()
	u, err := url.Parse("http://127.0.0.1" + path)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: method, URL: u, Header: http.Header{}}
	route, params, err := c.router.FindRoute(&http.Request{Method: method, URL: &url.URL{Path: u.Path}})
	if err != nil {
		return err
	}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route}
	return openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: r.status,
		Header: r.header, Body: io.NopCloser(strings.NewReader(r.body)), Options: &openapi3filter.Options{IncludeResponseStatus: true}})
}

func TestTheDocumentNamesEveryRouteAndEveryCode(t *testing.T) {
	c := loadContract(t)
	var documented, served []string
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	replacer := strings.NewReplacer(":site", "{site}", ":device", "{device}", ":hash", "{hash}", ":file", "{file}", ":id", "{id}", ":form", "{form}", ":token", "{token}", "*", "{path}")
	for _, r := range prepareServer(t).routes() {
		served = append(served, r.method+" "+replacer.Replace(r.path))
	}
	slices.Sort(documented)
	slices.Sort(served)
	if !slices.Equal(documented, served) {
		t.Fatalf("documented\n%s\nserved\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
	var enum, codes []string
	for _, v := range c.doc.Components.Schemas["Code"].Value.Enum {
		enum = append(enum, v.(string))
	}
	for _, code := range Codes() {
		if !slices.Contains(codes, code.Name) {
			codes = append(codes, code.Name)
		}
	}
	slices.Sort(enum)
	slices.Sort(codes)
	if !slices.Equal(enum, codes) {
		t.Fatalf("documented\n%s\nraised\n%s", strings.Join(enum, "\n"), strings.Join(codes, "\n"))
	}
}

// The validator must be able to say no: an answer that is not as documented is noticed.
func TestTheContractNoticesAWrongAnswer(t *testing.T) {
	c := loadContract(t)
	header := http.Header{"Content-Type": {"application/json"}}
	good := `{"as_of":"2026-11-21T20:06:00.412Z","decisions":{"a":{"status":"unknown","allowed":false,"grade":"none","reason":"never_asked"}}}`
	path := "/v1/sites/demo/lookup"
	if err := c.validate(t, "GET", path, reply{status: 200, header: header, body: good}); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"a member more":                  strings.Replace(good, `"as_of"`, `"x":1,"as_of"`, 1),
		"a member missing":               strings.Replace(good, `"allowed":false,`, "", 1),
		"an unknown status":              strings.Replace(good, `"unknown"`, `"perhaps"`, 1),
		"a time without milliseconds":    strings.Replace(good, ".412Z", "Z", 1),
		"a time without its proof":       strings.Replace(good, `"never_asked"`, `"never_asked","since":"2026-11-21T20:06:00.412Z"`, 1),
		"no JSON":                        "hello",
		"a text where a boolean belongs": strings.Replace(good, `false`, `"false"`, 1),
	} {
		if c.validate(t, "GET", path, reply{status: 200, header: header, body: body}) == nil {
			t.Errorf("%s was not noticed: %s", name, body)
		}
	}
	if c.validate(t, "GET", path, reply{status: 418, header: header, body: good}) == nil {
		t.Error("an undocumented status was not noticed")
	}
}

func TestTheDocsPageRendersEveryOperation(t *testing.T) {
	k := start(t)
	c := loadContract(t)
	r := k.do("GET", "/docs", "")
	if r.status != 200 || r.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatal(r.status, r.header)
	}
	for _, item := range c.doc.Paths.Map() {
		for _, op := range item.Operations() {
			if !strings.Contains(r.body, `id="`+op.OperationID+`"`) || !strings.Contains(r.body, op.Summary[:4]) {
				t.Errorf("%s is missing", op.OperationID)
			}
		}
	}
	for _, code := range Codes() {
		if !strings.Contains(r.body, `<tr id="`+code.Name) {
			t.Errorf("%s is missing", code.Name)
		}
	}
	csp := r.header.Get("Content-Security-Policy")
	for _, bad := range []string{"<script", "http://", "src=", "ZgotmplZ", "unsafe"} {
		if strings.Contains(r.body+csp, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") {
		t.Error(csp)
	}
	if r := k.do("GET", "/docs", "", "If-None-Match: "+r.header.Get("Etag")); r.status != 304 || r.body != "" {
		t.Errorf("%d %d bytes", r.status, len(r.body))
	}
	if y := k.do("GET", "/openapi.yaml", ""); y.status != 200 || !bytes.Equal([]byte(y.body), openapiYAML) {
		t.Errorf("%d", y.status)
	}
}

// Fiber's own texts never reach a client.
func TestEveryErrorOfTheFrameworkIsAProblem(t *testing.T) {
	k := start(t)
	for name, tc := range map[string]struct {
		method, path string
		header       []string
		status       int
		code         string
	}{
		"no such path":              {"GET", "/nothing", nil, 404, "not_found"},
		"a slash too many":          {"GET", "/healthz/", nil, 404, "not_found"},
		"another letter case":       {"GET", "/Healthz", nil, 404, "not_found"},
		"a path outside the table":  {"POST", "/v1/sites/demo/erase", nil, 404, "not_found"},
		"no such site":              {"GET", "/v1/sites/nowhere/wordings/00", nil, 404, "unknown_site"},
		"a method not allowed":      {"DELETE", "/v1/sites/demo/consents", nil, 405, "method_not_allowed"},
		"a method nobody knows":     {"BREW", "/healthz", nil, 405, "method_not_allowed"},
		"GET where POST is":         {"GET", "/v1/sites/demo/consents", nil, 405, "method_not_allowed"},
		"a header without end":      {"GET", "/healthz", []string{"X-Long: " + strings.Repeat("x", 20<<10)}, 431, "header_too_large"},
		"a site named by traversal": {"GET", "/v1/sites/..%2fdemo/lookup", []string{k.bearer("lookup")}, 404, "unknown_site"},
	} {
		t.Run(name, func(t *testing.T) {
			r := k.do(tc.method, tc.path, "", tc.header...)
			if code, _ := r.problem(t); r.status != tc.status || code != tc.code {
				t.Fatal(r.status, r.body)
			}
		})
	}
	if r := k.do("PUT", "/v1/sites/demo/lookup", ""); r.header.Get("Allow") == "" {
		t.Error("405 without Allow")
	}
}
