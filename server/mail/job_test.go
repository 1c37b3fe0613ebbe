package mail

import (
	"testing"
)

// FuzzRecord: a note that is damaged is refused or read, and what is read is written back the same.
func FuzzRecord(f *testing.F) {
	key := make([]byte, 16)
	f.Add(key, (&record{Job: Job{Kind: Confirm, Site: "club", Form: "join", Locale: "fr", Purposes: []string{"letter"}, To: []byte{1, 2}, Created: 1, Expires: 2}, Attempts: 3}).encode())
	f.Add(key, []byte(`{"v":1,"kind":"confirm","site":"x","expires":1e3}`))
	f.Add([]byte{1}, []byte(`{}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := parseRecord(key, value)
		if err != nil {
			return
		}
		again, err := parseRecord(r.ID[:], r.encode())
		if err != nil {
			t.Fatalf("%q: %v", r.encode(), err)
		}
		if string(again.encode()) != string(r.encode()) {
			t.Errorf("%q became %q", r.encode(), again.encode())
		}
	})
}
