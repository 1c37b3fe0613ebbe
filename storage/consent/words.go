package consent

// Words are the short texts of what a person meets besides the banner (forms, confirmation mails, the preference
// centre, unsubscribing), by locale and then by key, as in "mail.confirm_subject". Every locale of a site has
// every key.
type Words map[string]map[string]string

// Of gives the text of a key in a locale; "" for a locale the site does not have, and for a key there is not.
func (w Words) Of(locale, key string) string { return w[locale][key] }
