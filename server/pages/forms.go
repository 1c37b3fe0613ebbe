package pages

import (
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// Form is a hosted form: what its wording says, and nothing else.
type Form struct {
	Page
	Action   string
	Shown    *consent.Wording
	Values   map[consent.Kind]string // what was typed before
	Wrong    map[consent.Kind]string // what is wrong with it, in words
	Ticked   map[string]bool         // by purpose
	Untold   string                  // what is wrong with the boxes; "": nothing
	Again    string                  // what is wrong with the whole; "": nothing
	Hidden   []Hidden
	Problems []Problem // filled by Render
}

// Hidden is a value that comes back as it went out.
type Hidden struct{ Name, Value string }

// Problem is one line of what is wrong; At is the id of what to mend.
type Problem struct{ Text, At string }

// Field is an input of a form.
type Field struct {
	consent.ShownField
	Name, Type, Autocomplete, Value, Problem string
}

// DescribedBy lists what else belongs to an input.
func (f Field) DescribedBy() string {
	var ids []string
	if f.Hint != "" {
		ids = append(ids, f.Name+"-hint")
	}
	if f.Problem != "" {
		ids = append(ids, f.Name+"-wrong")
	}
	return strings.Join(ids, " ")
}

// Box is one purpose of a form.
type Box struct {
	Shown  consent.ShownPurpose
	Ticked bool
}

// Submit is the label of the button.
func (f *Form) Submit() string { return f.Shown.Buttons["submit"] }

// Fields are the inputs in the order shown.
func (f *Form) Fields() []Field {
	all := make([]Field, len(f.Shown.Fields))
	for i, s := range f.Shown.Fields {
		all[i] = Field{ShownField: s, Name: string(s.Kind), Type: "email", Autocomplete: "email", Value: f.Values[s.Kind], Problem: f.Wrong[s.Kind]}
		if s.Kind == consent.KindPhone {
			all[i].Type, all[i].Autocomplete = "tel", "tel"
		}
	}
	return all
}

// Boxes are the purposes in the order shown. None is ticked that the person has not ticked.
func (f *Form) Boxes() []Box {
	all := make([]Box, len(f.Shown.Purposes))
	for i, p := range f.Shown.Purposes {
		all[i] = Box{Shown: p, Ticked: f.Ticked[p.ID]}
	}
	return all
}

// BoxProblem is what is wrong with the boxes.
func (f *Form) BoxProblem() string { return f.Untold }

// Render draws the page. With anything wrong, a list of it stands first and has the focus.
func (f *Form) Render() ([]byte, error) {
	f.Problems = nil
	for _, d := range f.Fields() {
		if d.Problem != "" {
			f.Problems = append(f.Problems, Problem{d.Problem, d.Name})
		}
	}
	if f.Untold != "" {
		at := ""
		for _, p := range f.Shown.Purposes {
			if !p.Required && at == "" {
				at = "p_" + p.ID
			}
		}
		f.Problems = append(f.Problems, Problem{f.Untold, at})
	}
	if f.Again != "" {
		f.Problems = append(f.Problems, Problem{f.Again, ""})
	}
	return render("form", f)
}
