package evidence_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"golang.org/x/mod/sumdb/note"
)

// example is a file about one proof under a wording, between other people's proofs.
func example(t *testing.T) (e *edge, file []byte, about evidence.Recorded) {
	t.Helper()
	e = openEdge(t, t.TempDir())
	fr, en := wording(t, "fr", "Vos choix"), wording(t, "en", "Your choices")
	e.publish(fr)
	e.publish(en)
	e.recordMany(3, en)
	about = e.record(e.proof(100, fr))
	e.recordMany(5, en)
	about.Identifier = "jean@exemple.fr"
	return e, e.file(about), about
}

func TestAFileHoldsWhatItTakesAndVerifies(t *testing.T) {
	e, file, about := example(t)
	r := wantOK(t, file, e.key())
	for _, want := range []string{"file readable", "signature signed", "evidence.keys[0] well_formed", "evidence.logs.proofs.checkpoint signed",
		"evidence.logs.published.checkpoint signed", "evidence.proofs[0].facts well_formed", "evidence.proofs[0].inclusion in_log",
		"evidence.proofs[0].personal opens", "evidence.proofs[0].wording shown", "evidence.proofs[0].wording carried"} {
		part, check, _ := strings.Cut(want, " ")
		if got := status(r, part, check); got != evidence.Passed {
			t.Errorf("%s: %q, want passed\n%s", want, got, steps(r))
		}
	}
	if got := status(r, "evidence.proofs[0].identifier", "known"); got != evidence.Skipped {
		t.Errorf("an address is taken for proven: %s", got)
	}
	p := r.File.Evidence.Proofs[0]
	if p.Facts != string(about.AppendFacts(nil)) || p.Index != about.Seq {
		t.Errorf("%+v", p)
	}
	kinds := map[string]int{}
	for _, p := range r.File.Evidence.Published {
		var entry struct{ Kind, Locale string }
		if err := json.Unmarshal([]byte(p.Entry), &entry); err != nil {
			t.Fatal(err)
		}
		kinds[entry.Kind+" "+entry.Locale]++
	}
	if fmt.Sprint(kinds) != "map[bundle :1 config :1 snapshot fr:1 wording fr:1]" {
		t.Errorf("the file rests on %v", kinds)
	}
	again, err := consent.Canonical(json.RawMessage(file))
	if err != nil || !bytes.Equal(again, file) {
		t.Errorf("the file is not canonical: %v", err)
	}
}

func TestEveryFlippedByteIsNoticed(t *testing.T) {
	e, file, _ := example(t)
	keys := []evidence.Key{e.key()}
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		if r := evidence.Verify(bad, keys, nil); r.OK() {
			t.Fatalf("bit %d of byte %d of %d flipped is not noticed: …%s…\n%s", i%8, i, len(file), file[max(0, i-30):min(len(file), i+30)], steps(r))
		}
	}
	for cut := range len(file) {
		if cut%53 == 0 && evidence.Verify(file[:cut], keys, nil).OK() {
			t.Fatalf("the first %d of %d bytes are accepted", cut, len(file))
		}
	}
}

// change edits the content of a file and encodes it again, so that only its content is wrong.
func change(t *testing.T, file []byte, edit func(e *evidence.Evidence)) []byte {
	t.Helper()
	f, err := evidence.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	edit(&f.Evidence)
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// turn changes one letter or digit in the middle of a text, to another of its kind.
func turn(s string) string {
	b := []byte(s)
	for i := len(b) / 2; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '1' && c <= '8', c >= 'b' && c <= 'e', c >= 'B' && c <= 'Y', c >= 'g' && c <= 'y':
			b[i] = c + 1
			return string(b)
		}
	}
	return s + "x"
}

