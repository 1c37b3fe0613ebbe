// Package widget builds the one script a website includes: banner, preferences, stored choice, gating of
// scripts, with the site's texts and theme inlined.
//
// It guarantees that equal input gives equal bytes, that what the script shows is what the wording hashes it
// carries stand for, and that no text of a configuration ever becomes markup, style or code. It serves nothing
// and keeps nothing but recent bundles in memory.
//
// # Files
//
//	widget.go    Build: Input in, Bundle out
//	data.go      what a site's bundle carries, taken from its published wordings
//	form.go      … and its forms
//	literal.go   … written as JavaScript
//	theme.go     Theme: layout, colours, corners; checked, and written as custom properties
//	options.go   Options: everything a script may do besides asking
//	migration.go … among it, reading what another tool left behind
//	features.go  which of it a site uses: the rest is not in its script
//	contrast.go  the contrast of two colours (WCAG 2.2)
//	source.go    the TypeScript of src, embedded, and the two modules written for each site
//	encode.go    brotli, gzip, hash, ETag and SRI of a finished script
//	types.go     Declarations: consentd.d.ts
//	snippet.go   Snippet: what a page carries
//	cache.go     Cache: one build for each version of a site
//	src/         the TypeScript; src/lib has one export in each file
//	measure/     what a script draws, measured in a Chromium: sizes, and whether refusing looks like accepting
//	widgettest/  a real Chromium for tests, here and in other packages
//
// # On the page
//
//	<script src="{edge}/s/{site}.js" defer></script>
//	<script type="text/plain" data-consent="analytics" data-src="https://…/tag.js"></script>
//	<button data-consentd="open">Cookies</button> <button data-consentd="withdraw">Refuse all cookies</button>
//	<div data-consentd-form="newsletter"><a href="{edge}/f/{site}/newsletter">Sign up</a></div>
//	<form data-consentd-form="contact"> … <input type="checkbox" data-purpose="newsletter"> … </form>
//
// A held script may name several purposes, all needed, and be inline; data-type="module" makes a module of it.
// Under a policy with nonces it carries the page's nonce, as every script does. A page that lists its Trusted
// Types policies lists "consentd". The API is window.consentd (consentd.d.ts); a choice is told by the event
// consentd:change on document. It is kept under consentd_{site}, as src/lib/encodeChoice.ts says.
//
// Taking back is as easy as giving (GDPR art. 7(3)): accepting takes one press on a banner that comes by itself, so a
// page offers taking back in one press too. Either it has the small button of Options.Reopen, beside which stands
// refusing everything while something is agreed to; or, beside its link to the preferences, an element with
// data-consentd="withdraw".
//
// Markup of tools a site comes from is understood where Options.Migrations names them; pages of tarteaucitron begin
// with the line that Snippet gives them. data-category="!x" runs on every page while x is refused.
//
// A div for a form of ours is filled with it; what stands in it is for pages without scripts. A form the page draws
// itself keeps its looks, its handlers and its address: boxes carry data-purpose, the e-mail or phone field is found
// by its type or by data-consentd-field="email", and the ids of the proofs come back in the hidden field
// consentd_proof. What the form says is read where it stands, so that it is on record word for word; what speaks of
// the visitor ("Hello Camille") is marked data-consentd-ignore. A box needs words, and to be empty at first. Labels
// and values of all other fields are left alone. It is recorded when it is sent, by the browser or by a program that
// makes a FormData of it, and not when the page refuses it; a program that reads field by field, or calls submit()
// when no button was pressed, says consentd.submitted(form). One that makes a FormData before it decides has the
// attribute data-consentd-wait, and is recorded by that call alone. What came of a form is told by the event
// consentd:form.
//
// # What the bundle asks of its server
//
//   - It is served at {edge}/s/{site}.js: the script finds {edge}/v1/sites/{site}/ from its own address. The
//     content type says charset=utf-8: the script carries its texts unescaped.
//   - POST …/prompts and …/consents take JSON as text/plain;charset=UTF-8, without credentials, and answer with
//     Access-Control-Allow-Origin; …/consents exposes the header Date, which the script needs to date its id
//     again after the problem id_in_future.
//   - {edge}/v1/sites/{site}/wordings takes the wording of a page's own form, a canonical document, before a consent
//     under it, and the same again any time. Until it has one, prompts and consents under it are answered 422.
//   - A consent may arrive twice with one id, now or weeks later: the second answer is a 2xx.
//   - 408, 429 and 5xx mean "later"; any other 4xx means "never", and the script forgets the post.
//
// # Why esbuild and brotli here
//
// esbuild's Go API bundles TypeScript inside this process in some 10 ms: a site's script is rebuilt when its
// configuration changes, with no Node on the server. andybalholm/brotli is the encoder in Go that has
// quality 11; klauspost/compress makes smaller gzip than the standard library.
package widget

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/consentd/consentd/storage/consent"
)

// ErrBuild means that esbuild refused the sources: a bug of this package, never of a configuration.
var ErrBuild = errors.New("widget: the sources do not build")

