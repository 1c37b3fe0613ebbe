package site

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says whether a file with this problem is served.
type Severity string

// An error keeps a file from being served; a warning does not.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing wrong with a file.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1; 0 when the problem is the file as a whole
	Column   int      `json:"column"` // from 1, in characters
	Severity Severity `json:"severity"`
	Code     string   `json:"code"` // stable, one of the constants below
	Key      string   `json:"key"`  // where in the structure: purposes[1].title.fr
	Text     string   `json:"text"` // what is wrong and what to do, a sentence
}

// String is one line, in the form editors and terminals make links of.
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	key := p.Key
	if key != "" {
		key += " "
	}
	return fmt.Sprintf("%s: %s: %s%s [%s]", place, p.Severity, key, p.Text, p.Code)
}

// Codes about the file.
const (
	CodeUnreadable       = "unreadable"        // the file or directory cannot be read
	CodeTooLarge         = "too_large"         // over 256 KiB, 10,000 lines or 32 levels
	CodeSyntax           = "syntax"            // not YAML
	CodeSeveralDocuments = "several_documents" // more than one document, or none
	CodeYAMLFeature      = "yaml_feature"      // anchors, aliases, tags, merge keys
	CodeUnknownKey       = "unknown_key"
	CodeDuplicateKey     = "duplicate_key"
	CodeWrongType        = "wrong_type"
	CodeNoValue          = "no_value"      // a key with nothing behind it
	CodeMissingKey       = "missing_key"   // a key that has to be there
	CodeInvalidValue     = "invalid_value" // of the right type, and not one of those that mean something
	CodeNoSites          = "no_sites"      // warning: a directory without a file
)

// Codes about the site.
const (
	CodeSiteID         = "site_id"
	CodeSiteDuplicate  = "site_duplicate"
	CodeSecret         = "secret" // the site's secret cannot be had
	CodeOriginInvalid  = "origin_invalid"
	CodeOriginTooWide  = "origin_too_wide" // a wildcard over what strangers share
	CodeOriginHTTP     = "origin_http"     // warning: unencrypted, and not this machine
	CodeLocaleInvalid  = "locale_invalid"
	CodeLocaleTwice    = "locale_duplicate"
	CodeLocaleNoTexts  = "locale_without_texts" // no built-in text, and none given
	CodeTextMissing    = "text_missing"
	CodeTextLocale     = "text_locale" // in a language the site does not have
	CodeTextTooLong    = "text_too_long"
	CodePolicyMissing  = "policy_missing"
	CodeLinkInvalid    = "link_invalid"
	CodeRegion         = "region_unknown"
	CodeNoPurpose      = "no_purpose"
	CodePurposeID      = "purpose_id"
	CodePurposeTwice   = "purpose_duplicate"
	CodeBasis          = "basis_unknown"
	CodeObjectionBasis = "objection_basis"
	CodeReadyUnknown   = "ready_unknown"   // no such ready purpose
	CodePurposeUnknown = "purpose_unknown" // named where the site has no such purpose
	CodeServiceID      = "service_id"
	CodeCookieDomain   = "cookie_domain" // not the site's own, or not that of an origin
	CodeChannel        = "channel_unknown"
	CodeUse            = "use_unknown"
	CodeFormID         = "form_id"
	CodeFormTwice      = "form_duplicate"
	CodeFormNoField    = "form_without_field"
	CodeFormNoPurpose  = "form_without_purpose"
	CodeFormBanner     = "form_purpose_banner"  // a form asks for what the banner asks for
	CodeFormBasis      = "form_purpose_basis"   // a form asks for what needs no consent
	CodeFormChannel    = "form_purpose_channel" // warning: the form asks for no identifier of that channel
	CodeOptInField     = "double_opt_in_without_email"
	CodeOptInMail      = "double_opt_in_without_mail"
	CodeMailAddress    = "mail_address"
	CodeRedirect       = "redirect_foreign"
	CodeWordUnknown    = "word_unknown"     // no such built-in word
	CodeWordBraces     = "word_placeholder" // {…} that nothing stands for
	CodeNoEffect       = "no_effect"        // warning: a key that changes nothing
	CodeNothingAsked   = "nothing_asked"    // warning: no purpose leaves anything to decide
)

// Codes about dark patterns.
const (
	CodeDefaultOn     = "default_on"
	CodeKeepTooLong   = "keep_too_long"
	CodeKeepTooShort  = "keep_too_short"
	CodeKeepShort     = "keep_short" // warning: asks again and again
	CodeKeepLong      = "keep_long"  // warning: over 13 months, for one purpose
	CodeInactiveLong  = "inactive_too_long"
	CodeRefuseMissing = "refuse_missing"
	CodeRefuseUnclear = "refuse_unclear" // reads like another button
	CodeLowContrast   = "low_contrast"
	CodeThemeValue    = "theme_value"
	CodeTextCutOff    = "text_cut_off"
)

// hasErrors reports whether any of ps keeps a file from being served.
func hasErrors(ps []Problem) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == Error })
}

// sorted orders by place, errors before warnings at the same one.
func sorted(ps []Problem) []Problem {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Severity, b.Severity))
	})
	return ps
}
