package site_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
)

// club is a site of forms alone.
func club(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/club.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAFileBecomesForms(t *testing.T) {
	r, _ := serve(t, map[string]string{"club.yaml": club(t)}, nil)
	s := get(t, r, "club")
	want := []consent.Form{
		{ID: "join", Markup: consent.MarkupOurs, DoubleOptIn: true, Purposes: []string{"opens", "letter", "calls"},
			Fields: []consent.Field{
				{Kind: consent.KindEmail, Required: true, Label: consent.Text{"fr": "Adresse e-mail", "en": "E-mail address"},
					Hint: consent.Text{"fr": "Pour la lettre.", "en": "For the letter."}},
				{Kind: consent.KindPhone, Label: consent.Text{"fr": "Mobile", "en": "Mobile"}}},
			Title: consent.Text{"fr": "Rejoindre", "en": "Join"}, Text: consent.Text{"fr": "Une lettre par mois.", "en": "One letter a month."},
			Submit: consent.Text{"fr": "Valider", "en": "Submit"}, Thanks: consent.Text{"fr": "À bientôt.", "en": s.Words.Of("en", "form.mailbox")},
			Redirect: consent.Text{"fr": "https://club.example/merci", "en": "https://www.club.example/thanks?x=1"}},
		{ID: "contact", Markup: consent.MarkupYours, Purposes: []string{"letter"},
			Fields: []consent.Field{{Kind: consent.KindEmail, Required: true, Label: consent.Text{"fr": "Adresse e-mail", "en": "E-mail address"}}},
			Title:  consent.Text{"fr": "", "en": ""}, Text: consent.Text{"fr": "", "en": ""}, Submit: consent.Text{"fr": "Valider", "en": "Submit"},
			Thanks: consent.Text{"fr": "Vos choix sont enregistrés.", "en": "Your choices have been recorded."}},
	}
	if diff := cmp.Diff(want, s.Forms); diff != "" {
		t.Error(diff)
	}
	if want := (consent.MailFrom{Name: "Club", Address: "bonjour@xn--bcher-kva.example", ReplyTo: "club@club.example"}); s.Mail != want {
		t.Errorf("mail %+v", s.Mail)
	}
	type reach struct {
		Channel            consent.Channel
		Use                consent.Use
		Lifetime, Inactive time.Duration
	}
	var got []reach
	for _, p := range s.Purposes {
		got = append(got, reach{p.Channel, p.Use, s.Lifetime(p), p.Inactive})
	}
	const day = 24 * time.Hour
	if diff := cmp.Diff([]reach{{"email", "send", 730 * day, 1095 * day}, {"email", "track_open", 0, 4380 * time.Hour}, {"phone", "send", 0, 1095 * day},
		{"email", "send", 0, 1095 * day}}, got); diff != "" {
		t.Error(diff)
	}
	if s.HasBanner() || s.Options.Identify {
		t.Error("a banner, or identify(), that nobody asked for")
	}
}

func TestAFormOfOursHasItsWordingsAndABannerWithoutPurposesHasNone(t *testing.T) {
	r, _ := serve(t, map[string]string{"club.yaml": club(t)}, nil)
	s := get(t, r, "club")
	var got []string
	for _, w := range s.Published {
		got = append(got, w.Surface+" "+w.Locale)
	}
	if diff := cmp.Diff([]string{"form:join fr", "form:join en"}, got); diff != "" {
		t.Fatal(diff)
	}
	w := s.Published[0].Wording
	want := consent.Wording{V: 1, Site: "club", Surface: "form:join", Locale: "fr", Revision: 1, Controller: consent.Controller{Name: "Club Ltd", Contact: "privacy@club.example"},
		Title: "Rejoindre", Text: "Une lettre par mois.", Links: []consent.Link{{Rel: "policy", Text: "Politique de confidentialité", Href: "/privacy"}},
		Buttons: map[string]string{"submit": "Valider"},
		Fields:  []consent.ShownField{{Kind: "email", Label: "Adresse e-mail", Hint: "Pour la lettre.", Required: true}, {Kind: "phone", Label: "Mobile"}}}
	asked := w.Asked()
	for _, p := range w.Purposes {
		if p.Default || p.Required || p.Title == "" || p.Text == "" {
			t.Errorf("purpose %+v", p)
		}
	}
	w.Purposes = nil
	if diff := cmp.Diff(want, w); diff != "" || !slices.Equal(asked, []string{"opens", "letter", "calls"}) {
		t.Error(diff, asked)
	}
	back, err := consent.ParseWording(s.Published[0].Doc)
	if err != nil || len(back.Fields) != 2 {
		t.Error(err, back)
	}
}

func TestThePagesOfAPersonSayWhatTheyDecide(t *testing.T) {
	text := strings.Replace(club(t), "keep: 24mo}", `keep: 24mo, services: [{name: Brevo, policy: "https://brevo.example"}]}`, 1)
	r, _ := serve(t, map[string]string{"club.yaml": text}, nil)
	s := get(t, r, "club")
	one := s.CentreWording(s.Purposes[0], "en")
	all := s.UnsubscribeWording("fr", s.Purposes[0], s.Purposes[1])
	single := s.UnsubscribeWording("fr", s.Purposes[0])
	if one.Surface != "centre" || one.Buttons["on"] != "Yes" || one.Buttons["off"] != "No" || len(one.Purposes) != 1 ||
		one.Purposes[0].Services[0].Name != "Brevo" || one.Title == "" || one.Text == "" || one.Links[0].Href != "/privacy" {
		t.Errorf("%+v", one)
	}
	if all.Surface != "unsubscribe" || len(all.Purposes) != 2 || all.Buttons["stop"] != "Tout arrêter" || single.Buttons["stop"] != "Me désabonner" {
		t.Errorf("%+v\n%+v", all, single)
	}
	for _, w := range []consent.Wording{one, all, single} {
		if p, err := w.Publish(); err != nil || p.Hash.IsZero() || !consent.ValidSurface(w.Surface) {
			t.Errorf("%v of %+v", err, w)
		}
	}
}

func TestEachMistakeWithAFormIsReported(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		want           []string
	}{
		{"a good file has none", "name: Club\norigins", "name: Club\norigins", nil},

		// purposes
		{"an unknown channel", "channel: phone", "channel: fax", []string{"10:42 channel_unknown"}},
		{"an unknown use", "channel: phone", "channel: phone, use: sell", []string{"10:54 use_unknown"}},
		{"a contact kept alive over three years", "inactive: 6mo", "inactive: 37mo", []string{"9:47 inactive_too_long"}},
		{"a contact that lasts an hour", "inactive: 6mo", "inactive: 1h", []string{"9:47 keep_too_short"}},
		{"a contact on the web", "channel: phone", "inactive: 6mo", []string{"10:43 invalid_value", "15:31 form_purpose_banner"}},
		{"an acceptance kept for ten years, over a channel", "keep: 24mo", "keep: 10y", nil},
		{"content in pages over a channel", "keep: 24mo", `services: [{id: v, name: V, embed: true}]`, []string{"8:72 invalid_value"}},

		// the form
		{"a form that is a text", "  - id: contact\n    markup: yours\n    fields: [{kind: email}]\n    purposes: [letter]\n", "  - contact\n", []string{"21:5 wrong_type"}},
		{"a form without an id", "  - id: contact\n    markup", "  - markup", []string{"21:5 missing_key"}},
		{"a form id with a capital", "id: contact", "id: Contact", []string{"21:9 form_id"}},
		{"a form id twice", "id: contact", "id: join", []string{"21:9 form_duplicate"}},
		{"a markup of nobody", "markup: yours", "markup: theirs", []string{"21:5 missing_key", "21:5 missing_key", "22:13 invalid_value"}},
		{"no fields", "    fields: [{kind: email}]\n", "", []string{"21:5 form_without_field"}},
		{"an empty list of fields", "[{kind: email}]", "[]", []string{"23:5 form_without_field"}},
		{"a field without a kind", "[{kind: email}]", "[{required: true}]", []string{"23:14 missing_key"}},
		{"a field for a name", "[{kind: email}]", "[{kind: email}, {kind: name}]", []string{"23:36 invalid_value"}},
		{"two addresses", "[{kind: email}]", "[{kind: email}, {kind: email}]", []string{"23:36 invalid_value"}},
		{"a label in one language", "label: {fr: Mobile, en: Mobile}", "label: {fr: Mobile}", nil},
		{"one label for two languages", "label: {fr: Mobile, en: Mobile}", "label: Mobile", []string{"14:100 text_missing"}},
		{"a hint in one language", "hint: {fr: Pour la lettre., en: For the letter.}", "hint: {fr: Pour la lettre.}", []string{"14:28 text_missing"}},
		{"no purposes", "    purposes: [letter]\n", "", []string{"21:5 form_without_purpose"}},
		{"an unknown purpose", "purposes: [letter]", "purposes: [letter, leter]", []string{"24:24 purpose_unknown"}},
		{"a purpose twice", "purposes: [letter]", "purposes: [letter, letter]", []string{"24:24 purpose_duplicate"}},
		{"a purpose that asks for nothing", "purposes: [letter]", "purposes: [orders]", []string{"24:16 form_purpose_basis"}},
		{"a purpose of the banner", "channel: phone", "channel: web", []string{"15:31 form_purpose_banner"}},
		{"calls, and no number asked for", "purposes: [letter]", "purposes: [calls]", []string{"24:16 form_purpose_channel?"}},
		{"double opt-in without an address to write to", "markup: yours\n    fields: [{kind: email}]\n    purposes: [letter]", "markup: yours\n    fields: [{kind: phone}]\n    purposes: [calls]\n    double_opt_in: true",
			[]string{"25:20 double_opt_in_without_email"}},
		{"double opt-in without a sender", "mail: {name: Club, address: Bonjour@Bücher.example, reply_to: club@club.example}\n", "", []string{"16:20 double_opt_in_without_mail"}},
		{"a title in one language", "title: {fr: Rejoindre, en: Join}", "title: {fr: Rejoindre}", []string{"17:5 text_missing"}},
		{"no text", "    text: {fr: Une lettre par mois., en: One letter a month.}\n", "", []string{"13:5 missing_key"}},
		{"an empty button", "thanks: {fr: À bientôt.}", "submit: {fr: ''}", []string{"19:18 text_missing"}},
		{"a text where the page has its own", "markup: yours", "markup: yours\n    title: {fr: Contact, en: Contact}", []string{"23:5 no_effect?"}},

		// where people are sent
		{"a redirect to another site", "https://club.example/merci", "https://evil.example/merci", []string{"20:20 redirect_foreign"}},
		{"a redirect to a site of a similar name", "https://club.example/merci", "https://club.example.evil.example/", []string{"20:20 redirect_foreign"}},
		{"a redirect to another scheme", "https://club.example/merci", "http://club.example/merci", []string{"20:20 redirect_foreign"}},
		{"a redirect that is a script", "https://club.example/merci", "'javascript:alert(1)'", []string{"20:20 link_invalid"}},
		{"a redirect that is a path", "https://club.example/merci", "/merci", []string{"20:20 link_invalid"}},
		{"a redirect with a user in it", "https://club.example/merci", "https://club.example@club.example/", []string{"20:20 link_invalid"}},
		{"a redirect in one language", `, en: "https://www.club.example/thanks?x=1"`, "", []string{"20:5 text_missing"}},
		{"one redirect for all", `{fr: https://club.example/merci, en: "https://www.club.example/thanks?x=1"}`, "https://club.example/merci", nil},

		// the sender
		{"a sender without an address", ", address: Bonjour@Bücher.example", "", []string{"25:1 missing_key"}},
		{"a sender that is no address", "address: Bonjour@Bücher.example", "address: Bonjour", []string{"25:29 mail_address"}},
		{"an answer to no address", "reply_to: club@club.example", "reply_to: club@", []string{"25:63 mail_address"}},
		{"two addresses in one", "address: Bonjour@Bücher.example", "address: 'a@b.fr, c@d.fr'", []string{"25:29 mail_address"}},
		{"a sender of two lines", "{name: Club, address", `{name: "Club\nBcc: x@y.fr", address`, []string{"25:14 invalid_value"}},
		{"a sender of no name", "mail: {name: Club,", "mail: {name: ' ',", []string{"25:14 no_value"}},

		// words
		{"a word changed", "name: Club\norigins", "name: Club\nwords: {form.submit: {fr: Rejoindre}, centre.for: {en: 'Choices of {address} at {site}'}}\norigins", nil},
		{"a word there is not", "name: Club\norigins", "name: Club\nwords: {form.submitt: {fr: Rejoindre}}\norigins", []string{"3:9 word_unknown"}},
		{"a word for two languages", "name: Club\norigins", "name: Club\nwords: {form.submit: OK}\norigins", []string{"3:9 text_missing"}},
		{"a placeholder that stands for nothing", "name: Club\norigins", "name: Club\nwords: {form.submit: {fr: 'Envoyer {email}'}}\norigins", []string{"3:27 word_placeholder"}},
		{"words that are a list", "name: Club\norigins", "name: Club\nwords: [form.submit]\norigins", []string{"3:8 wrong_type"}},

		// what a browser decides
		{"a signal of a purpose it never decides", "name: Club\norigins", "name: Club\nsignals: {microsoft_uet: letter}\norigins", []string{"3:26 purpose_unknown"}},
		{"identify without a banner", "name: Club\norigins", "name: Club\nidentify: true\norigins", []string{"3:11 no_effect?"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if n := strings.Count(club(t), tc.old); n != 1 {
				t.Fatalf("%q is in the file %d times", tc.old, n)
			}
			problems := site.Validate("club.yaml", []byte(strings.Replace(club(t), tc.old, tc.new, 1)))
			if got := found(problems); !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q\n%v", got, tc.want, problems)
			}
			for _, p := range problems {
				if strings.Contains(p.Text, "%!") || !strings.ContainsAny(p.Text, ";,:") {
					t.Errorf("a problem that does not say what to do: %s", p)
				}
			}
		})
	}
}

