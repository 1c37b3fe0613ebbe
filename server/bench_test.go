package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// The handlers are measured alone, without sockets: what they cost beside Fiber's own way to a handler
// (BenchmarkBare…) is what this package is responsible for. `make bench` measures the whole.

func call(h fasthttp.RequestHandler, ctx *fasthttp.RequestCtx) {
	ctx.Response.Reset()
	h(ctx)
}

func newCtx(method, uri, body string, header ...string) *fasthttp.RequestCtx {
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&ctx.Request, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}, nil)
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(uri)
	ctx.Request.Header.SetHost("shop.example")
	ctx.Request.SetBodyString(body)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		ctx.Request.Header.Set(name, value)
	}
	return ctx
}

func BenchmarkBareGet(b *testing.B) {
	app := fiber.New()
	app.Get("/v1/sites/:site/lookup", func(c *fiber.Ctx) error { return c.SendStatus(204) })
	h, ctx := app.Handler(), newCtx("GET", "/v1/sites/demo/lookup?device=8d0f4c1a-0b52-4b8e-9f5e-3f0a4be1d2c3&purpose=analytics", "")
	b.ReportAllocs()
	for b.Loop() {
		call(h, ctx)
	}
}

func BenchmarkLookup(b *testing.B) {
	k := prepareServer(b)
	device := uuid.NewString()
	ctx := newCtx("POST", "/v1/sites/demo/consents", k.choice(set("subject", map[string]any{"device": device})), asJSON, ofShop)
	if call(k.serve, ctx); ctx.Response.StatusCode() != 201 {
		b.Fatal(ctx.Response.String())
	}
	for _, query := range []string{"&purpose=analytics", ""} {
		b.Run("query"+query, func(b *testing.B) {
			ctx := newCtx("GET", "/v1/sites/demo/lookup?device="+device+query, "", k.bearer("lookup"))
			b.ReportAllocs()
			for b.Loop() {
				call(k.serve, ctx)
			}
			if ctx.Response.StatusCode() != 200 {
				b.Fatal(ctx.Response.String())
			}
		})
	}
}

// BenchmarkRecord records with fsync, from many goroutines at once: what waits together syncs together.
func BenchmarkRecord(b *testing.B) {
	k := prepareServer(b)
	body := k.choice()
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		mine := []byte(body)
		at, who := bytes.Index(mine, []byte(`"id":"`))+len(`"id":"`), bytes.Index(mine, []byte(`"device":"`))+len(`"device":"`)
		ctx := newCtx("POST", "/v1/sites/demo/consents", body, asJSON, ofShop, "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		for pb.Next() {
			copy(mine[at:], uuid.Must(uuid.NewV7()).String())
			copy(mine[who:], uuid.NewString())
			ctx.Request.SetBodyRaw(mine)
			if call(k.serve, ctx); ctx.Response.StatusCode() != 201 {
				b.Fatal(ctx.Response.String())
			}
		}
	})
}

// BenchmarkRefuse is the record path up to the ledger: a choice that is admitted in everything but one thing.
func BenchmarkRefuse(b *testing.B) {
	k := prepareServer(b)
	ctx := newCtx("POST", "/v1/sites/demo/consents", k.choice(set("locale", "en")), asJSON, ofShop)
	b.ReportAllocs()
	for b.Loop() {
		call(k.serve, ctx)
	}
}

func BenchmarkBatch(b *testing.B) {
	k := prepareServer(b)
	for _, n := range []int{100, 1000, 10_000} {
		subjects := make([]map[string]string, n)
		for i := range subjects {
			subjects[i] = map[string]string{"email": fmt.Sprintf("user%d@shop.example", i)}
		}
		doc, err := json.Marshal(map[string]any{"purposes": []string{"analytics"}, "subjects": subjects})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ctx := newCtx("POST", "/v1/sites/demo/lookup", string(doc), asJSON, k.bearer("lookup"))
			b.ReportAllocs()
			for b.Loop() {
				call(k.serve, ctx)
			}
			if ctx.Response.StatusCode() != 200 {
				b.Fatal(ctx.Response.String())
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "subjects/s")
		})
	}
}

