package pages

import "github.com/consentd/consentd/storage/consent"

// Tone is the mark above a message.
type Tone string

// The tones.
const (
	Good  Tone = "good" // it is done
	Wait  Tone = "wait" // something is left to do, elsewhere
	Bad   Tone = "bad"  // it did not work
	Plain Tone = "plain"
)

// Message is a page that says one thing, lists what it is about, and may have one button.
type Message struct {
	Page
	Tone     Tone
	Text     string
	Purposes []consent.ShownPurpose
	Note     string
	Button   Button
	Link     consent.Link // onward; its Href "": none
}

// Button is a form with nothing to fill in; its Label "": none.
type Button struct {
	Label, Action string
	Hidden        []Hidden
}

// Render draws the page.
func (m *Message) Render() ([]byte, error) { return render("message", m) }

// Unsubscribe is the page behind an unsubscribe link: one button for what the link is about and, where that is not
// everything, one for everything.
type Unsubscribe struct {
	Page
	Action  string
	Address string // whose it is; "": not known
	Shown   *consent.Wording
	Hidden  []Hidden
	All     *Everything // nil: Shown is everything
	Centre  string      // address of the preference centre; "": none
}

// Everything is a button that ends all of it.
type Everything struct {
	Shown  *consent.Wording
	Hidden []Hidden
}

// Render draws the page.
func (u *Unsubscribe) Render() ([]byte, error) { return render("unsubscribe", u) }
