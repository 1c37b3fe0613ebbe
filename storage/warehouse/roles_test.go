package warehouse

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
)

// made is what a role makes of all schema files.
func made(t *testing.T, r role) (all []string) {
	t.Helper()
	files, err := migrations(schemaFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range files {
		for _, s := range m.statements {
			s, err := r.statements(s)
			if err != nil {
				t.Fatal(err)
			}
			if s != "" {
				all = append(all, s)
			}
		}
	}
	return all
}

func TestReplicasShareTheirTables(t *testing.T) {
	const path = "('/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
	engines := map[string]string{"checkpoints_local": "ReplacingMergeTree" + path + ", sealed_at)", "edges_local": "ReplacingMergeTree" + path + ", version)"}
	for _, table := range []string{"consent_facts", "consent_personal", "prompts", "publications", "consent_repeats", "prompt_repeats", "consent_late", "logs", "erasures", "erased_subjects"} {
		engines[table+localSuffix] = "ReplacingMergeTree" + path + ")"
	}
	for _, table := range []string{"wordings"} {
		engines[table+localSuffix] = "AggregatingMergeTree" + path + ")"
	}
	got := map[string]string{}
	for _, s := range made(t, shardRole(true)) {
		if m := tableCreated.FindStringSubmatch(s); m != nil {
			_, engine, _ := strings.Cut(s, "\nENGINE = Replicated")
			got[m[2]], _, _ = strings.Cut(engine, "\n")
		}
	}
	if d := cmp.Diff(engines, got); d != "" {
		t.Error(d)
	}
}

func TestARoleKnowsWhatItIsGiven(t *testing.T) {
	door := (&Target{Cluster: "c", Database: "d"}).doorRole()
	for name, c := range map[string]struct {
		role      role
		statement string
	}{
		"a table without a key":        {door, "CREATE TABLE IF NOT EXISTS novel (a UInt8)\nENGINE = MergeTree\nORDER BY a"},
		"a table of another engine":    {door, "CREATE TABLE IF NOT EXISTS prompts (a UInt8)\nENGINE = Memory"},
		"a statement of another kind":  {shardRole(false), "DROP TABLE prompts"},
		"the same, where there is one": {shardRole(true), "TRUNCATE prompts"},
	} {
		if s, err := c.role.statements(c.statement); !errors.Is(err, ErrCluster) {
			t.Errorf("%s: %q, %v", name, s, err)
		}
	}
	if s, err := door.statements("ALTER TABLE prompts ADD COLUMN IF NOT EXISTS b UInt8"); err != nil || !strings.HasPrefix(s, "ALTER TABLE prompts ADD COLUMN") {
		t.Errorf("a new column is missing where it is asked for: %q, %v", s, err)
	}
}

func TestASilentReplicaIsPassedOver(t *testing.T) {
	w := &Warehouse{opt: Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
	silent, refused := errors.New("no route to host"), error(&clickhouse.Exception{Code: 60, Message: "no such table"})
	for name, c := range map[string]struct {
		answers []error
		want    error
	}{
		"all well":         {[]error{nil, nil}, nil},
		"one silent":       {[]error{silent, nil}, nil},
		"the other silent": {[]error{nil, silent}, nil},
		"both silent":      {[]error{silent, silent}, silent},
		"one says no":      {[]error{nil, refused}, refused},
	} {
		i := -1
		err := w.onAll([]string{"a", "b"}, func(string) error { i++; return c.answers[i] })
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
