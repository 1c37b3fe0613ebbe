package widget_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget/widgettest"
)

// formShop is the shop with three forms: one of ours with double opt-in, one of ours with two identifiers, and the
// page's own.
func formShop() *consent.Site {
	both := func(fr, en string) consent.Text { return consent.Text{"fr": fr, "en": en} }
	email, phone := both("Adresse e-mail", "E-mail address"), both("Téléphone mobile", "Mobile number")
	s := shop()
	s.Purposes = append(s.Purposes,
		consent.Purpose{ID: "newsletter", Basis: consent.BasisConsent, Channel: consent.ChannelEmail, Use: consent.UseSend,
			Title: both("La lettre d’Alba", "The Alba letter"),
			Text:  both("Une lettre par mois : nouvelles toiles, coulisses de l’atelier, dates de ventes. Désinscription par un lien dans chaque lettre.", "One letter a month: new cloth, the workshop, dates of sales. Unsubscribe by a link in each letter.")},
		consent.Purpose{ID: "opens", Basis: consent.BasisConsent, Channel: consent.ChannelEmail, Use: consent.UseTrackOpen,
			Title: both("Mesure des ouvertures", "Measuring opens"),
			Text:  both("Savoir si vous ouvrez nos lettres. Vous les recevez aussi sans cela.", "Knowing whether you open our letters. You receive them without this too.")},
		consent.Purpose{ID: "partners", Basis: consent.BasisConsent, Channel: consent.ChannelEmail, Use: consent.UseShare,
			Title:    both("Offres de nos partenaires", "Offers of our partners"),
			Text:     both("Transmettre votre adresse aux maisons ci-dessous, pour leurs propres offres.", "Passing your address to the houses below, for their own offers."),
			Services: []consent.Service{{Name: "Fil & Aiguille", Provider: "Fil SARL", Policy: "https://fil.example/vie-privee"}, {Name: "Maison Lavande"}}},
		consent.Purpose{ID: "sms", Basis: consent.BasisConsent, Channel: consent.ChannelSMS, Use: consent.UseSend,
			Title: both("Alertes par SMS", "Alerts by text message"), Text: both("Un message quand une toile revient.", "A message when a cloth is back.")})
	s.Forms = []consent.Form{
		{ID: "newsletter", Markup: consent.MarkupOurs, DoubleOptIn: true, Purposes: []string{"newsletter", "opens", "partners"},
			Fields: []consent.Field{{Kind: consent.KindEmail, Required: true, Label: email, Hint: both("Pour vous envoyer la lettre, rien d’autre.", "To send you the letter, nothing else.")}},
			Title:  both("Des nouvelles de l’atelier", "News from the workshop"), Text: both("Choisissez ce que vous voulez recevoir.", "Choose what you would like to receive."),
			Submit: both("M’inscrire", "Sign up"), Thanks: both("Nous vous envoyons un e-mail. Ouvrez-le et confirmez dans les 48 heures.", "We are sending you an e-mail. Open it and confirm within 48 hours.")},
		{ID: "callback", Markup: consent.MarkupOurs, Purposes: []string{"sms", "newsletter"},
			Fields: []consent.Field{{Kind: consent.KindEmail, Label: email}, {Kind: consent.KindPhone, Label: phone}},
			Title:  both("Prévenez-moi", "Tell me"), Text: both("Quand la toile revient.", "When the cloth is back."), Submit: both("Prévenez-moi", "Tell me"),
			Thanks: both("Nous vous préviendrons.", "We will let you know.")},
		{ID: "contact", Markup: consent.MarkupYours, Purposes: []string{"newsletter", "partners"},
			Fields: []consent.Field{{Kind: consent.KindEmail, Required: true}, {Kind: consent.KindPhone}}},
	}
	s.Words = consent.Words{"fr": {}, "en": {}}
	for line := range strings.Lines(formWords) {
		key, words, _ := strings.Cut(strings.TrimSpace(line), ": ")
		fr, en, _ := strings.Cut(words, " | ")
		s.Words["fr"]["form."+key], s.Words["en"]["form."+key] = fr, en
	}
	return s
}

