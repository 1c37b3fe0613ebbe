package server

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// problem is an error a client is told about. Everything a handler returns becomes one in problemOf, the
// one map from errors to statuses and codes.
type problem struct {
	status int
	code   string
	detail string          // for a person; never repeats what the client sent but names and codes
	errors []admit.Refusal // validation: every mistake, with its pointer
	retry  int             // seconds, 0 none
	cause  error           // for the log; never sent
	site   *site.Site      // whose page it is told on; nil: nobody's
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.code + ": " + p.cause.Error()
	}
	return p.code + ": " + p.detail
}

func (p *problem) Unwrap() error { return p.cause }

func refuse(status int, code, detail string) error {
	return &problem{status: status, code: code, detail: detail}
}

// invalid makes one problem of all the refusals of a body. A single one lends it its code.
func invalid(refusals []admit.Refusal) error {
	p := &problem{status: 422, code: codeInvalid, errors: refusals, detail: strconv.Itoa(len(refusals)) + " mistakes, see errors"}
	if len(refusals) == 1 {
		p.code, p.detail = refusals[0].Code, refusals[0].Detail
	}
	return p
}

// later asks the client to come again in about after seconds; the jitter keeps those who were refused
// together from coming back together.
func later(code, detail string, after int, cause error) *problem {
	return &problem{status: 503, code: code, detail: detail, retry: after + rand.IntN(after+1), cause: cause}
}

// problemOf is the one map from errors to what the client is told.
func problemOf(err error) *problem {
	var p *problem
	var broken *wire.Error
	var fe *fiber.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &broken):
		return &problem{status: 400, code: broken.Code, detail: broken.Detail}
	case errors.As(err, &fe):
		return ofFiber(fe)
	case errors.Is(err, ledger.ErrConflict):
		return &problem{status: 409, code: codeIDConflict, detail: "make a new id for a new choice"}
	case errors.Is(err, ledger.ErrBusy):
		return later(codeBusy, "nothing was recorded; send the same id again", 1, err)
	case errors.Is(err, ledger.ErrSuspended):
		return later(codeSuspended, "nothing was recorded; lookups still work, and the admin address says what is wrong", 60, err)
	case errors.Is(err, ledger.ErrNoSpace):
		return later(codeDiskFull, "nothing was recorded; lookups still work", 30, err)
	case errors.Is(err, ledger.ErrClosed):
		return later(codeShuttingDown, "", 2, err)
	case errors.Is(err, token.ErrMissing):
		return &problem{status: 401, code: codeTokenMissing, detail: "Authorization: Bearer <token>; consentd token makes one"}
	case errors.Is(err, token.ErrExpired):
		return &problem{status: 401, code: codeTokenExpired}
	case errors.Is(err, token.ErrRevoked):
		return &problem{status: 401, code: codeTokenRevoked}
	case errors.Is(err, token.ErrInvalid):
		return &problem{status: 401, code: codeTokenInvalid}
	case errors.Is(err, token.ErrWrongSite):
		return &problem{status: 403, code: codeTokenWrongSite}
	case errors.Is(err, token.ErrWrongScope):
		return &problem{status: 403, code: codeTokenWrongScope}
	}
	return &problem{status: 500, code: codeInternal, detail: "it has been logged; sending the same proof id again is safe", cause: err}
}

func ofFiber(fe *fiber.Error) *problem {
	switch fe.Code {
	case fiber.StatusNotFound:
		return &problem{status: 404, code: codeNotFound, detail: "the routes are listed at /docs"}
	case fiber.StatusMethodNotAllowed:
		return &problem{status: 405, code: codeMethodNotAllowed}
	}
	return &problem{status: 500, code: codeInternal, cause: fe}
}

func tooLarge() *problem {
	return &problem{status: 413, code: codeBodyTooLarge, detail: "at most 16 KiB, for a lookup 4 MiB"}
}

// ofHTTP maps what fasthttp could not read.
func ofHTTP(err error) *problem {
	var small *fasthttp.ErrSmallBuffer
	var op *net.OpError
	switch {
	case errors.As(err, &small):
		return &problem{status: 431, code: codeHeaderTooLarge}
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return tooLarge()
	case errors.As(err, &op) && op.Timeout():
		return &problem{status: 408, code: codeRequestTimeout}
	}
	return &problem{status: 400, code: codeBadRequest}
}

// send writes the problem as application/problem+json (RFC 9457). title comes from the list of codes.
func (p *problem) send(ctx *fasthttp.RequestCtx, title string) {
	b := begin(ctx)
	b = append(b, `{"type":"/docs#`...)
	b = append(b, p.code...)
	b = append(b, `","title":`...)
	b = consent.AppendJSONString(b, title)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	b = append(b, `,"code":"`...)
	b = append(b, p.code...)
	b = append(b, '"')
	if p.detail != "" {
		b = append(b, `,"detail":`...)
		b = consent.AppendJSONString(b, p.detail)
	}
	if len(p.errors) > 0 {
		b = append(b, `,"errors":[`...)
		for i, e := range p.errors {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendRefusal(b, e)
		}
		b = append(b, ']')
	}
	finish(ctx, p.status, mimeProblem, append(b, '}'))
	p.header(&ctx.Response.Header)
}

func appendRefusal(b []byte, e admit.Refusal) []byte {
	b = append(b, `{"pointer":`...)
	b = consent.AppendJSONString(b, e.Pointer)
	b = append(b, `,"code":"`...)
	b = append(b, e.Code...)
	b = append(b, '"')
	if e.Detail != "" {
		b = append(b, `,"detail":`...)
		b = consent.AppendJSONString(b, e.Detail)
	}
	return append(b, '}')
}

func (p *problem) header(h *fasthttp.ResponseHeader) {
	if p.retry > 0 {
		h.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(p.retry))
	}
	switch p.code {
	case codeTokenMissing:
		h.Set(fasthttp.HeaderWWWAuthenticate, `Bearer realm="consentd"`) // RFC 6750 §3
	case codeTokenInvalid, codeTokenExpired, codeTokenRevoked:
		h.Set(fasthttp.HeaderWWWAuthenticate, `Bearer realm="consentd", error="invalid_token"`)
	case codeTokenWrongSite, codeTokenWrongScope:
		h.Set(fasthttp.HeaderWWWAuthenticate, `Bearer realm="consentd", error="insufficient_scope"`)
	case codeShuttingDown:
		h.SetConnectionClose()
	}
}
