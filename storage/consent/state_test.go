package consent

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// said draws one thing that changes the state of a person: a proof of any kind, or a reported contact. Times are
// few, so that they tie.
func said(t *rapid.T, seq uint64) (*Proof, State) {
	at := Millis(rapid.IntRange(1, 6).Draw(t, "at"))
	if rapid.IntRange(0, 4).Draw(t, "contact") == 0 {
		return nil, ContactState(at)
	}
	p := &Proof{Facts: Facts{
		ID: uuid.New(), RecordedAt: at, Edge: rapid.SampledFrom([]string{"e1", "e2"}).Draw(t, "edge"),
		Surface: rapid.SampledFrom([]string{SurfaceBanner, SurfaceForm("news"), SurfaceCentre, SurfaceAPI}).Draw(t, "surface"),
		Method:  rapid.SampledFrom([]Method{MethodCustom, MethodWithdraw, MethodRequest, MethodConfirm}).Draw(t, "method"),
	}}
	p.Personal.Kind = rapid.SampledFrom([]Kind{KindDevice, KindEmail, KindPhone, KindExternal}).Draw(t, "kind")
	for _, id := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"0", "a", "a-b", "a_b", "ab", "b"}), 1, 4, rapid.ID).Draw(t, "purposes") {
		p.Decisions = append(p.Decisions, Choice{id, rapid.Bool().Draw(t, id)})
	}
	slices.SortFunc(p.Decisions, func(a, b Choice) int { return strings.Compare(a.Purpose, b.Purpose) })
	return p, StateOf(p, seq)
}

func several(t *rapid.T, first, most uint64) (proofs []*Proof, states []State) {
	for i := range rapid.Uint64Range(1, most).Draw(t, "how many") {
		p, s := said(t, first+i)
		proofs, states = append(proofs, p), append(states, s)
	}
	return proofs, states
}

func sum(states []State) (s State) {
	for _, o := range states {
		s = s.Merge(o)
	}
	return s
}

// TestMergingIsAJoin: whatever the order, the grouping and the repetitions, the same things said make the same state.
// Everything that is merged unread in the store, and between edges, rests on it.
func TestMergingIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, a := several(t, 10, 4)
		_, b := several(t, 20, 4)
		_, c := several(t, 30, 4)
		x, y, z := sum(a), sum(b), sum(c)
		same := func(law string, got, want State) {
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%s (-want +got):\n%s", law, d)
			}
		}
		same("commutative", y.Merge(x), x.Merge(y))
		same("associative", x.Merge(y.Merge(z)), x.Merge(y).Merge(z))
		same("idempotent", x.Merge(x), x)
		same("absorbs what it holds", x.Merge(y).Merge(x), x.Merge(y))
		all := slices.Concat(a, b, c, a)
		same("any order", sum(rapid.Permutation(all).Draw(t, "order")), sum(all))
		raw, err := MergeStates(nil, AppendState(nil, x), AppendState(nil, y))
		if err != nil || !bytes.Equal(raw, AppendState(nil, mustParse(t, raw))) {
			t.Fatalf("binary: %v", err)
		}
		same("in binary form", mustParse(t, raw), x.Merge(y))
		for i := 1; i < len(x); i++ {
			if x[i-1].Purpose >= x[i].Purpose {
				t.Fatalf("not sorted: %q before %q", x[i-1].Purpose, x[i].Purpose)
			}
		}
	})
}

