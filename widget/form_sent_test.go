package widget_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/consentd/consentd/widget/widgettest"
)

// A page's own program stands between the button and the browser. What it does with a press, by name; each says in
// window.did that it has come to its end. `said` is what the page reads the proofs from.
const programs = `<script>
const proof = form => form.elements.consentd_proof?.value ?? "";
const did = (form, said) => (window.did ||= []).push(said ?? proof(form));
const programs = {
	refuses: (e, form) => { e.preventDefault(); did(form) },
	"refuses after a look at its FormData": (e, form) => { e.preventDefault(); new FormData(form).get("mail"); did(form) },
	"sends a FormData": (e, form) => { e.preventDefault(); did(form, new FormData(form).get("consentd_proof")) },
	"sends a FormData after a while": (e, form) => { e.preventDefault(); setTimeout(() => did(form, new FormData(form).get("consentd_proof")), 50) },
	"submits after a while": (e, form) => { e.preventDefault(); setTimeout(() => { did(form); form.submit() }, 50) },
	"reads field by field": (e, form) => { e.preventDefault(); const said = proof(form); setTimeout(() => { form.reset(); consentd.submitted(form); did(form, said) }, 50) },
	"lets it go": (e, form) => did(form),
};
addEventListener("submit", e => programs[window.mode](e, e.target));
</script>`

// leaves are the programs that leave the page.
var leaves = []string{"submits after a while", "lets it go"}

// press fills the page's form, and presses its button under a program. It gives what the page read, if it is still there.
func press(tab *widgettest.Tab, n int, mode string, boxes ...string) (proof string) {
	widgettest.Eval[bool](tab, fmt.Sprintf(`(window.mode = %q, true)`, mode))
	fill(tab, boxes...)
	if slices.Contains(leaves, mode) {
		tab.Until(`location.pathname === "/send" && document.readyState === "complete"`)
		return ""
	}
	tab.Until(fmt.Sprintf(`(window.did ?? []).length >= %d`, n))
	return widgettest.Eval[string](tab, fmt.Sprintf(`window.did[%d]`, n-1))
}

// What a page sends is recorded, however it sends it, under the id it sent along; what it refuses is not, and the
// next answer is.
func TestWhatThePageSendsIsRecorded(t *testing.T) {
	for _, mode := range []string{"sends a FormData", "sends a FormData after a while", "submits after a while", "reads field by field", "lets it go"} {
		t.Run(mode, func(t *testing.T) {
			s, tab := visitForms(t, page{head: programs + listen, body: contact})
			got(t, s, &s.prompts, 1)
			tab.Until("window.consentd?.get")
			refused := press(tab, 1, "refuses", "#n", "#p input")
			got(t, s, &s.consents, 0)
			sent := press(tab, 2, mode, "#p input") // which is unticked before it is sent
			c := got(t, s, &s.consents, 1)[0]
			if slices.Contains(leaves, mode) {
				sent = s.forms()[0].Get("consentd_proof")
			}
			if c.ID != sent || c.ID == refused || refused == "" || !c.Decisions["newsletter"] || c.Decisions["partners"] || c.Method != "custom" {
				t.Errorf("consent %+v; refused %s, sent %s", c, refused, sent)
			}
		})
	}
}

// The same answer, refused for something else and then sent, has one id.
func TestAnAnswerThatWasRefusedKeepsItsProof(t *testing.T) {
	s, tab := visitForms(t, page{head: programs, body: contact})
	got(t, s, &s.prompts, 1)
	tab.Until("window.consentd?.get")
	refused := press(tab, 1, "refuses", "#n")
	sent := press(tab, 2, "sends a FormData")
	if c := got(t, s, &s.consents, 1)[0]; c.ID != refused || c.ID != sent {
		t.Errorf("consent %+v; refused %s, sent %s", c, refused, sent)
	}
	press(tab, 3, "sends a FormData") // twice is once
	got(t, s, &s.consents, 1)
}

// A page that looks at its FormData before it decides says so, and says when the form is sent.
func TestAPageThatLooksBeforeItSends(t *testing.T) {
	s, tab := visitForms(t, page{head: programs, body: `<div id="d"></div>` + contact})
	got(t, s, &s.prompts, 1)
	tab.Until("window.consentd?.get")
	widgettest.Eval[bool](tab, `(document.forms[0].setAttribute("data-consentd-wait", ""), true)`)
	first := press(tab, 1, "refuses after a look at its FormData", "#n", "#p input")
	press(tab, 2, "sends a FormData") // that too is a look
	widgettest.Eval[bool](tab, `(consentd.submitted(document.querySelector("#d")), consentd.submitted(null), true)`)
	got(t, s, &s.consents, 0)
	last := press(tab, 3, "refuses after a look at its FormData", "#p input")
	widgettest.Eval[bool](tab, `(consentd.submitted(document.forms[0]), true)`)
	if c := got(t, s, &s.consents, 1)[0]; c.ID != last || c.ID == first || c.Decisions["partners"] {
		t.Errorf("consent %+v; looked at %s, then %s", c, first, last)
	}
	// The control: without the attribute a look counts.
	widgettest.Eval[bool](tab, `(document.forms[0].removeAttribute("data-consentd-wait"), true)`)
	press(tab, 4, "refuses after a look at its FormData", "#p input")
	got(t, s, &s.consents, 2)
}

// A draft that a page keeps while the form is filled in is not what was sent.
func TestADraftIsNotSent(t *testing.T) {
	s, tab := visitForms(t, page{head: programs + `<script>addEventListener("input", e => { new FormData(e.target.form); (window.drafts ||= []).push(1) })</script>`, body: contact})
	got(t, s, &s.prompts, 1)
	tab.Until("window.consentd?.get")
	click(tab, `document.querySelector("#n")`)
	press(tab, 1, "refuses")
	widgettest.Eval[bool](tab, `(document.querySelector("#name").focus(), true)`)
	tab.Key("x")
	tab.Until("window.drafts?.length >= 2")
	got(t, s, &s.consents, 0)
	sent := press(tab, 2, "sends a FormData")
	if c := got(t, s, &s.consents, 1)[0]; c.ID != sent {
		t.Errorf("consent %+v, sent %s", c, sent)
	}
}

// A program that submits nothing in the sense of the browser: a button of its own, and the queue of calls.
func TestAFormThatIsNeverSubmitted(t *testing.T) {
	s, tab := visitForms(t, page{body: contact})
	got(t, s, &s.prompts, 1)
	tab.Until("window.consentd?.get")
	widgettest.Eval[bool](tab, `(document.querySelector("#mail").value = "camille@maison.example", document.querySelector("#n").click(), true)`)
	widgettest.Eval[bool](tab, `(consentd.push(["submitted", document.forms[0]]), true)`)
	c := got(t, s, &s.consents, 1)[0]
	if proof := widgettest.Eval[string](tab, `document.querySelector("[name=consentd_proof]").value`); c.ID != proof || !c.Decisions["newsletter"] {
		t.Errorf("consent %+v, proof %s", c, proof)
	}
}