func TestARefusalNamesThePart(t *testing.T) {
	e, file, _ := example(t)
	wordingAt := 0
	f, err := evidence.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range f.Evidence.Published {
		if strings.Contains(p.Entry, `"kind":"wording"`) {
			wordingAt = i
		}
	}
	at := fmt.Sprintf("evidence.published[%d]", wordingAt)
	for _, row := range []struct {
		name string
		edit func(*evidence.Evidence)
		part string
	}{
		{"the facts", func(e *evidence.Evidence) { p := &e.Proofs[0]; p.Facts = turn(p.Facts) }, "evidence.proofs[0].inclusion in_log"},
		{"a decision turned round", func(e *evidence.Evidence) {
			p := &e.Proofs[0]
			p.Facts = strings.Replace(p.Facts, `"ads":"denied"`, `"ads":"granted"`, 1)
		}, "evidence.proofs[0].inclusion in_log"},
		{"facts that are not JSON", func(e *evidence.Evidence) { e.Proofs[0].Facts += " " }, "evidence.proofs[0].facts well_formed"},
		{"the place", func(e *evidence.Evidence) { e.Proofs[0].Index++ }, "evidence.proofs[0].inclusion in_log"},
		{"the path", func(e *evidence.Evidence) { e.Proofs[0].Inclusion[1][4] ^= 1 }, "evidence.proofs[0].inclusion in_log"},
		{"the personal part", func(e *evidence.Evidence) { p := &e.Proofs[0]; p.Personal = turn(p.Personal) }, "evidence.proofs[0].personal opens"},
		{"the salt", func(e *evidence.Evidence) { p := &e.Proofs[0]; p.Salt = turn(p.Salt) }, "evidence.proofs[0].personal opens"},
		{"the salt in capitals", func(e *evidence.Evidence) { p := &e.Proofs[0]; p.Salt = strings.ToUpper(p.Salt) }, "evidence.proofs[0].personal opens"},
		{"said to be erased", func(e *evidence.Evidence) { e.Proofs[0].Erased = true }, "evidence.proofs[0].personal opens"},
		{"the address", func(e *evidence.Evidence) { e.Proofs[0].Identifier = "other@exemple.fr" }, "signature signed"},
		{"the time it was made", func(e *evidence.Evidence) { e.MadeAt++ }, "signature signed"},
		{"the name of the site", func(e *evidence.Evidence) { e.Site.Name = "Other" }, "signature signed"},
		{"the site", func(e *evidence.Evidence) { e.Site.ID = "other" }, "evidence.proofs[0].facts well_formed"},
		{"a listed key", func(e *evidence.Evidence) { e.Keys[0] = turn(e.Keys[0]) }, "evidence.keys[0] well_formed"},
		{"a checkpoint", func(e *evidence.Evidence) { l := &e.Logs.Proofs; l.Checkpoint = turn(l.Checkpoint) }, "evidence.logs.proofs.checkpoint signed"},
		{"the checkpoint of publications", func(e *evidence.Evidence) { l := &e.Logs.Published; l.Checkpoint = turn(l.Checkpoint) }, "evidence.logs.published.checkpoint signed"},
		{"one log for the other", func(e *evidence.Evidence) { e.Logs.Proofs = e.Logs.Published }, "evidence.logs.proofs.checkpoint signed"},
		{"the wording document", func(e *evidence.Evidence) { p := &e.Published[wordingAt]; p.Doc = turn(p.Doc) }, at + ".doc hashes"},
		{"an entry of publications", func(e *evidence.Evidence) { p := &e.Published[wordingAt]; p.Entry = turn(p.Entry) }, at + ".inclusion in_log"},
		{"a publication's path", func(e *evidence.Evidence) { e.Published[wordingAt].Inclusion[0][0] ^= 1 }, at + ".inclusion in_log"},
		{"without the wording", func(e *evidence.Evidence) { e.Published = slices.Delete(e.Published, wordingAt, wordingAt+1) }, "evidence.proofs[0].wording shown"},
		{"a document where none belongs", func(e *evidence.Evidence) {
			for i := range e.Published {
				if strings.Contains(e.Published[i].Entry, `"kind":"config"`) {
					e.Published[i].Doc = "x"
				}
			}
		}, "evidence.published[3].doc hashes"},
	} {
		r := evidence.Verify(change(t, file, row.edit), []evidence.Key{e.key()}, nil)
		if parts := refused(r); !slices.Contains(parts, row.part) {
			t.Errorf("%s: refused %q, want %s among them\n%s", row.name, parts, row.part, steps(r))
		}
	}
}