// formWords are the words forms of ours need, as a site has them.
const formWords = `optional: facultatif | optional
error_missing: Remplissez ce champ. | Fill in this field.
error_email: Cette adresse e-mail n’est pas valable. Exemple : nom@exemple.fr | This e-mail address is not valid. Example: name@example.com
error_phone: Ce numéro n’est pas valable. Exemple : +33 6 39 98 12 34 | This number is not valid. Example: +33 6 39 98 12 34
error_one_field: Donnez une adresse e-mail ou un numéro de téléphone. | Give an e-mail address or a phone number.
error_none: Cochez au moins une case. | Tick at least one box.
error_title: Rien n’est encore envoyé | Nothing has been sent yet
sending: Envoi en cours… | Sending…
refused: L’enregistrement n’a pas pu se faire. Vérifiez ce que vous avez saisi, puis réessayez. | This could not be recorded. Check what you entered, then try again.
waiting: La connexion ne répond pas. Vos choix restent dans ce navigateur et partiront dès qu’elle reviendra. | The connection does not answer. Your choices stay in this browser and will be sent as soon as it is back.
retry: Réessayer | Try again
thanks_title: Merci | Thank you
thanks: Vos choix sont enregistrés. | Your choices have been recorded.
mailbox_title: Encore une étape | One more step
change_address: Corriger l’adresse | Correct the address`

// takeWording is the edge's side of a wording made in a page: it has to be canonical and to fit the form.
func (s *stand) takeWording(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if s.asks(w, post{Surface: "wordings"}) {
		return
	}
	doc, err := consent.ParseWording(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	again, err := doc.Publish()
	if err != nil || string(again.Doc) != string(body) {
		http.Error(w, fmt.Sprintf("not canonical (%v):\n%s\n%s", err, body, again.Doc), http.StatusUnprocessableEntity)
		return
	}
	s.set(func(s *stand) {
		if !slices.Contains(s.docs, string(body)) { // the same again is answered as before
			s.docs = append(s.docs, string(body))
		}
	})
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"hash":%q}`, again.Hash)
}

// knows reports whether the wording of a post is published: beforehand, or by the page.
func (s *stand) knows(p post) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.Wording == "" || slices.ContainsFunc(s.wordings, func(w *consent.Published) bool { return w.Hash.String() == p.Wording }) ||
		slices.ContainsFunc(s.docs, func(doc string) bool { return hashOf(doc) == p.Wording })
}

func hashOf(doc string) string {
	sum := sha256.Sum256([]byte(doc))
	return hex.EncodeToString(sum[:])
}

// visitForms opens a page of the shop with forms, whose banner was refused some time ago.
func visitForms(t *testing.T, p page) (*stand, *widgettest.Tab) {
	t.Helper()
	s := newStand(t, input(t, formShop()), p)
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.Open(s.site.URL + "/rayon?utm=1#top")
	tab.Until("window.consentd?.get")
	return s, tab
}

const aDevice = "8d0f1b5c-7a51-4c0e-9d3e-2f6a1c4b7e90"

// chosen leaves a choice in the browser: ads and the rest refused, analytics as given ("0" or "1").
func (s *stand) chosen(analytics string) string {
	return fmt.Sprintf(`try { localStorage.consentd_shop ??= "1.%s." + (Date.now() - 36e5).toString(36) + ".%s.%s.analytics:%s.ads:0.audience:0" } catch {}`,
		aDevice, print.FindSubmatch(s.bundle.JS)[1], s.hash("banner", "en"), analytics)
}

// speakArabicForms gives the forms of the shop a language that is written from right to left.
func speakArabicForms(site *consent.Site) {
	for i := range site.Forms {
		f := &site.Forms[i]
		for text, words := range map[*consent.Text]string{&f.Title: "أخبار من الورشة", &f.Text: "اختر ما تود أن يصلك.", &f.Submit: "اشتراك"} {
			if *text != nil {
				(*text)["ar"] = words
			}
		}
		for j := range f.Fields {
			if f.Fields[j].Label != nil {
				f.Fields[j].Label["ar"] = "البريد الإلكتروني"
			}
			if f.Fields[j].Hint != nil {
				f.Fields[j].Hint["ar"] = "لإرسال الرسالة إليك."
			}
		}
		if f.Thanks != nil {
			f.Thanks["ar"] = "سنخبرك."
		}
	}
	site.Words["ar"] = map[string]string{}
	for key := range site.Words["en"] {
		site.Words["ar"][key] = "كلمات قصيرة"
	}
}

// forms are what the page has sent to the website.
func (s *stand) forms() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// identify is the edge's side of identify().
func (s *stand) identify(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Token, Device string }
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&asked); err != nil || s.asks(w, post{Surface: "identify"}) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identified = append(s.identified, asked.Token+" "+asked.Device)
	answer, ok := s.accounts[asked.Token]
	if !ok {
		w.WriteHeader(http.StatusUnprocessableEntity)
		answer = `{"code":"invalid_token"}`
	}
	io.WriteString(w, answer)
}
