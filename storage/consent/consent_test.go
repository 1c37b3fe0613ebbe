package consent

import (
	"bytes"
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/gowebpki/jcs"
	"pgregory.net/rapid"
)

var cmpAddr = gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// anyProof draws a proof with hostile strings in every place that takes one.
func anyProof(t *rapid.T) *Proof {
	str := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "fr", `"\`, "\u2028</script>", "é\x00\x1f", "\xff\xfe"}))
	id := rapid.Custom(func(t *rapid.T) uuid.UUID { return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")) })
	p := &Proof{Facts: Facts{
		ID: id.Draw(t, "id"), Site: str.Draw(t, "site"), Edge: str.Draw(t, "edge"),
		RecordedAt: Millis(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "at")), Logical: rapid.Uint32().Draw(t, "logical"), Surface: str.Draw(t, "surface"),
		Method: rapid.SampledFrom([]Method{MethodAcceptAll, MethodRejectAll, MethodCustom, MethodWithdraw, MethodRequest, MethodConfirm}).Draw(t, "method"),
		Locale: str.Draw(t, "locale"), Country: str.Draw(t, "country"), Device: DeviceClass(str.Draw(t, "device")),
		Grade: Grade(rapid.IntRange(0, 4).Draw(t, "grade")), Prompt: id.Draw(t, "prompt"),
		Follows: rapid.OneOf(rapid.Just(uuid.Nil), id).Draw(t, "follows"),
	}}
	copy(p.Wording[:], rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "wording"))
	for _, purpose := range slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_-]{0,8}`), 0, 6, rapid.ID).Draw(t, "purposes"))) {
		p.Decisions = append(p.Decisions, Choice{purpose, rapid.Bool().Draw(t, purpose)})
	}
	p.Personal = Personal{Kind: KindEmail, UserAgent: str.Draw(t, "ua"), Page: str.Draw(t, "page"), Identifier: rapid.SliceOf(rapid.Byte()).Draw(t, "sealed")}
	if len(p.Personal.Identifier) == 0 {
		p.Personal.Identifier = nil
	}
	copy(p.Personal.Device[:], rapid.SampledFrom([][]byte{nil, {1, 15: 2}}).Draw(t, "device key"))
	copy(p.Personal.Subject[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "subject"))
	copy(p.Personal.Salt[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt"))
	p.Personal.IP = rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1")}).Draw(t, "ip")
	p.Commitment = p.Personal.Commit()
	return p
}

func TestFactsAndPersonalAreCanonicalJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProof(t)
		for _, doc := range [][]byte{p.AppendFacts(nil), p.Personal.AppendPersonal(nil)} {
			want, err := jcs.Transform(doc)
			if err != nil {
				t.Fatalf("not JSON: %v\n%s", err, doc)
			}
			if !bytes.Equal(doc, want) {
				t.Fatalf("not canonical:\n%s\nwant\n%s", doc, want)
			}
		}
	})
}

func TestProofSurvivesItsBinaryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyProof(t)
		raw := AppendProof(nil, p)
		got, err := ParseProof(raw)
		if err != nil {
			t.Fatal(err)
		}
		if d := gocmp.Diff(p, got, cmpAddr); d != "" {
			t.Fatal(d)
		}
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if _, err := ParseProof(raw[:cut]); !errors.Is(err, ErrBinary) {
			t.Fatalf("%d of %d bytes: %v, want ErrBinary", cut, len(raw), err)
		}
	})
}

