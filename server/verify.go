package server

import (
	"crypto/sha256"
	_ "embed" // verify/
	"encoding/base64"
	"strings"

	"github.com/gofiber/fiber/v2"
)

//go:embed verify/verify.html
var verifyHTML string

//go:embed verify/verify.css
var verifyCSS string

//go:embed verify/verify.js
var verifyJS string

// verifyPage is one document with its style and its script inside, so that it can be saved and opened from a disk
// with no network. Its policy stands in it too, for that case: it may load nothing and send nothing anywhere.
func verifyPage() page {
	policy := "default-src 'none'; script-src " + hashSource(verifyJS) + "; style-src " + hashSource(verifyCSS) + "; base-uri 'none'; form-action 'none'"
	body := strings.NewReplacer("{{policy}}", policy, "{{style}}", verifyCSS, "{{script}}", verifyJS).Replace(verifyHTML)
	return newPage("text/html; charset=utf-8", policy+"; frame-ancestors 'none'", []byte(body))
}

// hashSource allows one inline style or script by what it is.
func hashSource(inline string) string {
	sum := sha256.Sum256([]byte(inline))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// verify serves the page that checks an evidence file in the browser.
func (s *Server) verify(c *fiber.Ctx, _ *view) error {
	s.docPages.verify.send(c.Context())
	return nil
}