// TestBadFiles are the files somebody might hand in.
func TestBadFiles(t *testing.T) {
	e, file, about := example(t)
	stranger := openEdge(t, t.TempDir(), func(o *evidence.Options) { o.Signers = []evidence.Signer{signer(t, "consentd/e1", 9)} })
	other := wording(t, "fr", "Autre texte")
	stranger.publish(other)
	foreign := stranger.file(stranger.record(stranger.proof(1, other)))
	text := func(old, new string) []byte { return bytes.Replace(file, []byte(old), []byte(new), 1) }
	for _, row := range []struct {
		name string
		file []byte
		part string
		says string
	}{
		{"truncated", file[:len(file)/2], "file readable", "not an evidence file"},
		{"empty", nil, "file readable", "not an evidence file"},
		{"something after it", append(bytes.Clone(file), '\n'), "file readable", "one form"},
		{"a picture", []byte("\x89PNG\r\n\x1a\n"), "file readable", "not an evidence file"},
		{"another JSON document", []byte(`{"proofs":[]}`), "file readable", "format"},
		{"of a newer version", newer(t, file), "file readable", "newer consentd"},
		{"with a member more", text(`{"evidence":{`, `{"a":1,"evidence":{`), "file readable", "unknown field"},
		{"a member twice", text(`{"evidence":{`, `{"evidence":{"format":"consentd-evidence",`), "file readable", ""},
		{"from another log of that name, signed by another key", foreign, "signature signed", "another key"},
	} {
		r := evidence.Verify(row.file, []evidence.Key{e.key()}, nil)
		i := slices.IndexFunc(r.Steps, func(s evidence.Step) bool { return s.Status == evidence.Refused && s.Part+" "+s.Check == row.part })
		if i < 0 || !strings.Contains(r.Steps[i].Detail, row.says) {
			t.Errorf("%s: refused %q, want %s saying %q\n%s", row.name, refused(r), row.part, row.says, steps(r))
		}
	}
	wantOK(t, foreign, stranger.key()) // it is well made: only the key is another
	swapped := change(t, file, func(ev *evidence.Evidence) {
		f, err := evidence.Decode(foreign)
		if err != nil {
			t.Fatal(err)
		}
		ev.Published = f.Evidence.Published
	})
	r := evidence.Verify(swapped, []evidence.Key{e.key()}, nil)
	if parts := refused(r); !slices.Contains(parts, "evidence.proofs[0].wording shown") || !slices.Contains(parts, "evidence.published[0].inclusion in_log") {
		t.Errorf("a swapped wording: refused %q", parts)
	}
	lost := about
	lost.Proof = e.proof(100, nil) // other facts under a known place
	if _, err := e.Make(t.Context(), evidence.Request{Site: demo, Proofs: []evidence.Recorded{lost}}); !errors.Is(err, evidence.ErrNotInLog) {
		t.Errorf("evidence of what the log does not hold: %v", err)
	}
	lost = about
	lost.Seq = 1 << 40
	if _, err := e.Make(t.Context(), evidence.Request{Site: demo, Proofs: []evidence.Recorded{lost}}); !errors.Is(err, evidence.ErrNotInLog) {
		t.Errorf("evidence of a place beyond the log: %v", err)
	}
}

