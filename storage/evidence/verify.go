package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/mod/sumdb/tlog"
)

// Status is how a step of a verification ended.
type Status string

// A step passes, or refuses the file, or cannot be done with what is at hand.
const (
	Passed  Status = "passed"
	Refused Status = "refused"
	Skipped Status = "skipped"
)

// Step is one thing that was looked at. Part, Check and Status are the same in every verifier; Detail is for a
// person.
type Step struct {
	Part   string `json:"part"`  // as a path into the file: "evidence.proofs[0].inclusion"
	Check  string `json:"check"` // see the package documentation
	Status Status `json:"status"`
	Detail string `json:"detail"`
}

// Report is everything that was looked at, in order.
type Report struct {
	Steps []Step
	File  *File // as far as it could be read; nil: not at all
}

// OK reports that no step refused the file.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Status == Refused })
}

// step notes one outcome: err nil passes.
func (r *Report) step(part, check, passed string, err error) bool {
	s := Step{Part: part, Check: check, Status: Passed, Detail: passed}
	if err != nil {
		s.Status, s.Detail = Refused, trimPackage(err)
	}
	r.Steps = append(r.Steps, s)
	return err == nil
}

func (r *Report) skip(part, check, why string) {
	r.Steps = append(r.Steps, Step{Part: part, Check: check, Status: Skipped, Detail: why})
}

// trimPackage drops what helps a programmer only.
func trimPackage(err error) string { return strings.ReplaceAll(err.Error(), "evidence: ", "") }

// Verify checks the bytes of a file against verifier keys, which must come from somewhere else than the file. old is
// a checkpoint noted earlier, nil: none. It needs nothing but its arguments.
func Verify(file []byte, keys []Key, old []byte) *Report {
	r := &Report{}
	f, err := Decode(file)
	if !r.step("file", "readable", "an evidence file, version 1, in canonical JSON", err) {
		return r
	}
	r.File = f
	e := &f.Evidence
	v := &verifier{Report: r, e: e, keys: keys}
	v.signature(f)
	v.listedKeys()
	proofs := v.log("evidence.logs.proofs", logOfProofs, &e.Logs.Proofs)
	published := v.log("evidence.logs.published", logOfPublications, &e.Logs.Published)
	v.publications(published)
	v.proofs(proofs)
	if old != nil {
		v.earlier(old, proofs, published)
	}
	return r
}

type verifier struct {
	*Report
	e        *Evidence
	keys     []Key
	wordings map[string]*shown // by hash, those that hold
	bundles  []*bundle
}

// shown is a wording publication that holds.
type shown struct {
	at  consent.Millis
	doc *consent.Wording
}

// bundle is a script's publication that holds.
type bundle struct {
	at       consent.Millis
	wordings []string
}

func (v *verifier) signature(f *File) {
	text, err := v.e.statement()
	if err == nil {
		_, err = openNote([]byte(text+"\n"+f.Signature), signedAs(v.e.Name), v.keys)
	}
	v.step("signature", "signed", "signed by "+v.e.Name+" on "+v.e.MadeAt.String(), err)
}

func (v *verifier) listedKeys() {
	for i, k := range v.e.Keys {
		key, err := ParseKey(k)
		if err == nil && key.Name() != v.e.Name {
			err = fmt.Errorf("%w: it belongs to %q", ErrKey, key.Name())
		}
		v.step(fmt.Sprintf("evidence.keys[%d]", i), "well_formed", "a verifier key of "+v.e.Name, err)
	}
}

// log checks a checkpoint; nil: it does not hold.
func (v *verifier) log(part, name string, l *LogPart) *Checkpoint {
	c, err := OpenCheckpoint([]byte(l.Checkpoint), v.keys...)
	if err == nil {
		base := v.e.Name + "/" + name
		if c.Origin != base && !strings.HasPrefix(c.Origin, base+"/") {
			err = fmt.Errorf("the checkpoint is of another log, %s", c.Origin)
		}
	}
	if !v.step(part+".checkpoint", "signed", describe(c), err) {
		return nil
	}
	if s := l.Since; s != nil {
		v.step(part+".since", "consistent", fmt.Sprintf("the log only grew since it had %d entries", s.Size), s.check(c))
	}
	return c
}

