package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/consentd/consentd/storage/backup"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
)

// A backup brings back who was erased after it. Restore erases them in the ledger again; what else is kept of them can
// only be reached by a running server, and is erased at its first start: mails and requests before it serves, rows in
// ClickHouse once that answers. Until then the ledger has notes of it.
const (
	replaySpace = "erase-again-rows"    // site 0x00 fingerprint → until when, 8 bytes
	againSpace  = "erase-again-subject" // site 0x00 subject key → nothing
)

// noteErasures remembers who was erased: beside the ledger, and in ClickHouse when it answers. The journal is what counts.
func (n *node) noteErasures(ctx context.Context, all ...consent.Erasure) error {
	journal := n.flags.journal()
	if err := os.MkdirAll(filepath.Dir(journal.Path), 0o700); err != nil {
		return err
	}
	if err := journal.Note(all...); err != nil {
		return err
	}
	if n.warehouse == nil {
		return nil
	}
	if err := n.warehouse.NoteErasedSubjects(ctx, all); err != nil {
		return fmt.Errorf("it is noted here, and not in ClickHouse: %w", err)
	}
	return nil
}

func siteAndKey(site string, key []byte) []byte { return append(append([]byte(site), 0), key...) }

func cutSite(b []byte) (site string, key []byte) {
	s, key, _ := bytes.Cut(b, []byte{0})
	return string(s), bytes.Clone(key)
}

// openReplay erases what is left to erase after a restore.
func (n *node) openReplay(ctx context.Context) error {
	if err := n.forgetAgain(ctx); err != nil {
		return err
	}
	left, err := n.leftToErase()
	if err != nil || len(left) == 0 || n.warehouse == nil {
		return err
	}
	n.work("erasing again after a restore", func(ctx context.Context) error { n.eraseRowsAgain(ctx); return nil })
	return nil
}

// forgetAgain forgets the requests and mails of persons who were erased.
func (n *node) forgetAgain(ctx context.Context) error {
	var done []ledger.Note
	type who struct {
		site string
		key  consent.SubjectKey
	}
	var all []who
	err := n.ledger.Notes(againSpace, nil, func(key, _ []byte) error {
		site, k := cutSite(key)
		all = append(all, who{site, consent.SubjectKey(k)})
		done = append(done, ledger.Note{Space: againSpace, Key: bytes.Clone(key)})
		return nil
	})
	if err != nil || len(all) == 0 {
		return err
	}
	for _, w := range all {
		_, err := n.server.Load().ForgetRequests(w.site, w.key)
		if err == nil {
			_, err = n.mail.Forget(ctx, w.site, w.key)
		}
		if err != nil {
			return err
		}
	}
	return n.ledger.SetNotes(ctx, done...)
}

func (n *node) leftToErase() (all []consent.Erasure, err error) {
	err = n.ledger.Notes(replaySpace, nil, func(key, value []byte) error {
		site, who := cutSite(key)
		all = append(all, consent.Erasure{Site: site, Who: string(who), At: consent.Millis(binary.BigEndian.Uint64(value))})
		return nil
	})
	return all, err
}

// eraseRowsAgain tries until it has succeeded or ctx ends.
func (n *node) eraseRowsAgain(ctx context.Context) {
	const first, most = 200 * time.Millisecond, time.Minute
	for wait := first; ; wait = min(2*wait, most) {
		rows, err := n.tryRowsAgain(ctx)
		if err == nil {
			n.log.Info("ClickHouse is rid of the persons who were erased after the backup that was restored", "rows", rows)
			return
		}
		if ctx.Err() == nil && wait == most {
			n.log.Warn("erasing again in ClickHouse after a restore; tried again", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) tryRowsAgain(ctx context.Context) (rows int, err error) {
	left, err := n.leftToErase()
	if err != nil {
		return 0, err
	}
	if err := n.drain.Health(); err != nil {
		return 0, err
	}
	bySite := map[string]map[string]consent.Millis{}
	for _, e := range left {
		if bySite[e.Site] == nil {
			bySite[e.Site] = map[string]consent.Millis{}
		}
		bySite[e.Site][e.Who] = e.At
	}
	for site, until := range bySite {
		n, err := n.eraseRowsOf(ctx, site, until)
		rows += n
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func (n *node) eraseRowsOf(ctx context.Context, site string, until map[string]consent.Millis) (rows int, err error) {
	secret, err := n.secrets.Site(site)
	if err != nil {
		return 0, err
	}
	found := map[consent.SubjectKey]consent.Millis{}
	err = n.warehouse.SubjectsBefore(ctx, site, func(key consent.SubjectKey, oldest consent.Millis) error {
		if at, ok := until[backup.Fingerprint(secret, key)]; ok && oldest <= at {
			found[key] = at
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for key, at := range found {
		n, err := n.warehouse.EraseUntil(ctx, site, key, at)
		rows += n
		if err != nil {
			return rows, err
		}
	}
	var done []ledger.Note
	var again []consent.Erasure
	for who, at := range until {
		again = append(again, consent.Erasure{Site: site, Who: who, At: at})
		done = append(done, ledger.Note{Space: replaySpace, Key: siteAndKey(site, []byte(who))})
	}
	return rows, errors.Join(n.warehouse.NoteErasedSubjects(ctx, again), n.ledger.SetNotes(ctx, done...))
}