// Input is what a bundle is made of.
type Input struct {
	Site *consent.Site
	// Wordings are the current published wordings of Site, as Site.Wordings gives them: the texts shown are
	// taken from here, so that each hash stands for what is shown.
	Wordings []*consent.Published
	Theme    Theme
	Options  Options
	// Locales are those of Site.Locales this script shall speak, the fallback first; empty means all of them, in
	// the site's order. A script of fewer locales differs in nothing else: a choice made with one holds with
	// another. One whose Brotli is longer than Budget is better split, one locale a script.
	Locales []string
}

// Budget is how long a script may be, in bytes of brotli: about where a second request costs less than more bytes
// in the first, and what the project promises (DESIGN §11).
const Budget = 8 << 10

// locales are those the script speaks.
func (in Input) locales() []string {
	if len(in.Locales) > 0 {
		return in.Locales
	}
	return in.Site.Locales
}

// Bundle is one finished script.
type Bundle struct {
	JS     []byte // UTF-8
	Brotli []byte // Content-Encoding: br; see Budget
	Gzip   []byte // Content-Encoding: gzip

	Hash      string // first 16 hex digits of SHA-256(JS), for {site}.{hash}.js
	ETag      string // weak, with its quotes: it stands for all three encodings
	Integrity string // sha384-…, for the integrity attribute
	Metafile  string // esbuild's account of what is in JS, as JSON
}

// Build makes the script of a site. It refuses input that does not fit together (ErrWordings, ErrOptions), links
// that are none (ErrLink) and themes that are none (ErrTheme); each error names the spot.
func Build(in Input) (*Bundle, error) {
	parts, err := prepare(in)
	if err != nil {
		return nil, err
	}
	return parts.build()
}

// parts is what differs between sites: equal parts give equal bundles.
type parts struct {
	data     []byte // the module consentd:site
	theme    string // CSS of the custom properties
	place    string // CSS: where the banner and the button stand
	features features
}

func prepare(in Input) (parts, error) {
	if err := in.Options.check(in.Site); err != nil {
		return parts{}, fmt.Errorf("bundling site %s: %w", in.Site.ID, err)
	}
	data, err := encodeSite(in)
	if err != nil {
		return parts{}, fmt.Errorf("bundling site %s: %w", in.Site.ID, err)
	}
	theme, err := in.Theme.css()
	if err != nil {
		return parts{}, fmt.Errorf("bundling site %s: %w", in.Site.ID, err)
	}
	return parts{data: data, theme: theme, place: in.Theme.place() + in.Options.Reopen.place(), features: featuresOf(in)}, nil
}

func (p parts) build() (*Bundle, error) {
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{entryPoint},
		Plugins:           []api.Plugin{sources(p)},
		Bundle:            true,
		Outfile:           "widget.js",
		Format:            api.FormatIIFE,
		Platform:          api.PlatformBrowser,
		Target:            api.ES2021, // what has constructable style sheets has this
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone,
		LogLevel:          api.LogLevelSilent,
		Metafile:          true,
		MangleProps:       innerNames,
		Banner:            map[string]string{"js": eager},
		Define:            p.features.define(),
		TsconfigRaw:       `{"compilerOptions":{"verbatimModuleSyntax":true}}`,
	})
	if len(result.Errors) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrBuild, result.Errors[0].Text)
	}
	js := markup.ReplaceAll(result.OutputFiles[0].Contents, []byte(`\x3C$1`))
	return finish(js, result.Metafile)
}

// eager asks browsers to compile every function while the script is still coming in, beside the page's own work, rather
// than each at its first call, in its way (Chromium 136, "explicit JavaScript compile hints"; elsewhere a comment). It
// takes a quarter off the time the script costs a first visit.
const eager = "//# allFunctionsCalledOnLoad"

// innerNames are the properties no page, no server and no browser ever sees: the script calls them otherwise.
// What TypeScript shares with the DOM or the wire (text, title, id, name, decisions …) is not among them.
const innerNames = `^(accept|allowed|always|asked|attribute|back|banner|bases|choice|choose|clear|continue|controller|cookies|` +
	`embeds|flush|front|google|hashes|host|keep|leave|lifetimes|locales|necessary|once|policy|preferences|print|provider|` +
	`purposes|refuse|reopen|root|rtl|save|services|showBanner|showPreferences|undo|` +
	// of forms
	`basis|change_address|displayed|doc|error_missing|error_none|error_one_field|error_title|fail|fault|fields|forms|` +
	`mailbox_title|objection|optin|optional|proofs|record|redirect|refused|retry|revision|seen|sending|sent|thanks|thanks_title|` +
	`waiting|words|yours)$`

// markup is what changes how HTML reads an inline script (HTML, "restrictions for contents of script
// elements"), besides the end tag, which esbuild escapes. It only ever stands in strings: the code has none.
var markup = regexp.MustCompile(`(?i)<(!--|script)`)
