package admit

import (
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// DeviceClass guesses the coarse kind of device from a User-Agent. It knows the tokens the large browsers
// send and nothing else; whatever names itself a program, or says nothing it knows, is "other". It is a
// guess for counting, never evidence: iPads have called themselves Macintosh since 2019.
func DeviceClass(ua string) consent.DeviceClass {
	switch {
	case !strings.HasPrefix(ua, "Mozilla/5.0 ("), machine(ua):
		return consent.DeviceOther
	case strings.Contains(ua, "iPad"), strings.Contains(ua, "Tablet"), strings.Contains(ua, "Silk/"):
		return consent.DeviceTablet
	case strings.Contains(ua, "iPhone"), strings.Contains(ua, "Mobile"):
		return consent.DeviceMobile
	case strings.Contains(ua, "Android"):
		return consent.DeviceTablet // Chrome on Android says Mobile on phones only
	case strings.Contains(ua, "Windows NT"), strings.Contains(ua, "Macintosh"), strings.Contains(ua, "X11;"), strings.Contains(ua, "CrOS"):
		return consent.DeviceDesktop
	}
	return consent.DeviceOther
}

// machine reports whether ua names itself a robot or a browser under remote control.
func machine(ua string) bool {
	for _, token := range [...]string{"bot", "Bot", "crawl", "Crawl", "spider", "Spider", "Headless", "+http", "PhantomJS", "Lighthouse"} {
		if strings.Contains(ua, token) {
			return true
		}
	}
	return false
}