func TestAFileOfFormsWithEightMistakesReportsEight(t *testing.T) {
	text := strings.NewReplacer("[opens, letter, calls]", "[opens, leter, orders]", "channel: phone", "channel: fax", "https://club.example/merci", "https://evil.example",
		"{kind: phone,", "{kind: fax,", "title: {fr: Rejoindre, en: Join}", "title: {fr: Rejoindre}", "id: contact", "id: join", "address: Bonjour@Bücher.example", "address: Bonjour").Replace(club(t))
	want := []string{"10:42 channel_unknown", "14:86 invalid_value", "15:23 purpose_unknown", "15:30 form_purpose_basis", "17:5 text_missing", "20:20 redirect_foreign",
		"21:9 form_duplicate", "25:29 mail_address"}
	problems := site.Validate("sites/club.yaml", []byte(text))
	if got := found(problems); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if line := problems[2].String(); line != `sites/club.yaml:15:23: error: forms[0].purposes[1] "leter" is no purpose of this site; did you mean "letter"? [purpose_unknown]` {
		t.Errorf("printed as %q", line)
	}
}

func TestWordsOfALanguageConsentdDoesNotSpeakAreAskedFor(t *testing.T) {
	text := readySite("is", "  - {id: letter, basis: consent, channel: email, title: Bréf, text: Eitt á mánuði.}\n")
	problems := site.Validate("small.yaml", []byte(text))
	if got := found(problems); !slices.Equal(got, []string{"5:11 locale_without_texts"}) {
		t.Fatal(problems)
	}
	said := problems[0].Text
	for _, want := range []string{"under banner, add policy_text;", "under words, add centre.channel_email,", "unsubscribe.title"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q does not say %q", said, want)
		}
	}
	if strings.Contains(said, "form.") || strings.Contains(said, "confirm.") {
		t.Errorf("words nobody meets are asked for: %s", said)
	}
}

func TestAWordIsTheFilesOwnThenTheLanguages(t *testing.T) {
	text := strings.Replace(club(t), "name: Club\norigins", "name: Club\nwords: {form.submit: {fr: 'Rejoindre {site}'}}\norigins", 1)
	r, _ := serve(t, map[string]string{"club.yaml": text}, nil)
	s := get(t, r, "club")
	for _, tc := range []struct{ locale, key, want string }{
		{"fr", "form.submit", "Rejoindre Club"}, {"en", "form.submit", "Submit"}, {"en", "mail.subject", "Club: please confirm"},
		{"fr", "form.controller", "Vos données sont traitées par Club Ltd (privacy@club.example)."}, {"en", "centre.for", "For {address}"},
		{"de", "form.submit", ""}, {"fr", "form.nothing", ""},
	} {
		if got := s.Words.Of(tc.locale, tc.key); got != tc.want {
			t.Errorf("%s in %s: %q, want %q", tc.key, tc.locale, got, tc.want)
		}
	}
	if s.Forms[0].Submit["fr"] != "Rejoindre Club" || s.Published[0].Buttons["submit"] != "Rejoindre Club" {
		t.Error("a form does not use the site's own word")
	}
}