func mustParse(t *rapid.T, raw []byte) State {
	s, err := ParseState(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAStandingIsWhatThePlainestModelSays reads every purpose off the list of all proofs, at moments before, on and
// after the end of each request.
func TestAStandingIsWhatThePlainestModelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		proofs, states := several(t, 0, 8)
		s := sum(states)
		raw := AppendState(nil, s)
		now := Millis(rapid.IntRange(1, 8).Draw(t, "now"))
		if rapid.Bool().Draw(t, "late") {
			now += Millis(ConfirmWithin.Milliseconds())
		}
		for _, id := range []string{"0", "a", "a-b", "a_b", "ab", "b", "z"} {
			st, ok, err := FindStanding(raw, id, "e1", now)
			if want, found := s.Standing(id, now); err != nil || st != want || ok != found {
				t.Fatalf("%s: binary %+v %v %v, decoded %+v %v", id, st, ok, err, want, found)
			}
			status, by := plainest(proofs, id, now)
			if st.Status != status || ok != (status != StatusUnknown) {
				t.Fatalf("%s at %d: %v %v, want %v", id, now, st.Status, ok, status)
			}
			if ok && st.Proof != by {
				t.Fatalf("%s: by %s, want %s", id, st.Proof, by)
			}
		}
		latest := Millis(0)
		for i, p := range proofs {
			if p == nil {
				latest = max(latest, states[i][0].At)
			} else if p.Personal.Kind != KindDevice && slices.ContainsFunc(p.Decisions, func(d Choice) bool { return !typed(p, d) }) {
				latest = max(latest, p.RecordedAt)
			}
		}
		if got := s.Contact().At; got != latest {
			t.Fatalf("last contact %d, want %d", got, latest)
		}
	})
}

// typed is the rule in its own words: what anybody can do who types somebody's address into a form.
func typed(p *Proof, d Choice) bool {
	return p.Method == MethodRequest || p.Surface == SurfaceForm("news") && !d.Granted && p.Personal.Kind != KindDevice
}

// plainest walks the proofs in the order they happened.
func plainest(proofs []*Proof, id string, now Millis) (Status, uuid.UUID) {
	type event struct {
		p       *Proof
		seq     int
		granted bool
	}
	var firm, soft []event
	for seq, p := range proofs {
		if p == nil {
			continue
		}
		for _, d := range p.Decisions {
			if d.Purpose != id {
				continue
			}
			if typed(p, d) {
				soft = append(soft, event{p, seq, d.Granted})
			} else {
				firm = append(firm, event{p, seq, d.Granted})
			}
		}
	}
	order := func(a, b event) int {
		less := func(x, y event) bool {
			switch {
			case x.p.RecordedAt != y.p.RecordedAt:
				return x.p.RecordedAt < y.p.RecordedAt
			case x.granted != y.granted:
				return x.granted
			case x.p.Edge != y.p.Edge:
				return x.p.Edge < y.p.Edge
			}
			return x.seq < y.seq
		}
		if less(a, b) {
			return -1
		}
		return 1
	}
	slices.SortFunc(firm, order)
	slices.SortFunc(soft, order)
	waits := false
	var ask event
	if len(soft) > 0 {
		ask = soft[len(soft)-1]
		waits = ask.granted && now < ask.p.RecordedAt+Millis(ConfirmWithin.Milliseconds())
	}
	if len(firm) == 0 {
		switch {
		case waits:
			return StatusPending, ask.p.ID
		case len(soft) > 0 && !ask.granted:
			return StatusDenied, ask.p.ID
		}
		return StatusUnknown, uuid.Nil
	}
	last := firm[len(firm)-1]
	switch {
	case last.granted:
		return StatusGranted, last.p.ID
	case waits && ask.p.RecordedAt > last.p.RecordedAt:
		return StatusPending, ask.p.ID
	}
	for _, e := range firm {
		if e.granted || e.p.Method == MethodWithdraw {
			return StatusWithdrawn, last.p.ID
		}
	}
	return StatusDenied, last.p.ID
}

// step is one thing that happens to one address and one purpose.
type step struct {
	surface string
	method  Method
	granted bool
	after   time.Duration // since the step before
}

var (
	asks      = step{surface: SurfaceForm("news"), method: MethodRequest, granted: true}
	unticked  = step{surface: SurfaceForm("news"), method: MethodRequest, granted: false}
	confirms  = step{surface: SurfaceForm("news"), method: MethodConfirm, granted: true}
	signsUp   = step{surface: SurfaceForm("news"), method: MethodAcceptAll, granted: true} // a form without double opt-in
	refuses   = step{surface: SurfaceForm("news"), method: MethodRejectAll, granted: false}
	leaves    = step{surface: SurfaceUnsubscribe, method: MethodWithdraw, granted: false}
	turnsOff  = step{surface: SurfaceCentre, method: MethodCustom, granted: false}
	turnsOn   = step{surface: SurfaceCentre, method: MethodCustom, granted: true}
	objects   = step{surface: SurfaceAPI, method: MethodRejectAll, granted: false} // an objection passed on by the site's program
	takesBack = step{surface: SurfaceForm("news"), method: MethodWithdraw, granted: false}
)