// BenchmarkReach asks by channel and use: one subject in a URL, and a batch.
func BenchmarkReach(b *testing.B) {
	k := prepareServer(b)
	st, _ := k.sites.Get("crm")
	var subjects []map[string]string
	for i := range 1000 {
		email := fmt.Sprintf("user%d@crm.example", i)
		k.say(email, said{yes: []string{"letter", "offers"}, no: []string{"opens"}})
		subjects = append(subjects, map[string]string{"email": email})
	}
	who, _ := consent.ParseSubject(consent.KindEmail, "user7@crm.example", "")
	doc, err := json.Marshal(map[string]any{"channel": "email", "use": []string{"send", "track_open"}, "subjects": subjects})
	if err != nil {
		b.Fatal(err)
	}
	for name, ctx := range map[string]*fasthttp.RequestCtx{
		"one":  newCtx("GET", "/v1/sites/crm/lookup?channel=email&use=send&use=track_open&key="+st.Keyer.Key(who).String(), "", k.bearerFor("crm", "lookup")),
		"1000": newCtx("POST", "/v1/sites/crm/lookup", string(doc), asJSON, k.bearerFor("crm", "lookup")),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call(k.serve, ctx)
			}
			if ctx.Response.StatusCode() != 200 || !bytes.Contains(ctx.Response.Body(), []byte(`"stopped_by":["opens"]`)) {
				b.Fatal(ctx.Response.String())
			}
		})
	}
}

// BenchmarkContacts reports 10,000 contacts of as many people, now and at as many moments.
func BenchmarkContacts(b *testing.B) {
	k := prepareServer(b)
	const n = 10_000
	for i := range n {
		k.say(fmt.Sprintf("user%d@crm.example", i), said{yes: []string{"letter"}})
	}
	token := k.bearerFor("crm", "record")
	for _, moments := range []int{1, n} {
		b.Run(fmt.Sprintf("moments=%d", moments), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				k.clock.advance(time.Hour)
				items := make([]map[string]any, n)
				for i := range items {
					items[i] = map[string]any{"subject": map[string]string{"email": fmt.Sprintf("user%d@crm.example", i)},
						"at": consent.ToMillis(k.clock.now().Add(-time.Duration(i%moments) * time.Millisecond)).String()}
				}
				doc, err := json.Marshal(map[string]any{"contacts": items})
				if err != nil {
					b.Fatal(err)
				}
				ctx := newCtx("POST", "/v1/sites/crm/contacts", string(doc), asJSON, token)
				b.StartTimer()
				if call(k.serve, ctx); ctx.Response.StatusCode() != 200 {
					b.Fatal(ctx.Response.String())
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "contacts/s")
		})
	}
}

// BenchmarkConnection compares a lookup with a bare answer over an in-memory connection: parsing and writing
// HTTP included.
func BenchmarkConnection(b *testing.B) {
	k := prepareServer(b)
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/v1/sites/:site/lookup", func(c *fiber.Ctx) error { return c.SendStatus(204) })
	request := "GET /v1/sites/demo/lookup?device=8d0f4c1a-0b52-4b8e-9f5e-3f0a4be1d2c3&purpose=analytics HTTP/1.1\r\nHost: a\r\n" + k.bearer("lookup") + "\r\n\r\n"
	for name, serve := range map[string]func(net.Listener) error{"bare": app.Listener, "lookup": k.Serve} {
		b.Run(name, func(b *testing.B) {
			ln := fasthttputil.NewInmemoryListener()
			go serve(ln)
			conn, err := ln.Dial()
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			var res fasthttp.Response
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write([]byte(request)); err != nil {
					b.Fatal(err)
				}
				if err := res.Read(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
