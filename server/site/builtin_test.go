package site

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
)

// unionLanguages lists the official languages of the European Union (regulation 1/1958 as amended).
func unionLanguages() []string {
	return []string{"bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hr", "hu", "it", "lt", "lv", "mt", "nl", "pl", "pt",
		"ro", "sk", "sl", "sv"}
}

// everyPurpose is a file that asks for all ready purposes in the locales given, with no words of its own.
func everyPurpose(locales []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "site: union\nname: Union\norigins: []\ncontroller: {name: Union Ltd, contact: privacy@union.example}\nlocales: [%s]\n"+
		"policy: /privacy\npurposes:\n", strings.Join(locales, ", "))
	for _, r := range readyPurposes() {
		fmt.Fprintf(&b, "  - {id: %s, ready: %[1]s}\n", r.name)
	}
	return b.String()
}

func TestASiteInEveryLanguageOfTheUnionNeedsNoWordsOfItsOwn(t *testing.T) {
	for _, tc := range []struct {
		name    string
		locales []string
		want    []string
	}{
		{"every language of the Union", unionLanguages(), nil},
		{"regions and scripts of them", []string{"fr-CA", "pt-BR", "de-AT", "nl-BE", "sv-FI", "el-CY", "en-IE", "ro-MD", "hr-BA", "es-419", "bg-Cyrl"}, nil},
		{"one language more", append(unionLanguages(), "is"), []string{"locales[24] locale_without_texts"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "union.yaml"), []byte(everyPurpose(tc.locales)), 0o600); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range Check(dir) {
				if !strings.HasPrefix(p.Key, "purposes") {
					got = append(got, p.Key+" "+p.Code)
				} else if tc.want == nil {
					t.Errorf("%s: %s", p.Key, p.Text)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARegionIsSpokenToInItsLanguage(t *testing.T) {
	for _, tc := range []struct{ locale, accept, audience string }{
		{"fr-CA", "Tout accepter", "Mesure d’audience"},
		{"pt-BR", "Aceitar tudo", "Medição de audiência"},
		{"de-AT", "Alle akzeptieren", "Reichweitenmessung"},
		{"bg-Cyrl-BG", "Приемане на всички", "Измерване на посещаемостта"},
	} {
		c, problems := parse("union.yaml", []byte(everyPurpose([]string{tc.locale})))
		if hasErrors(problems) {
			t.Fatalf("%s: %v", tc.locale, problems)
		}
		s, err := c.build("union.yaml", make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Banner.Accept[tc.locale]; got != tc.accept {
			t.Errorf("%s: accept is %q, want %q", tc.locale, got, tc.accept)
		}
		if got := s.Purposes[1].Title[tc.locale]; got != tc.audience {
			t.Errorf("%s: audience is %q, want %q", tc.locale, got, tc.audience)
		}
	}
}

// flat gives every text of a phrasebook but the lengths of time, by key.
func (b phrasebook) flat() map[string]string {
	out := maps.Clone(b.Words)
	maps.Copy(out, b.pages())
	for name, p := range b.Purposes {
		out["purposes."+name+".title"], out["purposes."+name+".text"] = p.Title, p.Text
	}
	return out
}

// faults compares a phrasebook with the English one.
func faults(lang string, english, book phrasebook) []string {
	var out []string
	fault := func(key, format string, args ...any) { out = append(out, key+" "+fmt.Sprintf(format, args...)) }
	want, got := english.flat(), book.flat()
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			fault(key, "is not in English")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		e, s := want[key], got[key]
		in, has := placeholder.FindAllString(e, -1), placeholder.FindAllString(s, -1)
		slices.Sort(in)
		slices.Sort(has)
		switch {
		case strings.TrimSpace(s) == "":
			fault(key, "is missing")
		case !slices.Equal(in, has):
			fault(key, "has placeholders %v, want %v", has, in)
		case lang != "en" && utf8.RuneCountInString(e) > 25 && s == e:
			fault(key, "is English")
		case !norm.NFC.IsNormalString(s) || s != strings.TrimSpace(s) || strings.ContainsAny(s, "'\"`\n\t") || strings.Contains(s, "  "):
			fault(key, "is badly typed")
		}
	}
	out = append(out, buttonFaults(got)...)
	return append(out, unitFaults(lang, english, book)...)
}

// buttonFaults: refusing is as short to read as accepting, and neither is cut off on a telephone.
func buttonFaults(words map[string]string) []string {
	var out []string
	a, r := utf8.RuneCountInString(words["accept"]), utf8.RuneCountInString(words["refuse"])
	if r > 2*a || a > 2*r {
		out = append(out, "refuse is not as long as accept")
	}
	for _, key := range []string{"accept", "refuse", "choose", "save", "back", "reopen", "policy_text", "necessary", "load_once", "always_allow", "receipt_button",
		"form.submit", "form.retry", "confirm.button", "centre.on", "centre.off", "centre.stop_title", "centre.export_button", "unsubscribe.button", "unsubscribe.all_button"} {
		if n := utf8.RuneCountInString(words[key]); n > maxLabel/2 {
			out = append(out, fmt.Sprintf("%s has %d characters, of %d", key, n, maxLabel/2))
		}
	}
	return out
}

// unitFaults wants each form the language has for whole numbers.
func unitFaults(lang string, english, book phrasebook) []string {
	var out []string
	for _, unit := range slices.Sorted(maps.Keys(english.Units)) {
		lacking := map[string]bool{}
		for n := range 200 {
			if form := pluralForm(lang, n); !strings.Contains(book.Units[unit][form], "{n}") {
				lacking[form] = true
			}
		}
		for _, form := range slices.Sorted(maps.Keys(lacking)) {
			out = append(out, fmt.Sprintf("units.%s.%s is missing", unit, form))
		}
	}
	return out
}

func TestEachLanguageSaysAllThatEnglishDoes(t *testing.T) {
	books := phrasebooks()
	if diff := cmp.Diff(unionLanguages(), slices.Sorted(maps.Keys(books))); diff != "" {
		t.Fatal(diff)
	}
	for lang, book := range books {
		for _, f := range faults(lang, books["en"], book) {
			t.Errorf("%s: %s", lang, f)
		}
	}
}

// TestNoLanguageIsACopyOfAnother: a file saved under the wrong name would pass for a translation.
func TestNoLanguageIsACopyOfAnother(t *testing.T) {
	seen := map[string]string{}
	for _, lang := range unionLanguages() {
		for key, s := range phrasebooks()[lang].flat() {
			if utf8.RuneCountInString(s) < 60 {
				continue
			}
			if first, twice := seen[s]; twice {
				t.Errorf("%s of %s is that of %s", key, lang, first)
			}
			seen[s] = lang
		}
	}
}

func TestAFaultOfALanguageIsFound(t *testing.T) {
	english := phrasebooks()["en"]
	for _, tc := range []struct {
		name   string
		change func(b *phrasebook)
		want   []string
	}{
		{"a good one has none", func(*phrasebook) {}, nil},
		{"a text left out", func(b *phrasebook) { delete(b.Words, "saved") }, []string{"saved is missing"}},
		{"a text too many", func(b *phrasebook) { b.Words["save_all"] = "Alles speichern" }, []string{"save_all is not in English"}},
		{"a word of a page left out", func(b *phrasebook) { delete(b.Centre, "on") }, []string{"centre.on is missing"}},
		{"a placeholder of a page forgotten", func(b *phrasebook) { b.Centre["for"] = "Für Sie" }, []string{"centre.for has placeholders [], want [{address}]"}},
		{"a button that is a sentence", func(b *phrasebook) { b.Centre["off"] = "Das möchte ich von jetzt an nicht mehr" },
			[]string{"centre.off has 38 characters, of 30"}},
		{"a purpose left out", func(b *phrasebook) { delete(b.Purposes, "sms") }, []string{"purposes.sms.text is missing", "purposes.sms.title is missing"}},
		{"a text left in English", func(b *phrasebook) { b.Words["text"] = english.Words["text"] }, []string{"text is English"}},
		{"a placeholder translated", func(b *phrasebook) { b.Words["content_from"] = "Dieser Inhalt stammt von {dienst}." },
			[]string{"content_from has placeholders [{dienst}], want [{service}]"}},
		{"a straight apostrophe", func(b *phrasebook) { b.Words["saved"] = "Ihre Auswahl ist's." }, []string{"saved is badly typed"}},
		{"an umlaut in two characters", func(b *phrasebook) { b.Words["back"] = "Zuru\u0308ck" }, []string{"back is badly typed"}},
		{"a refusal hidden in a long sentence", func(b *phrasebook) { b.Words["refuse"] = "Weiter nur mit dem Nötigsten und ohne alles andere" },
			[]string{"refuse is not as long as accept", "refuse has 50 characters, of 30"}},
		{"a plural left out", func(b *phrasebook) { b.Units["day"] = map[string]string{"one": "{n} Tag"} }, []string{"units.day.other is missing"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			german := phrasebooks()["de"]
			b := german
			b.Words, b.Units, b.Purposes, b.Centre = maps.Clone(b.Words), maps.Clone(b.Units), maps.Clone(b.Purposes), maps.Clone(b.Centre)
			tc.change(&b)
			if diff := cmp.Diff(tc.want, faults("de", english, b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALengthOfTimeTakesTheFormOfItsLanguage(t *testing.T) {
	for _, tc := range []struct {
		lang, unit string
		n          int
		want       string
	}{
		{"en", "month", 1, "1\u00a0month"}, {"en", "month", 13, "13\u00a0months"},
		{"pl", "month", 13, "13\u00a0miesięcy"}, {"pl", "month", 22, "22\u00a0miesiące"},
		{"cs", "year", 5, "5\u00a0let"}, {"sl", "day", 2, "2\u00a0dneva"}, {"sl", "day", 102, "102\u00a0dneva"},
		{"lv", "month", 21, "21\u00a0mēnesis"}, {"lv", "month", 13, "13\u00a0mēnešu"}, {"lt", "month", 13, "13\u00a0mėnesių"},
		{"ro", "day", 19, "19\u00a0zile"}, {"ro", "day", 30, "30\u00a0de\u00a0zile"}, {"ga", "year", 7, "7\u00a0mbliana"},
		{"mt", "month", 13, "13-il\u00a0xahar"}, {"mt", "month", 6, "6\u00a0xhur"}, {"hr", "hour", 24, "24\u00a0sata"},
		{"is", "day", 2, ""},
	} {
		if got := quantity(tc.lang, tc.unit, tc.n); got != tc.want {
			t.Errorf("%d %s in %s: %q, want %q", tc.n, tc.unit, tc.lang, got, tc.want)
		}
	}
}
