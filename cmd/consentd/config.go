package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// dataFlags is where an edge keeps what it may not lose. Every command that touches it shares them.
type dataFlags struct {
	Data string `help:"Data directory: the ledger, keys and the embedded ClickHouse. Losing it loses the proofs not shipped yet and every key; who reads it can issue tokens. Back it up." default:"data" type:"path" env:"CONSENTD_DATA" placeholder:"DIR"`
}

func (d dataFlags) ledger() string      { return filepath.Join(d.Data, "ledger") }
func (d dataFlags) engine() string      { return filepath.Join(d.Data, "engine") }
func (d dataFlags) tokens() string      { return filepath.Join(d.Data, "keys", "tokens") }
func (d dataFlags) secrets() string     { return filepath.Join(d.Data, "keys", "sites") }
func (d dataFlags) seal() string        { return filepath.Join(d.Data, "keys", "seal") }
func (d dataFlags) linkKeys() string    { return filepath.Join(d.Data, "keys", "links") }
func (d dataFlags) logKeys() string     { return filepath.Join(d.Data, "keys", "log") }
func (d dataFlags) receiptKeys() string { return filepath.Join(d.Data, "keys", "receipts") }
func (d dataFlags) logs() string        { return filepath.Join(d.Data, "log") }
func (d dataFlags) snapshots() string   { return filepath.Join(d.Data, "snapshots") }

// warehouseFlags says which ClickHouse.
type warehouseFlags struct {
	Clickhouse string `help:"ClickHouse to ship to, clickhouse://user:password@host:9000/database?secure=true; several hosts with commas; &cluster=NAME spreads the tables over a cluster of that server's configuration. Secret: on the command line whoever lists processes reads it; give it in the environment or the file of --config." unset:"an embedded one" env:"CONSENTD_CLICKHOUSE" placeholder:"URL"`
	EngineLib  string `help:"libchdb.so of the embedded ClickHouse." unset:"beside the program, or storage/engine/node_modules" env:"CONSENTD_ENGINE_LIB" type:"path" placeholder:"FILE"`
}

// drainFlags says how shipping to it goes.
type drainFlags struct {
	KeepShipped time.Duration `help:"How long after it was recorded a choice that ClickHouse has stays in the ledger too: what ClickHouse loses within that time is sent again by itself." default:"168h" env:"CONSENTD_KEEP_SHIPPED" placeholder:"DURATION"`
}