func TestPromptAndPublicationSurviveTheirBinaryForm(t *testing.T) {
	prompt := &Prompt{ID: uuid.New(), Site: "demo", Edge: "e1", ShownAt: 17, Surface: "banner", Locale: "fr", Country: "FR", Device: DeviceTablet, Wording: Hash{1}, Page: "https://x.example/"}
	if got, err := ParsePrompt(AppendPrompt(nil, prompt)); err != nil || !gocmp.Equal(prompt, got) {
		t.Errorf("%+v %v", got, err)
	}
	pub := &Publication{Kind: PublishedWording, PublishedAt: 17, Hash: Hash{2}, Site: "demo", Surface: "banner", Locale: "fr", Doc: []byte(`{"v":1}`)}
	if got, err := ParsePublication(AppendPublication(nil, pub)); err != nil || !gocmp.Equal(pub, got) {
		t.Errorf("%+v %v", got, err)
	}
}

// TestStateIsTheLatestChoice holds the state of a subject against the plainest model, whatever the order in
// which proofs arrive and are grouped: the newest event wins, a no wins its moment, and a no is a
// withdrawal when there ever was a yes.
func TestStateIsTheLatestChoice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var best *Proof
		var bestSeq uint64
		yes := false
		var parts []State
		for seq := range rapid.Uint64Range(1, 12).Draw(t, "events") {
			p := &Proof{Facts: Facts{ID: uuid.New(), Edge: "e1", RecordedAt: Millis(rapid.IntRange(1, 3).Draw(t, "at")), Logical: rapid.Uint32Max(2).Draw(t, "logical"), Method: MethodCustom,
				Decisions: []Choice{{"a", rapid.Bool().Draw(t, "granted")}}}, Personal: Personal{Kind: KindDevice}}
			granted := p.Decisions[0].Granted
			yes = yes || granted
			if best == nil || p.Moment().Compare(best.Moment()) > 0 || p.Moment() == best.Moment() && (!granted || best.Decisions[0].Granted) {
				best, bestSeq = p, seq
			}
			parts = append(parts, StateOf(p, seq))
		}
		for len(parts) > 1 {
			i := rapid.IntRange(0, len(parts)-1).Draw(t, "one")
			one := parts[i]
			parts = slices.Delete(parts, i, i+1)
			j := rapid.IntRange(0, len(parts)-1).Draw(t, "other")
			parts[j] = one.Merge(parts[j])
		}
		want := StatusDenied
		switch {
		case best.Decisions[0].Granted:
			want = StatusGranted
		case yes:
			want = StatusWithdrawn
		}
		if s := parts[0]; len(s) != 1 || s[0].Proof != best.ID || s[0].Seq != bestSeq || s[0].Status != want {
			t.Fatalf("%+v, want %v by seq %d", s, want, bestSeq)
		}
	})
}

func TestStatusOfAChoice(t *testing.T) {
	type step struct {
		method  Method
		granted bool
	}
	for _, row := range []struct {
		name  string
		steps []step
		want  Status
	}{
		{"a yes is granted", []step{{MethodAcceptAll, true}}, StatusGranted},
		{"a no that was never a yes is denied", []step{{MethodRejectAll, false}}, StatusDenied},
		{"a no after a yes is withdrawn", []step{{MethodAcceptAll, true}, {MethodRejectAll, false}}, StatusWithdrawn},
		{"another no stays withdrawn", []step{{MethodAcceptAll, true}, {MethodCustom, false}, {MethodRejectAll, false}}, StatusWithdrawn},
		{"a withdrawal without a yes is withdrawn all the same", []step{{MethodWithdraw, false}}, StatusWithdrawn},
		{"a yes after a withdrawal is granted", []step{{MethodWithdraw, false}, {MethodCustom, true}}, StatusGranted},
	} {
		var s State
		for i, st := range row.steps {
			s = s.Apply(&Proof{Facts: Facts{RecordedAt: Millis(i + 1), Method: st.method, Decisions: []Choice{{"a", st.granted}}},
				Personal: Personal{Kind: KindDevice}}, uint64(i))
		}
		if got := s[0].Status; got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestStateSurvivesItsBinaryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		for seq := range rapid.Uint64Range(1, 6).Draw(t, "proofs") {
			p := anyProof(t)
			p.RecordedAt = Millis(seq + 1)
			s = s.Apply(p, seq)
		}
		raw := AppendState(nil, s)
		got, err := ParseState(raw)
		if err != nil || len(got) != len(s) || len(s) > 0 && !gocmp.Equal(s, got) {
			t.Fatalf("%v %v", got, err)
		}
		now := Millis(rapid.Int64Range(0, int64(3*ConfirmWithin/time.Millisecond)).Draw(t, "now"))
		for _, e := range append(s, Entry{Purpose: "NO SUCH"}) {
			purpose := strings.TrimSuffix(e.Purpose, softMark)
			want, found := s.Standing(purpose, now)
			st, ok, err := FindStanding(raw, purpose, "e1", now)
			if err != nil || ok != found || st != want {
				t.Fatalf("%q: %+v %v %v, want %+v %v", purpose, st, ok, err, want, found)
			}
		}
	})
}

