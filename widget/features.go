package widget

import (
	"slices"

	"github.com/consentd/consentd/storage/consent"
)

// features says what a site uses. Each is a constant of the TypeScript (src/virtual.d.ts): esbuild drops what
// stands behind a false one, and the modules and rules that only it needs.
type features map[string]bool

func featuresOf(in Input) features {
	o := in.Options
	f := features{
		"MODAL":    in.Theme.Layout == LayoutModal,
		"BOX":      in.Theme.Layout == LayoutBox || in.Theme.Layout == LayoutModal,
		"BAR":      in.Theme.Layout == LayoutBar || in.Theme.Layout == "",
		"CONTINUE": in.Site.Banner.Continue != nil,
		"LOGO":     o.Logo != "",
		"REOPEN":   o.Reopen != ReopenNone,
		"DOMAIN":   o.CookieDomain != "",
		"GPC":      !o.IgnoreGPC && in.Site.HasBanner(),
		"RELOAD":   o.Reload,
		"GOOGLE":   o.Signals.ConsentMode != ConsentMode{},
		"UET":      o.Signals.UET != "",
		"CLARITY":  o.Signals.Clarity != Clarity{},
		"MATOMO":   o.Signals.Matomo != Matomo{},
		"LAYER":    o.Signals.DataLayer,
		"MIGRATE":  len(o.Migrations) > 0,
		"BASES":    in.Site.Banner.Bases != nil,
		"QUERY":    in.Site.KeepQuery,
		"RTL":      slices.ContainsFunc(in.locales(), rightToLeft),
		"BANNER":   in.Site.HasBanner(),
		"IDENTIFY": o.Identify,
		"RECEIPT":  o.Receipt && in.Site.HasBanner(),
	}
	f["YOURS"] = slices.ContainsFunc(in.Site.Forms, func(f consent.Form) bool { return f.Markup == consent.MarkupYours })
	f["OURS"] = slices.ContainsFunc(in.Site.Forms, func(f consent.Form) bool { return f.Markup != consent.MarkupYours })
	f["FORMS"] = f["YOURS"] || f["OURS"]
	f["SIGNALS"] = f["GOOGLE"] || f["UET"] || f["CLARITY"] || f["MATOMO"] || f["LAYER"]
	f["BARCONTINUE"] = f["BAR"] && f["CONTINUE"]
	for _, t := range tools {
		f[t.feature] = slices.ContainsFunc(o.Migrations, func(m Migration) bool { return m.From == t.from })
	}
	f["PLAYERS"] = slices.ContainsFunc(players, o.plays)
	for name, feature := range tags {
		f[feature] = o.plays(name)
	}
	for _, p := range in.Site.BannerPurposes() {
		f["SERVICES"] = f["SERVICES"] || len(p.Services) > 0
		f["EMBEDS"] = f["EMBEDS"] || slices.ContainsFunc(p.Services, func(v consent.Service) bool { return v.Embed })
		f["COOKIES"] = f["COOKIES"] || slices.ContainsFunc(p.Services, func(v consent.Service) bool { return len(v.Cookies) > 0 })
	}
	return f
}

func (f features) define() map[string]string {
	out := make(map[string]string, len(f))
	for name, on := range f {
		out["USES_"+name] = map[bool]string{true: "true", false: "false"}[on]
	}
	return out
}

// sheets are the style sheets of f, in their order: those of a banner, and those of everything else.
func (f features) sheets() (banner, more []string) {
	banner, more = []string{"core"}, []string{"preferences"}
	for _, s := range []struct {
		feature, name string
		of            *[]string
	}{
		{"BAR", "bar", &banner}, {"BOX", "box", &banner}, {"MODAL", "modal", &banner}, {"CONTINUE", "continue", &banner},
		{"BARCONTINUE", "continue-bar", &banner}, {"LOGO", "logo", &banner},
		{"SERVICES", "services", &more}, {"REOPEN", "reopen", &more}, {"RECEIPT", "receipt", &more}, {"EMBEDS", "embed", &more}, {"OURS", "form", &more},
	} {
		if f[s.feature] {
			*s.of = append(*s.of, s.name)
		}
	}
	return append(banner, "narrow"), append(more, "preferences-narrow")
}
