package server

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every word the pages ask for is there, in every language of a site: none is left blank on somebody's screen.
func TestEveryWordOfThePagesIsThere(t *testing.T) {
	k := prepareServer(t)
	st, _ := k.sites.Get("atelier")
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "pages/pages.html")
	asked := map[string]bool{}
	pattern := regexp.MustCompile(`"((?:form|confirm|centre|unsubscribe|page)\.[a-z_]+)"`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			asked[m[1]] = true
		}
	}
	for _, failure := range []string{"page.link", "page.not_found", "page.later", "page.refused"} {
		asked[failure+"_title"] = true
	}
	for _, state := range []string{"granted", "denied", "withdrawn", "pending", "superseded", "expired", "objection", "unknown"} {
		asked["centre.status_"+state] = true
	}
	for _, channel := range []string{"web", "email", "sms", "phone", "post", "push"} {
		asked["centre.channel_"+channel] = true
	}
	for _, kind := range []string{"email", "phone"} {
		asked["form.error_"+kind] = true
	}
	if len(asked) < 50 {
		t.Fatalf("only %d words are asked for: %v", len(asked), asked)
	}
	for key := range asked {
		if strings.HasSuffix(key, "_") { // completed when it is asked for, see above
			continue
		}
		for _, locale := range st.Locales {
			if st.Words.Of(locale, key) == "" {
				t.Errorf("no %s in %s", key, locale)
			}
		}
	}
}