func TestAnswers(t *testing.T) {
	day := 24 * time.Hour
	for _, row := range []struct {
		name     string
		status   Status
		age      time.Duration
		lifetime time.Duration
		want     string
	}{
		{"a fresh yes", StatusGranted, day, 182 * day, `"granted","allowed":true,"grade":"proven","reason":"granted"`},
		{"a yes on its last millisecond", StatusGranted, 182*day - time.Millisecond, 182 * day, `"granted","allowed":true,"grade":"proven","reason":"granted"`},
		{"a yes that has run out", StatusGranted, 182 * day, 182 * day, `"expired","allowed":false,"grade":"proven","reason":"expired"`},
		{"a yes without end", StatusGranted, 9999 * day, 0, `"granted","allowed":true,"grade":"proven","reason":"granted"`},
		{"a no", StatusDenied, 999 * day, day, `"denied","allowed":false,"grade":"proven","reason":"denied"`},
		{"a withdrawal", StatusWithdrawn, day, day, `"withdrawn","allowed":false,"grade":"proven","reason":"withdrawn"`},
		{"a double opt-in under way", StatusPending, day, day, `"pending","allowed":false,"grade":"proven","reason":"awaiting_confirmation"`},
	} {
		at := Millis(1_790_000_000_000)
		st := Standing{Status: row.status, Event: Event{Moment: Moment{At: at}, Grade: GradeProven, Proof: uuid.MustParse("01970000-0000-7000-8000-00000000002a")}}
		want := `{"status":` + row.want + `,"since":"2026-09-21T14:13:20.000Z","proof":"01970000-0000-7000-8000-00000000002a"}`
		if got := string(st.Answer(at+Millis(row.age.Milliseconds()), &Rule{Lifetime: row.lifetime}).AppendJSON(nil)); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", row.name, got, want)
		}
	}
	if got := string(NeverAsked().AppendJSON(nil)); got != `{"status":"unknown","allowed":false,"grade":"none","reason":"never_asked"}` {
		t.Error(got)
	}
}