// newer is the file as a later version might write it.
func newer(t *testing.T, file []byte) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(file, &doc); err != nil {
		t.Fatal(err)
	}
	e := doc["evidence"].(map[string]any)
	e["v"], e["something"] = 2, "new"
	b, err := consent.Canonical(doc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAWrongPurposeInTheTextIsNoticed(t *testing.T) {
	e := openEdge(t, t.TempDir())
	w := wording(t, "fr", "Vos choix")
	e.publish(w)
	p := e.proof(1, w)
	p.Decisions = []consent.Choice{{Purpose: "telepathy", Granted: true}}
	r := evidence.Verify(e.file(e.record(p)), []evidence.Key{e.key()}, nil)
	if got := refused(r); fmt.Sprint(got) != "[evidence.proofs[0].wording shown]" {
		t.Errorf("%v\n%s", got, steps(r))
	}
}

func TestATextPublishedAfterTheChoiceIsNoticed(t *testing.T) {
	e := openEdge(t, t.TempDir())
	w := wording(t, "fr", "Vos choix")
	p := e.proof(1, w)
	rec := e.record(p)
	e.clock.mu.Lock()
	e.clock.at = e.clock.at.Add(2 * 60 * 1e9)
	e.clock.mu.Unlock()
	e.publish(w)
	r := evidence.Verify(e.file(rec), []evidence.Key{e.key()}, nil)
	if got := refused(r); fmt.Sprint(got) != "[evidence.proofs[0].wording shown]" {
		t.Errorf("%v\n%s", got, steps(r))
	}
}

func TestAnErasedProofStillVerifies(t *testing.T) {
	e, _, about := example(t)
	facts := string(about.AppendFacts(nil))
	about.Identifier = ""
	about.Erase()
	r := wantOK(t, e.file(about), e.key())
	p := r.File.Evidence.Proofs[0]
	if !p.Erased || p.Personal+p.Salt+p.Identifier != "" || p.Facts != facts {
		t.Errorf("%+v", p)
	}
	if status(r, "evidence.proofs[0].personal", "opens") != evidence.Skipped || !strings.Contains(steps(r), "erased") {
		t.Errorf("it does not say so:\n%s", steps(r))
	}
}

func TestABatchSaysWhatItCoversAndWhatLiesElsewhere(t *testing.T) {
	e := openEdge(t, t.TempDir())
	w := wording(t, "fr", "Vos choix")
	e.publish(w)
	all := e.recordMany(20, w)
	away := e.proof(1, w)
	away.Edge = "e2"
	all = append(all, evidence.Recorded{Proof: away, Seq: 3})
	api := e.record(e.proof(1, nil))
	all = append(all, api)
	file := e.fileOf(evidence.Request{Site: demo, Subject: "0100", Proofs: all})
	r := wantOK(t, file, e.key())
	ev := r.File.Evidence
	if len(ev.Proofs) != 21 || len(ev.Elsewhere) != 1 || ev.Elsewhere[0].ID != away.ID.String() || ev.Subject != "0100" {
		t.Errorf("%d proofs, elsewhere %+v", len(ev.Proofs), ev.Elsewhere)
	}
	if status(r, "evidence.proofs[20].wording", "shown") != evidence.Skipped {
		t.Errorf("a choice recorded by a program was shown no text\n%s", steps(r))
	}
	fewer := change(t, file, func(ev *evidence.Evidence) { ev.Proofs = ev.Proofs[:20] })
	if got := refused(evidence.Verify(fewer, []evidence.Key{e.key()}, nil)); fmt.Sprint(got) != "[signature signed]" {
		t.Errorf("a proof left out: refused %v", got)
	}
}

func TestAnEarlierCheckpointIsHeldAgainstTheFile(t *testing.T) {
	e := openEdge(t, t.TempDir())
	w := wording(t, "fr", "Vos choix")
	e.publish(w)
	e.recordMany(5, w)
	e.seal()
	old, c, err := e.Checkpoint(consent.StreamProofs)
	if err != nil {
		t.Fatal(err)
	}
	oldPublished, cp, err := e.Checkpoint(consent.StreamWordings)
	if err != nil {
		t.Fatal(err)
	}
	early := e.file(e.record(e.proof(1, w)))
	e.publish(wording(t, "en", "x"))
	rec := e.record(e.proof(2, w))
	request := evidence.Request{Site: demo, Proofs: []evidence.Recorded{rec}, SinceProofs: c.Size, SincePublished: cp.Size}
	file := e.fileOf(request)
	later, _, err := e.Checkpoint(consent.StreamProofs)
	if err != nil {
		t.Fatal(err)
	}
	forged := func(size uint64) []byte {
		f := evidence.Checkpoint{Origin: "consentd/e1/proofs", Size: size, At: 1}
		n, err := f.Sign(signer(t, "consentd/e1", 1))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	stranger, err := (&evidence.Checkpoint{Origin: "consentd/e1/proofs", Size: 3, At: 1}).Sign(signer(t, "consentd/e1", 4))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := (&evidence.Checkpoint{Origin: "consentd/e1/other", Size: 3, At: 1}).Sign(signer(t, "consentd/e1", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		file  []byte
		old   []byte
		check string
		want  evidence.Status
	}{
		{"of proofs", file, old, "consistent", evidence.Passed},
		{"of publications", file, oldPublished, "consistent", evidence.Passed},
		{"the file's own", file, later, "consistent", evidence.Passed},
		{"of a log with another past", file, forged(c.Size), "consistent", evidence.Refused},
		{"of the same size and another root", file, forged(uint64(7)), "consistent", evidence.Refused},
		{"of another size than asked for", file, forged(c.Size - 1), "consistent", evidence.Skipped},
		{"later than the file", early, later, "consistent", evidence.Skipped},
		{"empty", file, forged(0), "consistent", evidence.Passed},
		{"signed by somebody else", file, stranger, "signed", evidence.Refused},
		{"of another log", file, elsewhere, "consistent", evidence.Refused},
		{"no checkpoint at all", file, []byte("hello"), "signed", evidence.Refused},
	} {
		r := evidence.Verify(row.file, []evidence.Key{e.key()}, row.old)
		if got := status(r, "checkpoint", row.check); got != row.want {
			t.Errorf("a checkpoint %s: %q, want %s\n%s", row.name, got, row.want, steps(r))
		}
	}
	bent := change(t, file, func(ev *evidence.Evidence) { ev.Logs.Proofs.Since.Hashes[0][0] ^= 1 })
	if got := refused(evidence.Verify(bent, []evidence.Key{e.key()}, nil)); !slices.Contains(got, "evidence.logs.proofs.since consistent") {
		t.Errorf("a bent consistency proof: refused %v", got)
	}
}

func TestKeysOfTheWrongKind(t *testing.T) {
	good := signer(t, "consentd/e1", 1).Key.String()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{3}, 64)), "x.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.ParseKey(vkey); err != nil {
		t.Errorf("a key made by sumdb/note: %v", err)
	}
	if k, err := evidence.ParseKey(" " + good + "\n"); err != nil || k.String() != good || k.Name() != "consentd/e1" {
		t.Errorf("%v %v", k, err)
	}
	parts := strings.SplitN(good, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	raw[0] = 4 // a witness's key
	for _, row := range []struct {
		name, key string
		want      error
	}{
		{"of a witness", parts[0] + "+" + parts[1] + "+" + base64.StdEncoding.EncodeToString(raw), evidence.ErrKeyKind},
		{"private", skey, evidence.ErrPrivateKey},
		{"with a letter changed", turn(good), evidence.ErrKey},
		{"cut short", good[:len(good)-8], evidence.ErrKey},
		{"of a token", "0123456789abcdef", evidence.ErrKey},
		{"empty", "", evidence.ErrKey},
		{"PEM", "-----BEGIN PUBLIC KEY-----", evidence.ErrKey},
	} {
		if _, err := evidence.ParseKey(row.key); !errors.Is(err, row.want) {
			t.Errorf("a key %s: %v, want %v", row.name, err, row.want)
		}
	}
}

// TestSumdbNoteAcceptsWhatWeSign opens a checkpoint as any tool for signed notes does.
func TestSumdbNoteAcceptsWhatWeSign(t *testing.T) {
	e, _, _ := example(t)
	for _, log := range []consent.Stream{consent.StreamProofs, consent.StreamWordings} {
		msg, c, err := e.Checkpoint(log)
		if err != nil {
			t.Fatal(err)
		}
		v, err := note.NewVerifier(e.key().For(c.Origin).String())
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(msg, note.VerifierList(v))
		if err != nil || len(n.Sigs) != 1 || !strings.HasPrefix(n.Text, c.Origin+"\n"+fmt.Sprint(c.Size)+"\n") {
			t.Errorf("%s: %v\n%s", log, err, msg)
		}
	}
}

func TestAnOldKeyVerifiesAsLongAsItSigns(t *testing.T) {
	old, young := signer(t, "consentd/e1", 1), signer(t, "consentd/e1", 2)
	e := openEdge(t, t.TempDir(), func(o *evidence.Options) { o.Signers = []evidence.Signer{young, old} })
	file := e.file(e.record(e.proof(1, nil)))
	wantOK(t, file, old.Key)
	wantOK(t, file, young.Key)
	if r := evidence.Verify(file, []evidence.Key{signer(t, "consentd/e2", 1).Key}, nil); r.OK() {
		t.Error("a key under another name is accepted")
	}
	if r := evidence.Verify(file, nil, nil); r.OK() {
		t.Error("no key at all is enough")
	}
	e.recordMany(1, nil)
	if err := e.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func FuzzVerify(f *testing.F) {
	s, err := evidence.NewSigner("consentd/e1", seed(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"evidence":{"format":"consentd-evidence","v":1},"signature":""}`), []byte("consentd/e1/proofs\n0\n"))
	f.Fuzz(func(t *testing.T, file, old []byte) {
		if evidence.Verify(file, []evidence.Key{s.Key}, old).OK() {
			t.Error("accepted without a signature")
		}
	})
}
