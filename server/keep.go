package server

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/consentd/consentd/widget"
	"github.com/valyala/fasthttp"
)

// keptChoice is what the script keeps a choice as (widget/src/lib/encodeChoice.ts). Nothing else is ever set.
var keptChoice = regexp.MustCompile(`^1\.[0-9a-f-]{36}\.([0-9a-z]{7,9})\.[0-9a-f]{16}\.[0-9a-z]{4,64}(?:\.[a-z0-9_-]{1,40}:[01])*$`)

// keepOverHTTP sets the cookie of a choice again, as it came, for the rest of its time. A browser sends it here
// only when this server stands on the site's own domain; Safari forgets a cookie that a script has set after
// seven days, and keeps one that came so. The choice's own time counts: a visit prolongs nothing.
func (s *Server) keepOverHTTP(ctx *fasthttp.RequestCtx, v *view) {
	name := "consentd_" + v.site.ID
	value := string(ctx.Request.Header.Cookie(name))
	m := keptChoice.FindStringSubmatch(value)
	if m == nil || len(value) > 4000 { // what browsers keep of a cookie
		return
	}
	ms, err := strconv.ParseInt(m[1], 36, 64)
	keep := v.site.Keep
	if keep == 0 {
		keep = widget.DefaultKeep
	}
	left := time.UnixMilli(ms).Add(keep).Sub(ctx.Time())
	if err != nil || left <= 0 || left > keep+24*time.Hour {
		return
	}
	cookie := name + "=" + value + "; Path=/; Max-Age=" + strconv.Itoa(int(min(left, keep)/time.Second)) + "; SameSite=Lax"
	if d := v.site.Options.CookieDomain; d != "" {
		cookie += "; Domain=" + d
	}
	if strings.HasPrefix(text(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)), "https:") {
		cookie += "; Secure"
	}
	ctx.Response.Header.Add(fasthttp.HeaderSetCookie, cookie)
}
