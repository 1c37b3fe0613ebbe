package widget

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/consentd/consentd/storage/consent"
)

// formData is a form, apart from its words; src/lib/types.ts says the same to TypeScript.
type formData struct {
	ID       string            `json:"id"`
	Yours    bool              `json:"yours"`
	OptIn    bool              `json:"optin,omitempty"`
	Fields   []formFieldData   `json:"fields"`
	Purposes []formPurposeData `json:"purposes"`
}

type formFieldData struct {
	Kind     consent.Kind `json:"kind"`
	Required bool         `json:"required"`
}

// formPurposeData says of a form of ours what stands beside a purpose, and of the page's own what its wording says
// that no text does.
type formPurposeData struct {
	ID        string        `json:"id"`
	Asked     bool          `json:"asked,omitempty"`
	On        bool          `json:"on,omitempty"`
	Services  []serviceData `json:"services,omitempty"`
	Basis     consent.Basis `json:"basis,omitempty"`
	Objection bool          `json:"objection,omitempty"`
}

// formText is a form of ours in one locale; of the page's own it is empty.
type formText struct {
	Wording  string      `json:"wording,omitempty"` // hash
	Title    string      `json:"title,omitempty"`
	Text     string      `json:"text,omitempty"`
	Submit   string      `json:"label,omitempty"`
	Policy   [2]string   `json:"policy,omitempty"` // text, href
	Fields   [][2]string `json:"fields,omitempty"` // label, hint
	Purposes [][2]string `json:"purposes,omitempty"`
	Thanks   string      `json:"thanks,omitempty"`
	Redirect string      `json:"redirect,omitempty"`
}

// formWords are words of Site.Words, group "form", that forms of ours need besides their wording; those no form of
// the site can come to need are empty.
type formWords struct {
	Optional     string `json:"optional,omitempty"`
	Missing      string `json:"error_missing,omitempty"`
	Email        string `json:"error_email,omitempty"`
	Phone        string `json:"error_phone,omitempty"`
	OneField     string `json:"error_one_field,omitempty"`
	None         string `json:"error_none,omitempty"`
	Sending      string `json:"sending,omitempty"`
	Refused      string `json:"refused,omitempty"`
	WaitingTitle string `json:"error_title,omitempty"`
	Waiting      string `json:"waiting,omitempty"`
	Retry        string `json:"retry,omitempty"`
	ThanksTitle  string `json:"thanks_title,omitempty"`
	Thanks       string `json:"thanks,omitempty"`
	MailboxTitle string `json:"mailbox_title,omitempty"`
	Change       string `json:"change_address,omitempty"`
}

// forms writes what the script knows of each form in every locale.
func (d *siteData) forms(site *consent.Site) {
	for _, f := range site.Forms {
		data := formData{ID: f.ID, Yours: f.Markup == consent.MarkupYours, OptIn: f.DoubleOptIn && f.Markup != consent.MarkupYours}
		for _, field := range f.Fields {
			data.Fields = append(data.Fields, formFieldData{field.Kind, field.Required})
		}
		for _, id := range f.Purposes {
			p, _ := site.Purpose(id)
			data.Purposes = append(data.Purposes, formPurpose(p, data.Yours))
		}
		d.Forms = append(d.Forms, data)
		if data.Yours {
			d.Revision = int64(site.Revision)
		}
	}
}

func formPurpose(p consent.Purpose, yours bool) formPurposeData {
	if yours {
		return formPurposeData{ID: p.ID, Basis: p.Basis, Objection: p.Objection}
	}
	d := formPurposeData{ID: p.ID, Asked: p.Asked(), On: p.Objection}
	for _, v := range p.Services {
		d.Services = append(d.Services, serviceData{Name: v.Name, Provider: v.Provider, Policy: v.Policy})
	}
	return d
}

// forms writes the words of each form in one locale.
func (d *localeData) forms(site *consent.Site, wordings []*consent.Published) error {
	var ours []consent.Form
	for _, f := range site.Forms {
		text := formText{}
		if f.Markup != consent.MarkupYours {
			w, err := findForm(site, f, wordings, d.Lang)
			if err != nil {
				return fmt.Errorf("%w (form %s, locale %s)", err, f.ID, d.Lang)
			}
			text, ours = formTexts(f, w), append(ours, f)
		}
		d.Forms = append(d.Forms, text)
	}
	return d.formWords(site.Words, ours)
}