func describe(c *Checkpoint) string {
	if c == nil {
		return ""
	}
	text := fmt.Sprintf("%s had %d entries on %s, signed", c.Origin, c.Size, c.At)
	if f := c.Succeeds; f != nil {
		text += fmt.Sprintf("; it went on from %s, last signed with %d entries", f.Origin, f.Size)
	}
	return text
}

var errInconsistent = errors.New("the log was changed, not only added to")

func (s *Since) check(c *Checkpoint) error {
	if s.Size < 1 || s.Size > c.Size || tlog.CheckTree(s.Hashes, int64(c.Size), c.Root, int64(s.Size), s.Root) != nil {
		return errInconsistent
	}
	return nil
}

// included checks an audit path against a checkpoint that holds.
func (v *verifier) included(part string, c *Checkpoint, index uint64, path []tlog.Hash, entry string) bool {
	if c == nil {
		v.skip(part, "in_log", "there is no checkpoint that holds to check it against")
		return false
	}
	err := fmt.Errorf("these bytes are not entry %d of the log %s", index, c.Origin)
	if index < c.Size && tlog.CheckRecord(path, int64(c.Size), c.Root, int64(index), tlog.RecordHash([]byte(entry))) == nil {
		err = nil
	}
	return v.step(part, "in_log", fmt.Sprintf("entry %d of %s", index, c.Origin), err)
}

// publicationFacts is what a verifier reads of an entry; there may be more in it.
type publicationFacts struct {
	About       map[string]any `json:"about"`
	Hash        string         `json:"hash"`
	Kind        string         `json:"kind"`
	Locale      string         `json:"locale"`
	PublishedAt stamp          `json:"published_at"`
	Site        string         `json:"site"`
	Surface     string         `json:"surface"`
	Type        string         `json:"type"`
	V           int            `json:"v"`
}

// stamp is a time in the one spelling it has.
type stamp struct{ consent.Millis }

func (s *stamp) UnmarshalJSON(b []byte) error {
	if err := s.Millis.UnmarshalJSON(b); err != nil {
		return err
	}
	if string(consent.AppendMillis(nil, s.Millis)) != string(b) {
		return fmt.Errorf("%s is not a time with milliseconds in UTC", b)
	}
	return nil
}

func (v *verifier) publications(c *Checkpoint) {
	v.wordings = map[string]*shown{}
	for i := range v.e.Published {
		p := &v.e.Published[i]
		part := fmt.Sprintf("evidence.published[%d]", i)
		var facts publicationFacts
		err := readEntry(p.Entry, &facts, "about", "hash", "kind", "locale", "published_at", "site", "surface", "type", "v")
		if err == nil {
			err = v.belongs(facts.Type == "publication" && facts.V == 1, facts.Site)
		}
		well := v.step(part+".entry", "well_formed", fmt.Sprintf("%s of %s, published %s", facts.Kind, facts.Site, facts.PublishedAt), err)
		in := v.included(part+".inclusion", c, p.Index, p.Inclusion, p.Entry)
		if p.Doc != "" && well {
			v.document(part+".doc", p, &facts, in)
		}
	}
}

// readEntry reads canonical JSON that has the members named, in this spelling.
func readEntry(entry string, into any, members ...string) error {
	again, err := consent.Canonical(json.RawMessage(entry))
	if err != nil || string(again) != entry {
		return errors.New("the entry is not canonical JSON")
	}
	var has map[string]json.RawMessage
	err = errors.Join(json.Unmarshal([]byte(entry), into), json.Unmarshal([]byte(entry), &has))
	for _, m := range members {
		if has[m] == nil {
			err = errors.New("")
		}
	}
	if err != nil {
		return errors.New("the entry is not what an entry of this log is")
	}
	return nil
}

