package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/prometheus/client_golang/prometheus"
)

// openLogs seals the two logs of the ledger: near by in a directory beside it and in the ledger itself, far away in
// ClickHouse.
func (n *node) openLogs(ctx context.Context) error {
	signers, fresh, err := logSigners(n.flags.logKeys(), n.flags.Edge)
	if err != nil {
		return err
	}
	generations := n.ledger.Generations()
	o := evidence.Options{Edge: n.flags.Edge, Generation: generations[len(generations)-1].Number, GenerationOf: func(seq uint64) uint32 { return n.ledger.Generation(consent.StreamProofs, seq) }, Disagrees: n.ledger.Suspend, Signers: signers, Fresh: fresh,
		Proofs: n.ledger.Log(consent.StreamProofs), Publications: n.ledger.Log(consent.StreamWordings), Published: n.ledger,
		Near: []evidence.Anchor{evidence.Directory{Path: n.flags.logs()}, n.ledger}, Now: n.ledger.Now, Log: n.log}
	if n.warehouse != nil {
		o.Archive, o.Far = n.warehouse, []evidence.Anchor{n.warehouse}
	}
	if err := n.logKept(ctx, o.Generation); err != nil {
		return err
	}
	n.keeper, err = evidence.Open(ctx, o)
	if errors.Is(err, evidence.ErrDisagrees) {
		return fmt.Errorf("%w. This is about %s: restore a backup with consentd restore --replace, or go on with what is there with consentd repair", err, n.flags.Data)
	}
	if err != nil {
		return err
	}
	n.later("sealing the logs", n.sealLogs())
	n.registry.MustRegister(sealedGauge(n.keeper, consent.StreamProofs), sealedGauge(n.keeper, consent.StreamWordings))
	n.receipts, err = token.Open(token.Options{Dir: n.flags.receiptKeys(), Log: n.log})
	if err == nil {
		n.later("the keys of receipts", n.receipts.Close)
	}
	return err
}

// sealLogs seals until the function it returns is called, which seals once more: it outlives what writes.
func (n *node) sealLogs() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	sealed := make(chan struct{})
	go func() { defer close(sealed); n.keeper.Run(ctx) }()
	return func() error { cancel(); <-sealed; return nil }
}

// sealedGauge shows how far a log is signed; beside consentd_ledger_entries it says how far behind that is.
func sealedGauge(k *evidence.Keeper, log consent.Stream) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_log_sealed_entries",
		Help: "Entries the last signed checkpoint of a log covers.", ConstLabels: prometheus.Labels{"stream": log.String()}}, func() float64 {
		_, c, err := k.Checkpoint(log)
		if err != nil {
			return 0
		}
		return float64(c.Size)
	})
}

// logSigners reads the keys an edge seals its logs with, newest first; fresh: there was none, and one was made. All of
// them sign, so that whoever noted an older one can go on verifying.
func logSigners(dir, edge string) (all []evidence.Signer, fresh bool, err error) {
	keys, err := keyfile.Open(dir)
	if err != nil {
		return nil, false, err
	}
	names, err := keys.Names()
	if err != nil {
		return nil, false, err
	}
	seeds, err := keys.Numbered()
	if err != nil {
		return nil, false, fmt.Errorf("reading the keys of the log: %w", err)
	}
	for _, number := range slices.Backward(slices.Sorted(maps.Keys(seeds))) {
		s, err := evidence.NewSigner(evidence.EdgeName(edge), seeds[number])
		if err != nil {
			return nil, false, err
		}
		all = append(all, s)
	}
	return all, len(names) == 0, nil
}

type keysCmd struct {
	dataFlags
	Edge   string `help:"Name of this edge: part of the name of the key of its logs." default:"e1" env:"CONSENTD_EDGE" placeholder:"NAME"`
	Forget string `help:"Say that a key file was removed or replaced on purpose, like sites/shop: the server then starts without the old one." placeholder:"NAME"`
	Rotate string `help:"Make a new key for the logs or for receipts, and stop." enum:"log,receipts," default:"" placeholder:"log|receipts"`
}

func (c *keysCmd) Help() string {
	return `Prints the verifier keys of the logs, which consentd verify takes, and the ids of the keys of receipts, newest first.
Give the first to whoever will have to check evidence, by a way that is not this server: a letter, a notary, an
archive.

A new key of the logs signs from the next start on, beside the older ones: files keep verifying with each of them.
To stop an old one signing, remove its file from DATA/keys/log, run consentd keys --forget log/NUMBER and start again. A new key of receipts signs within
two seconds; older ones stay published.

The ledger knows every key file by a fingerprint: one that is missing or has other content keeps the server from
starting. If that was meant, --forget says so.

Example: consentd keys --rotate receipts`
}

func (c *keysCmd) Run(s streams) error {
	if c.Forget != "" {
		return c.forget(s)
	}
	if c.Rotate != "" {
		return c.rotate(s)
	}
	signers, _, err := logSigners(c.logKeys(), c.Edge)
	if err != nil {
		return err
	}
	for _, k := range signers {
		fmt.Fprintln(s.out, "log", k.String())
	}
	ring, err := token.OpenRing(c.receiptKeys())
	if err != nil {
		return err
	}
	for _, k := range slices.Backward(ring.Keys()) {
		fmt.Fprintln(s.out, "receipts", k.ID, map[bool]string{true: "signs", false: "verifies"}[k.Signs])
	}
	return ring.Close()
}

// forget leaves word for the next start, see keyRegister.
func (c *keysCmd) forget(s streams) error {
	dir, base := filepath.Split(filepath.Join(c.keys(), filepath.FromSlash(strings.TrimSuffix(c.Forget, ".key"))))
	d, err := keyfile.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Forget(base); err != nil {
		return err
	}
	fmt.Fprintln(s.err, "the next start takes this key as it then is, or as gone; what was made with the old one stays unreadable")
	return nil
}

func (c *keysCmd) rotate(s streams) error {
	if c.Rotate == "receipts" {
		ring, err := token.OpenRing(c.receiptKeys())
		if err != nil {
			return err
		}
		fmt.Fprintln(s.err, "a new key signs receipts within two seconds")
		return errors.Join(ring.Rotate(), ring.Close())
	}
	keys, err := keyfile.Open(c.logKeys())
	if err != nil {
		return err
	}
	const many = 100 // each makes every checkpoint a line longer
	if _, err := keys.Add(many); err != nil {
		return err
	}
	fmt.Fprintln(s.err, "a new key signs the logs from the next start on; consentd keys prints it")
	return nil
}

// logKept refuses to go on without the checkpoints beside the ledger, when the ledger knows that there were some: they
// are what shows that it was set back.
func (n *node) logKept(ctx context.Context, generation uint32) error {
	name := evidence.EdgeName(n.flags.Edge) + "/proofs"
	beside, err := evidence.Directory{Path: n.flags.logs()}.Checkpoints(ctx, name)
	if err != nil || len(beside) > 0 {
		return err
	}
	known, err := n.ledger.Checkpoints(ctx, name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(known, func(note []byte) bool { return evidence.GenerationOf(note) == generation }) {
		return fmt.Errorf("%s is missing: it says what was signed, and shows that a ledger was set back. Put it back from a backup, or begin a new generation without it: consentd repair", n.flags.logs())
	}
	return nil
}
