package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/backup"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/engine"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/warehouse"
)

type restoreCmd struct {
	dataFlags
	warehouseFlags
	Backup  string `arg:"" help:"Directory of a backup." type:"path"`
	Replace bool   `help:"Move a data directory that is there aside, to DATA.replaced-TIME, and put the backup in its place."`
	Lost    bool   `name:"clickhouse-lost" help:"Go on although the ClickHouse that knew what was recorded after the backup is lost: what was withdrawn or erased since is answered as it was in the backup."`
}

func (c *restoreCmd) Help() string {
	return `Puts a backup into the place of a data directory on which no server runs. It reads the backup through first, and
builds the new directory beside the old one: until its last step nothing is changed.

The ledger goes on in a new generation, so that nothing recorded from now on is taken for what was recorded after the
backup. What ClickHouse still has of that stays in histories and rates, and where people stand is brought back from it: a
consent that was withdrawn after the backup stays withdrawn. So name the ClickHouse in use with --clickhouse; of an
embedded one, that of the replaced directory is asked, and so is its ledger. Whoever was erased after the backup is erased again. What the
ledger holds and ClickHouse lacks is sent at the next start.

Example: consentd restore --data /var/lib/consentd --replace /mnt/backups/20261130T020000.000Z`
}

func (c *restoreCmd) Run(ctx context.Context, s streams) (err error) {
	r := &restoring{c: c, s: s, old: c.dataFlags, stamp: freeStamp(c.Data, time.Now())}
	r.new = dataFlags{Data: beside(c.Data, restoringMark, r.stamp)}
	fmt.Fprintln(s.err, "reading the backup through")
	if r.manifest, err = backup.Verify(ctx, c.Backup); err != nil {
		return err
	}
	defer r.close()
	if err := r.look(); err != nil {
		return err
	}
	if err := r.build(ctx); err != nil {
		return errors.Join(fmt.Errorf("%w. %s was not changed", err, c.Data), os.RemoveAll(r.new.Data))
	}
	return r.swap()
}

// restoring is one restore under way.
type restoring struct {
	c        *restoreCmd
	s        streams
	manifest *backup.Manifest
	old, new dataFlags
	stamp    string
	occupied bool // there is something at old
	closers  []func() error

	elsewhere *warehouse.Warehouse // what was recorded after the backup; nil: not reachable
	oldEngine bool                 // elsewhere is the embedded one of old, which goes with it
	copied    *warehouse.Warehouse // the embedded one of new; nil: none
	lives     []warehouse.Life
}

func (r *restoring) later(c func() error) { r.closers = append(r.closers, c) }

func (r *restoring) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		if err := r.closers[i](); err != nil {
			fmt.Fprintln(r.s.err, "closing:", err)
		}
	}
	r.closers = nil
}

func (r *restoring) say(format string, args ...any) { fmt.Fprintf(r.s.out, format+"\n", args...) }

// warn is for what an operator has to know.
func (r *restoring) warn(format string, args ...any) {
	fmt.Fprintf(r.s.err, "WARNING: "+format+"\n", args...)
}

