package widget_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

var chromium = sync.OnceValues(func() (*widgettest.Browser, error) { return widgettest.Start() })

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := chromium(); err == nil {
		b.Close()
	}
	os.Exit(code)
}

func newTab(t testing.TB) *widgettest.Tab {
	t.Helper()
	b, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	return b.Tab(t)
}

// stand is a website that includes the widget, and the edge it talks to, on two hosts. Both note what they are
// asked.
type stand struct {
	site, edge *httptest.Server
	wordings   []*consent.Published

	mu         sync.Mutex
	bundle     *widget.Bundle
	prompts    []post
	consents   []post
	docs       []string          // wordings made in the page
	reply      string            // what a consent is answered with
	identified []string          // token and device of each call of identify
	accounts   map[string]string // what identify is answered with, by token
	sent       []url.Values      // forms the page has sent to the website
	fetched    []string          // paths of scripts asked of the website
	page       page
	refuse     func(w http.ResponseWriter, p post) bool // answers in place of the edge, when set
}

// page is what the website serves at every path but those of scripts.
type page struct {
	lang, head, body string
	policy           string // Content-Security-Policy; EDGE becomes the edge's address
}

// post is the body of a consent or of a prompt.
type post struct {
	ID        string                                        `json:"id"`
	Subject   struct{ Device, Email, Phone, Person string } `json:"subject"`
	Surface   string                                        `json:"surface"`
	Method    string                                        `json:"method"`
	Decisions map[string]bool                               `json:"decisions"`
	Wording   string                                        `json:"wording"`
	Locale    string                                        `json:"locale"`
	Page      string                                        `json:"page"`
	Prompt    string                                        `json:"prompt"`
	Device    string                                        `json:"device"`
	Trap      *string                                       `json:"trap"`
	Took      *int                                          `json:"took"`
	Type      string                                        `json:"-"` // content type
}

func newStand(t testing.TB, in widget.Input, p page) *stand {
	t.Helper()
	s := &stand{wordings: in.Wordings, bundle: build(t, in), page: p, reply: "{}"}
	s.edge = httptest.NewServer(http.HandlerFunc(s.serveEdge))
	s.site = httptest.NewServer(http.HandlerFunc(s.serveSite))
	t.Cleanup(s.edge.Close)
	t.Cleanup(s.site.Close)
	return s
}

func (s *stand) serveSite(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p := s.page
	if r.Method == http.MethodPost && r.ParseForm() == nil {
		s.sent = append(s.sent, r.PostForm)
	}
	if strings.HasSuffix(r.URL.Path, ".js") {
		s.fetched = append(s.fetched, r.URL.Path)
	}
	s.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, ".js") {
		w.Header().Set("Content-Type", "text/javascript")
		if r.URL.Path == "/slow.js" {
			s.awaitScript("/fast.js") // which must not overtake it
		}
		fmt.Fprintf(w, "(window.ran ||= []).push(%q)", r.URL.Path)
		return
	}
	if p.policy != "" {
		w.Header().Set("Content-Security-Policy", strings.ReplaceAll(p.policy, "EDGE", s.edge.URL))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	lang := p.lang
	if lang == "" {
		lang = "en"
	}
	fmt.Fprintf(w, `<!doctype html><html lang="%s"><head><meta name="viewport" content="width=device-width"><title>Maison Alba</title><link rel="icon" href="data:,">
%s<script src="%s/s/shop.js" nonce="x" defer></script></head><body>%s</body></html>`, lang, p.head, s.edge.URL, p.body)
}

func (s *stand) serveEdge(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", s.site.URL)
	w.Header().Set("Access-Control-Expose-Headers", "Date")
	switch r.Method + " " + r.URL.Path {
	case "GET /s/shop.js":
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Content-Encoding", "br")
		w.Header().Set("ETag", s.bundle.ETag)
		w.Write(s.bundle.Brotli)
	case "POST /v1/sites/shop/prompts":
		if p, ok := s.receive(w, r); ok {
			if !s.knows(p) {
				http.Error(w, `{"code":"unknown_wording"}`, http.StatusUnprocessableEntity)
				return
			}
			s.note(&s.prompts, p)
			w.WriteHeader(http.StatusNoContent)
		}
	case "POST /v1/sites/shop/consents":
		if p, ok := s.receive(w, r); ok {
			if !s.knows(p) {
				http.Error(w, `{"code":"unknown_wording"}`, http.StatusUnprocessableEntity)
				return
			}
			s.noteOnce(&s.consents, p)
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, s.reply)
		}
	case "POST /v1/sites/shop/identify":
		s.identify(w, r)
	case "POST /v1/sites/shop/wordings":
		s.takeWording(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *stand) receive(w http.ResponseWriter, r *http.Request) (post, bool) {
	p := post{Type: r.Header.Get("Content-Type")}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return p, false
	}
	return p, !s.asks(w, p)
}

// asks lets the test answer in place of the edge; true when it has.
func (s *stand) asks(w http.ResponseWriter, p post) bool {
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	return refuse != nil && refuse(w, p)
}

func (s *stand) note(list *[]post, p post) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, p)
}

// noteOnce is note for what carries its own id: the same again is answered as before, and not counted.
func (s *stand) noteOnce(list *[]post, p post) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(*list, func(o post) bool { return o.ID == p.ID }) {
		*list = append(*list, p)
	}
}

// got waits until the edge has n posts of a kind, and gives them.
func got(t testing.TB, s *stand, list *[]post, n int) []post {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		s.mu.Lock()
		all := slices.Clone(*list)
		s.mu.Unlock()
		if len(all) >= n {
			if len(all) > n {
				t.Fatalf("%d posts arrived, want %d: %+v", len(all), n, all)
			}
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d posts arrived, want %d", len(all), n)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// awaitScript waits until a script was asked for: both are then on their way at the same time.
func (s *stand) awaitScript(path string) {
	for deadline := time.Now().Add(time.Minute); !slices.Contains(s.scripts(), path) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

func (s *stand) scripts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fetched)
}

func (s *stand) set(change func(*stand)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// hash is the published hash of a surface's wording.
func (s *stand) hash(surface, locale string) string {
	i := slices.IndexFunc(s.wordings, func(w *consent.Published) bool { return w.Surface == surface && w.Locale == locale })
	return s.wordings[i].Hash.String()
}

// hangUp is a network that is down: the connection closes without a word.
func hangUp(http.ResponseWriter, post) bool { panic(http.ErrAbortHandler) }

func version(t testing.TB, id string) uuid.Version {
	t.Helper()
	u, err := uuid.Parse(id)
	if err != nil || u.Variant() != uuid.RFC4122 || u.String() != id {
		t.Fatalf("%q is no UUID in its canonical form: %v", id, err)
	}
	return u.Version()
}

// quiet fails the test when the page saw an exception, or anything on the console.
func quiet(t testing.TB, tab *widgettest.Tab) {
	t.Helper()
	if all := tab.Messages(); len(all) > 0 {
		t.Errorf("the page is not quiet:\n%s", strings.Join(all, "\n"))
	}
}
