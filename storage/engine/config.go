package engine

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// The engine's own users. Passwords are random, in memory and in connection.json; the files here hold
// their SHA-256 only.
const (
	userName   = "consentd" // may do everything
	readerName = "reader"   // may read tables, change nothing
)

// Files in Options.Dir.
const (
	configFile = "config.xml"
	usersFile  = "users.xml"
	logFile    = "engine.log"
	dataDir    = "data"
	backupDir  = "copies" // BACKUP and RESTORE may use what lies here
)

// serverConfig is sized for a small machine that mostly waits. Pools: ClickHouse's 16 merge threads are
// for many disks. Caches: bounds, not reservations. The periods keep the idle engine quiet: measured, they
// halve its idle CPU. merge_tree: ClickHouse refuses tables whose thresholds exceed the pool, so they follow it.
var serverConfig = template.Must(template.New("config").Parse(`<clickhouse>
  <logger><log>{{.Dir}}/` + logFile + `</log><size>4M</size><count>1</count></logger>
  <users_config>{{.Dir}}/` + usersFile + `</users_config>
  <timezone>UTC</timezone>
  <max_server_memory_usage>{{.MemoryBytes}}</max_server_memory_usage>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <memory_worker_period_ms>500</memory_worker_period_ms>
  <asynchronous_metrics_update_period_s>30</asynchronous_metrics_update_period_s>
  <asynchronous_heavy_metrics_update_period_s>600</asynchronous_heavy_metrics_update_period_s>
  <mark_cache_size>134217728</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <max_connections>256</max_connections>
  <background_pool_size>4</background_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
  <backups><allowed_path>{{.Dir}}/` + backupDir + `/</allowed_path></backups>
  {{.ExtraConfig}}
</clickhouse>
`))

// usersConfig: the quota of `default` is spent by the two statements of startQuery. Its interval of
// 1.5e9 seconds counts from 1970, so it does not begin anew before 2065. readonly 2, not 1, because
// clickhouse-go sends settings with a query that has a deadline.
var usersConfig = template.Must(template.New("users").Parse(`<clickhouse>
  <profiles>
    <default/>
    <reader><readonly>2</readonly></reader>
  </profiles>
  <quotas>
    <default/>
    <start><interval><duration>1500000000</duration><queries>2</queries></interval></start>
  </quotas>
  <users>
    <default>
      <password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>start</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT SELECT ON system.numbers</query></grants>
    </default>
    <` + userName + `>
      <password_sha256_hex>{{.PasswordHash}}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </` + userName + `>
    <` + readerName + `>
      <password_sha256_hex>{{.ReaderHash}}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks><profile>reader</profile><quota>default</quota>
      <grants><query>GRANT SELECT, SHOW ON *.*</query></grants>
    </` + readerName + `>
    {{.ExtraUsers}}
  </users>
</clickhouse>
`))

// writeConfig writes both files, readable by this account only.
func writeConfig(o Options, conn Connection) error {
	values := map[string]any{
		"Dir":          escape(o.Dir),
		"MemoryBytes":  o.MemoryBytes,
		"ExtraConfig":  o.ExtraConfig,
		"ExtraUsers":   o.ExtraUsers,
		"PasswordHash": hash(conn.Password),
		"ReaderHash":   hash(conn.ReaderPassword),
	}
	if err := writeTemplate(filepath.Join(o.Dir, configFile), serverConfig, values); err != nil {
		return err
	}
	return writeTemplate(filepath.Join(o.Dir, usersFile), usersConfig, values)
}

func writeTemplate(path string, t *template.Template, values any) error {
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return err
	}
	return writePrivate(path, b.Bytes())
}

// writePrivate replaces a file whole or not at all, with mode 0600.
func writePrivate(path string, content []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}

// newPassword has 130 bits of chance in letters and digits, so it needs no escaping in a URL.
func newPassword() string { return rand.Text() }

func hash(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}
