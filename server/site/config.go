package site

import "github.com/consentd/consentd/widget"

// The comments below become the descriptions of schema.json: they speak to whoever writes a file.

// config is the configuration of one site.
type config struct {
	// Site is the id of the site: it becomes part of URLs, and changing it starts a new site.
	Site string `json:"site" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9-]{0\\,38}[a-z0-9])?$,example=demo"`
	// Name is what people call the site.
	Name string `json:"name" jsonschema:"required,minLength=1,maxLength=200"`
	// Origins may show the banner and record choices: scheme://host[:port]. https://*.shop.example allows every subdomain of shop.example. An empty list allows the API alone.
	Origins []string `json:"origins" jsonschema:"required"`
	// Controller is who decides on the processing; shown with every question.
	Controller controller `json:"controller" jsonschema:"required"`
	// Locales are the languages of the site (BCP 47), such as fr or en-GB. The first is used for visitors who read none of them.
	Locales []string `json:"locales" jsonschema:"required,minItems=1"`
	// Revision is raised to ask everyone again, after a change that new purposes or services do not show.
	Revision int `json:"revision,omitempty" jsonschema:"minimum=1,default=1"`
	// Policy links to the privacy policy: one address, or one for each locale.
	Policy texts `json:"policy" jsonschema:"required"`
	// Choices says how long choices hold.
	Choices choices `json:"choices,omitzero"`
	// IP is how much of a visitor's IP address a proof keeps.
	IP string `json:"ip,omitempty" jsonschema:"enum=full,enum=truncated,enum=none,default=full"`
	// PageQuery keeps the query string of page addresses, which may say more about a visitor than you want to hold.
	PageQuery bool `json:"page_query,omitempty"`
	// Region is the country national phone numbers are read in (ISO 3166-1, two capitals). Without it only numbers that begin with + are read.
	Region string `json:"region,omitempty" jsonschema:"pattern=^[A-Z]{2}$,example=FR"`
	// Forms are where people give an e-mail address or a phone number and decide on purposes that reach them there.
	Forms []form `json:"forms,omitempty"`
	// Mail is who confirmation mails come from. A form with double_opt_in needs it.
	Mail mail `json:"mail,omitzero"`
	// Identify lets pages of people who are logged in take over the choices of their account, with consentd's identify().
	Identify bool `json:"identify,omitempty"`
	// Words changes the built-in texts of forms, confirmation mails, the preference centre and unsubscribing, by key and language.
	Words ownWords `json:"words,omitempty"`
	// Limits bounds what one network may post.
	Limits limits `json:"limits,omitzero"`
	// Purposes are what is asked or explained, in the order shown. Each is decided alone.
	Purposes []purpose `json:"purposes" jsonschema:"required,minItems=1"`
	// Banner changes the texts of the banner and of the preferences. Every one is optional in the official languages of the European Union.
	Banner banner `json:"banner,omitzero"`
	// Cookie is about the cookie that keeps the choice.
	Cookie cookie `json:"cookie,omitzero"`
	// GPC says whether Global Privacy Control is honoured: a browser that sends it and has made no choice here has refused, and is not asked.
	GPC string `json:"gpc,omitempty" jsonschema:"enum=honour,enum=ignore,default=honour"`
	// ReloadOnWithdrawal loads the page again when an acceptance is taken back, so that scripts that run stop at once.
	ReloadOnWithdrawal bool `json:"reload_on_withdrawal,omitempty"`
	// Signals tells other tools of choices: Google Consent Mode v2, Microsoft UET and Clarity, Matomo, dataLayer. Each key takes the id of a purpose.
	Signals widget.Signals `json:"signals,omitzero"`
	// Migrate lets a site keep the markup of another consent tool, and takes over the choices it has stored.
	Migrate []migration `json:"migrate,omitempty"`
	// Theme dresses the widget.
	Theme widget.Theme `json:"theme,omitzero"`

	at place // of the site id, for the file that claims the same one
}