// look refuses what would be overwritten, and holds the old directory so that no server starts on it.
func (r *restoring) look() error {
	entries, err := os.ReadDir(r.old.Data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.occupied = len(entries) > 0
	if !r.occupied {
		return nil
	}
	release, err := holdData(r.old)
	if err != nil {
		return err
	}
	r.later(release)
	if !r.c.Replace {
		return fmt.Errorf("%s is not empty: nothing was changed. To move it aside, to %s, and restore in its place: --replace", r.old.Data, r.aside())
	}
	return nil
}

func (r *restoring) aside() string { return beside(r.old.Data, replacedMark, r.stamp) }

// What stands beside a data directory while it is restored, and afterwards.
const (
	restoringMark = ".restoring-"
	replacedMark  = ".replaced-"
)

func beside(data, mark, stamp string) string { return strings.TrimSuffix(data, "/") + mark + stamp }

// freeStamp names an attempt by its second, and by a number where others of that second have left something.
func freeStamp(data string, now time.Time) string {
	second := now.UTC().Format("20060102T150405")
	stamp := second
	for n := 2; taken(beside(data, restoringMark, stamp)) || taken(beside(data, replacedMark, stamp)); n++ {
		stamp = fmt.Sprintf("%s-%d", second, n)
	}
	return stamp
}

func taken(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// holdData keeps servers off a data directory.
func holdData(d dataFlags) (release func() error, err error) {
	if _, err := os.Stat(d.ledger()); errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	release, err = ledger.TryLock(d.ledger())
	if errors.Is(err, ledger.ErrLocked) {
		return nil, fmt.Errorf("a server runs on %s: stop it first", d.Data)
	}
	return release, err
}

// build makes the new directory.
func (r *restoring) build(ctx context.Context) error {
	for _, part := range []string{"ledger", "keys", "log", "snapshots", "erasures"} {
		fmt.Fprintln(r.s.err, "copying", part)
		if err := backup.CopyTree(filepath.Join(r.c.Backup, part), filepath.Join(r.new.Data, part)); err != nil {
			return fmt.Errorf("copying %s: %w", part, err)
		}
	}
	if err := r.openElsewhere(ctx); err != nil {
		return err
	}
	if err := r.openCopied(ctx); err != nil {
		return err
	}
	return r.ledger(ctx)
}

var quiet = slog.New(slog.DiscardHandler)

// openElsewhere finds the ClickHouse that may know more than the backup.
func (r *restoring) openElsewhere(ctx context.Context) error {
	url := r.c.Clickhouse
	if url == "" {
		if _, err := os.Stat(filepath.Join(r.old.engine(), "data")); err != nil {
			r.warn("no ClickHouse was asked what it has that the backup lacks, because %s is not there. If there is one, run this again with --clickhouse: without it, what was withdrawn or erased after %s is answered as it was then, and the new generation may have been used before", r.old.engine(), r.manifest.Taken.Format(time.RFC3339))
			return nil
		}
		fmt.Fprintln(r.s.err, "starting the ClickHouse of the replaced directory, to ask what it has")
		e, err := engine.Open(ctx, engine.Options{Dir: r.old.engine(), Lib: r.c.EngineLib, Log: quiet})
		if err != nil {
			r.warn("the ClickHouse of the replaced directory does not start (%v): what was recorded after the backup is not known, and what was withdrawn since is answered as granted", err)
			return nil
		}
		r.later(e.Close)
		url, r.oldEngine = e.URL(), true
	}
	w, err := warehouse.Open(warehouse.Options{URL: url, Log: quiet})
	if err != nil {
		return fmt.Errorf("--clickhouse: %w", err)
	}
	r.later(w.Close)
	lives, err := w.Lives(ctx, r.manifest.Edge)
	if err != nil {
		return fmt.Errorf("asking ClickHouse what it has that the backup lacks: %w. Without its word, what was withdrawn after the backup would be answered as granted", err)
	}
	r.elsewhere, r.lives = w, lives
	return r.knowsUs()
}

// knowsUs refuses a ClickHouse that knows nothing of an edge that had recorded something: it is another one, or has
// lost it.
func (r *restoring) knowsUs() error {
	n := r.manifest.Next[consent.StreamProofs.String()]
	if n == 0 || slices.ContainsFunc(r.lives, func(l warehouse.Life) bool { return l.Generation >= r.manifest.Generation && l.Next > 0 }) {
		return nil
	}
	what := fmt.Sprintf("the ClickHouse that was asked has none of the %d proofs that edge %s had recorded when the backup was made: it is another one, or has lost them. What was withdrawn or erased after %s would be answered as it was then", n, r.manifest.Edge, r.manifest.Taken.Format(time.RFC3339))
	if !r.c.Lost {
		return fmt.Errorf("%s. Name the right one with --clickhouse; or, if it is lost for good, go on with --clickhouse-lost", what)
	}
	r.warn("%s", what)
	return nil
}

// openCopied puts the embedded ClickHouse of the backup into the new directory.
func (r *restoring) openCopied(ctx context.Context) error {
	if r.manifest.Engine != backup.EngineCopied {
		return nil
	}
	if r.c.Clickhouse != "" {
		r.warn("the embedded ClickHouse in the backup is not put back, because --clickhouse names another")
		return nil
	}
	fmt.Fprintln(r.s.err, "restoring the embedded ClickHouse")
	made := filepath.Join(r.new.copies(), "database")
	if err := os.MkdirAll(r.new.copies(), 0o700); err != nil {
		return err
	}
	if err := backup.CopyTree(filepath.Join(r.c.Backup, "engine"), made); err != nil {
		return fmt.Errorf("copying engine: %w", err)
	}
	e, err := engine.Open(ctx, engine.Options{Dir: r.new.engine(), Lib: r.c.EngineLib, Log: quiet})
	if err != nil {
		return fmt.Errorf("starting the embedded ClickHouse: %w", err)
	}
	r.later(e.Close)
	if r.copied, err = warehouse.Open(warehouse.Options{URL: e.URL(), Log: quiet}); err != nil {
		return err
	}
	r.later(r.copied.Close)
	if err := r.copied.RestoreFrom(ctx, made); err != nil {
		return err
	}
	if err := os.RemoveAll(r.new.copies()); err != nil {
		return err
	}
	return r.copied.Migrate(ctx) // an older program may have written it
}

// ledger opens the new ledger in a new generation and brings it up to date.
func (r *restoring) ledger(ctx context.Context) (err error) {
	repair := &ledger.Repair{AtLeast: r.generation() + 1, Copy: true}
	l, err := ledger.Open(ledger.Options{Dir: r.new.ledger(), Edge: r.manifest.Edge, Log: quiet, Repair: repair})
	if err != nil {
		return fmt.Errorf("opening the ledger of the backup: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for _, word := range repair.Words() {
		r.warn("the ledger of the backup: %s", word)
	}
	all := l.Generations()
	r.say("ledger: %d proofs, as of %s; it goes on in generation %d", l.Next(consent.StreamProofs), r.manifest.Taken.Format(time.RFC3339), all[len(all)-1].Number)
	for _, s := range consent.Streams() {
		if want := r.manifest.Next[s.String()]; l.Next(s) < want {
			return fmt.Errorf("the ledger of the backup ends after %d %s and must have %d", l.Next(s), s, want)
		}
	}
	checked, err := checkSigned(ctx, l, r.new, r.manifest.Generation)
	if err != nil {
		return err
	}
	r.say("log: holds what was signed (%d checkpoints)", checked)
	for _, step := range []func(context.Context, *ledger.Ledger) error{r.carryCheckpoints, r.eraseAgain, r.absorb, r.absorbReplaced, r.supersede} {
		if err := step(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// generation is the highest that is known of anywhere.
func (r *restoring) generation() uint32 {
	highest := max(r.manifest.Generation, generationNear(r.old))
	for _, l := range r.lives {
		highest = max(highest, l.Generation)
	}
	return highest
}

// generationNear is the highest generation that a data directory itself speaks of, as far as it can be read; 0: none.
func generationNear(d dataFlags) (highest uint32) {
	if g, _, err := ledger.Acknowledged(d.ledger()); err == nil {
		highest = g
	}
	files, _ := filepath.Glob(filepath.Join(d.logs(), "*.checkpoint")) // the pattern is good
	for _, f := range files {
		if note, err := os.ReadFile(f); err == nil {
			highest = max(highest, evidence.GenerationOf(note))
		}
	}
	return highest
}

// checkSigned holds the logs of a ledger against the checkpoints beside it and in it, signed by keys that are there.
// What was signed in the generation whole has to be in it; of others, which were lost in part, what is left.
func checkSigned(ctx context.Context, l *ledger.Ledger, d dataFlags, whole uint32) (checked int, err error) {
	verifiers, err := verifiersOf(d, l.Edge())
	if err != nil || len(verifiers) == 0 { // nothing was ever signed
		return 0, err
	}
	for name, stream := range map[string]consent.Stream{"proofs": consent.StreamProofs, "published": consent.StreamWordings} {
		for _, anchor := range []evidence.Anchor{evidence.Directory{Path: d.logs()}, l} {
			notes, err := anchor.Checkpoints(ctx, evidence.EdgeName(l.Edge())+"/"+name)
			if err != nil {
				return checked, err
			}
			for _, note := range notes {
				c, err := evidence.OpenCheckpoint(note, verifiers...)
				if err != nil {
					return checked, fmt.Errorf("a checkpoint of the log %s: %w", name, err)
				}
				g := evidence.GenerationOf(note)
				end := endOf(l, stream, g)
				if c.Size > end && g != whole {
					continue
				}
				if c.Size > end {
					return checked, fmt.Errorf("%d entries of the log %s were signed, and it holds %d", c.Size, name, end)
				}
				root, err := l.Log(stream).Root(c.Size)
				if err != nil {
					return checked, err
				}
				if root != c.Root {
					return checked, fmt.Errorf("the log %s does not begin with the %d entries that were signed at %v", name, c.Size, c.At)
				}
				checked++
			}
		}
	}
	return checked, nil
}

// verifiersOf are the keys that the log of an edge was signed with; none are made.
func verifiersOf(d dataFlags, edge string) (all []evidence.Key, err error) {
	keys, err := keyfile.At(d.logKeys())
	if err != nil {
		return nil, err
	}
	if names, err := keys.Names(); err != nil || len(names) == 0 {
		return nil, ignoreMissing(err)
	}
	signers, _, err := logSigners(d.logKeys(), edge)
	for _, s := range signers {
		all = append(all, s.Key)
	}
	return all, err
}

// carryCheckpoints brings over what the replaced directory signed after the backup: the new generation says what it went
// on from, and nobody can tell the signed entries that are lost from ones that never were otherwise.
func (r *restoring) carryCheckpoints(context.Context, *ledger.Ledger) error {
	verifiers, err := verifiersOf(r.new, r.manifest.Edge)
	if err != nil || len(verifiers) == 0 {
		return err
	}
	files, _ := filepath.Glob(filepath.Join(r.old.logs(), "*.checkpoint")) // the pattern is good
	for _, from := range files {
		note, err := os.ReadFile(from)
		if err != nil {
			r.warn("reading what was signed after the backup: %v", err)
			continue
		}
		c, err := evidence.OpenCheckpoint(note, verifiers...)
		if err != nil {
			r.warn("%s is not signed by a key in the backup (%v): passed over", from, err)
			continue
		}
		to := filepath.Join(r.new.logs(), filepath.Base(from))
		if was, err := os.ReadFile(to); err == nil && !signedLater(c, note, was, verifiers) {
			continue
		}
		if err := os.MkdirAll(r.new.logs(), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(to, note, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// signedLater reports whether c, whose note is given, was signed after another.
func signedLater(c *evidence.Checkpoint, note, other []byte, verifiers []evidence.Key) bool {
	o, err := evidence.OpenCheckpoint(other, verifiers...)
	g, than := evidence.GenerationOf(note), evidence.GenerationOf(other)
	return err != nil || g > than || g == than && c.Size > o.Size
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// erased is everybody who was erased, as far as anything that can be reached knows.
func (r *restoring) erased(ctx context.Context) (all []consent.Erasure, err error) {
	for _, d := range []dataFlags{r.new, r.old} {
		one, torn, err := d.journal().Read()
		if err != nil {
			return nil, err
		}
		if torn > 0 {
			r.warn("%d lines of %s are not whole and were passed over", torn, d.journal().Path)
		}
		all = append(all, one...)
	}
	for _, w := range []*warehouse.Warehouse{r.elsewhere, r.copied} {
		if w == nil {
			continue
		}
		one, err := w.ErasedSubjects(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return backup.Union(all), nil
}

// subject is somebody in a ledger.
type subject struct {
	site string
	key  consent.SubjectKey
}

// eraseAgain erases in the ledger who was erased after the backup, and notes what the first start has to erase.
func (r *restoring) eraseAgain(ctx context.Context, l *ledger.Ledger) error {
	all, err := r.erased(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.new.journal().Path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(r.new.journal().Path); ignoreMissing(err) != nil {
		return err
	}
	if err := r.new.journal().Note(all...); err != nil {
		return err
	}
	found, err := r.findErased(l, all)
	if err != nil {
		return err
	}
	var notes []ledger.Note
	for who := range found {
		if _, err := l.Erase(ctx, who.site, who.key); err != nil {
			return err
		}
		notes = append(notes, ledger.Note{Space: againSpace, Key: siteAndKey(who.site, who.key[:]), Value: []byte{1}})
	}
	for _, e := range all {
		notes = append(notes, ledger.Note{Space: replaySpace, Key: siteAndKey(e.Site, []byte(e.Who)), Value: binary.BigEndian.AppendUint64(nil, uint64(e.At))})
	}
	if err := l.SetNotes(ctx, notes...); err != nil {
		return err
	}
	if len(found) > 0 {
		if err := l.Scrub(ctx); err != nil {
			return err
		}
	}
	r.say("erasures: %d are known of; %d persons were in the backup and are erased again, their rows in ClickHouse at the next start", len(all), len(found))
	return nil
}

// findErased looks through states and held proofs for whoever a fingerprint is of.
func (r *restoring) findErased(l *ledger.Ledger, all []consent.Erasure) (map[subject]bool, error) {
	bySite := map[string]map[string]consent.Millis{}
	for _, e := range all {
		if bySite[e.Site] == nil {
			bySite[e.Site] = map[string]consent.Millis{}
		}
		bySite[e.Site][e.Who] = e.At
	}
	secrets := map[string][]byte{}
	keys, err := site.OpenSecrets(r.new.secrets())
	if err != nil {
		return nil, err
	}
	for id := range bySite {
		if _, err := os.Stat(filepath.Join(r.new.secrets(), id+".key")); err != nil {
			r.warn("who was erased on site %s cannot be told: its key is not in the backup (%v)", id, err)
			continue
		}
		if secrets[id], err = keys.Site(id); err != nil {
			return nil, err
		}
	}
	found := map[subject]bool{}
	look := func(id string, key consent.SubjectKey, oldest consent.Millis) {
		if secret := secrets[id]; secret != nil {
			if at, ok := bySite[id][backup.Fingerprint(secret, key)]; ok && oldest <= at {
				found[subject{id, key}] = true
			}
		}
	}
	err = l.EachState(func(id string, key consent.SubjectKey, s consent.State) error {
		for _, e := range s {
			look(id, key, e.At)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, l.Scan(consent.StreamProofs, l.First(consent.StreamProofs), l.Next(consent.StreamProofs), func(_ uint64, raw []byte) error {
		p, err := consent.ParseProof(raw)
		if err == nil && !p.Erased() {
			look(p.Site, p.Personal.Subject, p.RecordedAt)
		}
		return err
	})
}

// endOf is the seq after the last entry of a stream that a ledger has of a generation; 0: it knows nothing of it.
func endOf(l *ledger.Ledger, stream consent.Stream, generation uint32) uint64 {
	all := l.Generations()
	for i, g := range all {
		switch {
		case g.Number != generation:
		case i+1 < len(all):
			return all[i+1].First[stream]
		default:
			return l.Next(stream)
		}
	}
	return 0
}

// swap puts the new directory into place.
func (r *restoring) swap() error {
	r.close() // before the names change
	if err := backup.Seal(r.new.Data); err != nil {
		return err
	}
	if r.occupied {
		if err := os.Rename(r.old.Data, r.aside()); err != nil {
			return fmt.Errorf("moving %s aside: %w. The restored directory is %s: put it in place by hand", r.old.Data, err, r.new.Data)
		}
		r.say("the replaced directory is %s: remove it when nothing of it is needed any more", r.aside())
	} else if err := ignoreMissing(os.Remove(r.old.Data)); err != nil {
		return err
	}
	if err := os.Rename(r.new.Data, r.old.Data); err != nil {
		return fmt.Errorf("putting the restored directory into place: %w. It is %s", err, r.new.Data)
	}
	if err := keyfile.SyncDir(filepath.Dir(r.old.Data)); err != nil {
		return err
	}
	r.say("restored: start it with: consentd serve --data %s", r.old.Data)
	return nil
}

// noHalfRestore refuses a data directory that a restore was about to put into place when it was killed: a server that
// began an empty one there would take itself for the edge.
func noHalfRestore(data string) error {
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		return ignoreMissing(err)
	}
	for _, mark := range []string{replacedMark, restoringMark} {
		found, _ := filepath.Glob(beside(data, mark, "*")) // the pattern is good
		if len(found) > 0 {
			return fmt.Errorf("%s is not there, and %s is: a restore was interrupted in its last step. Put one of them into its place (mv), or run consentd restore again; for an empty server, remove or rename them", data, strings.Join(found, ", "))
		}
	}
	return nil
}
