package consent

import "time"

// Channel is how a purpose reaches a person.
type Channel string

// The channels a purpose may name; "" is that of a banner: the web.
const (
	ChannelWeb   Channel = "web"
	ChannelEmail Channel = "email"
	ChannelSMS   Channel = "sms"
	ChannelPhone Channel = "phone"
	ChannelPost  Channel = "post"
	ChannelPush  Channel = "push"
)

// Valid reports whether c is one of the six.
func (c Channel) Valid() bool {
	switch c {
	case ChannelWeb, ChannelEmail, ChannelSMS, ChannelPhone, ChannelPost, ChannelPush:
		return true
	}
	return false
}

// Use is what is done over a channel: sending and measuring who opened are two consents (CNIL 2026-042).
type Use string

// The uses a purpose may name.
const (
	UseSend      Use = "send"
	UseTrackOpen Use = "track_open"
	UseProfile   Use = "profile"
	UseShare     Use = "share"
	UseLocate    Use = "locate"
	UseMeasure   Use = "measure"
)

// Valid reports whether u is one of the six.
func (u Use) Valid() bool {
	switch u {
	case UseSend, UseTrackOpen, UseProfile, UseShare, UseLocate, UseMeasure:
		return true
	}
	return false
}

// Form is a place where a person gives an identifier and decides on purposes. Its surface is "form:<id>".
type Form struct {
	ID          string
	Markup      Markup
	Fields      []Field  // identifiers asked for, in the order shown; at least one
	Purposes    []string // ids, in the order shown
	DoubleOptIn bool     // a yes is pending until the mail is answered; needs an e-mail field
	Title, Text Text
	Submit      Text // label of the button
	Thanks      Text // shown once recorded; with DoubleOptIn it tells to look into the mailbox
	Redirect    Text // URL to go to instead of the thank-you page, per locale; nil: none
}

// Markup says who draws a form.
type Markup string

// Ours is drawn from the configuration, its wordings known beforehand; yours is the page's own form, its wording
// read from the page.
const (
	MarkupOurs  Markup = "ours"
	MarkupYours Markup = "yours"
)

// Field is an identifier a form asks for. Nothing else is asked, read or sent.
type Field struct {
	Kind     Kind // KindEmail or KindPhone
	Required bool
	Label    Text
	Hint     Text // why it is needed; nil: none
}

// SurfaceForm is the surface of a form.
func SurfaceForm(id string) string { return surfaceFormPrefix + id }

// SurfaceCentre is the preference centre: where a person meets everything they agreed to.
const SurfaceCentre = "centre"

// Form finds a form by id.
func (s *Site) Form(id string) (Form, bool) {
	for _, f := range s.Forms {
		if f.ID == id {
			return f, true
		}
	}
	return Form{}, false
}

// OnBanner reports whether p belongs on the banner: cookies and the like, decided by a device. The others are
// decided by a person, on forms and in the preference centre.
func (p Purpose) OnBanner() bool { return p.Channel == "" || p.Channel == ChannelWeb }

// DefaultInactive is how long a consent to be contacted holds after the last contact that came from the person
// (CNIL, reference framework on commercial management: three years).
const DefaultInactive = 3 * 365 * 24 * time.Hour

// MailFrom is the sender of a site's confirmation mails; the zero MailFrom: the site sends none.
type MailFrom struct {
	Name    string
	Address string
	ReplyTo string // "": Address
}