// controller is who is responsible.
type controller struct {
	// Name of the company or person.
	Name string `json:"name" jsonschema:"required,minLength=1"`
	// Contact is how to reach them about personal data: an e-mail address, a page, a postal address.
	Contact string `json:"contact" jsonschema:"required,minLength=1"`
}

// choices says how long choices hold.
type choices struct {
	// Keep is how long a choice holds, acceptance and refusal alike, before the visitor is asked again: at most 13 months (395d). Default 182d.
	Keep duration `json:"keep,omitempty"`
}

// limits bounds what one network (/24 of IPv4, /48 of IPv6) may post.
type limits struct {
	// ConsentsPerMinute is the average that is let through. Default 60.
	ConsentsPerMinute int `json:"consents_per_minute,omitempty" jsonschema:"minimum=1"`
	// Burst is how many may come at once. Default 60.
	Burst int `json:"burst,omitempty" jsonschema:"minimum=1"`
}

// purpose is one thing consent is asked for.
type purpose struct {
	// ID names the purpose in the API; never reuse one for something else.
	ID string `json:"id" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9_-]{0\\,38}[a-z0-9])?$,example=analytics"`
	// Ready takes title, text and the usual basis from a purpose that comes with words in the official languages of the European Union. Title, text and basis may be left out then, or given to say something else; title and text language by language.
	Ready string `json:"ready,omitempty" jsonschema:"anyof_required=ready,enum=necessary,enum=audience,enum=personalisation,enum=media,enum=profiling,enum=advertising,enum=email,enum=newsletter,enum=email_opens,enum=sms,enum=push,enum=location,enum=partners"`
	// Basis is the legal basis (GDPR art. 6(1)).
	Basis string `json:"basis,omitempty" jsonschema:"anyof_required=own,enum=consent,enum=contract,enum=legal_obligation,enum=vital_interests,enum=public_task,enum=legitimate_interest"`
	// Title is a few plain words.
	Title texts `json:"title,omitzero" jsonschema:"anyof_required=own"`
	// Text says in a sentence or two what is done and what for.
	Text texts `json:"text,omitzero" jsonschema:"anyof_required=own"`
	// Services are the third parties that act under this purpose.
	Services []service `json:"services,omitempty"`
	// Objection offers to object; for legitimate_interest only.
	Objection bool `json:"objection,omitempty"`
	// Channel is how the purpose reaches people. A purpose of the web is on the banner; the others are decided on forms and in the preference centre. Default web, or that of the ready purpose.
	Channel string `json:"channel,omitempty" jsonschema:"enum=web,enum=email,enum=sms,enum=phone,enum=post,enum=push"`
	// Use is what is done over the channel; senders ask for it by channel and use. Default send, or that of the ready purpose; none for the web.
	Use string `json:"use,omitempty" jsonschema:"enum=send,enum=track_open,enum=profile,enum=share,enum=locate,enum=measure"`
	// Inactive is how long an acceptance holds after the last contact that came from the person; for channels other than the web. At most three years, which is the default.
	Inactive duration `json:"inactive,omitempty"`
	// Keep is how long an acceptance of this purpose holds. On the web: choices.keep, unless this says otherwise, up to three years. Over other channels: without end, unless this says otherwise.
	Keep duration `json:"keep,omitempty"`
	// Default exists to be refused: a switch that is on before anyone touched it is no consent.
	Default word `json:"default,omitempty" jsonschema:"-"`
}

