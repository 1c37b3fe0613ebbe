package admit

import (
	"strings"
	"unicode/utf8"
)

// maxPage is how many bytes of a page's URL are kept, after the query is gone. Longer ones are cut: a long
// address is no reason to lose a choice.
const maxPage = 1024

// reducePage cuts a page's URL to what may be kept and tells its origin. Fragments always go (they name
// state of the page, at times of the person), queries unless the site keeps them.
func reducePage(raw string, keepQuery bool) (page, origin string, ok bool) {
	n := schemeLen(raw)
	if n == 0 {
		return "", "", false
	}
	end := n
	for end < len(raw) && raw[end] != '/' && raw[end] != '?' && raw[end] != '#' {
		end++
	}
	if !authority(raw[n:end]) || strings.ContainsFunc(raw[end:], unprintable) {
		return "", "", false
	}
	page, _, _ = strings.Cut(raw, "#")
	if !keepQuery {
		page, _, _ = strings.Cut(page, "?")
	}
	return cutPage(page), normalOrigin(raw[:end]), true
}

func schemeLen(raw string) int {
	for _, scheme := range [...]string{"https://", "http://"} {
		if len(raw) > len(scheme) && strings.EqualFold(raw[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

// authority accepts host[:port] as browsers write it: no user information, no escapes, no spaces.
func authority(s string) bool {
	if s == "" || len(s) > 260 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("-._:[]", rune(c)) {
			return false
		}
	}
	return true
}

func unprintable(r rune) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError }

// normalOrigin writes scheme://host[:port] the way RFC 6454 §6.2 does; a browser's own spelling is left as it is.
func normalOrigin(s string) string {
	s = strings.ToLower(s)
	if strings.HasPrefix(s, "https:") {
		return strings.TrimSuffix(s, ":443")
	}
	return strings.TrimSuffix(s, ":80")
}

// cutPage shortens without leaving half an escape or half a character.
func cutPage(s string) string {
	if len(s) <= maxPage {
		return s
	}
	cut := maxPage
	if i := strings.LastIndexByte(s[:cut], '%'); i >= cut-2 {
		cut = i
	}
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
