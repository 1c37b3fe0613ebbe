package warehouse_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

// What holds of one server holds of a cluster.
func TestOnACluster(t *testing.T) {
	cluster := storagetest.NewCluster(t)
	alone := fresh
	fresh = cluster.Database
	defer func() { fresh = alone }()
	for name, test := range map[string]func(*testing.T){
		"proofs come back":       TestAProofComesBackAsItWasSent,
		"a wrong clock":          TestAProofIsFoundWhenItsClientsClockWasWrong,
		"histories have pages":   TestHistoryPagesNewestFirst,
		"the view":               TestTheViewReadsInWords,
		"an erased person":       TestAnErasedPersonLeavesTheFacts,
		"rates":                  TestRatesEqualACountByHandHoweverOftenABatchComes,
		"rates in a time range":  TestRatesKeepToTheirTimeRange,
		"entries":                TestEntriesAreTheFactsInTheirOrder,
		"a seq twice":            TestASeqOfAnotherGenerationIsAnotherEntry,
		"checkpoints":            TestTheLastCheckpointOfEachOriginIsKept,
		"an id several times":    TestAnIDCountsOnceHoweverOftenAndWhereverItWasRecorded,
		"two edges at once":      TestTwoEdgesThatInsertAtTheSameMomentCountOnce,
		"publications":           TestPublicationsAreKeptBesideTheWordings,
		"erasing":                TestErasingASubjectLeavesItsFacts,
		"erased before it comes": TestAnErasedProofIsSentWithoutAPersonalRow,
		"SQL":                    TestSQLPrintsManyRowsAndOurOwnTables,
		"eight edges at once":    TestEightEdgesMigrateAnEmptyServerAtOnce,
		"poison":                 TestOnlyRowsThemselvesArePoison,
	} {
		t.Run(name, test)
	}

	t.Run("the rows are spread", func(t *testing.T) {
		w := open(t)
		g := storagetest.NewGenerator(5)
		sendProofs(t, w, 0, g.Proofs(1000))
		if err := w.SendPrompts(t.Context(), at("e1", 0), g.Prompts(1000)); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"consent_facts", "consent_personal", "prompts"} {
			for shard := range 2 {
				rows := count(t, w, "SELECT sum(total_rows) FROM cluster('pair', system.tables) WHERE database = currentDatabase() AND name = {name:String} AND _shard_num = {shard:UInt8}",
					clickhouse.Named("name", table+"_local"), clickhouse.Named("shard", shard+1))
				if rows < 300 || rows > 700 {
					t.Errorf("%s: %d of 1000 rows on shard %d", table, rows, shard+1)
				}
			}
		}
		s, err := w.Stats(t.Context())
		if err != nil || s.Rows["consent_facts"] != 1000 || s.Rows["consent_personal"] != 1000 || s.Bytes["consent_facts"] == 0 {
			t.Errorf("the sizes are %v, %v", s, err)
		}
	})

	t.Run("a shard that is away", func(t *testing.T) {
		w := open(t)
		g := storagetest.NewGenerator(6)
		proofs := g.Proofs(200)
		sendProofs(t, w, 0, proofs[:100])
		erased := proofs[7]
		cluster.Link.Refuse()
		if err := w.SendProofs(t.Context(), at("e1", 100), proofs[100:]); err == nil || isPoison(err) {
			t.Errorf("sending: %v", err)
		}
		if _, err := w.Erase(t.Context(), erased.Site, erased.Personal.Subject); err == nil {
			t.Error("a person is called erased while a shard is away")
		}
		if err := w.Migrate(t.Context()); err == nil {
			t.Error("a shard that is away is taken for one that has its tables")
		}
		cluster.Link.Heal(t)
		sendProofs(t, w, 100, proofs[100:])
		if n := count(t, w, "SELECT count() FROM consents WHERE NOT erased"); n != 200 {
			t.Errorf("%d of 200 proofs, once the shard is back", n)
		}
		if n, err := w.Erase(t.Context(), erased.Site, erased.Personal.Subject); err != nil || n != 1 {
			t.Errorf("%d rows are erased, %v", n, err)
		}
	})

	t.Run("bad clusters", func(t *testing.T) {
		for name, c := range map[string]struct {
			change func(url string) string
			want   error
			says   string
		}{
			"a name the server does not know":      {func(url string) string { return strings.Replace(url, "=pair", "=trio", 1) }, warehouse.ErrCluster, `no cluster "trio"`},
			"replicas that cannot find each other": {func(url string) string { return strings.Replace(url, "=pair", "=twins", 1) }, warehouse.ErrCluster, "macros"},
		} {
			err := openAt(t, c.change(fresh(t))).Migrate(t.Context())
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
		made := fresh(t)
		if err := openAt(t, made).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := openAt(t, strings.Replace(made, "?cluster=pair", "", 1)).Migrate(t.Context()); !errors.Is(err, warehouse.ErrSchema) || !strings.Contains(err.Error(), "add ?cluster=NAME") {
			t.Errorf("a cluster's database without its name: %v", err)
		}
		single := strings.Replace(fresh(t), "?cluster=pair", "", 1)
		if err := openAt(t, single).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := openAt(t, single+"?cluster=pair").Migrate(t.Context()); !errors.Is(err, warehouse.ErrSchema) || !strings.Contains(err.Error(), "name another database") {
			t.Errorf("a single server's database with a cluster: %v", err)
		}
	})
}