// nodeFlags is the configuration of a running edge.
type nodeFlags struct {
	dataFlags
	warehouseFlags
	drainFlags
	backupFlags
	Edge           string        `help:"Name of this edge in every proof; fixed by the first start on a data directory." default:"e1" env:"CONSENTD_EDGE" placeholder:"NAME"`
	Admin          string        `help:"Address of /metrics, /readyz, /preview and pprof, open to whoever reaches it, and of erasing, backups and mails, which ask for a token. Keep it private." default:"127.0.0.1:9090" env:"CONSENTD_ADMIN" placeholder:"HOST:PORT"`
	AdminHosts     []string      `help:"Names the admin address is asked for by, like consentd.internal, besides localhost, loopback addresses and the one it listens on. Others are refused." unset:"none besides the host in --admin" env:"CONSENTD_ADMIN_HOSTS" placeholder:"NAME"`
	TrustedProxies []string      `help:"Networks whose X-Forwarded-For is believed, like 10.0.0.0/8." unset:"none, nobody's" env:"CONSENTD_TRUSTED_PROXIES" placeholder:"CIDR"`
	Geoip          string        `help:"MaxMind database (.mmdb) that countries are read from." unset:"none, countries stay empty" env:"CONSENTD_GEOIP" type:"path" placeholder:"FILE"`
	SMTP           string        `name:"smtp" help:"Mail server for confirmation mails: smtp://user:password@host:587 (STARTTLS required, except to this machine or with ?tls=off), smtps://user:password@host:465, or file:///directory to write them there instead. Secret: on the command line whoever lists processes reads it; give it in the environment or the file of --config." unset:"none, mails wait" env:"CONSENTD_SMTP" placeholder:"URL"`
	PublicURL      string        `name:"public-url" help:"Address people reach this server at, like https://consent.shop.example: links in mails begin with it." unset:"where it listens" env:"CONSENTD_PUBLIC_URL" placeholder:"URL"`
	EngineMemory   uint64        `help:"Memory the embedded ClickHouse may use, in MiB." default:"1024" env:"CONSENTD_ENGINE_MEMORY" placeholder:"MIB"`
	Cache          int64         `help:"Memory for states of subjects that were read lately, in MiB: 160 bytes a subject keep lookups off the disk. 0: the least there can be." default:"256" env:"CONSENTD_CACHE" placeholder:"MIB"`
	Memory         int64         `help:"Memory connections, requests and answers may take together, in MiB: half bounds the connections, the rest large bodies and answers; who finds no room is answered 503. The ledger and --cache come on top." default:"1024" env:"CONSENTD_MEMORY" placeholder:"MIB"`
	IdleTimeout    time.Duration `help:"How long a connection may be without a request. Proxies keep theirs 60 to 90 s and must be the first to close one." default:"120s" env:"CONSENTD_IDLE_TIMEOUT" placeholder:"DURATION"`
	Reserve        uint64        `help:"Free disk space, in MiB, below which no choice is admitted." default:"512" env:"CONSENTD_RESERVE" placeholder:"MIB"`
	Snapshots      string        `help:"Photograph each published text in Chromium, when there is one (CONSENTD_CHROMIUM, or in PATH): auto or off." default:"auto" enum:"auto,off" env:"CONSENTD_SNAPSHOTS"`
	Log            string        `help:"Least level logged: debug, info, warn or error." default:"info" enum:"debug,info,warn,error" env:"CONSENTD_LOG"`
	LogFormat      string        `help:"text or json." default:"text" enum:"text,json" env:"CONSENTD_LOG_FORMAT"`
	AccessLog      bool          `help:"Log each request (route, status, time; never who). Costs speed." env:"CONSENTD_ACCESS_LOG"`
}

// logger writes to w in the format asked for.
func (f *nodeFlags) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(f.Log)) // kong has checked it against the enum
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: plainError}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// plainError keeps the text of an error: some carry the stack they were made on, and would print it.
func plainError(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}

// proxies parses the networks; a bare address is a network of one.
func (f *nodeFlags) proxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, s := range f.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			ip, ipErr := netip.ParseAddr(s)
			if ipErr != nil {
				return nil, fmt.Errorf("--trusted-proxies %q: a network is written like 10.0.0.0/8", s)
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// yamlConfig is the loader of --config: a flat YAML mapping of flag names. Kong's resolver interface asks for
// one flag at a time; Validate refuses names no flag has.
func yamlConfig(r io.Reader) (kong.Resolver, error) {
	values := map[string]any{}
	if err := yaml.NewDecoder(r).Decode(&values); err != nil && err != io.EOF {
		return nil, fmt.Errorf("configuration file: %s", // without its source: passwords are in it
			yaml.FormatError(err, false, false))
	}
	return configFile(values), nil
}

type configFile map[string]any

func (c configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	kong.Visit(app, func(n kong.Visitable, next kong.Next) error {
		if f, ok := n.(*kong.Flag); ok {
			known[f.Name] = true
		}
		return next(nil)
	})
	var strangers []string
	for name := range c {
		if !known[name] {
			strangers = append(strangers, name)
		}
	}
	if len(strangers) > 0 {
		slices.Sort(strangers)
		return fmt.Errorf("configuration file: no such option: %s", strings.Join(strangers, ", "))
	}
	return nil
}

func (c configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	v, ok := c[flag.Name]
	if !ok || slices.ContainsFunc(flag.Envs, func(name string) bool { _, set := os.LookupEnv(name); return set }) {
		return nil, nil
	}
	if list, ok := v.([]any); ok {
		parts := make([]string, len(list))
		for i := range list {
			parts[i] = fmt.Sprint(list[i])
		}
		return strings.Join(parts, ","), nil
	}
	return fmt.Sprint(v), nil
}