// form is a place where a person gives an identifier and decides on purposes.
type form struct {
	// ID names the form in pages, as in data-consentd-form="newsletter", and in addresses.
	ID string `json:"id" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9-]{0\\,38}[a-z0-9])?$,example=newsletter"`
	// Markup says who draws the form: ours is drawn from this file, yours is the page's own, whose texts are read where it stands.
	Markup string `json:"markup,omitempty" jsonschema:"enum=ours,enum=yours,default=ours"`
	// Fields are the identifiers asked for. Nothing else is asked, read or sent.
	Fields []field `json:"fields" jsonschema:"required,minItems=1"`
	// Purposes are the ids of what the form asks consent for, in the order shown: one box each, never ticked beforehand. None is of the web.
	Purposes []string `json:"purposes" jsonschema:"required,minItems=1"`
	// DoubleOptIn sends a mail to the address, and takes a yes as given once the button behind its link was pressed. The e-mail field is then always required.
	DoubleOptIn bool `json:"double_opt_in,omitempty"`
	// Title of the form. Needed unless the markup is yours.
	Title texts `json:"title,omitzero"`
	// Text says what people agree to here. Needed unless the markup is yours.
	Text texts `json:"text,omitzero"`
	// Submit is the button.
	Submit texts `json:"submit,omitzero"`
	// Thanks is shown once the choice is recorded.
	Thanks texts `json:"thanks,omitzero"`
	// Redirect is the address shown instead, on one of the site's origins: one, or one for each locale.
	Redirect texts `json:"redirect,omitzero"`
}

// field is an identifier a form asks for.
type field struct {
	// Kind of identifier.
	Kind string `json:"kind" jsonschema:"required,enum=email,enum=phone"`
	// Required fields cannot be left empty. The only field of a form always is one.
	Required bool `json:"required,omitempty"`
	// Label of the field.
	Label texts `json:"label,omitzero"`
	// Hint says why it is needed.
	Hint texts `json:"hint,omitzero"`
}

// mail is the sender of confirmation mails.
type mail struct {
	// Name people know the sender by.
	Name string `json:"name" jsonschema:"required,minLength=1"`
	// Address the mails come from.
	Address string `json:"address" jsonschema:"required,format=email"`
	// ReplyTo is where answers go; default: the address.
	ReplyTo string `json:"reply_to,omitempty" jsonschema:"format=email"`
}

// cookie is about the cookie that keeps the choice.
type cookie struct {
	// Domain shares the choice among all hosts of one domain, as in shop.example for www.shop.example and pay.shop.example. Every origin has to be on it.
	Domain string `json:"domain,omitempty" jsonschema:"example=shop.example"`
}

// migration is about another consent tool.
type migration struct {
	// From is the tool.
	From string `json:"from" jsonschema:"required,enum=klaro,enum=cookieconsent,enum=tarteaucitron,enum=orejime,enum=orejime2,enum=c15t,enum=osano,enum=fides,enum=consentloop"`
	// Cookie is the name of the tool's cookie or storage key, when it is not the usual one.
	Cookie string `json:"cookie,omitempty"`
	// Names maps the tool's services or categories to purposes here. Osano has one answer for everything: any names do, and each purpose gets it.
	Names names `json:"names" jsonschema:"required"`
}

// service is a third party.
type service struct {
	// ID names the service in pages, as in data-service="youtube". Only a service with embed needs one.
	ID string `json:"id,omitempty" jsonschema:"pattern=^[a-z0-9]([a-z0-9-]{0\\,38}[a-z0-9])?$,example=youtube"`
	// Embed offers the service where its content would stand: load it once, or always allow it.
	Embed bool `json:"embed,omitempty"`
	// Cookies are the cookies and storage keys the service keeps in the browser; shown in the preferences, and removed when the acceptance is taken back.
	Cookies []kept `json:"cookies,omitempty"`
	// Name people know it by.
	Name string `json:"name" jsonschema:"required,minLength=1"`
	// Provider is the company behind it.
	Provider string `json:"provider,omitempty"`
	// Policy is the address of its privacy policy.
	Policy string `json:"policy,omitempty" jsonschema:"format=uri"`
}

// kept is a cookie, or a key of localStorage or sessionStorage.
type kept struct {
	// Name of the cookie or key; * stands for any characters.
	Name string `json:"name" jsonschema:"required,minLength=1,example=_ga*"`
	// Lifetime is how long it stays: 13mo, 30d, 24h, 2y, or session.
	Lifetime lifetime `json:"lifetime,omitzero"`
}

