package pages

import "github.com/consentd/consentd/storage/consent"

// Centre is the preference centre of one person: a row per purpose, each decided alone, then everything at once,
// correcting, and taking a copy along.
type Centre struct {
	Page
	Action  string
	Intro   string
	Address string // whose it is; "": not known
	Problem string // what did not work; "": nothing
	Rows    []Row
	Stop    *Everything
	Stopped bool     // everything has just been stopped
	Correct *Correct // nil: not offered here
	Export  string   // address of the copy
}

// State is what a row's switch shows.
type State string

// The states of a switch: unsaid has neither side pressed.
const (
	On     State = "on"
	Off    State = "off"
	Unsaid State = "unsaid"
)

// Row is one purpose.
type Row struct {
	Shown   consent.ShownPurpose
	Channel string // in words
	State   State
	Status  string // in words, with the date
	On, Off string // labels
	Saved   string // it has just been changed, in words; "": it has not
	Proof   bool   // a choice is known
	Seen    *consent.Wording
	Hidden  []Hidden
}

// Correct is the form that moves choices to another address.
type Correct struct {
	Value, Problem string
	Sent           bool
	Hidden         []Hidden
}

// Render draws the page.
func (c *Centre) Render() ([]byte, error) { return render("centre", c) }
