package warehouse_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/google/go-cmp/cmp"
)

// there is what readers find of one edge's proofs: whole ones in the facts, and whole ones in the view.
type there struct{ Facts, Whole uint64 }

func whatIsThere(t *testing.T, w *warehouse.Warehouse) there {
	t.Helper()
	return there{
		count(t, w, "SELECT count() FROM consent_facts FINAL"),
		count(t, w, "SELECT count() FROM consents WHERE NOT erased"),
	}
}

// TestALostPartIsFilledByTheResend: a batch was answered with success, the engine is killed, and after it came
// back a part of that batch is gone while the deduplication log, kept apart, still names the batch. That is what
// a server was left with by kill -9 in the middle of an insert. The same range is sent again, as after every
// answer that was not heard.
//
// The control names each insert after its range, as if to help the server: it then drops the resend and reports
// success. insert_deduplicate = 0 would not have helped, deduplicate_insert overrides it since ClickHouse 26.2.
func TestALostPartIsFilledByTheResend(t *testing.T) {
	for name, c := range map[string]struct {
		lost   string
		filled bool
	}{
		"facts":                       {"consent_facts", true},
		"personal parts":              {"consent_personal", true},
		"control: facts, by range":    {"consent_facts", false},
		"control: personal, by range": {"consent_personal", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := storagetest.OwnEngine(t)
			w, v := openAt(t, storagetest.FreshDatabase(t, e.URL())), newWorld()
			v.proofs["e2"], v.prompts = nil, nil
			if err := w.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, table := range []string{"consent_facts", "consent_personal"} {
				// Ours have no window; a server's defaults, or its operator, may give them one.
				exec(t, w, "ALTER TABLE "+table+" MODIFY SETTING non_replicated_deduplication_window = 1000")
				exec(t, w, "SYSTEM STOP MERGES "+table)
			}
			send := func() {
				t.Helper()
				for first := 0; first < 2000; first += 500 {
					if !c.filled {
						w.Token(func() string { return fmt.Sprint(first) })
					}
					sendProofs(t, w, uint64(first), v.proofs["e1"][first:first+500])
				}
			}
			whole := there{2000, 2000}
			send()
			if d := cmp.Diff(whole, whatIsThere(t, w)); d != "" {
				t.Fatalf("after the first time (-want +got):\n%s", d)
			}
			if err := os.RemoveAll(newestPart(t, w, c.lost)); err != nil {
				t.Fatal(err)
			}
			storagetest.KillEngine(t, e)
			storagetest.Eventually(t, 10*time.Second, "the client is connected again", func() bool { return w.Ping(t.Context()) == nil })
			if whatIsThere(t, w) == whole {
				t.Fatal("nothing was lost: this test no longer tests anything")
			}
			send()
			got := whatIsThere(t, w)
			if c.filled {
				if got != whole {
					t.Fatalf("after the resend %+v, want %+v", got, whole)
				}
				v.check(t, w)
			} else if got == whole {
				t.Error("the server filled the gap in spite of the token: nothing hangs on it any more")
			}
		})
	}
}

// newestPart is the folder of the part of table that was inserted last.
func newestPart(t *testing.T, w *warehouse.Warehouse, table string) (path string) {
	t.Helper()
	const sql = `SELECT path FROM system.parts WHERE database = currentDatabase() AND table = $1 AND active ORDER BY max_block_number DESC LIMIT 1`
	if err := w.Conn().QueryRow(t.Context(), sql, table).Scan(&path); err != nil {
		t.Fatal(err)
	}
	return path
}