func TestSubjectsNormalise(t *testing.T) {
	long := strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 61)+".", 3) + "fra"
	for _, row := range []struct {
		name   string
		kind   Kind
		in     string
		region string
		want   string
		err    error
	}{
		{"an address is trimmed and lower-cased", KindEmail, "  Jean.Dupont@Example.FR ", "", "jean.dupont@example.fr", nil},
		{"an accented domain becomes ASCII", KindEmail, "a@bücher.example", "", "a@xn--bcher-kva.example", nil},
		{"composed and decomposed letters are one", KindEmail, "e\u0301@b.fr", "", "\u00e9@b.fr", nil},
		{"a plus tag stays", KindEmail, "a+news@b.fr", "", "a+news@b.fr", nil},
		{"254 octets are allowed", KindEmail, long, "", long, nil},
		{"255 are not", KindEmail, strings.Replace(long, ".fra", ".fran", 1), "", "", ErrEmail},
		{"65 octets before the @ are not", KindEmail, "a" + long, "", "", ErrEmail},
		{"no domain", KindEmail, "a@", "", "", ErrEmail},
		{"no dot in the domain", KindEmail, "a@localhost", "", "", ErrEmail},
		{"a line break", KindEmail, "a\r\nBcc: x@b.fr", "", "", ErrEmail},
		{"two addresses", KindEmail, "a@b.fr,c@d.fr", "", "", ErrEmail},
		{"a bare name", KindEmail, "jean", "", "", ErrEmail},
		{"a national number is read in the region", KindPhone, "06 12 34 56 78", "FR", "+33612345678", nil},
		{"an international number needs none", KindPhone, "+33 6 12 34 56 78", "", "+33612345678", nil},
		{"a national number without region", KindPhone, "06 12 34 56 78", "", "", ErrPhone},
		{"no number at all", KindPhone, "call me", "FR", "", ErrPhone},
		{"a device id is lower-cased", KindDevice, "8D0F0000-0000-4000-8000-00000000002A", "", "8d0f0000-0000-4000-8000-00000000002a", nil},
		{"a device id is a UUID", KindDevice, "8d0f", "", "", ErrDevice},
		{"a device id in braces", KindDevice, "{8d0f0000-0000-4000-8000-00000000002a}", "", "", ErrDevice},
		{"the nil UUID names nobody", KindDevice, "00000000-0000-0000-0000-000000000000", "", "", ErrDevice},
		{"an external id keeps its case", KindExternal, " Customer-42 ", "", "Customer-42", nil},
		{"an external id without content", KindExternal, "  ", "", "", ErrExternal},
		{"an external id with a control character", KindExternal, "a\x00b", "", "", ErrExternal},
		{"a key", KindKey, "00112233445566778899aabbccddeeff", "", "00112233445566778899aabbccddeeff", nil},
		{"a key in capitals", KindKey, "00112233445566778899AABBCCDDEEFF", "", "", ErrKey},
		{"an unknown kind", "fax", "1", "", "", ErrKind},
	} {
		got, err := ParseSubject(row.kind, row.in, row.region)
		if !errors.Is(err, row.err) || got.Value != row.want {
			t.Errorf("%s: %q %v, want %q %v", row.name, got.Value, err, row.want, row.err)
		}
	}
}

