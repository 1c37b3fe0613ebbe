package consent

import (
	"testing"

	"github.com/google/uuid"
)

// BenchmarkFindStanding reads one of three purposes, as most lookups do: of a device that answered a banner, and of a
// person who confirmed a form and was reported to be in contact.
func BenchmarkFindStanding(b *testing.B) {
	at := Millis(1_790_000_000_000)
	p := &Proof{Facts: Facts{ID: uuid.New(), Edge: "e1", RecordedAt: at, Surface: SurfaceBanner, Wording: Hash{1},
		Decisions: []Choice{{"ads", false}, {"analytics", true}, {"personalisation", true}}}, Personal: Personal{Kind: KindDevice}}
	device := AppendState(nil, StateOf(p, 1_000_000))
	p.Surface, p.Personal.Kind = SurfaceForm("news"), KindEmail
	person := AppendState(nil, StateOf(p, 1_000_000).Merge(ContactState(at+1)))
	for name, state := range map[string][]byte{"device": device, "person": person} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(state)))
			for b.Loop() {
				if st, ok, err := FindStanding(state, "analytics", "e1", at+2); err != nil || !ok || st.Status != StatusGranted {
					b.Fatal(st, ok, err)
				}
			}
		})
	}
}