func (s step) later(d time.Duration) step {
	s.after = d
	return s
}

func TestTransitionsOfAPerson(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []struct {
		name  string
		steps []step
		then  time.Duration // from the last step to the question
		want  Status
		by    int // the step whose proof answers
	}{
		{"a request waits", []step{asks}, 0, StatusPending, 0},
		{"a request waits for two days, less a millisecond", []step{asks}, ConfirmWithin - time.Millisecond, StatusPending, 0},
		{"a stale request was never made", []step{asks}, ConfirmWithin, StatusUnknown, 0},
		{"a confirmed request is a grant", []step{asks, confirms}, 0, StatusGranted, 1},
		{"and stays one", []step{asks, confirms}, 300 * day, StatusGranted, 1},
		{"a confirmation after two days counts, if it was let through", []step{asks, confirms.later(3 * day)}, 0, StatusGranted, 1},
		{"two requests: the later one waits", []step{asks, asks.later(day)}, ConfirmWithin - day, StatusPending, 1},
		{"a request after a grant changes nothing", []step{asks, confirms, asks}, 0, StatusGranted, 1},
		{"nor when it becomes stale", []step{asks, confirms, asks}, 3 * day, StatusGranted, 1},
		{"a form without double opt-in grants", []step{signsUp}, 0, StatusGranted, 0},
		{"a form cannot take a consent back", []step{asks, confirms, refuses}, 0, StatusGranted, 1},
		{"not by an unticked box beside a request either", []step{asks, confirms, unticked}, 0, StatusGranted, 1},
		{"not by calling it a withdrawal either", []step{asks, confirms, takesBack}, 0, StatusGranted, 1},
		{"a form's no is a no where nothing else is known", []step{refuses}, 0, StatusDenied, 0},
		{"and stays one", []step{refuses}, 300 * day, StatusDenied, 0},
		{"a form's withdrawal of nothing is a no", []step{takesBack}, 0, StatusDenied, 0},
		{"a form's no ends a request that waits", []step{asks, refuses}, 0, StatusDenied, 1},
		{"an unticked box ends a request that waits", []step{asks, unticked}, 0, StatusDenied, 1},
		{"a request after a form's no waits", []step{refuses, asks}, 0, StatusPending, 1},
		{"a confirmation after a form's no grants: whoever presses the button owns the mailbox", []step{asks, refuses, confirms}, 0, StatusGranted, 2},
		{"unsubscribing withdraws", []step{asks, confirms, leaves}, 0, StatusWithdrawn, 2},
		{"unsubscribing without a consent withdraws all the same", []step{leaves}, 0, StatusWithdrawn, 0},
		{"unsubscribing while a request waits ends it", []step{asks, leaves}, 0, StatusWithdrawn, 1},
		{"a request after a withdrawal waits", []step{asks, confirms, leaves, asks}, 0, StatusPending, 3},
		{"and withdrawn it stays when nobody confirms", []step{asks, confirms, leaves, asks}, ConfirmWithin, StatusWithdrawn, 2},
		{"a confirmation after a withdrawal grants again", []step{asks, confirms, leaves, asks, confirms}, 0, StatusGranted, 4},
		{"a withdrawal before a request of the same moment stands", []step{asks.later(0), leaves.later(-time.Millisecond)}, 0, StatusWithdrawn, 1},
		{"turning off in the preference centre withdraws a grant", []step{signsUp, turnsOff}, 0, StatusWithdrawn, 1},
		{"turning off what was never on is a no", []step{turnsOff}, 0, StatusDenied, 0},
		{"turning on in the preference centre grants", []step{leaves, turnsOn}, 0, StatusGranted, 1},
		{"a form's no after the preference centre's yes changes nothing", []step{turnsOn, refuses}, 0, StatusGranted, 0},
		{"an objection passed on by the site withdraws", []step{signsUp, objects}, 0, StatusWithdrawn, 1},
		{"an objection without a consent is a no", []step{objects}, 0, StatusDenied, 0},
		{"a sign-up without double opt-in after a withdrawal grants", []step{leaves, signsUp}, 0, StatusGranted, 1},
	} {
		var s State
		at := Millis(1_790_000_000_000)
		for i, st := range row.steps {
			at += 1 + Millis(st.after.Milliseconds())
			p := &Proof{Facts: Facts{ID: uuid.UUID{15: byte(i + 1)}, Edge: "e1", RecordedAt: at, Surface: st.surface, Method: st.method,
				Decisions: []Choice{{"news", st.granted}}}, Personal: Personal{Kind: KindEmail}}
			s = s.Apply(p, uint64(i))
		}
		now := at + Millis(row.then.Milliseconds())
		st, ok := s.Standing("news", now)
		if st.Status != row.want || ok != (row.want != StatusUnknown) {
			t.Errorf("%s: %v, want %v", row.name, st.Status, row.want)
		} else if ok && st.Proof != (uuid.UUID{15: byte(row.by + 1)}) {
			t.Errorf("%s: answered by step %d, want %d", row.name, st.Proof[15]-1, row.by)
		}
		if again, found, err := FindStanding(AppendState(nil, s), "news", "e1", now); again != st || found != ok || err != nil {
			t.Errorf("%s: in binary form %+v %v %v", row.name, again, found, err)
		}
	}
}

