package widget

import (
	"bytes"
	"embed"
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

//go:embed src
var sourceFS embed.FS

const (
	entryPoint = "src/main.ts"
	namespace  = "consentd"       // everything lives in it: nothing is read from the disk of the server
	siteModule = "consentd:site"  // see src/virtual.d.ts
	cssModule  = "consentd:style" // see src/virtual.d.ts
)

// sources lets esbuild read the embedded TypeScript and the two modules of p.
func sources(p parts) api.Plugin {
	return api.Plugin{Name: "consentd", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, resolve)
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: namespace}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			contents, loader, err := p.load(args.Path)
			return api.OnLoadResult{Contents: &contents, Loader: loader}, err
		})
	}}
}

func resolve(args api.OnResolveArgs) (api.OnResolveResult, error) {
	name := args.Path
	switch {
	case args.Kind == api.ResolveEntryPoint:
		name = entryPoint
	case strings.HasPrefix(name, "."):
		name = path.Join(path.Dir(args.Importer), name) + ".ts"
	}
	// No module does anything by being there: what nothing calls is left out.
	return api.OnResolveResult{Path: name, Namespace: namespace, SideEffects: sideEffects(name)}, nil
}

func sideEffects(name string) api.SideEffects {
	if name == entryPoint {
		return api.SideEffectsTrue
	}
	return api.SideEffectsFalse
}

func (p parts) load(name string) (string, api.Loader, error) {
	switch name {
	case siteModule:
		return string(p.data), api.LoaderJS, nil
	case cssModule:
		css, err := p.css()
		return css, api.LoaderJS, err
	}
	src, err := sourceFS.ReadFile(name)
	return string(src), api.LoaderTS, err
}

// css is the module of the two sheets: what a banner needs, with the site's colours, and what everything else needs
// besides, which most visitors never see.
func (p parts) css() (string, error) {
	theme := p.theme
	if p.features["OURS"] {
		theme = strings.ReplaceAll(theme, themed, themed+",form")
	}
	banner, more := p.features.sheets()
	sheets := make([]string, 2)
	var err error
	if sheets[0], err = p.sheet(theme, banner); err != nil {
		return "", err
	}
	if sheets[1], err = p.sheet("", more); err != nil {
		return "", err
	}
	var module bytes.Buffer
	module.WriteString("export default ")
	err = literal(&module, reflect.ValueOf(sheets))
	return module.String(), err
}

// sheet is all and the style sheets of those names, minified.
func (p parts) sheet(all string, names []string) (string, error) {
	for _, name := range names {
		if name == "narrow" {
			all += p.place
		}
		sheet, err := sourceFS.ReadFile("src/css/" + name + ".css")
		if err != nil {
			return "", err
		}
		all += string(sheet)
	}
	result := api.Transform(all, api.TransformOptions{
		Loader: api.LoaderCSS, MinifyWhitespace: true, MinifySyntax: true, Charset: api.CharsetASCII,
		Engines: []api.Engine{{Name: api.EngineChrome, Version: "100"}, {Name: api.EngineFirefox, Version: "101"}, {Name: api.EngineSafari, Version: "16.4"}},
	})
	if len(result.Errors) > 0 {
		return "", fmt.Errorf("%w: %s", ErrBuild, result.Errors[0].Text)
	}
	return strings.TrimSpace(string(result.Code)), nil
}
