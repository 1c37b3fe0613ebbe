package admit

import (
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// leastTook is how many milliseconds a person needs to fill in a form; a program needs none.
const leastTook = 1000

// form finds the form a candidate was sent from; false also when its surface is none.
func (c *Candidate) form() (consent.Form, bool) {
	id, ok := strings.CutPrefix(c.Surface, consent.SurfaceForm(""))
	if !ok {
		return consent.Form{}, false
	}
	return c.Rules.Site.Form(id)
}

// checkForm: a form sent from a page says how long it was looked at, and its trap is empty. The device may be named
// beside the person, when the visitor's own choice allows that.
func (c *Candidate) checkForm() {
	onForm := consent.IsForm(c.Surface)
	if c.Via != API && onForm {
		c.checkHuman()
	}
	if c.Device != "" {
		c.checkDevice(onForm)
	}
}

func (c *Candidate) checkHuman() {
	switch {
	case c.Trap != "":
		c.refuse("/trap", LooksAutomated, "a field that no person sees was filled in")
	case !c.Timed:
		c.refuse("/took", MissingField, "")
	case c.Took < leastTook:
		c.refuse("/took", LooksAutomated, "nobody fills in a form so fast; send it again")
	}
}

func (c *Candidate) checkDevice(onForm bool) {
	if !onForm && c.Subject.Kind != KindPerson {
		c.refuse("/device", SubjectNotAllowed, "the subject is the device already; beside it a device is named on forms and for accounts")
		return
	}
	s, err := consent.ParseSubject(consent.KindDevice, c.Device, "")
	if err != nil {
		c.refuse("/device", InvalidSubject, SubjectHelp(err))
		return
	}
	c.parsed.device = s
}

// untick takes back what a box ticked beforehand said.
func (c *Candidate) untick() {
	if c.Shown == nil {
		return
	}
	for i, d := range c.parsed.decisions {
		if d.Granted && contains(c.Shown.Ticked, d.Purpose) {
			c.parsed.decisions[i].Granted = false
			c.parsed.ticked = append(c.parsed.ticked, d.Purpose)
		}
	}
	if granted, fixed := implied(c.parsed.method); fixed && granted && len(c.parsed.ticked) > 0 {
		c.parsed.method = consent.MethodCustom
	}
}

// await finds out whether a yes has to be confirmed by mail.
func (c *Candidate) await() {
	f, ok := c.form()
	if !ok || !f.DoubleOptIn || c.parsed.subject.Kind != consent.KindEmail {
		return
	}
	for _, d := range c.parsed.decisions {
		c.parsed.optIn = c.parsed.optIn || d.Granted
	}
}