// TestADeviceSpeaksForItself: a banner, or a form sent for a device, is never soft, and a device has no contacts.
func TestADeviceSpeaksForItself(t *testing.T) {
	p := &Proof{Facts: Facts{RecordedAt: 7, Surface: SurfaceForm("news"), Method: MethodRejectAll, Decisions: []Choice{{"a", false}}},
		Personal: Personal{Kind: KindDevice}}
	s := State{{Purpose: "a", Status: StatusGranted, Event: Event{Moment: Moment{At: 1}}}}.Apply(p, 1)
	if st, ok := s.Standing("a", 8); !ok || st.Status != StatusWithdrawn || s.Contact() != (Contact{}) || len(s) != 1 {
		t.Errorf("%+v", s)
	}
}

// TestOnlyWhatIsFirmCountsAsContact: nobody keeps somebody else's consents alive by typing the address into a form.
func TestOnlyWhatIsFirmCountsAsContact(t *testing.T) {
	for _, row := range []struct {
		name string
		step step
		kind Kind
		want Millis
	}{
		{"a request", asks, KindEmail, 0},
		{"a form's no", refuses, KindEmail, 0},
		{"a confirmation", confirms, KindEmail, 7},
		{"a sign-up without double opt-in", signsUp, KindPhone, 7},
		{"unsubscribing", leaves, KindExternal, 7},
		{"what a program says", objects, KindExternal, 7},
		{"a device's choice", turnsOn, KindDevice, 0},
	} {
		p := &Proof{Facts: Facts{RecordedAt: 7, Edge: "e1", Surface: row.step.surface, Method: row.step.method,
			Decisions: []Choice{{"a", row.step.granted}}}, Personal: Personal{Kind: row.kind}}
		if got := StateOf(p, 3).Contact(); got.At != row.want {
			t.Errorf("%s: %+v", row.name, got)
		}
	}
	s := ContactState(5).Merge(ContactState(9)).Merge(ContactState(7))
	if s.Contact() != (Contact{At: 9}) {
		t.Errorf("reported contacts: %+v", s)
	}
}

// TestAReportedContactIsSmall: millions of people may have one.
func TestAReportedContactIsSmall(t *testing.T) {
	at := Millis(1_790_000_000_000)
	if n := len(AppendState(nil, ContactState(at))); n > 17 {
		t.Errorf("%d bytes", n)
	}
	p := &Proof{Facts: Facts{ID: uuid.New(), RecordedAt: at, Edge: "e1", Surface: SurfaceCentre, Decisions: []Choice{{"news", true}}, Wording: Hash{1}}}
	with := StateOf(p, 41)
	if a, b := len(AppendState(nil, with)), len(AppendState(nil, with[1:])); a-b != 4 {
		t.Errorf("the contact of a proof costs %d bytes, want 4", a-b)
	}
}