func (v *verifier) belongs(typed bool, site string) error {
	switch {
	case !typed:
		return errors.New("the entry is of another kind or version")
	case site != v.e.Site.ID:
		return fmt.Errorf("the entry is of another site, %q", site)
	}
	return nil
}

// document checks what an entry stands for, and keeps it for the proofs when the entry is in the log.
func (v *verifier) document(part string, p *Publication, facts *publicationFacts, in bool) {
	switch consent.PublicationKind(facts.Kind) {
	case consent.PublishedWording:
		w, err := openWording(p.Doc, facts)
		if v.step(part, "hashes", "the text shown on "+facts.Surface+" in "+facts.Locale, err) && in {
			v.wordings[facts.Hash] = &shown{facts.PublishedAt.Millis, w}
		}
	case consent.PublishedBundle:
		list, err := openList(p.Doc, facts)
		if v.step(part, "hashes", fmt.Sprintf("the script carried %d texts", len(list)), err) && in {
			v.bundles = append(v.bundles, &bundle{facts.PublishedAt.Millis, list})
		}
	default:
		v.step(part, "hashes", "", errors.New("this kind of entry has no document"))
	}
}

func openWording(doc string, facts *publicationFacts) (*consent.Wording, error) {
	if sum := sha256.Sum256([]byte(doc)); hex.EncodeToString(sum[:]) != facts.Hash {
		return nil, errors.New("the text is not the one that was published under this hash")
	}
	w, err := consent.ParseWording([]byte(doc))
	if err != nil {
		return nil, errors.New("the text cannot be read")
	}
	if w.Site != facts.Site || w.Surface != facts.Surface || w.Locale != facts.Locale {
		return nil, errors.New("the text is of another site, surface or language than its entry says")
	}
	return w, nil
}

func openList(doc string, facts *publicationFacts) (list []string, err error) {
	sum := sha256.Sum256([]byte(doc))
	if facts.About["wordings"] != hex.EncodeToString(sum[:]) || json.Unmarshal([]byte(doc), &list) != nil {
		return nil, errors.New("the list is not the one that was published with the script")
	}
	return list, nil
}

// proofFacts is what a verifier reads of a proof's entry; there may be more in it.
type proofFacts struct {
	Commitment string            `json:"commitment"`
	Decisions  map[string]string `json:"decisions"`
	ID         string            `json:"id"`
	RecordedAt stamp             `json:"recorded_at"`
	Site       string            `json:"site"`
	Type       string            `json:"type"`
	V          int               `json:"v"`
	Wording    string            `json:"wording"`
}

func (v *verifier) proofs(c *Checkpoint) {
	for i := range v.e.Proofs {
		p := &v.e.Proofs[i]
		part := fmt.Sprintf("evidence.proofs[%d]", i)
		var facts proofFacts
		err := readEntry(p.Facts, &facts, "commitment", "decisions", "id", "recorded_at", "site", "type", "v", "wording")
		if err == nil {
			err = v.belongs(facts.Type == "consent" && facts.V == 1, facts.Site)
		}
		well := v.step(part+".facts", "well_formed", fmt.Sprintf("proof %s of %s, recorded %s", facts.ID, facts.Site, facts.RecordedAt), err)
		v.included(part+".inclusion", c, p.Index, p.Inclusion, p.Facts)
		if !well {
			continue
		}
		v.personal(part, p, &facts)
		v.shown(part, &facts)
	}
}

// personal opens the commitment. Without a personal part the facts stand by themselves.
func (v *verifier) personal(part string, p *Proof, facts *proofFacts) {
	if p.Erased {
		if p.Personal+p.Salt+p.Identifier != "" {
			v.step(part+".personal", "opens", "", errors.New("it is said to be erased, and is there"))
			return
		}
		v.skip(part+".personal", "opens", "erased: nothing in this file says who the person was")
		return
	}
	salt, err := hex.DecodeString(p.Salt)
	sum := sha256.Sum256(append(salt, p.Personal...))
	if err != nil || strings.ToLower(p.Salt) != p.Salt || hex.EncodeToString(sum[:]) != facts.Commitment {
		v.step(part+".personal", "opens", "", errors.New("the personal part is not the one the proof was recorded with"))
		return
	}
	v.step(part+".personal", "opens", "the person, address, browser and page the proof was recorded with", nil)
	if p.Identifier != "" {
		v.skip(part+".identifier", "known", "that this address belongs to the subject key rests on the server's word: only it has the secret")
	}
}