func TestKeysDependOnSecretAndKind(t *testing.T) {
	if _, err := NewKeyer(make([]byte, 31)); !errors.Is(err, ErrSecret) {
		t.Errorf("a short secret: %v", err)
	}
	keyer := func(b byte) *Keyer {
		k, err := NewKeyer(bytes.Repeat([]byte{b}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	email, external := Subject{KindEmail, "a@b.fr"}, Subject{KindExternal, "a@b.fr"}
	k := keyer(1)
	if again := keyer(1).Key(email); k.Key(email) != again || k.Key(email) == k.Key(external) || k.Key(email) == keyer(2).Key(email) {
		t.Error("a key must depend on secret, kind and value, and on nothing else")
	}
	raw := k.Key(email)
	if k.Key(Subject{KindKey, raw.String()}) != raw {
		t.Error("a key is its own key")
	}
	if n := testing.AllocsPerRun(100, func() { k.Key(email) }); n > 0 {
		t.Errorf("%v allocations a key", n)
	}
}

func TestProofIDs(t *testing.T) {
	now := ToMillis(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	v7 := func(at Millis) (id uuid.UUID) {
		for i := range 6 {
			id[i] = byte(at >> (8 * (5 - i)))
		}
		id[6], id[8] = 0x70, 0x80
		return id
	}
	for _, row := range []struct {
		name string
		id   uuid.UUID
		want error
	}{
		{"made now", v7(now), nil},
		{"made last year, sent now", v7(now - Millis(365*24*time.Hour/time.Millisecond)), nil},
		{"a clock 23 hours ahead", v7(now + Millis(23*time.Hour/time.Millisecond)), nil},
		{"a clock 25 hours ahead", v7(now + Millis(25*time.Hour/time.Millisecond)), ErrIDFuture},
		{"a random UUID", uuid.New(), ErrNotV7},
		{"nothing", uuid.Nil, ErrNotV7},
	} {
		if err := CheckProofID(row.id, now); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

func TestSealedValuesOpenOnlyWhereTheyBelong(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	old, err := NewKeyRing(map[byte][]byte{1: one})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := NewKeyRing(map[byte][]byte{1: one, 2: two})
	if err != nil {
		t.Fatal(err)
	}
	sealed := old.Seal("demo", KindEmail, "a@b.fr")
	if bytes.Contains(sealed, []byte("a@b")) || bytes.Equal(sealed, old.Seal("demo", KindEmail, "a@b.fr")) {
		t.Error("not sealed, or sealed the same twice")
	}
	if v, err := ring.Open("demo", KindEmail, sealed); err != nil || v != "a@b.fr" {
		t.Errorf("after rotation: %q %v", v, err)
	}
	if _, err := ring.Open("other", KindEmail, sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("another site: %v", err)
	}
	if _, err := old.Open("demo", KindEmail, ring.Seal("demo", KindEmail, "x")); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key that is gone: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := ring.Open("demo", KindEmail, bad); err == nil {
			t.Errorf("byte %d flipped, and it opens", i)
		}
	}
	if _, err := NewKeyRing(map[byte][]byte{1: one[:31]}); err == nil {
		t.Error("a short key was taken")
	}
}

func FuzzParseStored(f *testing.F) {
	f.Add(AppendProof(nil, &Proof{}))
	f.Add(AppendState(nil, State{{Purpose: "a"}}))
	request := &Proof{Facts: Facts{ID: uuid.Max, Edge: "e1", RecordedAt: 7, Surface: SurfaceForm("news"), Method: MethodRequest, Wording: Hash{1},
		Follows: uuid.Max, Decisions: []Choice{{"a", true}, {"b", false}}}, Personal: Personal{Kind: KindEmail, Device: SubjectKey{1}}}
	f.Add(AppendProof(nil, request))
	signUp := *request
	signUp.Method = MethodCustom
	f.Add(AppendState(nil, StateOf(request, 1).Merge(StateOf(&signUp, 2)).Merge(ContactState(9))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseProof(b); err == nil {
			if _, err := ParseProof(AppendProof(nil, p)); err != nil {
				t.Error("a proof that was read does not read back")
			}
		}
		if s, err := ParseState(b); err == nil {
			sorted := slices.IsSortedFunc(s, func(a, b Entry) int { return cmp.Or(strings.Compare(a.Purpose, b.Purpose), -1) }) // no name twice
			for _, e := range s {
				st, ok, err := FindStanding(b, e.Purpose, "", 8)
				if want, found := s.Standing(e.Purpose, 8); sorted && (err != nil || ok != found || st != want) && e.Purpose != "" {
					t.Errorf("%q: %+v %v %v, want %+v %v", e.Purpose, st, ok, err, want, found)
				}
			}
			raw := AppendState(nil, s)
			if again, err := ParseState(raw); err != nil || !slices.Equal(again, s) {
				t.Errorf("a state that was read does not read back: %v %v, want %v", again, err, s)
			}
			MergeStates(nil, b, raw)
		}
		FindStanding(b, "a", "", 0)
		ParsePrompt(b)
		ParsePublication(b)
	})
}

func FuzzParseSubject(f *testing.F) {
	f.Add("email", "Jean@Bücher.example", "FR")
	f.Add("phone", "06 12 34 56 78", "FR")
	f.Fuzz(func(t *testing.T, kind, value, region string) {
		s, err := ParseSubject(Kind(kind), value, region)
		if err != nil {
			return
		}
		again, err := ParseSubject(s.Kind, s.Value, region)
		if err != nil || again != s {
			t.Errorf("normalising twice: %q, then %q (%v)", s.Value, again.Value, err)
		}
	})
}