// banner holds texts. {controller} stands for the controller's name in the built-in ones only.
type banner struct {
	// ContinueLink puts a second way to refuse at the top of the banner.
	ContinueLink bool `json:"continue_link,omitempty"`
	// ReopenButton is a small button, always there, that opens the preferences again. While something is agreed to, refusing everything stands beside it: one press took it, one gives it back.
	ReopenButton string `json:"reopen_button,omitempty" jsonschema:"enum=none,enum=bottom-start,enum=bottom-end,default=none"`
	// Receipt offers, in the preferences, a signed receipt of the choice this browser has made, to keep.
	Receipt bool `json:"receipt,omitempty"`
	// Logo is the address of an image shown above the title: https://…, a path of the site, or data:image/….
	Logo string `json:"logo,omitempty"`
	// ContinueWithout is that second way to refuse.
	ContinueWithout texts `json:"continue_without,omitzero"`
	// LegalBasis stands before the basis of a purpose.
	LegalBasis texts `json:"legal_basis,omitzero"`
	// BasisConsent is that basis in words.
	BasisConsent texts `json:"basis_consent,omitzero"`
	// BasisContract is that basis in words.
	BasisContract texts `json:"basis_contract,omitzero"`
	// BasisLegalObligation is that basis in words.
	BasisLegalObligation texts `json:"basis_legal_obligation,omitzero"`
	// BasisVitalInterests is that basis in words.
	BasisVitalInterests texts `json:"basis_vital_interests,omitzero"`
	// BasisPublicTask is that basis in words.
	BasisPublicTask texts `json:"basis_public_task,omitzero"`
	// BasisLegitimateInterest is that basis in words.
	BasisLegitimateInterest texts `json:"basis_legitimate_interest,omitzero"`
	// Objection says how to object, where a purpose offers it.
	Objection texts `json:"objection,omitzero"`
	// ContentFrom stands in place of content that waits. {service} is its name.
	ContentFrom texts `json:"content_from,omitzero"`
	// ContentText says what loading it means. {service} is its name.
	ContentText texts `json:"content_text,omitzero"`
	// LoadOnce loads it without allowing anything else.
	LoadOnce texts `json:"load_once,omitzero"`
	// AlwaysAllow allows the purpose of its service.
	AlwaysAllow texts `json:"always_allow,omitzero"`
	// ReceiptButton downloads that receipt.
	ReceiptButton texts `json:"receipt_button,omitzero"`
	// ReceiptWaiting is said in its place while the choice still waits in the browser.
	ReceiptWaiting texts `json:"receipt_waiting,omitzero"`
	// ReceiptFailed is said when it cannot be had.
	ReceiptFailed texts `json:"receipt_failed,omitzero"`
	// Title of the banner.
	Title texts `json:"title,omitzero"`
	// Text of the banner.
	Text texts `json:"text,omitzero"`
	// Accept is the button that accepts every purpose.
	Accept texts `json:"accept,omitzero"`
	// Refuse is the button that refuses every purpose. It is always there, as large as the other.
	Refuse texts `json:"refuse,omitzero"`
	// Choose is the button that opens the preferences.
	Choose texts `json:"choose,omitzero"`
	// Save is the button that saves a choice made purpose by purpose.
	Save texts `json:"save,omitzero"`
	// Back is the button that closes the preferences without a choice.
	Back texts `json:"back,omitzero"`
	// Reopen is the link that opens the preferences again, at any time.
	Reopen texts `json:"reopen,omitzero"`
	// PreferencesTitle is the title of the preferences.
	PreferencesTitle texts `json:"preferences_title,omitzero"`
	// PreferencesText is the text of the preferences.
	PreferencesText texts `json:"preferences_text,omitzero"`
	// PolicyText is the text of the link to the privacy policy.
	PolicyText texts `json:"policy_text,omitzero"`
	// Necessary stands beside a purpose nobody decides on.
	Necessary texts `json:"necessary,omitzero"`
}