// shown finds the text the person was shown, and the script that carried it.
func (v *verifier) shown(part string, facts *proofFacts) {
	part += ".wording"
	if facts.Wording == "" {
		v.skip(part, "shown", "no text was shown: the choice was recorded by a program or a signal of the browser")
		return
	}
	w := v.wordings[facts.Wording]
	if w == nil {
		v.step(part, "shown", "", fmt.Errorf("the file holds no text with the hash %s that checks out", facts.Wording))
		return
	}
	if !v.step(part, "shown", fmt.Sprintf("%q, published %s", w.doc.Title, w.at), w.fits(facts)) {
		return
	}
	for _, b := range v.bundles {
		if b.at <= facts.RecordedAt.Millis+slack && slices.Contains(b.wordings, facts.Wording) {
			v.step(part, "carried", fmt.Sprintf("by a script published %s", b.at), nil)
			return
		}
	}
	v.skip(part, "carried", "the file names no script that carried this text")
}

// slack is how far the times of two requests to one edge may lie the wrong way round, in ms: a choice is dated when
// it arrives, a publication when it is written.
const slack consent.Millis = 60_000

func (s *shown) fits(facts *proofFacts) error {
	if s.at > facts.RecordedAt.Millis+slack {
		return fmt.Errorf("the text was published only on %s", s.at)
	}
	for _, purpose := range slices.Sorted(maps.Keys(facts.Decisions)) {
		if !slices.ContainsFunc(s.doc.Purposes, func(p consent.ShownPurpose) bool { return p.ID == purpose }) {
			return fmt.Errorf("the text does not ask about %q", purpose)
		}
	}
	return nil
}

// earlier compares a checkpoint somebody noted with those of the file.
func (v *verifier) earlier(old []byte, logs ...*Checkpoint) {
	const part = "checkpoint"
	c, err := OpenCheckpoint(old, v.keys...)
	if !v.step(part, "signed", describe(c), err) {
		return
	}
	for i, now := range logs {
		since, ask := v.e.Logs.Proofs.Since, "since"
		if i == 1 {
			since, ask = v.e.Logs.Published.Since, "since_published"
		}
		switch {
		case now == nil:
		case now.Origin == c.Origin:
			v.grown(part, c, now, since, ask)
			return
		case now.Succeeds != nil && now.Succeeds.Origin == c.Origin:
			v.succeeded(part, c, now)
			return
		}
	}
	v.step(part, "consistent", "", fmt.Errorf("the file rests on other logs than %s", c.Origin))
}

func (v *verifier) grown(part string, old, now *Checkpoint, since *Since, ask string) {
	switch {
	case old.Size == now.Size || old.Size == 0:
		err := errInconsistent
		if old.Root == now.Root || old.Size == 0 {
			err = nil
		}
		v.step(part, "consistent", "the file's log holds all of it", err)
	case old.Size > now.Size:
		v.skip(part, "consistent", "the checkpoint is later than the file: ask for the file again")
	case since == nil || since.Size != old.Size:
		v.skip(part, "consistent", fmt.Sprintf("the file does not show how the log grew from there: ask for it again with ?%s=%d", ask, old.Size))
	case since.Root != old.Root:
		v.step(part, "consistent", "", errInconsistent)
	default:
		v.step(part, "consistent", "the file's log holds all of it", since.check(now))
	}
}

func (v *verifier) succeeded(part string, old, now *Checkpoint) {
	if f := now.Succeeds; old.Size != f.Size || old.Root != f.Root {
		v.skip(part, "consistent", fmt.Sprintf("the log went on under %s from the %d entries last signed, which is not this checkpoint", now.Origin, f.Size))
		return
	}
	v.step(part, "consistent", "the log was continued from here under "+now.Origin+", openly", nil)
}