func formTexts(f consent.Form, w *consent.Published) formText {
	text := formText{
		Wording: w.Hash.String(), Title: w.Title, Text: w.Text, Submit: w.Buttons["submit"], Policy: [2]string{w.Links[0].Text, w.Links[0].Href},
		Thanks: f.Thanks[w.Locale], Redirect: f.Redirect[w.Locale],
	}
	for _, field := range w.Fields {
		text.Fields = append(text.Fields, [2]string{field.Label, field.Hint})
	}
	for _, p := range w.Purposes {
		text.Purposes = append(text.Purposes, [2]string{p.Title, p.Text})
	}
	return text
}

// formWords takes over the words that some of the forms may need.
func (d *localeData) formWords(words consent.Words, ours []consent.Form) error {
	w := &d.Words
	always := func(consent.Form) bool { return true }
	optIn := func(f consent.Form) bool { return f.DoubleOptIn }
	asks := func(test func(consent.Field) bool) func(consent.Form) bool {
		return func(f consent.Form) bool { return slices.ContainsFunc(f.Fields, test) }
	}
	for _, word := range []struct {
		key    string
		to     *string
		needed func(consent.Form) bool
	}{
		{"optional", &w.Optional, asks(func(f consent.Field) bool { return !f.Required })},
		{"error_missing", &w.Missing, asks(func(f consent.Field) bool { return f.Required })},
		{"error_email", &w.Email, asks(func(f consent.Field) bool { return f.Kind == consent.KindEmail })},
		{"error_phone", &w.Phone, asks(func(f consent.Field) bool { return f.Kind == consent.KindPhone })},
		{"error_one_field", &w.OneField, func(f consent.Form) bool { return len(f.Fields) > 1 }},
		{"error_none", &w.None, always}, {"sending", &w.Sending, always}, {"refused", &w.Refused, always},
		{"error_title", &w.WaitingTitle, always}, {"waiting", &w.Waiting, always}, {"retry", &w.Retry, always},
		{"thanks_title", &w.ThanksTitle, always}, {"thanks", &w.Thanks, optIn},
		{"mailbox_title", &w.MailboxTitle, optIn}, {"change_address", &w.Change, optIn},
	} {
		if !slices.ContainsFunc(ours, word.needed) {
			continue
		}
		if *word.to = words.Of(d.Lang, "form."+word.key); *word.to == "" {
			return fmt.Errorf("%w: no words form.%s in locale %s", ErrWordings, word.key, d.Lang)
		}
	}
	return nil
}

// findForm finds the wording of a form of ours and holds it to the site: the script shows it field by field.
func findForm(site *consent.Site, f consent.Form, wordings []*consent.Published, locale string) (*consent.Published, error) {
	i := slices.IndexFunc(wordings, func(w *consent.Published) bool {
		return w.Locale == locale && w.Surface == consent.SurfaceForm(f.ID)
	})
	if i < 0 {
		return nil, fmt.Errorf("%w: no wording", ErrWordings)
	}
	w := wordings[i]
	if sha256.Sum256(w.Doc) != w.Hash {
		return nil, fmt.Errorf("%w: the hash is not that of the document", ErrWordings)
	}
	if w.Site != site.ID || w.Revision != site.Revision || w.Controller != site.Controller || len(w.Links) != 1 {
		return nil, fmt.Errorf("%w: another site, revision, controller or number of links", ErrWordings)
	}
	if len(w.Fields) != len(f.Fields) || len(w.Purposes) != len(f.Purposes) {
		return nil, fmt.Errorf("%w: %d fields and %d purposes", ErrWordings, len(w.Fields), len(w.Purposes))
	}
	for i, p := range w.Purposes {
		s, ok := site.Purpose(f.Purposes[i])
		if !ok || p.ID != s.ID || p.Basis != s.Basis || len(p.Services) != len(s.Services) {
			return nil, fmt.Errorf("%w: purpose %q where the form has %q", ErrWordings, p.ID, f.Purposes[i])
		}
		for _, v := range p.Services {
			if err := checkLink(v.Policy); err != nil {
				return nil, err
			}
		}
	}
	if err := checkLink(f.Redirect[locale]); err != nil {
		return nil, err
	}
	return w, checkLink(w.Links[0].Href)
}
