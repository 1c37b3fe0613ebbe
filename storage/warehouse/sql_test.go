package warehouse_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

func serverName(t *testing.T, w *warehouse.Warehouse, code int32) string {
	t.Helper()
	var name string
	if err := w.Conn().QueryRow(t.Context(), "SELECT toString(errorCodeToName({code:Int32}))", clickhouse.Named("code", code)).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

const everything = `SELECT 1 AS n, 'é<b>' AS s, toDate('2026-11-20') AS d, toDateTime('2026-11-20 10:00:00', 'UTC') AS t,
	toDateTime64('2026-11-20 10:00:00.123', 3, 'UTC') AS ms, CAST(NULL AS Nullable(String)) AS nothing, [1, 2] AS list,
	map('ads', 'denied') AS m, toFixedString(unhex('00ff'), 2) AS raw, toUUID('0197a3c1-0000-7000-8000-000000000000') AS u, 'a\tb\\' AS tab,
	0.5 AS f, true AS yes, toIPv6('2001:db8::1') AS ip, 18446744073709551615 AS big`

func TestSQLPrints(t *testing.T) {
	w := open(t)
	for format, want := range map[string]string{
		"tsv": "n\ts\td\tt\tms\tnothing\tlist\tm\traw\tu\ttab\tf\tyes\tip\tbig\n" +
			"1\té<b>\t2026-11-20\t2026-11-20T10:00:00Z\t2026-11-20T10:00:00.123Z\t\\N\t[1,2]\t{\"ads\":\"denied\"}\t00ff\t0197a3c1-0000-7000-8000-000000000000\ta\\tb\\\\\t0.5\ttrue\t2001:db8::1\t18446744073709551615\n",
		"jsonl": `{"n":1,"s":"é<b>","d":"2026-11-20","t":"2026-11-20T10:00:00Z","ms":"2026-11-20T10:00:00.123Z","nothing":null,"list":[1,2],"m":{"ads":"denied"},"raw":"00ff","u":"0197a3c1-0000-7000-8000-000000000000","tab":"a\tb\\","f":0.5,"yes":true,"ip":"2001:db8::1","big":18446744073709551615}` + "\n",
	} {
		var out bytes.Buffer
		if err := w.SQL(t.Context(), everything, format, &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s:\n%s\nwant:\n%s", format, out.String(), want)
		}
	}
	var out bytes.Buffer
	if err := w.SQL(t.Context(), "SELECT number AS n, if(number = 1, 'long', 's') AS s, NULL AS x FROM numbers(2)", "table", &out); err != nil {
		t.Fatal(err)
	}
	if want := "n  s     x\n─  ────  ────\n0  s     NULL\n1  long  NULL\n"; out.String() != want {
		t.Errorf("table:\n%s\nwant:\n%s", out.String(), want)
	}
	if err := w.SQL(t.Context(), "SELECT 1", "xml", &out); !errors.Is(err, warehouse.ErrFormat) {
		t.Errorf("xml: %v", err)
	}
}

func TestSQLPrintsManyRowsAndOurOwnTables(t *testing.T) {
	w := open(t)
	sendProofs(t, w, 0, storagetest.NewGenerator(1).Proofs(3))
	for query, lines := range map[string]int{
		"SELECT number FROM numbers(5000)":                      5002,
		"SELECT * FROM consents":                                5,
		"SELECT * FROM consent_facts":                           5,
		"SELECT * FROM consent_personal":                        5,
		"SELECT * FROM logs":                                    3,
		"SHOW TABLES LIKE 'consent_facts'":                      3,
		"SELECT site, count() AS n FROM consents GROUP BY site": 3,
	} {
		var out bytes.Buffer
		if err := w.SQL(t.Context(), query, "table", &out); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		if n := strings.Count(out.String(), "\n"); n != lines {
			t.Errorf("%s printed %d lines, want %d", query, n, lines)
		}
	}
}

func TestSQLOnlyReads(t *testing.T) {
	url := kit.Database(t)
	admin := openAt(t, url)
	if err := admin.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	sendProofs(t, admin, 0, storagetest.NewGenerator(1).Proofs(3))
	e := kit.Engine(t).Connection()
	reader := openAt(t, strings.Replace(strings.Replace(url, e.User+":", e.Reader+":", 1), ":"+e.Password+"@", ":"+e.ReaderPassword+"@", 1))
	for name, w := range map[string]*warehouse.Warehouse{"as the owner": admin, "as the reader": reader} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := w.SQL(t.Context(), "SELECT count() AS n FROM consents", "tsv", &out); err != nil || out.String() != "n\n3\n" {
				t.Errorf("reading: %q, %v", out.String(), err)
			}
			for _, query := range []string{
				"DROP TABLE consents", "TRUNCATE TABLE consent_facts", "CREATE TABLE x (a Int8) ENGINE = Memory", "SYSTEM STOP MERGES",
				"ALTER TABLE consent_facts DELETE WHERE 1", "INSERT INTO wordings (site) SELECT 'x'", "DELETE FROM consent_personal WHERE 1",
				"SELECT 1 SETTINGS readonly = 0", "SELECT 1; DROP TABLE consents",
			} {
				if err := w.SQL(t.Context(), query, "tsv", &bytes.Buffer{}); err == nil {
					t.Errorf("%s is accepted", query)
				}
			}
		})
	}
	if n := count(t, admin, "SELECT count() FROM consents"); n != 3 {
		t.Errorf("%d rows left of 3", n)
	}
}

func TestSQLEndsWithItsContext(t *testing.T) {
	w := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- w.SQL(ctx, "SELECT sleepEachRow(1) FROM numbers(60) SETTINGS max_block_size = 1", "tsv", &bytes.Buffer{})
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a statement of a minute ended without error")
		}
	case <-time.After(10 * time.Second):
		t.Error("still running ten seconds after its context ended")
	}
}