func TestFindingAStandingAllocatesNothing(t *testing.T) {
	p := &Proof{Facts: Facts{ID: uuid.New(), RecordedAt: 7, Edge: "e1", Surface: SurfaceCentre, Decisions: []Choice{{"a", true}, {"news", true}}, Wording: Hash{1}}}
	raw := AppendState(nil, StateOf(p, 41).Merge(ContactState(9)))
	if n := testing.AllocsPerRun(100, func() { FindStanding(raw, "news", "e1", 10) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRules(t *testing.T) {
	const day = 24 * time.Hour
	old := Hash{1}
	superseded := func(h Hash) bool { return h == old }
	ms := func(d time.Duration) Millis { return Millis(d.Milliseconds()) }
	for _, row := range []struct {
		name    string
		status  Status
		wording Hash
		contact time.Duration // after the grant; 0: none but the grant
		age     time.Duration // of the grant
		rule    Rule
		want    string
	}{
		{"no rule, no end", StatusGranted, old, 0, 9999 * day, Rule{}, "granted granted true"},
		{"three years of silence, less a millisecond", StatusGranted, Hash{}, 0, DefaultInactive - time.Millisecond, Rule{Inactive: DefaultInactive}, "granted granted true"},
		{"three years of silence", StatusGranted, Hash{}, 0, DefaultInactive, Rule{Inactive: DefaultInactive}, "expired expired false"},
		{"a contact starts them anew", StatusGranted, Hash{}, 30 * day, DefaultInactive, Rule{Inactive: DefaultInactive}, "granted granted true"},
		{"until they are over again", StatusGranted, Hash{}, 30 * day, 30*day + DefaultInactive, Rule{Inactive: DefaultInactive}, "expired expired false"},
		{"a contact does not lengthen a lifetime", StatusGranted, Hash{}, 30 * day, 100 * day, Rule{Lifetime: 90 * day, Inactive: DefaultInactive}, "expired expired false"},
		{"a contact from before the grant", StatusGranted, Hash{}, -10 * day, 89 * day, Rule{Inactive: 90 * day}, "granted granted true"},
		{"a grant under an old text", StatusGranted, old, 0, day, Rule{Superseded: superseded}, "expired wording_superseded false"},
		{"a grant under today's text", StatusGranted, Hash{2}, 0, day, Rule{Superseded: superseded}, "granted granted true"},
		{"a grant without a text", StatusGranted, Hash{}, 0, day, Rule{Superseded: func(Hash) bool { return true }}, "granted granted true"},
		{"an old text and too old", StatusGranted, old, 0, 9 * day, Rule{Lifetime: day, Superseded: superseded}, "expired expired false"},
		{"a no knows no rule", StatusDenied, old, 0, 9999 * day, Rule{day, day, superseded}, "denied denied false"},
		{"a withdrawal knows no rule", StatusWithdrawn, old, 0, 9999 * day, Rule{day, day, superseded}, "withdrawn withdrawn false"},
		{"a request knows no rule", StatusPending, old, 0, 9999 * day, Rule{day, day, superseded}, "pending awaiting_confirmation false"},
		{"nothing", StatusUnknown, old, 0, day, Rule{day, day, superseded}, "unknown never_asked false"},
	} {
		at := Millis(1_790_000_000_000)
		st := Standing{Status: row.status, Event: Event{Moment: Moment{At: at}, Wording: row.wording}}
		if row.contact != 0 {
			st.Contact.At = at + ms(row.contact)
		}
		a := st.Answer(at+ms(row.age), &row.rule)
		if got := fmt.Sprintf("%s %s %v", a.Status, a.Reason, a.Allowed); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

func TestAWordingIsSuperseded(t *testing.T) {
	partner := func(names ...string) Purpose {
		p := Purpose{ID: "share", Basis: BasisConsent, Channel: ChannelEmail, Use: UseShare}
		for _, n := range names {
			p.Services = append(p.Services, Service{Name: n})
		}
		return p
	}
	under := func(surface string, revision int, basis Basis, services ...string) *Wording {
		w := &Wording{Surface: surface, Revision: revision, Purposes: []ShownPurpose{{ID: "other"}, {ID: "share", Basis: basis}}}
		for _, n := range services {
			w.Purposes[1].Services = append(w.Purposes[1].Services, ShownService{Name: n})
		}
		return w
	}
	site := &Site{Revision: 3, Forms: []Form{{ID: "ours", Markup: MarkupOurs}, {ID: "yours", Markup: MarkupYours}}}
	for _, row := range []struct {
		name string
		w    *Wording
		now  Purpose
		want bool
	}{
		{"the same", under(SurfacePreferences, 3, BasisConsent, "A"), partner("A"), false},
		{"everybody is asked again", under(SurfacePreferences, 2, BasisConsent, "A"), partner("A"), true},
		{"the revision went back", under(SurfacePreferences, 4, BasisConsent, "A"), partner("A"), false},
		{"another legal basis", under(SurfacePreferences, 3, BasisLegitimateInterest, "A"), partner("A"), true},
		{"a service was added", under(SurfacePreferences, 3, BasisConsent, "A"), partner("A", "B"), true},
		{"a service left", under(SurfacePreferences, 3, BasisConsent, "A", "B"), partner("A"), false},
		{"the first service", under(SurfaceCentre, 3, BasisConsent), partner("A"), true},
		{"the first service, on a form of ours", under(SurfaceForm("ours"), 3, BasisConsent), partner("A"), true},
		{"a form of yours that named none", under(SurfaceForm("yours"), 3, BasisConsent), partner("A"), false},
		{"a form of yours that named one", under(SurfaceForm("yours"), 3, BasisConsent, "B"), partner("A"), true},
		{"a form that is gone and named none", under(SurfaceForm("gone"), 3, BasisConsent), partner("A"), false},
		{"the banner names no services", under(SurfaceBanner, 3, BasisConsent), partner("A", "B"), false},
		{"a placeholder names one", under(SurfaceEmbed("a"), 3, BasisConsent, "A"), partner("A", "B"), false},
		{"a purpose the text did not have", under(SurfacePreferences, 3, BasisConsent), Purpose{ID: "new", Basis: BasisConsent}, false},
	} {
		if got := site.Superseded(row.w, row.now); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestLifetimes(t *testing.T) {
	site := &Site{Keep: 180 * 24 * time.Hour}
	for _, row := range []struct {
		name string
		p    Purpose
		want time.Duration
	}{
		{"on the banner, as long as the site keeps choices", Purpose{}, site.Keep},
		{"on the banner, with one of its own", Purpose{Lifetime: time.Hour}, time.Hour},
		{"a newsletter has no end of its own", Purpose{Channel: ChannelEmail}, 0},
		{"unless it is given one", Purpose{Channel: ChannelEmail, Lifetime: time.Hour}, time.Hour},
	} {
		if got := site.Lifetime(row.p); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

// TestAStoppedClockKeepsTheOrderOfChoices: while the wall clock is set back an edge dates everything with one
// millisecond. What is said later has to count later all the same, a no after a yes and a yes after a no.
func TestAStoppedClockKeepsTheOrderOfChoices(t *testing.T) {
	said := func(logical uint32, granted bool) State {
		return StateOf(&Proof{Facts: Facts{ID: uuid.New(), Edge: "e1", RecordedAt: 7, Logical: logical, Method: MethodCustom,
			Decisions: []Choice{{"news", granted}}}, Personal: Personal{Kind: KindDevice}}, uint64(logical))
	}
	for name, row := range map[string]struct {
		before, after bool
		want          Status
	}{"a yes after a no": {false, true, StatusGranted}, "a no after a yes": {true, false, StatusWithdrawn}} {
		for _, s := range []State{said(1, row.before).Merge(said(2, row.after)), said(2, row.after).Merge(said(1, row.before))} {
			if st, _ := s.Standing("news", 8); st.Status != row.want {
				t.Errorf("%s: %v", name, st.Status)
			}
		}
	}
}
